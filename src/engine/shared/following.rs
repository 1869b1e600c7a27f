//! Opens new files if those of the folder are removed or replaced while they are open: by `rm -r`,
//! by a cleaner of temporary files, by a restored backup.
//!
//! A process that has removed files open could go on with them, but nobody else would ever see what
//! it writes. So each process checks about once a second whether the names still stand for its
//! files. If they do not, it closes its files and opens those that are there now, as every process
//! opens them; see `open::attempt` for why all processes end up with the same files.

use std::time::Duration;

use parking_lot::{MappedRwLockReadGuard, RwLockReadGuard};

use super::error::{Attempt, Cause, Result};
use super::handle::SharedEngine;
use super::open::{self, Files, Request};
use super::writer_lock::PATIENCE;

impl SharedEngine {
    /// The files, which stay open as long as the guard lives. A thread that holds a guard must not
    /// ask for another: if a thread waits to open other files in between, that is a deadlock.
    pub(super) fn files(&self) -> Result<MappedRwLockReadGuard<'_, Files>, Cause> {
        self.belongs_here()?;
        RwLockReadGuard::try_map(self.files.read(), |files| files.as_ref().ok())
            .map_err(|files| Cause::Gone(files.as_ref().err().cloned().unwrap_or_default()))
    }

    /// LMDB's locks belong to the process that took them, not to one that it forks off.
    pub(super) fn belongs_here(&self) -> Result<(), Cause> {
        if self.process == std::process::id() { Ok(()) } else { Err(Cause::Forked) }
    }

    /// Whether there are other files in the folder than those that are open, or none.
    pub(super) fn is_file_replaced(&self) -> bool {
        // If it is locked, another thread is opening them.
        let files = self.files.try_read();
        files.is_some_and(|files| files.as_ref().map_or(true, |files| !files.are_there()))
    }

    /// Opens the files that are in the folder now, or makes new ones. Waits up to `patience` for
    /// others to release earlier ones, but not if this has failed before.
    pub(super) fn follow_files(&self, patience: Duration) -> Result<()> {
        self.belongs_here().map_err(|cause| self.error(Attempt::Open, cause))?;
        if !self.is_file_replaced() {
            return Ok(());
        }
        let mut files = self.files.write();
        let is_first = match &*files {
            Ok(files) if files.are_there() => return Ok(()),
            Ok(_) => true,
            Err(_) => false,
        };
        // The former ones are closed first: others may wait for that.
        *files = Err(String::new());
        let request = Request {
            folder: &self.path,
            map_size: self.map_size,
            options: self.options,
            patience: if is_first { patience } else { Duration::ZERO },
            writer_patience: PATIENCE,
        };
        match open::open_files(&request) {
            Ok((opened, set_aside)) => {
                *files = Ok(opened);
                drop(files);
                let was_damaged = set_aside
                    .map(|name| format!(" That was damaged, and is now {}.", name.display()));
                self.note(&format!(
                    "What was written to them since then may be lost, and the store goes on with \
                     what is there now.{}",
                    was_damaged.unwrap_or_default()
                ));
                self.index_later()
            }
            Err(error) => {
                *files = Err(error.to_string());
                if is_first {
                    self.note(&format!("It cannot go on until this is mended: {error}."));
                }
                Err(error)
            }
        }
    }

    fn note(&self, what: &str) {
        let path = self.path.display();
        self.notices.lock().push_back(format!(
            "the files of the sessions in {path} were removed or replaced while the store had them \
             open. {what}"
        ));
    }
}
