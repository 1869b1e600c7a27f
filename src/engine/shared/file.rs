//! Opens the file: makes it, shares it in the process, and sets it aside where it cannot be used.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::RandomState;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use heed::{EnvFlags, EnvOpenOptions, MdbError, RwTxn};
use parking_lot::Mutex;

use super::blocks::{self, Need};
use super::check::{self, Fault};
use super::closing::{self, InUse};
use super::error::Attempt as Attempted;
use super::layout::{self, State};
use super::network::network_type;
use super::pruning::Pruning;
use super::space::{self, Limits, MAP_UNIT, PageSize};
use super::{Databases, Entries, Environment, Error, Lmdb, Result, STATE, Sessions, SharedEngine};
use crate::engine::{Counters, Options};
use crate::named::difference;
use crate::time::{iso, wall_clock};

/// The engines of this process by their folders. LMDB forbids to open a file twice.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<SharedEngine>>> = Mutex::new(BTreeMap::new());

/// LMDB's names for the file and its locks.
pub(super) const DATA: &str = "data.mdb";
const LOCK: &str = "lock.mdb";

/// Locked while a process opens the file, and while processes have it open.
pub(super) const OPENING: &str = "opening.lock";
const IN_USE: &str = "in-use.lock";

/// Processes and threads that may read at the same time.
const READERS: u32 = 4096;

/// Longer than any thread takes to close the file when it has dropped the engine.
const CLOSING: Duration = Duration::from_secs(10);

/// An engine, and what became of a file that was there and could not be used.
#[derive(Debug)]
pub struct Opened {
    /// The engine.
    pub engine: Arc<SharedEngine>,
    /// What a damaged file, or one of another version, is called now.
    pub set_aside: Option<PathBuf>,
}

/// Who else has the file open.
#[derive(Clone, Copy)]
enum Others {
    /// Nobody. It may be known that nobody has changed it since it was closed.
    None {
        is_known: bool,
    },
    Some,
}

/// What became of an attempt to open the file.
enum Attempt {
    Done(Environment, Databases),
    /// It is not a file that this version can use.
    Unusable,
}

pub(super) fn open(path: &Path, map_size: usize, options: Options) -> Result<Opened> {
    let folder = make_folder(path).map_err(|cause| Error::io(path, cause))?;
    if let Some(kind) = network_type(&folder) {
        return Err(Error::network(&folder, kind));
    }
    let map_size = space::map_size(map_size);
    let mut open = OPEN.lock();
    if let Some(engine) = open.get(&folder).and_then(Weak::upgrade) {
        engine.belongs_here(Attempted::Open)?;
        let option = difference(engine.options, options)
            .or_else(|| (engine.map_size != map_size).then_some("mapSize"));
        return match option {
            Some(option) => Err(Error::option(&folder, option)),
            None => Ok(Opened { engine, set_aside: None }),
        };
    }
    if let Some(closing) = heed::env_closing_event(&folder) {
        closing.wait_timeout(CLOSING);
    }
    let (engine, set_aside) = open_file(&folder, map_size, options)
        .map_err(|cause| Error::lmdb(Attempted::Open, &folder, cause))?;
    open.retain(|_, engine| engine.strong_count() > 0);
    open.insert(folder, Arc::downgrade(&engine));
    Ok(Opened { engine, set_aside })
}

/// The folder's path without links, so that it has only one.
fn make_folder(path: &Path) -> io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| match error.kind() {
        // The system says no more than that there is something.
        ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
        _ => error,
    })?;
    path.canonicalize()
}

fn open_file(
    folder: &Path,
    map_size: usize,
    options: Options,
) -> Lmdb<(Arc<SharedEngine>, Option<PathBuf>)> {
    let opening = lock_file(folder, OPENING)?;
    opening.lock()?;
    let in_use = lock_file(folder, IN_USE)?;
    let is_alone = in_use.try_lock().is_ok();
    let is_known = closing::take_mark(folder)?;
    let others = if is_alone { Others::None { is_known } } else { Others::Some };
    let mut set_aside = None;
    let (env, databases) = match try_open(folder, map_size, others)? {
        Attempt::Done(env, databases) => (env, databases),
        // Those who have it open must not lose what they write from here on.
        Attempt::Unusable if !is_alone => return Err(MdbError::VersionMismatch.into()),
        Attempt::Unusable => {
            set_aside = Some(set_file_aside(folder)?);
            match try_open(folder, map_size, Others::None { is_known: false })? {
                Attempt::Done(env, databases) => (env, databases),
                Attempt::Unusable => return Err(heed::Error::Mdb(MdbError::Invalid)),
            }
        }
    };
    // Whether it can be read is known only then.
    drop(env.read_txn()?);
    in_use.unlock()?;
    in_use.lock_shared()?;
    let engine = SharedEngine {
        path: folder.into(),
        limits: Limits::new(options, PageSize::of(&env), map_size.min(env.info().map_size)),
        env,
        databases,
        options,
        map_size,
        hasher: RandomState::new(),
        process: std::process::id(),
        counters: Mutex::new(Counters::default()),
        pruning: Mutex::new(Pruning::default()),
        is_dirty: AtomicBool::new(false),
        is_held: AtomicBool::new(false),
        buffers: Mutex::default(),
        _lock: InUse::new(folder, in_use),
    };
    Ok((Arc::new(engine), set_aside))
}

