//! The entries by which sessions are found when they expire: left behind, and moved when they come
//! up.

use std::sync::Arc;

use super::super::layout::Due;
use super::super::writing::STEP;
use super::super::{SharedEngine, closing};
use super::{Folder, START, body_ref};
use crate::background::Maintenance;
use crate::engine::rules::Touch;
use crate::engine::{Condition, Engine, NewCookie, Options, Touched};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

const COOKIE: &str = r#"{"path":"/"}"#;

fn sid(engine: &SharedEngine, number: usize) -> Sid {
    engine.sid(&number.to_be_bytes())
}

fn set(engine: &SharedEngine, number: usize, expires: Millis) {
    let body = format!(r#"{{"cookie":{COOKIE},"number":{number}}}"#);
    let (sid, times) = (sid(engine, number), (START, expires));
    engine.set(sid, body_ref(&body), Condition::None, times, &mut Vec::new()).unwrap().unwrap();
}

fn touch(engine: &SharedEngine, number: usize, expires: Millis) {
    let touch = Touch { now: START, expires, is_renewal: false };
    let (sid, cookie) = (sid(engine, number), NewCookie::Text(body_ref(COOKIE)));
    let touched = engine.touch(&sid, cookie, touch, &mut Vec::new()).unwrap();
    assert_eq!(touched, Touched::Renewed);
}

/// When the entries come up, in their order.
fn entries(engine: &SharedEngine) -> Vec<Millis> {
    let entries = engine.reading(|snapshot| {
        let entries = snapshot.sessions.expiry.iter(snapshot.transaction)?;
        entries.map(|entry| Ok(Due::read(entry?.0).unwrap().expires)).collect()
    });
    entries.unwrap()
}

fn limited(max: usize) -> (Folder, Arc<SharedEngine>) {
    let folder = Folder::new();
    let engine = folder.open(Options { max, keep_removed: true, ..Options::default() });
    (folder, engine)
}

#[test]
fn an_entry_stays_where_a_session_is_to_live_longer() {
    let (_folder, engine) = limited(usize::MAX);
    set(&engine, 0, START + 10);
    touch(&engine, 0, START + 20);
    set(&engine, 0, START + 30);
    assert_eq!(entries(&engine), [START + 10]);
    engine.validate();
    engine.prune_all(START + 15);
    assert_eq!(entries(&engine), [START + 30], "it came up");
    assert_eq!(engine.length().unwrap(), 1);
    engine.validate();
    engine.prune_all(START + 31);
    assert_eq!((entries(&engine).len(), engine.length().unwrap()), (0, 0));
}

#[test]
fn an_entry_moves_at_once_where_a_session_is_to_live_shorter() {
    let (_folder, engine) = limited(usize::MAX);
    set(&engine, 0, START + 10);
    set(&engine, 1, START + 10);
    touch(&engine, 0, START + 5);
    set(&engine, 1, START + 4);
    assert_eq!(entries(&engine), [START + 4, START + 5]);
    engine.validate();
    assert_eq!(engine.prune_all(START + 6).len(), 2);
}

#[test]
fn what_expires_soonest_is_evicted_whatever_entries_are_in_front() {
    let many = 3 * STEP;
    let (_folder, engine) = limited(many);
    for number in 0..many {
        set(&engine, number, START + Millis::try_from(number).unwrap());
    }
    for number in (0..many).rev() {
        let later = Millis::try_from(many - number).unwrap();
        touch(&engine, number, START + 10_000 + later);
    }
    set(&engine, many, NEVER);
    assert_eq!(engine.length().unwrap(), many);
    assert!(!engine.is_alive(&sid(&engine, many - 1), START).unwrap(), "it expires soonest");
    assert!(engine.is_alive(&sid(&engine, 0), START).unwrap());
    engine.validate();
    set(&engine, many + 1, NEVER);
    assert!(!engine.is_alive(&sid(&engine, many - 2), START).unwrap());
    assert_eq!(engine.length().unwrap(), many);
}

/// More than one call moves.
#[test]
fn a_call_moves_a_bounded_number_of_entries_and_steps_do_the_rest() {
    let many = 10 * STEP;
    let (_folder, engine) = limited(many);
    for number in 0..many {
        set(&engine, number, START + 1);
    }
    for number in 0..many {
        touch(&engine, number, START + 10_000);
    }
    set(&engine, many, NEVER);
    assert_eq!(engine.length().unwrap(), many + 1, "it has yet to find out which");
    let is_left = |expires: &&Millis| **expires == START + 1;
    let left = entries(&engine).iter().filter(is_left).count();
    assert!((many - 6 * STEP..many - STEP).contains(&left), "{left}");
    assert!(engine.is_busy().unwrap());
    while engine.maintenance_step() {}
    assert_eq!(engine.length().unwrap(), many);
    assert!(!engine.is_alive(&sid(&engine, 0), START).unwrap(), "it was touched first");
    engine.validate();
}

#[test]
fn a_prune_moves_a_bounded_number_of_entries_in_a_step() {
    let many = 10 * STEP;
    let (_folder, engine) = limited(usize::MAX);
    for number in 0..many {
        set(&engine, number, START + 1);
        touch(&engine, number, START + 10_000);
    }
    engine.begin_prune(START + 2).unwrap();
    let moved = |expires: &&Millis| **expires > START + 1;
    assert!(entries(&engine).iter().filter(moved).count() < many);
    assert!(engine.is_busy().unwrap());
    while engine.maintenance_step() {}
    assert_eq!(entries(&engine).iter().filter(moved).count(), many);
    assert_eq!(engine.length().unwrap(), many);
    engine.validate();
}

#[test]
fn an_entry_that_damage_has_removed_is_made_again_at_the_next_opening() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    for number in 0..3 {
        set(&engine, number, START + 10);
        touch(&engine, number, START + 20);
    }
    {
        let files = engine.files().unwrap();
        let mut transaction = files.env.write_txn().unwrap();
        let expiry = files.databases.sessions[0].expiry;
        let (key, _) = expiry.first(&transaction).unwrap().unwrap();
        let key = key.to_vec();
        assert!(expiry.delete(&mut transaction, &key).unwrap());
        // As many as there should be.
        expiry.put(&mut transaction, &Due::first_at(START).key(), b"nobody's").unwrap();
        transaction.commit().unwrap();
    }
    drop(engine);
    closing::take_mark(folder.path()).unwrap();
    let engine = folder.open(Options::default());
    engine.prune_all(START + 11);
    engine.validate();
    assert_eq!(entries(&engine), [START + 20; 3]);
}
