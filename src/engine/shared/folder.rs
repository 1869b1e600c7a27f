//! The folder of the file: what the files in it are called, how they are opened and told apart,
//! and whether it is safe to use them.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// LMDB's names for the file and its locks.
pub(super) const DATA: &str = "data.mdb";
pub(super) const LOCK: &str = "lock.mdb";

/// Locked while a process opens or leaves the file.
pub(super) const OPENING: &str = "opening.lock";

/// Locked as long as processes have the file open. On Windows a lock keeps others from writing, so
/// there it needs a file of its own. Elsewhere it is on the data itself: whoever has the data
/// locked has that very file open, whatever happened to its name.
pub(super) const IN_USE: &str = if cfg!(windows) { "in-use.lock" } else { DATA };

/// Says which process is writing.
pub(super) const WRITING: &str = "writing.lock";

/// What the last process that closed the file knew of it.
pub(super) const MARK: &str = "closed";

/// Why the folder or a file in it is not safe to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix tells who may use a file"))]
pub(super) enum Unsafe {
    /// It belongs to the user of that id.
    Owner(u32),
    /// The group or others can write to it.
    Writable,
    /// A symbolic link is in the place of a file.
    Link,
    /// The file has another name.
    HardLink,
}

/// Tells a file from all others, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    pub(super) fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self(file.dev(), file.ino())
    }

    /// The creation time, in units of 100 ns: no two files of this store are made in the same one.
    #[cfg(windows)]
    pub(super) fn of(file: &Metadata) -> Self {
        Self(std::os::windows::fs::MetadataExt::creation_time(file), 0)
    }

    /// The file that has the name now. It is not opened: closing a descriptor of LMDB's lock file
    /// drops the locks that the process holds by another one.
    pub(super) fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|file| Self::of(&file))
    }
}

/// Makes the folder if there is none. Returns its path without links.
pub(super) fn make_folder(path: &Path) -> io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| match error.kind() {
        // The system only says that something is there.
        ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
        _ => error,
    })?;
    path.canonicalize()
}

/// Opens a file of the folder, and makes it if there is none. Never follows a link.
pub(super) fn open_file(folder: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options.open(folder.join(name))
}

/// Waits for the lock of that name. A lock on a file that was removed meanwhile would keep nobody
/// out.
pub(super) fn lock_file(folder: &Path, name: &str) -> io::Result<File> {
    loop {
        let file = open_file(folder, name)?;
        file.lock()?;
        if is_at(&file, &folder.join(name)) {
            return Ok(file);
        }
    }
}

/// Whether an open file is the one that has the name.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    file.metadata().is_ok_and(|file| Identity::at(path) == Some(Identity::of(&file)))
}

/// What in the folder, or the folder itself, is not safe to use, and why.
#[cfg(unix)]
pub(super) fn find_unsafe(folder: &Path) -> io::Result<Option<(PathBuf, Unsafe)>> {
    let user = rustix::process::geteuid().as_raw();
    let files = [DATA, LOCK, OPENING, WRITING, MARK].map(|name| folder.join(name));
    for path in std::iter::once(folder.to_path_buf()).chain(files) {
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => judge(&found?, user),
        };
        if let Some(wrong) = found {
            return Ok(Some((path, wrong)));
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
pub(super) fn find_unsafe(_: &Path) -> io::Result<Option<(PathBuf, Unsafe)>> {
    Ok(None)
}

/// Root may do as it likes with every file anyway, so what it owns is as safe as what the user
/// owns.
#[cfg(unix)]
fn judge(file: &Metadata, user: u32) -> Option<Unsafe> {
    use std::os::unix::fs::MetadataExt;

    if file.is_symlink() {
        return Some(Unsafe::Link);
    }
    if file.is_file() && file.nlink() > 1 {
        return Some(Unsafe::HardLink);
    }
    if file.uid() != user && file.uid() != 0 {
        return Some(Unsafe::Owner(file.uid()));
    }
    (file.mode() & 0o022 != 0).then_some(Unsafe::Writable)
}

/// Whether this process has the file open already, by another copy of the library: this copy knows
/// what it has open.
#[cfg(unix)]
pub(super) fn is_open_in_this_process(file: Identity) -> bool {
    let Ok(descriptors) = fs::read_dir("/dev/fd") else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::metadata(descriptor.path()).ok())
        .any(|open| Identity::of(&open) == file)
}

#[cfg(not(unix))]
pub(super) fn is_open_in_this_process(_: Identity) -> bool {
    false
}

/// Whether another process has LMDB's lock file open as LMDB does, with a lock on its first byte.
#[cfg(unix)]
pub(super) fn is_lock_in_use(lock: &File) -> io::Result<bool> {
    Ok(holder_of_byte(lock, 0)?.is_some())
}

#[cfg(not(unix))]
pub(super) fn is_lock_in_use(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// The process other than this one that has locked a byte of the file.
#[cfg(unix)]
pub(super) fn holder_of_byte(file: &File, byte: u64) -> io::Result<Option<u32>> {
    use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

    let mut lock = Flock::from(FlockType::WriteLock);
    lock.offset_type = FlockOffsetType::Set;
    lock.start = byte;
    lock.length = 1;
    let held = fcntl_getlk(file, &lock)?;
    Ok(held.map(|held| held.pid.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs())))
}
