//! Compares the engine with a model of the rules that is as plain as possible: one list in the
//! order of expiry.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::super::SharedEngine;
use super::super::layout::MAX_COOKIE;
use super::super::space::PageSize;
use super::super::writing::STEP;
use super::Folder;
use crate::background::Maintenance;
use crate::engine::tests::sessions::{
    START, Session, body_ref, lifetime, new_body, ops_of, read, reading, text, timed, with_cookie,
};
use crate::engine::{
    Condition, Counters, Engine, NewCookie, Options, REMOVED_AT_ONCE, Reading, Refused, Removed,
    Touch, Touched,
};
use crate::sid::Sid;
use crate::time::Millis;

struct Entry {
    sid: u32,
    body: String,
    expires: Millis,
    /// The number of the write or touch that said so.
    sequence: u64,
    /// Whether the cookie is kept apart.
    is_cut: bool,
}

impl Entry {
    fn cost(&self) -> usize {
        let cookie = if self.is_cut { cookie_of(&self.body).len() } else { 0 };
        PageSize::of_system().cost(sid_bytes(self.sid).len(), cookie, self.body.len() - cookie)
    }

    fn order(&self) -> (Millis, u64) {
        (self.expires, self.sequence)
    }
}

/// The rules.
struct Model {
    options: Options,
    now: Millis,
    /// In no order.
    entries: Vec<Entry>,
    /// How many writes and touches there have been.
    turns: u64,
    /// Those that were destroyed. The earliest comes first.
    tombstone_order: Vec<u32>,
    prune: Option<Millis>,
    /// What prunes in the background removed and nobody has taken.
    pruned: Vec<Session>,
    counters: Counters,
}

impl Model {
    fn position(&self, sid: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.sid == sid)
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    fn tombstone_bytes(&self) -> usize {
        self.tombstone_order
            .iter()
            .map(|sid| PageSize::of_system().tombstone_cost(sid_bytes(*sid).len()))
            .sum()
    }

    fn bytes(&self) -> usize {
        self.tombstone_bytes() + self.entries.iter().map(Entry::cost).sum::<usize>()
    }

