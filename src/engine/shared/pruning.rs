//! What is removed in steps: what has expired when a prune begins, what was cleared, and what there
//! is no room for. Each step is a small transaction, for others that write wait for it.

use std::collections::VecDeque;
use std::time::Instant;

use super::layout::Due;
use super::writing::STEP;
use super::{Error, Lmdb, Result, Sessions, SharedEngine, Snapshot};
use crate::background::Prunable;
use crate::engine::{REMOVED_AT_ONCE, Removed};
use crate::time::{Millis, stopwatch};

/// How many steps of a prune a caller does itself.
const STEPS_AT_ONCE: usize = REMOVED_AT_ONCE / STEP;

/// A prune that is under way.
#[derive(Clone, Copy)]
struct Prune {
    /// What has expired by then is removed. It is set back when somebody of this process comes
    /// with an earlier time, so that what is alive by a clock that was set back stays.
    now: Millis,
    began: Instant,
}

/// What this process removes in steps, and has removed.
#[derive(Default)]
pub(super) struct Pruning {
    prune: Option<Prune>,
    /// Whether there may be something left of what was cleared.
    is_sweeping: bool,
    /// The session that was written last when there was more than there is room for: it stays
    /// while the others are evicted.
    kept: Option<Vec<u8>>,
    /// What was removed, until it is taken.
    pruned: VecDeque<Removed>,
    /// Why the last prune ended early, until it is told.
    failure: Option<Error>,
}

impl Pruning {
    /// Fails, once, if a prune has ended early.
    pub(super) fn is_busy(&mut self) -> Result<bool> {
        let failure = self.failure.take();
        failure.map_or(Ok(self.has_steps() || !self.pruned.is_empty()), Err)
    }

    pub(super) fn take_pruned(&mut self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let count = limit.min(self.pruned.len());
        removed.extend(self.pruned.drain(..count));
        if self.pruned.is_empty() {
            self.pruned = VecDeque::new();
        }
        self.has_steps() || !self.pruned.is_empty()
    }

    fn has_steps(&self) -> bool {
        self.prune.is_some() || self.is_sweeping || self.kept.is_some()
    }
}

impl Snapshot<'_> {
    /// Whether a prune would find anything to do.
    fn has_due(&self, now: Millis, swept: Sessions) -> Lmdb<bool> {
        for database in swept.all() {
            if !database.is_empty(self.transaction)? {
                return Ok(true);
            }
        }
        let first = self.sessions.expiry.first(self.transaction)?;
        Ok(first.is_some_and(|(key, _)| key < &Due::first_at(now).key()[..]))
    }
}

impl SharedEngine {
    /// Begins a prune, in place of one that is under way, and does the first steps.
    pub(super) fn prune_now(&self, now: Millis) -> Result<()> {
        self.clear_stale_readers()?;
        let began = stopwatch();
        let has_due = self.reading(|snapshot| {
            let swept = snapshot.databases.sessions(&snapshot.state.before());
            snapshot.has_due(now, swept)
        })?;
        let mut pruning = self.pruning.lock();
        pruning.failure = None;
        pruning.prune = has_due.then_some(Prune { now, began });
        drop(pruning);
        if !has_due {
            self.count_prune(began);
        }
        for _ in 0..STEPS_AT_ONCE {
            if !self.prune_a_little()? {
                break;
            }
        }
        Ok(())
    }

    /// A prune that is under way is not to remove what is alive by the time of a write since.
    pub(super) fn note_time(&self, now: Millis) {
        if let Some(prune) = &mut self.pruning.lock().prune {
            prune.now = prune.now.min(now);
        }
    }

    /// Lets the steps sweep what was cleared.
    pub(super) fn sweep_later(&self) {
        self.pruning.lock().is_sweeping = true;
    }

    /// Lets the steps evict what there is no room for, but not the session `kept`.
    pub(super) fn evict_later(&self, kept: &[u8]) {
        self.pruning.lock().kept = Some(kept.into());
    }

    /// Does a step of the prune that is under way. Returns whether there is more to do. Where it
    /// fails the prune is over.
    fn prune_a_little(&self) -> Result<bool> {
        let Some(Prune { began, .. }) = self.pruning.lock().prune else {
            return Ok(false);
        };
        let mut removed = Vec::new();
        let more = self.writing(&[], 0, &mut removed, |writing| {
            // Only now, for whoever has written before this transaction may have set it back.
            let prune = self.pruning.lock().prune;
            prune.map_or(Ok(false), |prune| writing.prune(prune.now))
        });
        let mut pruning = self.pruning.lock();
        self.keep(&mut pruning, removed);
        // Another one may have begun meanwhile.
        if matches!(more, Ok(true)) || pruning.prune.is_none_or(|prune| prune.began != began) {
            return Ok(pruning.prune.is_some());
        }
        pruning.prune = None;
        drop(pruning);
        if more.is_ok() {
            self.count_prune(began);
        }
        more
    }

    fn sweep_a_little(&self) {
        if std::mem::take(&mut self.pruning.lock().is_sweeping) {
            let mut removed = Vec::new();
            let more = self.writing(&[], 0, &mut removed, |writing| writing.sweep(STEP));
            let mut pruning = self.pruning.lock();
            self.keep(&mut pruning, removed);
            // Where it fails, the next prune goes on with it.
            pruning.is_sweeping |= more.is_ok_and(|more| more);
        }
    }

    fn evict_a_little(&self) {
        let kept = self.pruning.lock().kept.take();
        if let Some(kept) = kept {
            let mut removed = Vec::new();
            // It asks for more itself. Where it fails, the next write goes on with it.
            let _ = self.writing(&kept, 0, &mut removed, |writing| writing.evict(&kept));
            self.keep(&mut self.pruning.lock(), removed);
        }
    }

    fn keep(&self, pruning: &mut Pruning, removed: Vec<Removed>) {
        if self.options.keep_removed {
            pruning.pruned.extend(removed);
        }
    }

    fn count_prune(&self, began: Instant) {
        let counters = &mut self.counters.lock();
        counters.prunes += 1;
        counters.last_prune = began.elapsed();
    }
}

impl Prunable for SharedEngine {
    fn prune_step(&self) -> bool {
        self.evict_a_little();
        self.sweep_a_little();
        let pruned = self.prune_a_little();
        let mut pruning = self.pruning.lock();
        if let Err(error) = pruned {
            pruning.failure = Some(error);
        }
        pruning.has_steps()
    }
}

#[cfg(test)]
mod tests;
