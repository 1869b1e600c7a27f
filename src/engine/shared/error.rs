//! What can go wrong with a file.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use heed::MdbError;

use super::folder::Unsafe;
use super::writer_lock::Busy;
use crate::engine::error::Failure;

/// The result of an operation on the file.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the file could not be opened, read or written: its text names the path and the cause.
#[derive(Debug)]
pub struct Error {
    attempt: Attempt,
    path: PathBuf,
    cause: Cause,
}

/// What could not be done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attempt {
    Open,
    Read,
    Write,
    Sync,
}

/// Why it could not be done.
#[derive(Debug)]
pub(super) enum Cause {
    Lmdb(heed::Error),
    /// There is no room for what is to be written, though there is nothing left to evict.
    Full,
    /// The process is not the one that opened the file.
    Forked,
    /// Another process with the same process id has the file open: LMDB tells processes apart by a
    /// lock on the byte at the offset of their id.
    SamePid,
    /// The folder is on a network file system, of that type.
    Network(String),
    /// The file is not one of this version, and other processes have it open.
    Format,
    /// Other processes have it open and find the user of a session in another way.
    User,
    /// A store of this process has the path with another value of the option.
    Option(&'static str),
    /// Another copy of this library, in the same process, has the file open.
    SecondCopy,
    /// What has that path is not safe to use.
    Unsafe(PathBuf, Unsafe),
    /// Other processes have files open that were in the folder before.
    StillOpen,
    /// The files were removed or replaced, and could not be opened again: why not.
    Gone(String),
    /// Another process, of that id if it is known, has been writing for longer than others wait.
    Busy(Option<u32>),
}

impl From<heed::Error> for Cause {
    fn from(cause: heed::Error) -> Self {
        match cause {
            heed::Error::Mdb(MdbError::MapFull) => Self::Full,
            heed::Error::Mdb(MdbError::VersionMismatch) => Self::Format,
            heed::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Self::SamePid,
            other => Self::Lmdb(other),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(cause: io::Error) -> Self {
        heed::Error::Io(cause).into()
    }
}

impl From<Busy> for Cause {
    fn from(Busy(holder): Busy) -> Self {
        Self::Busy(holder)
    }
}

impl Error {
    pub(super) fn new(attempt: Attempt, path: &Path, cause: impl Into<Cause>) -> Self {
        Self { attempt, path: path.into(), cause: cause.into() }
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(self.cause, Cause::Full)
    }

    /// The option, as JavaScript names it, in which a store differs from another of its path.
    #[must_use]
    pub fn differing_option(&self) -> Option<&'static str> {
        match self.cause {
            Cause::Option(option) => Some(option),
            _ => None,
        }
    }

    /// Whether the map may be too large for the system.
    fn is_of_map_size(&self) -> bool {
        let Cause::Lmdb(heed::Error::Io(error)) = &self.cause else {
            return false;
        };
        let kind = error.kind();
        matches!(self.attempt, Attempt::Open)
            && matches!(kind, io::ErrorKind::OutOfMemory | io::ErrorKind::FileTooLarge)
    }
}

/// The names of the system's errors, with the numbers that this system gives them.
#[cfg(unix)]
macro_rules! names {
    ($($name:ident)*) => {
        &[$((libc::$name, stringify!($name)),)*]
    };
}

#[cfg(unix)]
const NAMES: &[(i32, &str)] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
    ELOOP EOVERFLOW EILSEQ EUSERS EOPNOTSUPP ETIMEDOUT EALREADY EINPROGRESS ESTALE EDQUOT
    ECANCELED EOWNERDEAD ENOTRECOVERABLE ENOTSUP EPROTO EBADMSG EMULTIHOP ENOLINK ENODATA
};

/// The system's name for an error, as Node.js has it.
#[cfg(unix)]
fn system_code(error: &io::Error) -> Option<&'static str> {
    let named = |number| NAMES.iter().find(|(known, _)| *known == number);
    match error.raw_os_error() {
        Some(number) => named(number).map(|(_, name)| *name),
        None => code_of_kind(error.kind()),
    }
}

#[cfg(not(unix))]
fn system_code(error: &io::Error) -> Option<&'static str> {
    code_of_kind(error.kind())
}

