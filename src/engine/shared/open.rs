//! Opens the files of a folder: makes them, and sets the data aside where they cannot be used.
//!
//! It knows nothing of the engine that uses them.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use heed::{EnvFlags, EnvOpenOptions, MdbError, RwTxn};

use super::blocks::{self, Need};
use super::closing::{self, InUse};
use super::error::{Attempt as Attempted, Cause, Error, Result};
use super::folder::{self, DATA, IN_USE, Identity, LOCK, OPENING};
use super::layout::{EARLIER_FORMATS, FORMAT, State};
use super::lmdb::{Entries, Environment, Lmdb};
use super::network::network_type;
use super::schema::{Databases, STATE, Sessions};
use super::space::{Limits, MAP_UNIT, PageSize};
use super::verify::{Fault, check};
use super::writer_lock::WriterLock;
use crate::engine::types::Options;
use crate::engine::users::Mark;
use crate::time::{iso, stopwatch, wall_clock};

/// Processes and threads that may read at the same time.
const READERS: u32 = 4096;

/// How long a process that opens the file waits for others that have files open which were
/// removed or replaced. They look once a second.
pub(super) const NOTICING: Duration = Duration::from_secs(5);

/// How often it looks whether they have released them.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The file as it is open. What is dropped first is closed first.
pub(super) struct Files {
    pub(super) env: Environment,
    pub(super) databases: Databases,
    pub(super) limits: Limits,
    pub(super) writer_lock: WriterLock,
    in_use: InUse,
}

/// What is to be opened, and how.
pub(super) struct Request<'r> {
    pub(super) folder: &'r Path,
    pub(super) map_size: usize,
    pub(super) options: Options,
    /// How long to wait for others that have other files of this folder open.
    pub(super) patience: Duration,
    /// How long a writer waits for another.
    pub(super) writer_patience: Duration,
}

/// Who else has the file open.
#[derive(Clone, Copy)]
enum Others {
    /// Nobody. `is_known` tells whether it is known to be unchanged since it was closed.
    None {
        is_known: bool,
    },
    Some,
}

/// What became of an attempt to open the file.
enum Attempt {
    Done(Box<Files>),
    /// There was a file that this version cannot use. This is its new name.
    SetAside(PathBuf),
    /// Another process has one of the files open that are in the folder now, but not both; or
    /// they were replaced just now.
    Replaced,
}

/// Opens the file in the folder, and makes both if need be. Also returns the new name of a file
/// that could not be used.
pub(super) fn open_files(request: &Request<'_>) -> Result<(Files, Option<PathBuf>)> {
    let began = stopwatch();
    let failed = |cause| Error::new(Attempted::Open, request.folder, cause);
    let mut set_aside = None;
    loop {
        match attempt(request).map_err(failed)? {
            Attempt::Done(files) => return Ok((*files, set_aside)),
            Attempt::SetAside(_) if set_aside.is_some() => {
                return Err(failed(heed::Error::Mdb(MdbError::Invalid).into()));
            }
            Attempt::SetAside(name) => set_aside = Some(name),
            Attempt::Replaced if began.elapsed() < request.patience => {
                std::thread::sleep(LOOK_AGAIN);
            }
            Attempt::Replaced => return Err(failed(Cause::StillOpen)),
        }
    }
}

/// Opens the files that are in the folder now.
///
/// A process that has them open has locked both: LMDB's lock file in LMDB's way, and the data.
/// Whoever finds that others have the one and not the other must not go on: there would be two
/// sets of locks for the same data, or two files for the same locks.
fn attempt(request: &Request<'_>) -> Result<Attempt, Cause> {
    let Request { folder, map_size, options, .. } = *request;
    folder::make_folder(folder)?;
    if let Some(kind) = network_type(folder) {
        return Err(Cause::Network(kind));
    }
    if let Some((path, why)) = folder::find_unsafe(folder)? {
        return Err(Cause::Unsafe(path, why));
    }
    let _opening = folder::lock_file(folder, OPENING)?;
    let (data, lock) = (folder.join(DATA), folder.join(LOCK));
    if Identity::at(&lock).is_some_and(folder::is_open_in_this_process) {
        return Err(Cause::SecondCopy);
    }
    if data.is_dir() {
        return Ok(Attempt::SetAside(set_file_aside(folder)?));
    }
    let in_use = folder::open_file(folder, IN_USE)?;
    let is_alone = in_use.try_lock().is_ok();
    let locks = folder::open_file(folder, LOCK)?;
    if cfg!(unix) && folder::is_lock_in_use(&locks)? == is_alone {
        return Ok(Attempt::Replaced);
    }
    make_locks(&locks)?;
    let lmdb = Identity::of(&locks.metadata()?);
    // It keeps the descriptor until the environment is closed: closing it would drop LMDB's locks.
    let writer_lock = WriterLock::open(folder, locks, request.writer_patience)?;
    let is_known = closing::take_mark(folder)?;
    let others = if is_alone { Others::None { is_known } } else { Others::Some };
    let Some((env, databases)) = try_open(folder, map_size, others, options.user, &writer_lock)?
    else {
        // Those who have it open must not lose what they write from here on.
        if !is_alone {
            return Err(Cause::Format);
        }
        return Ok(Attempt::SetAside(set_file_aside(folder)?));
    };
    // LMDB has opened them by their names.
    if Identity::at(&lock) != Some(lmdb) || !folder::is_at(&env.try_clone_inner_file()?, &data) {
        return Ok(Attempt::Replaced);
    }
    // Makes sure that the file can be read.
    drop(env.read_txn()?);
    in_use.unlock()?;
    in_use.lock_shared()?;
    let limits = Limits::new(options, PageSize::of(&env), map_size.min(env.info().map_size));
    let in_use = InUse::new(folder, in_use, lmdb);
    Ok(Attempt::Done(Box::new(Files { env, databases, limits, writer_lock, in_use })))
}

