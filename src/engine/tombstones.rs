//! Which sids were destroyed lately, so that a request that read a session before it was
//! destroyed does not bring it back when it ends.
//!
//! Tombstones are bounded in number, and in age by [`REMEMBERED`]. Forgetting one errs on the safe
//! side: a session that was read before its version, and is gone by now, counts as destroyed,
//! though it may have expired or been evicted.
//!
//! These are the rules for all engines. Each keeps its tombstones in its own way.

use super::types::Version;
use crate::time::Millis;

/// How long a destroyed sid is remembered: longer than a request takes.
pub(super) const REMEMBERED: Millis = 10 * 60 * 1000;

/// The most tombstones to keep: more than users log out in that time. They take 7 MB.
pub(super) const MOST: usize = 100_000;

/// Tombstones may take `max_bytes` divided by this.
pub(super) const SHARE: usize = 16;

/// How many sessions `clear` makes tombstones for if a destroyed sid is final: some milliseconds'
/// work.
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
    /// Whether the tombstone is too old to matter. One that lies far ahead is over too: the clock
    /// has been set back since.
    pub(super) fn is_over(self, now: Millis) -> bool {
        self.at.saturating_add(REMEMBERED) < now || self.at > now.saturating_add(REMEMBERED)
    }
}

/// What is known of the destruction of a sid.
#[derive(Clone, Copy)]
pub(super) struct History {
    /// Its tombstone, if that was not forgotten.
    pub(super) tombstone: Option<Tombstone>,
    /// The version of the last `clear`.
    pub(super) cleared: Version,
    /// The version of the latest tombstone that was forgotten.
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
