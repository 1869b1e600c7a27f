//! Prunes that are under way: what has expired by their beginning counts as gone from then on, and
//! goes in small transactions, for others that write wait for each.

use std::ops::Bound;
use std::time::Instant;

use super::layout::Due;
use super::{Error, Lmdb, Result, Sessions, SharedEngine, Snapshot};
use crate::engine::{Engine, Length, Removed};
use crate::pruner::Prunable;
use crate::time::{Millis, stopwatch};

/// How many expired sessions a caller counts itself, rather than wait for the end of the prune:
/// half a millisecond's work.
const COUNTED_AT_ONCE: usize = 20_000;

/// The number by which all lengths are asked for that have to wait: they are that of the prune's
/// end. Not 0, which has no negative.
const ASKED: usize = 1;

/// A prune that is under way: what has expired by then is to go, and when it began.
type Prune = (Millis, Instant);

/// What prunes of this process are doing and have done.
#[derive(Default)]
pub(super) struct Pruning {
    prune: Option<Prune>,
    /// What they have removed, until it is taken.
    pruned: Vec<Removed>,
    /// Why the last one ended early, until it is told.
    failure: Option<Error>,
}

impl Pruning {
    /// Fails, once, if it has ended early.
    pub(super) fn is_under_way(&mut self) -> Result<bool> {
        if self.prune.is_some() {
            return Ok(true);
        }
        self.failure.take().map_or(Ok(false), Err)
    }

    pub(super) fn take_pruned(&mut self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let count = limit.min(self.pruned.len());
        removed.extend(self.pruned.drain(..count));
        self.has_pruned()
    }

    pub(super) fn has_pruned(&self) -> bool {
        !self.pruned.is_empty() || self.prune.is_some()
    }
}

impl Snapshot<'_> {
    /// How many sessions expire before `first`, if that is less than `limit`.
    fn count_before(&self, first: Millis, limit: usize) -> Lmdb<Option<usize>> {
        let end = Due::first_at(first).key();
        let range = (Bound::Unbounded, Bound::Excluded(&end[..]));
        let mut count = 0;
        for entry in self.sessions.expiry.range(self.transaction, &range)? {
            entry?;
            count += 1;
            if count == limit {
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    /// Whether a prune would find anything to do.
    fn has_due(&self, now: Millis, swept: Sessions) -> Lmdb<bool> {
        for database in swept.all() {
            if !database.is_empty(self.transaction)? {
                return Ok(true);
            }
        }
        Ok(self.count_before(now, 1)?.is_none())
    }
}

impl SharedEngine {
    /// What expires before this counts as gone, for a prune is about to remove it.
    pub(super) fn pruned_before(&self) -> Millis {
        self.pruning.lock().prune.map_or(Millis::MIN, |(now, _)| now)
    }

    /// From here on what has expired by `now` counts as gone. Returns whether there is any.
    /// Another prune that is under way is given up: it went by a clock that has gone on, or has
    /// been set back, since.
    pub(super) fn note_prune(&self, now: Millis) -> Result<bool> {
        self.clear_stale_readers()?;
        let began = stopwatch();
        let has_due = self.reading(|snapshot| {
            let swept = snapshot.databases.sessions(&snapshot.state.before());
            snapshot.has_due(now, swept)
        })?;
        let mut pruning = self.pruning.lock();
        pruning.failure = None;
        pruning.prune = has_due.then_some((now, began));
        drop(pruning);
        if !has_due {
            self.count_prune(began);
        }
        Ok(has_due)
    }

    pub(super) fn prune_to_the_end(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        let began = stopwatch();
        while self.writing(&[], 0, removed, |writing| writing.prune(now))? {}
        self.count_prune(began);
        Ok(())
    }

    /// Does a step of the prune that is under way. Returns whether there is more to do. Where it
    /// fails the prune is over.
    pub(super) fn prune_a_little(&self) -> Result<bool> {
        let Some(prune) = self.pruning.lock().prune else {
            return Ok(false);
        };
        let (now, began) = prune;
        let mut removed = Vec::new();
        let more = self.writing(&[], 0, &mut removed, |writing| writing.prune(now));
        let mut pruning = self.pruning.lock();
        if self.options.keep_removed {
            pruning.pruned.append(&mut removed);
        }
        // Another one may have begun meanwhile.
        if matches!(more, Ok(true)) || pruning.prune != Some(prune) {
            return Ok(pruning.prune.is_some());
        }
        pruning.prune = None;
        drop(pruning);
        if more.is_ok() {
            self.count_prune(began);
        }
        more
    }

    fn count_prune(&self, began: Instant) {
        let counters = &mut self.counters.lock();
        counters.prunes += 1;
        counters.last_prune = began.elapsed();
    }

    /// How many sessions there are, without those that a prune is about to remove. Where those are
    /// very many, that is only known when they are gone.
    pub(super) fn length_without_expired(&self) -> Result<Length> {
        let first = self.pruned_before();
        let counted = self.reading(|snapshot| {
            let before = snapshot.count_before(first, COUNTED_AT_ONCE)?;
            let len = snapshot.len()?;
            Ok(before.map(|before| len.saturating_sub(before)))
        })?;
        if let Some(len) = counted {
            return Ok(Length::Now(len));
        }
        if self.pruning.lock().prune.is_some() {
            return Ok(Length::Later(ASKED));
        }
        // It has just ended.
        Ok(Length::Now(self.held()?))
    }
}

impl Prunable for SharedEngine {
    fn prune_step(&self) -> bool {
        self.prune_a_little().unwrap_or_else(|error| {
            self.pruning.lock().failure = Some(error);
            false
        })
    }
}
