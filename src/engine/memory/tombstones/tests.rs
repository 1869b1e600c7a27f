use std::convert::Infallible;
use std::hash::RandomState;

use super::*;
use crate::engine::rules::{Alive, Condition, Refused, Write};
use crate::engine::tombstones::REMEMBERED;
use crate::engine::types::Options;
use crate::engine::users::Terms;
use crate::sid::Sid;
use crate::time::NEVER;

fn hashes(count: u64) -> Vec<SidHash> {
    let hasher = RandomState::new();
    (0..count).map(|number| Sid::new(&number.to_le_bytes(), &hasher).hash()).collect()
}

/// Whether the session is gone.
const GONE: bool = true;
const THERE: bool = false;

impl Tombstones {
    /// What the rules say of a write in place of the version `stored`.
    fn check(
        &self,
        sid: SidHash,
        condition: Condition,
        stored: Option<Version>,
        now: Millis,
    ) -> Result<(), Refused> {
        let options =
            Options { destroyed_is_final: self.is_final, stale: true, ..Options::default() };
        let write = Write { condition, now, expires: NEVER, terms: Terms::NONE };
        let stored = stored.map(|version| Alive { version, expires: NEVER });
        let history = || Ok(self.history_of(sid));
        let Ok(checked): Result<_, Infallible> =
            write.check(&options, stored, history, || Ok(false));
        checked
    }

    fn is_remembered(&self, sid: SidHash, now: Millis) -> bool {
        self.history_of(sid).is_remembered(now)
    }
}

fn unlimited() -> Tombstones {
    Tombstones::new(usize::MAX, false)
}

#[test]
fn a_session_read_before_it_was_destroyed_is_told_from_one_read_after() {
    let sids = hashes(2);
    let mut tombstones = unlimited();
    tombstones.add(sids[0], 10, 0);
    assert!(tombstones.history_of(sids[0]).is_destroyed_since(9, GONE));
    assert!(tombstones.history_of(sids[0]).is_destroyed_since(9, THERE));
    assert!(!tombstones.history_of(sids[0]).is_destroyed_since(11, GONE));
    assert!(!tombstones.history_of(sids[1]).is_destroyed_since(9, GONE));
    tombstones.add(sids[0], 20, 0);
    assert!(tombstones.history_of(sids[0]).is_destroyed_since(11, GONE));
}

#[test]
fn a_sid_is_remembered_for_minutes_and_what_was_read_before_for_ever() {
    let sids = hashes(3);
    let mut tombstones = unlimited();
    tombstones.add(sids[0], 10, 0);
    tombstones.add(sids[1], 20, 1000);
    assert!(tombstones.is_remembered(sids[0], REMEMBERED));
    assert!(!tombstones.is_remembered(sids[0], REMEMBERED + 1));
    tombstones.forget_old(REMEMBERED + 1);
    assert_eq!(tombstones.bytes(), COST);
    for sid in [0, 2] {
        assert!(tombstones.history_of(sids[sid]).is_destroyed_since(9, GONE));
        assert!(
            !tombstones.history_of(sids[sid]).is_destroyed_since(9, THERE),
            "it is the very session"
        );
        assert!(!tombstones.history_of(sids[sid]).is_destroyed_since(10, GONE));
    }
    assert!(tombstones.history_of(sids[1]).is_destroyed_since(19, GONE));
}

#[test]
fn a_sid_destroyed_again_is_remembered_from_then_on() {
    let sids = hashes(1);
    let mut tombstones = unlimited();
    tombstones.add(sids[0], 10, 0);
    tombstones.add(sids[0], 20, 1000);
    tombstones.forget_old(REMEMBERED + 1);
    assert!(tombstones.history_of(sids[0]).is_destroyed_since(19, GONE));
    assert!(tombstones.is_remembered(sids[0], REMEMBERED + 1000));
}

#[test]
fn what_is_remembered_is_bounded_and_its_memory_is_given_back() {
    let sids = hashes(MOST as u64 + 1000);
    let mut tombstones = unlimited();
    for (version, sid) in (1..).zip(&sids) {
        tombstones.add(*sid, version, 0);
    }
    assert_eq!(tombstones.order.len(), MOST);
    assert_eq!(tombstones.by_sid.len(), MOST);
    assert_eq!(tombstones.forgotten, 1000);
    assert!(tombstones.history_of(sids[999]).is_destroyed_since(999, GONE));
    assert!(tombstones.history_of(sids[1000]).is_destroyed_since(1000, GONE));
    tombstones.forget_all();
    assert_eq!((tombstones.bytes(), tombstones.by_sid.len()), (0, 0));
    assert!(tombstones.history_of(sids[5]).is_destroyed_since(MOST as u64 + 999, GONE));
}

