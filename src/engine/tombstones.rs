//! Which sids were destroyed lately, so that a request that read a session before it was
//! destroyed does not bring it back when it ends.
//!
//! What is remembered is bounded: in number, and in time by [`REMEMBERED`]. What had to be
//! forgotten errs on the safe side: a session that was read before that, and is gone by now,
//! counts as destroyed, though it may have expired or been evicted.

//!
//! This is the rule, for all engines. Each keeps its tombstones in its own way.

use super::rules::{Condition, Refused};
use super::types::Version;
use crate::time::Millis;

/// How long a destroyed sid is remembered: longer than a request takes.
pub(super) const REMEMBERED: Millis = 10 * 60 * 1000;

/// The most sids to remember: more than log out in that time, and 7 MB.
pub(super) const MOST: usize = 100_000;

/// The part of the budget that the sids may take.
pub(super) const SHARE: usize = 16;

/// What is known of a sid's history.
#[derive(Clone, Copy)]
pub(super) struct History {
    /// The version at which it was destroyed, as far as that is remembered.
    pub(super) tombstone: Option<Version>,
    /// The version at which all sessions were destroyed at once.
    pub(super) cleared: Version,
    /// The version at which the latest of those that were forgotten had been destroyed.
    pub(super) forgotten: Version,
}

impl History {
    /// Whether the session that was read at version `read`, and may be gone, was destroyed since.
    pub(super) fn is_destroyed_since(self, read: Version, is_gone: bool) -> bool {
        read < self.cleared
            || is_gone && read < self.forgotten
            || self.tombstone.is_some_and(|tombstone| read < tombstone)
    }
}

/// Whether a write under `condition` may be done in place of the version `stored`, if there is
/// anything, to a sid of that history. Every engine asks this.
pub(super) fn judge(
    condition: Condition,
    stored: Option<Version>,
    history: History,
) -> Result<(), Refused> {
    let (read, expected) = match condition {
        Condition::None => return Ok(()),
        Condition::NotDestroyed { read } => (read, Version::MAX),
        Condition::Unchanged { read, expected } => (read, expected),
        Condition::Touch { read, .. } => (read, read),
    };
    if history.is_destroyed_since(read, stored.is_none()) {
        return Err(Refused::Destroyed);
    }
    if stored.is_some_and(|version| version > expected) {
        return Err(Refused::Changed);
    }
    Ok(())
}

/// Whether a sid that was destroyed at `at` is not remembered any more. A clock that was far ahead
/// then has been set back since.
pub(super) fn is_over(at: Millis, now: Millis) -> bool {
    at.saturating_add(REMEMBERED) < now || at > now.saturating_add(REMEMBERED)
}
