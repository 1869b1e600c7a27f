//! A model of the rules that is as plain as possible: one list of sessions, one of tombstones.
//!
//! Shards, expiry queues, trees and transactions must not be visible from outside, so the model has
//! none. [`Ways`] has what engines may do in different ways.

use std::collections::HashSet;

use super::sessions::{Gone, Session, body_ref, user_of, with_cookie};
use crate::engine::tombstones::{REMEMBERED, SHARE};
use crate::engine::{
    Base, Condition, Counters, Options, Reading, Reason, Refused, SortKey, Touch, Touched, Version,
};
use crate::session::{Body, merge};
use crate::time::Millis;

/// A session in the model.
pub(in crate::engine) struct Entry {
    pub(in crate::engine) sid: u32,
    body: String,
    /// Whose it is, if the engine knows.
    owner: Option<String>,
    pub(in crate::engine) expires: Millis,
    /// The number of the last operation that changed more than the cookie's time.
    version: Version,
    /// The numbers of the last use, and of the last write or touch.
    used: u64,
    written: u64,
    /// Whether the engine keeps the cookie apart.
    is_cut: bool,
    /// What the engine's record takes.
    cost: usize,
}

impl Entry {
    fn stored(&self) -> merge::Stored {
        merge::Stored { body: Body::new(body_ref(&self.body)), expires: self.expires }
    }
}

struct Tombstone {
    sid: u32,
    version: Version,
    at: Millis,
}

/// In what order sessions are listed. The last is evicted first, but those of users after all
/// others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Order {
    Use,
    Expiry,
}

/// In what engines differ.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a difference of its own")]
pub(in crate::engine) struct Ways {
    pub(in crate::engine) order: Order,
    /// Whether a prune's time is set back by reads too.
    pub(in crate::engine) reads_set_prunes_back: bool,
    /// Whether `clear` ends a prune.
    pub(in crate::engine) clear_ends_prunes: bool,
    /// Whether a cookie that a touch gives as text is kept apart from then on.
    pub(in crate::engine) cuts_text: bool,
    /// Whether a session that does not fit beside the tombstones has all of them forgotten at once,
    /// rather than one by one after all other sessions are evicted.
    pub(in crate::engine) forgets_all_for_room: bool,
    /// Whether a sid that is destroyed again has two tombstones.
    pub(in crate::engine) repeats_tombstones: bool,
    /// Whether making tombstones in `clear` forgets old ones.
    pub(in crate::engine) forgets_in_clear: bool,
    /// How many old tombstones an operation forgets.
    pub(in crate::engine) forgotten_at_once: usize,
    /// What an index of users takes for each session that is somebody's.
    pub(in crate::engine) cost_of_owner: usize,
    /// What a tombstone of this sid takes.
    pub(in crate::engine) tombstone_cost: fn(u32) -> usize,
}

/// What the model asks of the engine that it is compared with: how large things are.
pub(in crate::engine) trait Sizes {
    /// What a session takes that was just written.
    fn cost(&self, sid: u32, body: &str, is_cut: bool) -> usize;

    /// What a session takes that is written to an empty store.
    fn alone(&self, sid: u32, body: &str) -> usize;

    /// What is kept once for many sessions, after the operation.
    fn forms(&self) -> usize {
        0
    }

    /// Whether there is room for a session whose cookie a touch has replaced.
    fn fits_in_place(&self, model: &Model, touched: (u32, &str), cookie: Cookie<'_>) -> bool;
}

/// The cookie of a touch.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Cookie<'a> {
    pub(in crate::engine) text: &'a str,
    /// Whether the engine is given its template rather than its text.
    pub(in crate::engine) is_template: bool,
}

/// The rules.
pub(in crate::engine) struct Model {
    ways: Ways,
    pub(in crate::engine) options: Options,
    pub(in crate::engine) now: Millis,
    /// In no order.
    pub(in crate::engine) entries: Vec<Entry>,
    /// What is kept once for many of them takes.
    forms: usize,
    /// How many operations there have been.
    pub(in crate::engine) turns: u64,
    /// The earliest comes first.
    tombstones: Vec<Tombstone>,
    forgotten: Version,
    cleared: Version,
    /// The time of the prune that is under way.
    pub(in crate::engine) prune: Option<Millis>,
    /// The sids that are there, or that the operation has removed: the prune under way may have
    /// removed others. `None` if it has not.
    pub(in crate::engine) seen: Option<HashSet<u32>>,
    /// What was removed in steps and nobody has taken.
    pub(in crate::engine) pruned: Vec<Gone>,
    pub(in crate::engine) counters: Counters,
}

