//! The merge by its laws, and case by case. `__test__/merge.spec.js` has the same cases, and holds
//! the two merges against each other.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Lifetime, Merged, merge};

fn merged(base: &str, theirs: &str, mine: &str) -> String {
    merge(base, theirs, mine).unwrap().text
}

#[test]
fn changes_to_different_keys_are_both_kept_at_every_depth() {
    for (base, theirs, mine, expected) in [
        ("{}", r#"{"a":1}"#, r#"{"b":2}"#, r#"{"b":2,"a":1}"#),
        (r#"{"a":1,"b":1}"#, r#"{"a":1}"#, r#"{"a":2,"b":1}"#, r#"{"a":2}"#),
        (
            r#"{"cart":{"apples":1}}"#,
            r#"{"cart":{"apples":1,"pears":1}}"#,
            r#"{"cart":{"apples":2}}"#,
            r#"{"cart":{"apples":2,"pears":1}}"#,
        ),
        (
            r#"{"a":{"b":{"c":{"x":1,"y":1}}}}"#,
            r#"{"a":{"b":{"c":{"x":2,"y":1},"d":1}}}"#,
            r#"{"a":{"b":{"c":{"x":1}},"e":1}}"#,
            r#"{"a":{"b":{"c":{"x":2},"d":1},"e":1}}"#,
        ),
        ("{}", r#"{"a":{"x":1}}"#, r#"{"a":{"y":1}}"#, r#"{"a":{"y":1,"x":1}}"#),
        (r#"{"a":null}"#, r#"{"a":{"x":1}}"#, r#"{"a":{"y":1}}"#, r#"{"a":{"y":1,"x":1}}"#),
    ] {
        assert_eq!(merged(base, theirs, mine), expected);
    }
}

#[test]
fn of_two_changes_to_one_value_the_later_counts() {
    for (base, theirs, mine) in [
        (r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#),
        (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, r#"{"a":[1,3]}"#),
        (r#"{"a":5}"#, r#"{"a":{"x":1}}"#, r#"{"a":{"y":1}}"#),
        (r#"{"user":"ann"}"#, "{}", r#"{"user":"bob"}"#),
        (r#"{"user":"ann"}"#, r#"{"user":"bob"}"#, "{}"),
        (r#"{"a":{"x":1}}"#, r#"{"a":[1]}"#, r#"{"a":{"y":1}}"#),
    ] {
        assert_eq!(merged(base, theirs, mine), mine);
    }
}

#[test]
fn an_object_that_one_side_removed_stays_so_where_the_other_changed_what_is_inside() {
    let base = r#"{"user":{"id":1,"lastSeen":1}}"#;
    for removed in ["{}", r#"{"user":null}"#, r#"{"user":{}}"#] {
        for changed in [
            r#"{"user":{"id":1,"lastSeen":2}}"#,
            r#"{"user":{"id":1,"lastSeen":1,"page":{"n":1}}}"#,
            r#"{"user":{"id":1}}"#,
        ] {
            assert_eq!(merged(base, removed, changed), removed);
            assert_eq!(merged(base, changed, removed), removed);
            let nested = |text: &str| format!(r#"{{"passport":{text}}}"#);
            let all = [base, removed, changed].map(nested);
            assert_eq!(merged(&all[0], &all[1], &all[2]), all[1]);
        }
    }
}

#[test]
fn what_only_looks_different_is_no_change() {
    let base = r#"{"a":{"x":1,"y":[{"p":1,"q":2}]}}"#;
    let reordered = r#"{"a":{"y":[{"q":2,"p":1}],"x":1}}"#;
    let changed = r#"{"a":{"x":2,"y":[{"p":1,"q":3}]}}"#;
    assert_eq!(parsed(&merged(base, changed, reordered)), parsed(changed));
    assert_eq!(parsed(&merged(base, reordered, changed)), parsed(changed));
    let gone = r#"{"a":false}"#;
    assert_eq!(merged(base, gone, reordered), gone);
}

#[test]
fn texts_are_kept_byte_for_byte_and_odd_keys_are_keys() {
    let base = r#"{"a":1}"#;
    let theirs = r#"{"a":1,"__proto__":{"x":1},"":1e400,"10":-0,"constructor":"\ud800"}"#;
    let mine = r#"{"a":2,"2":[1, 2],"\u2028":"é"}"#;
    assert_eq!(
        merged(base, theirs, mine),
        r#"{"a":2,"2":[1, 2],"\u2028":"é","__proto__":{"x":1},"":1e400,"10":-0,"constructor":"\ud800"}"#
    );
    // As JSON.parse has it.
    assert_eq!(merged(r#"{"a":1}"#, r#"{"a":5,"b":1,"a":1}"#, r#"{"a":1}"#), r#"{"a":1,"b":1}"#);
}

#[test]
fn what_is_no_object_is_not_merged() {
    for other in ["", "1", "[]", "null", "{", r#"{"a"}"#, "{} x", "\"{}\""] {
        assert_eq!(merge(other, "{}", "{}"), None, "{other}");
        assert_eq!(merge("{}", other, "{}"), None, "{other}");
        assert_eq!(merge("{}", "{}", other), None, "{other}");
    }
}

#[test]
fn objects_nested_beyond_reason_are_one_value() {
    let nested = |value: &str| {
        let (open, close) = (r#"{"a":"#.repeat(5000), "}".repeat(5000));
        format!("{open}{value}{close}")
    };
    let [base, theirs, mine] = ["1", "2", "3"].map(nested);
    assert_eq!(merged(&base, &theirs, &mine), mine);
}

/// A cookie of so long a life, which ends so many seconds after a moment.
fn cookie(max_age: &str, seconds: u32, more: &str) -> String {
    format!(
        r#"{{"originalMaxAge":{max_age},"expires":"2026-01-01T00:00:{seconds:02}.000Z","path":"/"{more}}}"#
    )
}

#[test]
fn a_cookie_has_the_lifetime_that_one_side_set_or_else_the_later_one() {
    let session = |cookie: &str| format!(r#"{{"cookie":{cookie}}}"#);
    let gone = r#"{"originalMaxAge":null,"expires":null,"path":"/"}"#.to_owned();
    let at = |seconds| cookie("60000", seconds, "");
    for (base, theirs, mine, expected, lifetime) in [
        (at(0), at(5), at(7), at(7), Lifetime::Mine),
        (at(0), at(7), at(5), at(7), Lifetime::Longer),
        (at(9), at(9), at(3), at(3), Lifetime::Mine),
        (at(0), cookie("1", 3, ""), at(9), cookie("1", 3, ""), Lifetime::Theirs),
        (at(0), at(9), cookie("1", 3, ""), cookie("1", 3, ""), Lifetime::Mine),
        (at(0), cookie("9", 9, ""), cookie("1", 3, ""), cookie("1", 3, ""), Lifetime::Mine),
        // The clock went on while either was renewed.
        (
            at(0),
            cookie("90000", 3, ""),
            cookie("59998", 9, ""),
            cookie("90000", 3, ""),
            Lifetime::Theirs,
        ),
        (at(0), cookie("59999", 7, ""), at(9), at(9), Lifetime::Mine),
        (at(0), at(9), cookie("59000", 3, ""), cookie("59000", 3, ""), Lifetime::Mine),
        (at(0), gone.clone(), at(9), gone, Lifetime::Theirs),
        (
            at(0),
            cookie("60000", 7, r#","secure":true"#),
            cookie("60000", 5, r#","sameSite":"lax""#),
            cookie("60000", 7, r#","sameSite":"lax","secure":true"#),
            Lifetime::Longer,
        ),
    ] {
        let text = session(&expected);
        let merged = merge(&session(&base), &session(&theirs), &session(&mine));
        assert_eq!(merged, Some(Merged { text, lifetime }));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[a-c\"\\\\é]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            members(inner).prop_map(Value::from),
        ]
    })
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![Just("a"), Just("b"), Just("c"), Just("__proto__"), Just("10")];
    proptest::collection::vec((key.prop_map(str::to_owned), value), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

fn session() -> impl Strategy<Value = Value> {
    members(value()).prop_map(Value::from)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

proptest! {
    #[test]
    fn merging_with_a_side_that_changed_nothing_gives_the_other(base in session(), other in session()) {
        let [base, other] = [base, other].map(|session| session.to_string());
        prop_assert_eq!(parsed(&merged(&base, &base, &other)), parsed(&other));
        prop_assert_eq!(parsed(&merged(&base, &other, &base)), parsed(&other));
    }

    #[test]
    fn merging_what_is_merged_once_more_changes_nothing(
        base in session(), theirs in session(), mine in session(),
    ) {
        let [base, theirs, mine] = [base, theirs, mine].map(|session| session.to_string());
        let once = merged(&base, &theirs, &mine);
        prop_assert_eq!(parsed(&merged(&theirs, &theirs, &once)), parsed(&once));
    }

    #[test]
    fn no_text_makes_merging_panic(texts in any::<[String; 3]>(), session in session()) {
        let session = session.to_string();
        let [one, other, third] = &texts;
        let _ = merge(one, other, third);
        let _ = (merge(one, &session, &session), merge(&session, &session, third));
        let cut = session.len() / 2;
        prop_assume!(session.is_char_boundary(cut));
        let _ = merge(&session[..cut], &session, &session);
    }
}

#[test]
fn a_model_case_of_each_kind_of_key() {
    let base = json!({ "same": 1, "mine": 1, "theirs": 1, "both": 1, "gone": 1, "left": 1 });
    let theirs = json!({ "same": 1, "mine": 1, "theirs": 2, "both": 2, "left": 1, "new": 2 });
    let mine = json!({ "same": 1, "mine": 3, "theirs": 1, "both": 3, "gone": 1, "fresh": 3 });
    let expected = json!({ "same": 1, "mine": 3, "theirs": 2, "both": 3, "fresh": 3, "new": 2 });
    let [base, theirs, mine] = [base, theirs, mine].map(|session| session.to_string());
    assert_eq!(parsed(&merged(&base, &theirs, &mine)), expected);
}
