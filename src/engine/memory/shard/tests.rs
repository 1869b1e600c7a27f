use super::*;
use crate::session::forms::Forms;
use crate::session::record::NewBody;
use crate::session::{BodyRef, Encoding};

const BODY: BodyRef<'_> = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };

fn sid(number: u64) -> Sid {
    Sid::with_hash(&number.to_le_bytes(), number)
}

fn record(expires: Millis, last_use: u64) -> Record {
    let mut forms = Forms::new(usize::MAX);
    let body = NewBody::new(BODY, &mut forms);
    Record::new(&body, &forms, expires, last_use)
}

/// Gives the record of `sid` another expiry, as `set` and `touch` do.
fn renew(shard: &mut Shard, sid: &Sid, expires: Millis, last_use: u64) {
    let mut forms = Forms::new(usize::MAX);
    let renewed = NewBody::new(BODY, &mut forms);
    shard.use_record(sid, last_use).unwrap().overwrite(&renewed, &forms, expires);
    shard.schedule(sid.hash());
}

fn due_before(shard: &mut Shard, now: Millis) -> Vec<ExpiryEntry> {
    std::iter::from_fn(|| shard.next_due(now)).collect()
}

#[test]
fn an_expiry_entry_is_due_once_its_time_is_past_earliest_first() {
    let mut shard = Shard::new(Order::Use);
    for (number, expires) in [(1, 30), (2, 10), (3, NEVER), (4, 20)] {
        shard.insert(sid(number), record(expires, number), Rank::Last);
    }
    assert_eq!(shard.next_due(10), None, "alive at the moment it expires");
    let due: Vec<_> = due_before(&mut shard, 30).iter().map(|it| it.due).collect();
    assert_eq!(due, [10, 20]);
    assert_eq!(due_before(&mut shard, NEVER).len(), 1);
}

#[test]
fn a_longer_life_costs_no_expiry_entry_until_the_old_one_is_due() {
    let mut shard = Shard::new(Order::Use);
    shard.insert(sid(1), record(10, 1), Rank::Last);
    for (last_use, expires) in (2..).zip(11..1000) {
        renew(&mut shard, &sid(1), expires, last_use);
    }
    assert_eq!(shard.entries.len(), 1);
    shard.validate();

    let entry = shard.next_due(11).unwrap();
    shard.reschedule(entry);
    shard.validate();
    assert_eq!(shard.next_due(999), None);
    assert_eq!(shard.next_due(1000).map(|entry| entry.due), Some(999));
}

#[test]
fn a_shorter_life_gets_an_earlier_expiry_entry() {
    let mut shard = Shard::new(Order::Use);
    shard.insert(sid(1), record(NEVER, 1), Rank::Last);
    assert_eq!(shard.entries.len(), 0);
    for (last_use, expires) in [(2, 1000), (3, 10)] {
        renew(&mut shard, &sid(1), expires, last_use);
        shard.validate();
        assert_eq!(shard.entries.peek().unwrap().0.due, expires);
    }
}

#[test]
fn a_record_that_lives_for_ever_from_now_on_needs_no_expiry_entry() {
    let mut shard = Shard::new(Order::Use);
    shard.insert(sid(1), record(10, 1), Rank::Last);
    renew(&mut shard, &sid(1), NEVER, 2);
    let entry = shard.next_due(11).unwrap();
    shard.reschedule(entry);
    assert_eq!(shard.entries.len(), 0);
    shard.validate();
}

#[test]
fn ever_shorter_lives_do_not_pile_up_expiry_entries() {
    let mut shard = Shard::new(Order::Use);
    shard.insert(sid(1), record(NEVER, 1), Rank::Last);
    for step in 1..=10_000 {
        let expires = 1_000_000 - Millis::try_from(step).unwrap();
        renew(&mut shard, &sid(1), expires, step + 1);
        assert!(shard.entries.len() <= SMALL + 2);
    }
    assert!(shard.entries.capacity() <= 4 * SMALL);
    shard.validate();
}

