//! What can go wrong with a file.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use heed::MdbError;

/// Why the file could not be opened, read or written: its text names the path and the cause.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Lmdb(heed::Error),
    /// There is no room for what is to be written, though there is nothing left to evict.
    Full,
    /// The process is not the one that opened the file.
    Forked,
    /// A store of this process has the path with another value of the option.
    Option(&'static str),
}

impl Error {
    pub(super) fn lmdb(path: &Path, cause: heed::Error) -> Self {
        let cause = match cause {
            heed::Error::Mdb(MdbError::MapFull) => Cause::Full,
            other => Cause::Lmdb(other),
        };
        Self { path: path.into(), cause }
    }

    pub(super) fn io(path: &Path, cause: std::io::Error) -> Self {
        Self::lmdb(path, heed::Error::Io(cause))
    }

    pub(super) fn full(path: &Path) -> Self {
        Self { path: path.into(), cause: Cause::Full }
    }

    pub(super) fn forked(path: &Path) -> Self {
        Self { path: path.into(), cause: Cause::Forked }
    }

    pub(super) fn option(path: &Path, option: &'static str) -> Self {
        Self { path: path.into(), cause: Cause::Option(option) }
    }

    /// The option, as JavaScript names it, in which a store differs from another of its path.
    #[must_use]
    pub fn differing_option(&self) -> Option<&'static str> {
        match self.cause {
            Cause::Option(option) => Some(option),
            _ => None,
        }
    }
}

impl Display for Error {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        write!(text, "the sessions in {}: ", self.path.display())?;
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
            Cause::Option(option) => {
                write!(text, "a store of this process has the same path, but another {option}")
            }
        }
    }
}

impl std::error::Error for Error {}
