//! Writers of one session at the same time: what each condition lets through, held against flags
//! that are raised as things happen, and threads that merge into one session while others
//! destroy it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::{Condition, MemoryEngine, Options, Refused, Version};
use crate::record::{BodyRef, Encoding};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

const NOW: Millis = 1_700_000_000_000;

fn text(text: &str) -> BodyRef<'_> {
    BodyRef { bytes: text.as_bytes(), encoding: Encoding::Ascii, is_json: true }
}

fn read(engine: &MemoryEngine, sid: &Sid, now: Millis) -> Option<(String, Version)> {
    engine.get(sid, now, &mut Vec::new(), |body| {
        let bytes = body.to_body().bytes().to_vec();
        (String::from_utf8(bytes).unwrap(), body.read())
    })
}

fn write(
    engine: &MemoryEngine,
    sid: &Sid,
    body: &str,
    condition: Condition,
    times: (Millis, Millis),
) -> Result<Version, Refused> {
    engine.set(sid.clone(), text(body), condition, times, &mut Vec::new())
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
    /// Whether any session was destroyed since.
    is_any_destroyed: bool,
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
        1 => Just(Op::Clock(600_001)),
        1 => Just(Op::Prune),
    ]
}

const DESTROYED: Result<Version, Refused> = Err(Refused::Destroyed);

struct World {
    engine: MemoryEngine,
    sids: Vec<Sid>,
    requests: Vec<Request>,
    now: Millis,
    refused: u64,
}

impl World {
    fn new(options: Options) -> Self {
        let engine = MemoryEngine::new(options);
        let sids = (0..3_u64).map(|number| engine.sid(&number.to_le_bytes())).collect();
        Self { engine, sids, requests: Vec::new(), now: NOW, refused: 0 }
    }

    fn is_stored(&self, sid: usize) -> bool {
        self.engine.peek(&self.sids[sid], self.now, &mut Vec::new(), |_| ()).is_some()
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
            request.is_any_destroyed = true;
        }
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Begin(sid) => {
                if let Some((_, version)) = read(&self.engine, &self.sids[sid], now) {
                    self.requests.push(Request {
                        sid,
                        version,
                        is_changed: false,
                        destroyed: None,
                        is_any_destroyed: false,
                    });
                }
            }
            Op::End(index, ending) if index < self.requests.len() => self.end(index, ending),
            Op::End(..) => {}
            Op::Set(sid, life) => {
                let times = (now, now + life);
                write(&self.engine, &self.sids[sid], "{}", Condition::None, times).unwrap();
                self.note_written(sid);
            }
            Op::Touch(sid, life) => {
                let cookie = super::NewCookie::Text(text("1"));
                let existed = self.is_stored(sid);
                let sid = &self.sids[sid];
                self.engine.touch(sid, cookie, now, now + life, &mut Vec::new());
                assert!(existed || read(&self.engine, sid, now).is_none(), "brought back");
            }
            Op::Destroy(sid) => {
                self.engine.destroy(&self.sids[sid], now, &mut Vec::new());
                self.note_destroyed(|other| other == sid);
            }
            Op::Clear => {
                drop(self.engine.clear(now));
                self.note_destroyed(|_| true);
            }
            Op::Clock(millis) => self.now += millis,
            Op::Prune => self.engine.prune(now, &mut Vec::new()),
        }
        self.engine.validate();
        assert_eq!(self.engine.stats().counters.refused, self.refused);
    }

    fn end(&mut self, index: usize, ending: Ending) {
        let Request { sid, version, is_changed, destroyed, is_any_destroyed } =
            self.requests[index];
        let condition = match ending {
            Ending::Compare => Condition::Unchanged { read: version, expected: version },
            Ending::Overwrite => Condition::NotDestroyed { read: version },
            Ending::Touch => Condition::Touch { read: version },
        };
        let is_stored = self.is_stored(sid);
        let times = (self.now, self.now + 40);
        let done = write(&self.engine, &self.sids[sid], "{}", condition, times);
        let is_touch = matches!(ending, Ending::Touch);
        // Where the sid was made anew ten minutes later, it may be taken for the same session.
        let is_forgotten =
            destroyed.is_some_and(|at| self.now > at + 600_000) && is_stored && done != DESTROYED;
        let is_destroyed = destroyed.is_some() && !is_forgotten;
        if done == DESTROYED && !is_destroyed {
            assert!(is_any_destroyed && (!is_stored || is_changed), "only to be on the safe side");
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
            *request = Request {
                sid,
                version,
                is_changed: false,
                destroyed: None,
                is_any_destroyed: false,
            };
        }
    }
}

proptest! {
    #[test]
    fn a_write_is_judged_by_what_happened_since_the_session_was_read(
        max in prop_oneof![Just(usize::MAX), Just(2)],
        ops in proptest::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new(Options { max, ..Options::default() });
        for op in &ops {
            world.apply(op);
        }
    }
}

