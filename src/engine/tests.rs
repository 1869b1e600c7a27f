//! Holds [`MemoryEngine`] against the rules written down as plainly as possible: one list in
//! the order of use, in which a prune removes everything in the moment it begins. Whatever the
//! engine does in between, in parts, by tickets and in steps, must not be seen from outside.
//! Then lets threads at one engine, and checks that no body is lost or handed out twice.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::{MemoryEngine, Options, Removed, Touched};
use crate::pruner::{Prunable, Pruner};
use crate::record::{BodyRef, Encoding};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

const START: Millis = 1_700_000_000_000;

/// A session in the model: the number of its sid, and its body.
type Session = (u32, String);

struct Entry {
    sid: u32,
    body: String,
    expires: Millis,
}

/// The rules. The most recently used entry is the last.
struct Model {
    options: Options,
    entries: Vec<Entry>,
    /// What prunes in the background removed and nobody has taken.
    pruned: Vec<Session>,
}

impl Model {
    fn position(&self, sid: u32) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.sid == sid)
    }

    fn remove(&mut self, at: usize) -> Session {
        let entry = self.entries.remove(at);
        (entry.sid, entry.body)
    }

    /// Moves the entry to the recent end.
    fn used(&mut self, at: usize) -> &mut Entry {
        self.entries[at..].rotate_left(1);
        self.entries.last_mut().unwrap()
    }

    fn get(&mut self, sid: u32, now: Millis, removed: &mut Vec<Session>) -> Option<String> {
        let at = self.position(sid)?;
        if now <= self.entries[at].expires {
            return Some(self.used(at).body.clone());
        }
        let session = self.remove(at);
        let body = self.options.stale.then(|| session.1.clone());
        removed.push(session);
        body
    }

    fn set(
        &mut self,
        (sid, body): Session,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Session>,
    ) {
        if let Some(at) = self.position(sid) {
            let entry = self.used(at);
            let old = std::mem::replace(&mut entry.body, body);
            entry.expires = expires;
            if self.options.keep_replaced {
                removed.push((sid, old));
            }
            if now > expires {
                removed.push(self.remove(self.entries.len() - 1));
            }
            return;
        }
        self.entries.push(Entry { sid, body, expires });
        while self.entries.len() > self.options.max {
            removed.push(self.remove(0));
        }
    }

    /// `fresh` is what the session becomes where the cookie cannot be replaced in place.
    fn touch(
        &mut self,
        sid: u32,
        cookie: u64,
        fresh: &str,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Session>,
    ) -> bool {
        let Some(old) = self.get(sid, now, removed) else {
            return false;
        };
        match (self.position(sid), with_cookie(&old, cookie)) {
            (Some(at), Some(body)) => {
                let entry = self.used(at);
                entry.body = body;
                entry.expires = expires;
                if now > expires {
                    removed.push(self.remove(self.entries.len() - 1));
                }
            }
            _ => self.set((sid, fresh.into()), now, expires, removed),
        }
        true
    }

    fn destroy(&mut self, sid: u32, removed: &mut Vec<Session>) -> bool {
        let at = self.position(sid);
        removed.extend(at.map(|at| self.remove(at)));
        at.is_some()
    }

    fn ids(&self) -> Vec<u32> {
        self.entries.iter().rev().map(|entry| entry.sid).collect()
    }

    fn all(&mut self, now: Millis, removed: &mut Vec<Session>) -> Vec<Session> {
        let stale = self.options.stale;
        let listed = self.entries.iter().rev();
        let listed = listed
            .filter(|entry| stale || now <= entry.expires)
            .map(|entry| (entry.sid, entry.body.clone()))
            .collect();
        self.prune(now, removed);
        listed
    }

    fn clear(&mut self) -> Vec<Session> {
        (0..self.entries.len())
            .rev()
            .map(|at| self.remove(at))
            .collect()
    }

    fn prune(&mut self, now: Millis, removed: &mut Vec<Session>) {
        for at in (0..self.entries.len()).rev() {
            if now > self.entries[at].expires {
                removed.push(self.remove(at));
            }
        }
    }

    fn begin_prune(&mut self, now: Millis) {
        let mut pruned = std::mem::take(&mut self.pruned);
        self.prune(now, &mut pruned);
        self.pruned = pruned;
    }
}

