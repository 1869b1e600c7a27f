//! Writers of one session at the same time, in each engine, case by case, and threads that merge into
//! one session while others destroy it. Random runs of them are compared with the model.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sessions::{START, body_ref};
use super::{Store, clear, expires_of, read, write};
use crate::engine::tombstones::REMEMBERED;
use crate::engine::{
    Base, Condition, Engine, MemoryEngine, NewCookie, Options, Refused, Touch, Touched, Version,
};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

fn bytes_of(engine: &dyn Engine) -> usize {
    engine.stats().unwrap().bytes
}

#[test]
fn where_destroyed_is_final_nobody_writes_the_sid_for_minutes() {
    let options = Options { destroyed_is_final: true, ..Options::default() };
    for (store, fresh) in Store::of_each_kind(options).iter().zip(&Store::of_each_kind(options)) {
        let engine = &store.engine;
        let sids: Vec<Sid> = (0..3_u64).map(|number| engine.sid(&number.to_le_bytes())).collect();
        let set = |sid: &Sid, now| write(&**engine, sid, "{}", Condition::None, (now, NEVER));
        set(&sids[0], START).unwrap();
        set(&sids[1], START).unwrap();
        engine.destroy(&sids[0], START, &mut Vec::new()).unwrap();
        assert_eq!(set(&sids[0], START + REMEMBERED), Err(Refused::Destroyed));
        clear(engine, START);
        assert_eq!(set(&sids[1], START), Err(Refused::Destroyed));
        assert!(set(&sids[2], START).is_ok(), "it was not there");
        engine.validate();
        for sid in &sids {
            let twin = fresh.engine.sid(sid.as_bytes());
            write(&*fresh.engine, &twin, "{}", Condition::None, (START, NEVER)).unwrap();
            assert!(set(sid, START + REMEMBERED + 1).is_ok());
        }
        assert_eq!(bytes_of(&**engine), bytes_of(&*fresh.engine), "and then they are forgotten");
        engine.validate();
    }
}

#[test]
fn where_destroyed_is_final_a_clock_that_was_far_ahead_locks_nobody_out() {
    const AHEAD: Millis = START + 365 * 24 * 60 * 60 * 1000;
    let options = Options { destroyed_is_final: true, ..Options::default() };
    for Store { engine, _folder } in &Store::of_each_kind(options) {
        let engine = &**engine;
        let [sid, other] = [b"a", b"b"].map(|sid| engine.sid(sid));
        let set = |sid: &Sid, condition, now| write(engine, sid, "{}", condition, (now, NEVER));
        engine.destroy(&sid, AHEAD, &mut Vec::new()).unwrap();
        assert_eq!(set(&sid, Condition::None, AHEAD - REMEMBERED), Err(Refused::Destroyed));
        set(&sid, Condition::None, AHEAD - REMEMBERED - 1).unwrap();

        engine.destroy(&sid, AHEAD, &mut Vec::new()).unwrap();
        let of_one = bytes_of(engine);
        engine.destroy(&other, START, &mut Vec::new()).unwrap();
        assert_eq!(bytes_of(engine), of_one, "and what it left is forgotten");
        assert_eq!(set(&other, Condition::None, START), Err(Refused::Destroyed));
        let late = Condition::NotDestroyed { read: 0 };
        assert_eq!(set(&sid, late, START), Err(Refused::Destroyed));
        set(&sid, Condition::None, START).unwrap();

        // Nor does one that comes after others which are not over.
        engine.destroy(&sid, START + REMEMBERED, &mut Vec::new()).unwrap();
        assert_eq!(set(&other, Condition::None, START - 1), Err(Refused::Destroyed));
        set(&sid, Condition::None, START - 1).unwrap();
        engine.validate();
    }
}

