//! The tombstones of an engine in memory: a map and a queue of bounded size.
//!
//! See [`crate::engine::tombstones`] for what they mean.

use std::collections::{HashMap, VecDeque};

use crate::engine::tombstones::{History, MOST, SHARE, Tombstone};
use crate::engine::types::Version;
use crate::sid::{SidHash, UseSidHash};
use crate::time::Millis;

/// What a tombstone takes: 25 bytes in a map of which between 7/16 and 7/8 are in use, and 24 in a
/// queue that is between half full and full.
pub(super) const COST: usize = 38 + 34;

/// How many sids are forgotten in one call, so that none takes long.
pub(super) const FORGOTTEN_AT_ONCE: usize = 32;

/// See the module's description.
pub(super) struct Tombstones {
    by_sid: HashMap<SidHash, Tombstone, UseSidHash>,
    /// Earliest first. A sid that was destroyed again has another entry further on.
    order: VecDeque<(SidHash, Tombstone)>,
    most: usize,
    /// Whether a remembered sid rejects writes.
    is_final: bool,
    /// The version of the latest tombstone that was forgotten.
    forgotten: Version,
    /// The version of the last `clear`.
    cleared: Version,
}

impl Tombstones {
    pub(super) fn new(max_bytes: usize, is_final: bool) -> Self {
        Self {
            by_sid: HashMap::default(),
            order: VecDeque::new(),
            most: MOST.min(max_bytes / SHARE / COST),
            is_final,
            forgotten: 0,
            cleared: 0,
        }
    }

    /// What is known of the destruction of `sid`.
    pub(super) fn history_of(&self, sid: SidHash) -> History {
        History {
            tombstone: self.by_sid.get(&sid).copied(),
            cleared: self.cleared,
            forgotten: self.forgotten,
        }
    }

    pub(super) fn add(&mut self, sid: SidHash, version: Version, now: Millis) {
        let tombstone = Tombstone { version, at: now };
        self.by_sid.insert(sid, tombstone);
        self.order.push_back((sid, tombstone));
        self.forget_old(now);
        while self.order.len() > self.most {
            self.forget_first();
        }
    }

    /// Notes that all sessions were destroyed at `version`.
    pub(super) fn clear(&mut self, version: Version) {
        self.cleared = version;
        if !self.is_final {
            // Whatever was destroyed before is among them.
            self.by_sid = HashMap::default();
            self.order = VecDeque::new();
        }
    }

    /// Forgets some of the tombstones that are too old to matter.
    pub(super) fn forget_old(&mut self, now: Millis) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if !self.order.front().is_some_and(|(_, tombstone)| tombstone.is_over(now)) {
                break;
            }
            self.forget_first();
        }
        if self.order.capacity() > 4 * self.order.len() + 64 {
            self.order.shrink_to(2 * self.order.len());
            self.by_sid.shrink_to(2 * self.by_sid.len());
        }
    }

    pub(super) fn forget_all(&mut self) {
        if let Some((_, latest)) = self.order.back() {
            self.forgotten = self.forgotten.max(latest.version);
        }
        self.by_sid = HashMap::default();
        self.order = VecDeque::new();
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.len() * COST
    }

    fn forget_first(&mut self) {
        let Some((sid, tombstone)) = self.order.pop_front() else {
            return;
        };
        self.forgotten = self.forgotten.max(tombstone.version);
        if self.by_sid.get(&sid) == Some(&tombstone) {
            self.by_sid.remove(&sid);
        }
    }
}

#[cfg(test)]
mod tests;
