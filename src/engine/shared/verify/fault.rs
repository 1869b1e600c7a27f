//! Why a data file cannot be used.

use std::fmt;
use std::io;

/// Why a file cannot be used.
#[derive(Debug)]
pub(in super::super) enum Fault {
    /// The file could not be read. This says nothing about its content.
    Io(io::Error),
    /// The content is not what LMDB writes.
    Damaged(Damage),
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Damage {
    pub(super) what: &'static str,
    pub(super) page: Option<u64>,
}

/// What is wrong with a page whose number the caller knows.
pub(super) type What = &'static str;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Damaged(damage) => damage.fmt(f),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.page {
            Some(page) => write!(f, "page {page}: {}", self.what),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Damaged(damage) => Some(damage),
        }
    }
}

impl std::error::Error for Damage {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn damaged(what: What) -> Fault {
    Fault::Damaged(Damage { what, page: None })
}

pub(super) fn damaged_at(page: u64) -> impl Fn(What) -> Fault {
    move |what| Fault::Damaged(Damage { what, page: Some(page) })
}

/// `true` as success.
pub(super) fn ensure(holds: bool, what: What) -> Result<(), What> {
    if holds { Ok(()) } else { Err(what) }
}
