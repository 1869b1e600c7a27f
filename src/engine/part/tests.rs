use super::*;
use crate::session::cookie::Templates;
use crate::session::record::NewBody;
use crate::session::{BodyRef, Encoding};

const BODY: BodyRef<'_> = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };

fn sid(number: u64) -> Sid {
    Sid::with_hash(&number.to_le_bytes(), number)
}

fn record(expires: Millis, last_use: u64) -> Record {
    Record::new(&NewBody::new(BODY, &mut Templates::default()), expires, last_use)
}

/// Gives the record of `sid` another expiry, as `set` and `touch` do.
fn renew(part: &mut Part, sid: &Sid, expires: Millis, last_use: u64) {
    let renewed = NewBody::new(BODY, &mut Templates::default());
    part.use_record(sid, last_use).unwrap().overwrite(&renewed, expires);
    part.arm(sid.hash());
}

fn due_before(part: &mut Part, now: Millis) -> Vec<Ticket> {
    std::iter::from_fn(|| part.next_due(now)).collect()
}

#[test]
fn a_ticket_comes_up_once_its_moment_is_past_earliest_first() {
    let mut part = Part::new(true);
    for (number, expires) in [(1, 30), (2, 10), (3, NEVER), (4, 20)] {
        part.insert(sid(number), record(expires, number));
    }
    assert_eq!(part.next_due(10), None, "alive at the moment it expires");
    let due: Vec<_> = due_before(&mut part, 30).iter().map(|it| it.due).collect();
    assert_eq!(due, [10, 20]);
    assert_eq!(due_before(&mut part, NEVER).len(), 1);
}

#[test]
fn a_longer_life_costs_no_ticket_until_the_old_one_comes_up() {
    let mut part = Part::new(true);
    part.insert(sid(1), record(10, 1));
    for (last_use, expires) in (2..).zip(11..1000) {
        renew(&mut part, &sid(1), expires, last_use);
    }
    assert_eq!(part.tickets.len(), 1);
    part.validate();

    let ticket = part.next_due(11).unwrap();
    part.rearm(ticket);
    part.validate();
    assert_eq!(part.next_due(999), None);
    assert_eq!(part.next_due(1000).map(|ticket| ticket.due), Some(999));
}

#[test]
fn a_shorter_life_gets_an_earlier_ticket() {
    let mut part = Part::new(true);
    part.insert(sid(1), record(NEVER, 1));
    assert_eq!(part.tickets.len(), 0);
    for (last_use, expires) in [(2, 1000), (3, 10)] {
        renew(&mut part, &sid(1), expires, last_use);
        part.validate();
        assert_eq!(part.tickets.peek().unwrap().0.due, expires);
    }
}

#[test]
fn a_record_that_lives_for_ever_from_now_on_needs_no_ticket() {
    let mut part = Part::new(true);
    part.insert(sid(1), record(10, 1));
    renew(&mut part, &sid(1), NEVER, 2);
    let ticket = part.next_due(11).unwrap();
    part.rearm(ticket);
    assert_eq!(part.tickets.len(), 0);
    part.validate();
}

#[test]
fn ever_shorter_lives_do_not_pile_up_tickets() {
    let mut part = Part::new(true);
    part.insert(sid(1), record(NEVER, 1));
    for step in 1..=10_000 {
        let expires = 1_000_000 - Millis::try_from(step).unwrap();
        renew(&mut part, &sid(1), expires, step + 1);
        assert!(part.tickets.len() <= SMALL + 2);
    }
    assert!(part.tickets.capacity() <= 4 * SMALL);
    part.validate();
}

#[test]
fn removed_and_written_anew_records_do_not_pile_up_tickets() {
    let mut part = Part::new(true);
    for step in 1..=10_000 {
        part.insert(sid(step % 7), record(1000, step));
        assert!(part.remove(&sid(step % 7)).is_some());
        assert!(part.tickets.len() <= SMALL + 2);
    }
    assert!(part.tickets.capacity() <= 4 * SMALL);
    part.validate();
}

#[test]
fn shedding_keeps_the_tickets_of_living_records() {
    let mut part = Part::new(true);
    for number in 0..100 {
        part.insert(sid(number), record(500, number));
    }
    for step in 0..1000 {
        part.insert(sid(100), record(5, 100 + step));
        part.remove(&sid(100));
        part.validate();
    }
    let mut due = due_before(&mut part, 501);
    due.retain(|ticket| ticket.due == 500);
    assert_eq!(due.len(), 100);
}

#[test]
fn memory_is_given_back_once_nearly_all_records_are_gone() {
    let mut part = Part::new(true);
    for number in 0..10_000 {
        part.insert(sid(number), record(1000, number));
    }
    for number in 0..9_990 {
        let removed = if number % 2 == 0 {
            part.remove(&sid(number))
        } else {
            part.remove_by_hash(sid(number).hash())
        };
        assert_eq!(removed.unwrap().0, sid(number));
    }
    part.validate();
    assert!(part.peak <= 2 * SMALL, "the map was built anew");
    assert!(part.tickets.capacity() <= 4 * SMALL);

    let kept: Vec<_> = part.records.iter().map(|(sid, _)| sid.clone()).collect();
    let expected: Vec<_> = (9_990..10_000).rev().map(sid).collect();
    assert_eq!(kept, expected, "in the same order");
    assert_eq!(part.remove_least_recent().unwrap().0, sid(9_990));
}

#[test]
fn memory_is_given_back_once_nearly_all_records_have_expired() {
    let mut part = Part::new(true);
    for number in 0..10_000 {
        part.insert(sid(number), record(10, number));
    }
    while let Some(ticket) = part.next_due(11) {
        part.remove_by_hash(ticket.sid);
    }
    assert!(part.peak < SMALL);
    assert!(part.tickets.capacity() <= 4 * SMALL);
}

#[test]
fn a_part_whose_size_swings_is_not_rebuilt_again_and_again() {
    let mut part = Part::new(true);
    for number in 0..1000 {
        part.insert(sid(number), record(NEVER, number));
    }
    for number in 0..800 {
        part.remove(&sid(number));
    }
    assert_eq!(part.peak, 1000);
}

#[test]
fn use_moves_a_record_to_the_recent_end_and_a_look_by_hash_does_not() {
    let mut part = Part::new(true);
    assert_eq!(part.oldest_use(), None);
    for number in 1..=3 {
        part.insert(sid(number), record(NEVER, number));
    }
    assert_eq!(part.by_hash(sid(1).hash()).unwrap().last_use, 1);
    assert_eq!(part.oldest_use(), Some(1));
    assert_eq!(part.use_record(&sid(1), 4).unwrap().last_use, 4);
    assert_eq!(part.oldest_use(), Some(2));
    assert!(part.use_record(&sid(9), 5).is_none());
    let order: Vec<_> = part.records().iter().map(|(sid, _)| sid.clone()).collect();
    assert_eq!(order, [sid(1), sid(3), sid(2)]);
}
