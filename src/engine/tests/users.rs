//! The rules of users and lifetimes: sentence by sentence, and that the index says what the stored
//! sessions say, whatever has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::sessions::{START, body_ref, read, text};
use super::{Store, clear, expires_of, write};
use crate::engine::{
    Base, Condition, Ended, Engine, Facts, NewCookie, Options, Owner, Reading, Refused, Removed,
    Terms, Touch, Touched, Version, Which,
};
use crate::session::{BodyView, UserPath};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

static PATH: LazyLock<UserPath> = LazyLock::new(|| UserPath::new("user"));

const USERS: Options = Options {
    max: usize::MAX,
    max_bytes: usize::MAX,
    stale: false,
    keep_removed: true,
    keep_replaced: false,
    destroyed_is_final: false,
    touch_after: 0,
    user: 1,
    lifetime: 1,
    most: 1,
    is_refusing: false,
    anonymous_first: true,
    hashes_sids: false,
};

fn terms() -> Terms<'static> {
    Terms { owner: Owner::At(&PATH), ..Terms::NONE }
}

fn for_each_engine(options: Options, check: impl Fn(&Arc<dyn Engine>)) {
    for Store { engine, _folder } in &Store::with_users(options) {
        check(engine);
        engine.validate();
    }
}

fn of(user: &str) -> String {
    format!(r#"{{"cookie":{{"path":"/"}},"user":"{user}"}}"#)
}

fn set_by(
    engine: &dyn Engine,
    sid: &str,
    body: &str,
    times: (Millis, Millis),
    terms: Terms<'_>,
) -> Result<Version, Refused> {
    let sid = engine.sid(sid.as_bytes());
    let removed = &mut Vec::new();
    engine.set_by(sid, body_ref(body), Condition::None, times, terms, removed).unwrap()
}

fn set(engine: &dyn Engine, sid: &str, body: &str, now: Millis) {
    set_by(engine, sid, body, (now, now + 1000), terms()).unwrap();
}

fn touch(engine: &dyn Engine, sid: &str, now: Millis, expires: Millis, lifetime: Millis) {
    let touch = Touch { now, expires, is_renewal: false };
    let cookie = NewCookie::Text(body_ref(r#"{"path":"/new"}"#));
    let sid = engine.sid(sid.as_bytes());
    let touched = engine.touch_within(&sid, cookie, touch, lifetime, &mut Vec::new()).unwrap();
    assert_eq!(touched, Touched::Renewed);
}

fn name(sid: &Sid) -> String {
    String::from_utf8(sid.as_bytes().to_vec()).unwrap()
}

/// The sessions of a user with their facts and bodies.
fn sessions(engine: &dyn Engine, user: &str, now: Millis) -> BTreeMap<String, (Facts, String)> {
    let user = engine.user(user.as_bytes());
    let mut found = BTreeMap::new();
    let mut after = None;
    loop {
        let mut keep = |sid: &Sid, facts: &Facts, body: BodyView<'_>| {
            let twice = found.insert(name(sid), (*facts, read(body)));
            assert_eq!(twice, None);
        };
        after = engine.sessions_of(user, after.as_ref(), now, &mut keep).unwrap();
        if after.is_none() {
            return found;
        }
    }
}

fn names(engine: &dyn Engine, user: &str, now: Millis) -> Vec<String> {
    sessions(engine, user, now).into_keys().collect()
}

fn facts(engine: &dyn Engine, sid: &str, now: Millis) -> Option<Facts> {
    let mut told = None;
    let mut keep = |facts: &Facts, _: BodyView<'_>| told = Some(*facts);
    let is_found = engine.info(&engine.sid(sid.as_bytes()), now, &mut keep).unwrap();
    assert_eq!(is_found, told.is_some());
    told
}

/// Ends sessions of a user. Returns how many, and what was removed.
fn end(engine: &dyn Engine, user: &str, which: Which<'_>, now: Millis) -> (usize, Vec<String>) {
    let user = engine.user(user.as_bytes());
    let mut removed: Vec<Removed> = Vec::new();
    let (mut count, mut after) = (0, None);
    loop {
        let Ended { count: more, after: next } =
            engine.destroy_user(user, which, after.as_ref(), now, &mut removed).unwrap();
        count += more;
        after = next;
        if after.is_none() {
            return (count, removed.iter().map(|one| text(&one.body)).collect());
        }
    }
}

const ALL: Which<'_> = Which::All { except: None };

#[test]
fn a_user_has_the_sessions_whose_stored_text_says_so() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        set(engine, "a", &of("ann"), START);
        set(engine, "b", &of("bob"), START);
        set(engine, "c", r#"{"cookie":{}}"#, START);
        set(engine, "d", &of("ann"), START);
        assert_eq!(names(engine, "ann", START), ["a", "d"]);
        assert_eq!(names(engine, "bob", START), ["b"]);
        assert!(names(engine, "", START).is_empty());

        set(engine, "a", &of("bob"), START);
        set(engine, "d", r#"{"cookie":{}}"#, START);
        assert!(names(engine, "ann", START).is_empty());
        assert_eq!(sessions(engine, "bob", START)["a"].1, of("bob"));
        // Expired ones are not in it.
        assert!(names(engine, "bob", START + 1001).is_empty());
    });
}

#[test]
fn a_caller_can_name_the_owner() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        let named = Terms { owner: Owner::Named(b"ann"), ..Terms::NONE };
        set_by(engine, "a", "not JSON", (START, NEVER), named).unwrap();
        assert_eq!(names(engine, "ann", START), ["a"]);
        // A path finds nobody in what is not JSON.
        set_by(engine, "a", "not JSON", (START, NEVER), terms()).unwrap();
        assert!(names(engine, "ann", START).is_empty());
    });
}

