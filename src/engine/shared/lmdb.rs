//! LMDB's types as this engine uses them.

use heed::types::Bytes;
use heed::{Database, Env, WithoutTls};

/// What LMDB answers.
pub(super) type Lmdb<T> = Result<T, heed::Error>;
/// A tree of the file.
pub(super) type Entries = Database<Bytes, Bytes>;

/// A transaction that reads does not belong to a thread. If it did, each thread that ends would run
/// code of LMDB, which may have been unloaded.
pub(super) type Environment = Env<WithoutTls>;

pub(super) fn count_of(entries: u64) -> usize {
    usize::try_from(entries).unwrap_or(usize::MAX)
}
