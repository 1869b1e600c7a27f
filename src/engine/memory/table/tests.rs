use std::cmp::Reverse;

use super::*;
use crate::engine::REMOVED_AT_ONCE;
use crate::engine::memory::removal::ENTRIES_BEFORE_EVICTION;
use crate::engine::memory::steps::CLEARED_AT_ONCE;
use crate::engine::rules::{Condition, Touch};
use crate::engine::types::{NewCookie, Touched};
use crate::engine::users::{Owner, Terms};
use crate::session::Encoding;
use crate::time::NEVER;

/// Sid `number`. Those with the same `number % 256` share a shard, and no others do.
fn sid(number: u64) -> Sid {
    let spread = number.wrapping_mul(0x9E37_79B9_0000_0001);
    let hash = spread & !(0xFFFF_FFFF << 24) | (number % 256) << 48;
    Sid::with_hash(&number.to_le_bytes(), hash)
}

/// Sids of which every hundred share a shard.
fn crowded(number: u64) -> Sid {
    sid(number % 100 * 256 + number / 100)
}

fn json(text: &str) -> BodyRef<'_> {
    BodyRef { bytes: text.as_bytes(), encoding: Encoding::Ascii, is_json: true }
}

/// A write that depends on nothing.
fn given(now: Millis, expires: Millis) -> Write<'static> {
    Write { condition: Condition::None, now, expires, terms: Terms::NONE }
}

fn limited(max: usize) -> Table {
    Table::new(Options { max, ..Options::default() })
}

fn unlimited() -> Table {
    Table::new(Options::default())
}

impl Table {
    pub(in crate::engine::memory) fn tombstone_bytes(&self) -> usize {
        self.tombstones.bytes()
    }

    /// What the record of a sid takes, or took when it was evicted.
    pub(in crate::engine::memory) fn cost_of(&self, sid: &Sid) -> Option<usize> {
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref();
        let record = shard.and_then(|shard| shard.records().peek(sid));
        let stored = record.map(|record| cost(sid, record.allocated()));
        stored.or_else(|| self.evicted.get(sid).copied())
    }

    pub(in crate::engine::memory) fn validate(&self) {
        let mut len = 0;
        let mut bytes = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            let Some(shard) = shard else { continue };
            shard.validate();
            len += shard.records().len();
            if self.options.is_limited() {
                self.eviction_queue.validate(index, shard);
            }
            let costs = shard.records().iter().map(|(sid, record)| cost(sid, record.allocated()));
            bytes += costs.sum::<usize>();
        }
        assert_eq!(len, self.len);
        assert_eq!(bytes, self.bytes);
        self.validate_owners();
        let records = self.shards.iter().flatten().flat_map(|shard| shard.records().iter());
        self.forms.validate(&records.filter_map(|(_, record)| record.used()).collect::<Vec<_>>());
    }

    fn touch_text(
        &mut self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        let touch = Touch { now, expires, is_renewal: false };
        self.touch(sid, NewCookie::Text(cookie), touch, NEVER, removed)
    }

    fn write(&mut self, sid: &Sid, now: Millis, expires: Millis) -> Vec<Sid> {
        let mut removed = Vec::new();
        self.set(sid.clone(), json("{}"), given(now, expires), &mut removed).unwrap();
        self.validate();
        sids(removed)
    }

    fn reads(&mut self, sid: &Sid, now: Millis) -> bool {
        let found = self.read(sid, Reading::Get, now, &mut Vec::new(), |_| ());
        self.validate();
        found.is_some()
    }

    /// Does all that is left, in steps of `budget`. Returns how many steps it took.
    fn steps_of(&mut self, budget: usize) -> usize {
        let mut count = 0;
        while self.has_steps() {
            drop(self.step(budget));
            self.validate();
            count += 1;
        }
        count
    }

    fn prune_all(&mut self, now: Millis) -> Vec<Sid> {
        self.begin_prune(now);
        self.steps_of(usize::MAX);
        let mut pruned = sids(std::mem::take(&mut self.pruned).into());
        pruned.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        pruned
    }

    fn entries(&self) -> usize {
        self.shards.iter().flatten().map(|shard| shard.entries()).sum()
    }
}