    /// The entries' places, what expires soonest first.
    fn by_expiry(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.entries.len()).collect();
        places.sort_by_key(|place| self.entries[*place].order());
        places
    }

    fn remove(&mut self, at: usize) -> Session {
        let entry = self.entries.swap_remove(at);
        (entry.sid, entry.body)
    }

    fn expire(&mut self, at: usize) -> Session {
        self.counters.expirations += 1;
        self.remove(at)
    }

    fn read(&mut self, sid: u32, reading: Reading, removed: &mut Vec<Session>) -> Option<String> {
        let found = self.find(sid, removed);
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
        let is_cut = is_cut(body);
        let entry = Entry { sid, body: body.into(), expires: 0, sequence: 0, is_cut };
        entry.cost() > self.options.max_bytes
    }

    fn set(
        &mut self,
        (sid, body): Session,
        expires: Millis,
        is_touch: bool,
        removed: &mut Vec<Session>,
    ) -> Result<(), Refused> {
        if self.is_too_large(sid, &body) {
            return Err(Refused::TooLarge);
        }
        let at = self.position(sid);
        let counters = &mut self.counters;
        *(if is_touch { &mut counters.touches } else { &mut counters.sets }) += 1;
        if self.options.max == 0 {
            removed.push((sid, body));
            return Ok(());
        }
        let is_cut = is_cut(&body);
        if let Some(at) = at {
            let old = self.entries.swap_remove(at);
            if self.options.keep_replaced {
                removed.push((sid, old.body));
            }
        }
        let sequence = self.next_turn();
        self.entries.push(Entry { sid, body, expires, sequence, is_cut });
        if at.is_some() {
            self.settle(sid, removed);
        }
        self.evict(Some(sid), removed);
        Ok(())
    }

    /// Removes what was overwritten by something that has already expired.
    fn settle(&mut self, sid: u32, removed: &mut Vec<Session>) {
        if let Some(at) = self.position(sid)
            && self.now > self.entries[at].expires
        {
            removed.push(self.expire(at));
        }
    }

    fn evict(&mut self, kept: Option<u32>, removed: &mut Vec<Session>) {
        loop {
            let is_by_count = self.entries.len() > self.options.max;
            if !is_by_count && self.bytes() <= self.options.max_bytes {
                return;
            }
            let others = self.by_expiry();
            let first = others.into_iter().find(|at| Some(self.entries[*at].sid) != kept);
            let Some(at) = first else {
                while self.bytes() > self.options.max_bytes && self.forget_first() {}
                return;
            };
            if is_by_count {
                self.counters.evictions_by_count += 1;
            } else {
                self.counters.evictions_by_bytes += 1;
            }
            removed.push(self.remove(at));
        }
    }

    fn forget_first(&mut self) -> bool {
        if self.tombstone_order.is_empty() {
            return false;
        }
        self.tombstone_order.remove(0);
        true
    }

    /// `fresh` is what is written if the cookie cannot be replaced.
    fn touch(
        &mut self,
        cookie: &str,
        fresh: Session,
        expires: Millis,
        removed: &mut Vec<Session>,
    ) -> Result<bool, Refused> {
        let sid = fresh.0;
        let Some(at) = self.position(sid) else {
            return Ok(false);
        };
        let is_too_soon = self.options.is_too_soon(self.entries[at].expires, expires);
        if self.now <= self.entries[at].expires && is_too_soon {
            return Ok(true);
        }
        if self.find(sid, removed).is_none() {
            return Ok(false);
        }
        let Some(at) = self.position(sid) else {
            self.set(fresh, expires, true, removed)?;
            return Ok(true);
        };
        let Some(body) = with_cookie(&self.entries[at].body, cookie) else {
            self.set(fresh, expires, true, removed)?;
            return Ok(true);
        };
        let sequence = self.turns + 1;
        let renewed = Entry { sid, body, expires, sequence, is_cut: true };
        if cookie.len() > MAX_COOKIE || renewed.cost() > self.options.max_bytes {
            self.set(fresh, expires, true, removed)?;
            return Ok(true);
        }
        self.turns = sequence;
        self.entries[at] = renewed;
        self.counters.touches += 1;
        self.settle(sid, removed);
        self.evict(Some(sid), removed);
        Ok(true)
    }

    fn destroy(&mut self, sid: u32, removed: &mut Vec<Session>) -> bool {
        self.tombstone_order.retain(|other| *other != sid);
        self.tombstone_order.push(sid);
        while self.tombstone_bytes() > self.options.max_bytes / 16 && self.forget_first() {}
        let at = self.position(sid);
        removed.extend(at.map(|at| self.remove(at)));
        self.evict(None, removed);
        at.is_some()
    }

    fn ids(&self) -> Vec<u32> {
        let places = self.by_expiry();
        let entries = places.iter().rev().map(|at| &self.entries[*at]);
        entries.map(|entry| entry.sid).collect()
    }

    fn begin_prune(&mut self) {
        let has_due = self.entries.iter().any(|entry| self.now > entry.expires);
        self.prune = has_due.then_some(self.now);
        for _ in 0..REMOVED_AT_ONCE / STEP {
            self.maintenance_step();
        }
    }

    /// What is written goes by a clock that may have been set back.
    fn note_time(&mut self) {
        self.prune = self.prune.map(|now| now.min(self.now));
    }

    fn all(&mut self, removed: &mut Vec<Session>) -> Vec<Session> {
        let (stale, now) = (self.options.stale, self.now);
        let places = self.by_expiry();
        let listed = places.iter().rev().map(|at| &self.entries[*at]);
        let listed = listed
            .filter(|entry| stale || now <= entry.expires)
            .map(|entry| (entry.sid, entry.body.clone()))
            .collect();
        let mut over = Vec::new();
        self.prune(now, usize::MAX, &mut over);
        removed.extend(over.into_iter().rev());
        listed
    }

    /// Returns also whether the sessions are handed out in steps.
    fn clear(&mut self) -> (Vec<Session>, bool) {
        self.tombstone_order.clear();
        let mut entries = std::mem::take(&mut self.entries);
        let is_swept = entries.len() > 1000;
        if is_swept {
            entries.sort_by_key(|entry| sid_bytes(entry.sid));
        } else {
            entries.sort_by_key(|entry| Reverse(entry.order()));
        }
        (entries.into_iter().map(|entry| (entry.sid, entry.body)).collect(), is_swept)
    }

    /// Returns whether there may be more.
    fn prune(&mut self, now: Millis, limit: usize, removed: &mut Vec<Session>) -> bool {
        let over = self.by_expiry().into_iter().filter(|at| now > self.entries[*at].expires);
        let sids: Vec<u32> = over.take(limit).map(|at| self.entries[at].sid).collect();
        for sid in &sids {
            let at = self.position(*sid).unwrap();
            removed.push(self.expire(at));
        }
        sids.len() == limit
    }

    fn maintenance_step(&mut self) -> bool {
        let Some(now) = self.prune else {
            return false;
        };
        let mut pruned = Vec::new();
        let more = self.prune(now, STEP, &mut pruned);
        self.pruned.append(&mut pruned);
        if !more {
            self.prune = None;
            self.counters.prunes += 1;
        }
        more
    }
}

