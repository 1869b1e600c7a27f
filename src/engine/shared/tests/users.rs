//! The index of users in the file: made where the option is new, and mended after damage.

use std::fs;
use std::sync::Arc;

use super::super::head::HEAD;
use super::super::schema::STATE;
use super::super::{SharedEngine, index, layout};
use super::{Folder, MAP, START, State, body_ref};
use crate::engine::users::{Terms, Which};
use crate::engine::{Condition, Engine, Failure, Options, Owner};
use crate::session::UserPath;
use crate::sid::mark_of;
use crate::time::NEVER;

/// More than one step indexes.
const MANY: usize = 200;

fn with_user(path: &str) -> Options {
    Options { user: mark_of(path.as_bytes()), ..Options::default() }
}

fn try_open(folder: &Folder, path: &str) -> Result<Arc<SharedEngine>, String> {
    let opened = SharedEngine::open_by(folder.path(), MAP, with_user(path), &UserPath::new(path));
    let opened = opened.map_err(|error| error.code().unwrap_or_default().to_owned())?;
    assert_eq!(opened.set_aside, None);
    Ok(opened.engine)
}

fn open(folder: &Folder, path: &str) -> Arc<SharedEngine> {
    try_open(folder, path).unwrap()
}

fn set(engine: &SharedEngine, sid: &str, body: &str, owner: Owner<'_>) {
    let terms = Terms { owner, ..Terms::NONE };
    let sid = engine.sid(sid.as_bytes());
    let done = engine
        .set_by(sid, body_ref(body), Condition::None, (START, NEVER), terms, &mut Vec::new())
        .unwrap();
    assert!(done.is_ok(), "{done:?}");
}

