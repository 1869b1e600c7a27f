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
mod tests {
    use std::hash::RandomState;

    use super::*;
    use crate::sid::Sid;

    fn hashes(count: u64) -> Vec<SidHash> {
        let hasher = RandomState::new();
        (0..count).map(|number| Sid::new(&number.to_le_bytes(), &hasher).hash()).collect()
    }

    /// Whether the session is gone.
    const GONE: bool = true;
    const THERE: bool = false;

    fn unlimited() -> Destroyed {
        Destroyed::new(usize::MAX, false)
    }

    #[test]
    fn a_session_read_before_it_was_destroyed_is_told_from_one_read_after() {
        let sids = hashes(2);
        let mut destroyed = unlimited();
        destroyed.add(sids[0], 10, 0);
        assert!(destroyed.past_of(sids[0]).is_destroyed_since(9, GONE));
        assert!(destroyed.past_of(sids[0]).is_destroyed_since(9, THERE));
        assert!(!destroyed.past_of(sids[0]).is_destroyed_since(11, GONE));
        assert!(!destroyed.past_of(sids[1]).is_destroyed_since(9, GONE));
        destroyed.add(sids[0], 20, 0);
        assert!(destroyed.past_of(sids[0]).is_destroyed_since(11, GONE));
    }

    #[test]
    fn a_sid_is_remembered_for_minutes_and_what_was_read_before_for_ever() {
        let sids = hashes(3);
        let mut destroyed = unlimited();
        destroyed.add(sids[0], 10, 0);
        destroyed.add(sids[1], 20, 1000);
        assert!(destroyed.is_remembered(sids[0], REMEMBERED));
        assert!(!destroyed.is_remembered(sids[0], REMEMBERED + 1));
        destroyed.forget_old(REMEMBERED + 1);
        assert_eq!(destroyed.bytes(), COST);
        for sid in [0, 2] {
            assert!(destroyed.past_of(sids[sid]).is_destroyed_since(9, GONE));
            assert!(
                !destroyed.past_of(sids[sid]).is_destroyed_since(9, THERE),
                "it is the very session"
            );
            assert!(!destroyed.past_of(sids[sid]).is_destroyed_since(10, GONE));
        }
        assert!(destroyed.past_of(sids[1]).is_destroyed_since(19, GONE));
    }