#[test]
fn a_destroyed_sid_is_forgotten_after_minutes_and_what_was_read_before_it_is_not() {
    for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
        let engine = &**engine;
        let (sid, other) = (engine.sid(b"sid"), engine.sid(b"other"));
        let later = START + REMEMBERED + 1;
        write(engine, &other, "{}", Condition::None, (START, NEVER)).unwrap();
        let without_deaths = bytes_of(engine);
        let read = write(engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap();
        engine.destroy(&sid, START, &mut Vec::new()).unwrap();
        assert!(bytes_of(engine) > without_deaths);
        let kept = write(engine, &other, "{}", Condition::None, (later, NEVER)).unwrap();
        assert_eq!(bytes_of(engine), without_deaths);
        let late = write(engine, &sid, "{}", Condition::NotDestroyed { read }, (later, NEVER));
        assert_eq!(late, Err(Refused::Destroyed));
        // Somebody has logged in under that sid.
        write(engine, &sid, "{}", Condition::None, (later, NEVER)).unwrap();
        let unchanged = Condition::Unchanged { read, expected: read };
        let late = write(engine, &sid, "{}", unchanged, (later, NEVER));
        assert_eq!(late, Err(Refused::Changed));
        let current = Condition::Unchanged { read: kept, expected: kept };
        assert!(write(engine, &other, "{}", current, (later, NEVER)).is_ok());
        engine.validate();
    }
}

const PLAIN: &str = r#"{"expires":"2026-01-01T00:00:10.000Z","path":"/"}"#;

/// The cookie of which a request read [`PLAIN`], with another time and path.
fn cookie(seconds: u32, path: &str) -> String {
    PLAIN.replace(":10.", &format!(":{seconds}.")).replace("\"/\"", &format!("\"{path}\""))
}

/// An engine of each kind in which `sid` has the cookie [`PLAIN`] and lives for 100 ms, kept in the
/// session's text or apart from it.
fn with_a_cookie(check: impl Fn(&dyn Engine, &Sid, Version)) {
    for is_apart in [false, true] {
        for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
            let sid = engine.sid(b"sid");
            let times = (START, START + 100);
            let body = format!(r#"{{"cookie":{PLAIN},"views":1}}"#);
            let mut version = 0;
            for _ in 0..if is_apart { 3 } else { 1 } {
                version = write(&**engine, &sid, &body, Condition::None, times).unwrap();
            }
            check(&**engine, &sid, version);
            engine.validate();
        }
    }
}

fn renew(engine: &dyn Engine, sid: &Sid, cookie: &str, expires: Millis) -> Touched {
    let text = NewCookie::Text(body_ref(cookie));
    engine
        .touch(sid, text, Touch { now: START, expires, is_renewal: true }, &mut Vec::new())
        .unwrap()
}

#[test]
fn a_renewal_takes_from_a_session_neither_lifetime_nor_a_member_of_its_cookie() {
    with_a_cookie(|engine, sid, version| {
        let before = read(engine, sid, START).unwrap().0;
        for (cookie, expires) in [
            (cookie(10, "/"), START + 99),
            (cookie(11, "/"), START + 99),
            ("9".to_owned(), START + 101),
            (cookie(11, "/other"), START + 101),
            (cookie(11, "/").replace("path", "Path"), START + 101),
            // A time that was longer already.
            (PLAIN.replace("00:10", "00:09"), START + 101),
        ] {
            assert_eq!(renew(engine, sid, &cookie, expires), Touched::NeedsRewrite, "{cookie}");
            assert_eq!(read(engine, sid, START).unwrap().0, before);
            assert_eq!(expires_of(engine, sid, START), Some(START + 100));
        }
        assert_eq!(renew(engine, sid, PLAIN, START + 100), Touched::Renewed);
        assert_eq!(renew(engine, sid, &cookie(11, "/"), START + 101), Touched::Renewed);
        assert_eq!(expires_of(engine, sid, START), Some(START + 101));
        let after = read(engine, sid, START).unwrap().0;
        assert_eq!(after, before.replace(":10.", ":11."));
        // Nobody who reads the session has to merge a renewal.
        let unchanged = Condition::Unchanged { read: version, expected: version };
        let times = (START, START + 101);
        assert!(write(engine, sid, &after, unchanged, times).is_ok());
    });
}

