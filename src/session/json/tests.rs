use super::*;
use proptest::prelude::*;

fn cookie_text(text: &str) -> Option<&str> {
    cookie_value(text.as_bytes()).map(|range| &text[range])
}

#[test]
fn finds_the_top_level_cookie_wherever_it_stands() {
    let cookie = r#"{"maxAge":5,"path":"/"}"#;
    for text in [
        format!(r#"{{"cookie":{cookie}}}"#),
        format!(r#"{{"cookie":{cookie},"views":3}}"#),
        format!(r#"{{"user":{{"cookie":1}},"cookie":{cookie},"a":[1,{{"cookie":2}}]}}"#),
    ] {
        assert_eq!(cookie_text(&text), Some(cookie), "{text}");
    }
    assert_eq!(cookie_text(r#"{"cookie":null}"#), Some("null"));
}

#[test]
fn knows_no_cookie_where_there_is_none_at_the_top_level() {
    for text in ["", "{", "{}", "[]", "null", "5", r#"{"a":{"cookie":1}}"#, r#"["cookie"]"#] {
        assert_eq!(cookie_text(text), None, "{text}");
    }
}

#[test]
fn accepts_what_stringify_writes() {
    for value in [
        "0",
        "-1",
        "10",
        "1.5",
        "-0.25",
        "19.99",
        "0.1",
        "0.30000000000000004",
        "0.000001",
        "1732252800000",
        "9007199254740991",
        "100000000000000000000",
        "true",
        "false",
        "null",
        r#""""#,
        r#""a\"b\\c\n\t\b\f\r\u0000\u001f/é""#,
        "[]",
        "{}",
        "[[],[{}]]",
        r#"{"0":1,"9":2,"10":3,"a":4,"01":5}"#,
    ] {
        let text = format!(r#"{{"cookie":1,"v":{value}}}"#);
        assert_eq!(cookie_text(&text), Some("1"), "{text}");
    }
}

#[test]
fn rejects_what_stringify_would_have_written_otherwise() {
    for value in [
        "00",
        "01",
        "-0",
        "1.0",
        "1.50",
        "1e3",
        "1E3",
        "1e+21",
        "0.0000001",
        "12345678901234567890",
        "9007199254740993",
        "1000000000000000000000",
        "-",
        ".5",
        "5.",
        "",
        r#""\u0041""#,
        r#""\/""#,
        r#""\u001F""#,
        r#""\u000a""#,
        r#""\ud83d\ude00""#,
        r#""\u0022""#,
        r#"{"1":1,"0":2}"#,
        r#"{"a":1,"0":2}"#,
        r#"{"4294967294":1}"#,
        r#"{"1":1,"1":2}"#,
        " 1",
        "1 ",
        "[1, 2]",
        "[1,]",
        "[",
        "tru",
        "nul",
        "Infinity",
        "NaN",
        "undefined",
    ] {
        let text = format!(r#"{{"cookie":1,"v":{value}}}"#);
        assert_eq!(cookie_text(&text), None, "{text}");
    }
}

#[test]
fn a_session_is_judged_alike_with_its_cookie_and_without() {
    let cookie = r#"{"path":"/"}"#;
    for rest in [r#","a":1"#, r#","a":{"b":[1,"x"]}"#, "", r#","a":1.0"#, r#","cookie":1"#] {
        for before in ["", r#""z":[],"#] {
            let whole = format!(r#"{{{before}"cookie":{cookie}{rest}}}"#);
            let at = before.len() + r#"{"cookie":"#.len();
            let cut = format!("{}{}", &whole[..at], &whole[at + cookie.len()..]);
            let is_found = cookie_text(&whole).is_some();
            assert_eq!(is_cut_from_canonical(cut.as_bytes(), at), is_found, "{whole}");
            assert!(!is_cut_from_canonical(cut.as_bytes(), at + 1), "{whole}");
        }
    }
    assert!(!is_cut_from_canonical(br#"{"cooky":}"#, 9));
}

#[test]
fn a_flat_object_ends_where_it_closes_and_tells_where_the_string_is() {
    let text = br#"{"a":1,"expires":"then","b":"}"},"rest":{}"#;
    let flat = flat_object(text, b"expires").unwrap();
    assert_eq!(flat.length, 32);
    assert_eq!(&text[flat.string.unwrap()], b"then");
    assert_eq!(flat_object(b"{}", b"expires").unwrap().string, None);
    assert_eq!(flat_object(br#"{"expires":null}"#, b"expires").unwrap().string, None);
}

#[test]
fn what_is_not_flat_or_not_an_object_is_none() {
    for text in [
        "",
        "[]",
        "1",
        r#"{"a":{}}"#,
        r#"{"a":[]}"#,
        r#"{"a":1"#,
        r#"{"expires":"a","expires":"b"}"#,
        r#"{ "a":1}"#,
    ] {
        assert!(flat_object(text.as_bytes(), b"expires").is_none(), "{text}");
    }
}

#[test]
fn rejects_two_cookies_and_bytes_behind_the_end() {
    assert_eq!(cookie_text(r#"{"cookie":1,"cookie":2}"#), None);
    assert_eq!(cookie_text(r#"{"cookie":1}x"#), None);
}

#[test]
fn gives_up_on_deep_nesting_and_does_not_overflow() {
    let deep = format!(r#"{{"cookie":1,"v":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(cookie_text(&deep), None);
    let deep =
        format!(r#"{{"cookie":1,"v":{}1{}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(cookie_text(&deep), None);
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,200}") {
        let _ = cookie_value(text.as_bytes());
    }

    #[test]
    fn never_panics_on_json_like_text(text in r#"\{"cookie":[\{\}\[\]",:a-c0-9\\u.-]{0,60}"#) {
        let _ = cookie_value(text.as_bytes());
    }

    /// Whatever double is accepted is spelled as Rust's shortest form, which for these is
    /// JavaScript's too; __test__/touch.spec.js holds the two against each other.
    #[test]
    fn integers_and_plain_decimals_are_canonical(whole in -999_999_999i64..999_999_999, cents in 1u8..100) {
        prop_assert!(is_canonical_number(whole.to_string().as_bytes()));
        let decimal = format!("{whole}.{cents:02}");
        let decimal = decimal.trim_end_matches('0');
        prop_assert!(is_canonical_number(decimal.as_bytes()) || decimal.starts_with("-0."));
    }
}
