//! The rules of the store: what is found, what a use renews, what goes when.
//!
//! A table is used by one caller at a time and has neither lock nor thread. It goes by no clock
//! (one only times prunes, for the statistics): time comes in as an argument, and what is removed
//! goes out through one, to be freed or disposed of outside the lock.
//!
//! The records are spread by hash over [`PARTS`] parts. A map doubles by rehashing all of its
//! records at once; a part's does so with a 1200th of them. Recency is still exact across the
//! parts, because each use is numbered from one counter.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::destroyed::Destroyed;
use super::part::{Part, Ticket};
use super::{
    Condition, Counters, NewCookie, Options, REMOVED_AT_ONCE, Rank, Refused, Removed, Stats,
    Touched, Version,
};
use crate::allocation::allocated;
use crate::session::TemplateHandle;
use crate::session::cookie::Templates;
use crate::session::record::{NewBody, Record};
use crate::session::{Body, BodyRef, BodyView};
use crate::sid::Sid;
use crate::time::{Millis, stopwatch};

/// How many parts the records are spread over: at five million sessions the longest rehash
/// is one of 3584 records. Not a power of two, because a map is: at
/// a million sessions each part's is nearly full, where 1024 parts' would be nearly half empty.
const PARTS: usize = 1200;

/// What a record takes beside what the sid and the body allocate: its node in the list, its
/// slot in the map (17 bytes, of which between 7/16 and 7/8 are in use) and its ticket (16
/// bytes, in a vector that is between half and quite full).
const OVERHEAD: usize =
    allocated(size_of::<Sid>() + size_of::<Record>() + 2 * size_of::<usize>()) + 26 + 24;

/// Of how many sessions that are cleared it is remembered that they were destroyed, where that
/// is final: some milliseconds' work.
const FINAL_AT_ONCE: usize = 10_000;

/// How many tickets of a prune under way a write looks at before it evicts what has not expired.
const TICKETS_BEFORE_EVICTION: usize = 64;

/// Clearing more sessions than this is left to the background thread.
const CLEARED_AT_ONCE: usize = 1000;

/// See the module's description.
pub(super) struct Table {
    parts: Parts,
    len: usize,
    /// What the records take, by [`cost`].
    bytes: usize,
    /// The number of the latest use.
    uses: u64,
    counters: Counters,
    options: Options,
    templates: Templates,
    tails: Tails,
    destroyed: Destroyed,
    prune: Option<Prune>,
    /// What was cleared and has not been freed or handed out.
    cleared: VecDeque<Cleared>,
    /// What was removed in steps, for the engine to free or keep.
    pub(super) pruned: VecDeque<Removed>,
}

/// What is to be done for a record that was written.
#[derive(Clone, Copy)]
struct Written {
    is_expired: bool,
    needs_ticket: bool,
}

impl Written {
    fn of(record: &Record, now: Millis) -> Self {
        Self { is_expired: record.is_expired(now), needs_ticket: record.expires() < record.due }
    }
}

/// The parts that have been needed so far.
type Parts = Box<[Option<Box<Part>>]>;

/// A prune that is under way.
struct Prune {
    /// What has expired by then is removed. It is set back when somebody comes with an earlier
    /// time, so that what is alive by a clock that was set back stays.
    now: Millis,
    /// The part to go on with.
    part: usize,
    began: Instant,
}

impl Table {
    pub(super) fn new(options: Options) -> Self {
        Self {
            parts: empty_parts(),
            len: 0,
            bytes: 0,
            uses: 0,
            counters: Counters::default(),
            options,
            templates: Templates::default(),
            tails: Tails::default(),
            destroyed: Destroyed::new(options.max_bytes, options.destroyed_is_final),
            prune: None,
            cleared: VecDeque::new(),
            pruned: VecDeque::new(),
        }
    }

    /// As [`Self::fetch`], and counts as a hit or a miss.
    pub(super) fn get<R>(
        &mut self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        let found = self.fetch(sid, now, removed, read);
        if found.is_some() {
            self.counters.hits += 1;
        } else {
            self.counters.misses += 1;
        }
        found
    }

    /// Uses the record of `sid`, and reads its body. One that has expired is removed, and
    /// read once more only if the store is `stale`.
    pub(super) fn fetch<R>(
        &mut self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.note_time(now);
        let last_use = self.next_use();
        let record = part_of(&mut self.parts, sid)?.use_record(sid, last_use)?;
        if !record.is_expired(now) {
            return Some(read(record.body(&self.templates, last_use)));
        }
        let value = self.options.stale.then(|| read(record.body(&self.templates, last_use)));
        self.expire(sid, removed);
        value
    }

