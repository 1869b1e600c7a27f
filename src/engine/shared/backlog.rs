//! What this process has yet to do in steps, and what those have removed.
//!
//! It only holds this; `maintenance` does the steps.

use std::collections::VecDeque;
use std::time::Instant;

use super::error::{Error, Result};
use crate::engine::types::Removed;
use crate::time::Millis;

/// A prune that is under way.
#[derive(Clone, Copy)]
pub(super) struct Prune {
    /// What has expired by then is removed. A call in this process with an earlier time sets it
    /// back, so that what is alive by a clock that was set back stays.
    pub(super) now: Millis,
    pub(super) began: Instant,
}

/// What this process removes in steps, and has removed.
#[derive(Default)]
pub(super) struct Backlog {
    pub(super) prune: Option<Prune>,
    /// Whether there may be something left of what was cleared.
    pub(super) is_sweeping: bool,
    /// Set while there is more to evict: the session that was written last, which must stay.
    pub(super) kept: Option<Vec<u8>>,
    /// Whether there are sessions to index.
    pub(super) is_indexing: bool,
    /// How many steps are under way, on the background thread or a caller's. What they remove is
    /// in `pruned` when they end.
    pub(super) steps_under_way: usize,
    /// What was removed, until it is taken.
    pub(super) pruned: VecDeque<Removed>,
    /// Why the last prune ended early, until it is told.
    pub(super) failure: Option<Error>,
}

impl Backlog {
    /// Fails, once, if a prune has ended early.
    pub(super) fn is_busy(&mut self) -> Result<bool> {
        let failure = self.failure.take();
        failure.map_or(Ok(self.has_more_to_give()), Err)
    }

    pub(super) fn take_pruned(&mut self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let count = limit.min(self.pruned.len());
        removed.extend(self.pruned.drain(..count));
        if self.pruned.is_empty() {
            self.pruned = VecDeque::new();
        }
        self.has_more_to_give()
    }

    /// Whether there is something in `pruned`, or may be soon.
    fn has_more_to_give(&self) -> bool {
        self.has_steps() || self.steps_under_way > 0 || !self.pruned.is_empty()
    }

    /// Keeps a prune that is under way from removing what is alive at `now`, the time of a write.
    pub(super) fn note_time(&mut self, now: Millis) {
        if let Some(prune) = &mut self.prune {
            prune.now = prune.now.min(now);
        }
    }

    /// Lets the steps sweep what was cleared.
    pub(super) fn sweep_later(&mut self) {
        self.is_sweeping = true;
    }

    /// Lets the steps evict what there is no room for, but not the session `kept`.
    pub(super) fn evict_later(&mut self, kept: &[u8]) {
        self.kept = Some(kept.into());
    }

    /// Begins a step of the prune, if there is one. [`Self::end_step`] has to follow.
    pub(super) fn begin_prune_step(&mut self) -> Option<Prune> {
        self.steps_under_way += usize::from(self.prune.is_some());
        self.prune
    }

    /// As [`Self::begin_prune_step`], of the sweep.
    pub(super) fn begin_sweep_step(&mut self) -> bool {
        self.steps_under_way += usize::from(self.is_sweeping);
        std::mem::take(&mut self.is_sweeping)
    }

    /// As [`Self::begin_prune_step`], of the eviction. Returns the session that must stay.
    pub(super) fn begin_eviction_step(&mut self) -> Option<Vec<u8>> {
        self.steps_under_way += usize::from(self.kept.is_some());
        self.kept.take()
    }

    /// Ends a step, which removed this.
    pub(super) fn end_step(&mut self, removed: Vec<Removed>) {
        self.steps_under_way -= 1;
        self.pruned.extend(removed);
    }

    pub(super) fn has_steps(&self) -> bool {
        self.prune.is_some() || self.is_sweeping || self.kept.is_some() || self.is_indexing
    }
}
