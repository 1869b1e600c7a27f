//! The file itself: who opens it, what becomes of a damaged one, and of one that is full.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};

use super::super::lmdb::Entries;
use super::super::schema::STATE;
use super::super::{SharedEngine, closing, layout};
#[cfg(unix)]
use super::processes::Running;
use super::{Folder, MAP, START, State, body_ref, read};
use crate::engine::{
    Condition, Durable, Engine, Failure, NewCookie, Options, REMOVED_AT_ONCE, Reading, Refused,
    Removed, Touch,
};
use crate::sid::Sid;
use crate::time::NEVER;

fn set(engine: &SharedEngine, sid: &Sid, body: &str) -> Result<(), String> {
    let times = (START, NEVER);
    let done = engine.set(sid.clone(), body_ref(body), Condition::None, times, &mut Vec::new());
    done.map_err(|error| error.to_string())?.map(drop).map_err(|refused| format!("{refused:?}"))
}

fn get(engine: &SharedEngine, sid: &Sid) -> Option<String> {
    engine.found(sid, START, read)
}

/// A folder with a store of `count` sessions, closed.
fn filled(count: u64) -> Folder {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    for number in 0..count {
        let body = "x".repeat(usize::try_from(number * 7 % 5000).unwrap());
        set(&engine, &engine.sid(&number.to_le_bytes()), &body).unwrap();
    }
    folder
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data.mdb")
}

#[test]
fn a_path_has_one_engine_in_a_process_until_its_last_store_is_dropped() {
    let folder = Folder::new();
    let one = folder.open(Options::default());
    let other = folder.open(Options::default());
    assert!(Arc::ptr_eq(&one, &other));
    #[cfg(unix)]
    {
        let link = Folder::new();
        std::os::unix::fs::symlink(folder.path(), link.path()).unwrap();
        assert!(Arc::ptr_eq(&one, &link.open(Options::default())));
        fs::remove_file(link.path()).unwrap();
    }
    set(&one, &one.sid(b"sid"), "kept").unwrap();
    drop((one, other));
    let anew = folder.open(Options { max: 5, ..Options::default() });
    assert_eq!(get(&anew, &anew.sid(b"sid")).as_deref(), Some("kept"));
}

#[test]
fn threads_may_open_and_close_a_path_at_any_time() {
    let folder = &Folder::new();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                for round in 0..50 {
                    let engine = folder.open(Options::default());
                    let sid = engine.sid(&thread.to_le_bytes());
                    let expected = (round > 0).then(|| format!("round {}", round - 1));
                    assert_eq!(get(&engine, &sid), expected);
                    set(&engine, &sid, &format!("round {round}")).unwrap();
                }
            });
        }
    });
}

