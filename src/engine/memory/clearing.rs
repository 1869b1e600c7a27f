//! Cleared records, until they are freed or handed out bit by bit.
//!
//! They are no longer part of the table.

use std::cmp::Reverse;

use super::nodes::{Chunk, NodeId, Nodes};
use super::owners::Part;
use super::shard::Shard;
use super::shards::Shards;
use crate::engine::types::{Reason, Removed};
use crate::session::forms::Forms;

/// The records of a table that was cleared. Dropping it frees them.
pub(super) struct Cleared {
    forms: Forms,
    nodes: Nodes,
    shards: Shards,
    /// The parts of the index of users that are still to be freed.
    owners: Vec<Part>,
    /// The next shard to hand out, and how many of its records were handed out.
    next: (usize, usize),
    /// The next shard to free.
    shard: usize,
    /// Whether all memory of the nodes was taken out.
    is_freed: bool,
    /// How many there were.
    len: usize,
    reason: Reason,
}

impl Cleared {
    pub(super) fn new(
        reason: Reason,
        (shards, nodes): (Shards, Nodes),
        forms: Forms,
        owners: Box<[Part]>,
        len: usize,
    ) -> Self {
        let owners = owners.into_vec();
        Self { forms, nodes, shards, owners, next: (0, 0), shard: 0, is_freed: false, len, reason }
    }

    /// How many records there were.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether all memory was taken out.
    pub(super) fn is_done(&self) -> bool {
        self.shard == self.shards.len() && self.is_freed && self.owners.is_empty()
    }

    /// Takes the memory out that handing out records has freed.
    pub(super) fn take_garbage(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.nodes.garbage)
    }

    /// Whether all records were handed out.
    pub(super) fn is_handed_out(&self) -> bool {
        self.next.0 == self.shards.len()
    }

    /// Takes some of the index of users out.
    pub(super) fn take_owners(&mut self) -> Option<Part> {
        self.owners.pop()
    }

    /// Takes the next shard that had records out.
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

    /// Takes up to `limit` chunks of the memory of the nodes out.
    pub(super) fn take_chunks(&mut self, limit: usize) -> Vec<Chunk> {
        let chunks = self.nodes.take_chunks(limit);
        self.is_freed = chunks.len() < limit;
        chunks
    }

    /// Copies up to `limit` of the records, in no particular order, and frees them.
    pub(super) fn hand_out(&mut self, limit: usize) -> Vec<Removed> {
        let mut removed = Vec::new();
        while removed.len() < limit
            && let Some(place) = self.shards.get(self.next.0)
        {
            let (index, skipped) = self.next;
            let count = place.as_ref().map_or(0, |shard| shard.records().len());
            let ids = place.iter().flat_map(|shard| shard.records().iter()).skip(skipped);
            let ids: Vec<NodeId> = ids.take(limit - removed.len()).collect();
            let handed_out = skipped + ids.len();
            for id in ids {
                removed.push(self.copy(id));
                self.nodes.remove(id);
            }
            self.next = if handed_out == count { (index + 1, 0) } else { (index, handed_out) };
        }
        removed
    }

    fn copy(&self, id: NodeId) -> Removed {
        let record = self.nodes.record(id);
        let body = record.body(&self.forms, 0).to_body();
        let last_use = record.head.last_use();
        Removed { sid: self.nodes.sid(id), body, reason: self.reason, last_use }
    }

    /// All records, most recently used first.
    pub(super) fn into_removed(mut self) -> Vec<Removed> {
        let mut removed = self.hand_out(usize::MAX);
        removed.sort_by_key(|removed| Reverse(removed.last_use));
        removed
    }
}
