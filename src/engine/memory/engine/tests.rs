use super::*;
use crate::session::Encoding;
use crate::time::NEVER;

const BODY: BodyRef<'_> =
    BodyRef { bytes: br#"{"cookie":0}"#, encoding: Encoding::Ascii, is_json: true };

/// An engine with `expired` sessions that are over at 11 and one that never is.
fn engine(expired: u64, options: Options) -> MemoryEngine {
    let engine = MemoryEngine::new(options);
    let lives = (0..expired).map(|_| 10).chain([NEVER]);
    for (number, expires) in (0_u64..).zip(lives) {
        let sid = engine.sid(&number.to_le_bytes());
        engine.set(sid, BODY, Condition::None, (0, expires), &mut Vec::new()).unwrap().unwrap();
    }
    engine
}

#[test]
fn a_caller_does_a_short_prune_itself_and_the_beginning_of_a_long_one() {
    let limit = REMOVED_AT_ONCE as u64;
    for (expired, left) in [(limit - 1, 0), (limit + 50, 50)] {
        let engine = engine(expired, Options::default());
        engine.begin_prune(11).unwrap();
        assert_eq!(engine.length().unwrap(), left + 1);
        assert_eq!(engine.is_busy().unwrap(), left > 0);
        while engine.maintenance_step() {}
        assert_eq!(engine.length().unwrap(), 1);
    }
}

#[test]
fn what_steps_remove_is_announced_before_it_is_there_and_until_it_is_taken() {
    let expired = REMOVED_AT_ONCE as u64 + 40;
    let engine = engine(expired, Options { keep_removed: true, ..Options::default() });
    let removed = &mut Vec::new();
    assert!(!engine.is_busy().unwrap());
    engine.begin_prune(11).unwrap();
    assert!(engine.take_pruned(usize::MAX, removed), "there will be more");
    assert_eq!(removed.len(), REMOVED_AT_ONCE);
    assert!(engine.is_busy().unwrap());
    while engine.maintenance_step() {}
    assert!(engine.is_busy().unwrap());
    assert!(engine.take_pruned(39, removed));
    assert!(engine.is_busy().unwrap());
    assert!(!engine.take_pruned(39, removed));
    assert!(!engine.is_busy().unwrap());
    assert_eq!(removed.len() as u64, expired);
}

#[test]
fn a_short_prune_hands_out_the_most_recently_used_first() {
    let engine = engine(100, Options { keep_removed: true, ..Options::default() });
    let removed = &mut Vec::new();
    engine.read(&engine.sid(&7_u64.to_le_bytes()), Reading::Get, 0, removed, &mut |_| ()).unwrap();
    engine.begin_prune(11).unwrap();
    engine.take_pruned(usize::MAX, removed);
    let expected = [7].into_iter().chain((0..100_u64).rev().filter(|number| *number != 7));
    let sids: Vec<Sid> = removed.iter().map(|one| one.sid.clone()).collect();
    let expected: Vec<_> = expected.map(|number| engine.sid(&number.to_le_bytes())).collect();
    assert_eq!(sids, expected);
}

#[test]
fn what_was_taken_leaves_no_memory_behind() {
    let engine = engine(10_000, Options { keep_removed: true, ..Options::default() });
    engine.clear(0, &mut Vec::new()).unwrap();
    while engine.maintenance_step() {}
    let removed = &mut Vec::new();
    while engine.take_pruned(500, removed) {}
    assert_eq!(removed.len(), 10_001);
    assert_eq!(engine.table.lock().pruned.capacity(), 0);
}

#[test]
fn only_a_large_store_takes_long_to_drop() {
    let large = engine(QUICK_TO_FREE as u64, Options::default());
    assert!(Engine::takes_long_to_drop(&large));
    assert!(!Engine::takes_long_to_drop(&engine(QUICK_TO_FREE as u64 - 1, Options::default())));
}

#[test]
fn what_was_cleared_takes_long_to_drop_until_it_is_freed() {
    let engine = engine(10_000, Options::default());
    engine.clear(0, &mut Vec::new()).unwrap();
    assert!(Engine::takes_long_to_drop(&engine));
    while engine.maintenance_step() {}
    assert!(!Engine::takes_long_to_drop(&engine));
}

#[test]
fn a_write_counts_for_what_it_is_and_only_if_it_is_done() {
    let room = engine(0, Options::default()).stats().unwrap().bytes;
    let engine = engine(0, Options { max_bytes: room, ..Options::default() });
    let sid = || engine.sid(&0_u64.to_le_bytes());
    let removed = &mut Vec::new();
    let large = BodyRef { bytes: &[b'1'; 100], ..BODY };
    let touch = Condition::Touch { read: 1, is_change: false };
    assert_eq!(
        engine.set(sid(), large, Condition::None, (0, 9), removed).unwrap(),
        Err(Refused::TooLarge)
    );
    assert_eq!(engine.set(sid(), large, touch, (0, 9), removed).unwrap(), Err(Refused::TooLarge));
    let touched = engine
        .touch(
            &sid(),
            NewCookie::Text(large),
            Touch { now: 0, expires: 9, is_renewal: false },
            removed,
        )
        .unwrap();
    assert_eq!(touched, Touched::NeedsRewrite);
    let counters = engine.stats().unwrap().counters;
    assert_eq!((counters.sets, counters.touches), (1, 0));

    let cookie = BodyRef { bytes: b"1", ..BODY };
    engine.set(sid(), BODY, touch, (0, NEVER), removed).unwrap().unwrap();
    engine
        .touch(
            &sid(),
            NewCookie::Text(cookie),
            Touch { now: 0, expires: NEVER, is_renewal: false },
            removed,
        )
        .unwrap();
    engine
        .touch(
            &engine.sid(b"none"),
            NewCookie::Text(BODY),
            Touch { now: 0, expires: NEVER, is_renewal: false },
            removed,
        )
        .unwrap();
    let counters = engine.stats().unwrap().counters;
    assert_eq!((counters.sets, counters.touches), (1, 2));
    assert_eq!(*removed, []);
}