impl Files {
    /// Whether the files in the folder are these.
    pub(super) fn are_there(&self) -> bool {
        self.in_use.are_there()
    }

    pub(super) fn has_open(&self, lock: Identity) -> bool {
        self.in_use.lmdb() == lock
    }
}

/// `None` if it is not a file that this version can use.
fn try_open(
    folder: &Path,
    map_size: usize,
    others: Others,
    user: Mark,
    writer_lock: &WriterLock,
) -> Result<Option<(Environment, Databases)>, Cause> {
    let data = folder.join(DATA);
    let length = match fs::symlink_metadata(&data) {
        Ok(data) => usize::try_from(data.len()).unwrap_or(usize::MAX),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    // A file that others use is changing, and was verified when the first of them opened it.
    let is_to_be_checked = matches!(others, Others::None { is_known: false });
    if length > 0 && is_to_be_checked && !looks_right(&data)? {
        return Ok(None);
    }
    // There may be sessions in all of the file; and those who have it open have mapped as much.
    let map_size = match others {
        Others::Some if cfg!(unix) && length > 0 => length,
        _ => map_size.max(length),
    };
    let env = match open_env(folder, map_size.next_multiple_of(MAP_UNIT)) {
        Err(heed::Error::Mdb(error)) if is_damage(error) => return Ok(None),
        opened => opened?,
    };
    let writing = writer_lock.lock()?;
    let opened = open_databases(&env, others, user);
    drop(writing);
    let is_of_other_user = match opened {
        Ok(Contents::Usable(databases)) => return Ok(Some((env, *databases))),
        Ok(Contents::OfOtherUser) => true,
        Ok(Contents::Unusable) => false,
        Err(heed::Error::Mdb(error)) if is_damage(error) => false,
        Err(error) => return Err(error.into()),
    };
    env.prepare_for_closing().wait();
    if is_of_other_user { Err(Cause::User) } else { Ok(None) }
}

fn is_damage(error: MdbError) -> bool {
    matches!(
        error,
        MdbError::Invalid
            | MdbError::VersionMismatch
            | MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Incompatible
            | MdbError::Panic
            | MdbError::Problem
            | MdbError::BadDbi
    )
}

/// Whether LMDB can use the file without harm.
fn looks_right(data: &Path) -> io::Result<bool> {
    match check(data) {
        Ok(()) => Ok(true),
        Err(Fault::Damaged(_)) => Ok(false),
        Err(Fault::Io(error)) => Err(error),
    }
}

#[expect(unsafe_code, reason = "a file that is mapped is the one thing that Rust cannot watch")]
fn open_env(folder: &Path, map_size: usize) -> Lmdb<Environment> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size).max_dbs(15).max_readers(READERS);
    let mut flags = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC;
    if cfg!(not(windows)) {
        flags |= EnvFlags::WRITE_MAP;
    }
    // SAFETY: NO_SYNC and NO_META_SYNC give up what a power failure may lose. WRITE_MAP has LMDB
    // write to the map, which is sound as long as nothing in this process writes to memory that
    // is not its own. NO_LOCK, which would not be, is not among them.
    unsafe { options.flags(flags) };
    // SAFETY: only LMDB changes the file, and its locks keep processes apart. The folder is this
    // store's own: its mode is 0700 if the store made it. The process opens the file once.
    unsafe { options.open(folder) }
}

