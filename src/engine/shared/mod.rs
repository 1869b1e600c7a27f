//! The engine that keeps its sessions in a file, which all processes of a machine share: LMDB, by
//! way of `heed`. Every operation is one transaction.
//!
//! The rules are those of [`MemoryEngine`](super::MemoryEngine), but for these:
//!
//! - The order is that of expiry, and of writes and touches where sessions expire in the same
//!   millisecond, not of use: what expires soonest is evicted first, though never the session that
//!   is being written, and listed last. If all have one lifetime and are touched when they are
//!   used, that is the same. Where sessions of nobody go first, one of them that is being written
//!   goes before those of users too.
//! - Reading writes nothing, unless the session that it reads has expired.
//! - A sid has to have between 1 and 503 bytes. Another is never found, and refused by `set`.
//! - A prune also removes what is written while it goes on and has expired by then.
//! - The file has a size that it does not outgrow, and `max_bytes` is a share of it at the most.
//! - Counters, and what a prune has removed, are those of this process.
//!
//! This file only lists what there is; each builds on those before it:
//!
//! - `lmdb`, `layout`, `head`, `body`, `space`: LMDB's types, the bytes of each entry, what they take
//!   and what there is room for. `schema`: the databases, and what a reader finds in them.
//! - `folder`, `network`, `blocks`, `closing`, `writer_lock`: whether the folder and its disk are
//!   safe to use, which blocks the file has, which files need not be verified, who may write.
//! - `verify`: whether a data file is valid. `open`: opens the files of a folder.
//! - `notes`, `index`: whose a session is, in bytes.
//! - `writing`: a transaction that writes, and `expiry`, `tombstones`, `eviction`, `session`, `users`,
//!   `clearing`: what is done in one. `indexing` makes the index of users and mends it.
//! - `handle`: the engine, as its threads share it. `following` opens other files if they are
//!   replaced, `transaction` begins, ends and repeats transactions, `maintenance` does in steps
//!   what is in the `backlog`, `listing` lists.
//! - `finding` reads sessions, `engine` implements the contract; `registry` has the engines of this process.

mod backlog;
mod blocks;
mod body;
mod clearing;
mod closing;
mod engine;
mod error;
mod eviction;
mod expiry;
mod finding;
mod folder;
mod following;
mod handle;
mod head;
mod index;
mod indexing;
mod layout;
mod listing;
mod lmdb;
mod maintenance;
mod network;
mod notes;
mod open;
mod registry;
mod schema;
mod session;
mod space;
#[cfg(test)]
pub(super) mod tests;
mod tombstones;
mod transaction;
mod users;
mod verify;
mod writer_lock;
mod writing;

pub use self::error::Error;
pub use self::handle::SharedEngine;
pub use self::registry::Opened;
