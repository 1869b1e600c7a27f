//! The rules of the store: what is found, what a use renews, what goes when.
//!
//! A table is used by one caller at a time and has neither lock, clock nor thread: time comes
//! in as an argument, and what is removed goes out through one, to be freed or disposed of
//! outside the lock.
//!
//! The records are spread by hash over [`PARTS`] parts. A map doubles by rehashing all of its
//! records at once; a part's does so with a 256th of them. Recency is still exact across the
//! parts, because each use is numbered from one counter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::part::{Part, Ticket};
use super::{Options, Removed, Touched};
use crate::record::{Body, BodyRef, Record};
use crate::sid::{Sid, SidHash};
use crate::time::Millis;

/// How many parts the records are spread over: at five million sessions the longest rehash
/// is one of 28,672 records, about a millisecond.
const PARTS: usize = 256;

/// How many tickets one step of a prune looks at while somebody waits for it.
const PRUNE_STEP: usize = 64;

/// See the module's description.
pub(super) struct Table {
    parts: Parts,
    len: usize,
    /// The number of the latest use.
    uses: u64,
    options: Options,
    tails: Tails,
    prune: Option<Prune>,
    /// What the prune removed, for the engine to free or keep.
    pub(super) pruned: Vec<Removed>,
}

/// The parts that have been needed so far.
type Parts = Box<[Option<Box<Part>>]>;

/// A prune that is under way.
///
/// From its beginning on, whatever had expired by then counts as gone, whether or not it has
/// been reached: the caller who comes first sees the same as the caller who comes last.
struct Prune {
    now: Millis,
    /// The latest use at its beginning. Later uses have met this prune already, and are
    /// measured by a clock that may have been set back since.
    last_use: u64,
    /// The part to go on with.
    part: usize,
    /// Tickets of that part that came up and are still wanted, kept aside so as not to be
    /// met again.
    parked: Vec<Ticket>,
}

impl Prune {
    fn covers(&self, record: &Record) -> bool {
        record.is_expired(self.now) && record.last_use <= self.last_use
    }
}

impl Table {
    pub(super) fn new(options: Options) -> Self {
        Self {
            parts: empty_parts(),
            len: 0,
            uses: 0,
            options,
            tails: Tails::default(),
            prune: None,
            pruned: Vec::new(),
        }
    }

    /// Uses the record of `sid`, and reads its body. One that has expired is removed, and
    /// read once more only if the store is `stale`.
    pub(super) fn get<R>(
        &mut self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyRef<'_>) -> R,
    ) -> Option<R> {
        self.settle(sid);
        let last_use = self.next_use();
        let stale = self.options.stale;
        let part = self.part_mut(sid)?;
        let record = part.use_record(sid, last_use)?;
        if !record.is_expired(now) {
            return Some(read(record.body()));
        }
        let value = stale.then(|| read(record.body()));
        self.remove(sid, removed);
        value
    }

    /// Writes the record of `sid` and makes it the most recently used, then evicts the least
    /// recently used ones while there are more than `max`.
    pub(super) fn set(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) {
        self.settle(&sid);
        if self.options.max == 0 {
            // Nothing fits, so what is set falls out at once.
            let body = Record::new(body, expires, 0).into_body();
            removed.push(Removed {
                sid,
                body,
                last_use: 0,
            });
            return;
        }
        let last_use = self.next_use();
        let keep_replaced = self.options.keep_replaced;
        let part = part_or_new(&mut self.parts, sid.hash());
        let Some(record) = part.use_record(&sid, last_use) else {
            part.insert(sid.clone(), Record::new(body, expires, last_use));
            self.len += 1;
            self.tails
                .track(part_of(sid.hash()), last_use, self.options.max);
            self.trim(removed);
            return;
        };
        if keep_replaced {
            let body = record.replace(body, expires);
            removed.push(Removed {
                sid: sid.clone(),
                body,
                last_use,
            });
        } else {
            record.overwrite(body, expires);
        }
        if record.is_expired(now) {
            // As lru-cache, which uses the entry it has just overwritten.
            self.remove(&sid, removed);
        } else {
            part.arm(sid.hash());
        }
    }

    /// Renews the record of `sid` with a new cookie, where that can be done in place.
    pub(super) fn touch(
        &mut self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        self.settle(sid);
        let last_use = self.next_use();
        let stale = self.options.stale;
        let Some(part) = self.part_mut(sid) else {
            return Touched::Missing;
        };
        let Some(record) = part.use_record(sid, last_use) else {
            return Touched::Missing;
        };
        if record.is_expired(now) {
            if stale {
                return Touched::NeedsRewrite;
            }
            self.remove(sid, removed);
            return Touched::Missing;
        }
        if !record.splice_cookie(cookie, expires) {
            return Touched::NeedsRewrite;
        }
        if record.is_expired(now) {
            self.remove(sid, removed);
        } else {
            part.arm(sid.hash());
        }
        Touched::Renewed
    }

