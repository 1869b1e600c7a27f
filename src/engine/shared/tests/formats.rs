//! Files of earlier formats: they are carried over when they are opened, and nothing of them is lost.

use super::super::SharedEngine;
use super::super::head::Head;
use super::super::layout::{self, State};
use super::super::schema::STATE;
use super::{Folder, START, body_ref, read};
use crate::engine::rules::Touch;
use crate::engine::{Condition, Engine, NewCookie, Options, Touched};
use crate::time::NEVER;

/// How many sessions a file of format 3 has, of several lengths.
const SESSIONS: usize = 60;

const COOKIE: &str = r#"{"path":"/"}"#;

fn sid(number: usize) -> String {
    format!("old-{number}")
}

fn old_body(number: usize) -> String {
    let text = "x".repeat(number * number * 4);
    format!(r#"{{"cookie":{COOKIE},"number":{number},"text":"{text}"}}"#)
}

/// A file as format 3 has it: each body apart from its head, each entry where its session is due.
pub(super) fn of_format_3(folder: &Folder) {
    let engine = folder.open(Options::default());
    for number in 0..SESSIONS {
        let (sid, body) = (engine.sid(sid(number).as_bytes()), old_body(number));
        let times = (START, NEVER);
        engine.set(sid, body_ref(&body), Condition::None, times, &mut Vec::new()).unwrap().unwrap();
    }
    let files = engine.files().unwrap();
    let mut transaction = files.env.write_txn().unwrap();
    let state = files.databases.state(&transaction).unwrap();
    let sessions = files.databases.sessions(&state);
    for number in 0..SESSIONS {
        let key = sid(number).into_bytes();
        let value = sessions.heads.get(&transaction, &key).unwrap().unwrap().to_vec();
        let head = Head::read(&key, &value).unwrap();
        assert!(!head.is_left_behind());
        let mut apart = Vec::new();
        Head { here: None, ..head }.write_to(&key, &mut apart);
        sessions.heads.put(&mut transaction, &key, &apart).unwrap();
        if let Some(body) = head.here {
            sessions.bodies.put(&mut transaction, &key, body).unwrap();
        }
    }
    let state = State { format: 3, bytes: 1, ..state };
    files.databases.state.put(&mut transaction, STATE, &state.bytes()).unwrap();
    transaction.commit().unwrap();
}

/// Checks that no session of such a file is lost.
pub(super) fn assert_has_all(engine: &SharedEngine) {
    for number in 0..SESSIONS {
        let found = engine.found(&engine.sid(sid(number).as_bytes()), START, read);
        assert!(found == Some(old_body(number)), "{number}");
    }
}

#[test]
fn a_file_of_format_3_is_carried_over() {
    let folder = Folder::new();
    of_format_3(&folder);
    let engine = folder.open(Options::default());
    assert_eq!(engine.validate().format, layout::FORMAT);
    assert_has_all(&engine);
    assert_eq!(engine.length().unwrap(), SESSIONS);
    assert_eq!(engine.all(START, &mut Vec::new()).unwrap().len(), SESSIONS);
}

#[test]
fn sessions_of_format_3_can_be_touched_written_and_removed() {
    let folder = Folder::new();
    of_format_3(&folder);
    let engine = folder.open(Options::default());
    let removed = &mut Vec::new();
    for number in 0..SESSIONS {
        let sid = engine.sid(sid(number).as_bytes());
        let cookie = NewCookie::Text(body_ref(COOKIE));
        match number % 4 {
            0 => {
                let touch = Touch { now: START, expires: NEVER - 1, is_renewal: false };
                assert_eq!(engine.touch(&sid, cookie, touch, removed).unwrap(), Touched::Renewed);
            }
            1 => {
                let (body, times) = (old_body(number), (START, NEVER));
                let body = body_ref(&body);
                engine.set(sid, body, Condition::None, times, removed).unwrap().unwrap();
            }
            2 => {
                let (body, times) = (old_body(SESSIONS - number), (START, START + 5));
                let body = body_ref(&body);
                engine.set(sid, body, Condition::None, times, removed).unwrap().unwrap();
            }
            _ => assert!(engine.destroy(&sid, START, removed).unwrap()),
        }
        engine.validate();
    }
    assert_eq!(engine.length().unwrap(), SESSIONS / 4 * 3);
    engine.prune_all(START + 6);
    assert_eq!(engine.length().unwrap(), SESSIONS / 2);
    engine.validate();
}
