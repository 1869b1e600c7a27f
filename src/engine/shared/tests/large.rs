//! Large sessions in a small file: what is not too large by the rule always finds room.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::SharedEngine;
use super::{Folder, START, body_ref, read};
use crate::background::Maintenance;
use crate::engine::{Condition, Engine, NewCookie, Options, Refused, Touch, Touched};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

const MIB: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A part of the largest there may be, in thousandths, and whether it is JSON.
    Set(u32, usize, bool),
    /// A hundred small ones, each on another page of the trees, and whether they expire.
    SetSmall(u32, bool),
    Touch(u32, usize),
    Destroy(u32),
    Get(u32),
    /// Removes what expires.
    Prune,
    Clear,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let sids = || 0..60_u32;
    let length = prop_oneof![
        3 => Just(1000_usize),
        4 => 500..=1000_usize,
        4 => 0..500_usize,
        2 => 0..40_usize,
    ];
    prop_oneof![
        40 => (sids(), length, any::<bool>())
            .prop_map(|(sid, length, is_json)| Op::Set(sid, length, is_json)),
        8 => (0..5000_u32, any::<bool>()).prop_map(|(seed, expires)| Op::SetSmall(seed, expires)),
        10 => (sids(), 0..1500_usize).prop_map(|(sid, length)| Op::Touch(sid, length)),
        6 => sids().prop_map(Op::Destroy),
        6 => sids().prop_map(Op::Get),
        3 => Just(Op::Prune),
        1 => Just(Op::Clear),
        1 => Just(Op::Reopen),
    ]
}

/// A body of that length that no other write has. The cookie of JSON can be replaced.
fn body_of(number: usize, length: usize, is_json: bool) -> String {
    let begin = if is_json {
        format!(r#"{{"cookie":{{"path":"/{number}"}},"n":""#)
    } else {
        format!("{number}:")
    };
    let end = if is_json { r#""}"# } else { "" };
    let filler = length.saturating_sub(begin.len() + end.len());
    format!("{begin}{}{end}", "x".repeat(filler))
}

fn set(engine: &SharedEngine, sid: &Sid, body: &str, expires: Millis) -> Result<(), Refused> {
    let (body, times) = (body_ref(body), (START, expires));
    let done = engine.set(sid.clone(), body, Condition::None, times, &mut Vec::new());
    done.unwrap_or_else(|error| panic!("a body of {}: {error}", body.bytes.len())).map(drop)
}

fn sid_of(engine: &SharedEngine, number: u32) -> Sid {
    // Some are as long as can be.
    let length = if number % 7 == 3 { 499 } else { 0 };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(4 + length, b's');
    engine.sid(&bytes)
}

fn assert_finds(engine: &SharedEngine, sid: &Sid, body: &str) {
    let found = engine.found(sid, START, read);
    assert!(found.as_deref() == Some(body), "another body");
}

fn run(folder: &Folder, map_size: usize, ops: &[Op]) {
    let mut engine = folder.open_sized(map_size, Options::default());
    let largest = engine.limits().unwrap().max_session;
    assert_eq!(largest, engine.map_size / 8);
    for (number, op) in ops.iter().enumerate() {
        match *op {
            Op::Set(sid, part, is_json) => {
                let sid = sid_of(&engine, sid);
                let body = body_of(number, largest / 1000 * part, is_json);
                let body = if part == 1000 { body_of(number, largest, is_json) } else { body };
                let expires =
                    if number % 3 == 0 { NEVER } else { START + 1 + i64::from(number % 5 == 1) };
                assert_eq!(set(&engine, &sid, &body, expires), Ok(()));
                assert_finds(&engine, &sid, &body);
            }
            Op::SetSmall(seed, expires) => {
                let expires = if expires { START + 1 } else { NEVER };
                for small in 0..100_u32 {
                    let sid = (seed + small).wrapping_mul(0x9E37_79B9).to_be_bytes();
                    let sid = engine.sid(&sid.repeat(3));
                    let body = body_of(number, 40 + small as usize * 3, true);
                    assert_eq!(set(&engine, &sid, &body, expires), Ok(()));
                }
            }
            Op::Touch(sid, length) => {
                let sid = sid_of(&engine, sid);
                let cookie = format!(r#"{{"path":"{}"}}"#, "y".repeat(length));
                let cookie = NewCookie::Text(body_ref(&cookie));
                let touched = engine.touch(
                    &sid,
                    cookie,
                    Touch { now: START, expires: NEVER, is_renewal: false },
                    &mut Vec::new(),
                );
                assert_ne!(touched.unwrap(), Touched::NeedsText);
            }
            Op::Destroy(sid) => {
                let sid = sid_of(&engine, sid);
                engine.destroy(&sid, START, &mut Vec::new()).unwrap();
                assert_eq!(engine.found(&sid, START, read), None);
            }
            Op::Get(sid) => {
                engine.found(&sid_of(&engine, sid), START, read);
            }
            Op::Prune => {
                engine.begin_prune(START + 3).unwrap();
                while engine.maintenance_step() {}
                assert!(!engine.is_busy().unwrap());
            }
            // What is cleared stays in the file at first.
            Op::Clear => {
                Arc::clone(&engine).clear(START, &mut Vec::new()).unwrap();
            }
            Op::Reopen => {
                drop(engine);
                engine = folder.open_sized(map_size, Options::default());
            }
        }
    }
    engine.validate();
    let sid = engine.sid(b"one more than fits");
    let body = body_of(0, largest + 1, false);
    assert_eq!(set(&engine, &sid, &body, NEVER), Err(Refused::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_too_large_is_stored_whatever_was_written_before(
        ops in proptest::collection::vec(op(), 1..150), size in 0..3,
    ) {
        run(&Folder::new(), MIB << size, &ops);
    }
}

/// Each prune copies nearly all that the file has, and the next write comes right after it.
#[test]
fn what_is_not_too_large_is_stored_after_a_prune_that_used_the_file_up() {
    let ops: Vec<Op> = (0..60_u32)
        .flat_map(|round| {
            let small = |step: u32| 1000 * (round % 5) + 100 * step;
            [
                Op::Set(round % 60, 1000, false),
                Op::SetSmall(small(0), true),
                Op::SetSmall(small(1), false),
                Op::Set((round + 20) % 60, 900, true),
                Op::SetSmall(small(2), true),
                Op::Prune,
                Op::Set((round + 40) % 60, 1000, false),
                Op::Prune,
            ]
        })
        .collect();
    run(&Folder::new(), MIB, &ops);
}
