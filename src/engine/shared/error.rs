//! What can go wrong with a file.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use heed::MdbError;

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

#[derive(Debug)]
enum Cause {
    Lmdb(heed::Error),
    /// There is no room for what is to be written, though there is nothing left to evict.
    Full,
    /// The process is not the one that opened the file.
    Forked,
    /// Another process has the file open that has the same process id: LMDB's readers are told
    /// apart by a lock at the place of their id.
    SamePid,
    /// The file system of that type is one over a network.
    Network(String),
    /// The file is not one of this version, and other processes have it open.
    Format,
    /// A store of this process has the path with another value of the option.
    Option(&'static str),
}

impl Error {
    pub(super) fn lmdb(attempt: Attempt, path: &Path, cause: heed::Error) -> Self {
        let cause = match cause {
            heed::Error::Mdb(MdbError::MapFull) => Cause::Full,
            heed::Error::Mdb(MdbError::VersionMismatch) => Cause::Format,
            heed::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Cause::SamePid,
            other => Cause::Lmdb(other),
        };
        Self { attempt, path: path.into(), cause }
    }

    pub(super) fn io(path: &Path, cause: io::Error) -> Self {
        Self::lmdb(Attempt::Open, path, heed::Error::Io(cause))
    }

    pub(super) fn full(path: &Path) -> Self {
        Self { attempt: Attempt::Write, path: path.into(), cause: Cause::Full }
    }

    pub(super) fn forked(attempt: Attempt, path: &Path) -> Self {
        Self { attempt, path: path.into(), cause: Cause::Forked }
    }

    pub(super) fn network(path: &Path, kind: String) -> Self {
        Self { attempt: Attempt::Open, path: path.into(), cause: Cause::Network(kind) }
    }

    pub(super) fn option(path: &Path, option: &'static str) -> Self {
        Self { attempt: Attempt::Open, path: path.into(), cause: Cause::Option(option) }
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

    /// A code for the cause: that of the system, as Node.js has it, or one of this store. `None`
    /// for the rarer ones.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::Lmdb(heed::Error::Io(error)) => system_code(error),
            Cause::Lmdb(_) => None,
            Cause::Full => Some("ERR_MEMORYSTORE_FULL"),
            Cause::Forked => Some("ERR_MEMORYSTORE_FORKED"),
            Cause::SamePid => Some("ERR_MEMORYSTORE_SAME_PID"),
            Cause::Network(_) => Some("ERR_MEMORYSTORE_NETWORK"),
            Cause::Format => Some("ERR_MEMORYSTORE_FORMAT"),
            Cause::Option(_) => Some("ERR_MEMORYSTORE_PATH"),
        }
    }
}

fn system_code(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind;

    // These numbers are the same in all Unixes, and have no kind or share one.
    if cfg!(unix) {
        match error.raw_os_error() {
            Some(1) => return Some("EPERM"),
            Some(5) => return Some("EIO"),
            Some(22) => return Some("EINVAL"),
            Some(23) => return Some("ENFILE"),
            Some(24) => return Some("EMFILE"),
            _ => {}
        }
    }
    Some(match error.kind() {
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
            Cause::Option(option) => {
                write!(text, "a store of this process has the same path, but another {option}")
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_what_could_not_be_done_where_and_why() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let path = Path::new("/sessions");
        let error = Error::io(path, denied());
        assert!(error.to_string().starts_with("cannot open the sessions in /sessions: "));
        assert_eq!(error.code(), Some("EACCES"));
        let error = Error::lmdb(Attempt::Write, path, MdbError::MapFull.into());
        assert!(error.to_string().contains("cannot write the sessions in /sessions: the file is"));
        assert_eq!(error.code(), Some("ERR_MEMORYSTORE_FULL"));
        assert_eq!(Error::lmdb(Attempt::Read, path, MdbError::Corrupted.into()).code(), None);
    }

    #[cfg(unix)]
    #[test]
    fn the_codes_of_the_system_are_those_that_nodejs_has() {
        let known = [(1, "EPERM"), (2, "ENOENT"), (5, "EIO"), (13, "EACCES"), (20, "ENOTDIR")];
        for (number, code) in known.into_iter().chain([(28, "ENOSPC"), (30, "EROFS")]) {
            assert_eq!(system_code(&io::Error::from_raw_os_error(number)), Some(code));
        }
    }
}
