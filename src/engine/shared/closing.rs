//! Which files need not be looked through when they are opened.
//!
//! That reads the whole file, a third of a second for a million sessions. So the last process that
//! closes it notes what the system knows of it then. Where that is the same when the next one
//! opens it, nobody has changed it since. A process that was killed leaves no note, nor does a
//! note hold after the system was started anew, because LMDB writes what it likes before that.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::file::{DATA, OPENING, lock_file};

const MARK: &str = "closed";

/// A lock by which processes know that the file is in use. It ends with the process.
pub(super) struct InUse {
    folder: PathBuf,
    lock: File,
    process: u32,
}

impl InUse {
    pub(super) fn new(folder: &Path, lock: File) -> Self {
        Self { folder: folder.into(), lock, process: std::process::id() }
    }

    fn leave(&self) -> io::Result<()> {
        let opening = lock_file(&self.folder, OPENING)?;
        opening.lock()?;
        self.lock.unlock()?;
        if self.lock.try_lock().is_ok() {
            leave_mark(&self.folder)?;
        }
        Ok(())
    }
}

impl Drop for InUse {
    /// Is dropped after the map was closed. Without a note the file is only looked through.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.leave();
        }
    }
}

fn leave_mark(folder: &Path) -> io::Result<()> {
    let Some(known) = known_of(&fs::metadata(folder.join(DATA))?) else {
        return Ok(());
    };
    // For its mode.
    drop(lock_file(folder, MARK)?);
    fs::write(folder.join(MARK), known)
}

/// Removes the note of the last process that closed the file. Returns whether it holds.
pub(super) fn take_mark(folder: &Path) -> io::Result<bool> {
    let mark = folder.join(MARK);
    let noted = match fs::read(&mark) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        noted => noted?,
    };
    let written = fs::metadata(&mark)?;
    fs::remove_file(&mark)?;
    let Ok(data) = fs::metadata(folder.join(DATA)) else {
        return Ok(false);
    };
    let is_same = known_of(&data).is_some_and(|known| known.as_bytes() == noted);
    Ok(is_same && is_later(&written, &data))
}

/// What the system knows of a file that changes with every change of it; `None` where it does not
/// tell.
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

/// Whether the note was written so much later than the file that another change of the file could
/// not have had the same time: the system's clock for files goes in steps of up to 10 ms.
#[cfg(target_os = "linux")]
fn is_later(mark: &Metadata, data: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000) + nanos;
    let changed = nanos(data.ctime(), data.ctime_nsec());
    nanos(mark.mtime(), mark.mtime_nsec()).saturating_sub(changed) > 20_000_000
}

#[cfg(not(target_os = "linux"))]
fn is_later(_: &Metadata, _: &Metadata) -> bool {
    false
}
