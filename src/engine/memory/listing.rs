//! Lists of a table's sessions.

use std::cmp::Reverse;

use super::shards::SHARDS;
use super::table::Table;
use crate::engine::types::{Removed, SortKey};
use crate::session::Body;
use crate::session::record::Record;
use crate::sid::Sid;
use crate::time::Millis;

impl Table {
    /// The sids, most recently used first, expired ones included.
    pub(super) fn ids(&self) -> Vec<Sid> {
        self.by_recency().into_iter().map(|(sid, _)| sid.clone()).collect()
    }

    /// Appends the sids of one shard, expired ones included, with their sort keys. Returns whether
    /// there are more shards.
    pub(super) fn list_shard(&self, index: usize, listed: &mut Vec<(SortKey, Sid)>) -> bool {
        if let Some(shard) = self.shards.get(index).and_then(Option::as_deref) {
            let records = shard.records().iter();
            listed.extend(records.map(|(sid, record)| ((0, record.last_use), sid.clone())));
        }
        index + 1 < SHARDS
    }

    /// The sids and bodies, most recently used first. Expired ones are removed, and listed
    /// once more only if the store is `stale`.
    pub(super) fn all(&mut self, now: Millis, removed: &mut Vec<Removed>) -> Vec<(Sid, Body)> {
        self.note_time(now);
        let mut expired = Vec::new();
        let mut listed = Vec::with_capacity(self.len);
        for (sid, record) in self.by_recency() {
            let is_expired = record.is_expired(now);
            if is_expired {
                expired.push(sid.clone());
            }
            if !is_expired || self.options.stale {
                listed.push((sid.clone(), record.body(&self.forms, 0).to_body()));
            }
        }
        for sid in expired {
            self.expire(&sid, removed);
        }
        listed
    }

    fn by_recency(&self) -> Vec<(&Sid, &Record)> {
        let shards = self.shards.iter().flatten();
        let mut records: Vec<_> = shards.flat_map(|shard| shard.records().iter()).collect();
        records.sort_by_key(|(_, record)| Reverse(record.last_use));
        records
    }
}
