//! What a table does in steps, so that none takes long: pruning, evicting, and freeing what was
//! cleared.

use super::clearing::Cleared;
use super::eviction::EvictionQueue;
use super::expiry::{Prune, Step};
use super::owners::{Owners, Part};
use super::shard::Shard;
use super::shards::empty_shards;
use super::table::Table;
use crate::engine::tombstones::FINAL_AT_ONCE;
use crate::engine::types::Reason;
use crate::time::Millis;

/// Clearing more sessions than this is left to the background thread.
pub(super) const CLEARED_AT_ONCE: usize = 1000;

/// What a step leaves to be dropped outside the lock.
pub(super) type Freed = (Option<Box<Shard>>, Option<Part>);

impl Table {
    /// Removes every record. The result should be dropped, or listed, outside the lock. Very many
    /// records are left to [`Self::step`].
    pub(super) fn clear(&mut self, reason: Reason, now: Millis) -> Option<Cleared> {
        let version = self.next_use();
        self.tombstones.clear(version);
        if self.options.destroyed_is_final {
            let records = self.shards.iter().flatten().flat_map(|shard| shard.records().iter());
            for (sid, _) in records.take(FINAL_AT_ONCE) {
                self.tombstones.add(sid.hash(), version, now);
            }
        }
        self.prune = None;
        self.eviction_queue = EvictionQueue::default();
        self.bytes = 0;
        let shards = std::mem::replace(&mut self.shards, empty_shards());
        let owners = self.owners.as_mut().map(Owners::take).unwrap_or_default();
        let len = std::mem::take(&mut self.len);
        let cleared = Cleared::new(reason, shards, self.forms.take(), owners, len);
        if cleared.len() <= CLEARED_AT_ONCE {
            return Some(cleared);
        }
        self.cleared.push_back(cleared);
        None
    }

    /// Lets [`Self::step`] remove what has expired by `now`, replacing a prune that is under way.
    pub(super) fn begin_prune(&mut self, now: Millis) {
        self.prune = Some(Prune::new(now));
    }

    /// Goes on with the prune that is under way, looking at no more than `budget` entries.
    pub(super) fn prune_step(&mut self, budget: usize) {
        let Some(mut prune) = self.prune.take() else {
            return;
        };
        for _ in 0..budget.max(1) {
            match prune.step(&mut self.shards) {
                Step::Expired(sid, record) => {
                    self.counters.expirations += 1;
                    let pruned = self.take_out(sid, record, Reason::Expired);
                    self.pruned.push_back(pruned);
                }
                Step::Alive => {}
                Step::Done => {
                    self.counters.prunes += 1;
                    self.counters.last_prune = prune.elapsed();
                    return;
                }
            }
        }
        self.prune = Some(prune);
    }

    /// Does a small part of the work that is left: looks at up to `budget` expiry entries, evicts
    /// up to as many records, and frees or hands out some of what was cleared. The result should be
    /// dropped outside the lock.
    pub(super) fn step(&mut self, budget: usize) -> Freed {
        self.prune_step(budget);
        let mut evicted = Vec::new();
        self.evict(budget, &mut evicted);
        self.pruned.extend(evicted);
        self.cleared_step(budget)
    }

    fn cleared_step(&mut self, budget: usize) -> Freed {
        let Some(cleared) = self.cleared.front_mut() else {
            return (None, None);
        };
        let owners = cleared.take_owners();
        let shard = if self.options.keep_removed {
            self.pruned.extend(cleared.hand_out(budget));
            None
        } else {
            cleared.take_shard()
        };
        if cleared.is_done() {
            self.cleared.pop_front();
        }
        (shard, owners)
    }

    /// Whether [`Self::step`] has anything to do.
    pub(super) fn has_steps(&self) -> bool {
        self.prune.is_some() || !self.cleared.is_empty() || self.is_over()
    }

    /// Whether there is something in `pruned`, or may be soon.
    pub(super) fn is_busy(&self) -> bool {
        !self.pruned.is_empty() || self.has_steps()
    }

    /// How many records take memory, those that were cleared included.
    pub(super) fn held(&self) -> usize {
        self.len + self.cleared.iter().map(Cleared::len).sum::<usize>()
    }
}
