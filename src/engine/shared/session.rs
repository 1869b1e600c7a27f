//! Writing one session, whole or its cookie alone.

use super::body::{Owner, read_body, write_body};
use super::head::{Cookie, Head, MAX_COOKIE};
use super::layout::Due;
use super::lmdb::Lmdb;
use super::schema::{Session, view};
use super::space::{Limits, Noted};
use super::writing::{BodyIs, Stored, Writing};
use crate::engine::rules::{Alive, Condition, Refused, Touch, Write};
use crate::engine::types::{Merged, Reason, Touched, Version};
use crate::engine::users::{Claim, Note, Terms};
use crate::session::cookie::{cut_text, is_renewal};
use crate::session::{Base, Body, BodyRef, Encoding};
use crate::session::{json, merge};
use crate::time::{Millis, has_expired};

/// A body to store, its cookie apart if possible.
#[derive(Clone, Copy)]
pub(super) struct NewBody<'a> {
    before: &'a [u8],
    cookie: &'a [u8],
    after: &'a [u8],
    place: Cookie,
    encoding: Encoding,
    given: BodyRef<'a>,
}

impl<'a> NewBody<'a> {
    pub(super) fn new(given: BodyRef<'a>) -> Self {
        let BodyRef { bytes, encoding, .. } = given;
        let is_text = given.is_json_text();
        let cut = is_text.then(|| cut_text(bytes, MAX_COOKIE)).flatten();
        let place = match cut {
            Some(_) => Cookie::Cut,
            None if is_text => Cookie::Unseen,
            None => Cookie::Fixed,
        };
        let [before, cookie, after] = cut.unwrap_or([bytes, &[], &[]]);
        Self { before, cookie, after, place, encoding, given }
    }

    fn cost(&self, key: &[u8], limits: &Limits, noted: Noted) -> usize {
        let body = self.before.len() + self.after.len();
        limits.page.cost(key.len(), self.cookie.len(), body, noted)
    }

    /// What the serializer returned.
    pub(super) fn given(&self) -> BodyRef<'a> {
        self.given
    }

    pub(super) fn len(&self) -> usize {
        self.given.bytes.len()
    }

    /// Whether there is room for it, if for nothing else.
    pub(super) fn fits(&self, key: &[u8], limits: &Limits, noted: Noted) -> bool {
        self.len() <= limits.max_session && self.cost(key, limits, noted) <= limits.max_bytes
    }

    fn cookie_at(&self) -> u32 {
        match self.place {
            Cookie::Fixed | Cookie::Unseen => 0,
            Cookie::Cut => u32::try_from(self.before.len()).unwrap_or(0),
        }
    }
}

