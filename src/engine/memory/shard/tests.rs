use super::*;
use crate::session::forms::Forms;
use crate::session::record::NewBody;
use crate::session::{BodyRef, Encoding};
use crate::sid::Sid;

const BODY: BodyRef<'_> = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };

fn sid(number: u64) -> Sid {
    Sid::with_hash(&number.to_le_bytes(), number)
}

/// A shard, and what it keeps its records in.
struct Kept {
    shard: Shard,
    nodes: Nodes,
    forms: Forms,
}

impl Kept {
    fn new() -> Self {
        let forms = Forms::new(usize::MAX);
        Self { shard: Shard::new(Order::Use), nodes: Nodes::new(0), forms }
    }

    fn insert(&mut self, number: u64, expires: Millis, last_use: u64) {
        let body = NewBody::new(BODY, &mut self.forms, 0);
        let id = self.nodes.add(&Key::of(&sid(number)), body.len(), last_use);
        self.nodes.record_mut(id).overwrite(&body, &self.forms, expires);
        self.shard.insert(&mut self.nodes, id, Rank::Last);
    }

    fn find(&self, number: u64) -> Option<NodeId> {
        self.shard.find(&self.nodes, &Key::of(&sid(number)))
    }

    fn use_of(&mut self, number: u64, last_use: u64) -> Option<NodeId> {
        self.shard.find_to_use(&mut self.nodes, &Key::of(&sid(number)), last_use)
    }

    /// Gives a record another expiry, as `set` and `touch` do.
    fn renew(&mut self, number: u64, expires: Millis, last_use: u64) {
        let body = NewBody::new(BODY, &mut self.forms, 0);
        let id = self.use_of(number, last_use).unwrap();
        self.nodes.record_mut(id).overwrite(&body, &self.forms, expires);
        self.shard.schedule(&mut self.nodes, id);
    }

    fn remove(&mut self, number: u64) -> bool {
        let found = self.find(number);
        if let Some(id) = found {
            self.shard.remove(&mut self.nodes, id);
        }
        found.is_some()
    }

    fn reschedule(&mut self, entry: ExpiryEntry) {
        let id = self.shard.find_by_hash(&self.nodes, entry.sid).unwrap();
        self.shard.reschedule(&mut self.nodes, id);
    }

    fn oldest(&self) -> Option<Sid> {
        self.shard.oldest(Rank::Last).map(|id| self.nodes.sid(id))
    }

    /// The most recently used one first.
    fn sids(&self) -> Vec<Sid> {
        let ids = self.shard.records().of_rank(&self.nodes, Rank::Last);
        ids.into_iter().map(|id| self.nodes.sid(id)).collect()
    }

    fn due_before(&mut self, now: Millis) -> Vec<ExpiryEntry> {
        std::iter::from_fn(|| self.shard.next_due(now)).collect()
    }

    fn validate(&self) {
        self.shard.validate(&self.nodes);
        self.nodes.validate(self.shard.records().len());
    }
}

#[test]
fn an_expiry_entry_is_due_once_its_time_is_past_earliest_first() {
    let mut kept = Kept::new();
    for (number, expires) in [(1, 30), (2, 10), (3, NEVER), (4, 20)] {
        kept.insert(number, expires, number);
    }
    assert_eq!(kept.shard.next_due(10), None, "alive at the moment it expires");
    let due: Vec<_> = kept.due_before(30).iter().map(|it| it.due).collect();
    assert_eq!(due, [10, 20]);
    assert_eq!(kept.due_before(NEVER).len(), 1);
}

#[test]
fn a_longer_life_costs_no_expiry_entry_until_the_old_one_is_due() {
    let mut kept = Kept::new();
    kept.insert(1, 10, 1);
    for (last_use, expires) in (2..).zip(11..1000) {
        kept.renew(1, expires, last_use);
    }
    assert_eq!(kept.shard.entries.len(), 1);
    kept.validate();

    let entry = kept.shard.next_due(11).unwrap();
    kept.reschedule(entry);
    kept.validate();
    assert_eq!(kept.shard.next_due(999), None);
    assert_eq!(kept.shard.next_due(1000).map(|entry| entry.due), Some(999));
}

