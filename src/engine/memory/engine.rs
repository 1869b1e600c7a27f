//! The engine that keeps its records in the memory of this process: the table behind a lock.
//!
//! The lock is held for the map operation only. What was removed is freed outside of it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::RandomState;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::table::Table;
use crate::background::Maintenance;
use crate::engine::contract::{Engine, Listing};
use crate::engine::error::Result;
use crate::engine::rules::{Condition, Refused, Touch, Write};
use crate::engine::types::{
    Merged, NewCookie, Options, REMOVED_AT_ONCE, Reading, Reason, Removed, SortKey, Stats, Touched,
    Version,
};
use crate::engine::users::{Ended, Facts, Terms, User, Which};
use crate::session::{Base, Body, BodyRef, BodyView, ShapeHandle, TemplateHandle};
use crate::sid::Sid;
use crate::time::Millis;

/// How many sessions the background thread looks at while it holds the lock: a caller waits for
/// no more than these.
const STEP: usize = 32;

/// Freeing more records than this is left to the background thread.
const QUICK_TO_FREE: usize = 1000;

/// A store of sessions in this process's memory. See [`crate::engine`] for the rules.
///
/// It never fails.
pub struct MemoryEngine {
    table: Mutex<Table>,
    hasher: RandomState,
    keep_removed: bool,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            table: Mutex::new(Table::new(options)),
            hasher: RandomState::new(),
            keep_removed: options.keep_removed,
        }
    }

    /// As [`Engine::begin_prune`], but looks at the first `budget` expiry entries.
    pub(super) fn begin_prune_with(&self, now: Millis, budget: usize) {
        self.with_table(|table| {
            let known = table.pruned.len();
            table.begin_prune(now);
            table.prune_step(budget);
            let mut new: Vec<_> = table.pruned.drain(known..).collect();
            new.sort_by_key(|removed| Reverse(removed.last_use));
            table.pruned.extend(new);
        });
    }

    /// Appends the sids of one shard, with their sort keys, to `listed`. Returns whether there are
    /// more shards.
    pub(super) fn list_shard(&self, shard: usize, listed: &mut Vec<(SortKey, Sid)>) -> bool {
        self.table.lock().list_shard(shard, listed)
    }

    fn with_table<R>(&self, operation: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = self.table.lock();
        let result = operation(&mut table);
        let garbage = self.take_garbage(&mut table);
        drop(table);
        drop(garbage);
        result
    }

    /// What was removed in steps and nobody wants, to be dropped without the lock.
    fn take_garbage(&self, table: &mut MutexGuard<'_, Table>) -> VecDeque<Removed> {
        if self.keep_removed {
            return VecDeque::new();
        }
        std::mem::take(&mut table.pruned)
    }
}

impl Engine for MemoryEngine {
    fn sid(&self, bytes: &[u8]) -> Sid {
        Sid::new(bytes, &self.hasher)
    }

    fn takes_long_to_drop(&self) -> bool {
        self.table.lock().held() > QUICK_TO_FREE
    }

    fn read(
        &self,
        sid: &Sid,
        reading: Reading,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        Ok(self.with_table(|table| table.read(sid, reading, now, removed, read)).is_some())
    }

    fn is_alive(&self, sid: &Sid, now: Millis) -> Result<bool> {
        Ok(self.table.lock().is_alive(sid, now))
    }

    fn set_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>> {
        let write = Write { condition, now: times.0, expires: times.1, terms };
        Ok(self.with_table(|table| table.set(sid, body, write, removed)))
    }