pub(super) fn lock_file(folder: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(name))
}

fn try_open(folder: &Path, map_size: usize, others: Others) -> Lmdb<Attempt> {
    let data = folder.join(DATA);
    let length = match fs::metadata(&data) {
        Ok(data) if data.is_file() => usize::try_from(data.len()).unwrap_or(usize::MAX),
        Ok(_) => return Ok(Attempt::Unusable),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    // A file that others use is changing, and was looked through when the first of them opened it.
    let is_to_be_checked = matches!(others, Others::None { is_known: false });
    if length > 0 && is_to_be_checked && !looks_right(&data)? {
        return Ok(Attempt::Unusable);
    }
    make_locks(folder)?;
    // There may be sessions in all of the file; and those who have it open have mapped as much.
    let map_size = match others {
        Others::Some if cfg!(unix) && length > 0 => length,
        _ => map_size.max(length),
    };
    let env = match open_env(folder, map_size.next_multiple_of(MAP_UNIT)) {
        Err(heed::Error::Mdb(error)) if is_damage(error) => return Ok(Attempt::Unusable),
        opened => opened?,
    };
    match open_databases(&env, others) {
        Ok(Some(databases)) => return Ok(Attempt::Done(env, databases)),
        Ok(None) => {}
        Err(heed::Error::Mdb(error)) if is_damage(error) => {}
        Err(error) => return Err(error),
    }
    env.prepare_for_closing().wait();
    Ok(Attempt::Unusable)
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
    match check::check(data) {
        Ok(()) => Ok(true),
        Err(Fault::Damaged(_)) => Ok(false),
        Err(Fault::Io(error)) => Err(error),
    }
}

#[expect(unsafe_code, reason = "a file that is mapped is the one thing that Rust cannot watch")]
fn open_env(folder: &Path, map_size: usize) -> Lmdb<Environment> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size).max_dbs(11).max_readers(READERS);
    let mut flags = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC;
    if cfg!(not(windows)) {
        flags |= EnvFlags::WRITE_MAP;
    }
    // SAFETY: NO_SYNC and NO_META_SYNC give up what a power failure may lose. WRITE_MAP has LMDB
    // write to the map, which is sound as long as nothing in this process writes to memory that
    // is not its own. NO_LOCK, which would not be, is not among them.
    unsafe { options.flags(flags) };
    // SAFETY: only LMDB changes the file, and its locks keep processes apart. The folder is this
    // store's own: its mode is 0700 where it makes it. The process opens it once.
    unsafe { options.open(folder) }
}

fn create_databases(env: &Environment, transaction: &mut RwTxn<'_>) -> Lmdb<Databases> {
    let mut create = |name| -> Lmdb<Entries> { env.create_database(transaction, Some(name)) };
    let even = Sessions {
        heads: create("heads")?,
        bodies: create("bodies")?,
        pieces: create("pieces")?,
        expiry: create("expiry")?,
    };
    let odd = Sessions {
        heads: create("heads-odd")?,
        bodies: create("bodies-odd")?,
        pieces: create("pieces-odd")?,
        expiry: create("expiry-odd")?,
    };
    Ok(Databases {
        sessions: [even, odd],
        destroyed: create("destroyed")?,
        deaths: create("deaths")?,
        state: create("state")?,
    })
}

/// `None` where the file is of another version of this store, or another's altogether.
fn open_databases(env: &Environment, others: Others) -> Lmdb<Option<Databases>> {
    let mut transaction = env.write_txn()?;
    let need = Need { pages: env.info().last_page_number + 1, size: 0 };
    // What the state says of blocks and sums holds for as long as somebody has the file, and
    // where it was closed and not touched since. In a copy there may be holes.
    let is_trusted = need.pages > 2 && !matches!(others, Others::None { is_known: false });
    let allocated = if is_trusted {
        None
    } else {
        blocks::secure(env, need.pages)?;
        Some(blocks::allocate(env, need, 0, || Ok(0))?.end)
    };
    let databases = create_databases(env, &mut transaction)?;
    let state = match databases.state.get(&transaction, STATE)? {
        Some(state) => State::read(state).filter(|state| state.format == layout::FORMAT),
        None if databases.are_empty(&transaction)? => {
            Some(State { format: layout::FORMAT, ..State::default() })
        }
        None => None,
    };
    let Some(state) = state else {
        return Ok(None);
    };
    if let Some(allocated) = allocated {
        let page = PageSize::of(env);
        let state = databases.recounted(&transaction, State { allocated, ..state }, page)?;
        databases.state.put(&mut transaction, STATE, &state.bytes())?;
    }
    transaction.commit()?;
    Ok(Some(databases))
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

/// Makes the file of LMDB's locks with all of its blocks, if there is none.
#[cfg(unix)]
fn make_locks(folder: &Path) -> io::Result<()> {
    // What LMDB reckons a reader to take, and its own head.
    let length = (READERS as usize + 8) * 64;
    let locks = lock_file(folder, LOCK)?;
    let has = usize::try_from(locks.metadata()?.len()).unwrap_or(usize::MAX);
    if has == 0 { blocks::write_zeros(&locks, 0..length) } else { Ok(()) }
}

#[cfg(not(unix))]
fn make_locks(_: &Path) -> io::Result<()> {
    Ok(())
}