impl Writing<'_> {
    /// Writes a session, if the rules allow it, and evicts what there is no room for.
    pub(super) fn set(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        write: Write,
    ) -> Lmdb<Result<Version, Refused>> {
        let done = if self.options.has_notes() {
            self.set_noted(key, new, write)?
        } else {
            self.set_checked(key, new, write, None)?
        };
        write.count(&done, &mut self.counters);
        Ok(done)
    }

    /// Writes, with a `claim` if sessions have notes.
    pub(super) fn set_checked(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        write: Write,
        claim: Option<&Claim>,
    ) -> Lmdb<Result<Version, Refused>> {
        let Write { condition, now, expires, .. } = write;
        self.forget_old(now)?;
        let found = self.find(key)?;
        let stored = found.filter(|stored| !stored.is_expired(now));
        let alive = |stored: Stored| Alive { version: stored.version, expires: stored.due.expires };
        let history = || self.history_of(key);
        let shortens_cookie = || self.has_later_cookie(key, new);
        let checked = write.check(&self.options, stored.map(alive), history, shortens_cookie)?;
        if let Err(refused) = checked {
            return Ok(Err(refused));
        }
        if claim.is_some_and(|claim| claim.is_refused) {
            return Ok(Err(Refused::UserFull));
        }
        let next = self.next_version();
        if self.options.max == 0 {
            // Nothing fits, so what is set falls out at once.
            self.note_removed(key, Body::new(new.given), Reason::Evicted);
            return Ok(Ok(next));
        }
        if self.options.keep_replaced && found.is_some() {
            let old = self.body(key)?;
            self.note_removed(key, old, Reason::Replaced);
        }
        let version = found.filter(|_| !condition.is_change()).map_or(next, |found| found.version);
        let due = Due { expires, sequence: next };
        let note = claim.map(|claim| claim.note);
        self.write(key, new, (version, due, note), found.as_ref())?;
        if found.is_some() && expires < now {
            self.remove_if_expired(key, now)?;
        }
        // What its user may not have goes first: then nothing else may have to.
        if let Some(claim) = claim {
            self.end_unused(claim, key, now)?;
        }
        self.evict(key)?;
        Ok(Ok(next))
    }

    /// As [`Self::set`], but merges what another request has written since.
    pub(super) fn merge(
        &mut self,
        key: &[u8],
        body: BodyRef<'_>,
        (base, read): (Base<'_>, Version),
        (now, expires): (Millis, Millis),
        terms: Terms<'_>,
    ) -> Lmdb<Result<Merged, Refused>> {
        let stored = self.alive(key, now)?;
        let resolved = merge::resolve(&base, stored.as_ref(), body.bytes, expires);
        let new = NewBody::new(resolved.body());
        if !new.fits(key, &self.limits, Noted::at_most(&self.options)) {
            return Ok(Err(Refused::TooLarge));
        }
        let condition = Condition::NotDestroyed { read };
        let write = Write { condition, now, expires: resolved.expires, terms };
        let written = self.set(key, &new, write)?;
        let is_merged = resolved.is_merged;
        self.counters.merges += u64::from(is_merged && written.is_ok());
        Ok(written.map(|version| Merged { version, is_merged }))
    }

    /// As [`Self::touch`], but merges what another request has changed in the cookie since.
    pub(super) fn merge_cookie(
        &mut self,
        key: &[u8],
        cookie: BodyRef<'_>,
        base: Base<'_>,
        (now, expires): (Millis, Millis),
        lifetime: Millis,
    ) -> Lmdb<Touched> {
        let stored = self.alive(key, now)?;
        let merged = stored.and_then(|it| merge::resolve_cookie(&base, &it, cookie.bytes, expires));
        let Some(merged) = merged else {
            return Ok(Touched::NeedsRewrite);
        };
        let touch = Touch { now, expires: merged.expires, is_renewal: false };
        self.touch(key, merged.body(), touch, lifetime)
    }

    fn alive(&self, key: &[u8], now: Millis) -> Lmdb<Option<merge::Stored>> {
        let Session::Found(head, body) = self.sessions.get(&self.transaction, key)? else {
            return Ok(None);
        };
        let alive = view(key, &head, &body, 0).filter(|_| !has_expired(head.due.expires, now));
        Ok(alive.map(merge::Stored::new))
    }

    /// Whether the cookie of `new` is the stored one with an earlier time.
    fn has_later_cookie(&self, key: &[u8], new: &NewBody<'_>) -> Lmdb<bool> {
        let head = self.sessions.heads.get(&self.transaction, key)?;
        let head = head.and_then(|head| Head::read(key, head));
        let cut = head.filter(|head| head.cut().is_some() && !new.cookie.is_empty());
        Ok(cut.is_some_and(|old| {
            is_renewal(new.cookie, old.cookie) && !is_renewal(old.cookie, new.cookie)
        }))
    }

    /// Writes a session in place of `old`, if there is one.
    fn write(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        (version, due, note): (Version, Due, Option<Note>),
        old: Option<&Stored>,
    ) -> Lmdb<()> {
        let owner = Owner { sid: key, version };
        write_body(owner, [new.before, new.after], &mut self.buffers.body);
        let head = Head {
            version,
            due,
            entry: due,
            body: length_of(new.before.len() + new.after.len()).unwrap_or(0),
            cookie_at: new.cookie_at(),
            place: new.place,
            encoding: new.encoding,
            note,
            cookie: new.cookie,
            here: None,
        };
        self.put_session(key, &head, BodyIs::New, old)
    }

    /// Removes a session that was overwritten by one that has already expired.
    fn remove_if_expired(&mut self, key: &[u8], now: Millis) -> Lmdb<()> {
        if let Some(written) = self.find(key)?.filter(|written| written.is_expired(now)) {
            self.expire(key, &written)?;
        }
        Ok(())
    }

    /// Gives a session another cookie, if that can be done in place.
    pub(super) fn touch(
        &mut self,
        key: &[u8],
        cookie: BodyRef<'_>,
        touch: Touch,
        lifetime: Millis,
    ) -> Lmdb<Touched> {
        let Some(mut stored) = self.find(key)? else {
            return Ok(Touched::Missing);
        };
        stored.note = stored.note_at(touch.now, &self.options);
        let touch = stored.note.map_or(touch, |note| touch.within(note, lifetime));
        if let Some(answer) = touch.answer(&self.options, stored.due.expires) {
            if answer == Touched::Missing {
                self.expire(key, &stored)?;
            }
            return Ok(answer);
        }
        if !self.renew(key, &stored, cookie, touch)? {
            return Ok(Touched::NeedsRewrite);
        }
        self.counters.touches += 1;
        if touch.expires < touch.now {
            self.remove_if_expired(key, touch.now)?;
        }
        self.evict(key)?;
        Ok(Touched::Renewed)
    }

    /// Returns false, having changed nothing, if the cookie cannot be replaced.
    fn renew(&mut self, key: &[u8], old: &Stored, given: BodyRef<'_>, touch: Touch) -> Lmdb<bool> {
        let due = Due { expires: touch.expires, sequence: self.state.version + 1 };
        let cookie = given.bytes;
        if cookie.len() > MAX_COOKIE {
            return Ok(false);
        }
        let head = self.sessions.heads.get(&self.transaction, key)?;
        let Some(head) = head.and_then(|head| Head::read(key, head)) else {
            return Ok(false);
        };
        let is_apart_and_renewed = head.cut().is_some() && is_renewal(head.cookie, cookie);
        let is_body_needed = match head.place {
            Cookie::Fixed => false,
            Cookie::Cut => !is_apart_and_renewed,
            Cookie::Unseen => true,
        };
        let session =
            is_body_needed.then(|| self.sessions.get(&self.transaction, key)).transpose()?;
        let body = match &session {
            Some(Session::Found(head, body)) => {
                read_body(Owner { sid: key, version: head.version }, body)
            }
            Some(Session::Missing | Session::Damaged) | None => None,
        };
        let at = head.cookie_at;
        let cut = match (head.place, body) {
            (Cookie::Cut, None) if !is_body_needed => Some((at, None)),
            (Cookie::Fixed, _) | (_, None) => None,
            (Cookie::Cut, Some(body)) => Some((at, Some([body, &[][..]]))),
            (Cookie::Unseen, Some(body)) => cut_cookie(body),
        };
        let Some((cookie_at, rest)) = cut else {
            return Ok(false);
        };
        let is_renewed = match (head.place, body) {
            (Cookie::Unseen, Some(body)) => {
                json::cookie_value(body).is_some_and(|place| is_renewal(&body[place], cookie))
            }
            _ => is_apart_and_renewed,
        };
        if !touch.may_replace(is_renewed) {
            return Ok(false);
        }
        let encoding = match given.encoding {
            Encoding::Ascii => head.encoding,
            _ => Encoding::Utf8,
        };
        let Some(length) =
            rest.map_or(Some(head.body), |[one, other]| length_of(one.len() + other.len()))
        else {
            return Ok(false);
        };
        let note = old.note.map(|note| note.used_at(touch.now));
        let page = self.limits.page;
        let cost = page.cost(key.len(), cookie.len(), length as usize, Noted::by(note));
        let is_too_large = cookie.len() + length as usize > self.limits.max_session;
        if is_too_large || cost > self.limits.max_bytes {
            return Ok(false);
        }
        let version = if is_renewed { head.version } else { due.sequence };
        let body = match rest {
            Some(parts) => {
                write_body(Owner { sid: key, version }, parts, &mut self.buffers.body);
                BodyIs::New
            }
            None => self.buffers.body_of(&head),
        };
        let head = Head {
            version,
            due,
            entry: due,
            body: length,
            cookie_at,
            place: Cookie::Cut,
            encoding,
            note,
            cookie,
            here: None,
        };
        self.state.version = due.sequence;
        self.put_session(key, &head, body, Some(old))?;
        Ok(true)
    }
}

/// `None` if it is longer than LMDB can store.
fn length_of(body: usize) -> Option<u32> {
    u32::try_from(body).ok()
}

/// Where the cookie of a whole text belongs, and what is before and behind it.
fn cut_cookie(body: &[u8]) -> Option<(u32, Option<[&[u8]; 2]>)> {
    let place = json::cookie_value(body)?;
    let at = u32::try_from(place.start).ok()?;
    Some((at, Some([&body[..place.start], &body[place.end..]])))
}
