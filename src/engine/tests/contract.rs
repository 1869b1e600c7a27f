//! The contract of an engine, sentence by sentence, and two engines that are asked the same.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::sessions::{START, body_ref, text};
use super::{Store, clear, expires_of, read, write};
use crate::engine::{
    Condition, Engine, NewCookie, Options, REMOVED_AT_ONCE, Reading, Refused, Removed, Touch,
    Touched,
};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

const KEEP: Options = Options {
    max: usize::MAX,
    max_bytes: usize::MAX,
    stale: false,
    keep_removed: true,
    keep_replaced: true,
    destroyed_is_final: false,
    touch_after: 0,
    user: 0,
    lifetime: 0,
    most: 0,
    is_refusing: false,
    anonymous_first: true,
    hashes_sids: false,
};

fn numbered(engine: &dyn Engine, number: usize) -> Sid {
    engine.sid(format!("sid{number}").as_bytes())
}

/// Writes sessions, each with its number as body.
fn fill(engine: &dyn Engine, numbers: std::ops::Range<usize>, expires: Millis) {
    for number in numbers {
        let sid = numbered(engine, number);
        write(engine, &sid, &number.to_string(), Condition::None, (START, expires)).unwrap();
    }
}

fn touch(engine: &dyn Engine, sid: &Sid, cookie: &str, now: Millis, expires: Millis) -> Touched {
    let touch = Touch { now, expires, is_renewal: false };
    engine.touch(sid, NewCookie::Text(body_ref(cookie)), touch, &mut Vec::new()).unwrap()
}

/// What has been removed so far, as bodies, in order, the work that was left to steps included.
fn settled(engine: &dyn Engine, removed: Vec<Removed>) -> Vec<String> {
    let mut removed = removed;
    while engine.is_busy().unwrap() {
        engine.maintenance_step();
        engine.take_pruned(100, &mut removed);
    }
    removed.iter().map(|one| text(&one.body)).collect()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

fn for_each_engine(options: Options, check: impl Fn(&Arc<dyn Engine>)) {
    for Store { engine, _folder } in &Store::of_each_kind(options) {
        check(engine);
        engine.validate();
    }
}

#[test]
fn a_record_is_found_up_to_the_moment_at_which_it_expires() {
    for_each_engine(KEEP, |engine| {
        let sid = engine.sid(b"sid");
        write(&**engine, &sid, "body", Condition::None, (START, START + 5)).unwrap();
        assert_eq!(read(&**engine, &sid, START + 5).unwrap().0, "body");
        assert_eq!(engine.length().unwrap(), 1);
        let mut removed = Vec::new();
        let is_found = engine
            .read(&sid, Reading::Get, START + 6, &mut removed, &mut |_| unreachable!())
            .unwrap();
        assert!(!is_found);
        assert_eq!(settled(&**engine, removed), ["body"]);
        assert_eq!(engine.length().unwrap(), 0);
        let stats = engine.stats().unwrap().counters;
        assert_eq!((stats.hits, stats.misses, stats.expirations), (1, 1, 1));
    });
}

#[test]
fn a_stale_engine_gives_an_expired_record_once_more() {
    for_each_engine(Options { stale: true, ..KEEP }, |engine| {
        let sid = engine.sid(b"sid");
        write(&**engine, &sid, "body", Condition::None, (START, START + 5)).unwrap();
        assert_eq!(read(&**engine, &sid, START + 6).unwrap().0, "body");
        assert_eq!(read(&**engine, &sid, START + 6), None);
    });
}

#[test]
fn only_get_counts_hits_and_misses() {
    for_each_engine(KEEP, |engine| {
        let [there, missing] = [engine.sid(b"there"), engine.sid(b"missing")];
        write(&**engine, &there, "body", Condition::None, (START, NEVER)).unwrap();
        for sid in [&there, &missing] {
            let removed = &mut Vec::new();
            let is_found = engine.read(sid, Reading::Fetch, START, removed, &mut |_| ()).unwrap();
            assert_eq!(
                is_found,
                engine.read(sid, Reading::Peek, START, removed, &mut |_| ()).unwrap()
            );
            assert_eq!(is_found, sid == &there);
        }
        let stats = engine.stats().unwrap().counters;
        assert_eq!((stats.hits, stats.misses), (0, 0));
    });
}

#[test]
fn the_last_of_the_sids_is_evicted_next_and_handed_out() {
    for_each_engine(Options { max: 4, ..KEEP }, |engine| {
        fill(&**engine, 0..4, START + 1000);
        let sid = numbered(&**engine, 0);
        assert_eq!(
            touch(&**engine, &sid, r#"{"a":1}"#, START, START + 2000),
            Touched::NeedsRewrite
        );
        assert!(read(&**engine, &numbered(&**engine, 1), START).is_some());
        let ids = engine.ids().unwrap();
        let last = ids.last().unwrap().clone();
        let mut removed = Vec::new();
        let new = numbered(&**engine, 4);
        let times = (START, START + 1000);
        engine.set(new, body_ref("4"), Condition::None, times, &mut removed).unwrap().unwrap();
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].sid, last);
        assert_eq!(engine.ids().unwrap().len(), 4);
        assert_eq!(engine.stats().unwrap().counters.evictions_by_count, 1);
    });
}