#[test]
fn the_owner_of_a_merged_session_is_that_of_the_merged_text() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        let removed = &mut Vec::new();
        let base = r#"{"cookie":{},"n":1}"#;
        set(engine, "a", base, START);
        let sid = engine.sid(b"a");
        let mut version = 0;
        let mut keep = |body: BodyView<'_>| version = body.read();
        engine.read(&sid, Reading::Get, START, removed, &mut keep).unwrap();
        set(engine, "a", r#"{"cookie":{},"n":1,"user":"ann"}"#, START);
        let base = Base { text: base.as_bytes(), has_fixed_lifetime: true };
        let mine = body_ref(r#"{"cookie":{},"n":2}"#);
        let merged = engine
            .merge_by(sid, mine, (base, version), (START, NEVER), terms(), removed)
            .unwrap()
            .unwrap();
        assert!(merged.is_merged);
        assert_eq!(sessions(engine, "ann", START)["a"].1, r#"{"cookie":{},"n":2,"user":"ann"}"#);
    });
}

#[test]
fn a_session_is_created_by_its_first_write_or_for_another_user_and_used_by_each_write() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        set(engine, "a", &of("ann"), START);
        let times = |now| facts(engine, "a", now).unwrap().times;
        assert_eq!(times(START + 5), Some((START, START)));
        set(engine, "a", &of("ann"), START + 10);
        assert_eq!(times(START + 10), Some((START, START + 10)));
        touch(engine, "a", START + 20, START + 1020, NEVER);
        assert_eq!(times(START + 20), Some((START, START + 20)));
        // A read is no use.
        expires_of(engine, &engine.sid(b"a"), START + 30);
        assert_eq!(times(START + 30), Some((START, START + 20)));
        set(engine, "a", &of("bob"), START + 40);
        assert_eq!(times(START + 40), Some((START + 40, START + 40)));
        // What has expired is not continued.
        set(engine, "a", &of("bob"), START + 2000);
        assert_eq!(times(START + 2000), Some((START + 2000, START + 2000)));
        // The clock is set back.
        set(engine, "a", &of("bob"), START + 1500);
        assert_eq!(times(START + 1500), Some((START + 1500, START + 1500)));
        assert_eq!(facts(engine, "b", START), None);
    });
}

