//! Time as the store sees it: milliseconds that the caller passes in.
//!
//! No module of the core goes by a clock of its own. Every operation gets the `Date.now()` of the
//! JavaScript that called it, so a faked clock rules expiry just as a real one does.

use std::ops::RangeInclusive;
use std::time::{Instant, SystemTime};

use time::{Date, Month};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// The expiry of a record that never expires.
pub const NEVER: Millis = Millis::MAX;

/// When a record that is written at `now` with `ttl` milliseconds to live expires.
///
/// It is alive up to and including that moment. An infinite `ttl` is [`NEVER`], a negative
/// one lies in the past. Fractions are dropped: clocks tick whole milliseconds.
#[must_use]
pub fn expires_at(now: Millis, ttl: f64) -> Millis {
    if ttl == f64::INFINITY {
        return NEVER;
    }
    now.saturating_add(whole(ttl))
}

/// The beginning of something whose duration is to be told. Nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "durations for the statistics come from here alone")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// The time by the system's clock, for names of files. Nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "it is told to people only")]
pub(crate) fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(0)
}

/// A JavaScript number of milliseconds as an integer: rounded down, NaN as 0, numbers out of
/// range as the nearest one in it.
#[must_use]
pub fn whole(millis: f64) -> Millis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "`as` saturates, which is what is wanted; what is compared lost its fraction only"
    )]
    {
        // `f64::floor` is a call into libm where SSE4.1 may be missing; this is not.
        let truncated = millis as Millis;
        truncated.saturating_sub(Millis::from(truncated as f64 > millis))
    }
}

/// The length of what [`iso`] writes.
pub(crate) const ISO_LENGTH: usize = 24;

const MILLIS_A_DAY: Millis = 86_400_000;

/// The Julian day of the Unix epoch.
const EPOCH: i64 = 2_440_588;

/// The first and the last moment of the years that ISO 8601 writes with four digits.
const FOUR_DIGITS: RangeInclusive<Millis> = -62_167_219_200_000..=253_402_300_799_999;

/// Whether [`iso`] writes `millis`.
pub(crate) fn has_iso(millis: Millis) -> bool {
    FOUR_DIGITS.contains(&millis)
}

/// What `Date.prototype.toISOString` of ECMA-262 gives for `millis`; `None` for years that it
/// does not write with four digits.
pub(crate) fn iso(millis: Millis) -> Option<[u8; ISO_LENGTH]> {
    let day = i32::try_from(millis.div_euclid(MILLIS_A_DAY) + EPOCH).ok()?;
    let (year, month, day) = Date::from_julian_day(day).ok()?.to_calendar_date();
    let year = u32::try_from(year).ok()?;
    let of_day = u32::try_from(millis.rem_euclid(MILLIS_A_DAY)).ok()?;
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let (minutes, hours) = (seconds / 60, seconds / 3600);

    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, digits: usize, mut number: u32| {
        for place in text[at..at + digits].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, u32::from(u8::from(month)));
    put(8, 2, u32::from(day));
    put(11, 2, hours);
    put(14, 2, minutes % 60);
    put(17, 2, seconds % 60);
    put(20, 3, millis);
    Some(text)
}

/// The time that `Date.prototype.toISOString` writes as `text`; `None` where it never writes that.
#[must_use]
pub fn from_iso(text: &[u8]) -> Option<Millis> {
    let text: &[u8; ISO_LENGTH] = text.try_into().ok()?;
    let number = |at: usize, digits: usize| {
        text[at..at + digits].iter().try_fold(0_u32, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let marks = [text[4], text[7], text[10], text[13], text[16], text[19], text[23]];
    if marks != *b"--T::.Z" {
        return None;
    }
    let year = i32::try_from(number(0, 4)?).ok()?;
    let month = Month::try_from(u8::try_from(number(5, 2)?).ok()?).ok()?;
    let day = u8::try_from(number(8, 2)?).ok()?;
    let date = Date::from_calendar_date(year, month, day).ok()?;
    let (hours, minutes, seconds) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1000 + number(20, 3)?;
    let day = i64::from(date.to_julian_day()) - EPOCH;
    Some(day * MILLIS_A_DAY + i64::from(of_day))
}

#[cfg(test)]
mod tests {
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
}