/// A body that no other write has. Where it is JSON its cookie can be replaced.
fn new_body(number: u64, is_json: bool) -> String {
    if is_json {
        format!(r#"{{"n":{number},"cookie":0}}"#)
    } else {
        format!("body {number}")
    }
}

fn with_cookie(body: &str, cookie: u64) -> Option<String> {
    let (before, _) = body.split_once(r#""cookie":"#)?;
    Some(format!(r#"{before}"cookie":{cookie}}}"#))
}

fn body_ref(body: &str) -> BodyRef<'_> {
    BodyRef {
        bytes: body.as_bytes(),
        encoding: Encoding::Ascii,
        is_json: body.starts_with('{'),
    }
}

fn text(body: BodyRef<'_>) -> String {
    String::from_utf8(body.bytes.to_vec()).unwrap()
}

fn number_of(sid: &Sid) -> u32 {
    u32::from_le_bytes(sid.as_bytes().try_into().unwrap())
}

fn sessions(removed: &[Removed]) -> Vec<Session> {
    let session = |one: &Removed| (number_of(&one.sid), text(one.body.as_ref()));
    removed.iter().map(session).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Get(u32),
    Set(u32, Lifetime, bool),
    Touch(u32, Lifetime),
    Destroy(u32),
    Ids,
    All,
    Clear,
    Len,
    Prune,
    BeginPrune,
    /// A step with so large a budget.
    Step(usize),
    /// A step as the background thread does it.
    BackgroundStep,
    TakePruned(usize),
    /// The clock goes forward, or back.
    Clock(Millis),
}

#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Millis(Millis),
    Never,
}

impl Lifetime {
    fn from(self, now: Millis) -> Millis {
        match self {
            Self::Millis(millis) => now + millis,
            Self::Never => NEVER,
        }
    }
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    prop_oneof![
        8 => (0..60_i64).prop_map(Lifetime::Millis),
        1 => (-20..0_i64).prop_map(Lifetime::Millis),
        1 => Just(Lifetime::Never),
    ]
}

fn op(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => sids.clone().prop_map(Op::Get),
        24 => (sids.clone(), lifetime(), any::<bool>())
            .prop_map(|(sid, life, is_json)| Op::Set(sid, life, is_json)),
        10 => (sids.clone(), lifetime()).prop_map(|(sid, life)| Op::Touch(sid, life)),
        4 => sids.prop_map(Op::Destroy),
        2 => Just(Op::Ids),
        2 => Just(Op::All),
        1 => Just(Op::Clear),
        2 => Just(Op::Len),
        2 => Just(Op::Prune),
        8 => Just(Op::BeginPrune),
        10 => (1..4_usize).prop_map(Op::Step),
        3 => Just(Op::BackgroundStep),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::TakePruned),
        10 => (0..30_i64).prop_map(Op::Clock),
        3 => (-60..0_i64).prop_map(Op::Clock),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let max = proptest::sample::select(&[usize::MAX, 0, 1, 3, 10][..]);
    (max, any::<[bool; 3]>()).prop_map(|(max, [stale, keep_removed, keep_replaced])| Options {
        max,
        max_bytes: usize::MAX,
        stale,
        keep_removed,
        keep_replaced,
    })
}

/// An engine and a model of it, which do the same.
struct Pair {
    engine: MemoryEngine,
    model: Model,
    /// How many parts the sids lie in.
    parts: u64,
    now: Millis,
    bodies: u64,
}

impl Pair {
    fn new(options: Options, parts: u64) -> Self {
        Self {
            engine: MemoryEngine::new(options),
            model: Model {
                options,
                entries: Vec::new(),
                pruned: Vec::new(),
            },
            parts,
            now: START,
            bodies: 0,
        }
    }

    fn sid(&self, number: u32) -> Sid {
        let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = mixed & !(0xFF << 32) | (u64::from(number) % self.parts) << 32;
        Sid::with_hash(&number.to_le_bytes(), hash)
    }

    fn next_body(&mut self, is_json: bool) -> String {
        self.bodies += 1;
        new_body(self.bodies, is_json)
    }

    /// Does `op` on both sides and compares what it gives and what it removes.
    fn apply(&mut self, op: &Op) {
        let now = self.now;
        let mut removed = Vec::new();
        let mut expected = Vec::new();
        match *op {
            Op::Get(number) => {
                let sid = self.sid(number);
                let found = self.engine.get(&sid, now, &mut removed, text);
                assert_eq!(found, self.model.get(number, now, &mut expected));
            }
            Op::Set(number, life, is_json) => {
                let (sid, body) = (self.sid(number), self.next_body(is_json));
                let expires = life.from(now);
                let given = body_ref(&body);
                self.engine
                    .set(sid, given, now, expires, &mut removed)
                    .unwrap();
                let session = (number, body);
                self.model.set(session, now, expires, &mut expected);
            }
            Op::Touch(number, life) => {
                let fresh = self.next_body(true);
                let (expires, cookie) = (life.from(now), self.bodies);
                let found = self.touch(number, &fresh, expires, &mut removed);
                let model = &mut self.model;
                let known = model.touch(number, cookie, &fresh, now, expires, &mut expected);
                assert_eq!(found, known);
            }
            Op::Destroy(number) => {
                let existed = self.engine.destroy(&self.sid(number), &mut removed);
                assert_eq!(existed, self.model.destroy(number, &mut expected));
            }
            Op::Ids => {
                let ids: Vec<u32> = self.engine.ids().iter().map(number_of).collect();
                assert_eq!(ids, self.model.ids());
            }
            Op::All => {
                let listed = self.engine.all(now, &mut removed).into_iter();
                let listed: Vec<_> = listed
                    .map(|(sid, body)| (number_of(&sid), text(body.as_ref())))
                    .collect();
                assert_eq!(listed, self.model.all(now, &mut expected));
            }
            Op::Clear => self.clear(),
            Op::Len => {
                assert_eq!(self.engine.len(), self.model.entries.len());
                assert_eq!(self.engine.is_empty(), self.model.entries.is_empty());
            }
            Op::Prune => {
                self.engine.prune(now, &mut removed);
                self.model.prune(now, &mut expected);
            }
            Op::BeginPrune => {
                let before = self.model.entries.len();
                let begun = self.engine.begin_prune(now);
                self.model.begin_prune(now);
                assert!(begun || self.model.entries.len() == before);
            }
            Op::Step(budget) => drop(self.engine.step(budget)),
            Op::BackgroundStep => drop(self.engine.prune_step()),
            Op::TakePruned(limit) => self.take_pruned(limit),
            Op::Clock(millis) => self.now += millis,
        }
        assert_eq!(sessions(&removed), expected, "what {op:?} removed");
    }

    /// As the boundary touches: by reading and writing where it cannot be done in place.
    fn touch(&self, number: u32, fresh: &str, expires: Millis, removed: &mut Vec<Removed>) -> bool {
        let (sid, now) = (self.sid(number), self.now);
        let cookie = self.bodies.to_string();
        let touched = self
            .engine
            .touch(&sid, body_ref(&cookie), now, expires, removed);
        match touched {
            Touched::Missing => false,
            Touched::Renewed => true,
            Touched::NeedsRewrite => {
                let found = self.engine.get(&sid, now, removed, |_| ());
                assert!(found.is_some());
                self.engine
                    .rewrite(sid, body_ref(fresh), now, expires, removed)
                    .unwrap();
                true
            }
        }
    }

    fn clear(&mut self) {
        let cleared = self.engine.clear();
        let (len, is_empty) = (cleared.len(), cleared.is_empty());
        let mut cleared = sessions(&cleared.into_removed());
        assert_eq!((len, is_empty), (cleared.len(), cleared.is_empty()));
        if !self.model.options.keep_removed {
            // Nobody looks at it, so what a prune has left over may be freed with the others.
            cleared.retain(|session| !self.model.pruned.contains(session));
            self.model.pruned.clear();
        }
        assert_eq!(cleared, self.model.clear());
    }

    /// What prunes in the background removed comes once, in any order.
    fn take_pruned(&mut self, limit: usize) {
        let mut taken = Vec::new();
        let more = self.engine.take_pruned(limit, &mut taken);
        assert!(taken.len() <= limit);
        if !self.model.options.keep_removed {
            assert_eq!(taken, [], "nobody wants it");
            return;
        }
        for session in sessions(&taken) {
            let at = self.model.pruned.iter().position(|own| *own == session);
            self.model
                .pruned
                .swap_remove(at.expect("not removed by a prune"));
        }
        assert!(more || self.model.pruned.is_empty());
    }

    /// Lets what is under way finish, and compares all there is.
    fn finish(&mut self) {
        while self.engine.prune_step() {}
        self.engine.validate();
        self.take_pruned(usize::MAX);
        if self.model.options.keep_removed {
            assert_eq!(self.model.pruned, []);
        }
        assert!(!self.engine.take_pruned(usize::MAX, &mut Vec::new()));
        for op in [Op::Len, Op::Ids, Op::All, Op::Clear, Op::Len] {
            self.apply(&op);
        }
        self.engine.validate();
    }
}

/// The same run of operations in every run of the tests.
fn ops_of(strategy: impl Strategy<Value = Op>, count: usize) -> Vec<Op> {
    let runner = &mut TestRunner::deterministic();
    let ops = proptest::collection::vec(strategy, count);
    ops.new_tree(runner).unwrap().current()
}

fn growing(sids: Range<u32>) -> impl Strategy<Value = Op> {
    let life = prop_oneof![9 => 0..3000_i64, 1 => -20..0_i64];
    let set = (sids, life).prop_map(|(sid, life)| Op::Set(sid, Lifetime::Millis(life), true));
    prop_oneof![6 => set, 1 => (0..3_i64).prop_map(Op::Clock)]
}

fn shrinking(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => sids.clone().prop_map(Op::Destroy),
        2 => sids.prop_map(Op::Get),
        1 => (0..100_i64).prop_map(Op::Clock),
        1 => Just(Op::BeginPrune),
        4 => Just(Op::BackgroundStep),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules(
        options in options(),
        parts in 1..4_u64,
        ops in proptest::collection::vec(op(0..14), 0..150),
    ) {
        let mut pair = Pair::new(options, parts);
        for op in &ops {
            pair.apply(op);
            pair.engine.validate();
        }
        pair.finish();
    }
}

#[test]
fn an_engine_keeps_the_rules_while_thousands_come_and_go() {
    const SIDS: Range<u32> = 0..2500;
    for (max, parts) in [(usize::MAX, 3), (900, 256)] {
        let options = Options {
            max,
            keep_removed: true,
            ..Options::default()
        };
        let mut pair = Pair::new(options, parts);
        for phase in 0..2 {
            let phases = [
                ops_of(growing(SIDS), 4000),
                ops_of(op(SIDS), 1500),
                ops_of(shrinking(SIDS), 5000 + 500 * phase),
            ];
            for (count, op) in phases.iter().flatten().enumerate() {
                pair.apply(op);
                if count % 64 == 0 {
                    pair.engine.validate();
                }
            }
        }
        pair.finish();
    }
}

#[test]
fn what_an_explicit_prune_finds_under_way_is_not_handed_to_its_caller() {
    let mut pair = Pair::new(
        Options {
            keep_removed: true,
            ..Options::default()
        },
        2,
    );
    for number in 0..300 {
        let life = Lifetime::Millis(if number < 150 { 10 } else { 20 });
        pair.apply(&Op::Set(number, life, true));
    }
    for op in [
        Op::Clock(11),
        Op::BeginPrune,
        Op::Step(40),
        Op::Clock(10),
        Op::Prune,
        Op::TakePruned(100),
        Op::TakePruned(50),
        Op::Len,
    ] {
        pair.apply(&op);
    }
    assert_eq!(pair.model.pruned, []);
    pair.finish();
}

/// Several threads at one engine and the prunes of a background thread.
struct Crowd {
    engine: Arc<MemoryEngine>,
    pruner: &'static Pruner,
    now: AtomicI64,
    bodies: AtomicU64,
}

const THREADS: u64 = 4;
const SIDS: u64 = 96;

impl Crowd {
    fn new(options: Options) -> Self {
        Self {
            engine: Arc::new(MemoryEngine::new(options)),
            pruner: Pruner::leaked(),
            now: AtomicI64::new(START),
            bodies: AtomicU64::new(0),
        }
    }

    /// What one thread does. Returns the bodies that it was handed as removed.
    fn work(&self, seed: u64, operations: usize) -> Vec<Removed> {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut removed = Vec::new();
        for _ in 0..operations {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let sid = self.engine.sid(&(random % SIDS).to_le_bytes());
            let now = self.now.load(Ordering::Relaxed);
            let life = i64::try_from(random >> 20 & 63).unwrap();
            match random >> 32 & 31 {
                0..10 => self.set(sid, now, now + life, &mut removed),
                10..18 => drop(self.engine.get(&sid, now, &mut removed, text)),
                18..24 => self.touch(&sid, now, now + life, &mut removed),
                24..27 => drop(self.engine.destroy(&sid, &mut removed)),
                27 => self.engine.prune(now, &mut removed),
                28..30 => self.prune_in_background(now),
                30 => drop(self.engine.take_pruned(7, &mut removed)),
                _ => self.tick(random),
            }
        }
        removed
    }

    fn set(&self, sid: Sid, now: Millis, expires: Millis, removed: &mut Vec<Removed>) {
        let body = new_body(self.bodies.fetch_add(1, Ordering::Relaxed), true);
        self.engine
            .set(sid, body_ref(&body), now, expires, removed)
            .unwrap();
    }

    /// With the cookie it has already, so that each body stays what it was.
    fn touch(&self, sid: &Sid, now: Millis, expires: Millis, removed: &mut Vec<Removed>) {
        let touched = self.engine.touch(sid, body_ref("0"), now, expires, removed);
        assert_ne!(touched, Touched::NeedsRewrite);
    }

    fn prune_in_background(&self, now: Millis) {
        if self.engine.begin_prune(now) {
            let engine: Weak<MemoryEngine> = Arc::downgrade(&self.engine);
            self.pruner.prune(engine);
        }
    }

    /// Time passes, and now and then is set back. Then somebody looks at all there is.
    fn tick(&self, random: u64) {
        let millis = if (random >> 40).is_multiple_of(8) {
            -40
        } else {
            9
        };
        self.now.fetch_add(millis, Ordering::Relaxed);
        match random >> 45 & 3 {
            0 => drop(self.engine.ids()),
            1 => drop(self.engine.len()),
            _ => {}
        }
    }

    /// Lets the threads work, and returns all that left the engine.
    fn run(&self, operations: usize) -> Vec<Removed> {
        self.pruner.attach();
        let open = self.pruner.open();
        let mut removed = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..=THREADS)
                .map(|seed| scope.spawn(move || self.work(seed, operations)))
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap())
                .collect::<Vec<_>>()
        });
        drop(open);
        self.pruner.detach();
        while self.engine.prune_step() {}
        self.engine.take_pruned(usize::MAX, &mut removed);
        removed
    }
}