#[test]
fn whoever_has_other_options_is_told_which() {
    let folder = Folder::new();
    let options = Options::default();
    let _engine = folder.open(options);
    for (name, map_size, options) in [
        ("max", MAP, Options { max: 5, ..options }),
        ("stale", MAP, Options { stale: true, ..options }),
        ("mapSize", 2 * MAP, options),
    ] {
        let error = SharedEngine::open(folder.path(), map_size, options).unwrap_err();
        assert_eq!(error.differing_option(), Some(name));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_what_it_makes() {
    use std::os::unix::fs::PermissionsExt;

    let folder = filled(1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path()), 0o700);
    for file in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_path_that_cannot_be_a_folder_is_an_error_that_names_it() {
    let folder = filled(1);
    let wrong = data(&folder);
    let error = SharedEngine::open(&wrong, MAP, Options::default()).unwrap_err();
    assert!(error.to_string().contains(&*wrong.to_string_lossy()), "{error}");
    assert!(wrong.is_file());
}

#[test]
fn a_process_that_was_forked_off_is_told_to_open_the_store_itself() {
    let folder = Folder::new();
    let mut engine = Arc::into_inner(folder.open(Options::default())).unwrap();
    // As it is in another process.
    engine.process += 1;
    let sid = engine.sid(b"sid");
    let errors = [
        engine.read(&sid, Reading::Get, START, &mut Vec::new(), &mut |_| ()).unwrap_err(),
        engine.destroy(&sid, START, &mut Vec::new()).unwrap_err(),
        engine.sync().unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("after the fork"), "{error}");
    }
}

/// Opens a store whose file was damaged: it is empty, works, and the old file is kept.
fn is_set_aside(folder: &Folder, damage: &str) {
    let before = fs::read(data(folder)).unwrap_or_default();
    let opened = SharedEngine::open(folder.path(), MAP, Options::default()).unwrap();
    let aside = opened.set_aside.unwrap_or_else(|| panic!("{damage}: was opened as it is"));
    let name = aside.file_name().unwrap().to_string_lossy();
    assert!(name.starts_with("data.mdb.damaged-20"), "{name}");
    assert!(aside.is_dir() || fs::read(&aside).unwrap() == before);
    let engine = opened.engine;
    assert!(engine.is_empty());
    let sid = engine.sid(b"sid");
    set(&engine, &sid, "new").unwrap();
    assert_eq!(get(&engine, &sid).as_deref(), Some("new"));
    engine.validate();
}

#[test]
fn a_file_that_is_not_lmdbs_is_set_aside() {
    let no_files: [(&str, &[u8]); 3] =
        [("text", b"not a database"), ("a page of nothing", &[0; 4096]), ("noise", &[0xA5; 9000])];
    for (damage, bytes) in no_files {
        let folder = filled(3);
        fs::write(data(&folder), bytes).unwrap();
        is_set_aside(&folder, damage);
        // The next one has another name.
        fs::write(data(&folder), bytes).unwrap();
        is_set_aside(&folder, damage);
        assert!(fs::read_dir(folder.path()).unwrap().count() >= 5);
    }
    let folder = filled(3);
    fs::remove_file(data(&folder)).unwrap();
    fs::create_dir(data(&folder)).unwrap();
    is_set_aside(&folder, "a folder");
}

/// Whatever there is, nothing goes wrong with it but that sessions are missing.
fn goes_on(folder: &Folder) -> bool {
    let opened = SharedEngine::open(folder.path(), MAP, Options::default()).unwrap();
    let engine = opened.engine;
    engine.stats().unwrap();
    let mut sids = engine.ids().unwrap();
    engine.all(START, &mut Vec::new()).unwrap();
    sids.extend((0..200_u64).map(|number| engine.sid(&number.to_le_bytes())));
    for (number, sid) in sids.iter().enumerate() {
        get(&engine, sid);
        let cookie = NewCookie::Text(body_ref("1"));
        engine
            .touch(
                sid,
                cookie,
                Touch { now: START, expires: NEVER, is_renewal: false },
                &mut Vec::new(),
            )
            .unwrap();
        if number % 3 == 0 {
            engine.destroy(sid, START, &mut Vec::new()).unwrap();
        } else if layout::key_of(sid).is_some() {
            set(&engine, sid, "anew").unwrap();
            assert_eq!(get(&engine, sid).as_deref(), Some("anew"));
        }
    }
    engine.prune_all(NEVER);
    engine.clear_all(START);
    opened.set_aside.is_some()
}

#[test]
fn a_file_that_is_cut_off_or_has_other_bytes_in_it_never_stops_the_process() {
    let whole = filled(200);
    let bytes = fs::read(data(&whole)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut random = 1_u64;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        usize::try_from((random >> 20) % limit as u64).unwrap()
    };
    let folder = Folder::new();
    drop(folder.open(Options::default()));
    let mut set_aside = 0;
    for number in 0..150 {
        let mut damaged = bytes[..=used].to_vec();
        match number % 5 {
            0 => damaged.truncate(below(used)),
            1 => damaged[below(used)] ^= 1 << below(8),
            2 => {
                // Where pages have their headers and pointers.
                let at = below(used / 4096) * 4096 + below(100);
                damaged[at] = damaged[at].wrapping_add(1);
            }
            3 => {
                let at = below(used / 4096) * 4096;
                damaged[at..at + 4096].fill(0);
            }
            _ => {
                let at = below(used - 64);
                damaged[at..at + 64].fill(0xA5);
            }
        }
        fs::write(data(&folder), &damaged).unwrap();
        set_aside += usize::from(goes_on(&folder));
    }
    assert!(set_aside > 50, "{set_aside}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_is_known_where_it_was_closed_and_nobody_has_changed_it_since() {
    let known = |folder: &Folder| closing::take_mark(folder.path()).unwrap();
    let closed = || {
        let folder = filled(10);
        let engine = folder.open(Options::default());
        assert!(!known(&folder), "it is open");
        // Right before the end, so that who leaves the note has to wait until it can be trusted.
        set(&engine, &engine.sid(b"last"), "{}").unwrap();
        engine.sync().unwrap();
        drop(engine);
        folder
    };
    let folder = closed();
    assert!(known(&folder));
    assert!(!known(&folder), "whoever opens it takes the note away");

    let folder = closed();
    let mut bytes = fs::read(data(&folder)).unwrap();
    bytes[5000] ^= 1;
    fs::write(data(&folder), &bytes).unwrap();
    assert!(!known(&folder), "another byte");

    let folder = closed();
    fs::rename(data(&folder), folder.path().join("moved")).unwrap();
    fs::copy(folder.path().join("moved"), data(&folder)).unwrap();
    assert!(!known(&folder), "another file");
}

/// A change within one step of the system's clock could leave the file with the same time.
#[cfg(target_os = "linux")]
#[test]
fn a_note_that_was_written_right_after_the_file_is_not_trusted() {
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, UNIX_EPOCH};

    for (later, is_trusted) in [(5, false), (19, false), (40, true)] {
        let folder = filled(3);
        let changed = fs::metadata(data(&folder)).unwrap();
        let changed = Duration::new(
            changed.ctime().unsigned_abs(),
            u32::try_from(changed.ctime_nsec()).unwrap(),
        );
        let note = fs::File::options().write(true).open(folder.path().join("closed")).unwrap();
        note.set_modified(UNIX_EPOCH + changed + Duration::from_millis(later)).unwrap();
        assert_eq!(closing::take_mark(folder.path()).unwrap(), is_trusted, "{later} ms");
    }
}

#[test]
fn an_empty_file_is_begun_anew() {
    let folder = filled(3);
    fs::write(data(&folder), b"").unwrap();
    assert!(folder.open(Options::default()).is_empty());
}

#[test]
fn a_file_of_another_format_is_set_aside() {
    for state in [&State { format: layout::FORMAT + 1, ..State::default() }.bytes()[..], b"?"] {
        let folder = filled(3);
        write_state(&folder.open(Options::default()), state);
        is_set_aside(&folder, "another format");
    }
}

fn write_state(engine: &SharedEngine, state: &[u8]) {
    let files = engine.files().unwrap();
    let mut transaction = files.env.write_txn().unwrap();
    files.databases.state.put(&mut transaction, STATE, state).unwrap();
    transaction.commit().unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_of_another_format_that_is_in_use_is_an_error_and_left_alone() {
    let folder = filled(3);
    let mut child = Running::obeying(folder.path());
    child.obey("open");
    let state = State { format: layout::FORMAT + 1, ..State::default() };
    write_state(&folder.open(Options::default()), &state.bytes());
    for _ in 0..2 {
        let error = SharedEngine::open(folder.path(), MAP, Options::default()).unwrap_err();
        assert_eq!(error.code(), Some("ERR_MEMORYSTORE_FORMAT"));
        assert!(error.to_string().contains("another version"), "{error}");
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("damaged")));
    }
    child.kill();
    is_set_aside(&folder, "another format that nobody has open");
}

