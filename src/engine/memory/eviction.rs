//! Which record is evicted next: the least recently used one of all shards.
//!
//! It does not decide when to evict.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

#[cfg(test)]
use super::shard::Shard;
use super::shards::{SHARDS, Shards};
use crate::session::record::Record;
use crate::sid::Sid;

/// Finds the least recently used record of all shards.
///
/// Holds one entry for each shard that has records: a use number that is not above that of the
/// shard's least recently used record. Numbers only grow, so an entry may be too low but never too
/// high, and is corrected when it comes up.
#[derive(Default)]
pub(super) struct EvictionQueue {
    oldest: BinaryHeap<Reverse<(u64, usize)>>,
    tracked: Vec<bool>,
}

impl EvictionQueue {
    /// Notes that `shard` got a record with the use number `last_use`.
    pub(super) fn track(&mut self, shard: usize, last_use: u64) {
        self.tracked.resize(SHARDS, false);
        if !std::mem::replace(&mut self.tracked[shard], true) {
            self.oldest.push(Reverse((last_use, shard)));
        }
    }

    pub(super) fn evict(&mut self, shards: &mut Shards) -> Option<(Sid, Record)> {
        loop {
            let mut entry = self.oldest.peek_mut()?;
            let Reverse((noted, index)) = *entry;
            let shard = shards[index].as_deref_mut();
            match shard.as_ref().and_then(|shard| shard.oldest_use()) {
                None => {
                    PeekMut::pop(entry);
                    self.tracked[index] = false;
                }
                Some(oldest) if oldest == noted => return shard?.remove_least_recent(),
                Some(oldest) => *entry = Reverse((oldest, index)),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn validate(&self, index: usize, shard: &Shard) {
        let Some(oldest) = shard.oldest_use() else {
            return;
        };
        let noted: Vec<u64> =
            self.oldest.iter().filter(|entry| entry.0.1 == index).map(|entry| entry.0.0).collect();
        assert_eq!(noted.len(), 1, "one entry for each shard in use");
        assert!(noted[0] <= oldest);
    }
}