#[test]
fn every_body_leaves_an_engine_once_whatever_threads_do_to_it() {
    for max in [usize::MAX, 40] {
        let crowd = Crowd::new(Options {
            max,
            keep_removed: true,
            keep_replaced: true,
            ..Options::default()
        });
        let removed = crowd.run(6000);
        let engine = &crowd.engine;
        engine.validate();

        let ids = engine.ids();
        let held = engine.all(Millis::MIN, &mut Vec::new());
        assert_eq!(engine.len(), ids.len());
        assert!(ids.len() <= max);
        let listed: Vec<Sid> = held.iter().map(|(sid, _)| sid.clone()).collect();
        assert_eq!(listed, ids);
        assert_eq!(
            ids.iter().map(Sid::as_bytes).collect::<HashSet<_>>().len(),
            ids.len()
        );

        let left = removed.iter().map(|removed| removed.body.as_ref());
        let bodies: Vec<String> = left
            .chain(held.iter().map(|(_, body)| body.as_ref()))
            .map(text)
            .collect();
        let distinct: HashSet<&String> = bodies.iter().collect();
        assert_eq!(distinct.len(), bodies.len(), "no body leaves twice");
        let written = crowd.bodies.load(Ordering::Relaxed);
        assert_eq!(bodies.len() as u64, written, "no body is lost");
    }
}

