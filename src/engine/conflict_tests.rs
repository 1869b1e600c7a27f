//! Writers of one session at the same time, in each engine: what each condition lets through, held
//! against flags that are raised as things happen, and threads that merge into one session while
//! others destroy it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::destroyed::REMEMBERED;
use super::shared::tests::{Folder, START, body_ref};
use super::{Condition, Engine, MemoryEngine, NewCookie, Options, Refused, Touched, Version};
use crate::record::BodyView;
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

/// An engine, and the folder that it is in, if it is in one.
struct Store {
    engine: Arc<dyn Engine>,
    _folder: Option<Folder>,
}

impl Store {
    fn in_memory(options: Options) -> Self {
        Self { engine: Arc::new(MemoryEngine::new(options)), _folder: None }
    }

    fn in_a_file(options: Options) -> Self {
        let folder = Folder::new();
        Self { engine: folder.open(options), _folder: Some(folder) }
    }

    fn of_each_kind(options: Options) -> [Self; 2] {
        [Self::in_memory(options), Self::in_a_file(options)]
    }
}

fn read(engine: &dyn Engine, sid: &Sid, now: Millis) -> Option<(String, Version)> {
    let mut value = None;
    let mut keep = |body: BodyView<'_>| {
        let bytes = body.to_body().bytes().to_vec();
        value = Some((String::from_utf8(bytes).unwrap(), body.read()));
    };
    let is_found = engine.get(sid, now, &mut Vec::new(), &mut keep).unwrap();
    assert_eq!(is_found, value.is_some());
    value
}

pub(super) fn write(
    engine: &dyn Engine,
    sid: &Sid,
    body: &str,
    condition: Condition,
    times: (Millis, Millis),
) -> Result<Version, Refused> {
    engine.set(sid.clone(), body_ref(body), condition, times, &mut Vec::new()).unwrap()
}

/// Clears the store, and gives back what that left.
fn clear(engine: &Arc<dyn Engine>, now: Millis) {
    engine.clear(now, &mut Vec::new()).unwrap();
    while engine.prune_step() {}
}

fn bytes_of(engine: &dyn Engine) -> usize {
    engine.stats().unwrap().bytes
}

#[derive(Clone, Debug)]
enum Op {
    /// A request begins: it reads the session.
    Begin(usize),
    /// One of the requests under way writes, and goes on from what it wrote.
    End(usize, Ending),
    Set(usize, Millis),
    Touch(usize, Millis),
    Destroy(usize),
    Clear,
    Clock(Millis),
    Prune,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Compare,
    Overwrite,
    Touch,
}

/// A request under way: what happened to its session since it read or wrote it.
struct Request {
    sid: usize,
    version: Version,
    is_changed: bool,
    /// When it was destroyed last.
    destroyed: Option<Millis>,
    /// When any session was first destroyed since.
    any_destroyed: Option<Millis>,
}

fn op() -> impl Strategy<Value = Op> {
    let sid = 0..3_usize;
    let life = 0..50_i64;
    let ending = prop_oneof![4 => Just(Ending::Compare), 1 => Just(Ending::Overwrite), 1 => Just(Ending::Touch)];
    prop_oneof![
        6 => sid.clone().prop_map(Op::Begin),
        6 => (0..6_usize, ending).prop_map(|(request, ending)| Op::End(request, ending)),
        3 => (sid.clone(), life.clone()).prop_map(|(sid, life)| Op::Set(sid, life)),
        2 => (sid.clone(), life).prop_map(|(sid, life)| Op::Touch(sid, life)),
        2 => sid.prop_map(Op::Destroy),
        1 => Just(Op::Clear),
        2 => (0..30_i64).prop_map(Op::Clock),
        // What was destroyed is forgotten after ten minutes.
        1 => Just(Op::Clock(REMEMBERED + 1)),
        1 => Just(Op::Prune),
    ]
}

const DESTROYED: Result<Version, Refused> = Err(Refused::Destroyed);

struct World {
    store: Store,
    sids: Vec<Sid>,
    requests: Vec<Request>,
    now: Millis,
    refused: u64,
}

impl World {
    fn new(store: Store) -> Self {
        let sids = (0..3_u64).map(|number| store.engine.sid(&number.to_le_bytes())).collect();
        Self { store, sids, requests: Vec::new(), now: START, refused: 0 }
    }

    fn engine(&self) -> &dyn Engine {
        &*self.store.engine
    }

    fn is_stored(&self, sid: usize) -> bool {
        let sid = &self.sids[sid];
        self.engine().peek(sid, self.now, &mut Vec::new(), &mut |_| ()).unwrap()
    }

    fn note_written(&mut self, sid: usize) {
        for request in self.requests.iter_mut().filter(|request| request.sid == sid) {
            request.is_changed = true;
        }
    }