    #[test]
    fn a_sid_destroyed_again_is_remembered_from_then_on() {
        let sids = hashes(1);
        let mut destroyed = unlimited();
        destroyed.add(sids[0], 10, 0);
        destroyed.add(sids[0], 20, 1000);
        destroyed.forget_old(REMEMBERED + 1);
        assert!(destroyed.past_of(sids[0]).is_destroyed_since(19, GONE));
        assert!(destroyed.is_remembered(sids[0], REMEMBERED + 1000));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_its_memory_is_given_back() {
        let sids = hashes(MOST as u64 + 1000);
        let mut destroyed = unlimited();
        for (version, sid) in (1..).zip(&sids) {
            destroyed.add(*sid, version, 0);
        }
        assert_eq!(destroyed.order.len(), MOST);
        assert_eq!(destroyed.deaths.len(), MOST);
        assert_eq!(destroyed.forgotten, 1000);
        assert!(destroyed.past_of(sids[999]).is_destroyed_since(999, GONE));
        assert!(destroyed.past_of(sids[1000]).is_destroyed_since(1000, GONE));
        destroyed.forget_all();
        assert_eq!((destroyed.bytes(), destroyed.deaths.len()), (0, 0));
        assert!(destroyed.past_of(sids[5]).is_destroyed_since(MOST as u64 + 999, GONE));
    }

    #[test]
    fn what_is_over_is_forgotten_bit_by_bit() {
        let sids = hashes(1000);
        let mut destroyed = unlimited();
        for (version, sid) in (1..).zip(&sids) {
            destroyed.add(*sid, version, 0);
        }
        for left in (0..1000).rev().step_by(FORGOTTEN_AT_ONCE).skip(1) {
            destroyed.forget_old(REMEMBERED + 1);
            assert_eq!(destroyed.order.len(), left + 1);
        }
        destroyed.forget_old(REMEMBERED + 1);
        assert_eq!(destroyed.bytes(), 0);
        assert!(destroyed.order.capacity() < 100 && destroyed.deaths.capacity() < 100);
    }

    #[test]
    fn room_follows_what_is_remembered_and_is_kept_for_twice_as_many() {
        let sids = hashes(5000);
        let mut destroyed = unlimited();
        for (version, sid) in (1..).zip(&sids) {
            destroyed.add(*sid, version, 0);
        }
        while destroyed.bytes() > 0 {
            let before = destroyed.order.capacity();
            destroyed.forget_old(REMEMBERED + 1);
            let (len, room) = (destroyed.order.len(), destroyed.order.capacity());
            assert!(room <= 4 * len + 64, "{room} for {len}");
            assert!(room >= before.min(2 * len), "no more is taken than grows back soon");
            assert!(room == before || before > 4 * len + 64, "not for each that is forgotten");
            // Rounded up to a power of two, of which an eighth stays free.
            assert!(destroyed.deaths.capacity() <= 10 * len + 130);
        }
    }

    #[test]
    fn a_small_budget_leaves_room_for_few() {
        let sids = hashes(100);
        let mut destroyed = Destroyed::new(SHARE * COST * 3, false);
        for (version, sid) in (1..).zip(&sids) {
            destroyed.add(*sid, version, 0);
        }
        assert_eq!(destroyed.bytes(), 3 * COST);
        let is_safe = |sid: &SidHash| destroyed.past_of(*sid).is_destroyed_since(0, GONE);
        assert!(sids.iter().all(is_safe), "none is let through");
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nothing() {
        let sids = hashes(2);
        let mut destroyed = unlimited();
        destroyed.add(sids[0], 1, REMEMBERED);
        destroyed.add(sids[1], 2, 0);
        destroyed.forget_old(0);
        assert_eq!(destroyed.bytes(), 2 * COST);
    }

    #[test]
    fn a_sid_destroyed_by_a_clock_that_was_far_ahead_can_be_written_again() {
        const YEAR: Millis = 365 * 24 * 60 * 60 * 1000;
        let sids = hashes(2);
        let mut destroyed = Destroyed::new(usize::MAX, true);
        destroyed.add(sids[0], 1, YEAR);
        let check = |destroyed: &Destroyed, sid: usize, now| {
            destroyed.check(sids[sid], Condition::None, None, now)
        };
        assert_eq!(check(&destroyed, 0, YEAR - REMEMBERED), Err(Refused::Destroyed));
        assert_eq!(check(&destroyed, 0, YEAR - REMEMBERED - 1), Ok(()));
        assert_eq!(check(&destroyed, 0, Millis::MIN), Ok(()));
        let late = Condition::NotDestroyed { read: 0 };
        assert_eq!(destroyed.check(sids[0], late, None, 0), Err(Refused::Destroyed));
        destroyed.add(sids[1], 2, 0);
        assert_eq!(destroyed.bytes(), COST, "it is in nobody's way");
        assert_eq!(check(&destroyed, 1, 0), Err(Refused::Destroyed));
        assert_eq!(destroyed.check(sids[0], late, None, 0), Err(Refused::Destroyed));
    }

    #[test]
    fn a_write_is_let_through_where_its_condition_holds() {
        let sids = hashes(2);
        let mut destroyed = unlimited();
        destroyed.add(sids[0], 10, 0);
        let check =
            |sid: usize, condition, stored| destroyed.check(sids[sid], condition, stored, 0);
        let unchanged = |read, expected| Condition::Unchanged { read, expected };
        let touch = |read| Condition::Touch { read, is_change: false };
        for stored in [None, Some(5)] {
            assert_eq!(check(0, Condition::None, stored), Ok(()));
            let not_destroyed = |read| Condition::NotDestroyed { read };
            assert_eq!(check(0, not_destroyed(9), stored), Err(Refused::Destroyed));
            assert_eq!(check(0, not_destroyed(11), stored), Ok(()));
            assert_eq!(check(0, unchanged(9, 11), stored), Err(Refused::Destroyed));
            assert_eq!(check(1, unchanged(4, 5), stored), Ok(()));
            assert_eq!(check(1, touch(5), stored), Ok(()));
        }
        assert_eq!(check(1, unchanged(4, 4), Some(5)), Err(Refused::Changed));
        assert_eq!(check(1, touch(4), Some(5)), Err(Refused::Changed));
        let of_others = Destroyed::new(usize::MAX, true);
        assert_eq!(of_others.check(sids[0], Condition::None, None, 0), Ok(()));
    }

    #[test]
    fn where_it_is_final_nobody_writes_for_minutes_and_then_everybody() {
        let sids = hashes(1);
        let mut destroyed = Destroyed::new(usize::MAX, true);
        destroyed.add(sids[0], 10, 0);
        for read in [9, 11] {
            for condition in [Condition::None, Condition::NotDestroyed { read }] {
                let check = |now| destroyed.check(sids[0], condition, None, now);
                let is_allowed = condition == Condition::None || read == 11;
                assert_eq!(check(REMEMBERED), Err(Refused::Destroyed));
                assert_eq!(check(REMEMBERED + 1).is_ok(), is_allowed);
            }
        }
    }

    #[test]
    fn clearing_destroys_whatever_was_read_before() {
        let sids = hashes(1);
        let mut destroyed = unlimited();
        destroyed.clear(10);
        for is_gone in [GONE, THERE] {
            assert!(destroyed.past_of(sids[0]).is_destroyed_since(9, is_gone));
        }
        assert!(!destroyed.past_of(sids[0]).is_destroyed_since(11, GONE));
    }
}
