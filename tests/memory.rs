//! That the sizes by which a store goes are those of real memory.

#![expect(clippy::unwrap_used, reason = "where an engine fails the test does")]

use std::alloc::System;

use memorystore_rs::engine::{Condition, Engine, MemoryEngine, Options, Owner, Terms};
use memorystore_rs::session::{BodyRef, Encoding};
use memorystore_rs::time::NEVER;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A map and a vector have twice the room after they have doubled; the sizes are those of their
/// middle, which is what counts from one doubling to the next come to.
const COUNTS: [u64; 8] = [70, 80, 90, 100, 110, 120, 130, 139];

/// How many per cent what an engine says that it holds is of what it does hold, over all counts.
fn told_of_real(options: Options, fill: impl Fn(&MemoryEngine, u64)) -> usize {
    let (mut told, mut real) = (0, 0);
    for count in COUNTS {
        let region = Region::new(ALLOCATOR);
        let engine = MemoryEngine::new(options);
        let empty = region.change();
        for number in 0..1000 * count {
            fill(&engine, number);
        }
        let held = region.change() - empty;
        told += engine.stats().unwrap().bytes;
        real += held.bytes_allocated - held.bytes_deallocated;
    }
    100 * told / real
}

/// One test, so that no other allocates meanwhile.
#[test]
fn what_a_store_says_that_it_takes_is_what_it_takes() {
    let set = |engine: &MemoryEngine, number: u64, body: &[u8], expires| {
        let body = BodyRef { bytes: body, encoding: Encoding::Ascii, is_json: false };
        let sid = engine.sid(&number.to_le_bytes());
        engine.set(sid, body, Condition::None, (0, expires), &mut Vec::new()).unwrap().unwrap();
    };
    let own = |engine: &MemoryEngine, number: u64| {
        let body = BodyRef { bytes: &[b'a'; 100], encoding: Encoding::Ascii, is_json: false };
        let sid = engine.sid(&number.to_le_bytes());
        let user = (number / 3).to_le_bytes();
        let terms = Terms { owner: Owner::Named(&user), ..Terms::NONE };
        let removed = &mut Vec::new();
        engine.set_by(sid, body, Condition::None, (0, NEVER), terms, removed).unwrap().unwrap();
    };
    let plain = Options::default();
    let small = told_of_real(plain, |engine, number| set(engine, number, &[b'a'; 16], 1000));
    let large = told_of_real(plain, |engine, number| set(engine, number, &[b'a'; 320], NEVER));
    let destroyed = told_of_real(plain, |engine, number| {
        engine.destroy(&engine.sid(&number.to_le_bytes()), 0, &mut Vec::new()).unwrap();
    });
    let owned = told_of_real(Options { user: 1, ..plain }, own);
    for told in [small, large, destroyed, owned] {
        assert!((90..110).contains(&told), "{small}, {large}, {destroyed} and {owned} per cent");
    }
}
