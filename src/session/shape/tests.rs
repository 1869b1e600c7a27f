use proptest::prelude::*;
use serde_json::Value;

use super::{ShapeId, Shapes};

fn is_ascii(text: &str) -> bool {
    text.is_ascii()
}

/// Packs a text, which is met in so many sessions that it has a shape.
fn packed(shapes: &mut Shapes, text: &str) -> Option<(ShapeId, Vec<u8>)> {
    let ascii = is_ascii(text);
    let shape = (0..4).filter_map(|session| shapes.pack(text.as_bytes(), ascii, session)).last();
    shape.map(|shape| (shape, shapes.packed().to_vec()))
}

fn unpacked(shapes: &Shapes, (shape, bytes): &(ShapeId, Vec<u8>), ascii: bool) -> String {
    let mut text = Vec::new();
    shapes.view(*shape, bytes).unwrap().write_text(ascii, &mut text);
    String::from_utf8(text).unwrap()
}

#[track_caller]
fn round_trip(text: &str) -> usize {
    let mut shapes = Shapes::new(usize::MAX);
    let kept = packed(&mut shapes, text).expect("it has a shape");
    assert_eq!(unpacked(&shapes, &kept, is_ascii(text)), text);
    kept.1.len()
}

/// A text with one member that has this value.
fn with(value: &str) -> String {
    format!(r#","padding":"a text that is not too short","value":{value}}}"#)
}

/// How many bytes of a packed session a value takes.
#[track_caller]
fn size_of_value(value: &str) -> usize {
    round_trip(&with(value)) - round_trip(&with("null"))
}

#[test]
fn values_are_packed_by_what_they_are() {
    assert_eq!(size_of_value("true"), 1);
    assert_eq!(size_of_value("0"), 4);
    assert_eq!(size_of_value("2147483647"), 4);
    assert_eq!(size_of_value("2147483648"), 6);
    assert_eq!(size_of_value("281474976710655"), 6);
    assert_eq!(size_of_value("281474976710656"), 16);
    assert_eq!(size_of_value("-1"), 3);
    assert_eq!(size_of_value("4.99"), 5);
    assert_eq!(size_of_value("\"text\""), 5);
    assert_eq!(size_of_value("\"\""), 1);
    assert_eq!(size_of_value("\"2026-11-26T12:00:00.000Z\""), 6);
    assert_eq!(size_of_value("\"507f1f77bcf86cd799439011\""), 12);
    assert_eq!(size_of_value("\"0b7c3b0e-5d0a-4c52-9d6e-1f2a3b4c5d6e\""), 16);
    assert_eq!(size_of_value("\"é\""), 2);
}

#[test]
fn values_that_look_like_others_come_back_as_they_were() {
    for value in [
        "-0",
        "1e3",
        "1E+3",
        "01",
        "1.0",
        "9007199254740993",
        "1e400",
        "\"1e3\"",
        "\"007\"",
        "\"2026-02-30T12:00:00.000Z\"",
        "\"1969-12-31T23:59:59.999Z\"",
        "\"2026-11-26T12:00:00.000\"",
        "\"507F1F77BCF86CD799439011\"",
        "\"0b7c3b0e-5d0a-4c52-9d6e-1f2a3b4c5d6E\"",
        "\"0b7c3b0e5-d0a-4c52-9d6e-1f2a3b4c5d6e\"",
        "\"true\"",
        "\"null\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":[true,null,\"x\"]}]]",
        "\"\u{7f}\"",
    ] {
        round_trip(&with(value));
    }
    round_trip(&with(&format!("\"{}\"", "x".repeat(255))));
    round_trip(&with(&format!("\"{}\"", "é".repeat(255))));
    round_trip(&with(&format!("\"{}\"", "é".repeat(256))));
    round_trip(&with(&format!("\"{}\"", "x".repeat(5000))));
}

#[test]
fn names_may_be_anything() {
    for name in ["__proto__", "0", "", "é", "日本", "a\\\"b", "\\u2028", "cookie", "constructor"]
    {
        round_trip(&with(&format!(r#"{{"{name}":1}}"#)));
    }
    round_trip(&with(r#"{"twice":1,"twice":"2"}"#));
}

#[test]
fn what_does_not_fit_has_no_shape() {
    let mut shapes = Shapes::new(usize::MAX);
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let many = format!("[{}1]", "1,".repeat(300));
    let names = format!("{{\"{}\":1}}", "x".repeat(5000));
    let long = format!("\"{}\"", "x".repeat(70_000));
    for value in ["\"\\n\"", "\"日本\"", &deep, &many, &names, &long] {
        assert_eq!(packed(&mut shapes, &with(value)), None, "{value}");
    }
    assert_eq!(packed(&mut shapes, r#","a":1}"#), None, "it is too short");
    assert_eq!(shapes.bytes(), 0);
}

#[test]
fn a_shape_is_learnt_from_other_sessions_and_not_from_one_that_is_written_again() {
    let mut shapes = Shapes::new(usize::MAX);
    let text = with("1");
    for _ in 0..10 {
        assert_eq!(shapes.pack(text.as_bytes(), true, 1), None);
    }
    assert_eq!(shapes.pack(text.as_bytes(), true, 2), None);
    assert!(shapes.pack(text.as_bytes(), true, 3).is_some());
    assert!(shapes.pack(with("2").as_bytes(), true, 1).is_some());
}

#[test]
fn each_shape_is_found_though_others_begin_alike() {
    let mut shapes = Shapes::new(usize::MAX);
    let values = ["1", "1.5", "\"x\"", "\"2026-11-26T12:00:00.000Z\"", "true", "{\"a\":1}", "null"];
    let texts: Vec<_> = values
        .iter()
        .flat_map(|one| values.map(|two| with(&format!("[{one},{two},{{\"end\":{one}}}]"))))
        .collect();
    let mut kept = Vec::new();
    for text in &texts {
        kept.push(packed(&mut shapes, text).unwrap());
        // What has a shape makes up for what has none.
        for _ in 0..4 {
            packed(&mut shapes, text).unwrap();
        }
    }
    for (text, kept) in texts.iter().zip(&kept) {
        assert_eq!(unpacked(&shapes, kept, true), *text);
        // What is learnt later may fit too, but the text still has a shape.
        assert!(shapes.pack(text.as_bytes(), true, 9).is_some());
    }
}

#[test]
fn shapes_that_no_record_has_make_room_and_their_handles_stay_void() {
    let mut shapes = Shapes::new(usize::MAX);
    let mut held = Vec::new();
    let text = |n: usize| with(&format!("{{\"name{n}\":{n}}}"));
    let mut handles = Vec::new();
    for n in 0..2000 {
        let Some(kept) = packed(&mut shapes, &text(n)) else {
            continue;
        };
        handles.push(shapes.view(kept.0, &kept.1).unwrap().shape.handle);
        if n % 10 == 0 {
            shapes.hold(kept.0);
            held.push((n, kept));
        }
        shapes.validate(held.iter().map(|(_, kept)| kept.0));
    }
    assert!(held.len() > 150, "{}", held.len());
    for (n, kept) in &held {
        assert_eq!(unpacked(&shapes, kept, true), text(*n));
    }
    let alive = handles.iter().filter(|handle| shapes.definition(**handle).is_some()).count();
    assert!((held.len()..=512).contains(&alive), "{alive}");
    for (_, kept) in held {
        shapes.release(kept.0);
    }
    shapes.validate(std::iter::empty());
}

#[test]
fn a_table_with_little_room_has_few_shapes() {
    let mut shapes = Shapes::new(16 * 4000);
    for n in 0..100 {
        if let Some((shape, _)) = packed(&mut shapes, &with(&format!("{{\"name{n}\":{n}}}"))) {
            shapes.hold(shape);
        }
    }
    assert!((1000..=4000).contains(&shapes.bytes()), "{}", shapes.bytes());
}

#[test]
fn sessions_that_are_all_different_are_looked_at_now_and_then() {
    let mut shapes = Shapes::new(usize::MAX);
    for n in 0..1000_u64 {
        assert_eq!(shapes.pack(with(&format!("{{\"n{n}\":1}}")).as_bytes(), true, n), None);
    }
    // And followed by sessions that are alike, they are forgotten about.
    let text = with("1");
    let sessions = (0..1000).filter(|n| shapes.pack(text.as_bytes(), true, *n).is_some());
    assert!(sessions.count() > 500);
}

#[test]
fn a_definition_names_the_members_and_no_value() {
    let mut shapes = Shapes::new(usize::MAX);
    let text =
        r#","user":{"name":"Ada","id":"507f1f77bcf86cd799439011"},"tags":["a",1.5,null,true]}"#;
    let (shape, bytes) = packed(&mut shapes, text).unwrap();
    let handle = shapes.view(shape, &bytes).unwrap().shape.handle;
    let definition = String::from_utf8(shapes.definition(handle).unwrap()).unwrap();
    assert_eq!(
        definition,
        r#"{"holes":[5,384,5,4,1],"session":{"cookie":null,"user":{"name":0,"id":1},"tags":[2,3,null,4]}}"#
    );
    assert_eq!(shapes.definition(handle + (1 << 16)), None);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..3_000_000_000_u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        "[0-9a-f]{16,40}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        (-4_000_000_000_000_i64..4_000_000_000_000).prop_map(|time| {
            Value::from(String::from_utf8(crate::time::iso(time).unwrap().to_vec()).unwrap())
        }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-z_0-9\"é]{0,6}", inner), 0..5).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_comes_back_byte_for_byte(values in prop::collection::vec(json(), 1..8)) {
        let mut shapes = Shapes::new(usize::MAX);
        let texts: Vec<_> = values.iter().map(|value| with(&value.to_string())).collect();
        let kept: Vec<_> = texts.iter().map(|text| packed(&mut shapes, text)).collect();
        for (text, kept) in texts.iter().zip(&kept) {
            if let Some(kept) = kept {
                prop_assert_eq!(&unpacked(&shapes, kept, text.is_ascii()), text);
                let handle = shapes.view(kept.0, &kept.1).unwrap().shape.handle;
                let definition = shapes.definition(handle).unwrap();
                prop_assert!(serde_json::from_slice::<Value>(&definition).is_ok());
            }
        }
    }

    /// What is no JSON, or not as `JSON.stringify` writes it, does no harm either.
    #[test]
    fn any_text_comes_back_byte_for_byte(text in "[{}\\[\\],:\"\\\\truefalsn0-9é .]{32,80}") {
        let mut shapes = Shapes::new(usize::MAX);
        if let Some(kept) = packed(&mut shapes, &text) {
            prop_assert_eq!(unpacked(&shapes, &kept, text.is_ascii()), text);
        }
    }
}
