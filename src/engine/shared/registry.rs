//! The engines of this process, one for each file: LMDB forbids to open a file twice.

use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::backlog::Backlog;
use super::closing;
use super::error::{Attempt as Attempted, Cause, Error, Result};
use super::folder::{self, Identity, LOCK};
use super::handle::SharedEngine;
use super::open::{NOTICING, Request, open_files};
use super::space;
use super::writer_lock::PATIENCE;
use crate::engine::types::{Counters, Options};
use crate::session::UserPath;

static OPEN: Mutex<Vec<Weak<SharedEngine>>> = Mutex::new(Vec::new());

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

impl SharedEngine {
    /// Opens the file in the folder `path`, and makes both if need be. It will not grow beyond
    /// `map_size` bytes. Stores of this process that have one path share one engine.
    ///
    /// # Errors
    /// What is wrong with the path, or in which option the engine of this path differs.
    pub fn open(path: &Path, map_size: usize, options: Options) -> Result<Opened> {
        open(path, map_size, options, None)
    }

    /// As [`Self::open`], if `user` is the path to the user of a session: what was stored without
    /// this option is indexed by it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_by(
        path: &Path,
        map_size: usize,
        options: Options,
        user: &UserPath,
    ) -> Result<Opened> {
        open(path, map_size, options, Some(user))
    }

    /// Whether `lock` is the lock file of the open files.
    fn has_open(&self, lock: Identity) -> bool {
        self.files.read().as_ref().is_ok_and(|files| files.has_open(lock))
    }
}

fn open(path: &Path, map_size: usize, options: Options, user: Option<&UserPath>) -> Result<Opened> {
    let folder =
        folder::make_folder(path).map_err(|cause| Error::new(Attempted::Open, path, cause))?;
    let map_size = space::map_size(map_size);
    let mut open = OPEN.lock();
    if let Some(engine) = find(&open, &folder) {
        let failed = |cause| Error::new(Attempted::Open, &folder, cause);
        engine.belongs_here().map_err(failed)?;
        let option = engine
            .options
            .difference(options)
            .or_else(|| (engine.map_size != map_size).then_some("mapSize"));
        if let Some(option) = option {
            return Err(failed(Cause::Option(option)));
        }
        engine.follow_files(NOTICING)?;
        return Ok(Opened { engine, set_aside: None });
    }
    if let Some(lock) = Identity::at(&folder.join(LOCK)) {
        closing::wait_until_closed(lock, CLOSING);
    }
    if let Some(closing) = heed::env_closing_event(&folder) {
        closing.wait_timeout(CLOSING);
    }
    let request = Request {
        folder: &folder,
        map_size,
        options,
        patience: NOTICING,
        writer_patience: PATIENCE,
    };
    let (files, set_aside) = open_files(&request)?;
    let engine = Arc::new(SharedEngine {
        path: folder,
        files: RwLock::new(Ok(files)),
        options,
        map_size,
        hasher: RandomState::new(),
        process: std::process::id(),
        counters: Mutex::new(Counters::default()),
        backlog: Mutex::new(Backlog::default()),
        is_dirty: AtomicBool::new(false),
        is_held: AtomicBool::new(false),
        buffers: Mutex::default(),
        user_path: user.cloned(),
        is_indexed: AtomicBool::new(true),
        notices: Mutex::default(),
    });
    engine.index_later()?;
    open.retain(|engine| engine.strong_count() > 0);
    open.push(Arc::downgrade(&engine));
    Ok(Opened { engine, set_aside })
}

/// The engine of this process that has the folder, by whatever name, or its lock file.
fn find(open: &[Weak<SharedEngine>], folder: &Path) -> Option<Arc<SharedEngine>> {
    let lock = Identity::at(&folder.join(LOCK));
    let is_same = |engine: &Arc<SharedEngine>| {
        let has_folder =
            engine.path == folder || Identity::at(&engine.path) == Identity::at(folder);
        has_folder || lock.is_some_and(|lock| engine.has_open(lock))
    };
    open.iter().filter_map(Weak::upgrade).find(is_same)
}