#[test]
fn no_write_and_no_touch_lets_a_session_live_longer_than_its_lifetime() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        let limited = Terms { lifetime: 100, ..terms() };
        let expires = |sid: &str, now| facts(engine, sid, now).map(|facts| facts.expires);
        set_by(engine, "a", &of("ann"), (START, START + 60), limited).unwrap();
        assert_eq!(expires("a", START), Some(START + 60));
        touch(engine, "a", START + 50, START + 110, 100);
        assert_eq!(expires("a", START + 50), Some(START + 100));
        set_by(engine, "a", &of("ann"), (START + 90, NEVER), limited).unwrap();
        assert_eq!(expires("a", START + 90), Some(START + 100));
        assert_eq!(expires("a", START + 101), None);
        // A new session of the sid, and another user, start anew.
        set_by(engine, "a", &of("ann"), (START + 101, NEVER), limited).unwrap();
        assert_eq!(expires("a", START + 101), Some(START + 201));
        set_by(engine, "a", &of("bob"), (START + 150, NEVER), limited).unwrap();
        assert_eq!(expires("a", START + 150), Some(START + 250));

        let none = Terms { lifetime: 0, ..terms() };
        set_by(engine, "b", &of("ann"), (START, NEVER), none).unwrap();
        assert_eq!(expires("b", START), None);
    });
}

#[test]
fn ending_the_sessions_of_a_user_destroys_them() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        for sid in ["a", "b", "c"] {
            set(engine, sid, &of("ann"), START);
        }
        set(engine, "d", &of("bob"), START);
        set_by(engine, "e", &of("ann"), (START - 10, START - 1), terms()).unwrap();
        let (sid, removed) = (engine.sid(b"a"), &mut Vec::new());
        let mut version = 0;
        let mut keep = |body: BodyView<'_>| version = body.read();
        engine.read(&sid, Reading::Get, START, removed, &mut keep).unwrap();

        let kept = engine.sid(b"b");
        let (count, removed) = end(engine, "ann", Which::All { except: Some(&kept) }, START);
        assert_eq!((count, removed), (2, vec![of("ann"); 2]));
        assert_eq!(names(engine, "ann", START), ["b"]);
        // A request that has read it cannot write it back.
        let late = Condition::NotDestroyed { read: version };
        assert_eq!(write(engine, &sid, &of("ann"), late, (START, NEVER)), Err(Refused::Destroyed));
        let other = engine.sid(b"d").handle();
        assert_eq!(end(engine, "ann", Which::Only(other), START).0, 0, "it is somebody else's");
        assert_eq!(end(engine, "bob", Which::Only(other), START).0, 1);
        assert_eq!(end(engine, "ann", ALL, START).0, 1);
        assert_eq!(end(engine, "ann", ALL, START).0, 0);
    });
}

#[test]
fn many_sessions_of_a_user_are_listed_and_ended_in_steps() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        for number in 0..1300 {
            set(engine, &format!("sid{number}"), &of("ann"), START);
        }
        set(engine, "other", &of("bob"), START);
        assert_eq!(names(engine, "ann", START).len(), 1300);
        let only = Which::Only(engine.sid(b"sid777").handle());
        assert_eq!(end(engine, "ann", only, START).0, 1);
        let kept = engine.sid(b"sid1");
        assert_eq!(end(engine, "ann", Which::All { except: Some(&kept) }, START).0, 1298);
        assert_eq!(names(engine, "ann", START), ["sid1"]);
        assert_eq!(names(engine, "bob", START), ["other"]);
    });
}