    /// As [`Self::fetch`], but the record does not count as used.
    pub(super) fn peek<R>(
        &mut self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Option<R> {
        self.note_time(now);
        let record = part_of(&mut self.parts, sid)?.records().peek(sid)?;
        if !record.is_expired(now) {
            return Some(read(record.body(&self.templates, self.uses)));
        }
        let value = self.options.stale.then(|| read(record.body(&self.templates, self.uses)));
        self.expire(sid, removed);
        value
    }

    /// Writes the record of `sid` and makes it the most recently used, then evicts the least
    /// recently used ones while there is too much. Returns the record's version.
    pub(super) fn set(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        self.note_time(now);
        let given = body;
        let body = NewBody::new(given, &mut self.templates);
        let size = cost(&sid, body.allocated());
        if size > self.options.max_bytes || !body.fits() {
            return Err(Refused::TooLarge);
        }
        self.destroyed.forget_old(now);
        let version = self.next_use();
        let index = sid.hash().part(PARTS);
        let is_ordered = self.options.is_limited();
        let part = self.parts[index].get_or_insert_with(|| Box::new(Part::new(is_ordered)));
        let found = part.use_record(&sid, version);
        let stored = found.as_deref().filter(|record| !record.is_expired(now));
        self.destroyed.check(sid.hash(), condition, stored.map(Record::version), now)?;
        if condition.keeps_lifetime() && stored.is_some_and(|it| it.is_shortened_by(&body, expires))
        {
            return Err(Refused::Changed);
        }
        if matches!(condition, Condition::Touch { .. }) && stored.is_none() && !self.options.stale {
            return Err(Refused::Missing);
        }
        let is_too_soon = |record: &Record| self.options.is_too_soon(record.expires(), expires);
        if matches!(condition, Condition::Touch { .. }) && stored.is_some_and(is_too_soon) {
            return Err(Refused::TooSoon);
        }
        if self.options.max == 0 {
            // Nothing fits, so what is set falls out at once.
            removed.push(Removed { sid, body: Body::new(given), last_use: 0 });
            return Ok(version);
        }
        if size.saturating_add(self.destroyed.bytes()) > self.options.max_bytes {
            // The session has the right to all of the budget.
            self.destroyed.forget_all();
        }
        if let Some(template) = body.template() {
            self.templates.hold(template);
        }
        let Some(record) = found else {
            part.insert(sid, Record::new(&body, expires, version));
            self.len += 1;
            self.bytes += size;
            if is_ordered {
                self.tails.track(index, version);
            }
            self.trim(removed);
            return Ok(version);
        };
        self.bytes -= record.allocated();
        if self.options.keep_replaced {
            let old = record.body(&self.templates, 0).to_body();
            removed.push(Removed { sid: sid.clone(), body: old, last_use: version });
        }
        if let Some(template) = record.template() {
            self.templates.release(template);
        }
        record.overwrite(&body, expires);
        if condition.is_change() {
            record.set_version(version);
        }
        self.bytes += record.allocated();
        let written = Written::of(record, now);
        self.settle_expiry(&sid, written, removed);
        self.trim(removed);
        Ok(version)
    }

    /// Renews the record of `sid` with a new cookie, where that can be done in place and, if it
    /// `is_renewal`, takes from the session neither lifetime nor a member of its cookie.
    pub(super) fn touch(
        &mut self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        is_renewal: bool,
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Touched {
        let cut = match cookie {
            NewCookie::Text(_) => None,
            NewCookie::Cut { template, time } => match self.templates.lookup(template, time) {
                None => return Touched::NeedsText,
                found => found,
            },
        };
        self.note_time(now);
        let last_use = self.next_use();
        let found = part_of(&mut self.parts, sid).and_then(|part| part.use_record(sid, last_use));
        let Some(record) = found else {
            return Touched::Missing;
        };
        if record.is_expired(now) {
            if self.options.stale {
                return Touched::NeedsRewrite;
            }
            self.expire(sid, removed);
            return Touched::Missing;
        }
        if self.options.is_too_soon(record.expires(), expires) {
            return Touched::Renewed;
        }
        let is_renewed = match (cookie, cut) {
            (_, Some(cookie)) => record.is_renewed_by(cookie, &self.templates),
            (NewCookie::Text(text), _) => record.is_renewed_by_text(text.bytes, &self.templates),
            (_, None) => false,
        };
        if is_renewal && !(is_renewed && expires >= record.expires()) {
            return Touched::NeedsRewrite;
        }
        let before = record.allocated();
        let old = record.template();
        let is_done = match (cookie, cut) {
            (NewCookie::Text(text), _) => {
                let taken = cost(sid, 0).saturating_add(self.destroyed.bytes());
                let room = self.options.max_bytes.saturating_sub(taken);
                record.set_cookie_text(text, expires, room)
            }
            (_, Some(cookie)) => record.set_cut_cookie(cookie, expires),
            (_, None) => false,
        };
        if !is_done {
            return Touched::NeedsRewrite;
        }
        if !is_renewed {
            record.set_version(last_use);
        }
        if let Some(template) = record.template() {
            self.templates.hold(template);
        }
        if let Some(template) = old {
            self.templates.release(template);
        }
        self.bytes = self.bytes - before + record.allocated();
        let written = Written::of(record, now);
        self.counters.touches += 1;
        self.settle_expiry(sid, written, removed);
        self.trim(removed);
        Touched::Renewed
    }

    /// The handle of the template for `cookie`, JSON text.
    pub(super) fn template(&mut self, cookie: &[u8]) -> Option<TemplateHandle> {
        self.templates.intern(cookie)
    }

    /// Removes the record of `sid`, expired or not, and remembers that it was destroyed.
    pub(super) fn destroy(&mut self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> bool {
        let version = self.next_use();
        self.destroyed.add(sid.hash(), version, now);
        let is_found = self.remove(sid, removed);
        self.trim(removed);
        is_found
    }

    /// How many records there are, expired ones that nothing has removed yet included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { sessions: self.len, bytes: self.taken(), counters: self.counters }
    }

    /// What the records take, and the memory of those that were destroyed.
    fn taken(&self) -> usize {
        self.bytes + self.destroyed.bytes() + self.templates.bytes()
    }

    /// The sids, most recently used first, expired ones included.
    pub(super) fn ids(&self) -> Vec<Sid> {
        self.by_recency().into_iter().map(|(sid, _)| sid.clone()).collect()
    }

    /// Appends the sids of one part, expired ones included, with their ranks. Returns whether
    /// there are more parts.
    pub(super) fn list_part(&self, index: usize, listed: &mut Vec<(Rank, Sid)>) -> bool {
        if let Some(part) = self.parts.get(index).and_then(Option::as_deref) {
            let records = part.records().iter();
            listed.extend(records.map(|(sid, record)| ((0, record.last_use), sid.clone())));
        }
        index + 1 < PARTS
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
                listed.push((sid.clone(), record.body(&self.templates, 0).to_body()));
            }
        }
        for sid in expired {
            self.expire(&sid, removed);
        }
        listed
    }

