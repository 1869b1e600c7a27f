//! What takes more than one transaction: to others it is done at once, whatever they do meanwhile.

use std::sync::Arc;

use super::super::SharedEngine;
use super::{Folder, START, body_ref};
use crate::engine::{Condition, Engine, Length, Options, Refused};
use crate::pruner::Prunable;
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
    let (folder, engine) = expiring(300);
    let read_before = engine.found(&sid(&engine, 300), START, |body| body.read()).unwrap();
    let mut leftover = Arc::clone(&engine).clear(START, &mut Vec::new()).unwrap().unwrap();
    assert!(engine.is_empty() && engine.ids().unwrap().is_empty());
    assert_eq!(engine.stats().unwrap().bytes, 0);
    let late = Condition::NotDestroyed { read: read_before };
    let times = (START, NEVER);
    let refused = engine.set(sid(&engine, 300), body_ref("{}"), late, times, &mut Vec::new());
    assert_eq!(refused.unwrap(), Err(Refused::Destroyed));

    let mut steps = 1;
    while leftover() {
        set(&engine, steps, NEVER);
        engine.validate();
        steps += 1;
    }
    assert!(steps > 4, "{steps}");
    assert_eq!(engine.held().unwrap() as u64, steps - 1);
    let pages = engine.reading(|snapshot| snapshot.databases.pages(snapshot.transaction)).unwrap();
    assert!(pages < 15, "{pages}");
    drop((leftover, engine));
    assert_eq!(folder.open(Options::default()).held().unwrap() as u64, steps - 1);
}

#[test]
fn a_store_can_be_cleared_again_before_the_first_time_has_ended() {
    let (_folder, engine) = expiring(300);
    for round in 0..4 {
        let _unfinished = Arc::clone(&engine).clear(START, &mut Vec::new()).unwrap();
        assert!(engine.is_empty());
        for number in 0..100 {
            set(&engine, 100 * round + number, NEVER);
        }
        engine.validate();
        assert_eq!(engine.held().unwrap(), 100);
    }
}

#[test]
fn what_a_process_has_left_of_a_clear_the_next_prune_removes() {
    let (folder, engine) = expiring(300);
    drop(Arc::clone(&engine).clear(START, &mut Vec::new()));
    set(&engine, 1, NEVER);
    drop(engine);
    let engine = folder.open(Options::default());
    assert!(engine.begin_prune(START).unwrap(), "though nothing has expired");
    while engine.prune_step() {}
    assert!(!engine.begin_prune(START).unwrap());
    assert_eq!(engine.stats().unwrap().counters.expirations, 0);
    assert_eq!(engine.held().unwrap(), 1);
}

#[test]
fn a_length_does_not_count_what_a_prune_is_to_remove() {
    let (_folder, engine) = expiring(21_000);
    assert_eq!(engine.length().unwrap(), Length::Now(21_001));
    assert!(engine.begin_prune(START + 1).unwrap());
    let Length::Later(asked) = engine.length().unwrap() else {
        panic!("so many are not counted at once");
    };
    assert_eq!(engine.length_after_prune(asked).unwrap(), None);
    while engine.prune_step() {}
    assert!(!engine.is_pruning().unwrap());
    assert_eq!(engine.length_after_prune(asked).unwrap(), Some(1));
    assert_eq!(engine.length().unwrap(), Length::Now(1));
}

#[test]
fn few_that_a_prune_is_to_remove_are_counted_at_once() {
    let (_folder, engine) = expiring(500);
    assert!(engine.begin_prune(START + 1).unwrap());
    assert!(engine.prune_first().unwrap());
    assert_eq!(engine.length().unwrap(), Length::Now(1));
    assert!(engine.held().unwrap() > 1);
    assert_eq!(engine.ids().unwrap(), [sid(&engine, 500)]);
}

#[test]
fn a_prune_that_has_nothing_to_do_writes_nothing() {
    let (_folder, engine) = expiring(3);
    engine.sync().unwrap();
    assert!(!engine.is_dirty());
    assert!(!engine.begin_prune(START).unwrap());
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
