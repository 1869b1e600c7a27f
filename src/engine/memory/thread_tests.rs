//! Runs threads on one engine, and checks that no body is lost or handed out twice.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::MemoryEngine;
use crate::background::{Maintenance, Worker};
use crate::engine::tests::pair::found;
use crate::engine::tests::sessions::{START, body_ref, new_body, read, text};
use crate::engine::{Condition, Engine, NewCookie, Options, Reading, Removed, Touch, Touched};
use crate::sid::Sid;
use crate::time::Millis;

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
        let body = new_body(self.bodies.fetch_add(1, Ordering::Relaxed), true, 0, None);
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
