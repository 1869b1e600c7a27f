//! Which record is evicted next: of all shards, the least recently used one of the first rank that is
//! there.
//!
//! It does not decide when to evict.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::records::Rank;
#[cfg(test)]
use super::shard::Shard;
use super::shards::{SHARDS, Shards};
use crate::session::record::Record;
use crate::sid::Sid;

/// Finds the record of all shards that is evicted next.
#[derive(Default)]
pub(super) struct EvictionQueue {
    first: RankQueue,
    last: RankQueue,
}

impl EvictionQueue {
    /// Notes that `shard` got a record of a rank, with the use number `last_use`.
    pub(super) fn track(&mut self, shard: usize, rank: Rank, last_use: u64) {
        let queue = match rank {
            Rank::First => &mut self.first,
            Rank::Last => &mut self.last,
        };
        queue.track(shard, last_use);
    }

    pub(super) fn evict(&mut self, shards: &mut Shards) -> Option<(Sid, Record)> {
        let first = self.first.evict(shards, Rank::First);
        first.or_else(|| self.last.evict(shards, Rank::Last))
    }

    #[cfg(test)]
    pub(super) fn validate(&self, index: usize, shard: &Shard) {
        self.first.validate(index, shard.oldest_use(Rank::First));
        self.last.validate(index, shard.oldest_use(Rank::Last));
    }
}

/// Finds the least recently used record of a rank.
///
/// Holds one entry for each shard that has such records: a use number that is not above that of the
/// shard's least recently used one. Numbers only grow, so an entry may be too low but never too
/// high, and is corrected when it comes up.
#[derive(Default)]
struct RankQueue {
    oldest: BinaryHeap<Reverse<(u64, usize)>>,
    tracked: Vec<bool>,
}

impl RankQueue {
    fn track(&mut self, shard: usize, last_use: u64) {
        self.tracked.resize(SHARDS, false);
        if !std::mem::replace(&mut self.tracked[shard], true) {
            self.oldest.push(Reverse((last_use, shard)));
        }
    }

    fn evict(&mut self, shards: &mut Shards, rank: Rank) -> Option<(Sid, Record)> {
        loop {
            let mut entry = self.oldest.peek_mut()?;
            let Reverse((noted, index)) = *entry;
            let shard = shards[index].as_deref_mut();
            match shard.as_ref().and_then(|shard| shard.oldest_use(rank)) {
                None => {
                    PeekMut::pop(entry);
                    self.tracked[index] = false;
                }
                Some(oldest) if oldest == noted => return shard?.remove_least_recent(rank),
                Some(oldest) => *entry = Reverse((oldest, index)),
            }
        }
    }

    #[cfg(test)]
    fn validate(&self, index: usize, oldest: Option<u64>) {
        let Some(oldest) = oldest else {
            return;
        };
        let noted: Vec<u64> =
            self.oldest.iter().filter(|entry| entry.0.1 == index).map(|entry| entry.0.0).collect();
        assert_eq!(noted.len(), 1, "one entry for each shard in use");
        assert!(noted[0] <= oldest);
    }
}
