//! Cleared records, until they are freed or handed out bit by bit.
//!
//! They are no longer part of the table.

use std::cmp::Reverse;

use super::owners::Part;
use super::shard::Shard;
use super::shards::Shards;
use crate::engine::types::{Reason, Removed};
use crate::session::forms::Forms;

/// The records of a table that was cleared. Dropping it frees them.
pub(super) struct Cleared {
    forms: Forms,
    shards: Shards,
    /// The parts of the index of users that are still to be freed.
    owners: Vec<Part>,
    /// The next shard to empty.
    shard: usize,
    /// How many there were.
    len: usize,
    reason: Reason,
}

impl Cleared {
    pub(super) fn new(
        reason: Reason,
        shards: Shards,
        forms: Forms,
        owners: Box<[Part]>,
        len: usize,
    ) -> Self {
        Self { forms, shards, owners: owners.into_vec(), shard: 0, len, reason }
    }

    /// How many records there were.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_done(&self) -> bool {
        self.shard == self.shards.len() && self.owners.is_empty()
    }

    /// Takes some of the index of users out.
    pub(super) fn take_owners(&mut self) -> Option<Part> {
        self.owners.pop()
    }

    /// Takes the next shard that has records out.
    pub(super) fn take_shard(&mut self) -> Option<Box<Shard>> {
        while let Some(place) = self.shards.get_mut(self.shard) {
            self.shard += 1;
            let shard = place.take();
            if shard.is_some() {
                return shard;
            }
        }
        None
    }

    /// Takes up to `limit` of the records out, in no particular order.
    pub(super) fn hand_out(&mut self, limit: usize) -> Vec<Removed> {
        let mut removed = Vec::new();
        while removed.len() < limit
            && let Some(place) = self.shards.get_mut(self.shard)
        {
            let next = place.as_deref_mut().and_then(Shard::remove_next);
            let Some((sid, record)) = next else {
                *place = None;
                self.shard += 1;
                continue;
            };
            let body = record.body(&self.forms, 0).to_body();
            removed.push(Removed { sid, body, reason: self.reason, last_use: record.last_use });
        }
        removed
    }

    /// All records, most recently used first.
    pub(super) fn into_removed(mut self) -> Vec<Removed> {
        let mut removed = self.hand_out(usize::MAX);
        removed.sort_by_key(|removed| Reverse(removed.last_use));
        removed
    }
}
