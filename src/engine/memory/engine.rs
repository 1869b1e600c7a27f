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
    NewCookie, Options, REMOVED_AT_ONCE, Rank, Removed, Stats, Touched, Version,
};
use crate::session::{Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::Sid;
use crate::time::Millis;

/// How many sessions the background thread looks at while it holds the lock: a caller waits for
/// no more than these.
const STEP: usize = 32;

/// Freeing more records than this is left to the background thread.
const QUICK_TO_FREE: usize = 1000;

/// A store of sessions in this process's memory. See [`crate::engine`] for the rules.
///
/// Any number of threads may use it. `now` is the caller's time. Operations append what they
/// removed to `removed`, in the order in which it is to be disposed of.
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

    /// The sid that `bytes` stand for, for use with this engine.
    #[must_use]
    pub fn sid(&self, bytes: &[u8]) -> Sid {
        Sid::new(bytes, &self.hasher)
    }

    /// Reads and uses the record of `sid`. `read` runs under the lock: it should only copy.
    pub fn get<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.with_table(|table| table.get(sid, now, removed, read))
    }

    /// As [`Self::get`], but does not count as a hit or a miss: the first half of a touch for
    /// which the caller rewrites the session.
    pub fn fetch<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.with_table(|table| table.fetch(sid, now, removed, read))
    }

    /// As [`Self::fetch`], but the record is not used: its place in the order stays.
    pub fn peek<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.with_table(|table| table.peek(sid, now, removed, read))
    }

    /// Writes the record of `sid`, alive until `expires`, if `condition` holds, and evicts down
    /// to `max` and `max_bytes`. The condition is judged and the record written in one step: no
    /// other write comes between. Returns the version of what was written.
    ///
    /// A new record may have expired when it is written: it counts until it is come across.
    ///
    /// # Errors
    /// Why it was not written; but for its place in the order nothing has changed.
    pub fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        let write = Write { condition, now, expires };
        self.with_table(|table| table.set(sid, body, write, removed))
    }

    /// Counts what was just set as a merge.
    pub fn note_merge(&self) {
        self.table.lock().counters().merges += 1;
    }

    /// Gives the record of `sid` a new cookie and expiry, without the
    /// rest of the session being read or written, where that is sure to give the bytes that
    /// parsing, assigning and stringifying would.
    pub fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        self.with_table(|table| {
            table.touch(sid, cookie, Touch { now, expires, is_renewal: false }, removed)
        })
    }

    /// As [`Self::touch`], for a request that has read the session. See [`Engine::renew`].
    pub fn renew(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        self.with_table(|table| {
            table.touch(sid, cookie, Touch { now, expires, is_renewal: true }, removed)
        })
    }

    /// The handle by which [`Self::touch`] takes cookies that differ from `cookie`, JSON text,
    /// in their `expires` only. `None` where it takes them as text alone.
    #[must_use]
    pub fn template(&self, cookie: &[u8]) -> Option<TemplateHandle> {
        self.table.lock().template(cookie)
    }

    /// Removes the record of `sid`. Returns whether there was one. From here on, nobody who has
    /// read it before can write it.
    pub fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> bool {
        self.with_table(|table| table.destroy(sid, now, removed))
    }

    /// How many records there are, including expired ones that nothing has removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.lock().len()
    }

    /// What the engine holds and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.table.lock().stats()
    }

    /// Whether there are no records, not even expired ones.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sids, most recently used first, expired ones included.
    #[must_use]
    pub fn ids(&self) -> Vec<Sid> {
        self.table.lock().ids()
    }

    /// The sids of one shard of the store, with the numbers of their last use, are appended to
    /// `listed`. Returns whether there are more shards. Listing shard after shard gives every sid
    /// that is there all the while, once.
    pub fn list_shard(&self, shard: usize, listed: &mut Vec<(Rank, Sid)>) -> bool {
        self.table.lock().list_shard(shard, listed)
    }

    /// Copies of all sids and bodies, most recently used first. Expired ones are removed.
    pub fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Vec<(Sid, Body)> {
        self.with_table(|table| table.all(now, removed))
    }

    /// Removes all records. From here on, nobody who has read one before can write it. They are
    /// appended to `removed`, most recently used first, if the engine keeps what is removed; very
    /// many are left to [`Maintenance::maintenance_step`] and [`Self::take_pruned`], in no order.
    pub fn clear(&self, now: Millis, removed: &mut Vec<Removed>) {
        let cleared = self.with_table(|table| table.clear(now));
        if let Some(cleared) = cleared.filter(|_| self.keep_removed) {
            removed.extend(cleared.into_removed());
        }
    }

    /// Begins to remove what has expired by `now`, in place of a prune that is under way, and
    /// does the first few hundred. The rest is left to [`Maintenance::maintenance_step`]. What a prune
    /// that ends at once has removed is handed out most recently used first.
    pub fn begin_prune(&self, now: Millis) {
        self.begin_prune_with(now, REMOVED_AT_ONCE);
    }

    /// As [`Self::begin_prune`], but does the first `budget`.
    pub(in crate::engine) fn begin_prune_with(&self, now: Millis, budget: usize) {
        self.with_table(|table| {
            let known = table.pruned.len();
            table.begin_prune(now);
            table.prune_step(budget);
            let mut new: Vec<_> = table.pruned.drain(known..).collect();
            new.sort_by_key(|removed| Reverse(removed.last_use));
            table.pruned.extend(new);
        });
    }

    /// Whether [`Maintenance::maintenance_step`] has anything to do, or [`Self::take_pruned`] to give.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.table.lock().is_busy()
    }

    /// Moves up to `limit` of the sessions that were removed in steps into `removed`. Returns
    /// whether there are more, or may be soon. Only an engine with `keep_removed` has any.
    pub fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let mut table = self.table.lock();
        let count = limit.min(table.pruned.len());
        removed.extend(table.pruned.drain(..count));
        if table.pruned.is_empty() {
            table.pruned = VecDeque::new();
        }
        table.is_busy()
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
        self.sid(bytes)
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn takes_long_to_drop(&self) -> bool {
        self.table.lock().held() > QUICK_TO_FREE
    }

    fn get(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        Ok(self.get(sid, now, removed, read).is_some())
    }

    fn fetch(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        Ok(self.fetch(sid, now, removed, read).is_some())
    }

    fn peek(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        Ok(self.peek(sid, now, removed, read).is_some())
    }

    fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>> {
        Ok(self.set(sid, body, condition, times, removed))
    }

    fn note_merge(&self) {
        self.note_merge();
    }

    fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        Ok(self.touch(sid, cookie, now, expires, removed))
    }

    fn renew(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        Ok(self.renew(sid, cookie, now, expires, removed))
    }

    fn template(&self, cookie: &[u8]) -> Option<TemplateHandle> {
        self.template(cookie)
    }

    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool> {
        Ok(self.destroy(sid, now, removed))
    }

    fn length(&self) -> Result<usize> {
        Ok(self.len())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.stats())
    }

    fn ids(&self) -> Result<Vec<Sid>> {
        Ok(self.ids())
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(ShardListing { engine: Arc::downgrade(&self), shard: 0 }))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        Ok(self.all(now, removed))
    }

    fn clear(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        self.clear(now, removed);
        Ok(())
    }

    fn begin_prune(&self, now: Millis) -> Result<()> {
        self.begin_prune(now);
        Ok(())
    }

    fn is_busy(&self) -> Result<bool> {
        Ok(self.is_busy())
    }

    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        self.take_pruned(limit, removed)
    }

    fn is_dirty(&self) -> bool {
        false
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn validate(&self) {
        self.validate();
    }
}

/// Lists the sids shard by shard. A sid never moves from one shard to another.
struct ShardListing {
    /// Gone where nobody wants the sids any more.
    engine: Weak<MemoryEngine>,
    shard: usize,
}

impl Listing for ShardListing {
    fn step(&mut self, listed: &mut Vec<(Rank, Sid)>) -> Result<bool> {
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
        let shard = table.step(STEP);
        let more = table.has_steps();
        let garbage = self.take_garbage(&mut table);
        // Whoever waits goes first, rather than this thread once more.
        MutexGuard::unlock_fair(table);
        drop((shard, garbage));
        more
    }
}

#[cfg(test)]
impl MemoryEngine {
    pub(in crate::engine) fn validate(&self) {
        self.table.lock().validate();
    }

    /// What the memory of destroyed sids takes.
    pub(in crate::engine) fn destroyed(&self) -> usize {
        self.table.lock().destroyed_bytes()
    }

    /// What the record of `sid` takes; `None` where there is none.
    pub(in crate::engine) fn cost_of(&self, sid: &Sid) -> Option<usize> {
        self.table.lock().cost_of(sid)
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