/// The code of an error by its kind.
fn code_of_kind(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind;

    Some(match kind {
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::StorageFull => "ENOSPC",
        ErrorKind::QuotaExceeded => "EDQUOT",
        ErrorKind::ReadOnlyFilesystem => "EROFS",
        ErrorKind::NotADirectory => "ENOTDIR",
        ErrorKind::IsADirectory => "EISDIR",
        ErrorKind::AlreadyExists => "EEXIST",
        ErrorKind::NotFound => "ENOENT",
        ErrorKind::FileTooLarge => "EFBIG",
        ErrorKind::OutOfMemory => "ENOMEM",
        ErrorKind::ResourceBusy => "EBUSY",
        ErrorKind::InvalidFilename => "ENAMETOOLONG",
        ErrorKind::InvalidInput => "EINVAL",
        _ => return None,
    })
}

impl Display for Attempt {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
        })
    }
}

impl Display for Unsafe {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(user) => write!(
                text,
                "belongs to the user {user}, who could read the sessions; give it to the user of \
                 this process (chown), or choose another folder"
            ),
            Self::Writable => text.write_str(
                "can be written by others than the user of this process; take that from them \
                 (chmod go-w), or choose a folder inside of it",
            ),
            Self::Link => text.write_str(
                "is a symbolic link, which could lead to somebody else's file; remove it",
            ),
            Self::HardLink => text.write_str(
                "has another name somewhere (a hard link), so it could be somebody else's file; \
                 replace it by a copy, or remove it",
            ),
        }
    }
}

impl Display for Error {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        write!(text, "cannot {} the sessions in {}: ", self.attempt, self.path.display())?;
        match &self.cause {
            Cause::Lmdb(cause) => cause.fmt(text),
            Cause::Full => text.write_str(
                "the file is full, and nothing can be evicted; a process that was stopped while \
                 it was reading may be holding what is free",
            ),
            Cause::Forked => text.write_str(
                "this process was forked after the store had been opened; open the store after \
                 the fork, in each process",
            ),
            Cause::SamePid => text.write_str(
                "a process with the same process id has it open, in another container; let the \
                 containers that share the folder share one PID namespace as well",
            ),
            Cause::Network(kind) => write!(
                text,
                "it is on a network file system ({kind}), where neither the locks nor the memory \
                 map work that the store needs; choose a folder on a local disk"
            ),
            Cause::Format => text.write_str(
                "the file is damaged or of another version of memorystore-rs, and another process \
                 has it open; end the processes of that version first, or give this version a path \
                 of its own",
            ),
            Cause::User => text.write_str(
                "another process has it open with another option `user`, or without it; give it to \
                 all of them alike, and end those that have another one first",
            ),
            Cause::Option(option) => write!(
                text,
                "a store of this process has the same path, but another {option}; close it first"
            ),
            Cause::SecondCopy => text.write_str(
                "another copy of memorystore-rs has it open in this process; have the app load one \
                 copy (npm ls memorystore-rs), or give each a folder of its own",
            ),
            Cause::Unsafe(path, why) => write!(text, "{} {why}", path.display()),
            Cause::StillOpen => text.write_str(
                "its files were removed or replaced while a process had them open that has not \
                 let go of them; end that process, which may be stopped",
            ),
            Cause::Gone(why) => {
                write!(text, "its files were removed or replaced, and then: {why}")
            }
            Cause::Busy(holder) => {
                match holder {
                    Some(holder) => write!(text, "the process {holder}")?,
                    None => text.write_str("another process")?,
                }
                text.write_str(
                    " has been writing for longer than others wait; it may be stopped, and has to \
                     go on or to end",
                )
            }
        }?;
        if self.is_of_map_size() {
            text.write_str("; the file has the option `mapSize` of bytes, so give a smaller one")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Failure for Error {
    fn code(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::Lmdb(heed::Error::Io(error)) => system_code(error),
            Cause::Lmdb(_) => None,
            Cause::Full => Some("ERR_MEMORYSTORE_FULL"),
            Cause::Forked => Some("ERR_MEMORYSTORE_FORKED"),
            Cause::SamePid => Some("ERR_MEMORYSTORE_SAME_PID"),
            Cause::Network(_) => Some("ERR_MEMORYSTORE_NETWORK"),
            Cause::Format => Some("ERR_MEMORYSTORE_FORMAT"),
            Cause::Option(_) | Cause::User => Some("ERR_MEMORYSTORE_PATH"),
            Cause::SecondCopy => Some("ERR_MEMORYSTORE_SECOND_COPY"),
            Cause::Unsafe(..) => Some("ERR_MEMORYSTORE_UNSAFE"),
            Cause::StillOpen | Cause::Gone(_) => Some("ERR_MEMORYSTORE_REPLACED"),
            Cause::Busy(_) => Some("ERR_MEMORYSTORE_BUSY"),
        }
    }
}

impl From<Error> for Box<dyn Failure> {
    fn from(error: Error) -> Self {
        Box::new(error)
    }
}

#[cfg(test)]
mod tests;
