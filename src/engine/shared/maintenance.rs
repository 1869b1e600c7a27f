//! What is removed in steps: what has expired when a prune begins, what was cleared, and what there
//! is no room for. Each step is a small transaction, because other writers wait for it.

use std::time::Instant;

use super::backlog::Prune;
use super::error::Result;
use super::handle::SharedEngine;
use super::layout::Due;
use super::lmdb::Lmdb;
use super::schema::{Sessions, Snapshot};
use super::writing::STEP;
use crate::background::Maintenance;
use crate::engine::types::{REMOVED_AT_ONCE, Removed};
use crate::time::{Millis, stopwatch};

/// How many steps of a prune a caller does itself.
const STEPS_AT_ONCE: usize = REMOVED_AT_ONCE / STEP;

impl Snapshot<'_> {
    /// Whether a prune would find anything to do.
    fn has_due(&self, now: Millis, swept: Sessions) -> Lmdb<bool> {
        for database in swept.all() {
            if !database.is_empty(self.transaction)? {
                return Ok(true);
            }
        }
        let end = Due::first_at(now).key();
        for database in [self.sessions.expiry, self.sessions.owned] {
            let first = database.first(self.transaction)?;
            if first.is_some_and(|(key, _)| key < &end[..]) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl SharedEngine {
    /// Begins a prune, replacing one that is under way, and does the first steps.
    pub(super) fn prune_now(&self, now: Millis) -> Result<()> {
        self.clear_stale_readers()?;
        let began = stopwatch();
        let has_due = self.reading(|snapshot| {
            let swept = snapshot.databases.sessions(&snapshot.state.before());
            snapshot.has_due(now, swept)
        })?;
        let mut backlog = self.backlog.lock();
        backlog.failure = None;
        backlog.prune = has_due.then_some(Prune { now, began });
        drop(backlog);
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

    /// Does a step of the prune that is under way. Returns whether there is more to do. If it
    /// fails, the prune is over.
    fn prune_a_little(&self) -> Result<bool> {
        let Some(Prune { began, .. }) = self.backlog.lock().begin_prune_step() else {
            return Ok(false);
        };
        let mut removed = Vec::new();
        let more = self.writing(&[], 0, &mut removed, |writing| {
            // Read only now, because a write before this transaction may have set its time back.
            let prune = self.backlog.lock().prune;
            prune.map_or(Ok(false), |prune| writing.prune(prune.now))
        });
        let mut backlog = self.backlog.lock();
        backlog.end_step(self.wanted(removed));
        // Another one may have begun meanwhile.
        if matches!(more, Ok(true)) || backlog.prune.is_none_or(|prune| prune.began != began) {
            return Ok(backlog.prune.is_some());
        }
        backlog.prune = None;
        drop(backlog);
        if more.is_ok() {
            self.count_prune(began);
        }
        more
    }

    fn sweep_a_little(&self) {
        if !self.backlog.lock().begin_sweep_step() {
            return;
        }
        let mut removed = Vec::new();
        let more = self.writing(&[], 0, &mut removed, |writing| writing.sweep(STEP));
        let mut backlog = self.backlog.lock();
        backlog.end_step(self.wanted(removed));
        // If it fails, the next prune goes on with it.
        if matches!(more, Ok(true)) {
            backlog.sweep_later();
        }
    }

    fn evict_a_little(&self) {
        let kept = self.backlog.lock().begin_eviction_step();
        if let Some(kept) = kept {
            let mut removed = Vec::new();
            // It asks for the next step itself. If it fails, the next write goes on with it.
            let _ = self.writing(&kept, 0, &mut removed, |writing| writing.evict(&kept));
            self.backlog.lock().end_step(self.wanted(removed));
        }
    }

    /// If it fails, the next call that needs the index goes on with it, and tells the error.
    fn index_in_background(&self) {
        if self.backlog.lock().is_indexing {
            let more = self.index_a_little();
            self.backlog.lock().is_indexing = matches!(more, Ok(true));
        }
    }

    /// What the caller wants of it: all or nothing.
    fn wanted(&self, removed: Vec<Removed>) -> Vec<Removed> {
        if self.options.keep_removed { removed } else { Vec::new() }
    }

    fn count_prune(&self, began: Instant) {
        let counters = &mut self.counters.lock();
        counters.prunes += 1;
        counters.last_prune = began.elapsed();
    }
}

impl Maintenance for SharedEngine {
    fn maintenance_step(&self) -> bool {
        self.evict_a_little();
        self.sweep_a_little();
        self.index_in_background();
        let pruned = self.prune_a_little();
        let mut backlog = self.backlog.lock();
        if let Err(error) = pruned {
            backlog.failure = Some(error);
        }
        backlog.has_steps()
    }
}

#[cfg(test)]
mod tests;
