//! Which sids were destroyed lately, so that a request that read a session before it was
//! destroyed does not bring it back when it ends.
//!
//! What is remembered is bounded: in number, and in time by [`REMEMBERED`]. What had to be
//! forgotten errs on the safe side: a session that was read before that, and is gone by now,
//! counts as destroyed, though it may have expired or been evicted.

//!
//! This is the rule, for all engines. Each keeps its tombstones in its own way.

use super::types::Version;
use crate::time::Millis;

/// How long a destroyed sid is remembered: longer than a request takes.
pub(super) const REMEMBERED: Millis = 10 * 60 * 1000;

/// The most sids to remember: more than log out in that time, and 7 MB.
pub(super) const MOST: usize = 100_000;

/// The part of the budget that the sids may take.
pub(super) const SHARE: usize = 16;

/// Of how many sessions that are cleared it is remembered that they were destroyed, where that
/// is final: some milliseconds' work.
pub(super) const FINAL_AT_ONCE: usize = 10_000;

/// When a sid was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// The version at which.
    pub(super) version: Version,
    /// The time at which.
    pub(super) at: Millis,
}

impl Tombstone {
    /// Whether it is not remembered any more. A clock that was far ahead when the sid was
    /// destroyed has been set back since.
    pub(super) fn is_over(self, now: Millis) -> bool {
        self.at.saturating_add(REMEMBERED) < now || self.at > now.saturating_add(REMEMBERED)
    }
}

/// What is known of what happened to a sid.
#[derive(Clone, Copy)]
pub(super) struct History {
    /// Its tombstone, as far as that is remembered.
    pub(super) tombstone: Option<Tombstone>,
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
            || self.tombstone.is_some_and(|tombstone| read < tombstone.version)
    }

    /// Whether the sid was destroyed within the last minutes.
    pub(super) fn is_remembered(self, now: Millis) -> bool {
        self.tombstone.is_some_and(|tombstone| !tombstone.is_over(now))
    }
}