fn sids(removed: Vec<Removed>) -> Vec<Sid> {
    removed.into_iter().map(|removed| removed.sid).collect()
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Sid> {
    numbers.into_iter().map(sid).collect()
}

#[test]
fn eviction_is_by_least_recent_use_across_all_shards() {
    let mut table = limited(300);
    for number in 0..300 {
        assert_eq!(table.write(&sid(number), 0, NEVER), []);
    }
    // Every third is used again, so the others go first, and then these in order of use.
    let used: Vec<u64> = (0..100).rev().map(|number| 3 * number).collect();
    for number in &used {
        assert!(table.reads(&sid(*number), 0));
    }
    let others = (0..300).filter(|number| number % 3 != 0);
    let expected = others.chain(used.iter().copied());
    for (new, oldest) in (1000..).zip(expected) {
        assert_eq!(table.write(&sid(new), 0, NEVER), [sid(oldest)]);
    }
    assert_eq!(table.ids(), numbered((1000..1300).rev()));
}

#[test]
fn every_use_counts_for_eviction_and_nothing_else_does() {
    let mut table = limited(4);
    for number in 1..=4 {
        table.write(&sid(number), 0, 100);
    }
    let cookie = json("1");
    let mut removed = Vec::new();
    table.set(sid(2), json(r#"{"cookie":0}"#), given(0, 100), &mut removed).unwrap();
    assert!(table.reads(&sid(1), 0));
    let touched = table.touch_text(&sid(2), cookie, 0, 100, &mut removed);
    assert_eq!(touched, Touched::Renewed);
    table.ids();
    table.all(0, &mut removed);
    table.prune_all(50);
    table.len();
    assert_eq!(removed, []);
    for (new, oldest) in [(5, 3), (6, 4), (7, 1), (8, 2), (9, 5)] {
        assert_eq!(table.write(&sid(new), 0, NEVER), [sid(oldest)]);
    }
}

#[test]
fn a_part_that_was_emptied_and_filled_again_takes_part_in_eviction() {
    let mut table = limited(3);
    for round in 0..20 {
        let base = 10 * round;
        for number in base..base + 3 {
            table.write(&sid(number), 0, NEVER);
        }
        for number in [base + 1, base] {
            assert!(table.destroy(&sid(number), 0, &mut Vec::new()));
            table.validate();
            table.write(&sid(number), 0, NEVER);
        }
        assert_eq!(table.write(&sid(base + 3), 0, NEVER), [sid(base + 2)]);
        assert_eq!(table.ids(), numbered([base + 3, base, base + 1]));
    }
}

#[test]
fn nothing_fits_into_a_table_of_none() {
    let mut table = limited(0);
    assert_eq!(table.write(&sid(1), 0, NEVER), [sid(1)]);
    assert!(!table.reads(&sid(1), 0));
    assert_eq!(table.len(), 0);
}

#[test]
fn a_record_is_alive_at_the_moment_it_expires_and_not_after() {
    let mut table = unlimited();
    for number in 1..=5 {
        table.write(&sid(number), 0, 10);
    }
    let mut removed = Vec::new();
    let cookie = json("1");
    table.set(sid(3), json(r#"{"cookie":0}"#), given(0, 10), &mut removed).unwrap();
    assert!(table.reads(&sid(1), 10));
    assert_eq!(table.all(10, &mut removed).len(), 5);
    assert_eq!(table.prune_all(10), []);
    let touched = table.touch_text(&sid(3), cookie, 10, 10, &mut removed);
    assert_eq!(touched, Touched::Renewed);
    assert_eq!(removed, []);

    assert!(!table.reads(&sid(1), 11));
    let touched = table.touch_text(&sid(3), cookie, 11, 99, &mut removed);
    assert_eq!(touched, Touched::Missing);
    assert_eq!(sids(std::mem::take(&mut removed)), [sid(3)]);
    assert_eq!(table.prune_all(11), numbered([2, 4, 5]));
    assert_eq!(table.len(), 0);
}

#[test]
fn a_prune_finds_what_was_given_a_shorter_life() {
    let mut table = unlimited();
    for number in 1..=3 {
        table.write(&sid(number), 0, 1000);
    }
    table.write(&sid(1), 0, 10);
    let body = json(r#"{"cookie":0}"#);
    table.set(sid(2), body, given(0, NEVER), &mut Vec::new()).unwrap();
    table.touch_text(&sid(2), json("1"), 0, 10, &mut Vec::new());
    assert_eq!(table.prune_all(11), numbered([1, 2]));
    assert_eq!(table.prune_all(1001), numbered([3]));
}

#[test]
fn a_prune_leaves_what_was_given_a_longer_life() {
    let mut table = unlimited();
    for number in 1..=3 {
        table.write(&sid(number), 0, 10);
    }
    table.write(&sid(1), 0, 20);
    table.write(&sid(2), 0, NEVER);
    assert_eq!(table.prune_all(11), numbered([3]));
    assert_eq!(table.prune_all(21), numbered([1]));
    assert_eq!(table.prune_all(NEVER), []);
    assert_eq!(table.ids(), numbered([2]));
}

#[test]
fn an_expiry_entry_that_an_earlier_one_replaced_does_nothing() {
    let mut table = unlimited();
    for expires in [1000, 10, 2000] {
        table.write(&sid(1), 0, expires);
    }
    assert_eq!(table.prune_all(11), []);
    assert_eq!(table.entries(), 2, "the first, and the one for its real time");
    assert_eq!(table.prune_all(1001), []);
    assert_eq!(table.entries(), 1);
    assert_eq!(table.prune_all(2001), numbered([1]));
}

#[test]
fn a_step_of_a_prune_does_no_more_than_it_may() {
    let mut table = unlimited();
    for number in 0..1000 {
        table.write(&crowded(number), 0, if number % 2 == 0 { 10 } else { 5 });
        table.touch_text(&crowded(number), json("1"), 0, 10, &mut Vec::new());
    }
    for number in (1..1000).step_by(2) {
        table.write(&crowded(number), 0, 100);
    }
    table.begin_prune(50);
    let (mut gone, mut steps) = (0, 0);
    while table.has_steps() {
        steps += 1;
        drop(table.step(16));
        assert!(table.pruned.len() <= gone + 16);
        gone = table.pruned.len();
    }
    assert_eq!(table.pruned.len(), 500);
    assert!(steps > 500 / 16, "{steps}");
    // The work depends on the entries that come up: none does any more.
    table.begin_prune(99);
    assert_eq!(table.steps_of(1), 1);
}

#[test]
fn what_a_prune_has_yet_to_remove_counts_and_is_never_found() {
    let start = || {
        let mut table = unlimited();
        for number in 0..100 {
            table.write(&crowded(number), 0, 10);
        }
        table.begin_prune(11);
        table.prune_step(30);
        table
    };
    assert_eq!((start().len(), start().ids().len(), start().list().len()), (70, 70, 70));
    let removed = &mut Vec::new();
    for number in 0..100 {
        assert!(!start().reads(&crowded(number), 11));
        let touched = start().touch_text(&crowded(number), json("{}"), 11, 20, removed);
        assert_eq!(touched, Touched::Missing);
    }
    let found: Vec<_> =
        (0..100).filter(|number| start().destroy(&crowded(*number), 0, removed)).collect();
    assert_eq!(found.len(), 70);
    assert_eq!(start().all(11, removed).len(), 0);
}

#[test]
fn a_prune_spares_what_is_alive_by_a_clock_that_was_set_back() {
    type Use = fn(&mut Table, &Sid, Millis);
    let uses: [Use; 4] = [
        |table, sid, now| drop(table.write(sid, now, now + 10)),
        |table, sid, now| {
            let removed = &mut Vec::new();
            table.touch_text(sid, json("1"), now, now + 10, removed);
        },
        |table, sid, now| assert!(table.reads(sid, now)),
        |table, sid, now| {
            assert!(table.read(sid, Reading::Peek, now, &mut Vec::new(), |_| ()).is_some());
        },
    ];
    for use_one in uses {
        let mut table = unlimited();
        for number in 0..200 {
            table.write(&crowded(number), 0, 60);
            table.touch_text(&crowded(number), json("1"), 0, 60, &mut Vec::new());
        }
        table.begin_prune(100);
        table.prune_step(3);
        use_one(&mut table, &crowded(199), 60);
        table.steps_of(7);
        assert_eq!((table.pruned.len(), table.len()), (3, 197));
        table.pruned.clear();
        assert_eq!(table.prune_all(60), []);
        assert_eq!(table.prune_all(1000).len(), 197);
    }
}

#[test]
fn a_prune_by_an_earlier_clock_does_no_more_than_any_other() {
    let mut table = unlimited();
    for number in 0..1000 {
        table.write(&crowded(number), 0, 10);
    }
    for now in [2001, 2000, 2001, 1999] {
        table.begin_prune(now);
        table.prune_step(5);
    }
    assert_eq!(table.pruned.len(), 20);
    assert!(table.steps_of(5) >= 980 / 5);
    assert_eq!((table.pruned.len(), table.len()), (1000, 0));
    assert_eq!(table.stats().counters.prunes, 1, "each took the place of the one before");
}

#[test]
fn a_later_prune_takes_over_from_the_one_under_way() {
    let mut table = unlimited();
    for number in 0..100 {
        table.write(&crowded(number), 0, 10);
        table.write(&crowded(100 + number), 0, 30);
    }
    table.begin_prune(20);
    table.prune_step(5);
    table.begin_prune(31);
    table.steps_of(5);
    assert_eq!((table.pruned.len(), table.len()), (200, 0));
}

#[test]
fn clearing_ends_a_prune() {
    for keep_removed in [false, true] {
        let mut table = Table::new(Options { keep_removed, max: 500, ..Options::default() });
        for number in 0..300 {
            table.write(&crowded(number), 0, if number < 200 { 10 } else { NEVER });
        }
        table.begin_prune(11);
        table.prune_step(20);
        let cleared = table.clear(Reason::Cleared, 0).unwrap().into_removed();
        table.validate();
        assert!(!table.has_steps());
        assert_eq!((table.len(), table.pruned.len(), cleared.len()), (0, 20, 280));
        let is_sorted = |later: &Removed, earlier: &Removed| later.last_use > earlier.last_use;
        assert!(cleared.is_sorted_by(is_sorted), "most recently used first");

        table.pruned.clear();
        table.write(&crowded(1), 0, 5);
        table.prune_step(1);
        assert_eq!(table.len(), 1);
        assert_eq!(table.prune_all(6), [crowded(1)]);
    }
}

#[test]
fn clearing_very_many_is_left_to_steps() {
    let count = CLEARED_AT_ONCE as u64 + 500;
    for keep_removed in [false, true] {
        let mut table = Table::new(Options { keep_removed, ..Options::default() });
        let removed = &mut Vec::new();
        for round in 0..2 {
            for number in 0..count {
                let sid = sid(round * count + number);
                table.set(sid, json("{}"), given(0, 10), removed).unwrap();
            }
            assert!(
                table.clear(Reason::Cleared, 0).is_none(),
                "though the first has not been swept"
            );
            assert_eq!((table.len(), table.stats().bytes), (0, 0));
        }
        table.write(&sid(1), 0, NEVER);
        let (mut steps, mut shards, mut before) = (0, 0, 0);
        while table.has_steps() {
            shards += usize::from(table.step(100).0.is_some());
            steps += 1;
            assert!(table.pruned.len() <= before + 100);
            before = table.pruned.len();
        }
        assert!(steps > 20, "{steps}");
        let numbers: std::collections::HashSet<_> =
            table.pruned.iter().map(|one| one.sid.as_bytes().to_vec()).collect();
        let handed_out = if keep_removed { 2 * count } else { 0 };
        assert_eq!((numbers.len() as u64, table.pruned.len() as u64), (handed_out, handed_out));
        assert_eq!(shards, if keep_removed { 0 } else { 2 * 256 });
        assert_eq!((table.ids(), table.held()), (vec![sid(1)], 1));
    }
}

#[test]
fn a_full_store_evicts_what_has_expired_first_where_a_prune_comes_to_it_soon() {
    let mut table = limited(200);
    for number in 0..200 {
        table.write(&crowded(number), 0, if number < 100 { NEVER } else { 10 });
    }
    table.begin_prune(11);
    for number in 200..300 {
        assert_eq!(table.write(&crowded(number), 11, NEVER), []);
    }
    assert_eq!(table.write(&crowded(300), 11, NEVER), [crowded(0)]);
    assert_eq!(table.len(), 200);
}

#[test]
fn a_write_into_a_full_store_does_not_go_on_with_a_prune_for_long() {
    let mut table = limited(1000);
    for number in 0..1000 {
        table.write(&crowded(number), 0, 10);
        // All that the prune finds first are alive.
        let life = if number < 900 { 5000 } else { 10 };
        table.touch_text(&crowded(number), json("1"), 0, life, &mut Vec::new());
        table.write(&crowded(number), 0, life);
    }
    table.begin_prune(11);
    let come_up = |table: &Table| {
        let shards = table.shards.iter().flatten();
        shards.map(|shard| shard.entries_before(11)).sum::<usize>()
    };
    let before = come_up(&table);
    assert_eq!(before, 1000);
    let removed = table.write(&sid(5000), 11, NEVER).len() + table.pruned.len();
    assert!(before - come_up(&table) <= ENTRIES_BEFORE_EVICTION);
    assert!((1..=ENTRIES_BEFORE_EVICTION).contains(&removed));
    assert!(table.len() <= 1000 && table.prune.is_some());
}

#[test]
fn what_is_very_much_too_much_is_evicted_in_steps() {
    const MANY: usize = 4 * REMOVED_AT_ONCE;
    let each = cost_of(100);
    let mut table = budgeted(MANY * each);
    for number in 0..MANY as u64 {
        table.fill(&sid(number), 100).unwrap();
    }
    let large = length_in((MANY - 10) * each);
    let first = REMOVED_AT_ONCE as u64;
    assert_eq!(table.fill(&sid(9000), large), Ok(numbered(0..first)));
    assert!(table.is_busy() && table.stats().bytes > MANY * each);
    // The next write evicts more.
    assert_eq!(table.fill(&sid(first), 100), Ok(numbered(first + 1..=2 * first)));
    let mut steps = 0;
    while table.has_steps() {
        let before = table.len();
        drop(table.step(32));
        assert!(table.len() >= before - 32);
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
    table.validate();
    let ids = table.ids();
    let left = numbered((0..MANY as u64).rev().take(ids.len() - 2));
    assert_eq!(ids, [vec![sid(first), sid(9000)], left].concat());
    assert!(table.stats().bytes <= MANY * each);
    assert!(table.stats().bytes > (MANY - 1) * each, "and no more than that");
    let evicted = MANY + 1 - ids.len();
    assert_eq!(table.stats().counters.evictions_by_bytes, evicted as u64);
    assert_eq!(table.pruned.len(), evicted - 2 * REMOVED_AT_ONCE, "for who disposes of it");
}

#[test]
fn expiry_entries_do_not_pile_up_over_all_shards() {
    let mut table = unlimited();
    let mut most = 0;
    for step in 0..20_000_u32 {
        let sid = sid(u64::from(step % 1024));
        let now = Millis::from(step);
        let mut removed = Vec::new();
        match step / 1024 % 3 {
            0 => {
                table.set(sid, json("{}"), given(now, now + 5000), &mut removed).map(drop).unwrap();
            }
            1 => {
                table.set(sid, json("{}"), given(now, now + 3000), &mut removed).map(drop).unwrap();
            }
            _ => drop(table.destroy(&sid, 0, &mut removed)),
        }
        most = most.max(table.entries());
    }
    table.validate();
    assert!(most <= 2 * 1024 + 64 * SHARDS, "{most}");
    table.prune_all(Millis::MAX);
    assert_eq!(table.entries(), 0);
}

#[test]
fn sids_that_share_a_hash_are_separate_and_none_is_removed_alive() {
    // Whichever of the two a look-up by hash finds, whichever was written first.
    for (first, second) in [("one", "other"), ("other", "one")] {
        for expires in [[10, 30], [30, 10], [10, NEVER], [NEVER, 10], [10, 10]] {
            let mut table = unlimited();
            let pair = [first, second].map(|bytes| Sid::with_hash(bytes.as_bytes(), 7));
            for (sid, expires) in pair.iter().zip(expires) {
                table.set(sid.clone(), json("{}"), given(0, expires), &mut Vec::new()).unwrap();
            }
            for now in [9, 10, 11, 29, 30] {
                table.begin_prune(now);
                table.prune_step(usize::MAX);
                for (sid, expires) in pair.iter().zip(expires) {
                    let is_held = table.ids().contains(sid);
                    assert!(is_held || expires < now, "{sid:?} at {now}");
                }
            }
            for (sid, expires) in pair.iter().zip(expires) {
                let found = table.read(sid, Reading::Get, 30, &mut Vec::new(), |_| ());
                assert_eq!(found.is_some(), expires >= 30);
            }
            let left = expires.iter().filter(|expires| **expires >= 30).count();
            assert_eq!(table.len(), left, "an expired one goes when it is come across");
        }
    }
}

fn budgeted(max_bytes: usize) -> Table {
    Table::new(Options { max_bytes, ..Options::default() })
}

/// A session whose body has `length` bytes.
fn body_of(length: usize) -> String {
    let frame = r#"{"a":"","cookie":0}"#.len();
    format!(r#"{{"a":"{}","cookie":0}}"#, "a".repeat(length - frame))
}

/// What a record takes that has a body of `length` bytes.
fn cost_of(length: usize) -> usize {
    cost(&sid(0), allocated(length))
}

/// The length of the largest body for which there is room.
fn length_in(room: usize) -> usize {
    let room = room - OVERHEAD;
    (1..=room).rfind(|length| allocated(*length) <= room).unwrap()
}

impl Table {
    /// Writes a body of `length` bytes that never expires.
    fn fill(&mut self, sid: &Sid, length: usize) -> Result<Vec<Sid>, Refused> {
        let mut removed = Vec::new();
        let body = body_of(length);
        let done = self.set(sid.clone(), json(&body), given(0, NEVER), &mut removed);
        self.validate();
        done.map(|_| sids(removed))
    }

    /// Gives the session a cookie of `length` bytes.
    fn lengthen(&mut self, sid: &Sid, length: usize) -> (Touched, Vec<Sid>) {
        let mut removed = Vec::new();
        let cookie = "1".repeat(length);
        let touched = self.touch_text(sid, json(&cookie), 0, NEVER, &mut removed);
        self.validate();
        (touched, sids(removed))
    }

    fn body(&self, sid: &Sid) -> Option<Vec<u8>> {
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref()?;
        let record = shard.records().peek(sid)?;
        Some(record.body(&self.forms, 0).to_body().bytes().to_vec())
    }

    fn list(&self) -> Vec<Sid> {
        let mut listed = Vec::new();
        let mut index = 0;
        while self.list_shard(index, &mut listed) {
            index += 1;
        }
        listed.sort_by_key(|(last_use, _)| Reverse(*last_use));
        listed.into_iter().map(|(_, sid)| sid).collect()
    }
}

#[test]
fn bytes_are_those_of_what_is_held() {
    let mut table = unlimited();
    let one = sid(1);
    // The second is longer than the allocation at hand, the others fit or waste too much.
    for (length, held) in [(100, 100), (300, 300), (200, 300), (19, 19), (5000, 5000)] {
        table.fill(&one, length).unwrap();
        assert_eq!(table.stats().bytes, cost_of(held), "{length}");
    }
    table.fill(&sid(2), 100).unwrap();
    assert_eq!(table.stats().bytes, cost_of(5000) + cost_of(100));
    assert!(table.destroy(&one, 0, &mut Vec::new()));
    let remembered = table.tombstone_bytes();
    assert!(remembered > 0);
    assert_eq!(table.stats().bytes, remembered + cost_of(100));
    assert_eq!(table.lengthen(&sid(2), 51).0, Touched::Renewed);
    assert_eq!(table.stats().bytes, remembered + cost_of(150));
    assert_eq!(table.lengthen(&sid(2), 1).0, Touched::Renewed);
    assert_eq!(table.stats().bytes, remembered + cost_of(150), "it keeps its room");
    drop(table.clear(Reason::Cleared, 0));
    table.validate();
    assert_eq!(table.stats().bytes, 0);
}

#[test]
fn bytes_are_right_after_every_way_out() {
    for keep_replaced in [false, true] {
        let mut table = Table::new(Options { max: 40, keep_replaced, ..Options::default() });
        let removed = &mut Vec::new();
        for number in 0..50 {
            table.write(&sid(number), 0, 10 + Millis::try_from(number).unwrap());
        }
        table.set(sid(49), json("{}"), given(5, 4), removed).unwrap();
        table.validate();
        assert!(!table.reads(&sid(20), 31));
        table.all(32, removed);
        table.validate();
        table.prune_all(40);
        assert_eq!(table.len(), 19);
        assert_eq!(table.stats().bytes, 19 * cost(&sid(0), allocated(2)));
        table.prune_all(1000);
        assert_eq!(table.stats().bytes, 0);
    }
}

#[test]
fn what_was_destroyed_is_forgotten_for_a_session_that_needs_its_room_and_not_before() {
    let max_bytes = cost_of(80_000);
    let destroying = || {
        let mut table = budgeted(max_bytes);
        for number in 0..20 {
            table.destroy(&sid(number), 0, &mut Vec::new());
        }
        table
    };
    let remembered = destroying().tombstone_bytes();
    assert!(remembered > 0);
    let mut table = destroying();
    assert_eq!(table.fill(&sid(100), 80_000), Ok(vec![]));
    assert_eq!((table.tombstone_bytes(), table.ids()), (0, vec![sid(100)]));

    let mut exact = budgeted(max_bytes + remembered);
    for number in 0..20 {
        exact.destroy(&sid(number), 0, &mut Vec::new());
    }
    assert_eq!(exact.fill(&sid(100), 80_000), Ok(vec![]));
    assert_eq!(exact.tombstone_bytes(), remembered, "there is just enough room for both");
}

#[test]
fn odd_kinds_of_cookies_make_no_other_session_larger() {
    let session = |age: u64, number: u64| {
        let user = "u".repeat(50);
        format!(
            r#"{{"cookie":{{"originalMaxAge":{age},"expires":"2026-11-22T08:50:09.007Z","path":"/"}},"user":"{user}{number:06}"}}"#
        )
    };
    let taken = |odd_kinds: u64| {
        let mut table = unlimited();
        let removed = &mut Vec::new();
        let mut set = |table: &mut Table, number: u64, age: u64| {
            let body = session(age, number);
            table.set(sid(number), json(&body), given(0, NEVER), removed).unwrap();
        };
        for odd in 0..odd_kinds {
            set(&mut table, odd, odd);
            set(&mut table, odd, odd);
        }
        // By then the cookie's template and the session's shape are known.
        for number in 990..=1000 {
            set(&mut table, number, 86_400_000);
        }
        let before = table.bytes;
        for number in 1001..2000 {
            set(&mut table, number, 86_400_000);
        }
        table.validate();
        let bytes = table.bytes - before;
        let templates = table.forms.templates.bytes();
        drop(table.clear(Reason::Cleared, 0));
        assert_eq!(table.forms.templates.bytes(), 0);
        (bytes, templates > 0)
    };
    let (ordinary, _) = taken(0);
    assert_eq!(taken(64), (ordinary, true));
    assert_eq!(taken(500), (ordinary, true));
}

#[test]
fn templates_count_for_the_budget_beyond_those_that_are_always_kept() {
    let mut table = budgeted(100_000);
    let removed = &mut Vec::new();
    for number in 0..2000 {
        let path = format!("/{number}{}", "p".repeat(500));
        let body = format!(r#"{{"cookie":{{"path":"{path}"}},"n":1}}"#);
        for _ in 0..2 {
            table.set(sid(number), json(&body), given(0, NEVER), removed).unwrap();
        }
        assert!(table.stats().bytes <= 100_000);
    }
    table.validate();
    assert!(table.forms.templates.bytes() > 10_000);
    let mut read = Vec::new();
    table.read(&sid(1999), Reading::Get, 0, removed, |body| body.write_to(&mut read)).unwrap();
    assert!(read.starts_with(br#"{"cookie":{"path":"/1999ppp"#));
}

#[test]
fn an_empty_body_takes_nothing() {
    for keep_replaced in [false, true] {
        let mut table =
            Table::new(Options { max_bytes: 10_000, keep_replaced, ..Options::default() });
        let removed = &mut Vec::new();
        for text in ["", "{}", "", ""] {
            table.set(sid(1), json(text), given(0, NEVER), removed).unwrap();
            table.validate();
        }
        assert!(table.destroy(&sid(1), 0, removed));
        assert_eq!(table.stats().bytes, table.tombstone_bytes());
    }
}

#[test]
fn a_sid_that_does_not_fit_into_the_node_counts_too() {
    let mut table = budgeted(10_000);
    let bytes = [b's'; 200];
    let long = || Sid::with_hash(&bytes, 7);
    let removed = &mut Vec::new();
    for text in ["{}", r#"{"cookie":0}"#] {
        table.set(long(), json(text), given(0, NEVER), removed).unwrap();
        table.validate();
        let taken = cost(&sid(0), allocated(text.len())) + allocated(200);
        assert_eq!(table.stats().bytes, taken);
    }
    table.touch_text(&long(), json("1"), 0, NEVER, removed);
    table.validate();
    assert!(table.destroy(&long(), 0, removed));
    table.validate();

    let needed = cost(&sid(0), allocated(2)) + allocated(200);
    for (max_bytes, done) in [(needed, Ok(())), (needed - 1, Err(Refused::TooLarge))] {
        let mut table = budgeted(max_bytes);
        let written = table.set(long(), json("{}"), given(0, NEVER), removed);
        assert_eq!(written.map(drop), done);
        table.validate();
    }
}

#[test]
fn eviction_by_bytes_is_by_least_recent_use_and_goes_only_as_far_as_needed() {
    let each = cost_of(100);
    let mut table = budgeted(10 * each);
    for number in 0..10 {
        assert_eq!(table.fill(&sid(number), 100), Ok(vec![]));
    }
    assert_eq!(table.stats().bytes, 10 * each, "to the last byte");
    assert!(table.reads(&sid(0), 0));
    assert_eq!(table.fill(&sid(10), 19), Ok(numbered([1])));
    // Room for this needs the room of three more, and of none beyond.
    let length = length_in(4 * each - cost_of(19));
    assert_eq!(table.fill(&sid(11), length), Ok(numbered([2, 3, 4])));
    assert_eq!(table.ids(), numbered([11, 10, 0, 9, 8, 7, 6, 5]));
    let counters = table.stats().counters;
    assert_eq!((counters.evictions_by_count, counters.evictions_by_bytes), (0, 4));
}

#[test]
fn a_record_that_grows_evicts_others_and_never_itself() {
    let each = cost_of(100);
    let mut table = budgeted(4 * each);
    for number in 0..4 {
        table.fill(&sid(number), 100).unwrap();
    }
    // The least recently used one, by set and by touch.
    assert_eq!(table.fill(&sid(0), 120), Ok(numbered([1])));
    assert_eq!(table.fill(&sid(1), 19), Ok(vec![]));
    assert_eq!(table.lengthen(&sid(2), 200), (Touched::Renewed, numbered([3])));
    let length = length_in(4 * each) - 119;
    assert_eq!(table.lengthen(&sid(0), length), (Touched::Renewed, numbered([1, 2])));
    assert_eq!(table.ids(), [sid(0)]);
    assert_eq!(table.stats().counters.evictions_by_bytes, 4);
}

#[test]
fn what_alone_is_too_large_is_refused_and_changes_nothing() {
    let max_bytes = cost_of(1024);
    let mut table = budgeted(max_bytes);
    table.fill(&sid(1), 100).unwrap();
    table.fill(&sid(2), 200).unwrap();
    table.write(&sid(3), 0, 10);
    table.begin_prune(11);
    let before = table.stats();
    for number in [1, 4] {
        assert_eq!(table.fill(&sid(number), 1025), Err(Refused::TooLarge));
    }
    assert_eq!(table.lengthen(&sid(1), 926), (Touched::NeedsRewrite, vec![]));
    assert_eq!(table.body(&sid(1)), Some(body_of(100).into_bytes()));
    let after = table.stats();
    assert_eq!((after.sessions, after.bytes), (before.sessions, before.bytes));
    assert_eq!(after.counters.touches, 0);
    assert!(table.has_steps());

    assert_eq!(table.lengthen(&sid(1), 925), (Touched::Renewed, numbered([2, 3])));
    assert_eq!(table.stats().bytes, max_bytes);
    assert_eq!(table.fill(&sid(2), 1024), Ok(numbered([1])));
}

#[test]
fn a_shrunk_record_that_kept_its_room_grows_back_into_it() {
    let mut table = budgeted(cost_of(200));
    table.fill(&sid(1), 200).unwrap();
    table.fill(&sid(1), 150).unwrap();
    assert_eq!(table.stats().bytes, cost_of(200));
    assert_eq!(table.lengthen(&sid(1), 51), (Touched::Renewed, vec![]));
    assert_eq!(table.lengthen(&sid(1), 76).0, Touched::NeedsRewrite);
    assert_eq!(table.fill(&sid(1), 225), Err(Refused::TooLarge));
    assert_eq!(table.ids(), [sid(1)]);
}

#[test]
fn both_limits_hold_together_and_each_eviction_has_one_cause() {
    let each = cost_of(100);
    let mut table = Table::new(Options { max: 5, max_bytes: 6 * each, ..Options::default() });
    for number in 0..5 {
        table.fill(&sid(number), 100).unwrap();
    }
    assert_eq!(table.fill(&sid(5), 100), Ok(numbered([0])), "one too many");
    let two_more = length_in(3 * each);
    assert_eq!(table.fill(&sid(6), two_more), Ok(numbered([1, 2])), "and too large");
    assert_eq!(table.fill(&sid(7), 100), Ok(numbered([3])), "too large only");
    let counters = table.stats().counters;
    assert_eq!((counters.evictions_by_count, counters.evictions_by_bytes), (2, 2));
}

#[test]
fn a_peek_uses_nothing_and_neither_it_nor_a_fetch_counts() {
    let mut table = limited(3);
    let removed = &mut Vec::new();
    for number in 1..=3 {
        table.write(&sid(number), 0, 10);
    }
    assert_eq!(table.read(&sid(1), Reading::Peek, 10, removed, |_| ()), Some(()));
    assert_eq!(table.read(&sid(9), Reading::Peek, 10, removed, |_| ()), None);
    assert_eq!(table.ids(), numbered([3, 2, 1]));
    assert_eq!(table.read(&sid(1), Reading::Fetch, 10, removed, |_| ()), Some(()));
    assert_eq!(table.ids(), numbered([1, 3, 2]));
    assert_eq!(table.read(&sid(2), Reading::Peek, 11, removed, |_| ()), None);
    assert_eq!(table.read(&sid(3), Reading::Fetch, 11, removed, |_| ()), None);
    table.validate();
    assert_eq!(sids(std::mem::take(removed)), numbered([2, 3]), "they had expired");
    let counters = table.stats().counters;
    assert_eq!((counters.hits, counters.misses, counters.expirations), (0, 0, 2));
}

#[test]
fn every_removal_of_what_had_expired_counts_as_an_expiration_and_no_other_does() {
    let mut table = limited(10);
    let removed = &mut Vec::new();
    for number in 0..11 {
        table.write(&sid(number), 0, 10);
    }
    table.destroy(&sid(1), 0, removed);
    assert_eq!(table.stats().counters.expirations, 0);
    assert!(!table.reads(&sid(2), 11));
    table.touch_text(&sid(3), json("1"), 11, 99, removed);
    table.set(sid(4), json("{}"), given(11, 10), removed).unwrap();
    assert_eq!(table.stats().counters.expirations, 3);
    table.begin_prune(11);
    assert!(!table.reads(&sid(5), 11));
    assert_eq!(table.prune_all(11).len(), 5);
    assert_eq!(table.stats().counters.expirations, 9);
    table.write(&sid(1), 0, 10);
    table.all(11, removed);
    let counters = table.stats().counters;
    assert_eq!((counters.expirations, counters.evictions_by_count), (10, 1));
}

#[test]
fn a_prune_counts_once_it_has_ended() {
    let mut table = unlimited();
    table.prune_all(1);
    assert_eq!(table.stats().counters.prunes, 1, "also where there was nothing");
    for number in 0..10 {
        table.write(&crowded(number), 0, 10);
    }
    table.begin_prune(11);
    table.prune_step(5);
    assert_eq!(table.stats().counters.prunes, 1);
    table.steps_of(5);
    assert_eq!(table.stats().counters.prunes, 2);
    assert!(table.stats().counters.last_prune > std::time::Duration::ZERO);
}

#[test]
fn listing_all_parts_gives_every_sid_once() {
    let mut table = unlimited();
    assert_eq!(table.list(), []);
    for number in 0..2000 {
        table.write(&sid(number), 0, if number % 2 == 0 { 10 } else { NEVER });
    }
    assert_eq!(table.list(), numbered((0..2000).rev()), "expired or not");
    table.prune_all(11);
    assert_eq!(table.list(), numbered((0..1000).rev().map(|half| 2 * half + 1)));
    assert!(!table.list_shard(SHARDS - 1, &mut Vec::new()));
    assert!(!table.list_shard(SHARDS, &mut Vec::new()));
}

#[test]
fn sids_of_one_group_share_a_part_and_groups_do_not() {
    let shards: std::collections::HashSet<usize> =
        (0..256).map(|number| sid(number).hash().shard(SHARDS)).collect();
    assert_eq!(shards.len(), 256);
    for number in 0..256 {
        let shard = sid(number).hash().shard(SHARDS);
        assert_eq!(sid(number + 256 * 77).hash().shard(SHARDS), shard);
    }
}

#[test]
fn a_session_of_nobody_goes_at_once_where_all_others_are_of_users() {
    let mut table = Table::new(Options { max: 2, user: 1, ..Options::default() });
    let body = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };
    let removed = &mut Vec::new();
    for (number, owner) in
        [(1, Owner::Named(b"ann")), (2, Owner::Named(b"bob")), (3, Owner::Nobody)]
    {
        let terms = Terms { owner, ..Terms::NONE };
        let write = Write { condition: Condition::None, now: 0, expires: NEVER, terms };
        table.set(sid(number), body, write, removed).unwrap();
        table.validate();
    }
    assert_eq!(removed.iter().map(|one| &one.sid).collect::<Vec<_>>(), [&sid(3)]);
    assert_eq!(table.stats().counters.evictions_of_users, 0);
}

#[test]
fn a_use_moves_a_record_to_the_end_of_its_rank_only() {
    let mut table = Table::new(Options { max: 4, user: 1, ..Options::default() });
    let body = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };
    let removed = &mut Vec::new();
    let mut set = |table: &mut Table, number, owner| {
        let terms = Terms { owner, ..Terms::NONE };
        let write = Write { condition: Condition::None, now: 0, expires: NEVER, terms };
        table.set(sid(number), body, write, removed).unwrap();
        removed.drain(..).map(|one| one.sid).collect::<Vec<_>>()
    };
    let ann = Owner::Named(b"ann");
    for (number, owner) in [(1, Owner::Nobody), (2, ann), (3, Owner::Nobody), (4, ann)] {
        assert_eq!(set(&mut table, number, owner), []);
    }
    for number in [1, 2] {
        table.read(&sid(number), Reading::Get, 0, &mut Vec::new(), |_| ());
    }
    let gone: Vec<_> = (5..9).flat_map(|number| set(&mut table, number, ann)).collect();
    assert_eq!(gone, [3, 1, 4, 2].map(sid));
}