#[test]
fn peek_leaves_the_order_as_it_is() {
    for_each_engine(Options { max: 100, ..KEEP }, |engine| {
        fill(&**engine, 0..4, START + 1000);
        let before = engine.ids().unwrap();
        let last = before.last().unwrap();
        engine.read(last, Reading::Peek, START, &mut Vec::new(), &mut |_| ()).unwrap();
        assert_eq!(engine.ids().unwrap(), before);
    });
}

#[test]
fn is_alive_neither_uses_nor_removes() {
    for_each_engine(Options { max: 100, stale: true, ..KEEP }, |engine| {
        fill(&**engine, 0..4, START + 1000);
        let before = engine.ids().unwrap();
        let last = before.last().unwrap();
        assert!(engine.is_alive(last, START + 1000).unwrap());
        assert!(!engine.is_alive(last, START + 1001).unwrap());
        assert!(!engine.is_alive(&engine.sid(b"missing"), START).unwrap());
        assert!(!engine.is_alive(&engine.sid(&[0; 1000]), START).unwrap());
        assert_eq!(engine.ids().unwrap(), before);
        assert!(read(&**engine, last, START + 1001).is_some(), "it is given once more");
        let stats = engine.stats().unwrap().counters;
        assert_eq!((stats.hits, stats.misses, stats.expirations), (1, 0, 1));
    });
}

#[test]
fn a_set_hands_out_the_body_in_place_of_which_it_wrote() {
    for_each_engine(KEEP, |engine| {
        fill(&**engine, 0..1, NEVER);
        let mut removed = Vec::new();
        let sid = numbered(&**engine, 0);
        engine
            .set(sid.clone(), body_ref("new"), Condition::None, (START, NEVER), &mut removed)
            .unwrap()
            .unwrap();
        assert_eq!(settled(&**engine, removed), ["0"]);
        assert_eq!(read(&**engine, &sid, START).unwrap().0, "new");
        assert_eq!(engine.length().unwrap(), 1);
    });
}

