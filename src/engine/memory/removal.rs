//! How records leave a table: destroyed, expired, discarded or evicted.
//!
//! Here the table's sums are updated. What left is handed to the caller.

use super::notes::note_of;
use super::shards::shard_of;
use super::table::{Table, cost};
use crate::engine::types::{REMOVED_AT_ONCE, Reason, Removed};
use crate::engine::users::User;
use crate::session::record::Record;
use crate::sid::Sid;

/// How many entries of a prune under way a write looks at before it evicts what has not expired.
pub(super) const ENTRIES_BEFORE_EVICTION: usize = 64;

impl Table {
    /// Removes the record of `sid` as if it had never been there. The result should be dropped
    /// outside the lock.
    pub(super) fn discard(&mut self, sid: &Sid) -> Option<Removed> {
        // Nobody hears of it, so the reason does not matter.
        self.take(sid, Reason::Evicted)
    }

    pub(super) fn expire(&mut self, sid: &Sid, removed: &mut Vec<Removed>) {
        self.counters.expirations += u64::from(self.remove(sid, Reason::Expired, removed));
    }

    pub(super) fn remove(&mut self, sid: &Sid, reason: Reason, removed: &mut Vec<Removed>) -> bool {
        let found = self.take(sid, reason);
        let is_found = found.is_some();
        removed.extend(found);
        is_found
    }

    fn take(&mut self, sid: &Sid, reason: Reason) -> Option<Removed> {
        let (sid, record) = shard_of(&mut self.shards, sid)?.remove(sid)?;
        Some(self.take_out(sid, record, reason))
    }

    /// Subtracts a record that left its shard from the sums.
    pub(super) fn take_out(&mut self, sid: Sid, record: Record, reason: Reason) -> Removed {
        self.len -= 1;
        self.bytes -= cost(&sid, record.allocated());
        let last_use = record.last_use;
        let used = record.used();
        if self.note > 0 {
            self.change_owner(sid.hash(), note_of(&record).owner, User::NOBODY);
        }
        let body = if self.options.keep_removed {
            record.body(&self.forms, 0).to_body()
        } else {
            record.into_garbage()
        };
        self.forms.release(used);
        Removed { sid, body, reason, last_use }
    }

    /// Evicts while the store is over its limits: first what a prune under way finds quickly, then
    /// what is next in the order. If there is very much, the rest is left to [`Self::step`].
    pub(super) fn trim(&mut self, removed: &mut Vec<Removed>) {
        if self.is_over() {
            self.prune_step(ENTRIES_BEFORE_EVICTION);
            self.evict(REMOVED_AT_ONCE, removed);
        }
    }

    /// Evicts up to `budget` of the records that are next in the order, while the store is over its limits.
    pub(super) fn evict(&mut self, budget: usize, removed: &mut Vec<Removed>) {
        for _ in 0..budget {
            if !self.is_over() {
                return;
            }
            let Some((sid, record)) = self.eviction_queue.evict(&mut self.shards) else {
                return;
            };
            if self.len > self.options.max {
                self.counters.evictions_by_count += 1;
            } else {
                self.counters.evictions_by_bytes += 1;
            }
            if self.note > 0 && note_of(&record).owner != User::NOBODY {
                self.counters.evictions_of_users += 1;
            }
            #[cfg(test)]
            self.evicted.insert(sid.clone(), cost(&sid, record.allocated()));
            let evicted = self.take_out(sid, record, Reason::Evicted);
            removed.push(evicted);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.len > self.options.max || self.taken() > self.options.max_bytes
    }
}
