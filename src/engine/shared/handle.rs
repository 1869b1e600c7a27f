//! The engine as it is shared by the threads of this process: the open files, and what this process
//! has counted, has yet to do and has to tell.
//!
//! Its methods are in the files that have an `impl` of it: `following`, `transaction`,
//! `maintenance`, `engine` and `registry`.

use std::collections::VecDeque;
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};

use super::backlog::Backlog;
use super::open::Files;
use super::writing::Buffers;
use crate::engine::types::{Counters, Options};
use crate::session::UserPath;

/// A store of sessions in a file. See the [module's description](crate::engine::shared).
///
/// Any number of threads and processes may use it. The errors it gives say what LMDB or the system
/// says, or that this process was forked off the one that opened the file; nothing has been done
/// then, but for sessions that were evicted to make room.
pub struct SharedEngine {
    pub(super) path: PathBuf,
    /// The open files, or why there are none after they were removed.
    pub(super) files: RwLock<Result<Files, String>>,
    pub(super) options: Options,
    pub(super) map_size: usize,
    pub(super) hasher: RandomState,
    /// The process that opened the file.
    pub(super) process: u32,
    /// What this process has done.
    pub(super) counters: Mutex<Counters>,
    pub(super) backlog: Mutex<Backlog>,
    /// Whether this process has written something since it synced last.
    pub(super) is_dirty: AtomicBool,
    /// Whether a writer has waited in vain for readers to release pages.
    pub(super) is_held: AtomicBool,
    pub(super) buffers: Mutex<Buffers>,
    /// The path to the user of a session, if the option is one.
    pub(super) user_path: Option<UserPath>,
    /// Whether the index of users is known to be complete.
    pub(super) is_indexed: AtomicBool,
    /// What happened to the files, until it is reported.
    pub(super) notices: Mutex<VecDeque<String>>,
}

impl SharedEngine {
    /// The folder that the file is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Debug for SharedEngine {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.debug_struct("SharedEngine").field("path", &self.path).finish_non_exhaustive()
    }
}