#[test]
fn threads_and_the_background_thread_keep_an_engine_in_order() {
    let crowd = Crowd::new(Options {
        max: 60,
        ..Options::default()
    });
    crowd.run(6000);
    crowd.engine.validate();
    let count = crowd.engine.len();
    assert!(count <= 60);
    assert_eq!(crowd.engine.ids().len(), count);
    assert_eq!(crowd.engine.clear().len(), count);
    assert!(crowd.engine.is_empty());
}

#[test]
fn the_background_thread_finishes_a_prune_while_callers_go_on() {
    let crowd = Crowd::new(Options {
        keep_removed: true,
        ..Options::default()
    });
    let engine = &crowd.engine;
    crowd.pruner.attach();
    let _open = crowd.pruner.open();
    let removed = &mut Vec::new();
    for number in 0..5000_u64 {
        let sid = engine.sid(&number.to_le_bytes());
        let life = if number % 2 == 0 { 10 } else { 1000 };
        crowd.set(sid, START, START + life, removed);
    }
    crowd.prune_in_background(START + 11);
    let mut pruned = Vec::new();
    let mut number = 0_u64;
    while engine.take_pruned(100, &mut pruned) {
        let sid = engine.sid(&number.to_le_bytes());
        let found = engine.get(&sid, START, removed, |_| ());
        assert_eq!(found.is_some(), number % 2 == 1);
        number = (number + 1) % 5000;
    }
    assert_eq!(pruned.len(), 2500);
    assert_eq!(*removed, []);
    assert_eq!(engine.len(), 2500);
    crowd.pruner.detach();
}
