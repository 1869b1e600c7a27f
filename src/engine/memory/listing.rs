//! Lists of a table's sessions.

use std::cmp::Reverse;

use super::nodes::NodeId;
use super::shards::SHARDS;
use super::table::Table;
use crate::engine::types::{Removed, SortKey};
use crate::session::Body;
use crate::sid::Sid;
use crate::time::Millis;

impl Table {
    /// The sids, most recently used first, expired ones included.
    pub(super) fn ids(&self) -> Vec<Sid> {
        self.by_recency().into_iter().map(|id| self.nodes.sid(id)).collect()
    }

    /// Appends the sids of one shard, expired ones included, with their sort keys. Returns whether
    /// there are more shards.
    pub(super) fn list_shard(&self, index: usize, listed: &mut Vec<(SortKey, Sid)>) -> bool {
        if let Some(shard) = self.shards.get(index).and_then(Option::as_deref) {
            let key = |id| ((0, self.nodes.head(id).last_use()), self.nodes.sid(id));
            listed.extend(shard.records().iter().map(key));
        }
        index + 1 < SHARDS
    }

    /// The sids and bodies, most recently used first. Expired ones are removed, and listed
    /// once more only if the store is `stale`.
    pub(super) fn all(&mut self, now: Millis, removed: &mut Vec<Removed>) -> Vec<(Sid, Body)> {
        self.note_time(now);
        let mut expired = Vec::new();
        let mut listed = Vec::with_capacity(self.len);
        for id in self.by_recency() {
            let record = self.nodes.record(id);
            let is_expired = record.head.is_expired(now);
            if is_expired {
                expired.push(id);
            }
            if !is_expired || self.options.stale {
                listed.push((self.nodes.sid(id), record.body(&self.forms, 0).to_body()));
            }
        }
        for id in expired {
            self.expire(id, removed);
        }
        listed
    }

    fn by_recency(&self) -> Vec<NodeId> {
        let shards = self.shards.iter().flatten();
        let mut ids: Vec<_> = shards.flat_map(|shard| shard.records().iter()).collect();
        ids.sort_by_cached_key(|id| Reverse(self.nodes.head(*id).last_use()));
        ids
    }
}
