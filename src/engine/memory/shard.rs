//! One shard of the table: the records whose sids hash into it, in order of use if the store is
//! limited, and their expiry queue.
//!
//! Both change together, and only here. A shard knows nothing of the other shards, nor of `max`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lru::LruCache;

use crate::session::record::Record;
use crate::sid::{Probe, Probed, Sid, SidHash, UseSidHash};
use crate::time::{Millis, NEVER};

/// An entry of the expiry queue: check this record at `due`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpiryEntry {
    pub(super) due: Millis,
    pub(super) sid: SidHash,
}

/// Below this many records a shard is not worth shrinking.
const SMALL: usize = 64;

/// See the module's description.
///
/// Every record that can expire has one current entry, the one that is due at `record.due`, and
/// never expires before that. A touch that extends the record's life leaves the entry as it is:
/// when the entry comes up, the record gets a new one. So a touch costs nothing here, and the cost
/// of a prune is in the entries that come up.
pub(super) struct Shard {
    records: LruCache<Sid, Record, UseSidHash>,
    entries: BinaryHeap<Reverse<ExpiryEntry>>,
    /// The most records held since the shard was built.
    peak: usize,
    /// Whether the records are in the order of their use. If nothing is ever evicted the order is
    /// not needed, and keeping it costs two cache misses a use: the neighbours in the list.
    is_ordered: bool,
}

impl Shard {
    pub(super) fn new(is_ordered: bool) -> Self {
        Self {
            records: LruCache::unbounded_with_hasher(UseSidHash::default()),
            entries: BinaryHeap::new(),
            peak: 0,
            is_ordered,
        }
    }

    pub(super) fn records(&self) -> &LruCache<Sid, Record, UseSidHash> {
        &self.records
    }

    pub(super) fn by_hash(&self, sid: SidHash) -> Option<&Record> {
        self.records.peek(&sid)
    }

    pub(super) fn entry_by_hash(&self, sid: SidHash) -> Option<(Sid, &Record)> {
        let probe = Probe::new(sid);
        let record = self.records.peek(&probe as &dyn Probed)?;
        Some((probe.found()?, record))
    }

    /// The record of `sid`, used as its use number `last_use`.
    pub(super) fn use_record(&mut self, sid: &Sid, last_use: u64) -> Option<&mut Record> {
        let record = if self.is_ordered {
            self.records.get_mut(sid)?
        } else {
            self.records.peek_mut(sid)?
        };
        record.last_use = last_use;
        Some(record)
    }

    /// Adds a record for a sid that has none.
    pub(super) fn insert(&mut self, sid: Sid, record: Record) {
        debug_assert!(!self.records.contains(&sid));
        let hash = sid.hash();
        self.records.put(sid, record);
        self.peak = self.peak.max(self.records.len());
        self.schedule(hash);
    }

    /// Gives the record of `sid` an entry for its expiry, unless it has an earlier one.
    pub(super) fn schedule(&mut self, sid: SidHash) {
        let Some(record) = self.records.peek_mut(&sid) else {
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
        let entry = self.records.pop_entry(sid)?;
        self.shrink();
        Some(entry)
    }

    pub(super) fn remove_by_hash(&mut self, sid: SidHash) -> Option<(Sid, Record)> {
        let entry = self.records.pop_entry(&sid)?;
        self.shrink();
        Some(entry)
    }

    pub(super) fn remove_least_recent(&mut self) -> Option<(Sid, Record)> {
        let entry = self.records.pop_lru()?;
        self.shrink();
        Some(entry)
    }

    /// The use number of the least recently used record.
    pub(super) fn oldest_use(&self) -> Option<u64> {
        self.records.peek_lru().map(|(_, record)| record.last_use)
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
        if let Some(record) = self.records.peek_mut(&entry.sid) {
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

    /// Gives memory back once nearly all records are gone: the `lru` crate's map only grows.
    fn shrink(&mut self) {
        self.shed_entries();
        if self.peak < SMALL || self.records.len() > self.peak / 8 {
            return;
        }
        let mut kept = LruCache::unbounded_with_hasher(UseSidHash::default());
        while let Some((sid, record)) = self.records.pop_lru() {
            kept.put(sid, record);
        }
        self.peak = kept.len();
        self.records = kept;
        self.entries.shrink_to_fit();
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
        let uses = self.records.iter().map(|(_, record)| record.last_use);
        if self.is_ordered {
            assert!(uses.is_sorted_by(|newer, older| newer > older), "list order is use order");
        }
        let mut entries: Vec<ExpiryEntry> =
            self.entries.iter().map(|Reverse(entry)| *entry).collect();
        entries.sort_unstable();
        for (sid, record) in &self.records {
            assert!(record.due <= record.expires(), "an entry is never late");
            let entry = ExpiryEntry { due: record.due, sid: sid.hash() };
            let armed = entries.binary_search(&entry).is_ok();
            assert_eq!(armed, record.due != NEVER, "a current entry exists");
        }
        assert!(self.entries.len() <= 2 * self.records.len() + SMALL, "entries pile up");
        assert!(self.peak >= self.records.len());
        assert!(
            self.peak < SMALL || self.records.len() > self.peak / 8,
            "the map is not far too large"
        );
    }
}

#[cfg(test)]
mod tests;
