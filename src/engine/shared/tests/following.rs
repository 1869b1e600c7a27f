//! Files that are removed or replaced while processes have them open.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::SharedEngine;
use super::processes::Running;
use super::{Folder, MAP, START, body_ref, read};
use crate::engine::{Condition, Durable, Engine, Failure, Options, Reading};
use crate::time::NEVER;

fn set(engine: &SharedEngine, sid: &str, body: &str) {
    let sid = engine.sid(sid.as_bytes());
    let times = (START, NEVER);
    engine.set(sid, body_ref(body), Condition::None, times, &mut Vec::new()).unwrap().unwrap();
}

fn get(engine: &SharedEngine, sid: &str) -> String {
    let found = engine.found(&engine.sid(sid.as_bytes()), START, read);
    found.unwrap_or_else(|| "none".into())
}

/// A file with a session, as a backup has it.
fn backup() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "early", "backup");
    drop(engine);
    let data = folder.path().join("data.mdb");
    (folder, data)
}

/// What a process that has the file open, one that this process is, and one that opens it later
/// have in common after the files in the folder were changed, and what is left of a session.
fn after(change: impl FnOnce(&Path), expected: &str) {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let mut other = Running::obeying(folder.path());
    set(&engine, "early", "here");
    assert_eq!(other.obey("get early"), "here");
    assert!(!engine.is_replaced());
    change(folder.path());
    assert!(engine.is_replaced());

    // All at once, for each may wait for the others.
    let mut later = Running::waiting(folder.path());
    later.begin("open");
    other.begin("follow");
    engine.follow().unwrap();
    assert_eq!([other.answer(), later.answer()], ["done", "done"]);

    assert!(!engine.is_replaced());
    let notice = engine.take_notice().unwrap();
    assert!(notice.contains(&*folder.path().to_string_lossy()), "{notice}");
    assert!(!notice.contains("early"));
    assert_eq!(engine.take_notice(), None, "told once");
    assert_eq!(get(&engine, "early"), expected);
    set(&engine, "mine", "1");
    assert_eq!(other.obey("set others 2"), "done");
    assert_eq!(later.obey("set later 3"), "done");
    for (sid, body) in [("mine", "1"), ("others", "2"), ("later", "3"), ("early", expected)] {
        assert_eq!(get(&engine, sid), body);
        for process in [&mut other, &mut later] {
            assert_eq!(process.obey(&format!("get {sid}")), body);
        }
    }
    engine.validate();
}

#[test]
fn who_has_a_folder_open_that_is_removed_goes_on_in_a_new_one() {
    after(|folder| fs::remove_dir_all(folder).unwrap(), "none");
}

#[test]
fn who_has_a_lock_file_open_that_is_removed_goes_on_with_the_data() {
    after(|folder| fs::remove_file(folder.join("lock.mdb")).unwrap(), "here");
}

#[test]
fn who_has_a_lock_file_open_that_is_replaced_goes_on_with_the_data() {
    let (other, _) = backup();
    after(
        |folder| fs::rename(other.path().join("lock.mdb"), folder.join("lock.mdb")).unwrap(),
        "here",
    );
}

#[test]
fn who_has_data_open_that_are_removed_goes_on_with_new_ones() {
    after(|folder| fs::remove_file(folder.join("data.mdb")).unwrap(), "none");
}

#[test]
fn who_has_data_open_that_are_replaced_goes_on_with_the_new_ones() {
    let (_other, data) = backup();
    after(|folder| fs::rename(&data, folder.join("data.mdb")).unwrap(), "backup");
}

#[test]
fn who_has_a_folder_open_that_is_replaced_goes_on_in_the_new_one() {
    let (other, _) = backup();
    after(
        |folder| {
            fs::rename(folder, folder.with_extension("old")).unwrap();
            fs::rename(other.path(), folder).unwrap();
            fs::remove_dir_all(folder.with_extension("old")).unwrap();
        },
        "backup",
    );
}

