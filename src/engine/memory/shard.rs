//! One shard of the table: the records whose sids hash into it, and their expiry queue.
//!
//! Both change together, and only here. A shard knows nothing of the other shards, nor of `max`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::nodes::{Key, NodeId, Nodes};
use super::records::{Order, Rank, Records, SMALL};
use crate::sid::SidHash;
use crate::time::{Millis, NEVER};

/// An entry of the expiry queue: check this record at `due`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpiryEntry {
    pub(super) due: Millis,
    pub(super) sid: SidHash,
}

/// See the module's description.
///
/// Every record that can expire has one current entry, the one that is due at the `due` of its head, and
/// never expires before that. A touch that extends the record's life leaves the entry as it is:
/// when the entry comes up, the record gets a new one. So a touch costs nothing here, and the cost
/// of a prune is in the entries that come up.
pub(super) struct Shard {
    records: Records,
    entries: BinaryHeap<Reverse<ExpiryEntry>>,
}

impl Shard {
    pub(super) fn new(order: Order) -> Self {
        Self { records: Records::new(order), entries: BinaryHeap::new() }
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    pub(super) fn find(&self, nodes: &Nodes, key: &Key<'_>) -> Option<NodeId> {
        self.records.find(nodes, key)
    }

    pub(super) fn find_by_hash(&self, nodes: &Nodes, hash: SidHash) -> Option<NodeId> {
        self.records.find_by_hash(nodes, hash)
    }

    /// The record of a sid, used as its use number `last_use`.
    pub(super) fn find_to_use(
        &mut self,
        nodes: &mut Nodes,
        key: &Key<'_>,
        last_use: u64,
    ) -> Option<NodeId> {
        let id = self.find(nodes, key)?;
        self.records.note_use(nodes, id);
        nodes.head_mut(id).set_last_use(last_use);
        Some(id)
    }

    /// Adds the record of a sid that has had none.
    pub(super) fn insert(&mut self, nodes: &mut Nodes, id: NodeId, rank: Rank) {
        self.records.insert(nodes, id, rank);
        self.schedule(nodes, id);
    }

    /// Gives a record, which was used last, another rank.
    pub(super) fn change_rank(&mut self, nodes: &mut Nodes, id: NodeId, rank: Rank) {
        self.records.change_rank(nodes, id, rank);
    }

    /// Gives a record an entry for its expiry, unless it has an earlier one.
    pub(super) fn schedule(&mut self, nodes: &mut Nodes, id: NodeId) {
        let sid = nodes.hash(id);
        let head = nodes.head_mut(id);
        let due = head.expires();
        if due >= head.due() {
            return;
        }
        head.set_due(due);
        self.entries.push(Reverse(ExpiryEntry { due, sid }));
        self.shed_entries(nodes);
    }

    pub(super) fn remove(&mut self, nodes: &mut Nodes, id: NodeId) {
        self.records.remove(nodes, id);
        self.shed_entries(nodes);
        if self.records.shrink(nodes) {
            self.entries.shrink_to_fit();
        }
    }

    /// The least recently used record of a rank.
    pub(super) fn oldest(&self, rank: Rank) -> Option<NodeId> {
        self.records.oldest(rank)
    }

    /// Takes the earliest entry, if it was due before `now`.
    pub(super) fn next_due(&mut self, now: Millis) -> Option<ExpiryEntry> {
        if self.entries.peek()?.0.due >= now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }

    /// Replaces the entry of a record, which came up, by the next one.
    pub(super) fn reschedule(&mut self, nodes: &mut Nodes, id: NodeId) {
        nodes.head_mut(id).set_due(NEVER);
        self.schedule(nodes, id);
    }

    /// Entries of removed records stay in the queue until they come up. Before they outnumber the
    /// others, the queue is rebuilt from the records, which know their current entries.
    fn shed_entries(&mut self, nodes: &Nodes) {
        if self.entries.len() <= 2 * self.records.len() + SMALL {
            return;
        }
        let current = |id| {
            let due = nodes.head(id).due();
            (due != NEVER).then(|| Reverse(ExpiryEntry { due, sid: nodes.hash(id) }))
        };
        self.entries = self.records.iter().filter_map(current).collect();
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn entries_before(&self, now: Millis) -> usize {
        self.entries.iter().filter(|Reverse(entry)| entry.due < now).count()
    }

    /// Checks what the module's description promises.
    #[cfg(test)]
    pub(super) fn validate(&self, nodes: &Nodes) {
        self.records.validate(nodes);
        let mut entries: Vec<ExpiryEntry> =
            self.entries.iter().map(|Reverse(entry)| *entry).collect();
        entries.sort_unstable();
        for id in self.records.iter() {
            let head = nodes.head(id);
            assert!(head.due() <= head.expires(), "an entry is never late");
            let entry = ExpiryEntry { due: head.due(), sid: nodes.hash(id) };
            let armed = entries.binary_search(&entry).is_ok();
            assert_eq!(armed, head.due() != NEVER, "a current entry exists");
        }
        assert!(self.entries.len() <= 2 * self.records.len() + SMALL, "entries pile up");
    }
}

#[cfg(test)]
mod tests;