    /// Removes every record. What it returns is best dropped, or listed, outside the lock. Very
    /// many are left to [`Self::step`].
    pub(super) fn clear(&mut self, now: Millis) -> Option<Cleared> {
        let version = self.next_use();
        self.destroyed.clear(version);
        if self.options.destroyed_is_final {
            let records = self.parts.iter().flatten().flat_map(|part| part.records());
            for (sid, _) in records.take(FINAL_AT_ONCE) {
                self.destroyed.add(sid.hash(), version, now);
            }
        }
        self.prune = None;
        self.tails = Tails::default();
        self.bytes = 0;
        let cleared = Cleared {
            templates: self.templates.take(),
            parts: std::mem::replace(&mut self.parts, empty_parts()),
            part: 0,
            len: std::mem::take(&mut self.len),
        };
        if cleared.len <= CLEARED_AT_ONCE {
            return Some(cleared);
        }
        self.cleared.push_back(cleared);
        None
    }

    /// Lets [`Self::step`] remove what has expired by `now`, in place of what a prune that is
    /// under way has yet to remove.
    pub(super) fn begin_prune(&mut self, now: Millis) {
        self.prune = Some(Prune { now, part: 0, began: stopwatch() });
    }

    /// Goes on with the prune that is under way, looking at no more than `budget` tickets.
    pub(super) fn prune_step(&mut self, mut budget: usize) {
        let Some(mut prune) = self.prune.take() else {
            return;
        };
        while let Some(place) = self.parts.get_mut(prune.part) {
            let due = place.as_deref_mut().and_then(|part| {
                let ticket = part.next_due(prune.now)?;
                Some((part, ticket))
            });
            let Some((part, ticket)) = due else {
                prune.part += 1;
                continue;
            };
            if let Some((sid, record)) = prune.meet(part, ticket) {
                self.counters.expirations += 1;
                let pruned = self.take_out(sid, record);
                self.pruned.push_back(pruned);
            }
            budget = budget.saturating_sub(1);
            if budget == 0 {
                self.prune = Some(prune);
                return;
            }
        }
        self.counters.prunes += 1;
        self.counters.last_prune = prune.began.elapsed();
    }