/// Whether the cookie is cut out when the body is set.
fn is_cut(body: &str) -> bool {
    body.starts_with(r#"{"cookie":{"#)
}

fn cookie_of(body: &str) -> &str {
    let rest = body.split_once(r#""cookie":"#).unwrap().1;
    &rest[..rest.find(r#","n":"#).unwrap_or(rest.len() - 1)]
}

/// Sids of several lengths, in no order.
fn sid_bytes(number: u32) -> Vec<u8> {
    let mut bytes = number.wrapping_mul(0x9E37_79B9).to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    if number % 4 == 3 {
        bytes.resize(40 + number as usize % 400, b'.');
    }
    bytes
}

fn number_of(sid: &Sid) -> u32 {
    u32::from_le_bytes(sid.as_bytes()[4..8].try_into().unwrap())
}

fn sessions(removed: &[Removed]) -> Vec<Session> {
    removed.iter().map(|one| (number_of(&one.sid), text(&one.body))).collect()
}

fn figures(counters: &Counters) -> [u64; 8] {
    [
        counters.hits,
        counters.misses,
        counters.sets,
        counters.refused,
        counters.touches,
        counters.evictions_by_count,
        counters.evictions_by_bytes,
        counters.expirations,
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Read(u32, Reading),
    Set(u32, Millis, bool, usize),
    /// With a cookie that is so much longer than the shortest.
    Touch(u32, Millis, usize),
    Destroy(u32),
    Ids,
    All,
    Clear,
    Len,
    List,
    /// A prune that is done at once.
    Prune,
    BeginPrune,
    Step,
    TakePruned(usize),
    /// The clock goes forward, or back.
    Clock(Millis),
    /// The engine is closed and opened again.
    Reopen,
}

fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..20_usize, 2 => 20..300_usize, 1 => 300..1500_usize, 1 => 1500..9000_usize]
}

fn op(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        15 => (sids.clone(), reading()).prop_map(|(sid, reading)| Op::Read(sid, reading)),
        24 => (sids.clone(), lifetime(), any::<bool>(), padding())
            .prop_map(|(sid, life, is_json, padding)| Op::Set(sid, life, is_json, padding)),
        16 => (sids.clone(), lifetime(), padding())
            .prop_map(|(sid, life, padding)| Op::Touch(sid, life, padding)),
        6 => sids.prop_map(Op::Destroy),
        2 => Just(Op::Ids),
        2 => Just(Op::All),
        1 => Just(Op::Clear),
        1 => Just(Op::Len),
        2 => Just(Op::List),
        2 => Just(Op::Prune),
        4 => Just(Op::BeginPrune),
        6 => Just(Op::Step),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::TakePruned),
        10 => (0..30_i64).prop_map(Op::Clock),
        3 => (-60..0_i64).prop_map(Op::Clock),
        1 => Just(Op::Reopen),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let max = proptest::sample::select(&[usize::MAX, 0, 1, 3, 10][..]);
    // No budget, one that is too small for any, and some for a few.
    let max_bytes = prop_oneof![
        2 => Just(usize::MAX),
        1 => 0..300_usize,
        3 => 300..9000_usize,
        1 => 9000..50_000_usize,
    ];
    let touch_after = prop_oneof![3 => Just(0), 1 => 1..30_i64];
    let flags = any::<[bool; 3]>();
    (max, max_bytes, touch_after, flags).prop_map(|(max, max_bytes, touch_after, flags)| {
        let [stale, keep_removed, keep_replaced] = flags;
        let limits = Options { max, max_bytes, touch_after, ..Options::default() };
        Options { stale, keep_removed, keep_replaced, ..limits }
    })
}

/// An engine and a model of it, which do the same.
struct Pair {
    folder: Folder,
    engine: Arc<SharedEngine>,
    model: Model,
    bodies: u64,
}

impl Pair {
    fn new(options: Options) -> Self {
        let folder = Folder::new();
        let engine = folder.open(options);
        let model = Model {
            options,
            now: START,
            entries: Vec::new(),
            turns: 0,
            tombstone_order: Vec::new(),
            prune: None,
            pruned: Vec::new(),
            counters: Counters::default(),
        };
        Self { folder, engine, model, bodies: 0 }
    }

    fn sid(&self, number: u32) -> Sid {
        self.engine.sid(&sid_bytes(number))
    }

    fn read_by(&self, reading: Reading, number: u32, removed: &mut Vec<Removed>) -> Option<String> {
        self.engine.read_by(reading, (&self.sid(number), self.model.now), removed, read)
    }

    fn next_body(&mut self, is_json: bool, padding: usize) -> String {
        self.bodies += 1;
        new_body(self.bodies, is_json, padding)
    }

    /// Does `op` on both sides and compares what it gives and what it removes.
    fn apply(&mut self, op: &Op) {
        let now = self.model.now;
        let mut removed = Vec::new();
        let mut expected = Vec::new();
        match *op {
            Op::Read(number, reading) => {
                let found = self.read_by(reading, number, &mut removed);
                assert_eq!(found, self.model.read(number, reading, &mut expected));
            }
            Op::Set(number, life, is_json, padding) => {
                let body = self.next_body(is_json, padding);
                self.model.note_time();
                let expires = now.saturating_add(life);
                let (sid, given) = (self.sid(number), body_ref(&body));
                let times = (now, expires);
                let done = self.engine.set(sid, given, Condition::None, times, &mut removed);
                let model = self.model.set((number, body), expires, false, &mut expected);
                assert_eq!(done.unwrap().map(drop), model);
            }
            Op::Touch(number, life, padding) => {
                let fresh = self.next_body(true, padding);
                self.model.note_time();
                let expires = now.saturating_add(life);
                let cookie = if self.bodies.is_multiple_of(2) {
                    timed(self.bodies)
                } else {
                    format!(r#""{}{}""#, self.bodies, "c".repeat(padding))
                };
                let done = self.touch(number, (&cookie, &fresh), expires, &mut removed);
                let model = self.model.touch(&cookie, (number, fresh), expires, &mut expected);
                assert_eq!(done, model);
            }
            Op::Destroy(number) => {
                let existed = self.engine.destroy(&self.sid(number), now, &mut removed);
                assert_eq!(existed.unwrap(), self.model.destroy(number, &mut expected));
            }
            Op::Ids => {
                let ids: Vec<u32> = self.engine.ids().unwrap().iter().map(number_of).collect();
                assert_eq!(ids, self.model.ids());
            }
            Op::All => {
                let listed = self.engine.all(now, &mut removed).unwrap().into_iter();
                let listed = listed.map(|(sid, body)| Removed { sid, body, last_use: 0 });
                let listed = sessions(&listed.collect::<Vec<_>>());
                assert_eq!(listed, self.model.all(&mut expected));
            }
            Op::Clear => {
                self.engine.clear(now, &mut removed).unwrap();
                let (sessions, is_swept) = self.model.clear();
                match (self.model.options.keep_removed, is_swept) {
                    (true, true) => self.model.pruned.extend(sessions),
                    (true, false) => expected = sessions,
                    (false, _) => {}
                }
                while self.engine.maintenance_step() {}
                while self.model.maintenance_step() {}
            }
            Op::Len => {
                let length = self.engine.length().unwrap();
                assert_eq!(length, self.model.entries.len());
            }
            Op::List => self.list(),
            Op::Prune => {
                self.engine.begin_prune(now).unwrap();
                self.model.begin_prune();
                while self.engine.maintenance_step() {}
                while self.model.maintenance_step() {}
            }
            Op::BeginPrune => {
                self.engine.begin_prune(now).unwrap();
                self.model.begin_prune();
            }
            Op::Step => {
                assert_eq!(self.engine.maintenance_step(), self.model.maintenance_step());
            }
            Op::TakePruned(limit) => self.take_pruned(limit),
            Op::Clock(millis) => self.model.now += millis,
            Op::Reopen => self.reopen(),
        }
        if self.model.options.keep_removed {
            assert_eq!(sessions(&removed), expected, "what {op:?} removed");
        } else {
            let sids: Vec<u32> = removed.iter().map(|one| number_of(&one.sid)).collect();
            assert_eq!(sids, expected.iter().map(|one| one.0).collect::<Vec<_>>());
        }
        let stats = self.engine.stats().unwrap();
        assert_eq!(figures(&stats.counters), figures(&self.model.counters));
        assert_eq!((stats.sessions, stats.bytes), (self.model.entries.len(), self.model.bytes()));
        assert!(stats.sessions <= self.model.options.max);
        assert!(stats.bytes <= self.model.options.max_bytes);
    }

    /// As the boundary touches: by reading and writing where it cannot be done otherwise.
    fn touch(
        &self,
        number: u32,
        (cookie, fresh): (&str, &str),
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<bool, Refused> {
        let (sid, now) = (self.sid(number), self.model.now);
        let cookie = NewCookie::Text(body_ref(cookie));
        match self
            .engine
            .touch(&sid, cookie, Touch { now, expires, is_renewal: false }, removed)
            .unwrap()
        {
            Touched::NeedsText => unreachable!("it has it"),
            Touched::Missing => Ok(false),
            Touched::Renewed => Ok(true),
            Touched::NeedsRewrite => {
                let found =
                    self.engine.read_by(Reading::Fetch, (&sid, now), removed, |body| body.read());
                let Some(read) = found else {
                    return Ok(false);
                };
                let condition = Condition::Touch { read, is_change: false };
                let (fresh, times) = (body_ref(fresh), (now, expires));
                self.engine.set(sid, fresh, condition, times, removed).unwrap()?;
                Ok(true)
            }
        }
    }

    fn list(&self) {
        let mut listed = Vec::new();
        let mut listing = Arc::clone(&self.engine).listing().unwrap();
        while listing.step(&mut listed).unwrap() {}
        listed.sort_by_key(|(rank, _)| *rank);
        let listed: Vec<u32> = listed.iter().rev().map(|(_, sid)| number_of(sid)).collect();
        assert_eq!(listed, self.model.ids());
    }

    fn take_pruned(&mut self, limit: usize) {
        let mut taken = Vec::new();
        let more = self.engine.take_pruned(limit, &mut taken);
        let pruned = &mut self.model.pruned;
        if !self.model.options.keep_removed {
            pruned.clear();
        }
        let expected: Vec<Session> = pruned.drain(..limit.min(pruned.len())).collect();
        assert_eq!(sessions(&taken), expected);
        assert_eq!(more, !pruned.is_empty() || self.model.prune.is_some());
    }

    /// What is in the file stays. What is this process's own begins anew.
    fn reopen(&mut self) {
        let options = self.model.options;
        let weak = Arc::downgrade(&self.engine);
        self.engine = Folder::new().open(options);
        assert!(weak.upgrade().is_none());
        self.engine = self.folder.open(options);
        self.model.counters = Counters::default();
        self.model.prune = None;
        self.model.pruned.clear();
    }

    fn finish(&mut self) {
        for op in [Op::List, Op::Len, Op::Reopen, Op::Ids, Op::All, Op::Clear, Op::Len] {
            self.apply(&op);
            self.engine.validate();
        }
    }
}

fn growing(sids: Range<u32>) -> impl Strategy<Value = Op> {
    let life = prop_oneof![9 => 0..3000_i64, 1 => -20..0_i64];
    let set = (sids, life, any::<bool>(), padding())
        .prop_map(|(sid, life, is_json, padding)| Op::Set(sid, life, is_json, padding));
    prop_oneof![6 => set, 1 => (0..3_i64).prop_map(Op::Clock)]
}

fn shrinking(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => sids.clone().prop_map(Op::Destroy),
        2 => sids.prop_map(|sid| Op::Read(sid, Reading::Get)),
        1 => (0..100_i64).prop_map(Op::Clock),
        1 => Just(Op::BeginPrune),
        4 => Just(Op::Step),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules(
        options in options(),
        ops in proptest::collection::vec(op(0..14), 0..150),
    ) {
        let mut pair = Pair::new(options);
        for op in &ops {
            pair.apply(op);
            pair.engine.validate();
        }
        pair.finish();
    }
}

#[test]
fn an_engine_keeps_the_rules_while_hundreds_come_and_go() {
    const SIDS: Range<u32> = 0..600;
    for (max, max_bytes) in [(usize::MAX, usize::MAX), (200, usize::MAX), (200, 200_000)] {
        let options = Options { max, max_bytes, keep_removed: true, ..Options::default() };
        let mut pair = Pair::new(options);
        let phases =
            [ops_of(growing(SIDS), 1000), ops_of(op(SIDS), 800), ops_of(shrinking(SIDS), 1000)];
        for (count, op) in phases.iter().flatten().enumerate() {
            pair.apply(op);
            if count % 64 == 0 {
                pair.engine.validate();
            }
        }
        pair.finish();
    }
}
