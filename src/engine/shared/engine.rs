//! The contract of an engine, kept by transactions on the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use heed::Env;

use super::handle::SharedEngine;
use super::layout;
use super::listing::SidListing;
use super::lmdb::count_of;
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
use crate::engine::users::{Ended, Facts, Terms, User, Which};
use crate::session::{Base, Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::Sid;
use crate::time::{Millis, has_expired};

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

    fn note_refused(&self) {
        self.counters.lock().refused += 1;
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
        let sids = |sids: Vec<&[u8]>| sids.into_iter().map(|sid| self.sid(sid)).collect();
        Ok(self
            .reading(|snapshot| Ok(sids(snapshot.sessions.latest_first(snapshot.transaction)?)))?)
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(SidListing::new(&self)))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        Ok(self.list_all(now, removed)?)
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
