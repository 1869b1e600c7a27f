//! How records leave a table: destroyed, expired, discarded or evicted.
//!
//! Here the table's sums are updated. What left is handed to the caller.

use super::nodes::NodeId;
use super::notes::note_of;
use super::shards::shard_of;
use super::table::Table;
use crate::engine::types::{REMOVED_AT_ONCE, Reason, Removed};
use crate::engine::users::User;
use crate::session::Body;
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

    pub(super) fn expire(&mut self, id: NodeId, removed: &mut Vec<Removed>) {
        self.counters.expirations += 1;
        removed.push(self.take_out(id, Reason::Expired));
    }

    pub(super) fn remove(&mut self, sid: &Sid, reason: Reason, removed: &mut Vec<Removed>) -> bool {
        let found = self.take(sid, reason);
        let is_found = found.is_some();
        removed.extend(found);
        is_found
    }

    fn take(&mut self, sid: &Sid, reason: Reason) -> Option<Removed> {
        let id = self.find(sid)?;
        Some(self.take_out(id, reason))
    }

    /// Removes a record.
    pub(super) fn take_out(&mut self, id: NodeId, reason: Reason) -> Removed {
        let sid = self.nodes.sid(id);
        let record = self.nodes.record(id);
        let (last_use, used) = (record.head.last_use(), record.head.used());
        let body = if self.options.keep_removed {
            record.body(&self.forms, 0).to_body()
        } else {
            Body::none()
        };
        self.len -= 1;
        self.bytes -= self.cost(id);
        if self.options.has_notes() {
            let owner = note_of(&self.nodes, id).owner;
            self.change_owner(sid.hash(), owner, User::NOBODY);
        }
        self.forms.release(used);
        if let Some(shard) = shard_of(&mut self.shards, &sid) {
            shard.remove(&mut self.nodes, id);
        }
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
            let Some(id) = self.eviction_queue.next(&self.shards, &self.nodes) else {
                return;
            };
            if self.len > self.options.max {
                self.counters.evictions_by_count += 1;
            } else {
                self.counters.evictions_by_bytes += 1;
            }
            if self.options.has_notes() && note_of(&self.nodes, id).owner != User::NOBODY {
                self.counters.evictions_of_users += 1;
            }
            #[cfg(test)]
            self.evicted.insert(self.nodes.sid(id), self.cost(id));
            let evicted = self.take_out(id, Reason::Evicted);
            removed.push(evicted);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.len > self.options.max || self.taken() > self.options.max_bytes
    }
}
