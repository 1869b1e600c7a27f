//! Compares [`MemoryEngine`] with a model of the rules that is as plain as possible: one list in
//! the order of use. Shards and expiry entries must not be visible from outside; of the steps, only
//! which expired sessions are gone already. Then runs threads on one engine, and checks that no
//! body is lost or handed out twice.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::MemoryEngine;
use crate::background::{Maintenance, Worker};
use crate::engine::tests::sessions::{
    START, Session, body_ref, lifetime, new_body, ops_of, read, reading, text, timed, with_cookie,
};
use crate::engine::{
    Condition, Counters, Engine, NewCookie, Options, Reading, Refused, Removed, Result, Touch,
    Touched,
};
use crate::session::BodyView;
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

struct Entry {
    sid: u32,
    body: String,
    expires: Millis,
    /// What the engine said that the record takes, when it was written last.
    cost: usize,
}

/// A write as both sides are told of it.
struct Write {
    session: Session,
    expires: Millis,
    /// What the engine's record takes afterwards.
    cost: usize,
    /// What the tombstones take afterwards.
    destroyed: usize,
    /// The sids that are there afterwards or that the write has removed, because a prune may have
    /// removed others.
    seen: HashSet<u32>,
}

/// The rules. The most recently used entry is the last.
struct Model {
    options: Options,
    now: Millis,
    entries: Vec<Entry>,
    /// The time of the prune that is under way: what has expired by then may be gone.
    prune: Option<Millis>,
    /// What was removed in steps and nobody has taken.
    pruned: Vec<Session>,
    counters: Counters,
    /// What the tombstones take, as the engine says.
    destroyed: usize,
}