#[test]
fn a_refused_write_changes_nothing() {
    for_each_engine(KEEP, |engine| {
        let sid = engine.sid(b"sid");
        let first = write(&**engine, &sid, "first", Condition::None, (START, NEVER)).unwrap();
        write(&**engine, &sid, "second", Condition::None, (START, START + 9)).unwrap();
        let before = engine.stats().unwrap();
        let condition = Condition::Unchanged { read: first, expected: first };
        let mut removed = Vec::new();
        let answer =
            engine.set(sid.clone(), body_ref("third"), condition, (START, NEVER), &mut removed);
        assert_eq!(answer.unwrap(), Err(Refused::Changed));
        assert_eq!(removed, []);
        let after = engine.stats().unwrap();
        assert_eq!((after.bytes, after.counters.sets), (before.bytes, before.counters.sets));
        assert_eq!(expires_of(&**engine, &sid, START), Some(START + 9));
        assert_eq!(read(&**engine, &sid, START).unwrap().0, "second");
    });
}

#[test]
fn a_session_that_alone_takes_more_than_the_budget_is_refused() {
    for_each_engine(Options { max_bytes: 10_000, ..KEEP }, |engine| {
        fill(&**engine, 0..1, NEVER);
        let large = "x".repeat(10_001);
        let answer =
            write(&**engine, &engine.sid(b"large"), &large, Condition::None, (START, NEVER));
        assert_eq!(answer, Err(Refused::TooLarge));
        assert_eq!(engine.length().unwrap(), 1);
    });
}