#[test]
fn a_folder_that_is_renamed_and_comes_back_is_the_same() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let mut other = Running::obeying(folder.path());
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    set(&engine, "away", "1");
    assert!(engine.is_replaced());
    fs::rename(&away, folder.path()).unwrap();
    engine.follow().unwrap();
    assert_eq!(engine.take_notice(), None);
    assert_eq!(other.obey("get away"), "1");
}

#[test]
fn a_folder_that_was_missed_is_noticed_again_when_it_comes_back() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "sid", "old");
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    engine.follow().unwrap();
    set(&engine, "sid", "new");
    fs::remove_dir_all(folder.path()).unwrap();
    fs::rename(&away, folder.path()).unwrap();
    engine.follow().unwrap();
    assert_eq!(get(&engine, "sid"), "old");
    assert!(engine.take_notice().is_some() && engine.take_notice().is_some());
}

/// Somebody who does not notice: it is stopped, or its event loop is.
#[test]
fn nobody_makes_locks_beside_a_process_that_has_not_noticed() {
    for file in ["lock.mdb", "data.mdb"] {
        let folder = Folder::new();
        let engine = folder.open(Options::default());
        let mut other = Running::obeying(folder.path());
        fs::remove_file(folder.path().join(file)).unwrap();
        let error = engine.follow_files(Duration::ZERO).unwrap_err();
        assert_eq!(error.code(), Some("ERR_MEMORYSTORE_REPLACED"));
        assert!(engine.take_notice().unwrap().contains("cannot go on"));
        // Until that has ended, operations fail at once.
        let sid = engine.sid(b"sid");
        let error =
            engine.read(&sid, Reading::Get, START, &mut Vec::new(), &mut |_| ()).unwrap_err();
        assert_eq!(error.code(), Some("ERR_MEMORYSTORE_REPLACED"));
        assert!(engine.follow_files(Duration::from_secs(3600)).is_err(), "it does not wait again");
        assert_eq!(engine.take_notice(), None, "nor is it told again");
        assert_eq!(other.obey("set sid 1"), "done");
        other.kill();
        engine.follow().unwrap();
        set(&engine, "sid", "2");
        engine.validate();
    }
}

#[test]
fn a_store_that_is_opened_later_notices_too() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "sid", "1");
    fs::remove_dir_all(folder.path()).unwrap();
    let later = folder.open(Options::default());
    assert!(Arc::ptr_eq(&engine, &later));
    assert_eq!(get(&engine, "sid"), "none");
    assert!(engine.take_notice().is_some());
}

#[test]
fn a_new_file_that_is_damaged_is_set_aside_and_told_of() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    fs::remove_file(folder.path().join("data.mdb")).unwrap();
    fs::write(folder.path().join("data.mdb"), [0xA5; 9000]).unwrap();
    std::os::unix::fs::chown(folder.path().join("data.mdb"), None, None).unwrap();
    engine.follow().unwrap();
    assert!(engine.take_notice().unwrap().contains("data.mdb.damaged-20"));
    set(&engine, "sid", "1");
}

#[test]
fn who_closes_a_file_that_was_replaced_does_not_vouch_for_the_other() {
    let (_other, data) = backup();
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    fs::rename(&data, folder.path().join("data.mdb")).unwrap();
    drop(engine);
    assert!(!folder.path().join("closed").exists());
}

#[test]
fn threads_go_on_while_the_files_are_replaced_again_and_again() {
    let folder = &Folder::new();
    let engine = &folder.open(Options::default());
    let is_over = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    set(engine, &format!("{thread}"), "1");
                    get(engine, &format!("{thread}"));
                    engine.begin_prune(START).unwrap();
                    engine.sync().unwrap();
                }
            });
        }
        for _ in 0..30 {
            fs::remove_dir_all(folder.path()).unwrap();
            engine.follow().unwrap();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let opened = SharedEngine::open(folder.path(), MAP, Options::default()).unwrap();
    assert!(Arc::ptr_eq(&opened.engine, engine));
    engine.validate();
}