#[test]
fn where_destroyed_is_final_nobody_writes_the_sid_for_minutes() {
    let engine = MemoryEngine::new(Options { destroyed_is_final: true, ..Options::default() });
    let sids: Vec<Sid> = (0..3_u64).map(|number| engine.sid(&number.to_le_bytes())).collect();
    let set = |sid: &Sid, now: Millis| write(&engine, sid, "{}", Condition::None, (now, NEVER));
    set(&sids[0], NOW).unwrap();
    set(&sids[1], NOW).unwrap();
    engine.destroy(&sids[0], NOW, &mut Vec::new());
    assert_eq!(set(&sids[0], NOW + 600_000), Err(Refused::Destroyed));
    drop(engine.clear(NOW));
    assert_eq!(set(&sids[1], NOW), Err(Refused::Destroyed));
    assert!(set(&sids[2], NOW).is_ok(), "it was not there");
    for sid in &sids {
        assert!(set(sid, NOW + 600_001).is_ok());
    }
}

#[test]
fn what_is_remembered_of_destroyed_sids_counts_and_makes_room() {
    let one = {
        let engine = MemoryEngine::new(Options::default());
        write(&engine, &engine.sid(b"0"), "{}", Condition::None, (NOW, NEVER)).unwrap();
        engine.stats().bytes
    };
    let engine = MemoryEngine::new(Options { max_bytes: 100 * one, ..Options::default() });
    let removed = &mut Vec::new();
    for number in 0..1000_u64 {
        engine.destroy(&engine.sid(&number.to_le_bytes()), NOW, removed);
    }
    let remembered = engine.stats().bytes;
    assert!(remembered > 0 && remembered <= 100 * one / 16);
    for number in 0..200_u64 {
        let sid = engine.sid(&number.to_le_bytes());
        write(&engine, &sid, "{}", Condition::None, (NOW, NEVER)).unwrap();
        engine.validate();
        assert!(engine.stats().bytes <= 100 * one);
    }
    assert!(engine.len() >= 93);
    // A session may take the whole budget.
    let large = "1".repeat(80 * one);
    write(&engine, &engine.sid(b"large"), &large, Condition::None, (NOW, NEVER)).unwrap();
    assert!(!engine.is_empty());
    assert!(engine.stats().bytes <= 100 * one);
}

/// A session whose body is a list of words, and threads that each add words of their own.
const THREADS: u64 = 4;

/// Adds `word` to the session as a request does: reads, changes, writes; where another one came
/// between, takes in what is stored by then. Returns whether it was written.
fn add_word(engine: &MemoryEngine, sid: &Sid, word: &str) -> bool {
    let Some((mut body, read)) = self::read(engine, sid, NOW) else {
        return false;
    };
    let mut expected = read;
    loop {
        let longer = format!("{body} {word}");
        let condition = Condition::Unchanged { read, expected };
        match write(engine, sid, &longer, condition, (NOW, NEVER)) {
            Ok(_) => return true,
            Err(Refused::Changed) => {}
            Err(Refused::Destroyed) => return false,
            Err(refused) => panic!("{refused:?}"),
        }
        if let Some((newer, version)) = self::read(engine, sid, NOW) {
            (body, expected) = (newer, version);
        }
    }
}

#[test]
fn no_write_of_threads_that_merge_into_one_session_is_lost() {
    let engine = &MemoryEngine::new(Options::default());
    let sid = &engine.sid(b"sid");
    write(engine, sid, "0", Condition::None, (NOW, NEVER)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0..300 {
                    assert!(add_word(engine, sid, &format!("{thread}:{number}")));
                }
            });
        }
    });
    let (body, _) = read(engine, sid, NOW).unwrap();
    let words: HashSet<&str> = body.split(' ').collect();
    assert_eq!(words.len(), 1 + 300 * usize::try_from(THREADS).unwrap());
    let counters = engine.stats().counters;
    assert_eq!(counters.sets, 1 + 300 * THREADS);
}

#[test]
fn nothing_that_was_destroyed_comes_back_whatever_threads_write() {
    let engine = &MemoryEngine::new(Options::default());
    let sid = &engine.sid(b"sid");
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    add_word(engine, sid, &format!("{thread}:{number}"));
                    number += 1;
                }
            });
        }
        scope.spawn(move || {
            for login in 1..=2000_u64 {
                // A login begins with its own name; whatever words are added stay behind it.
                let body = format!("login{login}");
                write(engine, sid, &body, Condition::None, (NOW, NEVER)).unwrap();
                if login % 3 == 0 {
                    drop(engine.clear(NOW));
                } else {
                    engine.destroy(sid, NOW, &mut Vec::new());
                }
                // Those who read this login are still writing.
                for _ in 0..20 {
                    assert_eq!(read(engine, sid, NOW), None, "login {login} came back");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
    assert_eq!(read(engine, sid, NOW), None);
}
