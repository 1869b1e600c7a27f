//! The operations of an engine in memory on one session: what is found, written, renewed, removed.
//!
//! A table is used by one caller at a time and has neither lock nor thread. It reads no clock (but
//! to time prunes, for the statistics): time comes in as an argument, and what is removed goes out
//! through one, to be freed or disposed of outside the lock.
//!
//! Recency is exact across the shards, because each use is numbered from one counter.

#[cfg(test)]
use std::collections::HashMap;
use std::collections::VecDeque;
use std::convert::Infallible;

use super::clearing::Cleared;
use super::eviction::EvictionQueue;
use super::expiry::Prune;
use super::notes::{note_of, note_room, set_note};
use super::owners::Owners;
use super::records::Order;
use super::shard::Shard;
use super::shards::{SHARDS, Shards, empty_shards, shard_of};
use super::tombstones::Tombstones;
use crate::allocation::allocated;
use crate::engine::rules::{Alive, Refused, Write};
use crate::engine::types::{Counters, Options, Reading, Reason, Removed, Stats, Version};
use crate::engine::users::{Claim, User};
use crate::session::forms::Forms;
use crate::session::record::{NewBody, Record};
use crate::session::{Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::{Sid, SidHash};
use crate::time::Millis;

/// What a record takes beside what the sid and the body allocate: its node in the list, its slot in
/// the map (17 bytes, of which between 7/16 and 7/8 are in use) and its expiry entry (16 bytes, in
/// a vector that is between half full and full).
const OVERHEAD: usize =
    allocated(size_of::<Sid>() + size_of::<Record>() + 2 * size_of::<usize>()) + 26 + 24;

/// See the module's description.
pub(super) struct Table {
    pub(super) shards: Shards,
    pub(super) len: usize,
    /// What the records take, by [`cost`].
    pub(super) bytes: usize,
    /// The number of the latest use.
    pub(super) uses: u64,
    pub(super) counters: Counters,
    pub(super) options: Options,
    pub(super) order: Order,
    pub(super) forms: Forms,
    pub(super) eviction_queue: EvictionQueue,
    /// The index of users, if the options ask for one.
    pub(super) owners: Option<Owners>,
    /// How much room for a note the records have.
    pub(super) note: usize,
    pub(super) tombstones: Tombstones,
    pub(super) prune: Option<Prune>,
    /// What was cleared and has not been freed or handed out.
    pub(super) cleared: VecDeque<Cleared>,
    /// What was removed in steps, for the engine to free or keep.
    pub(super) pruned: VecDeque<Removed>,
    /// What each of the records took that were evicted.
    #[cfg(test)]
    pub(super) evicted: HashMap<Sid, usize>,
}

/// What is to be done for a record that was written.
#[derive(Clone, Copy)]
pub(super) struct Written {
    is_expired: bool,
    needs_entry: bool,
}

impl Written {
    pub(super) fn of(record: &Record, now: Millis) -> Self {
        Self { is_expired: record.is_expired(now), needs_entry: record.expires() < record.due }
    }
}

impl Table {
    pub(super) fn new(options: Options) -> Self {
        Self {
            shards: empty_shards(),
            len: 0,
            bytes: 0,
            uses: 0,
            counters: Counters::default(),
            options,
            order: Order::of(&options),
            forms: Forms::new(options.max_bytes),
            eviction_queue: EvictionQueue::default(),
            owners: Owners::for_options(&options),
            note: note_room(&options),
            tombstones: Tombstones::new(options.max_bytes, options.destroyed_is_final),
            prune: None,
            cleared: VecDeque::new(),
            pruned: VecDeque::new(),
            #[cfg(test)]
            evicted: HashMap::default(),
        }
    }

    /// Reads the body of `sid`. A record that has expired is removed, and read once more only if
    /// the store is `stale`.
    pub(super) fn read<R>(
        &mut self,
        sid: &Sid,
        reading: Reading,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        let found = self.find(sid, reading, now, removed, read);
        if reading == Reading::Get {
            self.counters.hits += u64::from(found.is_some());
            self.counters.misses += u64::from(found.is_none());
        }
        found
    }

    fn find<R>(
        &mut self,
        sid: &Sid,
        reading: Reading,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.note_time(now);
        let is_use = reading != Reading::Peek;
        let version = if is_use { self.next_use() } else { self.uses };
        let shard = shard_of(&mut self.shards, sid)?;
        let record =
            if is_use { shard.use_record(sid, version)? } else { shard.records().peek(sid)? };
        let is_expired = record.is_expired(now);
        let is_read = !is_expired || self.options.stale;
        let value = is_read.then(|| read(record.body(&self.forms, version)));
        if is_expired {
            self.expire(sid, removed);
        }
        value
    }

    /// Whether there is a record of `sid` that has not expired.
    pub(super) fn is_alive(&self, sid: &Sid, now: Millis) -> bool {
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref();
        let record = shard.and_then(|shard| shard.records().peek(sid));
        record.is_some_and(|record| !record.is_expired(now))
    }

    /// Writes the record of `sid` and makes it the most recently used, then evicts the least
    /// recently used ones while there is too much. Returns the record's version.
    pub(super) fn set(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        write: Write<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        let done = if self.note == 0 {
            self.set_checked(sid, body, write, None, removed)
        } else {
            self.set_noted(sid, body, write, removed)
        };
        write.count(&done, &mut self.counters);
        done
    }

    /// Writes, with a `claim` in a table that has notes.
    pub(super) fn set_checked(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        write: Write<'_>,
        claim: Option<&Claim>,
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        let Write { condition, now, expires, .. } = write;
        self.note_time(now);
        let given = body;
        let body = NewBody::noted(given, &mut self.forms, sid.hash().number(), self.note);
        // Whether it fits does not depend on what shapes are known.
        let size = cost(&sid, body.allocated_as_text());
        if size > self.options.max_bytes || !body.fits() {
            return Err(Refused::TooLarge);
        }
        self.tombstones.forget_old(now);
        let version = self.next_use();
        let index = sid.hash().shard(SHARDS);
        let order = self.order;
        let shard = self.shards[index].get_or_insert_with(|| Box::new(Shard::new(order)));
        let found = shard.use_record(&sid, version);
        let stored = found.as_deref().filter(|record| !record.is_expired(now));
        let alive =
            |record: &Record| Alive { version: record.version(), expires: record.expires() };
        let history = || Ok(self.tombstones.history_of(sid.hash()));
        let shortens_cookie =
            || Ok(stored.is_some_and(|record| record.has_later_cookie_than(&body)));
        let Ok(checked): Result<_, Infallible> =
            write.check(&self.options, stored.map(alive), history, shortens_cookie);
        checked?;
        if claim.is_some_and(|claim| claim.is_refused) {
            return Err(Refused::UserFull);
        }
        if self.options.max == 0 {
            // Nothing fits, so what is set falls out at once.
            let body = Body::new(given);
            removed.push(Removed { sid, body, reason: Reason::Evicted, last_use: 0 });
            return Ok(version);
        }
        if size.saturating_add(self.tombstones.bytes()) > self.options.max_bytes {
            // A single session may take the whole budget.
            self.tombstones.forget_all();
        }
        self.forms.hold(body.used());
        let Some(record) = found else {
            let mut record = Record::new(&body, &self.forms, expires, version);
            let (hash, kept) = (sid.hash(), cost(&sid, body.allocated()));
            if let Some(claim) = claim {
                set_note(&mut record, claim.note);
            }
            let owner = claim.map_or(User::NOBODY, |claim| claim.note.owner);
            let rank = order.rank_of(owner);
            shard.insert(sid, record, rank);
            self.change_owner(hash, User::NOBODY, owner);
            self.len += 1;
            self.bytes += kept;
            if order != Order::None {
                self.eviction_queue.track(index, rank, version);
            }
            self.make_room(claim, hash, now, removed);
            return Ok(version);
        };
        self.bytes -= record.allocated();
        if self.options.keep_replaced {
            let body = record.body(&self.forms, 0).to_body();
            let (sid, reason) = (sid.clone(), Reason::Replaced);
            removed.push(Removed { sid, body, reason, last_use: version });
        }
        self.forms.release(record.used());
        let before = claim.map(|_| note_of(record));
        record.overwrite(&body, &self.forms, expires);
        if let Some(claim) = claim {
            set_note(record, claim.note);
        }
        if condition.is_change() {
            record.set_version(version);
        }
        self.bytes += record.allocated();
        let written = Written::of(record, now);
        if let (Some(claim), Some(before)) = (claim, before) {
            self.change_owner(sid.hash(), before.owner, claim.note.owner);
            self.change_rank(&sid, before.owner, claim.note.owner);
        }
        self.remove_or_schedule(&sid, written, removed);
        self.make_room(claim, sid.hash(), now, removed);
        Ok(version)
    }

    /// Removes what there is no room for beside the record that was just written, `kept`. What its
    /// user may not have goes first: then nothing else may have to.
    fn make_room(
        &mut self,
        claim: Option<&Claim>,
        kept: SidHash,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) {
        if let Some(claim) = claim {
            self.end_unused(claim, kept, now, removed);
        }
        self.trim(removed);
    }

    /// The handle of the template for `cookie`, JSON text.
    pub(super) fn template(&mut self, cookie: &[u8]) -> Option<TemplateHandle> {
        self.forms.templates.intern(cookie)
    }

    /// Removes the record of `sid`, expired or not, and remembers that it was destroyed.
    pub(super) fn destroy(&mut self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> bool {
        self.destroy_for(Reason::Destroyed, sid, now, removed)
    }

    /// As [`Self::destroy`], for another reason.
    pub(super) fn destroy_for(
        &mut self,
        reason: Reason,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> bool {
        let version = self.next_use();
        self.tombstones.add(sid.hash(), version, now);
        let is_found = self.remove(sid, reason, removed);
        self.trim(removed);
        is_found
    }

    /// How many records there are, expired ones that nothing has removed yet included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    pub(super) fn stats(&self) -> Stats {
        let anonymous = self.owners.as_ref().map(|owners| self.len - owners.len());
        Stats { sessions: self.len, bytes: self.taken(), anonymous, counters: self.counters }
    }

    /// What the records, the tombstones and the forms take. A record that is alone may take the
    /// whole budget, so its forms do not count.
    pub(super) fn taken(&self) -> usize {
        let forms = if self.len > 1 { self.forms.bytes() } else { 0 };
        self.bytes + self.index_bytes() + self.tombstones.bytes() + forms
    }

    pub(super) fn index_bytes(&self) -> usize {
        self.owners.as_ref().map_or(0, Owners::bytes)
    }

    /// Keeps a prune that is under way from removing what is alive at `now`.
    pub(super) fn note_time(&mut self, now: Millis) {
        if let Some(prune) = &mut self.prune {
            prune.note_time(now);
        }
    }

    /// After a write to the record of `sid`: removes the record if it has expired already, as
    /// lru-cache does, else gives it an expiry entry if it needs one.
    pub(super) fn remove_or_schedule(
        &mut self,
        sid: &Sid,
        written: Written,
        removed: &mut Vec<Removed>,
    ) {
        if written.is_expired {
            self.expire(sid, removed);
        } else if written.needs_entry
            && let Some(shard) = shard_of(&mut self.shards, sid)
        {
            shard.schedule(sid.hash());
        }
    }

    pub(super) fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

/// What a record takes whose body allocates `allocated` bytes.
pub(super) fn cost(sid: &Sid, allocated: usize) -> usize {
    OVERHEAD + sid.allocated() + allocated
}

#[cfg(test)]
mod tests;
