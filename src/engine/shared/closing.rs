//! Which files need not be verified when they are opened.
//!
//! Verifying reads the whole file, a third of a second for a million sessions. So the last process
//! that closes it notes its metadata. If they are the same when the next one opens it, nobody has
//! changed it since. A process that was killed leaves no note. Nor does a note hold after the
//! system was restarted: not all of the file may have reached the disk before.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::folder::{DATA, IN_USE, Identity, LOCK, MARK, OPENING, is_at, lock_file, open_file};
#[cfg(target_os = "linux")]
use crate::time::{Millis, wall_clock};

/// LMDB's lock files that this copy of the library has open.
static OPEN: Mutex<Vec<Identity>> = Mutex::new(Vec::new());
static CLOSED: Condvar = Condvar::new();

/// A lock by which processes know that the file is in use. It ends with the process.
pub(super) struct InUse {
    folder: PathBuf,
    /// The file that is locked.
    file: File,
    lmdb: Identity,
    process: u32,
}

impl InUse {
    /// `lmdb` is LMDB's lock file.
    pub(super) fn new(folder: &Path, file: File, lmdb: Identity) -> Self {
        OPEN.lock().push(lmdb);
        Self { folder: folder.into(), file, lmdb, process: std::process::id() }
    }

    /// Whether the files in the folder are the ones that are open.
    pub(super) fn are_there(&self) -> bool {
        Identity::at(&self.folder.join(LOCK)) == Some(self.lmdb)
            && is_at(&self.file, &self.folder.join(IN_USE))
    }

    pub(super) fn lmdb(&self) -> Identity {
        self.lmdb
    }

    /// If the files were replaced, there is nothing to note about them.
    fn leave(&self) -> io::Result<()> {
        if !self.are_there() {
            return self.file.unlock();
        }
        let _opening = lock_file(&self.folder, OPENING)?;
        self.file.unlock()?;
        if self.file.try_lock().is_ok() {
            leave_mark(&self.folder, &self.file)?;
        }
        Ok(())
    }
}

impl Drop for InUse {
    /// Runs after the map was closed. An error only means that the file will be verified.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.leave();
        }
        let mut open = OPEN.lock();
        if let Some(index) = open.iter().position(|open| *open == self.lmdb) {
            open.swap_remove(index);
        }
        CLOSED.notify_all();
    }
}

/// Waits until this copy of the library has released the file, for `limit` at the most.
pub(super) fn wait_until_closed(lmdb: Identity, limit: Duration) {
    let mut open = OPEN.lock();
    CLOSED.wait_while_for(&mut open, |open| open.contains(&lmdb), limit);
}

/// Notes the metadata of the open file, which is not the one in the folder if that was replaced
/// just now.
fn leave_mark(folder: &Path, file: &File) -> io::Result<()> {
    let data = file.metadata()?;
    let Some(known) = known_of(&data) else {
        return Ok(());
    };
    std::thread::sleep(unsettled(&data));
    let mut mark = open_file(folder, MARK)?;
    mark.set_len(0)?;
    mark.write_all(known.as_bytes())
}

/// Removes the note of the last process that closed the file. Returns whether it holds.
pub(super) fn take_mark(folder: &Path) -> io::Result<bool> {
    let path = folder.join(MARK);
    if let Err(error) = fs::symlink_metadata(&path) {
        return if error.kind() == ErrorKind::NotFound { Ok(false) } else { Err(error) };
    }
    let mut mark = open_file(folder, MARK)?;
    let written = mark.metadata()?;
    let mut noted = Vec::new();
    mark.read_to_end(&mut noted)?;
    fs::remove_file(&path)?;
    let Ok(data) = fs::symlink_metadata(folder.join(DATA)) else {
        return Ok(false);
    };
    let is_same = known_of(&data).is_some_and(|known| known.as_bytes() == noted);
    Ok(is_same && is_later(&written, &data))
}

/// The metadata of a file that change whenever it is written; `None` if the system has none.
#[cfg(target_os = "linux")]
fn known_of(data: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let started = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = [
        data.dev().cast_signed(),
        data.ino().cast_signed(),
        data.len().cast_signed(),
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ];
    Some(format!("{numbers:?} {}", started.trim()))
}

#[cfg(not(target_os = "linux"))]
fn known_of(_: &Metadata) -> Option<String> {
    None
}

/// Two changes of a file that are so many milliseconds apart have different times: the system's
/// clock for files goes in steps of up to 10 ms.
#[cfg(target_os = "linux")]
const SETTLED: Millis = 20;

/// How long a note has to wait to be trusted.
#[cfg(target_os = "linux")]
fn unsettled(data: &Metadata) -> Duration {
    use std::os::unix::fs::MetadataExt;

    let age = wall_clock() - (1000 * data.ctime() + data.ctime_nsec() / 1_000_000);
    // The note's own time may lie a step of the clock back.
    let left = SETTLED + 12 - age;
    if age < 0 { Duration::ZERO } else { Duration::from_millis(u64::try_from(left).unwrap_or(0)) }
}

#[cfg(not(target_os = "linux"))]
fn unsettled(_: &Metadata) -> Duration {
    Duration::ZERO
}

/// Whether the note was written so much later than the file that another change of the file could
/// not have had the same time.
#[cfg(target_os = "linux")]
fn is_later(mark: &Metadata, data: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000) + nanos;
    let changed = nanos(data.ctime(), data.ctime_nsec());
    nanos(mark.mtime(), mark.mtime_nsec()).saturating_sub(changed) > SETTLED * 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn is_later(_: &Metadata, _: &Metadata) -> bool {
    false
}