    /// Does a small part of what was left to be done: looks at up to `budget` tickets, evicts up
    /// to as many records, and frees or hands out some of what was cleared. What it returns is
    /// best dropped outside the lock.
    pub(super) fn step(&mut self, budget: usize) -> Option<Box<Part>> {
        self.prune_step(budget);
        let mut evicted = Vec::new();
        self.evict(budget, &mut evicted);
        self.pruned.extend(evicted);
        self.cleared_step(budget)
    }

    fn cleared_step(&mut self, budget: usize) -> Option<Box<Part>> {
        let cleared = self.cleared.front_mut()?;
        let part = if self.options.keep_removed {
            self.pruned.extend(cleared.hand_out(budget));
            None
        } else {
            cleared.take_part()
        };
        if cleared.is_done() {
            self.cleared.pop_front();
        }
        part
    }

    /// Whether [`Self::step`] has anything to do.
    pub(super) fn has_steps(&self) -> bool {
        self.prune.is_some() || !self.cleared.is_empty() || self.is_over()
    }

    /// Whether there is something in `pruned`, or may be soon.
    pub(super) fn is_busy(&self) -> bool {
        !self.pruned.is_empty() || self.has_steps()
    }

    /// How many records take memory, those that were cleared included.
    pub(super) fn held(&self) -> usize {
        self.len + self.cleared.iter().map(|cleared| cleared.len).sum::<usize>()
    }

    /// A prune that is under way is not to remove what is alive by the time of any call since.
    fn note_time(&mut self, now: Millis) {
        if let Some(prune) = &mut self.prune {
            prune.now = prune.now.min(now);
        }
    }

    /// After a write to the record of `sid`: removes it if it has expired already, as
    /// lru-cache does, which uses an entry it has overwritten; else sees to its ticket.
    fn settle_expiry(&mut self, sid: &Sid, written: Written, removed: &mut Vec<Removed>) {
        if written.is_expired {
            self.expire(sid, removed);
        } else if written.needs_ticket
            && let Some(part) = part_of(&mut self.parts, sid)
        {
            part.arm(sid.hash());
        }
    }

    fn expire(&mut self, sid: &Sid, removed: &mut Vec<Removed>) {
        self.counters.expirations += u64::from(self.remove(sid, removed));
    }

    fn remove(&mut self, sid: &Sid, removed: &mut Vec<Removed>) -> bool {
        let found = part_of(&mut self.parts, sid).and_then(|part| part.remove(sid));
        let Some((sid, record)) = found else {
            return false;
        };
        let gone = self.take_out(sid, record);
        removed.push(gone);
        true
    }

    /// Takes a record that left its part out of the sums.
    fn take_out(&mut self, sid: Sid, record: Record) -> Removed {
        self.len -= 1;
        self.bytes -= cost(&sid, record.allocated());
        let last_use = record.last_use;
        let template = record.template();
        let body = if self.options.keep_removed {
            record.body(&self.templates, 0).to_body()
        } else {
            record.into_garbage()
        };
        if let Some(template) = template {
            self.templates.release(template);
        }
        Removed { sid, body, last_use }
    }

    /// Evicts while there is too much: first what a prune is about to remove, as far as that is
    /// quick, then the least recently used. What is very much is left to [`Self::step`].
    fn trim(&mut self, removed: &mut Vec<Removed>) {
        if self.is_over() {
            self.prune_step(TICKETS_BEFORE_EVICTION);
            self.evict(REMOVED_AT_ONCE, removed);
        }
    }

    /// Evicts up to `budget` of the least recently used records while there is too much.
    fn evict(&mut self, budget: usize, removed: &mut Vec<Removed>) {
        for _ in 0..budget {
            if !self.is_over() {
                return;
            }
            let Some((sid, record)) = self.tails.evict(&mut self.parts) else {
                return;
            };
            if self.len > self.options.max {
                self.counters.evictions_by_count += 1;
            } else {
                self.counters.evictions_by_bytes += 1;
            }
            let evicted = self.take_out(sid, record);
            removed.push(evicted);
        }
    }