impl Model {
    fn position(&self, sid: u32) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.sid == sid)
    }

    fn bytes(&self) -> usize {
        self.destroyed + self.entries.iter().map(|entry| entry.cost).sum::<usize>()
    }

    fn remove(&mut self, at: usize) -> Session {
        let entry = self.entries.remove(at);
        (entry.sid, entry.body)
    }

    fn expire(&mut self, at: usize) -> Session {
        self.counters.expirations += 1;
        self.remove(at)
    }

    /// Moves the entry to the recent end.
    fn used(&mut self, at: usize) -> &mut Entry {
        self.entries[at..].rotate_left(1);
        self.entries.last_mut().unwrap()
    }

    fn read(&mut self, sid: u32, reading: Reading, removed: &mut Vec<Session>) -> Option<String> {
        let found = self.find(sid, removed);
        if reading != Reading::Peek
            && let Some(at) = self.position(sid)
        {
            self.used(at);
        }
        if reading == Reading::Get {
            self.counters.hits += u64::from(found.is_some());
            self.counters.misses += u64::from(found.is_none());
        }
        found
    }

    fn find(&mut self, sid: u32, removed: &mut Vec<Session>) -> Option<String> {
        let at = self.position(sid)?;
        if self.now <= self.entries[at].expires {
            return Some(self.entries[at].body.clone());
        }
        let session = self.expire(at);
        let body = self.options.stale.then(|| session.1.clone());
        removed.push(session);
        body
    }

    fn is_too_large(&self, sid: u32, body: &str) -> bool {
        self.options.max_bytes < usize::MAX && alone(sid, body) > self.options.max_bytes
    }

    /// Whether there is room for the body beside the tombstones.
    fn has_room(&self, sid: u32, body: &str) -> bool {
        self.options.max_bytes == usize::MAX
            || alone(sid, body) + self.destroyed <= self.options.max_bytes
    }

    fn set(&mut self, write: Write, removed: &mut Vec<Session>) -> Result<(), Refused> {
        self.write(write, removed)?;
        self.counters.sets += 1;
        Ok(())
    }

    /// Removes what the prune under way has: expired ones that are not among those `seen`.
    fn absorb_prune(&mut self, seen: &HashSet<u32>) {
        for at in (0..self.entries.len()).rev() {
            let entry = &self.entries[at];
            let is_due = self.prune.is_some_and(|now| now > entry.expires);
            if is_due && !seen.contains(&entry.sid) {
                let session = self.expire(at);
                self.pruned.push(session);
            }
        }
    }

    fn note_time(&mut self) {
        self.prune = self.prune.map(|now| now.min(self.now));
    }

    fn write(&mut self, write: Write, removed: &mut Vec<Session>) -> Result<(), Refused> {
        let seen = write.seen;
        let (sid, body) = write.session;
        if self.is_too_large(sid, &body) {
            return Err(Refused::TooLarge);
        }
        self.destroyed = write.destroyed;
        if self.options.max == 0 {
            removed.push((sid, body));
            return Ok(());
        }
        if let Some(at) = self.position(sid) {
            let old = self.rewrite(at, body, write.expires, write.cost);
            if self.options.keep_replaced {
                removed.push((sid, old));
            }
            self.settle(removed);
        } else {
            self.entries.push(Entry { sid, body, expires: write.expires, cost: write.cost });
        }
        self.evict(&seen, removed);
        Ok(())
    }

    fn rewrite(&mut self, at: usize, body: String, expires: Millis, cost: usize) -> String {
        let entry = self.used(at);
        entry.expires = expires;
        entry.cost = cost;
        std::mem::replace(&mut entry.body, body)
    }

    /// Removes what was overwritten by something that has already expired.
    fn settle(&mut self, removed: &mut Vec<Session>) {
        let last = self.entries.len() - 1;
        if self.now > self.entries[last].expires {
            removed.push(self.expire(last));
        }
    }

    fn evict(&mut self, seen: &HashSet<u32>, removed: &mut Vec<Session>) {
        self.absorb_prune(seen);
        loop {
            if self.entries.len() > self.options.max {
                self.counters.evictions_by_count += 1;
            } else if self.bytes() > self.options.max_bytes {
                self.counters.evictions_by_bytes += 1;
            } else {
                return;
            }
            removed.push(self.remove(0));
        }
    }

    /// `fresh` is what is written if the cookie cannot be replaced in place.
    fn touch(
        &mut self,
        cookie: &str,
        fresh: Write,
        removed: &mut Vec<Session>,
    ) -> Result<bool, Refused> {
        let sid = fresh.session.0;
        let Some(old) = self.read(sid, Reading::Fetch, removed) else {
            return Ok(false);
        };
        // What is cut out takes no room.
        let fits = |body: &String| cookie.starts_with('{') || self.has_room(sid, body);
        let spliced = with_cookie(&old, cookie).filter(fits);
        match (self.position(sid), spliced) {
            (Some(at), Some(body)) => {
                self.rewrite(at, body, fresh.expires, fresh.cost);
                self.settle(removed);
                self.evict(&fresh.seen, removed);
            }
            _ => self.write(fresh, removed)?,
        }
        self.counters.touches += 1;
        Ok(true)
    }

    fn destroy(&mut self, sid: u32, seen: &HashSet<u32>, removed: &mut Vec<Session>) -> bool {
        let at = self.position(sid);
        removed.extend(at.map(|at| self.remove(at)));
        self.evict(seen, removed);
        at.is_some()
    }

    fn ids(&self) -> Vec<u32> {
        self.entries.iter().rev().map(|entry| entry.sid).collect()
    }

    fn all(&mut self, removed: &mut Vec<Session>) -> Vec<Session> {
        let stale = self.options.stale;
        let listed = self.entries.iter().rev();
        let listed = listed
            .filter(|entry| stale || self.now <= entry.expires)
            .map(|entry| (entry.sid, entry.body.clone()))
            .collect();
        self.remove_expired(removed);
        listed
    }

    fn clear(&mut self) -> Vec<Session> {
        (0..self.entries.len()).rev().map(|at| self.remove(at)).collect()
    }

    fn remove_expired(&mut self, removed: &mut Vec<Session>) {
        for at in (0..self.entries.len()).rev() {
            if self.now > self.entries[at].expires {
                removed.push(self.expire(at));
            }
        }
    }
}

