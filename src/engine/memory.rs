//! The engine that keeps its records in the memory of this process: the table behind a lock.
//!
//! The lock is held for the map operation only. What was removed is freed outside of it.

use std::cmp::Reverse;
use std::hash::RandomState;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::table::{self, Table};
use super::{
    Condition, Engine, Leftover, Length, Listing, NewCookie, Options, Rank, Refused, Removed,
    Result, Stats, Touched, Version,
};
use crate::cookie::TemplateHandle;
use crate::pruner::Prunable;
use crate::record::{Body, BodyRef, BodyView};
use crate::sid::Sid;
use crate::time::Millis;

/// How many tickets the pruner looks at while it holds the lock: a caller waits for no more
/// than these.
const STEP: usize = 32;

/// How many tickets a caller looks at itself, rather than have the background thread do it:
/// half a millisecond's work, measured at a million sessions.
const STEPS_AT_ONCE: usize = 256;

/// Freeing more records than this is left to the background thread.
const QUICK_TO_FREE: usize = 1000;

/// A store of sessions in this process's memory. See the [module above](super) for the rules.
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
        self.with_table(|table| {
            let done = table.set(sid, body, condition, (now, expires), removed);
            let counters = table.counters();
            match (done, condition) {
                (Ok(_), Condition::Touch { .. }) => counters.touches += 1,
                (Ok(_), _) => counters.sets += 1,
                (Err(_), Condition::Touch { .. }) => {}
                (Err(refused), _) => counters.refused += u64::from(refused == Refused::Destroyed),
            }
            done
        })
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
        self.with_table(|table| table.touch(sid, cookie, false, (now, expires), removed))
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
        self.with_table(|table| table.touch(sid, cookie, true, (now, expires), removed))
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

    /// How many records there are, including expired ones that nothing has come across yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with_table(Table::len)
    }

    /// As [`Self::len`], but does not wait for a long prune to end: if one is under way, gives
    /// the number to ask [`Self::len_after_prune`] with.
    ///
    /// # Errors
    /// That number.
    pub fn len_now(&self) -> Result<usize, usize> {
        self.with_table(|table| table.len_within(STEPS_AT_ONCE))
    }

    /// What [`Self::len`] was when [`Self::len_now`] gave the number `asked`, once the prune has
    /// ended. It is told once.
    #[must_use]
    pub fn len_after_prune(&self, asked: usize) -> Option<usize> {
        self.table.lock().len_after_prune(asked)
    }

    /// How many records there are in memory, those that a prune is about to remove included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.lock().stats().sessions
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
        self.with_table(Table::ids)
    }

    /// The sids of one part of the store, with the numbers of their last use, are appended to
    /// `listed`. Returns whether there are more parts. Listing part after part gives every sid
    /// that is there all the while, once.
    pub fn list_part(&self, part: usize, listed: &mut Vec<(Rank, Sid)>) -> bool {
        self.table.lock().list_part(part, listed)
    }

    /// Copies of all sids and bodies, most recently used first. Expired ones are removed.
    pub fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Vec<(Sid, Body)> {
        self.with_table(|table| table.all(now, removed))
    }

    /// Removes all records. From here on, nobody who has read one before can write it.
    pub fn clear(&self, now: Millis) -> Cleared {
        Cleared(self.with_table(|table| table.clear(now)))
    }

    /// Removes what has expired by `now`, most recently used first, before it returns.
    pub fn prune(&self, now: Millis, removed: &mut Vec<Removed>) {
        let mut pruned = self.with_table(|table| {
            table.finish_prune();
            let earlier = std::mem::take(&mut table.pruned);
            table.begin_prune(now);
            table.finish_prune();
            std::mem::replace(&mut table.pruned, earlier)
        });
        pruned.sort_by_key(|removed| Reverse(removed.last_use));
        removed.extend(pruned);
    }

    /// Lets what has expired by `now` count as removed from here on. Removing it is left to
    /// [`Self::prune_first`] and [`Prunable::prune_step`]. Returns whether there is anything to
    /// look at.
    #[must_use]
    pub fn begin_prune(&self, now: Millis) -> bool {
        self.with_table(|table| {
            table.begin_prune(now);
            table.is_pruning()
        })
    }

    /// Does as much of a prune as a caller may do itself. Returns whether there is more to do.
    #[must_use]
    pub fn prune_first(&self) -> bool {
        self.with_table(|table| table.prune_step(STEPS_AT_ONCE))
    }

    /// Whether a prune that was begun has not ended.
    #[must_use]
    pub fn is_pruning(&self) -> bool {
        self.table.lock().is_pruning()
    }

    /// Moves up to `limit` of the sessions that prunes in the background have removed into
    /// `removed`. Returns whether there are more, or may be soon. Only an engine with
    /// `keep_removed` has any.
    pub fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let mut table = self.table.lock();
        let count = limit.min(table.pruned.len());
        removed.extend(table.pruned.drain(..count));
        table.has_pruned()
    }

    /// Whether [`Self::take_pruned`] has anything to give, or may have soon.
    #[must_use]
    pub fn has_pruned(&self) -> bool {
        self.table.lock().has_pruned()
    }

    fn with_table<R>(&self, operation: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = self.table.lock();
        let result = operation(&mut table);
        let garbage = self.take_garbage(&mut table);
        drop(table);
        drop(garbage);
        result
    }

    /// What a prune removed and nobody wants, to be dropped without the lock.
    fn take_garbage(&self, table: &mut MutexGuard<'_, Table>) -> Vec<Removed> {
        if self.keep_removed {
            return Vec::new();
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
        self.held() > QUICK_TO_FREE
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

    fn length(&self) -> Result<Length> {
        Ok(self.len_now().map_or_else(Length::Later, Length::Now))
    }

    fn length_after_prune(&self, asked: usize) -> Result<Option<usize>> {
        Ok(self.len_after_prune(asked))
    }

    fn held(&self) -> Result<usize> {
        Ok(self.held())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.stats())
    }

    fn ids(&self) -> Result<Vec<Sid>> {
        Ok(self.ids())
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(PartListing { engine: Arc::downgrade(&self), part: 0 }))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        Ok(self.all(now, removed))
    }

    fn clear(self: Arc<Self>, now: Millis, removed: &mut Vec<Removed>) -> Result<Option<Leftover>> {
        let mut cleared = MemoryEngine::clear(&self, now);
        if self.keep_removed {
            removed.extend(cleared.into_removed());
            return Ok(None);
        }
        let is_long = cleared.len() > QUICK_TO_FREE;
        Ok(is_long.then(|| -> Leftover { Box::new(move || cleared.free_step()) }))
    }

    fn prune(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        self.prune(now, removed);
        Ok(())
    }

    fn begin_prune(&self, now: Millis) -> Result<bool> {
        Ok(self.begin_prune(now))
    }

    fn prune_first(&self) -> Result<bool> {
        Ok(self.prune_first())
    }

    fn is_pruning(&self) -> Result<bool> {
        Ok(self.is_pruning())
    }

    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        self.take_pruned(limit, removed)
    }

    fn has_pruned(&self) -> bool {
        self.has_pruned()
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

/// Lists the sids part by part. A sid never moves from one part to another.
struct PartListing {
    /// Gone where nobody wants the sids any more.
    engine: Weak<MemoryEngine>,
    part: usize,
}

impl Listing for PartListing {
    fn step(&mut self, listed: &mut Vec<(Rank, Sid)>) -> Result<bool> {
        let Some(engine) = self.engine.upgrade() else {
            return Ok(false);
        };
        let more = engine.list_part(self.part, listed);
        self.part += 1;
        Ok(more)
    }
}

impl Prunable for MemoryEngine {
    fn prune_step(&self) -> bool {
        let mut table = self.table.lock();
        let more = table.prune_step(STEP);
        let garbage = self.take_garbage(&mut table);
        // Whoever waits goes first, rather than this thread once more.
        MutexGuard::unlock_fair(table);
        drop(garbage);
        more
    }
}

/// The records that [`MemoryEngine::clear`] removed. Dropping it frees them.
pub struct Cleared(table::Cleared);

impl Cleared {
    /// How many records were removed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees a small part of the records. Returns whether there are more.
    pub fn free_step(&mut self) -> bool {
        self.0.free_step()
    }

    /// What was removed, most recently used first.
    #[must_use]
    pub fn into_removed(self) -> Vec<Removed> {
        self.0.into_removed()
    }
}

#[cfg(test)]
impl MemoryEngine {
    pub(super) fn validate(&self) {
        self.table.lock().validate();
    }

    /// What the memory of destroyed sids takes.
    pub(super) fn destroyed(&self) -> usize {
        self.table.lock().destroyed_bytes()
    }

    /// What the record of `sid` takes; `None` where there is none.
    pub(super) fn cost_of(&self, sid: &Sid) -> Option<usize> {
        self.table.lock().cost_of(sid)
    }

    /// As [`Self::len_now`], with another budget.
    pub(super) fn len_within(&self, budget: usize) -> Result<usize, usize> {
        self.with_table(|table| table.len_within(budget))
    }

    /// As [`Prunable::prune_step`], with another budget.
    pub(super) fn step(&self, budget: usize) -> bool {
        self.with_table(|table| table.prune_step(budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Encoding;
    use crate::time::NEVER;

    const BODY: BodyRef<'_> =
        BodyRef { bytes: br#"{"cookie":0}"#, encoding: Encoding::Ascii, is_json: true };

    /// An engine with `expired` sessions that are over at 11 and one that never is.
    fn engine(expired: u64, options: Options) -> MemoryEngine {
        let engine = MemoryEngine::new(options);
        let lives = (0..expired).map(|_| 10).chain([NEVER]);
        for (number, expires) in (0_u64..).zip(lives) {
            let sid = engine.sid(&number.to_le_bytes());
            engine.set(sid, BODY, Condition::None, (0, expires), &mut Vec::new()).unwrap();
        }
        engine
    }

    #[test]
    fn a_caller_does_a_short_prune_itself_and_the_beginning_of_a_long_one() {
        let limit = STEPS_AT_ONCE as u64;
        for (expired, left) in [(limit - 1, 0), (limit + 50, 50)] {
            let engine = engine(expired, Options::default());
            assert!(engine.begin_prune(11));
            assert_eq!(engine.prune_first(), left > 0);
            assert_eq!(engine.held(), left + 1);
            assert_eq!(engine.is_pruning(), left > 0);
            while engine.prune_step() {}
            assert_eq!(engine.held(), 1);
        }
    }

    #[test]
    fn a_length_comes_at_once_or_once_a_long_prune_has_ended() {
        let engine = engine(1000, Options::default());
        assert_eq!(engine.len_now(), Ok(1001));
        assert!(engine.begin_prune(11));
        let base = engine.len_now().unwrap_err();
        let later = engine.len_now().unwrap_err();
        while engine.prune_step() {
            assert_eq!(engine.len_after_prune(base), None);
        }
        assert_eq!(engine.len_after_prune(base), Some(1));
        assert_eq!(engine.len_after_prune(later), Some(1));
        assert_eq!(engine.len_now(), Ok(1));
    }

    #[test]
    fn what_a_prune_removes_is_announced_before_it_is_there_and_until_it_is_taken() {
        let engine = engine(40, Options { keep_removed: true, ..Options::default() });
        assert!(!engine.has_pruned());
        assert!(engine.begin_prune(11));
        assert!(engine.has_pruned(), "there may be soon");
        while engine.prune_step() {}
        let removed = &mut Vec::new();
        assert!(engine.has_pruned());
        assert!(engine.take_pruned(39, removed));
        assert!(engine.has_pruned());
        assert!(!engine.take_pruned(39, removed));
        assert!(!engine.has_pruned());
        assert_eq!(removed.len(), 40);
    }

    #[test]
    fn a_write_counts_for_what_it_is_and_only_if_it_is_done() {
        let room = engine(0, Options::default()).stats().bytes;
        let engine = engine(0, Options { max_bytes: room, ..Options::default() });
        let sid = || engine.sid(&0_u64.to_le_bytes());
        let removed = &mut Vec::new();
        let large = BodyRef { bytes: &[b'1'; 100], ..BODY };
        let touch = Condition::Touch { read: 1, is_change: false };
        assert_eq!(
            engine.set(sid(), large, Condition::None, (0, 9), removed),
            Err(Refused::TooLarge)
        );
        assert_eq!(engine.set(sid(), large, touch, (0, 9), removed), Err(Refused::TooLarge));
        let touched = engine.touch(&sid(), NewCookie::Text(large), 0, 9, removed);
        assert_eq!(touched, Touched::NeedsRewrite);
        let counters = engine.stats().counters;
        assert_eq!((counters.sets, counters.touches), (1, 0));

        let cookie = BodyRef { bytes: b"1", ..BODY };
        engine.set(sid(), BODY, touch, (0, NEVER), removed).unwrap();
        engine.touch(&sid(), NewCookie::Text(cookie), 0, NEVER, removed);
        engine.touch(&engine.sid(b"none"), NewCookie::Text(BODY), 0, NEVER, removed);
        let counters = engine.stats().counters;
        assert_eq!((counters.sets, counters.touches), (1, 2));
        assert_eq!(*removed, []);
    }
}
