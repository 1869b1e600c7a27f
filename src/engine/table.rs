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
    Base, Condition, Counters, Merged, NewCookie, Options, REMOVED_AT_ONCE, Rank, Refused, Removed,
    Stats, Touched, Version,
};
use crate::cookie::{TemplateHandle, Templates};
use crate::merge;
use crate::record::{Body, BodyRef, BodyView, NewBody, Record, allocated};
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

    /// As [`Self::set`], with what another request has made of the session since.
    pub(super) fn merge(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        (base, read): (Base<'_>, Version),
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Merged, Refused> {
        let stored = self.alive(&sid, now);
        let theirs = stored.as_ref().map(|(body, expires)| (body.bytes(), *expires));
        let resolved = merge::resolve(&base, theirs, body.bytes, expires);
        let condition = Condition::NotDestroyed { read };
        let times = (now, resolved.expires);
        let version = self.set(sid, resolved.body(), condition, times, removed)?;
        Ok(Merged { version, is_merged: resolved.is_merged })
    }

    /// As [`Self::touch`], with what another request has made of the cookie since.
    pub(super) fn merge_cookie(
        &mut self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Touched {
        let Some((body, stored)) = self.alive(sid, now) else {
            return Touched::NeedsRewrite;
        };
        let theirs = (body.bytes(), stored);
        let Some((text, expires)) = merge::resolve_cookie(&base, theirs, cookie.bytes, expires)
        else {
            return Touched::NeedsRewrite;
        };
        let cookie = NewCookie::Text(merge::body_of(&text));
        self.touch(sid, cookie, false, (now, expires), removed)
    }

    /// The body of a session that is alive, and until when it lives.
    fn alive(&self, sid: &Sid, now: Millis) -> Option<(Body, Millis)> {
        let part = self.parts[sid.hash().part(PARTS)].as_deref()?;
        let record = part.records().peek(sid).filter(|record| !record.is_expired(now))?;
        Some((record.body(&self.templates, 0).to_body(), record.expires()))
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
mod tests {
    use super::*;
    use crate::record::Encoding;
    use crate::time::NEVER;

    /// Sid `number`. Those with the same `number % 256` share a part, and no others do.
    fn sid(number: u64) -> Sid {
        let spread = number.wrapping_mul(0x9E37_79B9_0000_0001);
        let hash = spread & !(0xFFFF_FFFF << 24) | (number % 256) << 48;
        Sid::with_hash(&number.to_le_bytes(), hash)
    }

    /// Sids of which every hundred share a part.
    fn crowded(number: u64) -> Sid {
        sid(number % 100 * 256 + number / 100)
    }

    fn json(text: &str) -> BodyRef<'_> {
        BodyRef { bytes: text.as_bytes(), encoding: Encoding::Ascii, is_json: true }
    }

    fn limited(max: usize) -> Table {
        Table::new(Options { max, ..Options::default() })
    }

    fn unlimited() -> Table {
        Table::new(Options::default())
    }

    impl Table {
        fn touch_text(
            &mut self,
            sid: &Sid,
            cookie: BodyRef<'_>,
            now: Millis,
            expires: Millis,
            removed: &mut Vec<Removed>,
        ) -> Touched {
            self.touch(sid, NewCookie::Text(cookie), false, (now, expires), removed)
        }

        fn write(&mut self, sid: &Sid, now: Millis, expires: Millis) -> Vec<Sid> {
            let mut removed = Vec::new();
            self.set(sid.clone(), json("{}"), Condition::None, (now, expires), &mut removed)
                .unwrap();
            self.validate();
            sids(removed)
        }

        fn reads(&mut self, sid: &Sid, now: Millis) -> bool {
            let found = self.get(sid, now, &mut Vec::new(), |_| ());
            self.validate();
            found.is_some()
        }

        /// Does all that is left in steps of so much each. Returns how many that were.
        fn steps_of(&mut self, budget: usize) -> usize {
            let mut count = 0;
            while self.has_steps() {
                drop(self.step(budget));
                self.validate();
                count += 1;
            }
            count
        }

        fn prune_all(&mut self, now: Millis) -> Vec<Sid> {
            self.begin_prune(now);
            self.steps_of(usize::MAX);
            let mut pruned = sids(std::mem::take(&mut self.pruned).into());
            pruned.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
            pruned
        }

        fn tickets(&self) -> usize {
            self.parts.iter().flatten().map(|part| part.tickets()).sum()
        }
    }

    fn sids(removed: Vec<Removed>) -> Vec<Sid> {
        removed.into_iter().map(|removed| removed.sid).collect()
    }

    fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Sid> {
        numbers.into_iter().map(sid).collect()
    }

    #[test]
    fn eviction_is_by_least_recent_use_across_all_parts() {
        let mut table = limited(300);
        for number in 0..300 {
            assert_eq!(table.write(&sid(number), 0, NEVER), []);
        }
        // Every third is used again, so the others go first, and then these in order of use.
        let used: Vec<u64> = (0..100).rev().map(|number| 3 * number).collect();
        for number in &used {
            assert!(table.reads(&sid(*number), 0));
        }
        let others = (0..300).filter(|number| number % 3 != 0);
        let expected = others.chain(used.iter().copied());
        for (new, oldest) in (1000..).zip(expected) {
            assert_eq!(table.write(&sid(new), 0, NEVER), [sid(oldest)]);
        }
        assert_eq!(table.ids(), numbered((1000..1300).rev()));
    }

    #[test]
    fn every_use_counts_for_eviction_and_nothing_else_does() {
        let mut table = limited(4);
        for number in 1..=4 {
            table.write(&sid(number), 0, 100);
        }
        let cookie = json("1");
        let mut removed = Vec::new();
        table
            .set(sid(2), json(r#"{"cookie":0}"#), Condition::None, (0, 100), &mut removed)
            .unwrap();
        assert!(table.reads(&sid(1), 0));
        let touched = table.touch_text(&sid(2), cookie, 0, 100, &mut removed);
        assert_eq!(touched, Touched::Renewed);
        table.ids();
        table.all(0, &mut removed);
        table.prune_all(50);
        table.len();
        assert_eq!(removed, []);
        for (new, oldest) in [(5, 3), (6, 4), (7, 1), (8, 2), (9, 5)] {
            assert_eq!(table.write(&sid(new), 0, NEVER), [sid(oldest)]);
        }
    }

    #[test]
    fn a_part_that_was_emptied_and_filled_again_takes_part_in_eviction() {
        let mut table = limited(3);
        for round in 0..20 {
            let base = 10 * round;
            for number in base..base + 3 {
                table.write(&sid(number), 0, NEVER);
            }
            for number in [base + 1, base] {
                assert!(table.destroy(&sid(number), 0, &mut Vec::new()));
                table.validate();
                table.write(&sid(number), 0, NEVER);
            }
            assert_eq!(table.write(&sid(base + 3), 0, NEVER), [sid(base + 2)]);
            assert_eq!(table.ids(), numbered([base + 3, base, base + 1]));
        }
    }

    #[test]
    fn nothing_fits_into_a_table_of_none() {
        let mut table = limited(0);
        assert_eq!(table.write(&sid(1), 0, NEVER), [sid(1)]);
        assert!(!table.reads(&sid(1), 0));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_record_is_alive_at_the_moment_it_expires_and_not_after() {
        let mut table = unlimited();
        for number in 1..=5 {
            table.write(&sid(number), 0, 10);
        }
        let mut removed = Vec::new();
        let cookie = json("1");
        table.set(sid(3), json(r#"{"cookie":0}"#), Condition::None, (0, 10), &mut removed).unwrap();
        assert!(table.reads(&sid(1), 10));
        assert_eq!(table.all(10, &mut removed).len(), 5);
        assert_eq!(table.prune_all(10), []);
        let touched = table.touch_text(&sid(3), cookie, 10, 10, &mut removed);
        assert_eq!(touched, Touched::Renewed);
        assert_eq!(removed, []);

        assert!(!table.reads(&sid(1), 11));
        let touched = table.touch_text(&sid(3), cookie, 11, 99, &mut removed);
        assert_eq!(touched, Touched::Missing);
        assert_eq!(sids(std::mem::take(&mut removed)), [sid(3)]);
        assert_eq!(table.prune_all(11), numbered([2, 4, 5]));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_prune_finds_what_was_given_a_shorter_life() {
        let mut table = unlimited();
        for number in 1..=3 {
            table.write(&sid(number), 0, 1000);
        }
        table.write(&sid(1), 0, 10);
        let body = json(r#"{"cookie":0}"#);
        table.set(sid(2), body, Condition::None, (0, NEVER), &mut Vec::new()).unwrap();
        table.touch_text(&sid(2), json("1"), 0, 10, &mut Vec::new());
        assert_eq!(table.prune_all(11), numbered([1, 2]));
        assert_eq!(table.prune_all(1001), numbered([3]));
    }

    #[test]
    fn a_prune_leaves_what_was_given_a_longer_life() {
        let mut table = unlimited();
        for number in 1..=3 {
            table.write(&sid(number), 0, 10);
        }
        table.write(&sid(1), 0, 20);
        table.write(&sid(2), 0, NEVER);
        assert_eq!(table.prune_all(11), numbered([3]));
        assert_eq!(table.prune_all(21), numbered([1]));
        assert_eq!(table.prune_all(NEVER), []);
        assert_eq!(table.ids(), numbered([2]));
    }

    #[test]
    fn a_ticket_that_an_earlier_one_took_the_place_of_comes_to_nothing() {
        let mut table = unlimited();
        for expires in [1000, 10, 2000] {
            table.write(&sid(1), 0, expires);
        }
        assert_eq!(table.prune_all(11), []);
        assert_eq!(table.tickets(), 2, "the first, and the one for its real time");
        assert_eq!(table.prune_all(1001), []);
        assert_eq!(table.tickets(), 1);
        assert_eq!(table.prune_all(2001), numbered([1]));
    }

    #[test]
    fn a_step_of_a_prune_does_no_more_than_it_may() {
        let mut table = unlimited();
        for number in 0..1000 {
            table.write(&crowded(number), 0, if number % 2 == 0 { 10 } else { 5 });
            table.touch_text(&crowded(number), json("1"), 0, 10, &mut Vec::new());
        }
        for number in (1..1000).step_by(2) {
            table.write(&crowded(number), 0, 100);
        }
        table.begin_prune(50);
        let (mut gone, mut steps) = (0, 0);
        while table.has_steps() {
            steps += 1;
            drop(table.step(16));
            assert!(table.pruned.len() <= gone + 16);
            gone = table.pruned.len();
        }
        assert_eq!(table.pruned.len(), 500);
        assert!(steps > 500 / 16, "{steps}");
        // The work follows what came up: nothing does any more.
        table.begin_prune(99);
        assert_eq!(table.steps_of(1), 1);
    }

    #[test]
    fn what_a_prune_has_yet_to_remove_counts_and_is_never_found() {
        let start = || {
            let mut table = unlimited();
            for number in 0..100 {
                table.write(&crowded(number), 0, 10);
            }
            table.begin_prune(11);
            table.prune_step(30);
            table
        };
        assert_eq!((start().len(), start().ids().len(), start().list().len()), (70, 70, 70));
        let removed = &mut Vec::new();
        for number in 0..100 {
            assert!(!start().reads(&crowded(number), 11));
            let touched = start().touch_text(&crowded(number), json("{}"), 11, 20, removed);
            assert_eq!(touched, Touched::Missing);
        }
        let found: Vec<_> =
            (0..100).filter(|number| start().destroy(&crowded(*number), 0, removed)).collect();
        assert_eq!(found.len(), 70);
        assert_eq!(start().all(11, removed).len(), 0);
    }

    #[test]
    fn a_prune_spares_what_is_alive_by_a_clock_that_was_set_back() {
        type Use = fn(&mut Table, &Sid, Millis);
        let uses: [Use; 4] = [
            |table, sid, now| drop(table.write(sid, now, now + 10)),
            |table, sid, now| {
                let removed = &mut Vec::new();
                table.touch_text(sid, json("1"), now, now + 10, removed);
            },
            |table, sid, now| assert!(table.reads(sid, now)),
            |table, sid, now| {
                assert!(table.peek(sid, now, &mut Vec::new(), |_| ()).is_some());
            },
        ];
        for use_one in uses {
            let mut table = unlimited();
            for number in 0..200 {
                table.write(&crowded(number), 0, 60);
                table.touch_text(&crowded(number), json("1"), 0, 60, &mut Vec::new());
            }
            table.begin_prune(100);
            table.prune_step(3);
            use_one(&mut table, &crowded(199), 60);
            table.steps_of(7);
            assert_eq!((table.pruned.len(), table.len()), (3, 197));
            table.pruned.clear();
            assert_eq!(table.prune_all(60), []);
            assert_eq!(table.prune_all(1000).len(), 197);
        }
    }

    #[test]
    fn a_prune_by_an_earlier_clock_does_no_more_than_any_other() {
        let mut table = unlimited();
        for number in 0..1000 {
            table.write(&crowded(number), 0, 10);
        }
        for now in [2001, 2000, 2001, 1999] {
            table.begin_prune(now);
            table.prune_step(5);
        }
        assert_eq!(table.pruned.len(), 20);
        assert!(table.steps_of(5) >= 980 / 5);
        assert_eq!((table.pruned.len(), table.len()), (1000, 0));
        assert_eq!(table.stats().counters.prunes, 1, "each took the place of the one before");
    }

    #[test]
    fn a_later_prune_takes_over_from_the_one_under_way() {
        let mut table = unlimited();
        for number in 0..100 {
            table.write(&crowded(number), 0, 10);
            table.write(&crowded(100 + number), 0, 30);
        }
        table.begin_prune(20);
        table.prune_step(5);
        table.begin_prune(31);
        table.steps_of(5);
        assert_eq!((table.pruned.len(), table.len()), (200, 0));
    }

    #[test]
    fn clearing_ends_a_prune() {
        for keep_removed in [false, true] {
            let mut table = Table::new(Options { keep_removed, max: 500, ..Options::default() });
            for number in 0..300 {
                table.write(&crowded(number), 0, if number < 200 { 10 } else { NEVER });
            }
            table.begin_prune(11);
            table.prune_step(20);
            let cleared = table.clear(0).unwrap().into_removed();
            table.validate();
            assert!(!table.has_steps());
            assert_eq!((table.len(), table.pruned.len(), cleared.len()), (0, 20, 280));
            let is_sorted = |later: &Removed, earlier: &Removed| later.last_use > earlier.last_use;
            assert!(cleared.is_sorted_by(is_sorted), "most recently used first");

            table.pruned.clear();
            table.write(&crowded(1), 0, 5);
            table.prune_step(1);
            assert_eq!(table.len(), 1);
            assert_eq!(table.prune_all(6), [crowded(1)]);
        }
    }

    #[test]
    fn clearing_very_many_is_left_to_steps() {
        let count = CLEARED_AT_ONCE as u64 + 500;
        for keep_removed in [false, true] {
            let mut table = Table::new(Options { keep_removed, ..Options::default() });
            let removed = &mut Vec::new();
            for round in 0..2 {
                for number in 0..count {
                    let (sid, times) = (sid(round * count + number), (0, 10));
                    table.set(sid, json("{}"), Condition::None, times, removed).unwrap();
                }
                assert!(table.clear(0).is_none(), "though the first has not been swept");
                assert_eq!((table.len(), table.stats().bytes), (0, 0));
            }
            table.write(&sid(1), 0, NEVER);
            let (mut steps, mut parts, mut before) = (0, 0, 0);
            while table.has_steps() {
                parts += usize::from(table.step(100).is_some());
                steps += 1;
                assert!(table.pruned.len() <= before + 100);
                before = table.pruned.len();
            }
            assert!(steps > 20, "{steps}");
            let numbers: std::collections::HashSet<_> =
                table.pruned.iter().map(|one| one.sid.as_bytes().to_vec()).collect();
            let handed_out = if keep_removed { 2 * count } else { 0 };
            assert_eq!((numbers.len() as u64, table.pruned.len() as u64), (handed_out, handed_out));
            assert_eq!(parts, if keep_removed { 0 } else { 2 * 256 });
            assert_eq!((table.ids(), table.held()), (vec![sid(1)], 1));
        }
    }

    #[test]
    fn a_full_store_evicts_what_has_expired_first_where_a_prune_comes_to_it_soon() {
        let mut table = limited(200);
        for number in 0..200 {
            table.write(&crowded(number), 0, if number < 100 { NEVER } else { 10 });
        }
        table.begin_prune(11);
        for number in 200..300 {
            assert_eq!(table.write(&crowded(number), 11, NEVER), []);
        }
        assert_eq!(table.write(&crowded(300), 11, NEVER), [crowded(0)]);
        assert_eq!(table.len(), 200);
    }

    #[test]
    fn a_write_into_a_full_store_does_not_go_on_with_a_prune_for_long() {
        let mut table = limited(1000);
        for number in 0..1000 {
            table.write(&crowded(number), 0, 10);
            // All that the prune finds first are alive.
            let life = if number < 900 { 5000 } else { 10 };
            table.touch_text(&crowded(number), json("1"), 0, life, &mut Vec::new());
            table.write(&crowded(number), 0, life);
        }
        table.begin_prune(11);
        let come_up = |table: &Table| {
            let parts = table.parts.iter().flatten();
            parts.map(|part| part.tickets_before(11)).sum::<usize>()
        };
        let before = come_up(&table);
        assert_eq!(before, 1000);
        let removed = table.write(&sid(5000), 11, NEVER).len() + table.pruned.len();
        assert!(before - come_up(&table) <= TICKETS_BEFORE_EVICTION);
        assert!((1..=TICKETS_BEFORE_EVICTION).contains(&removed));
        assert!(table.len() <= 1000 && table.prune.is_some());
    }

    #[test]
    fn what_is_very_much_too_much_is_evicted_in_steps() {
        const MANY: usize = 4 * REMOVED_AT_ONCE;
        let each = cost_of(100);
        let mut table = budgeted(MANY * each);
        for number in 0..MANY as u64 {
            table.fill(&sid(number), 100).unwrap();
        }
        let large = length_in((MANY - 10) * each);
        let first = REMOVED_AT_ONCE as u64;
        assert_eq!(table.fill(&sid(9000), large), Ok(numbered(0..first)));
        assert!(table.is_busy() && table.stats().bytes > MANY * each);
        // Whoever comes next helps.
        assert_eq!(table.fill(&sid(first), 100), Ok(numbered(first + 1..=2 * first)));
        let mut steps = 0;
        while table.has_steps() {
            let before = table.len();
            drop(table.step(32));
            assert!(table.len() >= before - 32);
            steps += 1;
        }
        assert!(steps > 10, "{steps}");
        table.validate();
        let ids = table.ids();
        let left = numbered((0..MANY as u64).rev().take(ids.len() - 2));
        assert_eq!(ids, [vec![sid(first), sid(9000)], left].concat());
        assert!(table.stats().bytes <= MANY * each);
        assert!(table.stats().bytes > (MANY - 1) * each, "and no more than that");
        let evicted = MANY + 1 - ids.len();
        assert_eq!(table.stats().counters.evictions_by_bytes, evicted as u64);
        assert_eq!(table.pruned.len(), evicted - 2 * REMOVED_AT_ONCE, "for who disposes of it");
    }

    #[test]
    fn tickets_do_not_pile_up_over_all_parts() {
        let mut table = unlimited();
        let mut most = 0;
        for step in 0..20_000_u32 {
            let sid = sid(u64::from(step % 1024));
            let now = Millis::from(step);
            let mut removed = Vec::new();
            match step / 1024 % 3 {
                0 => table
                    .set(sid, json("{}"), Condition::None, (now, now + 5000), &mut removed)
                    .map(drop)
                    .unwrap(),
                1 => table
                    .set(sid, json("{}"), Condition::None, (now, now + 3000), &mut removed)
                    .map(drop)
                    .unwrap(),
                _ => drop(table.destroy(&sid, 0, &mut removed)),
            }
            most = most.max(table.tickets());
        }
        table.validate();
        assert!(most <= 2 * 1024 + 64 * PARTS, "{most}");
        table.prune_all(Millis::MAX);
        assert_eq!(table.tickets(), 0);
    }

    #[test]
    fn sids_that_share_a_hash_are_separate_and_none_is_removed_alive() {
        // Whichever of the two a look-up by hash finds, whichever was written first.
        for (first, second) in [("one", "other"), ("other", "one")] {
            for expires in [[10, 30], [30, 10], [10, NEVER], [NEVER, 10], [10, 10]] {
                let mut table = unlimited();
                let pair = [first, second].map(|bytes| Sid::with_hash(bytes.as_bytes(), 7));
                for (sid, expires) in pair.iter().zip(expires) {
                    table
                        .set(
                            sid.clone(),
                            json("{}"),
                            Condition::None,
                            (0, expires),
                            &mut Vec::new(),
                        )
                        .unwrap();
                }
                for now in [9, 10, 11, 29, 30] {
                    table.begin_prune(now);
                    table.prune_step(usize::MAX);
                    for (sid, expires) in pair.iter().zip(expires) {
                        let is_held = table.ids().contains(sid);
                        assert!(is_held || expires < now, "{sid:?} at {now}");
                    }
                }
                for (sid, expires) in pair.iter().zip(expires) {
                    let found = table.get(sid, 30, &mut Vec::new(), |_| ());
                    assert_eq!(found.is_some(), expires >= 30);
                }
                let left = expires.iter().filter(|expires| **expires >= 30).count();
                assert_eq!(table.len(), left, "an expired one goes when it is come across");
            }
        }
    }

    fn budgeted(max_bytes: usize) -> Table {
        Table::new(Options { max_bytes, ..Options::default() })
    }

    /// A session whose body has `length` bytes.
    fn body_of(length: usize) -> String {
        let frame = r#"{"a":"","cookie":0}"#.len();
        format!(r#"{{"a":"{}","cookie":0}}"#, "a".repeat(length - frame))
    }

    /// What a record takes that has a body of `length` bytes.
    fn cost_of(length: usize) -> usize {
        cost(&sid(0), allocated(length))
    }

    /// The length of the largest body for which there is room.
    fn length_in(room: usize) -> usize {
        let room = room - OVERHEAD;
        (1..=room).rfind(|length| allocated(*length) <= room).unwrap()
    }

    impl Table {
        /// Writes a body of `length` bytes that never expires.
        fn fill(&mut self, sid: &Sid, length: usize) -> Result<Vec<Sid>, Refused> {
            let mut removed = Vec::new();
            let body = body_of(length);
            let done =
                self.set(sid.clone(), json(&body), Condition::None, (0, NEVER), &mut removed);
            self.validate();
            done.map(|_| sids(removed))
        }

        /// Gives the session a cookie of `length` bytes.
        fn lengthen(&mut self, sid: &Sid, length: usize) -> (Touched, Vec<Sid>) {
            let mut removed = Vec::new();
            let cookie = "1".repeat(length);
            let touched = self.touch_text(sid, json(&cookie), 0, NEVER, &mut removed);
            self.validate();
            (touched, sids(removed))
        }

        fn body(&self, sid: &Sid) -> Option<Vec<u8>> {
            let part = self.parts[sid.hash().part(PARTS)].as_deref()?;
            let record = part.records().peek(sid)?;
            Some(record.body(&self.templates, 0).to_body().bytes().to_vec())
        }

        fn list(&self) -> Vec<Sid> {
            let mut listed = Vec::new();
            let mut index = 0;
            while self.list_part(index, &mut listed) {
                index += 1;
            }
            listed.sort_by_key(|(last_use, _)| Reverse(*last_use));
            listed.into_iter().map(|(_, sid)| sid).collect()
        }
    }

    #[test]
    fn bytes_are_those_of_what_is_held() {
        let mut table = unlimited();
        let one = sid(1);
        // The second is longer than the allocation at hand, the others fit or waste too much.
        for (length, held) in [(100, 100), (300, 300), (200, 300), (19, 19), (5000, 5000)] {
            table.fill(&one, length).unwrap();
            assert_eq!(table.stats().bytes, cost_of(held), "{length}");
        }
        table.fill(&sid(2), 100).unwrap();
        assert_eq!(table.stats().bytes, cost_of(5000) + cost_of(100));
        assert!(table.destroy(&one, 0, &mut Vec::new()));
        let remembered = table.destroyed_bytes();
        assert!(remembered > 0);
        assert_eq!(table.stats().bytes, remembered + cost_of(100));
        assert_eq!(table.lengthen(&sid(2), 51).0, Touched::Renewed);
        assert_eq!(table.stats().bytes, remembered + cost_of(150));
        assert_eq!(table.lengthen(&sid(2), 1).0, Touched::Renewed);
        assert_eq!(table.stats().bytes, remembered + cost_of(150), "it keeps its room");
        drop(table.clear(0));
        table.validate();
        assert_eq!(table.stats().bytes, 0);
    }

    #[test]
    fn bytes_are_right_after_every_way_out() {
        for keep_replaced in [false, true] {
            let mut table = Table::new(Options { max: 40, keep_replaced, ..Options::default() });
            let removed = &mut Vec::new();
            for number in 0..50 {
                table.write(&sid(number), 0, 10 + Millis::try_from(number).unwrap());
            }
            table.set(sid(49), json("{}"), Condition::None, (5, 4), removed).unwrap();
            table.validate();
            assert!(!table.reads(&sid(20), 31));
            table.all(32, removed);
            table.validate();
            table.prune_all(40);
            assert_eq!(table.len(), 19);
            assert_eq!(table.stats().bytes, 19 * cost(&sid(0), allocated(2)));
            table.prune_all(1000);
            assert_eq!(table.stats().bytes, 0);
        }
    }

    #[test]
    fn what_was_destroyed_is_forgotten_for_a_session_that_needs_its_room_and_not_before() {
        let max_bytes = cost_of(80_000);
        let destroying = || {
            let mut table = budgeted(max_bytes);
            for number in 0..20 {
                table.destroy(&sid(number), 0, &mut Vec::new());
            }
            table
        };
        let remembered = destroying().destroyed_bytes();
        assert!(remembered > 0);
        let mut table = destroying();
        assert_eq!(table.fill(&sid(100), 80_000), Ok(vec![]));
        assert_eq!((table.destroyed_bytes(), table.ids()), (0, vec![sid(100)]));

        let mut exact = budgeted(max_bytes + remembered);
        for number in 0..20 {
            exact.destroy(&sid(number), 0, &mut Vec::new());
        }
        assert_eq!(exact.fill(&sid(100), 80_000), Ok(vec![]));
        assert_eq!(exact.destroyed_bytes(), remembered, "there is just enough room for both");
    }

    #[test]
    fn odd_kinds_of_cookies_make_no_other_session_larger() {
        let session = |age: u64, number: u64| {
            let user = "u".repeat(50);
            format!(
                r#"{{"cookie":{{"originalMaxAge":{age},"expires":"2026-11-22T08:50:09.007Z","path":"/"}},"user":"{user}{number:06}"}}"#
            )
        };
        let taken = |odd_kinds: u64| {
            let mut table = unlimited();
            let removed = &mut Vec::new();
            let mut set = |table: &mut Table, number: u64, age: u64| {
                let body = session(age, number);
                table.set(sid(number), json(&body), Condition::None, (0, NEVER), removed).unwrap();
            };
            for odd in 0..odd_kinds {
                set(&mut table, odd, odd);
                set(&mut table, odd, odd);
            }
            // The first is told from those that are met once.
            set(&mut table, 1000, 86_400_000);
            let before = table.bytes;
            for number in 1001..2000 {
                set(&mut table, number, 86_400_000);
            }
            table.validate();
            let bytes = table.bytes - before;
            let templates = table.templates.bytes();
            drop(table.clear(0));
            assert_eq!(table.templates.bytes(), 0);
            (bytes, templates > 0)
        };
        let (ordinary, _) = taken(0);
        assert_eq!(taken(64), (ordinary, true));
        assert_eq!(taken(500), (ordinary, true));
    }

    #[test]
    fn templates_count_for_the_budget_beyond_those_that_are_always_kept() {
        let mut table = budgeted(100_000);
        let removed = &mut Vec::new();
        for number in 0..2000 {
            let path = format!("/{number}{}", "p".repeat(500));
            let body = format!(r#"{{"cookie":{{"path":"{path}"}},"n":1}}"#);
            for _ in 0..2 {
                table.set(sid(number), json(&body), Condition::None, (0, NEVER), removed).unwrap();
            }
            assert!(table.stats().bytes <= 100_000);
        }
        table.validate();
        assert!(table.templates.bytes() > 10_000);
        let mut read = Vec::new();
        table.get(&sid(1999), 0, removed, |body| body.write_to(&mut read)).unwrap();
        assert!(read.starts_with(br#"{"cookie":{"path":"/1999ppp"#));
    }

    #[test]
    fn an_empty_body_takes_nothing() {
        for keep_replaced in [false, true] {
            let mut table =
                Table::new(Options { max_bytes: 10_000, keep_replaced, ..Options::default() });
            let removed = &mut Vec::new();
            for text in ["", "{}", "", ""] {
                table.set(sid(1), json(text), Condition::None, (0, NEVER), removed).unwrap();
                table.validate();
            }
            assert!(table.destroy(&sid(1), 0, removed));
            assert_eq!(table.stats().bytes, table.destroyed_bytes());
        }
    }

    #[test]
    fn a_sid_that_does_not_fit_into_the_node_counts_too() {
        let mut table = budgeted(10_000);
        let bytes = [b's'; 200];
        let long = || Sid::with_hash(&bytes, 7);
        let removed = &mut Vec::new();
        for text in ["{}", r#"{"cookie":0}"#] {
            table.set(long(), json(text), Condition::None, (0, NEVER), removed).unwrap();
            table.validate();
            let taken = cost(&sid(0), allocated(text.len())) + allocated(200);
            assert_eq!(table.stats().bytes, taken);
        }
        table.touch_text(&long(), json("1"), 0, NEVER, removed);
        table.validate();
        assert!(table.destroy(&long(), 0, removed));
        table.validate();

        let needed = cost(&sid(0), allocated(2)) + allocated(200);
        for (max_bytes, done) in [(needed, Ok(())), (needed - 1, Err(Refused::TooLarge))] {
            let mut table = budgeted(max_bytes);
            let written = table.set(long(), json("{}"), Condition::None, (0, NEVER), removed);
            assert_eq!(written.map(drop), done);
            table.validate();
        }
    }

    #[test]
    fn eviction_by_bytes_is_by_least_recent_use_and_goes_only_as_far_as_needed() {
        let each = cost_of(100);
        let mut table = budgeted(10 * each);
        for number in 0..10 {
            assert_eq!(table.fill(&sid(number), 100), Ok(vec![]));
        }
        assert_eq!(table.stats().bytes, 10 * each, "to the last byte");
        assert!(table.reads(&sid(0), 0));
        assert_eq!(table.fill(&sid(10), 19), Ok(numbered([1])));
        // Room for this needs the room of three more, and of none beyond.
        let length = length_in(4 * each - cost_of(19));
        assert_eq!(table.fill(&sid(11), length), Ok(numbered([2, 3, 4])));
        assert_eq!(table.ids(), numbered([11, 10, 0, 9, 8, 7, 6, 5]));
        let counters = table.stats().counters;
        assert_eq!((counters.evictions_by_count, counters.evictions_by_bytes), (0, 4));
    }

    #[test]
    fn a_record_that_grows_evicts_others_and_never_itself() {
        let each = cost_of(100);
        let mut table = budgeted(4 * each);
        for number in 0..4 {
            table.fill(&sid(number), 100).unwrap();
        }
        // The least recently used one, by set and by touch.
        assert_eq!(table.fill(&sid(0), 120), Ok(numbered([1])));
        assert_eq!(table.fill(&sid(1), 19), Ok(vec![]));
        assert_eq!(table.lengthen(&sid(2), 200), (Touched::Renewed, numbered([3])));
        let length = length_in(4 * each) - 119;
        assert_eq!(table.lengthen(&sid(0), length), (Touched::Renewed, numbered([1, 2])));
        assert_eq!(table.ids(), [sid(0)]);
        assert_eq!(table.stats().counters.evictions_by_bytes, 4);
    }

    #[test]
    fn what_alone_is_too_large_is_refused_and_changes_nothing() {
        let max_bytes = cost_of(1024);
        let mut table = budgeted(max_bytes);
        table.fill(&sid(1), 100).unwrap();
        table.fill(&sid(2), 200).unwrap();
        table.write(&sid(3), 0, 10);
        table.begin_prune(11);
        let before = table.stats();
        for number in [1, 4] {
            assert_eq!(table.fill(&sid(number), 1025), Err(Refused::TooLarge));
        }
        assert_eq!(table.lengthen(&sid(1), 926), (Touched::NeedsRewrite, vec![]));
        assert_eq!(table.body(&sid(1)), Some(body_of(100).into_bytes()));
        let after = table.stats();
        assert_eq!((after.sessions, after.bytes), (before.sessions, before.bytes));
        assert_eq!(after.counters.touches, 0);
        assert!(table.has_steps());

        assert_eq!(table.lengthen(&sid(1), 925), (Touched::Renewed, numbered([2, 3])));
        assert_eq!(table.stats().bytes, max_bytes);
        assert_eq!(table.fill(&sid(2), 1024), Ok(numbered([1])));
    }

    #[test]
    fn a_shrunk_record_that_kept_its_room_grows_back_into_it() {
        let mut table = budgeted(cost_of(200));
        table.fill(&sid(1), 200).unwrap();
        table.fill(&sid(1), 150).unwrap();
        assert_eq!(table.stats().bytes, cost_of(200));
        assert_eq!(table.lengthen(&sid(1), 51), (Touched::Renewed, vec![]));
        assert_eq!(table.lengthen(&sid(1), 76).0, Touched::NeedsRewrite);
        assert_eq!(table.fill(&sid(1), 225), Err(Refused::TooLarge));
        assert_eq!(table.ids(), [sid(1)]);
    }

    #[test]
    fn both_limits_hold_together_and_each_eviction_has_one_cause() {
        let each = cost_of(100);
        let mut table = Table::new(Options { max: 5, max_bytes: 6 * each, ..Options::default() });
        for number in 0..5 {
            table.fill(&sid(number), 100).unwrap();
        }
        assert_eq!(table.fill(&sid(5), 100), Ok(numbered([0])), "one too many");
        let two_more = length_in(3 * each);
        assert_eq!(table.fill(&sid(6), two_more), Ok(numbered([1, 2])), "and too large");
        assert_eq!(table.fill(&sid(7), 100), Ok(numbered([3])), "too large only");
        let counters = table.stats().counters;
        assert_eq!((counters.evictions_by_count, counters.evictions_by_bytes), (2, 2));
    }

    #[test]
    fn a_peek_uses_nothing_and_neither_it_nor_a_fetch_counts() {
        let mut table = limited(3);
        let removed = &mut Vec::new();
        for number in 1..=3 {
            table.write(&sid(number), 0, 10);
        }
        assert_eq!(table.peek(&sid(1), 10, removed, |_| ()), Some(()));
        assert_eq!(table.peek(&sid(9), 10, removed, |_| ()), None);
        assert_eq!(table.ids(), numbered([3, 2, 1]));
        assert_eq!(table.fetch(&sid(1), 10, removed, |_| ()), Some(()));
        assert_eq!(table.ids(), numbered([1, 3, 2]));
        assert_eq!(table.peek(&sid(2), 11, removed, |_| ()), None);
        assert_eq!(table.fetch(&sid(3), 11, removed, |_| ()), None);
        table.validate();
        assert_eq!(sids(std::mem::take(removed)), numbered([2, 3]), "they had expired");
        let counters = table.stats().counters;
        assert_eq!((counters.hits, counters.misses, counters.expirations), (0, 0, 2));
    }

    #[test]
    fn every_removal_of_what_had_expired_counts_as_an_expiration_and_no_other_does() {
        let mut table = limited(10);
        let removed = &mut Vec::new();
        for number in 0..11 {
            table.write(&sid(number), 0, 10);
        }
        table.destroy(&sid(1), 0, removed);
        assert_eq!(table.stats().counters.expirations, 0);
        assert!(!table.reads(&sid(2), 11));
        table.touch_text(&sid(3), json("1"), 11, 99, removed);
        table.set(sid(4), json("{}"), Condition::None, (11, 10), removed).unwrap();
        assert_eq!(table.stats().counters.expirations, 3);
        table.begin_prune(11);
        assert!(!table.reads(&sid(5), 11));
        assert_eq!(table.prune_all(11).len(), 5);
        assert_eq!(table.stats().counters.expirations, 9);
        table.write(&sid(1), 0, 10);
        table.all(11, removed);
        let counters = table.stats().counters;
        assert_eq!((counters.expirations, counters.evictions_by_count), (10, 1));
    }

    #[test]
    fn a_prune_counts_once_it_has_ended() {
        let mut table = unlimited();
        table.prune_all(1);
        assert_eq!(table.stats().counters.prunes, 1, "also where there was nothing");
        for number in 0..10 {
            table.write(&crowded(number), 0, 10);
        }
        table.begin_prune(11);
        table.prune_step(5);
        assert_eq!(table.stats().counters.prunes, 1);
        table.steps_of(5);
        assert_eq!(table.stats().counters.prunes, 2);
        assert!(table.stats().counters.last_prune > std::time::Duration::ZERO);
    }

    #[test]
    fn listing_all_parts_gives_every_sid_once() {
        let mut table = unlimited();
        assert_eq!(table.list(), []);
        for number in 0..2000 {
            table.write(&sid(number), 0, if number % 2 == 0 { 10 } else { NEVER });
        }
        assert_eq!(table.list(), numbered((0..2000).rev()), "expired or not");
        table.prune_all(11);
        assert_eq!(table.list(), numbered((0..1000).rev().map(|half| 2 * half + 1)));
        assert!(!table.list_part(PARTS - 1, &mut Vec::new()));
        assert!(!table.list_part(PARTS, &mut Vec::new()));
    }

    #[test]
    fn sids_of_one_group_share_a_part_and_groups_do_not() {
        let parts: std::collections::HashSet<usize> =
            (0..256).map(|number| sid(number).hash().part(PARTS)).collect();
        assert_eq!(parts.len(), 256);
        for number in 0..256 {
            let part = sid(number).hash().part(PARTS);
            assert_eq!(sid(number + 256 * 77).hash().part(PARTS), part);
        }
    }
}