/// The databases that have the sessions of a store that was never cleared.
fn sessions(engine: &SharedEngine) -> super::super::schema::Sessions {
    engine.files().unwrap().databases.sessions[0]
}

fn change(
    database: Entries,
    transaction: &mut heed::RwTxn<'_>,
    key: &[u8],
    change: impl FnOnce(&mut Vec<u8>),
) {
    let mut value = database.get(transaction, key).unwrap().unwrap().to_vec();
    change(&mut value);
    database.put(transaction, key, &value).unwrap();
}

#[test]
fn what_is_damaged_in_a_session_counts_as_missing_and_is_removed() {
    type Damage = fn(&SharedEngine, &mut heed::RwTxn<'_>, &[u8]);
    /// Long enough for a body that is apart from its head, in pieces.
    const APART: usize = 9000;
    let damages: [(usize, Damage); 8] = [
        (APART, |engine, transaction, key| {
            change(sessions(engine).bodies, transaction, key, |body| body[9] ^= 4);
        }),
        (APART, |engine, transaction, key| {
            sessions(engine).bodies.put(transaction, key, b"1").unwrap();
        }),
        (0, |engine, transaction, key| {
            change(sessions(engine).heads, transaction, key, |value| {
                *value.last_mut().unwrap() ^= 4;
            });
        }),
        (APART, |engine, transaction, key| {
            assert!(sessions(engine).bodies.delete(transaction, key).unwrap());
        }),
        (0, |engine, transaction, key| {
            sessions(engine).heads.put(transaction, key, b"head").unwrap();
        }),
        (0, |engine, transaction, key| {
            // The cookie is to be where there is no text.
            change(sessions(engine).heads, transaction, key, |value| {
                value[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
            });
        }),
        (0, |engine, transaction, key| {
            change(sessions(engine).heads, transaction, key, |value| {
                value.pop();
            });
        }),
        (APART, |engine, transaction, key| {
            assert!(sessions(engine).heads.delete(transaction, key).unwrap());
        }),
    ];
    for (number, (length, damage)) in damages.iter().enumerate() {
        let folder = Folder::new();
        let engine = folder.open(Options::default());
        let sids = [engine.sid(b"damaged"), engine.sid(b"whole")];
        let body = format!(r#"{{"cookie":{{"path":"/"}},"views":"{}"}}"#, "1".repeat(*length));
        for sid in &sids {
            set(&engine, sid, &body).unwrap();
        }
        let files = engine.files().unwrap();
        let mut transaction = files.env.write_txn().unwrap();
        damage(&engine, &mut transaction, b"damaged");
        transaction.commit().unwrap();
        drop(files);
        if number % 2 == 0 {
            let listed = engine.all(START, &mut Vec::new()).unwrap();
            assert_eq!(listed.len(), 1, "damage {number}");
        }
        assert_eq!(get(&engine, &sids[0]), None, "damage {number}");
        assert!(get(&engine, &sids[1]).is_some());
        let is_known = recount(&engine) == state(&engine);
        assert!(is_known || number > 3, "damage {number}: its head was whole");
        set(&engine, &sids[0], "anew").unwrap();
        assert_eq!(get(&engine, &sids[0]).as_deref(), Some("anew"));
        // An expiry that no session has goes when it comes up.
        engine.prune_all(NEVER);
        assert_eq!(engine.length().unwrap(), 2);
        drop(engine);
        // As it is after a crash.
        closing::take_mark(folder.path()).unwrap();
        let engine = folder.open(Options::default());
        assert_eq!(recount(&engine), state(&engine), "damage {number}");
        assert_eq!(engine.length().unwrap(), 2);
    }
}

fn state(engine: &SharedEngine) -> State {
    engine.reading(|snapshot| Ok(snapshot.state)).unwrap()
}

/// The state as it would be with sums that are right.
fn recount(engine: &SharedEngine) -> State {
    let page = engine.limits().unwrap().page;
    engine
        .reading(|snapshot| {
            snapshot.databases.recounted(snapshot.transaction, snapshot.state, page)
        })
        .unwrap()
}

#[test]
fn what_belongs_to_another_session_or_version_counts_as_missing() {
    type Value = fn(&SharedEngine) -> Entries;
    let [heads, bodies]: [Value; 2] =
        [|engine| sessions(engine).heads, |engine| sessions(engine).bodies];
    for (value, length) in [(heads, 50), (heads, 3000), (bodies, 3000), (bodies, 9000)] {
        let folder = Folder::new();
        let engine = folder.open(Options::default());
        let read = |key: &[u8]| {
            let files = engine.files().unwrap();
            let transaction = files.env.read_txn().unwrap();
            value(&engine).get(&transaction, key).unwrap().unwrap().to_vec()
        };
        let write = |key: &[u8], bytes: &[u8]| {
            let files = engine.files().unwrap();
            let mut transaction = files.env.write_txn().unwrap();
            value(&engine).put(&mut transaction, key, bytes).unwrap();
            transaction.commit().unwrap();
        };
        let body = |user: &str| {
            format!(r#"{{"cookie":{{"path":"/"}},"user":"{user}{}"}}"#, "x".repeat(length))
        };
        let sids = ["anna", "bert", "carl"].map(|name| engine.sid(name.as_bytes()));
        for sid in &sids {
            set(&engine, sid, &body(str::from_utf8(sid.as_bytes()).unwrap())).unwrap();
        }
        let [anna, bert] = [read(b"anna"), read(b"bert")];
        write(b"anna", &bert);
        write(b"bert", &anna);
        // One that was overwritten by what is as long.
        let old = read(b"carl");
        set(&engine, &sids[2], &body("next")).unwrap();
        write(b"carl", &old);
        for sid in &sids[..2] {
            assert_eq!(get(&engine, sid), None);
        }
        // What is one value is as it was before, and whole.
        let before = (length == 50).then(|| body("carl"));
        assert_eq!(get(&engine, &sids[2]), before);
        assert_eq!(engine.is_empty(), before.is_none());
    }
}

/// The bytes of the file.
fn image(folder: &Folder) -> Vec<u8> {
    fs::read(data(folder)).unwrap()
}

/// What a power failure may leave: pages that were written since the last sync, and some that are
/// still those of it.
#[test]
fn what_a_power_failure_leaves_is_never_the_session_of_another() {
    const SESSIONS: u64 = 400;
    let folder = Folder::new();
    let map_size = 16 << 20;
    let body = |number: u64, round: u64| format!("{number:8}{round:8}{}", "x".repeat(5000));
    let mut random = 1_u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (random >> 20) % limit
    };
    let engine = folder.open_sized(map_size, Options::default());
    let page = engine.limits().unwrap().page.bytes();
    let write = |count: u64, round: u64, below: &mut dyn FnMut(u64) -> u64| {
        for _ in 0..count {
            let number = below(SESSIONS);
            set(&engine, &engine.sid(&number.to_be_bytes()), &body(number, round)).unwrap();
        }
    };
    write(2 * SESSIONS, 0, &mut below);
    let synced = image(&folder);
    write(SESSIONS, 1, &mut below);
    let written = image(&folder);
    drop(engine);

    let (mut opened, mut damaged) = (0, 0);
    for _ in 0..25 {
        let mut mixed = written.clone();
        // Those of one part of the file, as the disk has got to it.
        for at in (2 * page..mixed.len()).step_by(page) {
            if written[at..at + page] != synced[at..at + page] && below(200) == 0 {
                mixed[at..at + page].copy_from_slice(&synced[at..at + page]);
            }
        }
        fs::write(data(&folder), &mixed).unwrap();
        let after = SharedEngine::open(folder.path(), map_size, Options::default()).unwrap();
        opened += u64::from(after.set_aside.is_none());
        for number in 0..SESSIONS {
            let sid = after.engine.sid(&number.to_be_bytes());
            match get(&after.engine, &sid) {
                None => damaged += u64::from(after.set_aside.is_none()),
                Some(found) => assert_eq!(found[..8].trim(), number.to_string()),
            }
        }
        if let Some(aside) = after.set_aside {
            fs::remove_file(aside).unwrap();
        }
    }
    assert!(opened > 5 && damaged > 5, "{opened} opened, {damaged} damaged");
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let folder = filled(3);
    let engine = folder.open(Options::default());
    let last = |engine: &SharedEngine| engine.files().unwrap().env.info().last_txn_id;
    let before = last(&engine);
    let cookie = NewCookie::Text(body_ref("1"));
    engine
        .touch(
            &engine.sid(b"missing"),
            cookie,
            Touch { now: START, expires: NEVER, is_renewal: false },
            &mut Vec::new(),
        )
        .unwrap();
    engine.prune_all(START);
    assert_eq!(last(&engine), before);
    set(&engine, &engine.sid(b"sid"), "{}").unwrap();
    assert_eq!(last(&engine), before + 1);
}

/// The smallest there is.
const TINY: usize = 1 << 20;

#[test]
fn a_file_that_is_full_makes_room_for_what_is_set() {
    let folder = Folder::new();
    let engine = folder.open_sized(TINY, Options::default());
    let mut random = 1_u64;
    for _ in 0..20_000 {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let sid = engine.sid(&(random >> 50).to_le_bytes());
        let length = (random >> 20) % [300, 3000, 100_000][(random >> 40) as usize % 3];
        let body = "x".repeat(usize::try_from(length).unwrap());
        set(&engine, &sid, &body).unwrap();
        assert_eq!(get(&engine, &sid), Some(body));
    }
    let stats = engine.stats().unwrap();
    assert!(stats.sessions > 5 && stats.bytes <= TINY / 2);
    assert!(stats.counters.evictions_by_bytes > 0);
    assert!(fs::metadata(data(&folder)).unwrap().len() <= TINY as u64);
    engine.validate();
    let large = "x".repeat(TINY / 2);
    let refused = set(&engine, &engine.sid(b"large"), &large).unwrap_err();
    assert_eq!(refused, format!("{:?}", Refused::TooLarge));
}

#[test]
fn a_file_that_a_reader_keeps_full_is_an_error_and_then_works_again() {
    let folder = Folder::new();
    let engine = &folder.open_sized(TINY, Options::default());
    let sid = &|number: u64| engine.sid(&number.to_le_bytes());
    for number in 0..300 {
        set(engine, &sid(number), &"x".repeat(500)).unwrap();
    }
    let (begun, over) = (&Barrier::new(2), &Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let files = engine.files().unwrap();
            let reader = files.env.read_txn().unwrap();
            begun.wait();
            over.wait();
            drop(reader);
        });
        begun.wait();
        let error = (0..100_000).find_map(|number| set(engine, &sid(number), "{}").err());
        over.wait();
        assert!(error.unwrap().contains("the file is full"));
    });
    for number in 0..1000 {
        set(engine, &sid(number), &"x".repeat(500)).unwrap();
    }
    engine.validate();
}

