//! A prune of what has expired, one expiry entry after the other.
//!
//! It says what is to go. It knows neither sums nor who wants what was removed.

use std::time::{Duration, Instant};

use super::shard::{ExpiryEntry, Shard};
use super::shards::Shards;
use crate::session::record::Record;
use crate::sid::Sid;
use crate::time::{Millis, stopwatch};

/// A prune that is under way.
pub(super) struct Prune {
    /// What has expired by then is removed. It is set back when somebody comes with an earlier
    /// time, so that what is alive by a clock that was set back stays.
    now: Millis,
    /// The shard to go on with.
    shard: usize,
    began: Instant,
}

/// What one step of a prune has come to.
pub(super) enum Step {
    /// This record has expired, and was taken out.
    Expired(Sid, Record),
    /// The record of the entry lives on, or is not there any more.
    Alive,
    /// There is no entry left that was due.
    Done,
}

impl Prune {
    pub(super) fn new(now: Millis) -> Self {
        Self { now, shard: 0, began: stopwatch() }
    }

    /// What is alive by the time of any call since is not removed.
    pub(super) fn note_time(&mut self, now: Millis) {
        self.now = self.now.min(now);
    }

    /// How long ago it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Deals with the next entry that was due.
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

    /// Deals with a entry that came up. Returns the record if it is to go.
    fn process(&self, shard: &mut Shard, entry: ExpiryEntry) -> Option<(Sid, Record)> {
        let record = shard.by_hash(entry.sid)?;
        if record.due != entry.due {
            // Not the record's current entry: it had to expire sooner, or was written anew.
            return None;
        }
        if !record.is_expired(self.now) {
            shard.reschedule(entry);
            return None;
        }
        shard.remove_by_hash(entry.sid)
    }
}
