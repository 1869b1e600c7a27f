//! What an engine is: keeps one [`Record`](crate::record::Record) per [`Sid`](crate::sid::Sid),
//! in order of use, until it expires, is evicted or is destroyed.
//!
//! - A record is alive while `now <= expires`.
//! - `get` and `set` use a record, as does `touch` if it is alive: it becomes the most recently
//!   used. Nothing else changes the order.
//! - An expired record stays, and counts, until something comes across it: `get`, `touch`,
//!   `all`, a prune, or an eviction.
//! - Whatever an operation removes it hands to its caller, who frees it or disposes of it.
//!
//! [`MemoryEngine`] is the one engine so far. It keeps its records in this process.

mod memory;
mod part;
mod table;
#[cfg(test)]
mod tests;

pub use memory::{Cleared, MemoryEngine};

use crate::record::{Body, Record};
use crate::sid::Sid;

/// How an engine is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most records to keep; `usize::MAX` for no limit. With 0 nothing fits.
    pub max: usize,
    /// Whether an expired record is read once more by the operation that removes it.
    pub stale: bool,
    /// Whether the caller wants what is removed, to dispose of it. Without it, what a prune
    /// removes is freed at once, where it is removed.
    pub keep_removed: bool,
    /// Whether a body that `set` overwrites counts as removed.
    pub keep_replaced: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max: usize::MAX,
            stale: false,
            keep_removed: false,
            keep_replaced: false,
        }
    }
}

/// A session that left the store, or a body that another took the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whose it was.
    pub sid: Sid,
    /// What the serializer had returned.
    pub body: Body,
    /// The number of its last use.
    last_use: u64,
}

impl Removed {
    fn new(sid: Sid, record: Record) -> Self {
        let last_use = record.last_use;
        Self {
            sid,
            body: record.into_body(),
            last_use,
        }
    }
}

/// What [`MemoryEngine::touch`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// There is no such session, or it has expired.
    Missing,
    /// The cookie and the expiry are new.
    Renewed,
    /// Nothing was changed, because only reading, changing and writing the session can do it.
    NeedsRewrite,
}