#[test]
fn a_renewal_by_template_keeps_what_one_by_text_does() {
    let engine = MemoryEngine::new(Options::default());
    let template = |cookie: &str| engine.template(cookie.as_bytes()).unwrap();
    let (plain, other) = (template(PLAIN), template(&cookie(10, "/other")));
    for sid in ["in the text", "apart", "apart"] {
        let sid = engine.sid(sid.as_bytes());
        let body = format!(r#"{{"cookie":{PLAIN},"views":1}}"#);
        write(&engine, &sid, &body, Condition::None, (START, START + 100)).unwrap();
        let stored = crate::time::from_iso(b"2026-01-01T00:00:10.000Z").unwrap();
        let renew = |template, time, expires| {
            let cookie = NewCookie::Cut { template, time: Some(time) };
            engine
                .touch(
                    &sid,
                    cookie,
                    Touch { now: START, expires, is_renewal: true },
                    &mut Vec::new(),
                )
                .unwrap()
        };
        assert_eq!(renew(other, stored, START + 100), Touched::NeedsRewrite);
        assert_eq!(renew(plain, stored - 1, START + 100), Touched::NeedsRewrite);
        assert_eq!(renew(plain, stored, START + 99), Touched::NeedsRewrite);
        assert_eq!(renew(plain, stored + 1, START + 100), Touched::Renewed);
        assert_eq!(renew(plain, stored, START + 100), Touched::NeedsRewrite);
        engine.validate();
    }
}

#[test]
fn a_touch_that_changes_more_than_the_time_is_a_change_to_whoever_has_read_the_session() {
    with_a_cookie(|engine, sid, version| {
        let unchanged = Condition::Unchanged { read: version, expected: version };
        let touch = |cookie: &str| {
            let cookie = NewCookie::Text(body_ref(cookie));
            engine
                .touch(
                    sid,
                    cookie,
                    Touch { now: START, expires: START + 100, is_renewal: false },
                    &mut Vec::new(),
                )
                .unwrap()
        };
        let set = || write(engine, sid, "{}", unchanged, (START, START + 100));
        assert_eq!(touch(&cookie(11, "/other")), Touched::Renewed);
        assert_eq!(set(), Err(Refused::Changed));
        let body = format!(r#"{{"cookie":{PLAIN}}}"#);
        for (is_change, expected) in [(false, false), (true, true)] {
            let read = write(engine, sid, &body, Condition::None, (START, NEVER)).unwrap();
            let touch = Condition::Touch { read, is_change };
            write(engine, sid, &body, touch, (START, NEVER)).unwrap();
            let unchanged = Condition::Unchanged { read, expected: read };
            let set = write(engine, sid, &body, unchanged, (START, NEVER));
            assert_eq!(set == Err(Refused::Changed), expected);
        }
    });
}

#[test]
fn a_write_does_not_take_from_the_lifetime_that_another_request_gave() {
    with_a_cookie(|engine, sid, version| {
        assert_eq!(renew(engine, sid, &cookie(12, "/"), START + 102), Touched::Renewed);
        let set = |cookie: &str, expected, expires| {
            let body = format!(r#"{{"cookie":{cookie},"views":2}}"#);
            let condition = Condition::Unchanged { read: version, expected };
            write(engine, sid, &body, condition, (START, expires)).map(drop)
        };
        assert_eq!(set(&cookie(12, "/"), version, START + 101), Err(Refused::Changed));
        assert_eq!(set(&cookie(13, "/"), version, START + 102), Ok(()));
        // Who has seen what is stored decides.
        let seen = read(engine, sid, START).unwrap().1;
        assert_eq!(set(&cookie(11, "/"), seen, START + 50), Ok(()));
        assert_eq!(expires_of(engine, sid, START), Some(START + 50));
    });
}

#[test]
fn a_write_does_not_take_from_the_time_of_the_cookie_either() {
    with_a_cookie(|engine, sid, version| {
        let set = |seconds| {
            let cookie = cookie(seconds, "/");
            let body = format!(r#"{{"cookie":{cookie},"views":2}}"#);
            let condition = Condition::Unchanged { read: version + 1000, expected: version + 1000 };
            write(engine, sid, &body, condition, (START, START + 100)).map(drop)
        };
        for (seconds, expected) in [(12, Ok(())), (12, Ok(())), (11, Err(Refused::Changed))] {
            assert_eq!(set(seconds), expected);
        }
    });
}

#[test]
fn threads_that_merge_json_into_one_session_keep_what_each_of_them_wrote() {
    const THREADS: usize = 4;
    const WRITES: usize = 50;
    for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
        let sid = engine.sid(b"sid");
        write(&**engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (engine, sid) = (&**engine, &sid);
                scope.spawn(move || {
                    for number in 0..WRITES {
                        let (text, version) = read(engine, sid, START).unwrap();
                        let separator = if text == "{}" { "" } else { "," };
                        let key = format!(r#"{separator}"{thread}-{number}":1}}"#);
                        let mine = format!("{}{key}", text.strip_suffix('}').unwrap());
                        let base = Base { text: text.as_bytes(), has_fixed_lifetime: true };
                        let (base, times) = ((base, version), (START, NEVER));
                        let body = body_ref(&mine);
                        let merged = engine.merge(sid.clone(), body, base, times, &mut Vec::new());
                        assert!(merged.unwrap().is_ok());
                    }
                });
            }
        });
        let (text, _) = read(&**engine, &sid, START).unwrap();
        for (thread, number) in (0..THREADS).flat_map(|it| (0..WRITES).map(move |at| (it, at))) {
            assert!(text.contains(&format!(r#""{thread}-{number}":1"#)), "{thread}-{number}");
        }
        engine.validate();
    }
}

#[test]
fn a_merge_writes_nothing_that_was_destroyed_and_what_was_evicted_as_it_stands() {
    for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
        let sid = engine.sid(b"sid");
        let base = Base { text: b"{}", has_fixed_lifetime: false };
        let merge = |read| {
            let body = body_ref(r#"{"mine":1}"#);
            let times = (START, START + 50);
            engine.merge(sid.clone(), body, (base, read), times, &mut Vec::new()).unwrap()
        };
        let first = write(&**engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap();
        write(&**engine, &sid, r#"{"theirs":1}"#, Condition::None, (START, NEVER)).unwrap();
        let merged = merge(first).unwrap();
        assert!(merged.is_merged);
        assert_eq!(read(&**engine, &sid, START).unwrap().0, r#"{"mine":1,"theirs":1}"#);
        assert_eq!(expires_of(&**engine, &sid, START), Some(START + 50));
        engine.destroy(&sid, START, &mut Vec::new()).unwrap();
        assert_eq!(merge(first), Err(Refused::Destroyed));
        assert_eq!(read(&**engine, &sid, START), None);
        let after = read_version(&**engine);
        assert_eq!(merge(after).map(|merged| merged.is_merged), Ok(false));
        assert_eq!(read(&**engine, &sid, START).unwrap().0, r#"{"mine":1}"#);
        let stats = engine.stats().unwrap().counters;
        assert_eq!((stats.sets, stats.merges, stats.refused), (5, 1, 1));
    }
}

/// The version at which something is read now.
fn read_version(engine: &dyn Engine) -> Version {
    let sid = engine.sid(b"another");
    write(engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap()
}

#[test]
fn what_is_remembered_of_destroyed_sids_counts_and_makes_room() {
    let one = {
        let engine = MemoryEngine::new(Options::default());
        write(&engine, &engine.sid(b"0"), "{}", Condition::None, (START, NEVER)).unwrap();
        engine.stats().unwrap().bytes
    };
    let engine = MemoryEngine::new(Options { max_bytes: 100 * one, ..Options::default() });
    let removed = &mut Vec::new();
    for number in 0..1000_u64 {
        engine.destroy(&engine.sid(&number.to_le_bytes()), START, removed).unwrap();
    }
    let remembered = engine.stats().unwrap().bytes;
    assert!(remembered > 0 && remembered <= 100 * one / 16);
    for number in 0..200_u64 {
        let sid = engine.sid(&number.to_le_bytes());
        write(&engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap();
        engine.validate();
        assert!(engine.stats().unwrap().bytes <= 100 * one);
    }
    assert!(engine.length().unwrap() >= 93);
    // A session may take the whole budget.
    let large = "1".repeat(80 * one);
    write(&engine, &engine.sid(b"large"), &large, Condition::None, (START, NEVER)).unwrap();
    assert!(engine.length().unwrap() > 0);
    assert!(engine.stats().unwrap().bytes <= 100 * one);
}

/// A session whose body is a list of words, and threads that each add words of their own.
const THREADS: u64 = 4;

/// Adds `word` to the session as a request does: reads, changes, writes; where another one came
/// between, takes in what is stored by then. Returns whether it was written.
pub(in crate::engine) fn add_word(engine: &dyn Engine, sid: &Sid, word: &str) -> bool {
    let Some((mut body, read)) = self::read(engine, sid, START) else {
        return false;
    };
    let mut expected = read;
    loop {
        let longer = format!("{body} {word}");
        let condition = Condition::Unchanged { read, expected };
        match write(engine, sid, &longer, condition, (START, NEVER)) {
            Ok(_) => return true,
            Err(Refused::Changed) => {}
            Err(Refused::Destroyed) => return false,
            Err(refused) => panic!("{refused:?}"),
        }
        if let Some((newer, version)) = self::read(engine, sid, START) {
            (body, expected) = (newer, version);
        }
    }
}

#[test]
fn no_write_of_threads_that_merge_into_one_session_is_lost() {
    for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
        let engine = &**engine;
        let sid = &engine.sid(b"sid");
        write(engine, sid, "0", Condition::None, (START, NEVER)).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for number in 0..300 {
                        assert!(add_word(engine, sid, &format!("{thread}:{number}")));
                    }
                });
            }
        });
        let (body, _) = read(engine, sid, START).unwrap();
        let words: HashSet<&str> = body.split(' ').collect();
        assert_eq!(words.len() as u64, 1 + 300 * THREADS);
        assert_eq!(engine.stats().unwrap().counters.sets, 1 + 300 * THREADS);
    }
}

fn assert_nothing_comes_back(engine: &Arc<dyn Engine>, logins: u64) {
    let sid = &engine.sid(b"sid");
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    add_word(&**engine, sid, &format!("{thread}:{number}"));
                    number += 1;
                }
            });
        }
        scope.spawn(move || {
            for login in 1..=logins {
                // A login begins with its own name; whatever words are added stay behind it.
                let body = format!("login{login}");
                write(&**engine, sid, &body, Condition::None, (START, NEVER)).unwrap();
                if login % 3 == 0 {
                    clear(engine, START);
                } else {
                    engine.destroy(sid, START, &mut Vec::new()).unwrap();
                }
                // Those who read this login are still writing.
                for _ in 0..20 {
                    assert_eq!(read(&**engine, sid, START), None, "login {login} came back");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
    assert_eq!(read(&**engine, sid, START), None);
}

#[test]
fn nothing_that_was_destroyed_comes_back_whatever_threads_write() {
    assert_nothing_comes_back(&Store::in_memory(Options::default()).engine, 2000);
}

#[test]
fn nothing_that_was_destroyed_comes_back_to_a_file_whatever_threads_write() {
    let store = Store::in_a_file(Options::default());
    assert_nothing_comes_back(&store.engine, 1000);
}
