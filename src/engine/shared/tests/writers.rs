//! A writer that is stopped in the middle of a transaction.

use std::time::Duration;

use super::super::SharedEngine;
use super::super::open::{Request, open_files};
use super::processes::Running;
use super::{Folder, MAP, START, body_ref};
use crate::engine::{Condition, Engine, Failure, Options, Reading, Result};
use crate::time::NEVER;

fn set(engine: &SharedEngine, sid: &str) -> Result<()> {
    let sid = engine.sid(sid.as_bytes());
    let times = (START, NEVER);
    let body = body_ref("{}");
    engine.set(sid, body, Condition::None, times, &mut Vec::new()).map(|set| assert!(set.is_ok()))
}

fn set_patience(engine: &SharedEngine, patience: Duration) {
    engine.files.write().as_mut().unwrap().writer_lock.set_patience(patience);
}

const SHORT: Duration = Duration::from_millis(20);

/// Only whoever does not wait is as fast as that.
const FOREVER: Duration = Duration::from_secs(3600);

#[test]
fn a_writer_does_not_wait_for_ever_for_one_that_is_stopped() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "early").unwrap();
    let mut stopped = Running::obeying(folder.path());
    assert_eq!(stopped.obey("hold"), "holding");
    set_patience(&engine, SHORT);
    let error = set(&engine, "late").unwrap_err();
    assert_eq!(error.code(), Some("ERR_MEMORYSTORE_BUSY"));
    assert!(error.to_string().contains(&format!("the process {} ", stopped.id())), "{error}");

    // The next ones do not wait again.
    set_patience(&engine, FOREVER);
    for _ in 0..10 {
        assert_eq!(set(&engine, "late").unwrap_err().code(), Some("ERR_MEMORYSTORE_BUSY"));
    }
    // Who reads does not wait at all.
    assert!(
        engine
            .read(&engine.sid(b"early"), Reading::Get, START, &mut Vec::new(), &mut |_| ())
            .unwrap()
    );

    assert_eq!(stopped.obey("go on"), "done");
    set(&engine, "late").unwrap();
    assert_eq!(stopped.obey("set other 1"), "done");
    assert_eq!(engine.length().unwrap(), 3);
    engine.validate();

    // One got through, so they wait again.
    assert_eq!(stopped.obey("hold"), "holding");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| set(&engine, "patient"));
        while !engine.files().unwrap().writer_lock.is_awaited() && !writer.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(stopped.obey("go on"), "done");
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn a_writer_that_dies_in_the_middle_holds_nobody_up() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set_patience(&engine, FOREVER);
    for _ in 0..3 {
        let mut dying = Running::obeying(folder.path());
        assert_eq!(dying.obey("hold"), "holding");
        dying.kill();
        set(&engine, "sid").unwrap();
        engine.validate();
    }
}

#[test]
fn threads_wait_no_longer_than_one_writer_does() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let mut stopped = Running::obeying(folder.path());
    assert_eq!(stopped.obey("hold"), "holding");
    set_patience(&engine, SHORT);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| set(&engine, "sid"))).collect();
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert_eq!(error.code(), Some("ERR_MEMORYSTORE_BUSY"));
        }
    });
    assert_eq!(stopped.obey("go on"), "done");
    set(&engine, "sid").unwrap();
}

#[test]
fn who_opens_the_file_does_not_wait_for_ever_either() {
    let folder = Folder::new();
    let mut stopped = Running::obeying(folder.path());
    assert_eq!(stopped.obey("hold"), "holding");
    let request = Request {
        folder: folder.path(),
        map_size: MAP,
        options: Options::default(),
        patience: FOREVER,
        writer_patience: SHORT,
    };
    let error = open_files(&request).err().unwrap();
    assert_eq!(error.code(), Some("ERR_MEMORYSTORE_BUSY"));
    assert_eq!(stopped.obey("go on"), "done");
    set(&folder.open(Options::default()), "sid").unwrap();
}