/// Sid `number` in one of up to 256 groups, each of which has a shard of its own. Every fourth
/// does not fit into a record's node.
fn grouped_sid(number: u32, group: u64) -> Sid {
    let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = mixed & !(0xFFFF_FFFF << 24) | group << 48;
    let mut bytes = number.to_le_bytes().to_vec();
    if number % 4 == 3 {
        bytes.resize(40 + number as usize % 60, b'.');
    }
    Sid::with_hash(&bytes, hash)
}

fn number_of(sid: &Sid) -> u32 {
    u32::from_le_bytes(sid.as_bytes()[..4].try_into().unwrap())
}

/// What `read` makes of the body that an operation finds.
fn found<R>(
    read: impl Fn(BodyView<'_>) -> R,
    operation: impl FnOnce(&mut dyn FnMut(BodyView<'_>)) -> Result<bool>,
) -> Option<R> {
    let mut value = None;
    let is_found = operation(&mut |body| value = Some(read(body))).unwrap();
    assert_eq!(is_found, value.is_some());
    value
}

/// An engine that knows the kind of the timed cookies.
fn engine(options: Options) -> MemoryEngine {
    let engine = MemoryEngine::new(options);
    assert!(engine.template(timed(0).as_bytes()).is_some());
    engine
}

/// What a store takes that holds this session and nothing else.
fn alone(sid: u32, body: &str) -> usize {
    let engine = engine(Options::default());
    let (sid, removed) = (grouped_sid(sid, 0), &mut Vec::new());
    engine.set(sid, body_ref(body), Condition::None, (0, NEVER), removed).unwrap().unwrap();
    engine.stats().unwrap().bytes
}

fn sessions(removed: &[Removed]) -> Vec<Session> {
    let session = |one: &Removed| (number_of(&one.sid), text(&one.body));
    removed.iter().map(session).collect()
}

/// The counters of what was done to sessions.
fn figures(counters: &Counters) -> [u64; 7] {
    [
        counters.hits,
        counters.misses,
        counters.sets,
        counters.touches,
        counters.evictions_by_count,
        counters.evictions_by_bytes,
        counters.expirations,
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Read(u32, Reading),
    Set(u32, Millis, Shape),
    /// With a cookie that is so much longer than the shortest.
    Touch(u32, Millis, usize),
    Destroy(u32),
    Ids,
    All,
    Clear,
    Len,
    /// Lists so many shards.
    List(usize),
    /// A prune that is done at once.
    Prune,
    /// Begins a prune, of which only the first so many entries are looked at.
    BeginPrune(usize),
    /// A step with so large a budget.
    Step(usize),
    /// A step as the background thread does it.
    BackgroundStep,
    TakePruned(usize),
    /// The clock goes forward, or back.
    Clock(Millis),
}

/// What a body is like: JSON or not, and how much longer than the shortest.
#[derive(Clone, Copy, Debug)]
struct Shape {
    is_json: bool,
    padding: usize,
}

fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..20_usize, 2 => 20..300_usize, 1 => 300..1500_usize]
}

fn shape() -> impl Strategy<Value = Shape> {
    (any::<bool>(), padding()).prop_map(|(is_json, padding)| Shape { is_json, padding })
}

fn op(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        15 => (sids.clone(), reading()).prop_map(|(sid, reading)| Op::Read(sid, reading)),
        24 => (sids.clone(), lifetime(), shape())
            .prop_map(|(sid, life, shape)| Op::Set(sid, life, shape)),
        12 => (sids.clone(), lifetime(), padding())
            .prop_map(|(sid, life, padding)| Op::Touch(sid, life, padding)),
        4 => sids.prop_map(Op::Destroy),
        2 => Just(Op::Ids),
        2 => Just(Op::All),
        1 => Just(Op::Clear),
        1 => Just(Op::Len),
        6 => prop_oneof![1..100_usize, Just(1000)].prop_map(Op::List),
        2 => Just(Op::Prune),
        8 => (1..4_usize).prop_map(Op::BeginPrune),
        10 => (1..4_usize).prop_map(Op::Step),
        3 => Just(Op::BackgroundStep),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::TakePruned),
        10 => (0..30_i64).prop_map(Op::Clock),
        3 => (-60..0_i64).prop_map(Op::Clock),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let max = proptest::sample::select(&[usize::MAX, 0, 1, 3, 10][..]);
    // No budget, one that is too small for any, and some for a few.
    let max_bytes = prop_oneof![
        2 => Just(usize::MAX),
        1 => 0..300_usize,
        3 => 300..5000_usize,
    ];
    let flags = any::<[bool; 3]>();
    (max, max_bytes, flags).prop_map(|(max, max_bytes, flags)| {
        let [stale, keep_removed, keep_replaced] = flags;
        Options { max, max_bytes, stale, keep_removed, keep_replaced, ..Options::default() }
    })
}

/// An engine and a model of it, which do the same.
struct Pair {
    engine: MemoryEngine,
    model: Model,
    /// How many shards the sids lie in.
    shards: u64,
    bodies: u64,
    listing: Listing,
}

/// A walk over the shards.
#[derive(Default)]
struct Listing {
    next: usize,
    listed: Vec<(crate::engine::Rank, Sid)>,
    /// The sids that have been there from its beginning on.
    always: HashSet<u32>,
}

impl Pair {
    fn new(options: Options, shards: u64) -> Self {
        Self {
            engine: engine(options),
            model: Model {
                options,
                now: START,
                entries: Vec::new(),
                prune: None,
                pruned: Vec::new(),
                counters: Counters::default(),
                destroyed: 0,
            },
            shards,
            bodies: 0,
            listing: Listing::default(),
        }
    }

    fn sid(&self, number: u32) -> Sid {
        grouped_sid(number, u64::from(number) % self.shards)
    }

    fn next_body(&mut self, shape: Shape) -> String {
        self.bodies += 1;
        new_body(self.bodies, shape.is_json, shape.padding)
    }

    /// What is to be told to the model of a write that the engine has been told of.
    fn written(&self, number: u32, body: String, expires: Millis, removed: &[Removed]) -> Write {
        Write {
            session: (number, body),
            expires,
            cost: self.engine.cost_of(&self.sid(number)).unwrap_or(0),
            destroyed: self.engine.destroyed(),
            seen: self.seen(removed),
        }
    }

    /// The sids that are there and those that were removed.
    fn seen(&self, removed: &[Removed]) -> HashSet<u32> {
        let removed = removed.iter().map(|one| number_of(&one.sid));
        self.engine.ids().unwrap().iter().map(number_of).chain(removed).collect()
    }

    /// Does `op` on both sides and compares what it gives and what it removes.
    fn apply(&mut self, op: &Op) {
        let now = self.model.now;
        let mut removed = Vec::new();
        let mut expected = Vec::new();
        if matches!(op, Op::Read(..) | Op::Set(..) | Op::Touch(..) | Op::All) {
            self.model.note_time();
        }
        match *op {
            Op::Read(number, reading) => {
                let sid = self.sid(number);
                let found =
                    found(read, |keep| self.engine.read(&sid, reading, now, &mut removed, keep));
                assert_eq!(found, self.model.read(number, reading, &mut expected));
            }
            Op::Set(number, life, shape) => {
                let (sid, body) = (self.sid(number), self.next_body(shape));
                let expires = now.saturating_add(life);
                let given = body_ref(&body);
                let done = self
                    .engine
                    .set(sid, given, Condition::None, (now, expires), &mut removed)
                    .unwrap();
                let write = self.written(number, body, expires, &removed);
                assert_eq!(done.map(drop), self.model.set(write, &mut expected));
            }
            Op::Touch(number, life, padding) => {
                let fresh = self.next_body(Shape { is_json: true, padding });
                let expires = now.saturating_add(life);
                let cookie = if self.bodies.is_multiple_of(2) {
                    timed(self.bodies)
                } else {
                    format!(r#""{}{}""#, self.bodies, "c".repeat(padding))
                };
                let done = self.touch(number, (&cookie, &fresh), expires, &mut removed);
                let write = self.written(number, fresh, expires, &removed);
                assert_eq!(done, self.model.touch(&cookie, write, &mut expected));
            }
            Op::Destroy(number) => {
                let existed = self.engine.destroy(&self.sid(number), now, &mut removed).unwrap();
                self.model.destroyed = self.engine.destroyed();
                let seen = self.seen(&removed);
                assert_eq!(existed, self.model.destroy(number, &seen, &mut expected));
            }
            Op::Ids => {
                let ids: Vec<u32> = self.engine.ids().unwrap().iter().map(number_of).collect();
                assert_eq!(ids, self.model.ids());
            }
            Op::All => {
                let listed = self.engine.all(now, &mut removed).unwrap().into_iter();
                let listed: Vec<_> =
                    listed.map(|(sid, body)| (number_of(&sid), text(&body))).collect();
                assert_eq!(listed, self.model.all(&mut expected));
            }
            Op::Clear => self.clear(),
            Op::Len => {
                assert_eq!(self.engine.length().unwrap(), self.model.entries.len());
                assert_eq!(self.engine.length().unwrap() == 0, self.model.entries.is_empty());
            }
            Op::List(count) => self.list(count),
            Op::Prune => {
                self.engine.begin_prune(now).unwrap();
                while self.engine.maintenance_step() {}
                self.model.prune = Some(now);
                self.model.absorb_prune(&self.seen(&[]));
                assert!(self.model.entries.iter().all(|entry| now <= entry.expires));
            }
            Op::BeginPrune(budget) => {
                self.engine.begin_prune_with(now, budget);
                self.model.prune = Some(now);
            }
            Op::Step(budget) => drop(self.engine.step(budget)),
            Op::BackgroundStep => drop(self.engine.maintenance_step()),
            Op::TakePruned(limit) => self.take_pruned(limit),
            Op::Clock(millis) => self.model.now += millis,
        }
        if self.model.options.keep_removed {
            assert_eq!(sessions(&removed), expected, "what {op:?} removed");
        } else {
            let sids: Vec<u32> = removed.iter().map(|one| number_of(&one.sid)).collect();
            assert_eq!(sids, expected.iter().map(|one| one.0).collect::<Vec<_>>());
        }
        self.model.absorb_prune(&self.seen(&[]));
        self.compare_figures();
        let ids: HashSet<u32> = self.model.entries.iter().map(|entry| entry.sid).collect();
        self.listing.always.retain(|number| ids.contains(number));
    }

    fn compare_figures(&self) {
        let stats = self.engine.stats().unwrap();
        assert!(stats.bytes <= self.model.options.max_bytes);
        assert_eq!(stats.sessions, self.model.entries.len());
        assert_eq!(stats.bytes, self.model.bytes());
        assert_eq!(figures(&stats.counters), figures(&self.model.counters));
    }

    fn list(&mut self, count: usize) {
        let ids: HashSet<u32> = self.model.entries.iter().map(|entry| entry.sid).collect();
        let listing = &mut self.listing;
        if listing.next == 0 {
            listing.always.clone_from(&ids);
        }
        for _ in 0..count {
            let known = listing.listed.len();
            let more = self.engine.list_shard(listing.next, &mut listing.listed);
            let new = &listing.listed[known..];
            assert!(new.iter().all(|(_, sid)| ids.contains(&number_of(sid))));
            listing.next += 1;
            if !more {
                std::mem::take(listing).validate();
                return;
            }
        }
    }

    /// As the boundary touches: by reading and writing where it cannot be done in place.
    fn touch(
        &self,
        number: u32,
        (cookie, fresh): (&str, &str),
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<bool, Refused> {
        let (sid, now) = (self.sid(number), self.model.now);
        let new_cookie = match self.engine.template(cookie.as_bytes()) {
            None => NewCookie::Text(body_ref(cookie)),
            Some(template) => NewCookie::Cut { template, time: Some(self.bodies.cast_signed()) },
        };
        match self
            .engine
            .touch(&sid, new_cookie, Touch { now, expires, is_renewal: false }, removed)
            .unwrap()
        {
            Touched::NeedsText => unreachable!("the template is there"),
            Touched::Missing => Ok(false),
            Touched::Renewed => Ok(true),
            Touched::NeedsRewrite => {
                let found = found(
                    |body| body.read(),
                    |read| self.engine.read(&sid, Reading::Fetch, now, removed, read),
                );
                let condition = Condition::Touch { read: found.unwrap(), is_change: false };
                let fresh = body_ref(fresh);
                self.engine.set(sid, fresh, condition, (now, expires), removed).unwrap()?;
                Ok(true)
            }
        }
    }

    fn clear(&mut self) {
        let mut cleared = Vec::new();
        self.engine.clear(self.model.now, &mut cleared).unwrap();
        self.model.destroyed = self.engine.destroyed();
        assert!(self.engine.template(timed(0).as_bytes()).is_some());
        let expected = self.model.clear();
        self.model.prune = None;
        if !self.model.options.keep_removed {
            return assert_eq!(cleared, [], "nobody wants it");
        }
        if expected.len() <= cleared.len() {
            return assert_eq!(sessions(&cleared), expected);
        }
        assert_eq!(cleared, [], "they are handed out in steps");
        self.model.pruned.extend(expected);
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
            self.model.pruned.swap_remove(at.expect("not removed by a prune"));
        }
        assert!(more || self.model.pruned.is_empty());
        assert_eq!(more, self.engine.is_busy().unwrap());
    }

    /// Lets what is under way finish, and compares all there is.
    fn finish(&mut self) {
        while self.engine.maintenance_step() {}
        self.model.absorb_prune(&self.seen(&[]));
        self.engine.validate();
        self.take_pruned(usize::MAX);
        if self.model.options.keep_removed {
            assert_eq!(self.model.pruned, []);
        }
        assert!(!self.engine.take_pruned(usize::MAX, &mut Vec::new()));
        for op in [Op::List(1000), Op::Len, Op::Ids, Op::All, Op::Clear, Op::Len] {
            self.apply(&op);
        }
        while self.engine.maintenance_step() {}
        self.take_pruned(usize::MAX);
        self.engine.validate();
    }
}

impl Listing {
    fn validate(self) {
        let numbers: HashSet<u32> = self.listed.iter().map(|(_, sid)| number_of(sid)).collect();
        assert_eq!(numbers.len(), self.listed.len(), "none twice");
        assert!(self.always.is_subset(&numbers), "none is left out");
    }
}

fn growing(sids: Range<u32>) -> impl Strategy<Value = Op> {
    let life = prop_oneof![9 => 0..3000_i64, 1 => -20..0_i64];
    let set = (sids, life, shape()).prop_map(|(sid, life, shape)| Op::Set(sid, life, shape));
    prop_oneof![6 => set, 1 => (0..3_i64).prop_map(Op::Clock)]
}

fn shrinking(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => sids.clone().prop_map(Op::Destroy),
        2 => sids.prop_map(|sid| Op::Read(sid, Reading::Get)),
        1 => (0..100_i64).prop_map(Op::Clock),
        1 => Just(Op::BeginPrune(1)),
        4 => Just(Op::BackgroundStep),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules(
        options in options(),
        shards in 1..4_u64,
        ops in proptest::collection::vec(op(0..14), 0..150),
    ) {
        let mut pair = Pair::new(options, shards);
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
    for (max, max_bytes, shards) in
        [(usize::MAX, usize::MAX, 3), (900, usize::MAX, 256), (900, 300_000, 256)]
    {
        let options = Options { max, max_bytes, keep_removed: true, ..Options::default() };
        let mut pair = Pair::new(options, shards);
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

/// Several threads at one engine and the prunes of a background thread.
struct Crowd {
    engine: Arc<MemoryEngine>,
    worker: &'static Worker,
    now: AtomicI64,
    bodies: AtomicU64,
}

const THREADS: u64 = 4;
const SIDS: u64 = 96;

impl Crowd {
    fn new(options: Options) -> Self {
        Self {
            engine: Arc::new(MemoryEngine::new(options)),
            worker: Worker::leaked(),
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
                10..18 => {
                    drop(found(read, |read| {
                        self.engine.read(&sid, Reading::Get, now, &mut removed, read)
                    }));
                }
                18..24 => self.touch(&sid, now, now + life, &mut removed),
                24..27 => drop(self.engine.destroy(&sid, now, &mut removed).unwrap()),
                27..30 => self.prune_in_background(now),
                30 => drop(self.engine.take_pruned(7, &mut removed)),
                _ => self.tick(random),
            }
        }
        removed
    }

    fn set(&self, sid: Sid, now: Millis, expires: Millis, removed: &mut Vec<Removed>) {
        let body = new_body(self.bodies.fetch_add(1, Ordering::Relaxed), true, 0);
        self.engine
            .set(sid, body_ref(&body), Condition::None, (now, expires), removed)
            .unwrap()
            .unwrap();
    }

    /// With the cookie it has already, so that each body stays what it was.
    fn touch(&self, sid: &Sid, now: Millis, expires: Millis, removed: &mut Vec<Removed>) {
        let cookie = NewCookie::Text(body_ref("0"));
        let touched = self
            .engine
            .touch(sid, cookie, Touch { now, expires, is_renewal: false }, removed)
            .unwrap();
        assert_ne!(touched, Touched::NeedsRewrite);
    }

    fn prune_in_background(&self, now: Millis) {
        self.engine.begin_prune(now).unwrap();
        if self.engine.is_busy().unwrap() {
            let engine: Weak<MemoryEngine> = Arc::downgrade(&self.engine);
            self.worker.maintain(engine);
        }
    }

    /// Time passes, and now and then is set back. Then somebody looks at all there is.
    fn tick(&self, random: u64) {
        let millis = if (random >> 40).is_multiple_of(8) { -40 } else { 9 };
        self.now.fetch_add(millis, Ordering::Relaxed);
        match random >> 45 & 3 {
            0 => drop(self.engine.ids().unwrap()),
            1 => drop(self.engine.length().unwrap()),
            _ => {}
        }
    }

    /// Lets the threads work, and returns all that left the engine.
    fn run(&self, operations: usize) -> Vec<Removed> {
        self.worker.attach();
        let open = self.worker.open();
        let mut removed = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..=THREADS)
                .map(|seed| scope.spawn(move || self.work(seed, operations)))
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
        });
        drop(open);
        self.worker.detach();
        while self.engine.maintenance_step() {}
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

        let ids = engine.ids().unwrap();
        let held = engine.all(Millis::MIN, &mut Vec::new()).unwrap();
        assert_eq!(engine.length().unwrap(), ids.len());
        assert!(ids.len() <= max);
        let listed: Vec<Sid> = held.iter().map(|(sid, _)| sid.clone()).collect();
        assert_eq!(listed, ids);
        assert_eq!(ids.iter().map(Sid::as_bytes).collect::<HashSet<_>>().len(), ids.len());

        let left = removed.iter().map(|removed| &removed.body);
        let bodies: Vec<String> = left.chain(held.iter().map(|(_, body)| body)).map(text).collect();
        let distinct: HashSet<&String> = bodies.iter().collect();
        assert_eq!(distinct.len(), bodies.len(), "no body leaves twice");
        let written = crowd.bodies.load(Ordering::Relaxed);
        assert_eq!(bodies.len() as u64, written, "no body is lost");
    }
}

#[test]
fn threads_and_the_background_thread_keep_an_engine_in_order() {
    let crowd = Crowd::new(Options { max: 60, ..Options::default() });
    crowd.run(6000);
    crowd.engine.validate();
    let count = crowd.engine.length().unwrap();
    assert!(count <= 60);
    assert_eq!(crowd.engine.ids().unwrap().len(), count);
    crowd.engine.clear(START, &mut Vec::new()).unwrap();
    assert!(crowd.engine.length().unwrap() == 0);
}

#[test]
fn the_background_thread_finishes_a_prune_while_callers_go_on() {
    let crowd = Crowd::new(Options { keep_removed: true, ..Options::default() });
    let engine = &crowd.engine;
    crowd.worker.attach();
    let _open = crowd.worker.open();
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
        let found =
            found(|_| (), |read| engine.read(&sid, Reading::Get, START + 11, removed, read));
        assert_eq!(found.is_some(), number % 2 == 1);
        number = (number + 1) % 5000;
    }
    assert_eq!(pruned.len() + removed.len(), 2500);
    assert_eq!(engine.length().unwrap(), 2500);
    crowd.worker.detach();
}
