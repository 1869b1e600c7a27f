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

use super::blocks::size_of_block;
use super::clearing::Cleared;
use super::eviction::EvictionQueue;
use super::expiry::Prune;
use super::nodes::{Key, NodeId, Nodes};
use super::notes::{note_of, note_room, set_note};
use super::owners::Owners;
use super::records::Order;
use super::shard::Shard;
use super::shards::{SHARDS, Shards, empty_shards, shard_of};
use super::tombstones::Tombstones;
use crate::engine::rules::{Alive, Refused, Write};
use crate::engine::types::{Counters, Options, Reading, Reason, Removed, Stats, Version};
use crate::engine::users::{Claim, User};
use crate::session::forms::Forms;
use crate::session::record::{Head, NewBody};
use crate::session::{Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::{Sid, SidHash};
use crate::time::Millis;

/// What a record takes beside its node: its place in the map (5 bytes, of which between 7/16 and 7/8
/// are in use) and its expiry entry (16 bytes, in a vector that is between half full and full).
const OVERHEAD: usize = 8 + 24;

/// See the module's description.
pub(super) struct Table {
    pub(super) shards: Shards,
    /// What the shards name: the records and their sids.
    pub(super) nodes: Nodes,
    pub(super) len: usize,
    /// What the records take, by [`Table::cost`].
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
    pub(super) fn of(record: &Head, now: Millis) -> Self {
        Self { is_expired: record.is_expired(now), needs_entry: record.expires() < record.due() }
    }
}

impl Table {
    pub(super) fn new(options: Options) -> Self {
        Self {
            shards: empty_shards(),
            nodes: Nodes::new(note_room(&options)),
            len: 0,
            bytes: 0,
            uses: 0,
            counters: Counters::default(),
            options,
            order: Order::of(&options),
            forms: Forms::new(options.max_bytes),
            eviction_queue: EvictionQueue::default(),
            owners: Owners::for_options(&options),
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
        let found = self.read_uncounted(sid, reading, now, removed, read);
        if reading == Reading::Get {
            self.counters.hits += u64::from(found.is_some());
            self.counters.misses += u64::from(found.is_none());
        }
        found
    }

    fn read_uncounted<R>(
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
        let id = if is_use { self.find_to_use(sid, version)? } else { self.find(sid)? };
        let record = self.nodes.record(id);
        let is_expired = record.head.is_expired(now);
        let is_read = !is_expired || self.options.stale;
        let value = is_read.then(|| read(record.body(&self.forms, version)));
        if is_expired {
            self.expire(id, removed);
        }
        value
    }

    /// The node of a sid.
    pub(super) fn find(&self, sid: &Sid) -> Option<NodeId> {
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref()?;
        shard.find(&self.nodes, &Key::of(sid))
    }

    pub(super) fn find_by_hash(&self, hash: SidHash) -> Option<NodeId> {
        self.shards[hash.shard(SHARDS)].as_deref()?.find_by_hash(&self.nodes, hash)
    }

    /// The node of a sid, whose record is used as its use number `last_use`.
    pub(super) fn find_to_use(&mut self, sid: &Sid, last_use: u64) -> Option<NodeId> {
        let shard = shard_of(&mut self.shards, sid)?;
        shard.find_to_use(&mut self.nodes, &Key::of(sid), last_use)
    }

    /// The node of a sid whose record has not expired.
    pub(super) fn find_alive(&self, sid: &Sid, now: Millis) -> Option<NodeId> {
        self.find(sid).filter(|id| !self.nodes.head(*id).is_expired(now))
    }

    /// Whether there is a record of `sid` that has not expired.
    pub(super) fn is_alive(&self, sid: &Sid, now: Millis) -> bool {
        self.find_alive(sid, now).is_some()
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
        let done = if self.options.has_notes() {
            self.set_noted(sid, body, write, removed)
        } else {
            self.set_checked(sid, body, write, None, removed)
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
        let body = NewBody::new(given, &mut self.forms, sid.hash().number());
        // Whether it fits does not depend on what shapes are known.
        let key = Key::of(&sid);
        let size = OVERHEAD + self.nodes.size_for(&key, body.len_as_text());
        if size > self.options.max_bytes || !body.fits() {
            return Err(Refused::TooLarge);
        }
        self.tombstones.forget_old(now);
        let version = self.next_use();
        let index = sid.hash().shard(SHARDS);
        let order = self.order;
        let shard = self.shards[index].get_or_insert_with(|| Box::new(Shard::new(order)));
        let found = shard.find_to_use(&mut self.nodes, &key, version);
        let stored = found.map(|id| self.nodes.head(id)).filter(|head| !head.is_expired(now));
        let alive = |head: &Head| Alive { version: head.version(), expires: head.expires() };
        let history = || Ok(self.tombstones.history_of(sid.hash()));
        let shortens_cookie = || Ok(stored.is_some_and(|head| head.has_later_cookie_than(&body)));
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
        let Some(id) = found else {
            let owner = claim.map_or(User::NOBODY, |claim| claim.note.owner);
            let rank = order.rank_of(owner);
            let id = self.nodes.add(&key, body.len(), version);
            self.nodes.record_mut(id).overwrite(&body, &self.forms, expires);
            if let Some(claim) = claim {
                set_note(&mut self.nodes, id, claim.note);
            }
            shard.insert(&mut self.nodes, id, rank);
            self.change_owner(sid.hash(), User::NOBODY, owner);
            self.len += 1;
            self.bytes += self.cost(id);
            if order != Order::None {
                self.eviction_queue.track(index, rank, version);
            }
            self.trim(removed);
            return Ok(version);
        };
        let record = self.nodes.record(id);
        if self.options.keep_replaced {
            let body = record.body(&self.forms, 0).to_body();
            let (sid, reason) = (sid.clone(), Reason::Replaced);
            removed.push(Removed { sid, body, reason, last_use: version });
        }
        self.forms.release(record.head.used());
        let before = claim.map(|_| note_of(&self.nodes, id));
        self.make_room(id, body.len());
        self.nodes.record_mut(id).overwrite(&body, &self.forms, expires);
        if let Some(claim) = claim {
            set_note(&mut self.nodes, id, claim.note);
        }
        let head = self.nodes.head_mut(id);
        if condition.is_change() {
            head.set_version(version);
        }
        let written = Written::of(head, now);
        if let (Some(claim), Some(before)) = (claim, before) {
            self.change_owner(sid.hash(), before.owner, claim.note.owner);
            self.change_rank(id, before.owner, claim.note.owner);
        }
        self.remove_or_schedule(id, written, removed);
        self.trim(removed);
        Ok(version)
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

    /// After a write to a record: removes the record if it has expired already, as lru-cache does, else gives it an expiry entry if it needs one.
    pub(super) fn remove_or_schedule(
        &mut self,
        id: NodeId,
        written: Written,
        removed: &mut Vec<Removed>,
    ) {
        if written.is_expired {
            self.expire(id, removed);
        } else if written.needs_entry
            && let Some(shard) = &mut self.shards[self.nodes.hash(id).shard(SHARDS)]
        {
            shard.schedule(&mut self.nodes, id);
        }
    }

    /// Sees to it that a record has room for a body of `room` bytes and does not waste more than it
    /// uses. The present body may be lost.
    pub(super) fn make_room(&mut self, id: NodeId, room: usize) {
        let (size, wanted) = (self.nodes.room(id), size_of_block(room));
        if size < wanted || size / 2 > wanted {
            self.set_room(id, room, 0);
        }
    }

    /// Gives a record room for a body of `room` bytes, of which `kept` bytes stay.
    pub(super) fn set_room(&mut self, id: NodeId, room: usize, kept: usize) {
        self.bytes -= self.nodes.room(id);
        self.nodes.set_room(id, room, kept);
        self.bytes += self.nodes.room(id);
    }

    /// What a record takes.
    pub(super) fn cost(&self, id: NodeId) -> usize {
        OVERHEAD + self.nodes.size(id)
    }

    pub(super) fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

#[cfg(test)]
mod tests;
