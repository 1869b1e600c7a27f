//! Time as the store sees it: milliseconds that the caller passes in.
//!
//! No module of the core reads a clock to decide anything. Every operation gets the `Date.now()` of
//! the JavaScript that called it, so a faked clock rules expiry just as a real one does.

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

/// Starts to time something for the statistics, or for how long to wait. No session's life depends
/// on it.
#[expect(clippy::disallowed_methods, reason = "durations for the statistics come from here alone")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// The time by the system's clock, for the names of files and beside the times of files. No
/// session's life is decided by it.
#[expect(clippy::disallowed_methods, reason = "files have the system's times")]
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
        // Without SSE4.1 `f64::floor` is a call into libm; this is not.
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

/// The time that `Date.prototype.toISOString` writes as `text`; `None` if it never writes that.
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

/// Whether what is alive until `expires` is over at `now`: it is alive at that very moment.
#[inline]
pub(crate) fn has_expired(expires: Millis, now: Millis) -> bool {
    now > expires
}

#[cfg(test)]
mod tests;