#[test]
fn a_shorter_life_gets_an_earlier_expiry_entry() {
    let mut kept = Kept::new();
    kept.insert(1, NEVER, 1);
    assert_eq!(kept.shard.entries.len(), 0);
    for (last_use, expires) in [(2, 1000), (3, 10)] {
        kept.renew(1, expires, last_use);
        kept.validate();
        assert_eq!(kept.shard.entries.peek().unwrap().0.due, expires);
    }
}

#[test]
fn a_record_that_lives_for_ever_from_now_on_needs_no_expiry_entry() {
    let mut kept = Kept::new();
    kept.insert(1, 10, 1);
    kept.renew(1, NEVER, 2);
    let entry = kept.shard.next_due(11).unwrap();
    kept.reschedule(entry);
    assert_eq!(kept.shard.entries.len(), 0);
    kept.validate();
}

#[test]
fn ever_shorter_lives_do_not_pile_up_expiry_entries() {
    let mut kept = Kept::new();
    kept.insert(1, NEVER, 1);
    for step in 1..=10_000 {
        let expires = 1_000_000 - Millis::try_from(step).unwrap();
        kept.renew(1, expires, step + 1);
        assert!(kept.shard.entries.len() <= SMALL + 2);
    }
    assert!(kept.shard.entries.capacity() <= 4 * SMALL);
    kept.validate();
}

#[test]
fn removed_and_written_anew_records_do_not_pile_up_expiry_entries() {
    let mut kept = Kept::new();
    for step in 1..=10_000 {
        kept.insert(step % 7, 1000, step);
        assert!(kept.remove(step % 7));
        assert!(kept.shard.entries.len() <= SMALL + 2);
    }
    assert!(kept.shard.entries.capacity() <= 4 * SMALL);
    kept.validate();
}

#[test]
fn shedding_keeps_the_expiry_entries_of_living_records() {
    let mut kept = Kept::new();
    for number in 0..100 {
        kept.insert(number, 500, number);
    }
    for step in 0..1000 {
        kept.insert(100, 5, 100 + step);
        kept.remove(100);
        kept.validate();
    }
    let mut due = kept.due_before(501);
    due.retain(|entry| entry.due == 500);
    assert_eq!(due.len(), 100);
}

#[test]
fn memory_is_given_back_once_nearly_all_records_are_gone() {
    let mut kept = Kept::new();
    for number in 0..10_000 {
        kept.insert(number, 1000, number);
    }
    for number in 0..9_990 {
        assert!(kept.remove(number));
    }
    kept.validate();
    assert!(kept.shard.records.places() <= 2 * SMALL, "the map was built anew");
    assert!(kept.shard.entries.capacity() <= 4 * SMALL);
    assert_eq!(kept.sids(), (9_990..10_000).rev().map(sid).collect::<Vec<_>>(), "in order");
}

#[test]
fn memory_is_given_back_once_nearly_all_records_have_expired() {
    let mut kept = Kept::new();
    for number in 0..10_000 {
        kept.insert(number, 10, number);
    }
    while let Some(entry) = kept.shard.next_due(11) {
        let id = kept.shard.find_by_hash(&kept.nodes, entry.sid).unwrap();
        kept.shard.remove(&mut kept.nodes, id);
    }
    assert!(kept.shard.records.places() <= 2 * SMALL);
    assert!(kept.shard.entries.capacity() <= 4 * SMALL);
}

#[test]
fn a_part_whose_size_swings_is_not_rebuilt_again_and_again() {
    let mut kept = Kept::new();
    for number in 0..1000 {
        kept.insert(number, NEVER, number);
    }
    for number in 0..800 {
        kept.remove(number);
    }
    assert!(kept.shard.records.places() >= 1000);
}

#[test]
fn use_moves_a_record_to_the_recent_end_and_a_look_by_hash_does_not() {
    let mut kept = Kept::new();
    assert_eq!(kept.oldest(), None);
    for number in 1..=3 {
        kept.insert(number, NEVER, number);
    }
    let id = kept.shard.find_by_hash(&kept.nodes, sid(1).hash()).unwrap();
    assert_eq!((kept.nodes.head(id).last_use(), kept.oldest()), (1, Some(sid(1))));
    assert_eq!(kept.use_of(1, 4), Some(id));
    assert_eq!((kept.nodes.head(id).last_use(), kept.oldest()), (4, Some(sid(2))));
    assert_eq!(kept.use_of(9, 5), None);
    assert_eq!(kept.sids(), [sid(1), sid(3), sid(2)]);
}