fn body(user: &str, id: &str) -> String {
    format!(r#"{{"cookie":{{"path":"/"}},"user":"{user}","id":"{id}"}}"#)
}

/// The sids of a user, in order.
fn sids_of(engine: &SharedEngine, user: &str) -> Vec<String> {
    let user = engine.user(user.as_bytes());
    let mut sids = Vec::new();
    let mut after = None;
    loop {
        after = engine
            .sessions_of(user, after.as_ref(), START, &mut |sid, _, _| {
                sids.push(String::from_utf8(sid.as_bytes().to_vec()).unwrap());
            })
            .unwrap();
        if after.is_none() {
            sids.sort();
            return sids;
        }
    }
}

fn destroy_user(engine: &SharedEngine, user: &str) -> usize {
    let user = engine.user(user.as_bytes());
    let which = Which::All { except: None };
    let mut count = 0;
    let mut after = None;
    loop {
        let ended =
            engine.destroy_user(user, which, after.as_ref(), START, &mut Vec::new()).unwrap();
        count += ended.count;
        after = ended.after;
        if after.is_none() {
            return count;
        }
    }
}

/// A folder with sessions of two users, written without the option.
fn without_users() -> Folder {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    for number in 0..MANY {
        set(&engine, &format!("ann-{number}"), &body("ann", "ann-id"), Owner::Nobody);
    }
    set(&engine, "bob", &body("bob", "bob-id"), Owner::Nobody);
    set(&engine, "text", "no JSON", Owner::Nobody);
    engine.validate();
    folder
}

#[test]
fn a_file_of_before_the_option_is_indexed_before_a_list_is_given() {
    let folder = without_users();
    let engine = open(&folder, "user");
    assert_eq!(sids_of(&engine, "ann").len(), MANY);
    assert_eq!(sids_of(&engine, "bob"), ["bob"]);
    engine.validate();
    assert_eq!(destroy_user(&engine, "ann"), MANY);
    assert_eq!(engine.length().unwrap(), 2);
    engine.validate();
}

#[test]
fn the_background_thread_indexes_too_and_writes_meanwhile_count() {
    let folder = without_users();
    let engine = open(&folder, "user");
    assert!(engine.is_busy().unwrap());
    let path = UserPath::new("user");
    set(&engine, "ann-0", &body("bob", ""), Owner::At(&path));
    set(&engine, "zoe", &body("ann", ""), Owner::At(&path));
    engine.destroy(&engine.sid(b"ann-1"), START, &mut Vec::new()).unwrap();
    engine.validate();
    engine.finish_steps(&mut Vec::new());
    assert!(!engine.is_busy().unwrap());
    engine.validate();
    assert_eq!(sids_of(&engine, "ann").len(), MANY - 1);
    assert_eq!(sids_of(&engine, "bob"), ["ann-0", "bob"]);
}

#[test]
fn a_file_that_is_opened_with_another_option_is_indexed_by_that() {
    let folder = without_users();
    drop(open(&folder, "user"));
    let engine = open(&folder, "id");
    assert_eq!(sids_of(&engine, "ann"), [""; 0]);
    assert_eq!(sids_of(&engine, "ann-id").len(), MANY);
    engine.validate();
    drop(engine);
    // Half done, and then opened without the option.
    drop(open(&folder, "user"));
    let engine = folder.open(Options::default());
    set(&engine, "ann-0", &body("bob", ""), Owner::Nobody);
    engine.validate();
    drop(engine);
    let engine = open(&folder, "user");
    assert_eq!(sids_of(&engine, "ann").len(), MANY - 1);
    assert_eq!(sids_of(&engine, "bob"), ["ann-0", "bob"]);
    engine.validate();
}

#[test]
fn what_was_written_before_belongs_to_who_the_app_tells_at_the_next_write() {
    let folder = without_users();
    let told = Options { user: u64::MAX, ..Options::default() };
    let engine = folder.open(told);
    set(&engine, "new", "{}", Owner::Named(b"ann"));
    assert_eq!(sids_of(&engine, "ann"), ["new"]);
    set(&engine, "bob", "{}", Owner::Named(b"bob"));
    assert_eq!(sids_of(&engine, "bob"), ["bob"]);
    drop(engine);
    // It is known already.
    let engine = folder.open(told);
    assert_eq!(sids_of(&engine, "bob"), ["bob"]);
    engine.validate();
}

#[test]
fn stores_of_one_path_find_users_in_one_way() {
    let folder = Folder::new();
    let engine = open(&folder, "user");
    assert!(Arc::ptr_eq(&engine, &open(&folder, "user")));
    assert_eq!(try_open(&folder, "id").unwrap_err(), "ERR_MEMORYSTORE_PATH");
}

#[test]
fn a_sid_too_long_for_a_key_of_the_index_is_listed_too() {
    let folder = Folder::new();
    let engine = open(&folder, "user");
    let path = UserPath::new("user");
    let mut sids: Vec<String> = [32, 495, 496, 503].map(|length| "s".repeat(length)).into();
    for sid in &sids {
        set(&engine, sid, &body("ann", ""), Owner::At(&path));
    }
    sids.sort();
    assert_eq!(sids_of(&engine, "ann"), sids);
    engine.validate();
    assert_eq!(destroy_user(&engine, "ann"), 4);
    engine.validate();
}

/// Has the file looked through when it is opened next.
fn forget_the_end(folder: &Folder) {
    let _ = fs::remove_file(folder.path().join("closed"));
}

#[test]
fn what_damage_has_done_to_the_index_is_mended() {
    let folder = without_users();
    let engine = open(&folder, "user");
    assert_eq!(sids_of(&engine, "ann").len(), MANY);
    {
        let files = engine.files().unwrap();
        let mut transaction = files.env.write_txn().unwrap();
        let state = files.databases.state(&transaction).unwrap();
        let users = files.databases.sessions(&state).users;
        let mut key = Vec::new();
        index::user_key(engine.user(b"ann"), b"ann-7", &mut key);
        assert!(users.delete(&mut transaction, &key).unwrap());
        for (user, sid) in [("ann", "bob"), ("ann", "gone"), ("bob", "ann-8")] {
            index::user_key(engine.user(user.as_bytes()), sid.as_bytes(), &mut key);
            users.put(&mut transaction, &key, &[]).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(sids_of(&engine, "bob"), ["bob"], "what belongs to somebody else is passed over");
    assert_eq!(sids_of(&engine, "ann").len(), MANY - 1);
    drop(engine);
    forget_the_end(&folder);
    let engine = open(&folder, "user");
    assert_eq!(sids_of(&engine, "ann").len(), MANY);
    engine.validate();
}

#[test]
fn a_session_whose_note_is_damaged_is_gone_and_its_entry_with_it() {
    let folder = without_users();
    let engine = open(&folder, "user");
    assert_eq!(sids_of(&engine, "ann").len(), MANY);
    {
        let files = engine.files().unwrap();
        let mut transaction = files.env.write_txn().unwrap();
        let state = files.databases.state(&transaction).unwrap();
        let heads = files.databases.sessions(&state).heads;
        let mut head = heads.get(&transaction, b"ann-7").unwrap().unwrap().to_vec();
        head[HEAD + 20] ^= 1;
        heads.put(&mut transaction, b"ann-7", &head).unwrap();
        transaction.commit().unwrap();
    }
    assert_eq!(sids_of(&engine, "ann").len(), MANY - 1);
    let sid = engine.sid(b"ann-7");
    assert_eq!(engine.found(&sid, START, super::read), None);
    assert_eq!(engine.length().unwrap(), MANY + 1);
    drop(engine);
    forget_the_end(&folder);
    let engine = open(&folder, "user");
    let entries =
        engine.reading(|snapshot| snapshot.sessions.users.len(snapshot.transaction)).unwrap();
    assert_eq!(entries, MANY as u64, "those of the others");
}

#[test]
fn a_file_of_the_format_without_users_is_carried_over() {
    let folder = without_users();
    let engine = folder.open(Options::default());
    let format =
        |engine: &SharedEngine| engine.reading(|snapshot| Ok(snapshot.state.format)).unwrap();
    {
        let files = engine.files().unwrap();
        let mut transaction = files.env.write_txn().unwrap();
        let state = files.databases.state(&transaction).unwrap();
        let state = State { format: layout::EARLIER_FORMATS[0], ..state };
        files.databases.state.put(&mut transaction, STATE, &state.bytes()).unwrap();
        transaction.commit().unwrap();
    }
    drop(engine);
    let engine = open(&folder, "user");
    assert_eq!(format(&engine), layout::FORMAT);
    assert_eq!(sids_of(&engine, "ann").len(), MANY);
    engine.validate();
}
