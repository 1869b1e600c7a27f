//! A prune: goes through the expiry queues of the shards, entry by entry.
//!
//! It takes expired records out of their shards. The table updates its sums and hands them on.

use std::time::{Duration, Instant};

use super::shard::{ExpiryEntry, Shard};
use super::shards::Shards;
use crate::session::record::Record;
use crate::sid::Sid;
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
    /// This record has expired, and was taken out.
    Expired(Sid, Record),
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
    pub(super) fn step(&mut self, shards: &mut Shards) -> Step {
        while let Some(place) = shards.get_mut(self.shard) {
            if let Some(shard) = place.as_deref_mut()
                && let Some(entry) = shard.next_due(self.now)
            {
                return match self.process(shard, entry) {
                    Some((sid, record)) => Step::Expired(sid, record),
                    None => Step::Alive,
                };
            }
            self.shard += 1;
        }
        Step::Done
    }

    /// Processes an entry that is due. Returns the record if it has expired.
    fn process(&self, shard: &mut Shard, entry: ExpiryEntry) -> Option<(Sid, Record)> {
        let record = shard.by_hash(entry.sid)?;
        if record.due != entry.due {
            // Not the record's current entry: the record got an earlier one, or was removed and
            // added anew.
            return None;
        }
        if !record.is_expired(self.now) {
            shard.reschedule(entry);
            return None;
        }
        shard.remove_by_hash(entry.sid)
    }
}