#[test]
fn a_user_who_has_too_many_loses_those_unused_longest() {
    for_each_engine(USERS, |engine| {
        let engine = &**engine;
        let two = Terms { most: 2, ..terms() };
        let set = |sid: &str, now| set_by(engine, sid, &of("ann"), (now, now + 1000), two).unwrap();
        set("a", START);
        set("b", START + 1);
        touch(engine, "a", START + 2, START + 1002, NEVER);
        set("c", START + 3);
        assert_eq!(names(engine, "ann", START + 3), ["a", "c"]);
        // What the user has already does not count twice.
        set("a", START + 4);
        assert_eq!(names(engine, "ann", START + 4), ["a", "c"]);
        // A lower limit counts once the user gains one.
        let one = Terms { most: 1, ..terms() };
        set_by(engine, "c", &of("ann"), (START + 5, START + 999), one).unwrap();
        assert_eq!(names(engine, "ann", START + 5), ["a", "c"]);
        set_by(engine, "d", &of("ann"), (START + 6, START + 999), one).unwrap();
        assert_eq!(names(engine, "ann", START + 6), ["d"]);
        // Expired ones do not count, and what is over from the start ends nobody's.
        set_by(engine, "e", &of("ann"), (START + 7, START + 6), one).unwrap();
        assert_eq!(names(engine, "ann", START + 7), ["d"]);
        set_by(engine, "f", &of("ann"), (START + 1000, NEVER), one).unwrap();
        assert_eq!(names(engine, "ann", START + 1000), ["f"]);
    });
}

#[test]
fn a_session_too_many_can_be_refused() {
    for_each_engine(Options { is_refusing: true, ..USERS }, |engine| {
        let engine = &**engine;
        let one = Terms { most: 1, ..terms() };
        let set = |sid: &str, user: &str, now| {
            set_by(engine, sid, &of(user), (now, now + 1000), one).map(drop)
        };
        assert_eq!(set("a", "ann", START), Ok(()));
        assert_eq!(set("b", "bob", START), Ok(()));
        assert_eq!(set("c", "ann", START), Err(Refused::UserFull));
        assert_eq!(set("b", "ann", START), Err(Refused::UserFull));
        assert_eq!(names(engine, "bob", START), ["b"], "nothing is written");
        assert_eq!(engine.length().unwrap(), 2);
        assert_eq!(set("a", "ann", START + 1), Ok(()));
        assert_eq!(set("c", "ann", START + 1002), Ok(()), "the other has expired");
    });
}

#[test]
fn whatever_removes_a_session_takes_it_out_of_the_index() {
    for_each_engine(Options { max: 3, ..USERS }, |engine| {
        let each = &**engine;
        for sid in ["a", "b", "c", "d"] {
            set(each, sid, &of("ann"), START);
        }
        assert_eq!(names(each, "ann", START).len(), 3);
        each.destroy(&each.sid(b"d"), START, &mut Vec::new()).unwrap();
        each.discard(&each.sid(b"c"), &mut Vec::new()).unwrap();
        assert_eq!(names(each, "ann", START), ["b"]);
        each.begin_prune(START + 1001).unwrap();
        each.validate();
        assert!(names(each, "ann", START).is_empty());
        for number in 0..3 {
            set(each, &format!("sid{number}"), &of("ann"), START);
        }
        clear(engine, START);
        assert!(names(each, "ann", START).is_empty());
        set(each, "a", &of("ann"), START);
        assert_eq!(names(each, "ann", START), ["a"]);
    });
}

#[test]
fn without_the_options_nothing_is_noted() {
    for Store { engine, _folder } in &Store::of_each_kind(Options::default()) {
        set(&**engine, "a", &of("ann"), START);
        let told = facts(&**engine, "a", START).unwrap();
        assert_eq!((told.times, told.expires), (None, START + 1000));
        assert!(names(&**engine, "ann", START).is_empty());
        assert_eq!(end(&**engine, "ann", ALL, START).0, 0);
    }
}

/// What is done in the property test, to the session of a number for the user of a number; 0 is
/// nobody.
#[derive(Clone, Debug)]
enum Op {
    Set {
        sid: u8,
        user: u8,
        life: Millis,
        padding: usize,
    },
    /// A request reads a session.
    Read(u8),
    /// A request that has read a session writes it for this user.
    Merge {
        request: usize,
        user: u8,
        life: Millis,
    },
    Touch {
        sid: u8,
        life: Millis,
    },
    Destroy(u8),
    Discard(u8),
    End {
        user: u8,
        except: u8,
    },
    EndOne {
        user: u8,
        sid: u8,
    },
    Clear,
    Prune,
    Step,
    Clock(Millis),
}

