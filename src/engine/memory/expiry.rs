//! A prune: goes through the expiry queues of the shards, entry by entry.
//!
//! It finds the records that have expired. The table removes them.

use std::time::{Duration, Instant};

use super::nodes::{NodeId, Nodes};
use super::shard::{ExpiryEntry, Shard};
use super::shards::Shards;
use crate::time::{Millis, stopwatch};

/// A prune that is under way.
pub(super) struct Prune {
    /// What has expired by this time is removed. A call with an earlier time sets it back, so that
    /// what is alive by a clock that was set back stays.
    now: Millis,
    /// The shard to go on with.
    shard: usize,
    began: Instant,
}

/// The outcome of one step of a prune.
pub(super) enum Step {
    /// This record has expired.
    Expired(NodeId),
    /// The record of the entry lives on, or is not there any more.
    Alive,
    /// No due entry is left.
    Done,
}

impl Prune {
    pub(super) fn new(now: Millis) -> Self {
        Self { now, shard: 0, began: stopwatch() }
    }

    /// Keeps what is alive at `now`, the time of a call since the prune began.
    pub(super) fn note_time(&mut self, now: Millis) {
        self.now = self.now.min(now);
    }

    /// How long ago it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Processes the next due entry.
    pub(super) fn step(&mut self, shards: &mut Shards, nodes: &mut Nodes) -> Step {
        while let Some(place) = shards.get_mut(self.shard) {
            if let Some(shard) = place.as_deref_mut()
                && let Some(entry) = shard.next_due(self.now)
            {
                return self.process(shard, nodes, entry).map_or(Step::Alive, Step::Expired);
            }
            self.shard += 1;
        }
        Step::Done
    }

    /// Processes an entry that is due. Returns the record if it has expired.
    fn process(&self, shard: &mut Shard, nodes: &mut Nodes, entry: ExpiryEntry) -> Option<NodeId> {
        let id = shard.find_by_hash(nodes, entry.sid)?;
        let head = nodes.head(id);
        if head.due() != entry.due {
            // Not the record's current entry: the record got an earlier one, or was removed and
            // added anew.
            return None;
        }
        if !head.is_expired(self.now) {
            shard.reschedule(nodes, id);
            return None;
        }
        Some(id)
    }
}
