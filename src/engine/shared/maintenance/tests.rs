use super::super::error::{Attempt, Cause};
use super::super::handle::SharedEngine;
use super::super::tests::Folder;
use crate::background::Maintenance;
use crate::engine::tests::sessions::{START, body_ref};
use crate::engine::{Condition, Engine, Options};

#[test]
fn why_a_prune_has_ended_is_told_once_and_not_of_the_next() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let fail = || engine.backlog.lock().failure = Some(engine.error(Attempt::Write, Cause::Full));
    fail();
    assert!(engine.is_busy().is_err());
    assert!(!engine.is_busy().unwrap());
    fail();
    engine.begin_prune(0).unwrap();
    assert!(!engine.is_busy().unwrap());
}

/// Whoever waits for the end of the removing asks while a step has yet to say what it removed.
#[test]
fn an_engine_is_busy_while_a_step_is_under_way() {
    const MANY: u64 = 2000;
    let max_bytes = 1 << 20;
    let options = Options { max_bytes, keep_removed: true, ..Options::default() };
    let begin: [fn(&SharedEngine); 3] = [
        |engine| set(engine, b"large", &"x".repeat(engine.options.max_bytes / 10 * 9)),
        |engine| engine.clear(START, &mut Vec::new()).unwrap(),
        |engine| engine.begin_prune(START + 1).unwrap(),
    ];
    for begin in begin {
        let folder = Folder::new();
        let engine = folder.open(options);
        for number in 0..MANY {
            set(&engine, &number.to_le_bytes(), "{}");
        }
        begin(&engine);
        std::thread::scope(|scope| {
            // The step waits for this transaction.
            let is_busy = engine.writing(&[], 0, &mut Vec::new(), |_| {
                let step = scope.spawn(|| engine.maintenance_step());
                while engine.backlog.lock().steps_under_way == 0 && !step.is_finished() {
                    std::thread::yield_now();
                }
                // As if another step had been the last.
                let mut backlog = engine.backlog.lock();
                backlog.prune = None;
                backlog.pruned.clear();
                Ok(backlog.is_busy().unwrap())
            });
            assert!(is_busy.unwrap());
        });
        while engine.maintenance_step() {}
        while engine.take_pruned(100, &mut Vec::new()) {}
        assert!(!engine.is_busy().unwrap());
    }
}

fn set(engine: &SharedEngine, sid: &[u8], body: &str) {
    let (sid, times) = (engine.sid(sid), (START, START));
    engine.set(sid, body_ref(body), Condition::None, times, &mut Vec::new()).unwrap().unwrap();
}
