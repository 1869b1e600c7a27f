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

/// Touches leave all but the cookie as it stands.
#[test]
fn accepts_what_raw_json_and_proxies_make_stringify_write() {
    for value in ["1.0", "-0", "1E+3", "12345678901234567890", r#""\u0041\/""#, r#"{"a":1,"0":2}"#]
    {
        for text in [
            format!(r#"{{"cookie":1,"v":{value}}}"#),
            format!(r#"{{"v":{value},"cookie":1}}"#),
            format!(r#"{{"v":[{value},{{"cookie":2}}],"cookie":1}}"#),
        ] {
            assert_eq!(cookie_text(&text), Some("1"), "{text}");
        }
    }
}

#[test]
fn rejects_what_is_not_json_or_has_white_space() {
    for before in ["", " ", "{", "[", "1 ", "[1, 2]", r#"""#, r#""\"#, ",", "]"] {
        let text = format!(r#"{{"v":{before},"cookie":1}}"#);
        assert_eq!(cookie_text(&text), None, "{text}");
    }
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
    for text in ["", "[]", "1", r#"{"a":{}}"#, r#"{"a":[]}"#, r#"{"a":1"#, r#"{ "a":1}"#] {
        assert!(flat_object(text.as_bytes(), b"expires").is_none(), "{text}");
    }
}

#[test]
fn deep_nesting_does_not_overflow() {
    for (open, close) in [("[", "]"), (r#"{"a":["#, "]}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(cookie_text(&format!(r#"{{"v":{deep},"cookie":1}}"#)), Some("1"));
        assert_eq!(cookie_text(&format!(r#"{{"cookie":{deep}}}"#)), Some(&deep[..]));
    }
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
}
