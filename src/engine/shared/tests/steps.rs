//! What takes more than one transaction: to others it is done at once, whatever they do meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::SharedEngine;
use super::{Folder, START, body_ref};
use crate::background::Maintenance;
use crate::engine::{Condition, Durable, Engine, Options, REMOVED_AT_ONCE, Refused, Removed};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

fn sid(engine: &SharedEngine, number: u64) -> Sid {
    engine.sid(&number.to_be_bytes())
}

fn set(engine: &SharedEngine, number: u64, expires: Millis) {
    let (sid, body) = (sid(engine, number), body_ref("{}"));
    engine.set(sid, body, Condition::None, (START, expires), &mut Vec::new()).unwrap().unwrap();
}

/// A store of `count` sessions that expire at once and one that never does.
fn expiring(count: u64) -> (Folder, Arc<SharedEngine>) {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    for number in 0..count {
        set(&engine, number, START);
    }
    set(&engine, count, NEVER);
    (folder, engine)
}

#[test]
fn a_store_is_cleared_at_once_and_its_file_step_by_step() {
    let (folder, engine) = expiring(2000);
    let read_before = engine.found(&sid(&engine, 2000), START, |body| body.read()).unwrap();
    engine.clear(START, &mut Vec::new()).unwrap();
    assert!(engine.is_empty() && engine.ids().unwrap().is_empty());
    assert_eq!(engine.stats().unwrap().bytes, 0);
    let late = Condition::NotDestroyed { read: read_before };
    let times = (START, NEVER);
    let refused = engine.set(sid(&engine, 2000), body_ref("{}"), late, times, &mut Vec::new());
    assert_eq!(refused.unwrap(), Err(Refused::Destroyed));

    let mut steps = 1;
    assert!(engine.is_busy().unwrap());
    while engine.maintenance_step() {
        set(&engine, steps, NEVER);
        engine.validate();
        steps += 1;
    }
    assert!(steps > 30, "{steps}");
    assert!(!engine.is_busy().unwrap());
    assert_eq!(engine.length().unwrap() as u64, steps - 1);
    let pages = engine.reading(|snapshot| snapshot.databases.pages(snapshot.transaction)).unwrap();
    assert!(pages < 15, "{pages}");
    drop(engine);
    assert_eq!(folder.open(Options::default()).length().unwrap() as u64, steps - 1);
}

#[test]
fn few_are_cleared_in_one_go() {
    let (_folder, engine) = expiring(300);
    engine.clear(START, &mut Vec::new()).unwrap();
    assert!(engine.is_empty() && !engine.is_busy().unwrap());
    let pages = engine.reading(|snapshot| snapshot.databases.pages(snapshot.transaction)).unwrap();
    assert!(pages < 5, "{pages}");
}

#[test]
fn a_store_can_be_cleared_again_before_the_first_time_has_ended() {
    for second in [100, 1500, 3000] {
        let (_folder, engine) = expiring(2000);
        engine.clear(START, &mut Vec::new()).unwrap();
        assert!(engine.maintenance_step());
        for number in 0..second {
            set(&engine, number, NEVER);
        }
        engine.clear(START, &mut Vec::new()).unwrap();
        assert!(engine.is_empty());
        set(&engine, 1, NEVER);
        engine.validate();
        let mut steps = 0;
        while engine.maintenance_step() {
            steps += 1;
        }
        assert!(steps > 20, "the larger of the two is swept in steps: {steps}");
        assert_eq!(engine.length().unwrap(), 1);
    }
}

#[test]
fn whatever_was_cleared_is_handed_out_once() {
    // Some bodies are apart from their heads.
    let body = |number: u64| "x".repeat(if number.is_multiple_of(7) { 2500 } else { 2 });
    let set = |engine: &SharedEngine, number: u64| {
        let (sid, body, times) = (sid(engine, number), body(number), (START, NEVER));
        let removed = &mut Vec::new();
        engine.set(sid, body_ref(&body), Condition::None, times, removed).unwrap().unwrap();
    };
    for second in [100, 1500, 3000] {
        let folder = Folder::new();
        let engine = folder.open(Options { keep_removed: true, ..Options::default() });
        let mut removed = Vec::new();
        for number in 0..2000 {
            set(&engine, number);
        }
        engine.clear(START, &mut removed).unwrap();
        assert_eq!(removed.len(), 0, "very many are handed out in steps");
        engine.maintenance_step();
        for number in 2000..2000 + second {
            set(&engine, number);
        }
        engine.clear(START, &mut removed).unwrap();
        engine.finish_steps(&mut removed);
        let is_whole = |one: &&Removed| {
            let number = u64::from_be_bytes(one.sid.as_bytes().try_into().unwrap());
            one.body.bytes() == body(number).as_bytes()
        };
        let bodies = removed.iter().filter(is_whole).count() as u64;
        let sids: HashSet<_> = removed.iter().map(|one| one.sid.as_bytes().to_vec()).collect();
        let expected = 2000 + second;
        assert_eq!(
            (sids.len() as u64, removed.len() as u64, bodies),
            (expected, expected, expected)
        );
    }
}

#[test]
fn what_a_process_has_left_of_a_clear_the_next_prune_removes() {
    let (folder, engine) = expiring(2000);
    engine.clear(START, &mut Vec::new()).unwrap();
    set(&engine, 1, NEVER);
    drop(engine);
    let engine = folder.open(Options::default());
    engine.begin_prune(START).unwrap();
    assert!(engine.is_busy().unwrap(), "though nothing has expired");
    while engine.maintenance_step() {}
    engine.begin_prune(START).unwrap();
    assert!(!engine.is_busy().unwrap());
    assert_eq!(engine.stats().unwrap().counters.expirations, 0);
    assert_eq!(engine.length().unwrap(), 1);
}