    fn merge_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        base: (Base<'_>, Version),
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Merged, Refused>> {
        Ok(self.with_table(|table| table.merge(sid, body, base, times, terms, removed)))
    }

    fn merge_cookie_within(
        &self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        times: (Millis, Millis),
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        let merge =
            |table: &mut Table| table.merge_cookie(sid, cookie, base, times, lifetime, removed);
        Ok(self.with_table(merge))
    }

    fn note_merge(&self) {
        self.table.lock().counters().merges += 1;
    }

    fn note_refused(&self) {
        self.table.lock().counters().refused += 1;
    }

    fn touch_within(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        Ok(self.with_table(|table| table.touch(sid, cookie, touch, lifetime, removed)))
    }

    fn info(
        &self,
        sid: &Sid,
        now: Millis,
        read: &mut dyn FnMut(&Facts, BodyView<'_>),
    ) -> Result<bool> {
        Ok(self.table.lock().info(sid, now, read))
    }

    /// Without an index nobody has sessions.
    fn user(&self, text: &[u8]) -> User {
        self.table.lock().owners.as_ref().map_or(User::NOBODY, |owners| owners.user(text))
    }

    fn sessions_of(
        &self,
        user: User,
        after: Option<&Sid>,
        now: Millis,
        read: &mut dyn FnMut(&Sid, &Facts, BodyView<'_>),
    ) -> Result<Option<Sid>> {
        Ok(self.table.lock().sessions_of(user, after, now, read))
    }

    fn destroy_user(
        &self,
        user: User,
        which: Which<'_>,
        after: Option<&Sid>,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Ended> {
        Ok(self.with_table(|table| table.destroy_user(user, which, after, now, removed)))
    }

    fn template(&self, cookie: &[u8]) -> Option<TemplateHandle> {
        self.table.lock().template(cookie)
    }

    fn template_definition(&self, handle: TemplateHandle) -> Option<Vec<u8>> {
        self.table.lock().forms.templates.definition(handle)
    }

    fn shape_definition(&self, handle: ShapeHandle) -> Option<Vec<u8>> {
        self.table.lock().forms.shapes.definition(handle)
    }

    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool> {
        Ok(self.with_table(|table| table.destroy(sid, now, removed)))
    }

    fn discard(&self, sid: &Sid, _: &mut Vec<Removed>) -> Result<()> {
        let discarded = self.with_table(|table| table.discard(sid));
        drop(discarded);
        Ok(())
    }

    fn length(&self) -> Result<usize> {
        Ok(self.table.lock().len())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.table.lock().stats())
    }

    fn ids(&self) -> Result<Vec<Sid>> {
        Ok(self.table.lock().ids())
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(ShardListing { engine: Arc::downgrade(&self), shard: 0 }))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        Ok(self.with_table(|table| table.all(now, removed)))
    }

    fn clear_for(&self, reason: Reason, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        let cleared = self.with_table(|table| table.clear(reason, now));
        if let Some(cleared) = cleared.filter(|_| self.keep_removed) {
            removed.extend(cleared.into_removed());
        }
        Ok(())
    }

    fn begin_prune(&self, now: Millis) -> Result<()> {
        self.begin_prune_with(now, REMOVED_AT_ONCE);
        Ok(())
    }

    fn is_busy(&self) -> Result<bool> {
        Ok(self.table.lock().is_busy())
    }

    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let mut table = self.table.lock();
        let count = limit.min(table.pruned.len());
        removed.extend(table.pruned.drain(..count));
        if table.pruned.is_empty() {
            table.pruned = VecDeque::new();
        }
        table.is_busy()
    }

    #[cfg(test)]
    fn validate(&self) {
        self.table.lock().validate();
    }
}

/// Lists the sids shard by shard. A sid never moves from one shard to another.
struct ShardListing {
    /// Gone once the store is dropped.
    engine: Weak<MemoryEngine>,
    shard: usize,
}

impl Listing for ShardListing {
    fn step(&mut self, listed: &mut Vec<(SortKey, Sid)>) -> Result<bool> {
        let Some(engine) = self.engine.upgrade() else {
            return Ok(false);
        };
        let more = engine.list_shard(self.shard, listed);
        self.shard += 1;
        Ok(more)
    }
}

impl Maintenance for MemoryEngine {
    fn maintenance_step(&self) -> bool {
        let mut table = self.table.lock();
        let freed = table.step(STEP);
        let more = table.has_steps();
        let garbage = self.take_garbage(&mut table);
        // A waiting caller gets the lock next, rather than this thread again.
        MutexGuard::unlock_fair(table);
        drop((freed, garbage));
        more
    }
}

#[cfg(test)]
impl MemoryEngine {
    /// What the record of `sid` takes, or took when it was evicted.
    pub(in crate::engine) fn cost_of(&self, sid: &Sid) -> Option<usize> {
        self.table.lock().cost_of(sid)
    }

    /// What the templates and shapes take.
    pub(in crate::engine) fn bytes_of_forms(&self) -> usize {
        self.table.lock().forms.bytes()
    }

    /// As [`Maintenance::maintenance_step`], with another budget.
    pub(in crate::engine) fn step(&self, budget: usize) -> bool {
        self.with_table(|table| {
            drop(table.step(budget));
            table.has_steps()
        })
    }
}

#[cfg(test)]
mod tests;
