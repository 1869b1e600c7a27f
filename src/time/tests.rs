use super::*;
use proptest::prelude::*;

#[test]
fn moments_are_written_as_javascript_writes_them() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_337_409_007, "2026-11-22T08:50:09.007Z"),
        (*FOUR_DIGITS.start(), "0000-01-01T00:00:00.000Z"),
        (*FOUR_DIGITS.end(), "9999-12-31T23:59:59.999Z"),
    ] {
        assert!(has_iso(millis));
        assert_eq!(iso(millis).as_ref().map(|text| &text[..]), Some(text.as_bytes()));
        assert_eq!(from_iso(text.as_bytes()), Some(millis));
    }
    for beyond in [FOUR_DIGITS.start() - 1, FOUR_DIGITS.end() + 1, Millis::MIN, Millis::MAX] {
        assert_eq!((iso(beyond), has_iso(beyond)), (None, false), "{beyond}");
    }
}

#[test]
fn what_is_no_moment_is_not_taken_for_one() {
    for text in [
        "",
        "2026-11-22T08:50:09.007",
        "2026-11-22T08:50:09.007+",
        "2026-11-22 08:50:09.007Z",
        "2026-02-29T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-00-01T00:00:00.000Z",
        "2026-01-00T00:00:00.000Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T23:60:00.000Z",
        "2026-11-22T23:59:60.000Z",
        "2026-11-22T23:59:59.+00Z",
        "2026-11-22T23:59:59.0000Z",
    ] {
        assert_eq!(from_iso(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn every_moment_survives_its_text(millis in FOUR_DIGITS) {
        let text = iso(millis).unwrap();
        prop_assert_eq!(from_iso(&text), Some(millis));
    }
}

#[test]
fn a_ttl_counts_from_now_and_drops_its_fraction() {
    assert_eq!(expires_at(1000, 250.0), 1250);
    assert_eq!(expires_at(1000, 250.9), 1250);
    assert_eq!(expires_at(1000, 0.5), 1000);
}

#[test]
fn a_negative_ttl_is_past() {
    assert_eq!(expires_at(1000, -0.5), 999);
    assert_eq!(expires_at(1000, f64::NEG_INFINITY), Millis::MIN.saturating_add(1000));
}

#[test]
fn an_infinite_or_huge_ttl_never_expires() {
    assert_eq!(expires_at(1000, f64::INFINITY), NEVER);
    assert_eq!(expires_at(1000, 1e300), NEVER);
}