#[test]
fn what_is_over_is_forgotten_bit_by_bit() {
    let sids = hashes(1000);
    let mut tombstones = unlimited();
    for (version, sid) in (1..).zip(&sids) {
        tombstones.add(*sid, version, 0);
    }
    for left in (0..1000).rev().step_by(FORGOTTEN_AT_ONCE).skip(1) {
        tombstones.forget_old(REMEMBERED + 1);
        assert_eq!(tombstones.order.len(), left + 1);
    }
    tombstones.forget_old(REMEMBERED + 1);
    assert_eq!(tombstones.bytes(), 0);
    assert!(tombstones.order.capacity() < 100 && tombstones.by_sid.capacity() < 100);
}

#[test]
fn room_follows_what_is_remembered_and_is_kept_for_twice_as_many() {
    let sids = hashes(5000);
    let mut tombstones = unlimited();
    for (version, sid) in (1..).zip(&sids) {
        tombstones.add(*sid, version, 0);
    }
    while tombstones.bytes() > 0 {
        let before = tombstones.order.capacity();
        tombstones.forget_old(REMEMBERED + 1);
        let (len, room) = (tombstones.order.len(), tombstones.order.capacity());
        assert!(room <= 4 * len + 64, "{room} for {len}");
        assert!(room >= before.min(2 * len), "no more is taken than grows back soon");
        assert!(room == before || before > 4 * len + 64, "not for each that is forgotten");
        // Rounded up to a power of two, of which an eighth stays free.
        assert!(tombstones.by_sid.capacity() <= 10 * len + 130);
    }
}

#[test]
fn a_small_budget_leaves_room_for_few() {
    let sids = hashes(100);
    let mut tombstones = Tombstones::new(SHARE * COST * 3, false);
    for (version, sid) in (1..).zip(&sids) {
        tombstones.add(*sid, version, 0);
    }
    assert_eq!(tombstones.bytes(), 3 * COST);
    let is_safe = |sid: &SidHash| tombstones.history_of(*sid).is_destroyed_since(0, GONE);
    assert!(sids.iter().all(is_safe), "none is let through");
}

#[test]
fn a_clock_that_is_set_back_forgets_nothing() {
    let sids = hashes(2);
    let mut tombstones = unlimited();
    tombstones.add(sids[0], 1, REMEMBERED);
    tombstones.add(sids[1], 2, 0);
    tombstones.forget_old(0);
    assert_eq!(tombstones.bytes(), 2 * COST);
}

#[test]
fn a_sid_destroyed_by_a_clock_that_was_far_ahead_can_be_written_again() {
    const YEAR: Millis = 365 * 24 * 60 * 60 * 1000;
    let sids = hashes(2);
    let mut tombstones = Tombstones::new(usize::MAX, true);
    tombstones.add(sids[0], 1, YEAR);
    let check = |tombstones: &Tombstones, sid: usize, now| {
        tombstones.check(sids[sid], Condition::None, None, now)
    };
    assert_eq!(check(&tombstones, 0, YEAR - REMEMBERED), Err(Refused::Destroyed));
    assert_eq!(check(&tombstones, 0, YEAR - REMEMBERED - 1), Ok(()));
    assert_eq!(check(&tombstones, 0, Millis::MIN), Ok(()));
    let late = Condition::NotDestroyed { read: 0 };
    assert_eq!(tombstones.check(sids[0], late, None, 0), Err(Refused::Destroyed));
    tombstones.add(sids[1], 2, 0);
    assert_eq!(tombstones.bytes(), COST, "it is in nobody's way");
    assert_eq!(check(&tombstones, 1, 0), Err(Refused::Destroyed));
    assert_eq!(tombstones.check(sids[0], late, None, 0), Err(Refused::Destroyed));
}

#[test]
fn a_write_is_let_through_where_its_condition_holds() {
    let sids = hashes(2);
    let mut tombstones = unlimited();
    tombstones.add(sids[0], 10, 0);
    let check = |sid: usize, condition, stored| tombstones.check(sids[sid], condition, stored, 0);
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
    let of_others = Tombstones::new(usize::MAX, true);
    assert_eq!(of_others.check(sids[0], Condition::None, None, 0), Ok(()));
}

#[test]
fn where_it_is_final_nobody_writes_for_minutes_and_then_everybody() {
    let sids = hashes(1);
    let mut tombstones = Tombstones::new(usize::MAX, true);
    tombstones.add(sids[0], 10, 0);
    for read in [9, 11] {
        for condition in [Condition::None, Condition::NotDestroyed { read }] {
            let check = |now| tombstones.check(sids[0], condition, None, now);
            let is_allowed = condition == Condition::None || read == 11;
            assert_eq!(check(REMEMBERED), Err(Refused::Destroyed));
            assert_eq!(check(REMEMBERED + 1).is_ok(), is_allowed);
        }
    }
}

#[test]
fn clearing_destroys_whatever_was_read_before() {
    let sids = hashes(1);
    let mut tombstones = unlimited();
    tombstones.clear(10);
    for is_gone in [GONE, THERE] {
        assert!(tombstones.history_of(sids[0]).is_destroyed_since(9, is_gone));
    }
    assert!(!tombstones.history_of(sids[0]).is_destroyed_since(11, GONE));
}
