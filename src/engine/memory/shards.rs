//! The shards of a table, by the hash of the sid.
//!
//! A map doubles by rehashing all of its records at once; a shard's does so with a 1200th of them.

use super::shard::Shard;
use crate::sid::Sid;

/// How many shards the records are spread over: at five million sessions the longest rehash is one
/// of 3584 records. Not a power of two, because the size of a map is one: at a million sessions
/// each shard's map is nearly full, while with 1024 shards it would be nearly half empty.
pub(super) const SHARDS: usize = 1200;

/// The shards that have been needed so far.
pub(super) type Shards = Box<[Option<Box<Shard>>]>;

pub(super) fn empty_shards() -> Shards {
    std::iter::repeat_with(|| None).take(SHARDS).collect()
}

pub(super) fn shard_of<'a>(shards: &'a mut Shards, sid: &Sid) -> Option<&'a mut Shard> {
    shards[sid.hash().shard(SHARDS)].as_deref_mut()
}