    /// Removes the record of `sid`, expired or not.
    pub(super) fn destroy(&mut self, sid: &Sid, removed: &mut Vec<Removed>) -> bool {
        self.settle(sid);
        self.remove(sid, removed)
    }

    /// How many records there are, expired ones that nothing has removed yet included.
    pub(super) fn len(&mut self) -> usize {
        self.finish_prune();
        self.len
    }

    /// The sids, most recently used first, expired ones included.
    pub(super) fn ids(&mut self) -> Vec<Sid> {
        self.finish_prune();
        self.by_recency()
            .into_iter()
            .map(|(sid, _)| sid.clone())
            .collect()
    }

    /// The sids and bodies, most recently used first. Expired ones are removed, and listed
    /// once more only if the store is `stale`.
    pub(super) fn all(&mut self, now: Millis, removed: &mut Vec<Removed>) -> Vec<(Sid, Body)> {
        self.finish_prune();
        let stale = self.options.stale;
        let mut expired = Vec::new();
        let mut listed = Vec::with_capacity(self.len);
        for (sid, record) in self.by_recency() {
            let is_expired = record.is_expired(now);
            if is_expired {
                expired.push(sid.clone());
            }
            if !is_expired || stale {
                listed.push((sid.clone(), record.clone().into_body()));
            }
        }
        for sid in expired {
            self.remove(&sid, removed);
        }
        listed
    }

    /// Removes every record. What it returns is best dropped, or listed, outside the lock.
    pub(super) fn clear(&mut self) -> Cleared {
        if self.options.keep_removed {
            self.finish_prune();
        }
        self.prune = None;
        self.tails = Tails::default();
        Cleared {
            parts: std::mem::replace(&mut self.parts, empty_parts()),
            len: std::mem::take(&mut self.len),
        }
    }

    /// From here on, what has expired by `now` counts as gone; [`Self::prune_step`] removes it.
    pub(super) fn begin_prune(&mut self, now: Millis) {
        if self.len == 0 {
            return;
        }
        if self.prune.as_ref().is_some_and(|prune| now < prune.now) {
            self.finish_prune();
        }
        self.unpark();
        self.prune = Some(Prune {
            now,
            last_use: self.uses,
            part: 0,
            parked: Vec::new(),
        });
    }

    /// Goes on with the prune that is under way, looking at no more than `budget` tickets.
    /// Returns whether there is more to do.
    pub(super) fn prune_step(&mut self, mut budget: usize) -> bool {
        let Some(mut prune) = self.prune.take() else {
            return false;
        };
        while prune.part < PARTS {
            if let Some(part) = self.parts[prune.part].as_deref_mut() {
                while let Some(ticket) = part.next_due(prune.now) {
                    self.len -= usize::from(prune.meet(part, ticket, &mut self.pruned));
                    budget = budget.saturating_sub(1);
                    if budget == 0 {
                        self.prune = Some(prune);
                        return true;
                    }
                }
                part.put_back(prune.parked.drain(..));
            }
            prune.part += 1;
        }
        false
    }

    /// Whether a prune is under way.
    pub(super) fn is_pruning(&self) -> bool {
        self.prune.is_some()
    }

    /// Does all that is left of a prune.
    pub(super) fn finish_prune(&mut self) {
        while self.prune_step(usize::MAX) {}
    }

    /// Removes the record of `sid` if a prune that is under way is to remove it.
    fn settle(&mut self, sid: &Sid) {
        let Some(prune) = &self.prune else {
            return;
        };
        let index = part_of(sid.hash());
        let Some(part) = self.parts[index].as_deref_mut() else {
            return;
        };
        if part
            .records()
            .peek(sid)
            .is_some_and(|record| prune.covers(record))
            && let Some((sid, record)) = part.remove(sid)
        {
            self.len -= 1;
            self.pruned.push(Removed::new(sid, record));
        }
    }

    fn remove(&mut self, sid: &Sid, removed: &mut Vec<Removed>) -> bool {
        let Some((sid, record)) = self.part_mut(sid).and_then(|part| part.remove(sid)) else {
            return false;
        };
        self.len -= 1;
        removed.push(Removed::new(sid, record));
        true
    }

    /// Evicts while there are too many: first what a prune is about to remove, which does not
    /// count any more, then the least recently used.
    fn trim(&mut self, removed: &mut Vec<Removed>) {
        while self.len > self.options.max {
            if self.prune_step(PRUNE_STEP) || self.len <= self.options.max {
                continue;
            }
            let Some((sid, record)) = self.tails.evict(&mut self.parts) else {
                return;
            };
            self.len -= 1;
            removed.push(Removed::new(sid, record));
        }
    }