#[test]
fn only_the_first_writer_waits_for_a_reader_that_was_stopped() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let mut waits = 0;
    while engine.waits_for_readers(&mut waits) {}
    assert!(waits > 100);
    let mut next = 0;
    assert!(!engine.waits_for_readers(&mut next));
    assert_eq!(next, 0);
    // Until one has written.
    set(&engine, &engine.sid(b"sid"), "{}").unwrap();
    assert!(engine.waits_for_readers(&mut next));
}

#[test]
fn what_a_sync_could_not_put_on_the_disk_is_synced_again() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, &engine.sid(b"sid"), "{}").unwrap();
    let failing = |_: &_| Err(heed::Error::Io(std::io::Error::from_raw_os_error(5)));
    let error = engine.sync_by(failing).unwrap_err();
    assert!(error.to_string().contains("cannot sync"), "{error}");
    assert!(engine.is_dirty());
    engine.sync().unwrap();
    assert!(!engine.is_dirty());
}

#[test]
fn many_are_evicted_a_few_at_a_time_when_the_limits_become_lower() {
    let folder = filled(500);
    let options = Options { max: 10, keep_removed: true, ..Options::default() };
    let engine = folder.open(options);
    let removed: &mut Vec<Removed> = &mut Vec::new();
    let (sid, body) = (engine.sid(b"new"), body_ref("new"));
    engine.set(sid.clone(), body, Condition::None, (START, START), removed).unwrap().unwrap();
    assert!((REMOVED_AT_ONCE..400).contains(&removed.len()), "{}", removed.len());
    assert_eq!(engine.length().unwrap(), 501 - removed.len());
    engine.finish_steps(removed);
    assert_eq!(removed.len(), 491);
    assert_eq!(engine.length().unwrap(), 10);
    assert!(get(&engine, &sid).is_some(), "though it expires first");
    engine.validate();
}