#[test]
fn a_touch_gives_a_new_cookie_and_expiry_and_leaves_the_rest() {
    for_each_engine(KEEP, |engine| {
        let sid = engine.sid(b"sid");
        let body = r#"{"cookie":{"path":"/"},"a": 1}"#;
        write(&**engine, &sid, body, Condition::None, (START, START + 5)).unwrap();
        let cookie = r#"{"path":"/x"}"#;
        assert_eq!(touch(&**engine, &sid, cookie, START, START + 50), Touched::Renewed);
        assert_eq!(expires_of(&**engine, &sid, START), Some(START + 50));
        assert_eq!(read(&**engine, &sid, START).unwrap().0, r#"{"cookie":{"path":"/x"},"a": 1}"#);
        assert_eq!(touch(&**engine, &sid, cookie, START + 51, NEVER), Touched::Missing);
        assert_eq!(engine.length().unwrap(), 0);
    });
}

#[test]
fn destroy_tells_whether_there_was_a_record_and_hands_it_out() {
    for_each_engine(KEEP, |engine| {
        fill(&**engine, 0..2, NEVER);
        let sid = numbered(&**engine, 0);
        let mut removed = Vec::new();
        assert!(engine.destroy(&sid, START, &mut removed).unwrap());
        assert!(!engine.destroy(&sid, START, &mut removed).unwrap());
        assert_eq!(settled(&**engine, removed), ["0"]);
        assert_eq!(engine.ids().unwrap(), [numbered(&**engine, 1)]);
    });
}

#[test]
fn a_discarded_record_leaves_no_trace() {
    let options = Options { destroyed_is_final: true, ..KEEP };
    for_each_engine(options, |engine| {
        fill(&**engine, 0..1, NEVER);
        let before = engine.stats().unwrap();
        let sid = engine.sid(b"sid");
        // More than one page holds, and nothing of it stays.
        let large = format!(r#"{{"cookie":{{"path":"/"}},"a":"{}"}}"#, "x".repeat(10_000));
        for body in ["body", &large] {
            write(&**engine, &sid, body, Condition::None, (START, START + 5)).unwrap();
            let (_, version) = read(&**engine, &sid, START).unwrap();
            let counted = engine.stats().unwrap().counters;
            let mut removed = Vec::new();
            engine.discard(&sid, &mut removed).unwrap();
            assert_eq!(settled(&**engine, removed), [""; 0]);
            let after = engine.stats().unwrap();
            assert_eq!((after.sessions, after.bytes), (before.sessions, before.bytes));
            assert_eq!(format!("{:?}", after.counters), format!("{counted:?}"));
            assert_eq!(engine.ids().unwrap(), [numbered(&**engine, 0)]);
            assert_eq!(read(&**engine, &sid, START), None);
            engine.discard(&sid, &mut Vec::new()).unwrap();

            let condition = Condition::Unchanged { read: version, expected: version };
            write(&**engine, &sid, "again", condition, (START, START + 5)).unwrap();
            assert_eq!(read(&**engine, &sid, START).unwrap().0, "again");
            engine.discard(&sid, &mut Vec::new()).unwrap();
            write(&**engine, &sid, "anew", Condition::None, (START, START + 50)).unwrap();
            engine.begin_prune(START + 6).unwrap();
            while engine.maintenance_step() {}
            assert_eq!(read(&**engine, &sid, START + 6).unwrap().0, "anew");
            engine.discard(&sid, &mut Vec::new()).unwrap();
        }
    });
}

/// More than an operation removes itself.
const MANY: usize = 3 * REMOVED_AT_ONCE;

#[test]
fn clear_hands_out_each_record_once() {
    for_each_engine(KEEP, |engine| {
        fill(&**engine, 0..MANY, NEVER);
        let mut removed = Vec::new();
        Arc::clone(engine).clear(START, &mut removed).unwrap();
        assert_eq!(engine.length().unwrap(), 0);
        assert_eq!(engine.ids().unwrap(), []);
        assert_eq!(read(&**engine, &numbered(&**engine, 0), START), None);
        let numbers = (0..MANY).map(|number| number.to_string()).collect();
        assert_eq!(sorted(settled(&**engine, removed)), sorted(numbers));
    });
}

#[test]
fn a_prune_removes_what_has_expired_and_hands_out_each_once() {
    for_each_engine(KEEP, |engine| {
        fill(&**engine, 0..MANY, START + 5);
        fill(&**engine, MANY..MANY + 10, START + 6);
        engine.begin_prune(START + 6).unwrap();
        let numbers = (0..MANY).map(|number| number.to_string()).collect();
        assert_eq!(sorted(settled(&**engine, Vec::new())), sorted(numbers));
        assert_eq!(engine.length().unwrap(), 10);
        let stats = engine.stats().unwrap().counters;
        assert_eq!((stats.expirations, stats.prunes), (MANY as u64, 1));
    });
}

#[test]
fn lists_and_copies_have_each_session_once_in_one_order() {
    for_each_engine(KEEP, |engine| {
        fill(&**engine, 0..MANY, NEVER);
        let ids = engine.ids().unwrap();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MANY);
        let all = engine.all(START, &mut Vec::new()).unwrap();
        assert_eq!(all.iter().map(|(sid, _)| sid.clone()).collect::<Vec<_>>(), ids);

        let mut listing = Arc::clone(engine).listing().unwrap();
        let mut listed = Vec::new();
        while listing.step(&mut listed).unwrap() {}
        listed.sort_by(|(one, _), (other, _)| other.cmp(one));
        assert_eq!(listed.into_iter().map(|(_, sid)| sid).collect::<Vec<_>>(), ids);
    });
}

/// What one engine is asked and so is the other.
#[derive(Clone, Debug)]
enum Op {
    Get(usize),
    Peek(usize),
    Set(usize, Millis),
    /// A write of what was read some operations ago.
    Compare(usize, usize, Millis),
    Touch(usize, Millis, bool),
    Destroy(usize),
    Discard(usize),
    Clear,
    Clock(Millis),
    Prune,
    All,
}

fn op() -> impl Strategy<Value = Op> {
    let sid = 0..4_usize;
    let life = 0..40_i64;
    prop_oneof![
        6 => sid.clone().prop_map(Op::Get),
        2 => sid.clone().prop_map(Op::Peek),
        5 => (sid.clone(), life.clone()).prop_map(|(sid, life)| Op::Set(sid, life)),
        4 => (sid.clone(), 0..4_usize, life.clone())
            .prop_map(|(sid, ago, life)| Op::Compare(sid, ago, life)),
        4 => (sid.clone(), life, any::<bool>())
            .prop_map(|(sid, life, is_renewal)| Op::Touch(sid, life, is_renewal)),
        2 => sid.clone().prop_map(Op::Destroy),
        1 => sid.prop_map(Op::Discard),
        1 => Just(Op::Clear),
        3 => (0..20_i64).prop_map(Op::Clock),
        1 => Just(Op::Prune),
        1 => Just(Op::All),
    ]
}

fn session(number: usize) -> String {
    format!(r#"{{"cookie":{{"path":"/"}},"number":{number}}}"#)
}

/// What the engine answers to each of the operations, as text.
fn answers(engine: &Arc<dyn Engine>, ops: &[Op]) -> Vec<String> {
    let mut now = START;
    let mut versions = Vec::new();
    let mut answers = Vec::new();
    let removed = &mut Vec::new();
    for (number, op) in ops.iter().enumerate() {
        let answer = match *op {
            Op::Get(sid) => {
                let found = read(&**engine, &numbered(&**engine, sid), now);
                versions.extend(found.iter().map(|(_, version)| *version));
                format!("{:?}", found.map(|(body, _)| body))
            }
            Op::Peek(sid) => format!("{:?}", expires_of(&**engine, &numbered(&**engine, sid), now)),
            Op::Set(sid, life) => {
                let sid = numbered(&**engine, sid);
                let times = (now, now + life);
                let written = write(&**engine, &sid, &session(number), Condition::None, times);
                format!("{:?}", written.map(|_| ()))
            }
            Op::Compare(sid, ago, life) => {
                let sid = numbered(&**engine, sid);
                let read = versions.iter().rev().nth(ago).copied();
                let written = read.map(|read| {
                    let condition = Condition::Unchanged { read, expected: read };
                    write(&**engine, &sid, &session(number), condition, (now, now + life))
                });
                format!("{:?}", written.map(|written| written.map(|_| ())))
            }
            Op::Touch(sid, life, is_renewal) => {
                let touch = Touch { now, expires: now + life, is_renewal };
                let cookie = NewCookie::Text(body_ref(r#"{"path":"/"}"#));
                let sid = numbered(&**engine, sid);
                format!("{:?}", engine.touch(&sid, cookie, touch, removed).unwrap())
            }
            Op::Destroy(sid) => {
                format!("{:?}", engine.destroy(&numbered(&**engine, sid), now, removed).unwrap())
            }
            Op::Discard(sid) => {
                engine.discard(&numbered(&**engine, sid), removed).unwrap();
                String::new()
            }
            Op::Clear => {
                clear(engine, now);
                String::new()
            }
            Op::Clock(step) => {
                now += step;
                String::new()
            }
            Op::Prune => {
                engine.begin_prune(now).unwrap();
                while engine.maintenance_step() {}
                format!("{:?}", engine.length().unwrap())
            }
            Op::All => {
                let all = engine.all(now, removed).unwrap();
                let bodies = all.iter().map(|(_, body)| format!("{:?}", body.bytes())).collect();
                sorted(bodies).join(" ")
            }
        };
        answers.push(format!("{op:?}: {answer}"));
    }
    engine.validate();
    let stats = engine.stats().unwrap().counters;
    answers.push(format!("{} {} {}", stats.hits, stats.misses, stats.sets));
    answers.push(format!("{} {} {}", stats.refused, stats.touches, stats.expirations));
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn two_engines_that_are_asked_the_same_answer_the_same(
        ops in prop::collection::vec(op(), 1..120),
        stale in any::<bool>(),
        destroyed_is_final in any::<bool>(),
        touch_after in prop_oneof![Just(0_i64), Just(15)],
    ) {
        let options = Options {
            stale,
            destroyed_is_final,
            touch_after,
            ..Options::default()
        };
        let [memory, file] = Store::of_each_kind(options);
        prop_assert_eq!(answers(&memory.engine, &ops), answers(&file.engine, &ops));
    }
}