#[test]
fn removed_and_written_anew_records_do_not_pile_up_expiry_entries() {
    let mut shard = Shard::new(Order::Use);
    for step in 1..=10_000 {
        shard.insert(sid(step % 7), record(1000, step), Rank::Last);
        assert!(shard.remove(&sid(step % 7)).is_some());
        assert!(shard.entries.len() <= SMALL + 2);
    }
    assert!(shard.entries.capacity() <= 4 * SMALL);
    shard.validate();
}

#[test]
fn shedding_keeps_the_expiry_entries_of_living_records() {
    let mut shard = Shard::new(Order::Use);
    for number in 0..100 {
        shard.insert(sid(number), record(500, number), Rank::Last);
    }
    for step in 0..1000 {
        shard.insert(sid(100), record(5, 100 + step), Rank::Last);
        shard.remove(&sid(100));
        shard.validate();
    }
    let mut due = due_before(&mut shard, 501);
    due.retain(|entry| entry.due == 500);
    assert_eq!(due.len(), 100);
}

#[test]
fn memory_is_given_back_once_nearly_all_records_are_gone() {
    let mut shard = Shard::new(Order::Use);
    for number in 0..10_000 {
        shard.insert(sid(number), record(1000, number), Rank::Last);
    }
    for number in 0..9_990 {
        let removed = if number % 2 == 0 {
            shard.remove(&sid(number))
        } else {
            shard.remove_by_hash(sid(number).hash())
        };
        assert_eq!(removed.unwrap().0, sid(number));
    }
    shard.validate();
    assert!(shard.records.peak() <= 2 * SMALL, "the map was built anew");
    assert!(shard.entries.capacity() <= 4 * SMALL);

    let kept: Vec<_> = shard.records.iter().map(|(sid, _)| sid.clone()).collect();
    let expected: Vec<_> = (9_990..10_000).rev().map(sid).collect();
    assert_eq!(kept, expected, "in the same order");
    assert_eq!(shard.remove_least_recent(Rank::Last).unwrap().0, sid(9_990));
}

#[test]
fn memory_is_given_back_once_nearly_all_records_have_expired() {
    let mut shard = Shard::new(Order::Use);
    for number in 0..10_000 {
        shard.insert(sid(number), record(10, number), Rank::Last);
    }
    while let Some(entry) = shard.next_due(11) {
        shard.remove_by_hash(entry.sid);
    }
    assert!(shard.records.peak() < SMALL);
    assert!(shard.entries.capacity() <= 4 * SMALL);
}

#[test]
fn a_part_whose_size_swings_is_not_rebuilt_again_and_again() {
    let mut shard = Shard::new(Order::Use);
    for number in 0..1000 {
        shard.insert(sid(number), record(NEVER, number), Rank::Last);
    }
    for number in 0..800 {
        shard.remove(&sid(number));
    }
    assert_eq!(shard.records.peak(), 1000);
}

#[test]
fn use_moves_a_record_to_the_recent_end_and_a_look_by_hash_does_not() {
    let mut shard = Shard::new(Order::Use);
    assert_eq!(shard.oldest_use(Rank::Last), None);
    for number in 1..=3 {
        shard.insert(sid(number), record(NEVER, number), Rank::Last);
    }
    assert_eq!(shard.by_hash(sid(1).hash()).unwrap().last_use, 1);
    assert_eq!(shard.oldest_use(Rank::Last), Some(1));
    assert_eq!(shard.use_record(&sid(1), 4).unwrap().last_use, 4);
    assert_eq!(shard.oldest_use(Rank::Last), Some(2));
    assert!(shard.use_record(&sid(9), 5).is_none());
    let order: Vec<_> = shard.records().iter().map(|(sid, _)| sid.clone()).collect();
    assert_eq!(order, [sid(1), sid(3), sid(2)]);
}
