//! An engine keeps one session per [`Sid`](crate::sid::Sid), in order of use, until it expires, is
//! evicted or is destroyed.
//!
//! - A record is alive while `now <= expires`.
//! - `read` uses a record, unless it is to peek. So does `set`, and `touch` if the record is alive:
//!   it becomes the most recently used. Nothing else changes the order.
//! - An expired record stays, and counts, until something removes it: an operation that meets it, a
//!   prune, or an eviction. Only a `stale` store still reads it, once.
//! - Where there is no room for all, the least recently used is evicted first; if the options ask for
//!   it, those of nobody before those of somebody.
//! - An operation does a bounded amount of work: the background thread does the rest, in steps.
//! - Whatever an operation removes it hands to its caller, who frees it or disposes of it.
//!
//! [`MemoryEngine`] keeps its records in this process. [`SharedEngine`] keeps them in a file that
//! all processes of a machine share, and its documentation tells where its rules differ.
//!
//! This file only lists what there is. `contract` is the trait, `types` the data that it takes and
//! gives, `rules`, `tombstones` and `users` are the rules that every engine applies. `memory` and
//! `shared` are the engines; neither knows of the other.

mod contract;
mod error;
mod memory;
mod rules;
pub mod shared;
#[cfg(test)]
mod tests;
mod tombstones;
mod types;
mod users;

pub use self::contract::{Durable, Engine, Listing};
pub use self::error::{Error, Failure, Result};
pub use self::memory::MemoryEngine;
pub use self::rules::{Condition, Refused, Touch};
pub use self::shared::SharedEngine;
pub use self::types::{
    Counters, Merged, NewCookie, Options, REMOVED_AT_ONCE, Reading, Reason, Removed, SortKey,
    Stats, Touched, Version,
};
pub use self::users::{Ended, Facts, Mark, Owner, Terms, User, Which};
pub use crate::session::{Base, TemplateHandle};
