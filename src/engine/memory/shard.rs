//! One shard of the table: the records whose sids hash into it, and their expiry queue.
//!
//! Both change together, and only here. A shard knows nothing of the other shards, nor of `max`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::records::{Order, Rank, Records, SMALL};
use crate::session::record::Record;
use crate::sid::{Sid, SidHash};
use crate::time::{Millis, NEVER};

/// An entry of the expiry queue: check this record at `due`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpiryEntry {
    pub(super) due: Millis,
    pub(super) sid: SidHash,
}

/// See the module's description.
///
/// Every record that can expire has one current entry, the one that is due at `record.due`, and
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

    pub(super) fn by_hash(&self, sid: SidHash) -> Option<&Record> {
        self.records.peek(&sid)
    }

    pub(super) fn entry_by_hash(&self, sid: SidHash) -> Option<(Sid, &Record)> {
        self.records.entry_by_hash(sid)
    }

    /// The record of `sid`, used as its use number `last_use`.
    pub(super) fn use_record(&mut self, sid: &Sid, last_use: u64) -> Option<&mut Record> {
        let record = self.records.use_record(sid)?;
        record.last_use = last_use;
        Some(record)
    }

    /// Adds a record for a sid that has none.
    pub(super) fn insert(&mut self, sid: Sid, record: Record, rank: Rank) {
        let hash = sid.hash();
        self.records.insert(sid, record, rank);
        self.schedule(hash);
    }

    /// Gives the record of `sid`, which was used last, another rank.
    pub(super) fn change_rank(&mut self, sid: &Sid, rank: Rank) {
        self.records.change_rank(sid, rank);
    }

    /// Gives the record of `sid` an entry for its expiry, unless it has an earlier one.
    pub(super) fn schedule(&mut self, sid: SidHash) {
        let Some(record) = self.records.peek_mut(sid) else {
            return;
        };
        if record.expires() >= record.due {
            return;
        }
        record.due = record.expires();
        self.entries.push(Reverse(ExpiryEntry { due: record.due, sid }));
        self.shed_entries();
    }

    pub(super) fn remove(&mut self, sid: &Sid) -> Option<(Sid, Record)> {
        let entry = self.records.remove(sid)?;
        self.shrink();
        Some(entry)
    }

    pub(super) fn remove_by_hash(&mut self, sid: SidHash) -> Option<(Sid, Record)> {
        let entry = self.records.remove(&sid)?;
        self.shrink();
        Some(entry)
    }

    pub(super) fn remove_least_recent(&mut self, rank: Rank) -> Option<(Sid, Record)> {
        let entry = self.records.remove_least_recent(rank)?;
        self.shrink();
        Some(entry)
    }

    /// Takes out the record that is evicted first.
    pub(super) fn remove_next(&mut self) -> Option<(Sid, Record)> {
        Rank::BOTH.into_iter().find_map(|rank| self.remove_least_recent(rank))
    }

    /// The use number of the least recently used record of a rank.
    pub(super) fn oldest_use(&self, rank: Rank) -> Option<u64> {
        self.records.oldest_use(rank)
    }

    /// Takes the earliest entry, if it was due before `now`.
    pub(super) fn next_due(&mut self, now: Millis) -> Option<ExpiryEntry> {
        if self.entries.peek()?.0.due >= now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }

    /// Replaces `entry`, which came up, by the next one for its record, which lives on.
    pub(super) fn reschedule(&mut self, entry: ExpiryEntry) {
        if let Some(record) = self.records.peek_mut(entry.sid) {
            record.due = NEVER;
        }
        self.schedule(entry.sid);
    }

    /// Entries of removed records stay in the queue until they come up. Before they outnumber the
    /// others, the queue is rebuilt from the records, which know their current entries.
    fn shed_entries(&mut self) {
        if self.entries.len() <= 2 * self.records.len() + SMALL {
            return;
        }
        let current = |(sid, record): (&Sid, &Record)| {
            (record.due != NEVER).then(|| Reverse(ExpiryEntry { due: record.due, sid: sid.hash() }))
        };
        self.entries = self.records.iter().filter_map(current).collect();
    }

    /// Gives memory back once nearly all records are gone.
    fn shrink(&mut self) {
        self.shed_entries();
        if self.records.shrink() {
            self.entries.shrink_to_fit();
        }
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
    pub(super) fn validate(&self) {
        self.records.validate();
        let mut entries: Vec<ExpiryEntry> =
            self.entries.iter().map(|Reverse(entry)| *entry).collect();
        entries.sort_unstable();
        for (sid, record) in self.records.iter() {
            assert!(record.due <= record.expires(), "an entry is never late");
            let entry = ExpiryEntry { due: record.due, sid: sid.hash() };
            let armed = entries.binary_search(&entry).is_ok();
            assert_eq!(armed, record.due != NEVER, "a current entry exists");
        }
        assert!(self.entries.len() <= 2 * self.records.len() + SMALL, "entries pile up");
    }
}

#[cfg(test)]
mod tests;