    fn unpark(&mut self) {
        let Some(prune) = self.prune.take() else {
            return;
        };
        if let Some(part) = self
            .parts
            .get_mut(prune.part)
            .and_then(Option::as_deref_mut)
        {
            part.put_back(prune.parked);
        }
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn part_mut(&mut self, sid: &Sid) -> Option<&mut Part> {
        self.parts[part_of(sid.hash())].as_deref_mut()
    }

    fn by_recency(&self) -> Vec<(&Sid, &Record)> {
        let parts = self.parts.iter().flatten();
        let mut records: Vec<_> = parts.flat_map(|part| part.records()).collect();
        // Each part is in order already; a stable sort merges such runs.
        records.sort_by_key(|(_, record)| Reverse(record.last_use));
        records
    }

    #[cfg(test)]
    pub(super) fn validate(&self) {
        let mut len = 0;
        for (index, part) in self.parts.iter().enumerate() {
            let Some(part) = part else { continue };
            let parked = match &self.prune {
                Some(prune) if prune.part == index => prune.parked.as_slice(),
                _ => &[],
            };
            part.validate(parked);
            len += part.records().len();
            self.tails.validate(index, part, self.options.max);
        }
        assert_eq!(len, self.len);
    }
}

impl Prune {
    /// Deals with a ticket that came up. Returns whether its record was removed.
    fn meet(&mut self, part: &mut Part, ticket: Ticket, pruned: &mut Vec<Removed>) -> bool {
        let Some(record) = part.by_hash(ticket.sid) else {
            return false;
        };
        if record.due != ticket.due {
            // Not the record's current ticket: it had to expire sooner, or was written anew.
            return false;
        }
        if !record.is_expired(self.now) {
            part.rearm(ticket);
            return false;
        }
        if !self.covers(record) {
            self.parked.push(ticket);
            return false;
        }
        let Some((sid, record)) = part.remove_by_hash(ticket.sid) else {
            return false;
        };
        pruned.push(Removed::new(sid, record));
        true
    }
}

/// The records of a table that was cleared.
pub(super) struct Cleared {
    parts: Parts,
    len: usize,
}

impl Cleared {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What was removed, most recently used first.
    pub(super) fn into_removed(self) -> Vec<Removed> {
        let parts = self.parts.into_iter().flatten();
        let mut removed: Vec<_> = parts
            .flat_map(|part| part.into_records())
            .map(|(sid, record)| Removed::new(sid, record))
            .collect();
        removed.sort_by_key(|removed| Reverse(removed.last_use));
        removed
    }
}

fn empty_parts() -> Parts {
    std::iter::repeat_with(|| None).take(PARTS).collect()
}

fn part_of(sid: SidHash) -> usize {
    sid.part(PARTS)
}

fn part_or_new(parts: &mut Parts, sid: SidHash) -> &mut Part {
    parts[part_of(sid)].get_or_insert_with(|| Box::new(Part::new()))
}

/// Finds the least recently used record of all parts.
///
/// Holds one entry for each part that has records: a use number that is not above that of the
/// part's least recently used record. Numbers only grow, so an entry can be late but never
/// wrong, and is put right when it comes up.
#[derive(Default)]
struct Tails {
    oldest: BinaryHeap<Reverse<(u64, usize)>>,
    tracked: Vec<bool>,
}

impl Tails {
    /// Notes that `part` got a record by the use `last_use`. Without a limit nothing is noted.
    fn track(&mut self, part: usize, last_use: u64, max: usize) {
        if max == usize::MAX {
            return;
        }
        self.tracked.resize(PARTS, false);
        if !std::mem::replace(&mut self.tracked[part], true) {
            self.oldest.push(Reverse((last_use, part)));
        }
    }

    fn evict(&mut self, parts: &mut Parts) -> Option<(Sid, Record)> {
        loop {
            let mut entry = self.oldest.peek_mut()?;
            let Reverse((noted, index)) = *entry;
            let part = parts[index].as_deref_mut();
            match part.as_ref().and_then(|part| part.oldest_use()) {
                None => {
                    PeekMut::pop(entry);
                    self.tracked[index] = false;
                }
                Some(oldest) if oldest == noted => return part?.remove_least_recent(),
                Some(oldest) => *entry = Reverse((oldest, index)),
            }
        }
    }

    #[cfg(test)]
    fn validate(&self, index: usize, part: &Part, max: usize) {
        let Some(oldest) = part.oldest_use() else {
            return;
        };
        if max == usize::MAX {
            return;
        }
        let noted: Vec<u64> = self
            .oldest
            .iter()
            .filter(|entry| entry.0.1 == index)
            .map(|entry| entry.0.0)
            .collect();
        assert_eq!(noted.len(), 1, "one entry for each part in use");
        assert!(noted[0] <= oldest);
    }
}
