//! Time as the store sees it: milliseconds that the caller passes in.
//!
//! No module of the core goes by a clock of its own. Every operation gets the `Date.now()` of the
//! JavaScript that called it, so a faked clock rules expiry just as a real one does.

use std::time::Instant;

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

#[cfg(test)]
mod tests {
    use super::*;

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
