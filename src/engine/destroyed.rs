//! Which sids were destroyed lately, so that a request that read a session before it was
//! destroyed does not bring it back when it ends.
//!
//! What is remembered is bounded: in number, and in time by [`REMEMBERED`]. What had to be
//! forgotten errs on the safe side: a session that was read before that, and is gone by now,
//! counts as destroyed, though it may have expired or been evicted.

use std::collections::{HashMap, VecDeque};

use super::{Condition, Refused, Version};
use crate::sid::{SidHash, UseSidHash};
use crate::time::Millis;

/// How long a destroyed sid is remembered: longer than a request takes.
pub(super) const REMEMBERED: Millis = 10 * 60 * 1000;

/// The most sids to remember: more than log out in that time, and 7 MB.
pub(super) const MOST: usize = 100_000;

/// What a sid takes: 25 bytes in a map of which between 7/16 and 7/8 are in use, and 24 in a
/// queue that is between half and quite full.
const COST: usize = 38 + 34;

/// The part of the budget that the sids may take.
pub(super) const SHARE: usize = 16;

/// How many sids are forgotten in one call, so that none takes long.
const FORGOTTEN_AT_ONCE: usize = 32;

/// See the module's description.
pub(super) struct Destroyed {
    deaths: HashMap<SidHash, Death, UseSidHash>,
    /// Earliest first. A sid that was destroyed once more has another entry further on.
    order: VecDeque<(SidHash, Death)>,
    most: usize,
    /// Whether nobody can write a sid that is remembered.
    is_final: bool,
    /// The version at which the latest of those that were forgotten had been destroyed.
    forgotten: Version,
    /// The version at which all sessions were destroyed at once.
    cleared: Version,
}

/// What is known of a sid's past.
#[derive(Clone, Copy)]
pub(super) struct Past {
    /// The version at which it was destroyed, as far as that is remembered.
    pub(super) death: Option<Version>,
    /// The version at which all sessions were destroyed at once.
    pub(super) cleared: Version,
    /// The version at which the latest of those that were forgotten had been destroyed.
    pub(super) forgotten: Version,
}

impl Past {
    /// Whether the session that was read at version `read`, and may be gone, was destroyed since.
    fn is_destroyed_since(self, read: Version, is_gone: bool) -> bool {
        read < self.cleared
            || is_gone && read < self.forgotten
            || self.death.is_some_and(|death| read < death)
    }
}

/// Whether a write under `condition` may be done in place of the version `stored`, if there is
/// anything, to a sid of that past. Every engine asks this.
pub(super) fn judge(
    condition: Condition,
    stored: Option<Version>,
    past: Past,
) -> Result<(), Refused> {
    let (read, expected) = match condition {
        Condition::None => return Ok(()),
        Condition::NotDestroyed { read } => (read, Version::MAX),
        Condition::Unchanged { read, expected } => (read, expected),
        Condition::Touch { read, .. } => (read, read),
    };
    if past.is_destroyed_since(read, stored.is_none()) {
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

#[derive(Clone, Copy, PartialEq, Eq)]
struct Death {
    version: Version,
    at: Millis,
}

impl Destroyed {
    pub(super) fn new(max_bytes: usize, is_final: bool) -> Self {
        Self {
            deaths: HashMap::default(),
            order: VecDeque::new(),
            most: MOST.min(max_bytes / SHARE / COST),
            is_final,
            forgotten: 0,
            cleared: 0,
        }
    }

    /// Whether a write under `condition` may be done in place of the version `stored`, if there is
    /// anything.
    pub(super) fn check(
        &self,
        sid: SidHash,
        condition: Condition,
        stored: Option<Version>,
        now: Millis,
    ) -> Result<(), Refused> {
        if self.is_final && self.is_remembered(sid, now) {
            return Err(Refused::Destroyed);
        }
        if condition == Condition::None {
            return Ok(());
        }
        judge(condition, stored, self.past_of(sid))
    }

    fn past_of(&self, sid: SidHash) -> Past {
        Past {
            death: self.deaths.get(&sid).map(|death| death.version),
            cleared: self.cleared,
            forgotten: self.forgotten,
        }
    }

    /// Whether the sid was destroyed within the last minutes.
    fn is_remembered(&self, sid: SidHash, now: Millis) -> bool {
        self.deaths.get(&sid).is_some_and(|death| !is_over(death.at, now))
    }

    pub(super) fn add(&mut self, sid: SidHash, version: Version, now: Millis) {
        let death = Death { version, at: now };
        self.deaths.insert(sid, death);
        self.order.push_back((sid, death));
        self.forget_old(now);
        while self.order.len() > self.most {
            self.forget_first();
        }
    }

    /// All sessions there were are destroyed at `version`.
    pub(super) fn clear(&mut self, version: Version) {
        self.cleared = version;
        if !self.is_final {
            // Whatever was destroyed before is among them.
            self.deaths = HashMap::default();
            self.order = VecDeque::new();
        }
    }

    /// Forgets some of what was destroyed too long ago to matter.
    pub(super) fn forget_old(&mut self, now: Millis) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if !self.order.front().is_some_and(|(_, death)| is_over(death.at, now)) {
                break;
            }
            self.forget_first();
        }
        if self.order.capacity() > 4 * self.order.len() + 64 {
            self.order.shrink_to(2 * self.order.len());
            self.deaths.shrink_to(2 * self.deaths.len());
        }
    }

    pub(super) fn forget_all(&mut self) {
        if let Some((_, latest)) = self.order.back() {
            self.forgotten = self.forgotten.max(latest.version);
        }
        self.deaths = HashMap::default();
        self.order = VecDeque::new();
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.len() * COST
    }

    fn forget_first(&mut self) {
        let Some((sid, death)) = self.order.pop_front() else {
            return;
        };
        self.forgotten = self.forgotten.max(death.version);
        if self.deaths.get(&sid) == Some(&death) {
            self.deaths.remove(&sid);
        }
    }
}

#[cfg(test)]
mod tests;