fn create_databases(env: &Environment, transaction: &mut RwTxn<'_>) -> Lmdb<Databases> {
    let mut create = |name| -> Lmdb<Entries> { env.create_database(transaction, Some(name)) };
    let even = Sessions {
        heads: create("heads")?,
        bodies: create("bodies")?,
        pieces: create("pieces")?,
        expiry: create("expiry")?,
        owned: create("owned")?,
        users: create("users")?,
    };
    let odd = Sessions {
        heads: create("heads-odd")?,
        bodies: create("bodies-odd")?,
        pieces: create("pieces-odd")?,
        expiry: create("expiry-odd")?,
        owned: create("owned-odd")?,
        users: create("users-odd")?,
    };
    Ok(Databases {
        sessions: [even, odd],
        tombstones: create("destroyed")?,
        tombstone_order: create("deaths")?,
        state: create("state")?,
    })
}

/// What is in a file.
enum Contents {
    Usable(Box<Databases>),
    /// It is of another version of this store, or not one of this store.
    Unusable,
    /// Those who have it open find the user of a session in another way.
    OfOtherUser,
}

fn open_databases(env: &Environment, others: Others, user: Mark) -> Lmdb<Contents> {
    let mut transaction = env.write_txn()?;
    let need = Need { pages: env.info().last_page_number + 1, size: 0 };
    // What the state says of blocks and sums holds as long as somebody has the file open, and if it
    // is unchanged since it was closed. A copy may have holes.
    let is_trusted = need.pages > 2 && !matches!(others, Others::None { is_known: false });
    let allocated = if is_trusted {
        None
    } else {
        blocks::secure(env, need.pages)?;
        Some(blocks::allocate(env, need, 0, || Ok(0))?.end)
    };
    let databases = create_databases(env, &mut transaction)?;
    let Some(before) = usable_state(&databases, &transaction, others)? else {
        return Ok(Contents::Unusable);
    };
    let has_index = databases.has_index_of(&transaction, user)?;
    if matches!(others, Others::Some) && !has_index {
        return Ok(Contents::OfOtherUser);
    }
    let mut state = State { format: FORMAT, ..before };
    if let Some(allocated) = allocated {
        state.allocated = allocated;
        databases.mend_index(&mut transaction, &state)?;
        databases.mend_expiries(&mut transaction, &state)?;
    }
    if allocated.is_some() || state.format != before.format {
        state = databases.recounted(&transaction, state, PageSize::of(env))?;
    }
    if !has_index {
        databases.begin_index(&mut transaction, &state, user)?;
    }
    if state != before {
        databases.state.put(&mut transaction, STATE, &state.bytes())?;
    }
    transaction.commit()?;
    Ok(Contents::Usable(Box::new(databases)))
}

/// The state of a file that this version can use, as it is stored. `None` if it is not one.
fn usable_state(
    databases: &Databases,
    transaction: &RwTxn<'_>,
    others: Others,
) -> Lmdb<Option<State>> {
    let Some(bytes) = databases.state.get(transaction, STATE)? else {
        let is_new = databases.are_empty(transaction)?;
        return Ok(is_new.then(|| State { format: FORMAT, ..State::default() }));
    };
    let is_usable = |format| match format {
        FORMAT => true,
        // Processes of those versions would take what this one writes for damaged.
        earlier => EARLIER_FORMATS.contains(&earlier) && matches!(others, Others::None { .. }),
    };
    Ok(State::read(bytes).filter(|state| is_usable(state.format)))
}

/// Gives the file a name that says when it was found damaged. Nobody has it open.
fn set_file_aside(folder: &Path) -> io::Result<PathBuf> {
    let time = iso(wall_clock()).unwrap_or_default();
    // Not all systems have colons in names.
    let time = String::from_utf8_lossy(&time).replace(':', "-");
    let name = (0..u32::MAX)
        .map(|count| if count == 0 { String::new() } else { format!("-{count}") })
        .map(|suffix| folder.join(format!("{DATA}.damaged-{time}{suffix}")))
        .find(|name| !name.exists())
        .ok_or(ErrorKind::AlreadyExists)?;
    fs::rename(folder.join(DATA), &name)?;
    match fs::remove_file(folder.join(LOCK)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(name),
    }
}

/// Gives the file of LMDB's locks all of its blocks, if it is new.
#[cfg(unix)]
fn make_locks(locks: &File) -> io::Result<()> {
    // What LMDB takes for each reader, and its own head.
    let length = (READERS as usize + 8) * 64;
    let has = usize::try_from(locks.metadata()?.len()).unwrap_or(usize::MAX);
    if has == 0 { blocks::write_zeros(locks, 0..length) } else { Ok(()) }
}

#[cfg(not(unix))]
fn make_locks(_: &File) -> io::Result<()> {
    Ok(())
}