fn op() -> impl Strategy<Value = Op> {
    let (sid, user) = (0..8_u8, 0..4_u8);
    let life = 0..60_i64;
    prop_oneof![
        20 => (sid.clone(), user.clone(), life.clone(), 0..200_usize)
            .prop_map(|(sid, user, life, padding)| Op::Set { sid, user, life, padding }),
        8 => sid.clone().prop_map(Op::Read),
        8 => (0..4_usize, user.clone(), life.clone())
            .prop_map(|(request, user, life)| Op::Merge { request, user, life }),
        8 => (sid.clone(), life).prop_map(|(sid, life)| Op::Touch { sid, life }),
        2 => sid.clone().prop_map(Op::Destroy),
        1 => sid.clone().prop_map(Op::Discard),
        2 => (user.clone(), sid.clone()).prop_map(|(user, except)| Op::End { user, except }),
        2 => (user, sid).prop_map(|(user, sid)| Op::EndOne { user, sid }),
        1 => Just(Op::Clear),
        2 => Just(Op::Prune),
        3 => Just(Op::Step),
        6 => (0..30_i64).prop_map(Op::Clock),
    ]
}

const LIFETIME: Millis = 100;

/// An engine under test. What the sessions say is the measure of what the index says.
struct Run {
    engine: Arc<dyn Engine>,
    now: Millis,
    most: usize,
    writes: u64,
    requests: Vec<(u8, String, Version)>,
    /// The owner of each session that was alive after the last operation, and when it was created.
    known: BTreeMap<u8, (String, Millis)>,
}

impl Run {
    fn sid(&self, number: u8) -> Sid {
        self.engine.sid(&[number])
    }

