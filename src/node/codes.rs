//! The numbers that pass between `index.js` and this module: kinds, versions, outcomes.

use super::raw::{Call, Failure, Text};
use crate::engine::{Reason, Refused, Touched, Version};
use crate::time::{Millis, from_iso, whole};

/// What a body is: text, text that `JSON.stringify` wrote, a `Buffer`, or another `Uint8Array`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Json,
    Buffer,
    Uint8Array,
}

/// The kinds, indexed by the numbers that `index.js` uses for them.
pub(super) const KINDS: [Kind; 4] = [Kind::Text, Kind::Json, Kind::Buffer, Kind::Uint8Array];

pub(super) fn version_of(call: &Call, index: usize) -> std::result::Result<Version, Failure> {
    Ok(whole_count(call.number(index)?) as Version)
}

/// The outcome of a write for `index.js`: the version, or a negative number.
#[expect(clippy::cast_precision_loss, reason = "versions are counted from 1")]
pub(super) fn written_code(written: std::result::Result<Version, Refused>) -> f64 {
    match written {
        Ok(version) => version as f64,
        Err(Refused::TooLarge) => -1.0,
        Err(Refused::Destroyed) => -2.0,
        Err(Refused::Changed) => -3.0,
        Err(Refused::Missing) => -4.0,
        Err(Refused::TooSoon) => -5.0,
        Err(Refused::Sid) => -6.0,
        Err(Refused::UserFull) => -7.0,
    }
}

/// The cookie in `{"cookie":...}`, the JSON text of an object that has nothing else.
pub(super) fn held_cookie(holder: &Text) -> Option<&[u8]> {
    holder.as_bytes().strip_prefix(b"{\"cookie\":")?.strip_suffix(b"}")
}

/// The time given to `touchByTemplate`: `Some(None)` if none was given, `None` if it is not a time.
#[expect(clippy::option_option, reason = "no time is not a wrong one")]
pub(super) fn cookie_time(call: &Call, text: &mut Text) -> Option<Option<Millis>> {
    if let Ok(number) = call.number(2) {
        return number.is_finite().then(|| Some(whole(number)));
    }
    match call.string(2, text) {
        Ok(_) => from_iso(text.as_bytes()).map(Some),
        Err(_not_given) => Some(None),
    }
}

/// The outcome of a touch for `index.js`.
pub(super) fn touched_code(touched: Touched) -> i32 {
    match touched {
        Touched::Missing => 0,
        Touched::Renewed => 1,
        Touched::NeedsRewrite => 2,
        Touched::NeedsText => 3,
    }
}

/// Why something was removed, for `index.js`: the index of the word for it.
pub(super) fn reason_code(reason: Reason) -> i32 {
    match reason {
        Reason::Expired => 0,
        Reason::Evicted => 1,
        Reason::Destroyed => 2,
        Reason::Limit => 3,
        Reason::Cleared => 4,
        Reason::Replaced => 5,
        Reason::Closed => 6,
    }
}

/// A count from JavaScript: fractions are dropped, what is beyond `usize` is its largest.
pub(super) fn whole_count(count: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    {
        count as usize
    }
}