#[test]
fn what_a_prune_has_yet_to_remove_counts() {
    let (_folder, engine) = expiring(500);
    engine.begin_prune(START + 1).unwrap();
    let left = engine.length().unwrap();
    assert_eq!(left, 501 - REMOVED_AT_ONCE);
    assert_eq!(engine.ids().unwrap().len(), left);
    assert!(engine.found(&sid(&engine, 499), START + 1, |_| ()).is_none());
    while engine.maintenance_step() {}
    assert!(!engine.is_busy().unwrap());
    assert_eq!(engine.ids().unwrap(), [sid(&engine, 500)]);
}

#[test]
fn few_are_pruned_by_the_caller() {
    let (_folder, engine) = expiring(200);
    engine.begin_prune(START + 1).unwrap();
    assert_eq!(engine.length().unwrap(), 1);
    assert!(!engine.is_busy().unwrap());
}

#[test]
fn a_prune_spares_what_was_written_by_a_clock_that_was_set_back() {
    let (_folder, engine) = expiring(500);
    engine.begin_prune(START + 1000).unwrap();
    let removed = &mut Vec::new();
    let times = (START - 10, START + 5);
    engine.set(sid(&engine, 1), body_ref("{}"), Condition::None, times, removed).unwrap().unwrap();
    while engine.maintenance_step() {}
    assert!(engine.found(&sid(&engine, 1), START - 10, |_| ()).is_some());
    assert_eq!(engine.prune_all(START + 6).len(), 0, "nobody wants them");
    assert_eq!(engine.length().unwrap(), 1);
}

#[test]
fn a_full_file_makes_room_by_sweeping_what_was_cleared() {
    let folder = Folder::new();
    let engine = folder.open(Options { max_bytes: usize::MAX, ..Options::default() });
    let body = "a".repeat(300);
    let set = |number: u64| {
        let (sid, times) = (sid(&engine, number), (START, NEVER));
        let removed = &mut Vec::new();
        engine.set(sid, body_ref(&body), Condition::None, times, removed).unwrap().unwrap();
        removed.len()
    };
    let count = (0..100_000).find(|number| set(*number) > 0).expect("the file is full at last");
    assert!(count > 1000, "{count}");
    engine.clear(START, &mut Vec::new()).unwrap();
    let before = engine.stats().unwrap().counters.evictions_by_bytes;
    for number in 0..count / 2 {
        set(number);
    }
    assert_eq!(engine.stats().unwrap().counters.evictions_by_bytes, before);
    assert_eq!(engine.length().unwrap() as u64, count / 2);
}

#[test]
fn what_is_very_much_too_much_is_evicted_in_steps() {
    let folder = Folder::new();
    let large = "a".repeat(600_000);
    let engine = folder.open(Options { max_bytes: 650_000, ..Options::default() });
    for number in 0..3000 {
        set(&engine, number, NEVER);
    }
    let removed = &mut Vec::new();
    let before = engine.length().unwrap();
    let (one, body) = (sid(&engine, 9000), body_ref(&large));
    engine.set(one, body, Condition::None, (START, NEVER), removed).unwrap().unwrap();
    let bound = REMOVED_AT_ONCE..=REMOVED_AT_ONCE + 64;
    assert!(bound.contains(&removed.len()), "{}", removed.len());
    assert_eq!(engine.length().unwrap(), before + 1 - removed.len());
    assert!(engine.is_busy().unwrap() && engine.stats().unwrap().bytes > 650_000);
    while engine.maintenance_step() {}
    assert!(engine.stats().unwrap().bytes <= 650_000);
    assert!(engine.length().unwrap() > 1);
    assert!(engine.found(&sid(&engine, 9000), START, |_| ()).is_some());
}

#[test]
fn a_prune_that_has_nothing_to_do_writes_nothing() {
    let (_folder, engine) = expiring(3);
    engine.sync().unwrap();
    assert!(!engine.is_dirty());
    engine.begin_prune(START).unwrap();
    assert!(!engine.is_dirty());
    assert_eq!(engine.stats().unwrap().counters.prunes, 1);
    set(&engine, 1, NEVER);
    assert!(engine.is_dirty());
}

#[test]
fn a_list_has_all_that_are_there_all_the_while_once() {
    let (_folder, engine) = expiring(2500);
    let mut listed = Vec::new();
    let mut listing = Arc::clone(&engine).listing().unwrap();
    let mut count = 0;
    loop {
        let more = listing.step(&mut listed).unwrap();
        count += 1;
        // The order changes, and some come and go. No page is held: that would fill the file.
        for number in 0..2500 {
            set(&engine, number, START + (count * number.cast_signed()) % 1000);
        }
        set(&engine, 10_000, NEVER);
        engine.destroy(&sid(&engine, 2500), START, &mut Vec::new()).unwrap();
        if !more {
            break;
        }
    }
    assert!(count > 2);
    let mut sids: Vec<Sid> = listed.into_iter().map(|(_, sid)| sid).collect();
    sids.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    let expected: Vec<Sid> = (0..2500).chain([10_000]).map(|number| sid(&engine, number)).collect();
    assert_eq!(sids, expected);
}

#[test]
fn a_list_of_a_store_that_is_gone_ends() {
    let (_folder, engine) = expiring(2500);
    let mut listing = Arc::clone(&engine).listing().unwrap();
    assert!(listing.step(&mut Vec::new()).unwrap());
    drop(engine);
    assert!(!listing.step(&mut Vec::new()).unwrap());
}
