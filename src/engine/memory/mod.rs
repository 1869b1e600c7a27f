//! The engine that keeps its sessions in the memory of this process.
//!
//! `engine` implements the contract: a lock around a `table`, which has the operations. The table
//! spreads its records over `shards`; a `shard` has `records` in the
//! order in which they are evicted, and a queue of expiry entries.
//! `merging` has the table's merges, `touching` its touches, `removal` how records leave it,
//! `listing` and `steps` work on many of them. `eviction` finds what to evict next, `expiry` what has
//! expired; `clearing` holds what was cleared, `tombstones` the destroyed sids. `notes` and `owners`
//! tell whose each session is, and which sessions each user has; `users` has the operations on these.
//! Only `engine` has a lock, and nothing here has a clock or a thread.

mod clearing;
mod engine;
mod eviction;
mod expiry;
mod listing;
mod merging;
#[cfg(test)]
mod model_tests;
mod notes;
mod owners;
mod records;
mod removal;
mod shard;
mod shards;
mod steps;
mod table;
#[cfg(test)]
mod thread_tests;
mod tombstones;
mod touching;
mod users;

pub use self::engine::MemoryEngine;