    fn is_over(&self) -> bool {
        // The last record has the right to all of the budget, and its template is no part of it.
        let templates = if self.len > 1 { self.templates.bytes() } else { 0 };
        let taken = self.bytes + self.destroyed.bytes() + templates;
        self.len > self.options.max || taken > self.options.max_bytes
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn by_recency(&self) -> Vec<(&Sid, &Record)> {
        let parts = self.parts.iter().flatten();
        let mut records: Vec<_> = parts.flat_map(|part| part.records()).collect();
        records.sort_by_key(|(_, record)| Reverse(record.last_use));
        records
    }

    #[cfg(test)]
    pub(super) fn destroyed_bytes(&self) -> usize {
        self.destroyed.bytes()
    }

    #[cfg(test)]
    pub(super) fn cost_of(&self, sid: &Sid) -> Option<usize> {
        let part = self.parts[sid.hash().part(PARTS)].as_deref()?;
        let record = part.records().peek(sid)?;
        Some(cost(sid, record.allocated()))
    }

    #[cfg(test)]
    pub(super) fn validate(&self) {
        let mut len = 0;
        let mut bytes = 0;
        for (index, part) in self.parts.iter().enumerate() {
            let Some(part) = part else { continue };
            part.validate();
            len += part.records().len();
            if self.options.is_limited() {
                self.tails.validate(index, part);
            }
            let costs = part.records().iter().map(|(sid, record)| cost(sid, record.allocated()));
            bytes += costs.sum::<usize>();
        }
        assert_eq!(len, self.len);
        assert_eq!(bytes, self.bytes);
        let records = self.parts.iter().flatten().flat_map(|part| part.records());
        self.templates.validate(records.filter_map(|(_, record)| record.template()));
    }
}

impl Prune {
    /// Deals with a ticket that came up. Returns the record if it is to go.
    fn meet(&self, part: &mut Part, ticket: Ticket) -> Option<(Sid, Record)> {
        let record = part.by_hash(ticket.sid)?;
        if record.due != ticket.due {
            // Not the record's current ticket: it had to expire sooner, or was written anew.
            return None;
        }
        if !record.is_expired(self.now) {
            part.rearm(ticket);
            return None;
        }
        part.remove_by_hash(ticket.sid)
    }
}

/// The records of a table that was cleared. Dropping it frees them.
pub(super) struct Cleared {
    templates: Templates,
    parts: Parts,
    /// The part to go on with.
    part: usize,
    /// How many there were.
    len: usize,
}

impl Cleared {
    fn is_done(&self) -> bool {
        self.part == self.parts.len()
    }

    /// Takes the next part that has records out.
    fn take_part(&mut self) -> Option<Box<Part>> {
        while let Some(place) = self.parts.get_mut(self.part) {
            self.part += 1;
            let part = place.take();
            if part.is_some() {
                return part;
            }
        }
        None
    }

    /// Takes up to `limit` of the records out, in no particular order.
    fn hand_out(&mut self, limit: usize) -> Vec<Removed> {
        let mut removed = Vec::new();
        while removed.len() < limit
            && let Some(place) = self.parts.get_mut(self.part)
        {
            let Some((sid, record)) = place.as_deref_mut().and_then(Part::remove_least_recent)
            else {
                *place = None;
                self.part += 1;
                continue;
            };
            let body = record.body(&self.templates, 0).to_body();
            removed.push(Removed { sid, body, last_use: record.last_use });
        }
        removed
    }

    /// What was removed, most recently used first.
    pub(super) fn into_removed(mut self) -> Vec<Removed> {
        let mut removed = self.hand_out(usize::MAX);
        removed.sort_by_key(|removed| Reverse(removed.last_use));
        removed
    }
}

fn empty_parts() -> Parts {
    std::iter::repeat_with(|| None).take(PARTS).collect()
}

fn part_of<'a>(parts: &'a mut Parts, sid: &Sid) -> Option<&'a mut Part> {
    parts[sid.hash().part(PARTS)].as_deref_mut()
}

/// What a record takes whose body allocates `allocated` bytes.
fn cost(sid: &Sid, allocated: usize) -> usize {
    OVERHEAD + sid.allocated() + allocated
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
    /// Notes that `part` got a record by the use `last_use`.
    fn track(&mut self, part: usize, last_use: u64) {
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
    fn validate(&self, index: usize, part: &Part) {
        let Some(oldest) = part.oldest_use() else {
            return;
        };
        let noted: Vec<u64> =
            self.oldest.iter().filter(|entry| entry.0.1 == index).map(|entry| entry.0.0).collect();
        assert_eq!(noted.len(), 1, "one entry for each part in use");
        assert!(noted[0] <= oldest);
    }
}

#[cfg(test)]
mod tests;