impl Model {
    pub(in crate::engine) fn new(ways: Ways, options: Options, now: Millis) -> Self {
        Self {
            ways,
            options,
            now,
            entries: Vec::new(),
            forms: 0,
            turns: 0,
            tombstones: Vec::new(),
            forgotten: 0,
            cleared: 0,
            prune: None,
            seen: None,
            pruned: Vec::new(),
            counters: Counters::default(),
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    fn position(&self, sid: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.sid == sid)
    }

    pub(in crate::engine) fn alive(&self, sid: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.sid == sid && self.now <= entry.expires)
    }

    fn sort_key(&self, entry: &Entry) -> SortKey {
        match self.ways.order {
            Order::Use => (0, entry.used),
            Order::Expiry => (entry.expires, entry.written),
        }
    }

    /// The entries, the one that would be evicted last first.
    fn in_order(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(self.sort_key(entry)));
        entries
    }

    pub(in crate::engine) fn ids(&self) -> Vec<u32> {
        self.in_order().iter().map(|entry| entry.sid).collect()
    }

    /// The sids of what has expired by `now`, in the order of [`Self::ids`].
    pub(in crate::engine) fn expired(&self, now: Millis) -> Vec<u32> {
        let expired = self.in_order().into_iter().filter(|entry| now > entry.expires);
        expired.map(|entry| entry.sid).collect()
    }

    pub(in crate::engine) fn bytes(&self) -> usize {
        let owned = self.entries.iter().filter(|entry| entry.owner.is_some()).count();
        let index = owned * self.ways.cost_of_owner;
        let forms = if self.entries.len() > 1 { self.forms } else { 0 };
        let entries = self.entries.iter().map(|one| one.cost).sum::<usize>();
        index + self.tombstone_bytes() + forms + entries
    }

    /// How many sessions are nobody's, if the engine knows.
    pub(in crate::engine) fn anonymous(&self) -> Option<usize> {
        let anonymous = self.entries.iter().filter(|entry| entry.owner.is_none());
        (self.options.user != 0).then(|| anonymous.count())
    }

    /// Smaller is evicted first.
    fn eviction_key(&self, entry: &Entry) -> (bool, SortKey) {
        let is_kept = entry.owner.is_some() && self.options.anonymous_first;
        (is_kept, self.sort_key(entry))
    }

    fn remove(&mut self, sid: u32, reason: Reason) -> Option<Gone> {
        let entry = self.entries.swap_remove(self.position(sid)?);
        Some((sid, entry.body, reason))
    }

    /// Removes a session that is there.
    pub(in crate::engine) fn expire(&mut self, sid: u32) -> Gone {
        self.counters.expirations += 1;
        self.remove(sid, Reason::Expired).expect("it is there")
    }

    /// Keeps what is alive now from the prune that is under way.
    pub(in crate::engine) fn note_time(&mut self, is_read: bool) {
        if !is_read || self.ways.reads_set_prunes_back {
            self.prune = self.prune.map(|now| now.min(self.now));
        }
    }

    /// Returns the body that is found, and when it expires.
    pub(in crate::engine) fn read(
        &mut self,
        sid: u32,
        reading: Reading,
        removed: &mut Vec<Gone>,
    ) -> Option<(String, Millis)> {
        self.note_time(true);
        let found = self.find(sid, removed);
        if reading != Reading::Peek
            && let Some(at) = self.position(sid)
        {
            self.entries[at].used = self.next_turn();
        }
        if reading == Reading::Get {
            self.counters.hits += u64::from(found.is_some());
            self.counters.misses += u64::from(found.is_none());
        }
        found
    }

    fn find(&mut self, sid: u32, removed: &mut Vec<Gone>) -> Option<(String, Millis)> {
        let entry = &self.entries[self.position(sid)?];
        let (found, is_alive) = ((entry.body.clone(), entry.expires), self.now <= entry.expires);
        if !is_alive {
            removed.push(self.expire(sid));
        }
        (is_alive || self.options.stale).then_some(found)
    }

    /// Whether a session may be written in place of what is stored.
    fn check(
        &self,
        (sid, body): (u32, &str),
        condition: Condition,
        expires: Millis,
    ) -> Result<(), Refused> {
        let tombstone = self.tombstones.iter().rfind(|tombstone| tombstone.sid == sid);
        if self.options.destroyed_is_final && tombstone.is_some_and(|one| !self.is_over(one)) {
            return Err(Refused::Destroyed);
        }
        let (read, expected) = match condition {
            Condition::None => return Ok(()),
            Condition::NotDestroyed { read } => (read, Version::MAX),
            Condition::Unchanged { read, expected } => (read, expected),
            Condition::Touch { read, .. } => (read, read),
        };
        let stored = self.alive(sid);
        let is_gone_and_forgotten = stored.is_none() && read < self.forgotten;
        if read < self.cleared
            || is_gone_and_forgotten
            || tombstone.is_some_and(|one| read < one.version)
        {
            return Err(Refused::Destroyed);
        }
        let Some(stored) = stored else {
            let is_missing = matches!(condition, Condition::Touch { .. }) && !self.options.stale;
            return if is_missing { Err(Refused::Missing) } else { Ok(()) };
        };
        if stored.version > expected {
            return Err(Refused::Changed);
        }
        match condition {
            Condition::Unchanged { .. } if expected <= read => {
                let has_later_cookie = stored.is_cut && is_later(&stored.body, body);
                let is_shorter = expires < stored.expires || has_later_cookie;
                if is_shorter { Err(Refused::Changed) } else { Ok(()) }
            }
            Condition::Touch { .. } if self.options.is_too_soon(stored.expires, expires) => {
                Err(Refused::TooSoon)
            }
            _ => Ok(()),
        }
    }

    pub(in crate::engine) fn set(
        &mut self,
        sizes: &impl Sizes,
        session: Session,
        condition: Condition,
        expires: Millis,
        removed: &mut Vec<Gone>,
    ) -> Result<Version, Refused> {
        self.note_time(false);
        let is_touch = matches!(condition, Condition::Touch { .. });
        let done = self.write(sizes, session, condition, expires, removed);
        match done {
            Ok(_) if is_touch => self.counters.touches += 1,
            Ok(_) => self.counters.sets += 1,
            Err(Refused::Destroyed) if !is_touch => self.counters.refused += 1,
            Err(_) => {}
        }
        done
    }

    fn write(
        &mut self,
        sizes: &impl Sizes,
        (sid, body): Session,
        condition: Condition,
        expires: Millis,
        removed: &mut Vec<Gone>,
    ) -> Result<Version, Refused> {
        self.forms = sizes.forms();
        let is_limited = self.options.max_bytes < usize::MAX;
        let size = if is_limited { sizes.alone(sid, &body) } else { 0 };
        if size > self.options.max_bytes {
            return Err(Refused::TooLarge);
        }
        self.forget_old();
        let turn = self.next_turn();
        if let Some(at) = self.position(sid) {
            self.entries[at].used = turn;
        }
        self.check((sid, &body), condition, expires)?;
        if self.options.max == 0 {
            removed.push((sid, body, Reason::Evicted));
            return Ok(turn);
        }
        if self.ways.forgets_all_for_room && self.tombstone_bytes() + size > self.options.max_bytes
        {
            while self.forget_first() {}
        }
        let old = self.position(sid).map(|at| self.entries.swap_remove(at));
        let version = match (condition, &old) {
            (Condition::Touch { is_change: false, .. }, Some(old)) => old.version,
            _ => turn,
        };
        let is_cut = body.starts_with(r#"{"cookie":{"#);
        let cost = sizes.cost(sid, &body, is_cut);
        let (used, written) = (turn, turn);
        let owner = user_of(&body).filter(|_| self.options.user != 0).map(str::to_owned);
        self.entries.push(Entry {
            sid,
            body,
            owner,
            expires,
            version,
            used,
            written,
            is_cut,
            cost,
        });
        if let Some(old) = old {
            if self.options.keep_replaced {
                removed.push((sid, old.body, Reason::Replaced));
            }
            self.settle(sid, removed);
        }
        self.evict(Some(sid), removed);
        Ok(turn)
    }

    /// Removes what was overwritten by something that has already expired.
    fn settle(&mut self, sid: u32, removed: &mut Vec<Gone>) {
        if self.alive(sid).is_none() {
            removed.push(self.expire(sid));
        }
    }

    /// As [`Self::set`], of the session `base` that was read at the version `read`. Returns also
    /// whether another request's changes were merged into it.
    pub(in crate::engine) fn merge(
        &mut self,
        sizes: &impl Sizes,
        (sid, body): (u32, &str),
        (base, read): (Base<'_>, Version),
        expires: Millis,
        removed: &mut Vec<Gone>,
    ) -> Result<(Version, bool), Refused> {
        let theirs = self.alive(sid).map(Entry::stored);
        let resolved = merge::resolve(&base, theirs.as_ref(), body.as_bytes(), expires);
        let (text, is_merged) = (resolved.body().bytes.to_vec(), resolved.is_merged);
        let session = (sid, String::from_utf8(text).expect("merged texts are text"));
        let condition = Condition::NotDestroyed { read };
        let version = self.set(sizes, session, condition, resolved.expires, removed)?;
        self.counters.merges += u64::from(is_merged);
        Ok((version, is_merged))
    }

    pub(in crate::engine) fn touch(
        &mut self,
        sizes: &impl Sizes,
        (sid, cookie): (u32, Cookie<'_>),
        touch: Touch,
        removed: &mut Vec<Gone>,
    ) -> Touched {
        self.note_time(false);
        let Some(at) = self.position(sid) else {
            return Touched::Missing;
        };
        let turn = self.next_turn();
        let entry = &mut self.entries[at];
        entry.used = turn;
        if self.now > entry.expires {
            if self.options.stale {
                return Touched::NeedsRewrite;
            }
            removed.push(self.expire(sid));
            return Touched::Missing;
        }
        if self.options.is_too_soon(entry.expires, touch.expires) {
            return Touched::Renewed;
        }
        let Some(body) = with_cookie(&entry.body, cookie.text) else {
            return Touched::NeedsRewrite;
        };
        let is_renewed = match (time_of(&entry.body), time_of(&body)) {
            (Some(old), Some(new)) => old <= new,
            _ => false,
        };
        if touch.is_renewal && (touch.expires < entry.expires || !is_renewed)
            || !sizes.fits_in_place(self, (sid, &body), cookie)
        {
            return Touched::NeedsRewrite;
        }
        let is_cut = cookie.is_template || self.ways.cuts_text;
        let entry = &mut self.entries[at];
        entry.cost = sizes.cost(sid, &body, is_cut);
        entry.version = if is_renewed { entry.version } else { turn };
        entry.body = body;
        entry.expires = touch.expires;
        entry.written = turn;
        entry.is_cut = is_cut;
        self.counters.touches += 1;
        self.settle(sid, removed);
        self.evict(Some(sid), removed);
        Touched::Renewed
    }

    /// As [`Self::touch`], of the session `base` that was read.
    pub(in crate::engine) fn merge_cookie(
        &mut self,
        sizes: &impl Sizes,
        (sid, cookie): (u32, &str),
        base: Base<'_>,
        expires: Millis,
        removed: &mut Vec<Gone>,
    ) -> Touched {
        self.note_time(false);
        let theirs = self.alive(sid).map(Entry::stored);
        let merged = theirs
            .and_then(|theirs| merge::resolve_cookie(&base, &theirs, cookie.as_bytes(), expires));
        let Some(merged) = merged else {
            return Touched::NeedsRewrite;
        };
        let text = str::from_utf8(merged.body().bytes).expect("merged texts are text");
        let touch = Touch { now: self.now, expires: merged.expires, is_renewal: false };
        self.touch(sizes, (sid, Cookie { text, is_template: false }), touch, removed)
    }

    pub(in crate::engine) fn destroy(&mut self, sid: u32, removed: &mut Vec<Gone>) -> bool {
        let version = self.next_turn();
        self.remember(sid, version);
        self.forget_old();
        while self.tombstone_bytes() > self.options.max_bytes / SHARE && self.forget_first() {}
        let gone = self.remove(sid, Reason::Destroyed);
        let is_found = gone.is_some();
        removed.extend(gone);
        self.evict(None, removed);
        is_found
    }

    pub(in crate::engine) fn discard(&mut self, sid: u32) {
        self.remove(sid, Reason::Evicted);
    }

    pub(in crate::engine) fn all(&mut self, removed: &mut Vec<Gone>) -> Vec<Session> {
        self.note_time(true);
        let mut listed = self.in_order();
        listed.retain(|entry| self.options.stale || self.now <= entry.expires);
        let listed = listed.iter().map(|entry| (entry.sid, entry.body.clone())).collect();
        for sid in self.expired(self.now) {
            removed.push(self.expire(sid));
        }
        listed
    }

    /// Returns what was there, in order.
    pub(in crate::engine) fn clear(&mut self) -> Vec<Gone> {
        self.cleared = self.next_turn();
        self.forms = 0;
        let sids = self.ids();
        if self.options.destroyed_is_final {
            for sid in &sids {
                self.remember(*sid, self.cleared);
                if self.ways.forgets_in_clear {
                    self.forget_old();
                }
            }
        } else {
            self.tombstones.clear();
        }
        if self.ways.clear_ends_prunes {
            self.prune = None;
        }
        sids.iter().filter_map(|sid| self.remove(*sid, Reason::Cleared)).collect()
    }

    /// Removes what the prune under way has removed.
    pub(in crate::engine) fn absorb_prune(&mut self) {
        let (Some(now), Some(seen)) = (self.prune, self.seen.take()) else {
            return;
        };
        let is_gone = |entry: &&Entry| now > entry.expires && !seen.contains(&entry.sid);
        let gone: Vec<u32> = self.entries.iter().filter(is_gone).map(|entry| entry.sid).collect();
        for sid in gone {
            let gone = self.expire(sid);
            self.pruned.push(gone);
        }
        self.seen = Some(seen);
    }

    fn evict(&mut self, written: Option<u32>, removed: &mut Vec<Gone>) {
        self.absorb_prune();
        let kept = written.filter(|_| self.ways.order == Order::Expiry);
        loop {
            let is_by_count = self.entries.len() > self.options.max;
            if !is_by_count && self.bytes() <= self.options.max_bytes {
                return;
            }
            let others = self.entries.iter().filter(|entry| Some(entry.sid) != kept);
            let mut last = others.min_by_key(|entry| self.eviction_key(entry));
            if self.options.evicts_anonymous_first() && last.is_some_and(|it| it.owner.is_some()) {
                let written = self.entries.iter().find(|entry| Some(entry.sid) == kept);
                last = written.filter(|written| written.owner.is_none()).or(last);
            }
            let Some(last) = last else {
                while self.bytes() > self.options.max_bytes && self.forget_first() {}
                return;
            };
            let (sid, is_owned) = (last.sid, last.owner.is_some());
            if is_by_count {
                self.counters.evictions_by_count += 1;
            } else {
                self.counters.evictions_by_bytes += 1;
            }
            self.counters.evictions_of_users += u64::from(is_owned);
            removed.extend(self.remove(sid, Reason::Evicted));
        }
    }

    pub(in crate::engine) fn tombstone_bytes(&self) -> usize {
        self.tombstones.iter().map(|one| (self.ways.tombstone_cost)(one.sid)).sum()
    }

    fn is_over(&self, tombstone: &Tombstone) -> bool {
        (self.now - tombstone.at).abs() > REMEMBERED
    }

    fn remember(&mut self, sid: u32, version: Version) {
        if !self.ways.repeats_tombstones {
            self.tombstones.retain(|other| other.sid != sid);
        }
        self.tombstones.push(Tombstone { sid, version, at: self.now });
    }

    fn forget_old(&mut self) {
        for _ in 0..self.ways.forgotten_at_once {
            if self.tombstones.first().is_none_or(|first| !self.is_over(first)) {
                return;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> bool {
        if self.tombstones.is_empty() {
            return false;
        }
        self.forgotten = self.forgotten.max(self.tombstones.remove(0).version);
        true
    }
}

/// The text of the cookie in a body of [`new_body`](super::sessions::new_body).
pub(in crate::engine) fn cookie_of(body: &str) -> &str {
    let Some((_, rest)) = body.split_once(r#""cookie":"#) else {
        return "";
    };
    &rest[..rest.find(r#","n":"#).unwrap_or(rest.len() - 1)]
}

/// The time in a [`timed`](super::sessions::timed) cookie, as text that sorts by it.
fn time_of(body: &str) -> Option<&str> {
    cookie_of(body).strip_prefix(r#"{"expires":""#)
}

/// Whether the cookie of `stored` expires later than that of `new`, which is written with its
/// cookie first.
fn is_later(stored: &str, new: &str) -> bool {
    let new = Some(new).filter(|new| new.starts_with(r#"{"cookie":{"#)).and_then(time_of);
    matches!((time_of(stored), new), (Some(old), Some(new)) if new < old)
}