#[test]
fn sids_that_cannot_be_keys_are_never_found_and_refused() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    for sid in [engine.sid(b""), engine.sid(&[b'a'; 504])] {
        assert_eq!(set(&engine, &sid, "{}"), Err(format!("{:?}", Refused::Sid)));
        assert_eq!(get(&engine, &sid), None);
        assert!(!engine.destroy(&sid, START, &mut Vec::new()).unwrap());
    }
    let longest = engine.sid(&[b'a'; 503]);
    set(&engine, &longest, "{}").unwrap();
    assert_eq!(get(&engine, &longest).as_deref(), Some("{}"));
}

#[test]
fn what_was_written_is_synced_on_request() {
    let folder = filled(10);
    let engine = folder.open(Options::default());
    engine.sync().unwrap();
    assert_eq!(engine.clear_stale_readers().unwrap(), 0);
    assert_eq!(engine.path(), folder.path().canonicalize().unwrap());
}

#[test]
fn what_is_remembered_of_destroyed_sids_counts_and_makes_room() {
    let folder = Folder::new();
    let options = Options { max_bytes: 20_000, ..Options::default() };
    let engine = folder.open(options);
    for number in 0..1000_u64 {
        engine.destroy(&engine.sid(&number.to_le_bytes()), START, &mut Vec::new()).unwrap();
    }
    let remembered = engine.stats().unwrap().bytes;
    assert!(remembered > 0 && remembered <= 20_000 / 16);
    for number in 0..500_u64 {
        let sid = engine.sid(&number.to_le_bytes());
        set(&engine, &sid, "{}").unwrap();
        assert!(engine.stats().unwrap().bytes <= 20_000);
    }
    assert_eq!(engine.validate().tombstone_bytes, remembered as u64);
    // A session may take the whole budget.
    let large = "1".repeat(13_000);
    set(&engine, &engine.sid(b"large"), &large).unwrap();
    let large = "1".repeat(15_000);
    set(&engine, &engine.sid(b"large"), &large).unwrap();
    let large = "1".repeat(20_000);
    let refused = set(&engine, &engine.sid(b"large"), &large);
    assert_eq!(refused, Err("TooLarge".into()));
    assert!(!engine.is_empty());
    engine.validate();
}
