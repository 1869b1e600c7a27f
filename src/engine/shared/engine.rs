//! The contract of an engine, kept by transactions on the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use heed::Env;

use super::error;
use super::error::Attempt;
use super::eviction::STEP_FOR_PAGES;
use super::handle::SharedEngine;
use super::layout::{self, Head, State};
use super::listing::SidListing;
use super::lmdb::{Environment, Lmdb, count_of};
use super::open::NOTICING;
use super::schema::{Session, view};
use super::session::NewBody;
use super::space::Noted;
use super::users::{facts_of, user_named};
use super::writing::Writing;
use crate::engine::contract::{Durable, Engine, Listing};
use crate::engine::error::Result;
use crate::engine::rules::{Condition, Refused, Touch, Write};
use crate::engine::types::{Merged, NewCookie, Reading, Reason, Removed, Stats, Touched, Version};
use crate::engine::users::{Ended, Facts, Note, Terms, User, Which};
use crate::session::{Base, Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::Sid;
use crate::time::{Millis, has_expired};

/// What a reader found.
enum Found {
    Missing,
    Alive,
    /// Expired or damaged, so to be removed.
    Unusable,
}

impl SharedEngine {
    fn find(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> error::Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        let found = self.reading(|snapshot| {
            let (head, body) = match snapshot.sessions.get(snapshot.transaction, key)? {
                Session::Missing => return Ok(Found::Missing),
                Session::Damaged => return Ok(Found::Unusable),
                Session::Found(head, body) => (head, body),
            };
            if has_expired(head.due.expires, now) {
                return Ok(Found::Unusable);
            }
            let Some(view) = view(key, &head, &body, snapshot.state.version) else {
                return Ok(Found::Unusable);
            };
            read(view);
            Ok(Found::Alive)
        })?;
        match found {
            Found::Missing => Ok(false),
            Found::Alive => Ok(true),
            Found::Unusable => self.remove_unusable(key, now, removed, read),
        }
    }

    /// Removes a session that has expired or is damaged. Reads it first if the store is `stale`, or
    /// if another process has written it anew.
    fn remove_unusable(
        &self,
        key: &[u8],
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> error::Result<bool> {
        self.writing(key, 0, removed, |writing| {
            let Some(stored) = writing.find(key)? else {
                writing.discard(key)?;
                return Ok(false);
            };
            let session = writing.sessions.get(&writing.transaction, key)?;
            let view = match &session {
                Session::Found(head, body) => view(key, head, body, writing.state.version),
                Session::Missing | Session::Damaged => None,
            };
            let Some(view) = view else {
                writing.discard(key)?;
                return Ok(false);
            };
            let is_expired = stored.is_expired(now);
            let is_read = !is_expired || self.options.stale;
            if is_read {
                read(view);
            }
            if is_expired {
                writing.expire(key, &stored)?;
            }
            Ok(is_read)
        })
    }

    fn touch_session(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> error::Result<Touched> {
        let NewCookie::Text(cookie) = cookie else {
            return Ok(Touched::NeedsText);
        };
        self.backlog.lock().note_time(touch.now);
        let Some(key) = layout::key_of(sid) else {
            return Ok(Touched::Missing);
        };
        if self.options.touch_after > 0 && self.is_too_soon(key, touch, lifetime)? {
            return Ok(Touched::Renewed);
        }
        let touches = |writing: &mut Writing<'_>| writing.touch(key, cookie, touch, lifetime);
        self.writing(key, cookie.bytes.len(), removed, touches)
    }

    /// The length of the stored body: one merged with it may need as much more room.
    fn stored_length(&self, key: &[u8]) -> error::Result<usize> {
        self.reading(|snapshot| {
            let head = snapshot.sessions.heads.get(snapshot.transaction, key)?;
            let head = head.and_then(|head| Head::read(key, head));
            Ok(head.map_or(0, |head| head.cookie.len() + head.body as usize))
        })
    }

    /// Whether to skip a touch, decided without waiting for writers.
    fn is_too_soon(&self, key: &[u8], touch: Touch, lifetime: Millis) -> error::Result<bool> {
        let alive = self.alive(key, touch.now)?;
        Ok(alive.is_some_and(|(stored, note)| {
            let touch = note.map_or(touch, |note| touch.within(note, lifetime));
            self.options.is_too_soon(stored, touch.expires)
        }))
    }

    /// When a session expires, and its note; `None` if there is none, or if it has expired.
    fn alive(&self, key: &[u8], now: Millis) -> error::Result<Option<(Millis, Option<Note>)>> {
        self.reading(|snapshot| {
            let head = snapshot.sessions.heads.get(snapshot.transaction, key)?;
            let head = head.and_then(|head| Head::read(key, head));
            let head = head.filter(|head| !has_expired(head.due.expires, now));
            Ok(head.map(|head| (head.due.expires, head.note)))
        })
    }

    /// How many sessions there are, how many of them belong to somebody, and the state.
    fn sums(&self) -> error::Result<([usize; 2], State)> {
        self.reading(|snapshot| Ok(([snapshot.len()?, snapshot.owned()?], snapshot.state)))
    }

    /// Removes those of the sessions that have expired or are damaged.
    fn remove_all_unusable(
        &self,
        keys: &[Vec<u8>],
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> error::Result<()> {
        // They may be anywhere in the file, each on other pages.
        for keys in keys.chunks(STEP_FOR_PAGES) {
            self.writing(&[], 0, removed, |writing| {
                for key in keys {
                    match writing.find(key)? {
                        Some(stored) if stored.is_expired(now) => writing.expire(key, &stored)?,
                        Some(_) if writing.is_whole(key)? => {}
                        _ => writing.discard(key)?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl SharedEngine {
    pub(super) fn sync_by(&self, sync: impl FnOnce(&Environment) -> Lmdb<()>) -> error::Result<()> {
        self.clear_stale_readers()?;
        // Before it begins, so that what is written meanwhile counts.
        self.is_dirty.store(false, Ordering::Relaxed);
        self.files().and_then(|files| Ok(sync(&files.env)?)).map_err(|cause| {
            self.is_dirty.store(true, Ordering::Relaxed);
            self.error(Attempt::Sync, cause)
        })
    }
}

impl Engine for SharedEngine {
    fn sid(&self, bytes: &[u8]) -> Sid {
        Sid::new(bytes, &self.hasher)
    }

    /// Unmapping a large file takes milliseconds.
    fn takes_long_to_drop(&self) -> bool {
        true
    }

    /// Reading a session does not change its place in the order.
    fn read(
        &self,
        sid: &Sid,
        reading: Reading,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        let is_found = self.find(sid, now, removed, read)?;
        if reading == Reading::Get {
            let counters = &mut self.counters.lock();
            counters.hits += u64::from(is_found);
            counters.misses += u64::from(!is_found);
        }
        Ok(is_found)
    }

    fn is_alive(&self, sid: &Sid, now: Millis) -> Result<bool> {
        match layout::key_of(sid) {
            Some(key) => Ok(self.alive(key, now)?.is_some()),
            None => Ok(false),
        }
    }

    fn set_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>> {
        self.backlog.lock().note_time(times.0);
        let Some(key) = layout::key_of(&sid) else {
            return Ok(Err(Refused::Sid));
        };
        let write = Write { condition, now: times.0, expires: times.1, terms };
        let new = NewBody::new(body);
        if !new.fits(key, &self.limits()?, Noted::at_most(&self.options)) {
            return Ok(Err(Refused::TooLarge));
        }
        if terms.most < usize::MAX {
            self.finish_index()?;
        }
        Ok(self.writing(key, new.len(), removed, |writing| writing.set(key, &new, write))?)
    }

    fn merge_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        base: (Base<'_>, Version),
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Merged, Refused>> {
        self.backlog.lock().note_time(times.0);
        let Some(key) = layout::key_of(&sid) else {
            return Ok(Err(Refused::Sid));
        };
        if terms.most < usize::MAX {
            self.finish_index()?;
        }
        let size = body.bytes.len() + self.stored_length(key)?;
        let merge = |writing: &mut Writing<'_>| writing.merge(key, body, base, times, terms);
        Ok(self.writing(key, size, removed, merge)?)
    }

    fn merge_cookie_within(
        &self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        times: (Millis, Millis),
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        self.backlog.lock().note_time(times.0);
        let Some(key) = layout::key_of(sid) else {
            return Ok(Touched::Missing);
        };
        let size = cookie.bytes.len() + self.stored_length(key)?;
        let merge =
            |writing: &mut Writing<'_>| writing.merge_cookie(key, cookie, base, times, lifetime);
        Ok(self.writing(key, size, removed, merge)?)
    }

    fn note_merge(&self) {
        self.counters.lock().merges += 1;
    }

    fn touch_within(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        Ok(self.touch_session(sid, cookie, touch, lifetime, removed)?)
    }

    fn info(
        &self,
        sid: &Sid,
        now: Millis,
        read: &mut dyn FnMut(&Facts, BodyView<'_>),
    ) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        let page = self.limits()?.page;
        Ok(self.reading(|snapshot| {
            let session = snapshot.sessions.get(snapshot.transaction, key)?;
            let Session::Found(head, body) = &session else {
                return Ok(false);
            };
            let view = view(key, head, body, snapshot.state.version);
            let alive = view.filter(|_| !has_expired(head.due.expires, now));
            let Some(view) = alive else {
                return Ok(false);
            };
            read(&facts_of(key, head, page), view);
            Ok(true)
        })?)
    }

    fn user(&self, text: &[u8]) -> User {
        user_named(text)
    }

    fn index_some(&self) -> Result<bool> {
        Ok(!self.is_indexed.load(Ordering::Relaxed) && self.index_a_little()?)
    }

    fn sessions_of(
        &self,
        user: User,
        after: Option<&Sid>,
        now: Millis,
        read: &mut dyn FnMut(&Sid, &Facts, BodyView<'_>),
    ) -> Result<Option<Sid>> {
        self.finish_index()?;
        let page = self.limits()?.page;
        let after = after.and_then(layout::key_of);
        let mut read = |key: &[u8], facts: &Facts, view: BodyView<'_>| {
            read(&self.sid(key), facts, view);
        };
        let after =
            self.reading(|snapshot| snapshot.sessions_of(user, after, (now, page), &mut read))?;
        Ok(after.map(|key| self.sid(&key)))
    }

    fn destroy_user(
        &self,
        user: User,
        which: Which<'_>,
        after: Option<&Sid>,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Ended> {
        self.finish_index()?;
        let after = after.and_then(layout::key_of);
        let destroys = |writing: &mut Writing<'_>| writing.destroy_user(user, which, after, now);
        Ok(self.writing(&[], 0, removed, destroys)?)
    }

    /// None: a template would have to be known to all processes.
    fn template(&self, _: &[u8]) -> Option<TemplateHandle> {
        None
    }

    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        Ok(self.writing(&[], 0, removed, |writing| writing.destroy(key, now))?)
    }

    fn discard(&self, sid: &Sid, removed: &mut Vec<Removed>) -> Result<()> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(());
        };
        Ok(self.writing(&[], 0, removed, |writing| writing.discard(key))?)
    }

    fn length(&self) -> Result<usize> {
        Ok(self.sums()?.0[0])
    }

    fn stats(&self) -> Result<Stats> {
        let ([sessions, owned], state) = self.sums()?;
        let bytes = count_of(state.bytes.saturating_add(state.tombstone_bytes));
        let anonymous = (self.options.user != 0).then(|| sessions.saturating_sub(owned));
        Ok(Stats { sessions, bytes, anonymous, counters: *self.counters.lock() })
    }

    fn ids(&self) -> Result<Vec<Sid>> {
        Ok(self
            .reading(|snapshot| snapshot.latest_first()?.map(|sid| Ok(self.sid(sid?))).collect())?)
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(SidListing::new(&self)))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        let (listed, over) = self.reading(|snapshot| {
            let (mut listed, mut over) = (Vec::new(), Vec::new());
            for key in snapshot.latest_first()? {
                let key = key?;
                let session = snapshot.sessions.get(snapshot.transaction, key)?;
                let found = match &session {
                    Session::Found(head, body) => {
                        view(key, head, body, 0).map(|view| (view, head.due.expires))
                    }
                    Session::Missing | Session::Damaged => None,
                };
                if found.is_none_or(|(_, expires)| has_expired(expires, now)) {
                    over.push(key.to_vec());
                }
                let is_listed = |expires| !has_expired(expires, now) || self.options.stale;
                if let Some((view, _)) = found.filter(|(_, expires)| is_listed(*expires)) {
                    listed.push((self.sid(key), view.to_body()));
                }
            }
            Ok((listed, over))
        })?;
        self.remove_all_unusable(&over, now, removed)?;
        Ok(listed)
    }

    fn clear_for(&self, _: Reason, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        if self.writing(&[], 0, removed, |writing| writing.clear(now))? {
            self.backlog.lock().sweep_later();
        }
        Ok(())
    }

    fn begin_prune(&self, now: Millis) -> Result<()> {
        Ok(self.prune_now(now)?)
    }

    fn is_busy(&self) -> Result<bool> {
        Ok(self.backlog.lock().is_busy()?)
    }

    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        self.backlog.lock().take_pruned(limit, removed)
    }

    fn durable(&self) -> Option<&dyn Durable> {
        Some(self)
    }

    #[cfg(test)]
    fn validate(&self) {
        self.validate();
    }
}

impl Durable for SharedEngine {
    fn is_dirty(&self) -> bool {
        self.is_dirty.load(Ordering::Relaxed)
    }

    /// Also releases the pages that dead readers hold, without which the file would grow.
    fn sync(&self) -> Result<()> {
        Ok(self.sync_by(Env::force_sync)?)
    }

    fn is_replaced(&self) -> bool {
        self.is_file_replaced()
    }

    fn follow(&self) -> Result<()> {
        Ok(self.follow_files(NOTICING)?)
    }

    fn take_notice(&self) -> Option<String> {
        self.notices.lock().pop_front()
    }
}