    fn note_destroyed(&mut self, is_it: impl Fn(usize) -> bool) {
        for request in &mut self.requests {
            if is_it(request.sid) {
                request.destroyed = Some(self.now);
            }
            request.any_destroyed.get_or_insert(self.now);
        }
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Begin(sid) => {
                if let Some((_, version)) = read(self.engine(), &self.sids[sid], now) {
                    self.requests.push(Request {
                        sid,
                        version,
                        is_changed: false,
                        destroyed: None,
                        any_destroyed: None,
                    });
                }
            }
            Op::End(index, ending) if index < self.requests.len() => self.end(index, ending),
            Op::End(..) => {}
            Op::Set(sid, life) => {
                let times = (now, now + life);
                write(self.engine(), &self.sids[sid], "{}", Condition::None, times).unwrap();
                self.note_written(sid);
            }
            Op::Touch(sid, life) => {
                let cookie = NewCookie::Text(body_ref("1"));
                let existed = self.is_stored(sid);
                let sid = &self.sids[sid];
                let touched = self.engine().touch(sid, cookie, now, now + life, &mut Vec::new());
                assert_eq!(touched.unwrap() == Touched::Missing, !existed);
                assert!(existed || read(self.engine(), sid, now).is_none(), "brought back");
            }
            Op::Destroy(sid) => {
                self.engine().destroy(&self.sids[sid], now, &mut Vec::new()).unwrap();
                self.note_destroyed(|other| other == sid);
            }
            Op::Clear => {
                clear(&self.store.engine, now);
                self.note_destroyed(|_| true);
            }
            Op::Clock(millis) => self.now += millis,
            Op::Prune => {
                self.engine().begin_prune(now).unwrap();
                while self.engine().prune_step() {}
            }
        }
        self.engine().validate();
        assert_eq!(self.engine().stats().unwrap().counters.refused, self.refused);
    }

    /// Whether what was destroyed at that time may be forgotten by now.
    fn is_forgotten(&self, at: Millis) -> bool {
        self.now > at + REMEMBERED
    }

    fn end(&mut self, index: usize, ending: Ending) {
        let Request { sid, version, is_changed, destroyed, any_destroyed } = self.requests[index];
        let condition = match ending {
            Ending::Compare => Condition::Unchanged { read: version, expected: version },
            Ending::Overwrite => Condition::NotDestroyed { read: version },
            Ending::Touch => Condition::Touch { read: version },
        };
        let is_stored = self.is_stored(sid);
        let times = (self.now, self.now + 40);
        let done = write(self.engine(), &self.sids[sid], "{}", condition, times);
        let is_touch = matches!(ending, Ending::Touch);
        // Where the sid was made anew ten minutes later, it may be taken for the same session.
        let is_forgotten =
            destroyed.is_some_and(|at| self.is_forgotten(at)) && is_stored && done != DESTROYED;
        let is_destroyed = destroyed.is_some() && !is_forgotten;
        if done == DESTROYED && !is_destroyed {
            let is_any_forgotten = any_destroyed.is_some_and(|at| self.is_forgotten(at));
            assert!(is_any_forgotten && (!is_stored || is_changed), "only to be on the safe side");
            self.refused += u64::from(!is_touch);
            return;
        }
        let may_overwrite = matches!(ending, Ending::Overwrite);
        let expected = if is_destroyed {
            Err(Refused::Destroyed)
        } else if is_stored && is_changed && !may_overwrite {
            Err(Refused::Changed)
        } else if is_touch && !is_stored {
            Err(Refused::Missing)
        } else {
            Ok(())
        };
        assert_eq!(done.map(drop), expected);
        self.refused += u64::from(expected == Err(Refused::Destroyed) && !is_touch);
        assert_eq!(self.is_stored(sid), is_stored || expected.is_ok());
        let Ok(version) = done else { return };
        if !is_touch {
            self.note_written(sid);
            let request = &mut self.requests[index];
            *request =
                Request { sid, version, is_changed: false, destroyed: None, any_destroyed: None };
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), 0..80)
}

fn assert_judged(store: Store, ops: &[Op]) {
    let mut world = World::new(store);
    for op in ops {
        world.apply(op);
    }
}

proptest! {
    #[test]
    fn a_write_is_judged_by_what_happened_since_the_session_was_read(
        max in prop_oneof![Just(usize::MAX), Just(2)],
        ops in ops(),
    ) {
        assert_judged(Store::in_memory(Options { max, ..Options::default() }), &ops);
    }
}

proptest! {
    #![proptest_config(Config { cases: 100, ..Config::default() })]

    #[test]
    fn in_a_file_a_write_is_judged_by_what_happened_since_the_session_was_read(
        max in prop_oneof![Just(usize::MAX), Just(2)],
        ops in ops(),
    ) {
        assert_judged(Store::in_a_file(Options { max, ..Options::default() }), &ops);
    }
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

#[test]
fn what_is_remembered_of_destroyed_sids_counts_and_makes_room() {
    let one = {
        let engine = MemoryEngine::new(Options::default());
        write(&engine, &engine.sid(b"0"), "{}", Condition::None, (START, NEVER)).unwrap();
        engine.stats().bytes
    };
    let engine = MemoryEngine::new(Options { max_bytes: 100 * one, ..Options::default() });
    let removed = &mut Vec::new();
    for number in 0..1000_u64 {
        engine.destroy(&engine.sid(&number.to_le_bytes()), START, removed);
    }
    let remembered = engine.stats().bytes;
    assert!(remembered > 0 && remembered <= 100 * one / 16);
    for number in 0..200_u64 {
        let sid = engine.sid(&number.to_le_bytes());
        write(&engine, &sid, "{}", Condition::None, (START, NEVER)).unwrap();
        engine.validate();
        assert!(engine.stats().bytes <= 100 * one);
    }
    assert!(engine.len() >= 93);
    // A session may take the whole budget.
    let large = "1".repeat(80 * one);
    write(&engine, &engine.sid(b"large"), &large, Condition::None, (START, NEVER)).unwrap();
    assert!(!engine.is_empty());
    assert!(engine.stats().bytes <= 100 * one);
}

/// A session whose body is a list of words, and threads that each add words of their own.
const THREADS: u64 = 4;

/// Adds `word` to the session as a request does: reads, changes, writes; where another one came
/// between, takes in what is stored by then. Returns whether it was written.
pub(super) fn add_word(engine: &dyn Engine, sid: &Sid, word: &str) -> bool {
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