    fn body(&mut self, user: u8, padding: usize) -> String {
        self.writes += 1;
        let padding = "x".repeat(padding);
        let number = self.writes;
        let user = if user == 0 { String::new() } else { format!(r#","user":{user}"#) };
        format!(r#"{{"cookie":{{"path":"/"}},"n":"{number}{padding}"{user}}}"#)
    }

    fn terms(&self) -> Terms<'static> {
        Terms { owner: Owner::At(&PATH), lifetime: LIFETIME, most: self.most }
    }

    fn apply(&mut self, op: &Op) -> Option<u8> {
        let engine = Arc::clone(&self.engine);
        let (now, removed) = (self.now, &mut Vec::new());
        match *op {
            Op::Set { sid, user, life, padding } => {
                let body = self.body(user, padding);
                let times = (now, now + life);
                let body = body_ref(&body);
                let terms = self.terms();
                let sid_of = self.sid(sid);
                let done = engine.set_by(sid_of, body, Condition::None, times, terms, removed);
                return done.unwrap().is_ok().then_some(sid);
            }
            Op::Read(sid) => {
                let mut found = None;
                let mut keep = |body: BodyView<'_>| found = Some((read(body), body.read()));
                engine.read(&self.sid(sid), Reading::Get, now, removed, &mut keep).unwrap();
                if let Some((body, version)) = found {
                    self.requests.insert(0, (sid, body, version));
                    self.requests.truncate(4);
                }
            }
            Op::Merge { request, user, life } => {
                let (sid, base, version) = self.requests.get(request)?.clone();
                let body = self.body(user, 0);
                let base = Base { text: base.as_bytes(), has_fixed_lifetime: false };
                let (of, body, times) = (self.sid(sid), body_ref(&body), (now, now + life));
                let done = engine.merge_by(of, body, (base, version), times, self.terms(), removed);
                return done.unwrap().is_ok().then_some(sid);
            }
            Op::Touch { sid, life } => {
                let touch = Touch { now, expires: now + life, is_renewal: false };
                let cookie = format!(r#"{{"path":"/{}"}}"#, "x".repeat(self.requests.len() * 9));
                let cookie = NewCookie::Text(body_ref(&cookie));
                let of = self.sid(sid);
                engine.touch_within(&of, cookie, touch, LIFETIME, removed).unwrap();
            }
            Op::Destroy(sid) => drop(engine.destroy(&self.sid(sid), now, removed).unwrap()),
            Op::Discard(sid) => engine.discard(&self.sid(sid), removed).unwrap(),
            Op::End { user, except } => {
                let except = self.sid(except);
                end(&*engine, &user.to_string(), Which::All { except: Some(&except) }, now);
            }
            Op::EndOne { user, sid } => {
                let handle = self.sid(sid).handle();
                let is_theirs = self.known.get(&sid).is_some_and(|it| it.0 == user.to_string());
                let is_alive = facts_of(&*engine, &self.sid(sid), now).is_some();
                let count = end(&*engine, &user.to_string(), Which::Only(handle), now).0;
                assert_eq!(count, usize::from(is_theirs && is_alive));
            }
            Op::Clear => clear(&engine, now),
            Op::Prune => engine.begin_prune(now).unwrap(),
            Op::Step => drop(engine.maintenance_step()),
            Op::Clock(by) => self.now += by,
        }
        None
    }

    /// Compares the index, the notes and the sessions. `written` is the sid that was written.
    fn check(&mut self, written: Option<u8>) {
        let engine = &*self.engine;
        let mut known = BTreeMap::new();
        let mut told: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
        for number in 0..8 {
            let Some((facts, body)) = facts_of(engine, &self.sid(number), self.now) else {
                continue;
            };
            let owner = PATH.user_of(body.as_bytes()).unwrap_or_default();
            let owner = String::from_utf8(owner.into_owned()).unwrap();
            let (created, used) = facts.times.unwrap();
            let before = self.known.get(&number);
            let kept = before.filter(|(known, _)| *known == owner);
            if written == Some(number) {
                assert_eq!(used, self.now);
                assert_eq!(created, kept.map_or(self.now, |(_, created)| *created));
            } else {
                assert_eq!(Some(&(owner.clone(), created)), before, "only writes change it");
            }
            assert!(facts.expires <= created + LIFETIME);
            if !owner.is_empty() {
                told.entry(owner.clone()).or_default().insert(number);
            }
            known.insert(number, (owner, created));
        }
        for user in 1..4 {
            let user = user.to_string();
            let listed = sessions(engine, &user, self.now);
            let listed: BTreeSet<u8> = listed.keys().map(|sid| sid.as_bytes()[0]).collect();
            assert_eq!(listed, told.remove(&user).unwrap_or_default(), "of {user}");
            assert!(listed.len() <= self.most);
        }
        engine.validate();
        self.known = known;
    }
}

fn facts_of(engine: &dyn Engine, sid: &Sid, now: Millis) -> Option<(Facts, String)> {
    let mut told = None;
    let mut keep = |facts: &Facts, body: BodyView<'_>| told = Some((*facts, read(body)));
    engine.info(sid, now, &mut keep).unwrap();
    told
}

fn assert_index_agrees(store: &Store, most: usize, ops: &[Op]) {
    let engine = Arc::clone(&store.engine);
    let (requests, known) = (Vec::new(), BTreeMap::new());
    let mut run = Run { engine, now: START, most, writes: 0, requests, known };
    for op in ops {
        let written = run.apply(op);
        run.check(written);
    }
}

proptest! {
    #![proptest_config(Config { cases: 200, ..Config::default() })]

    #[test]
    fn the_index_says_what_the_sessions_say(
        max in prop_oneof![Just(usize::MAX), Just(4)],
        most in prop_oneof![Just(usize::MAX), 1..4_usize],
        is_refusing in any::<bool>(),
        ops in proptest::collection::vec(op(), 0..120),
    ) {
        let options = Options { max, is_refusing, ..USERS };
        for store in &Store::with_users(options) {
            assert_index_agrees(store, most, &ops);
        }
    }
}
