//! Writing one session, whole or its cookie alone.

use super::layout::{self, Cookie, Due, Head, MAX_COOKIE, Owner};
use super::space::Limits;
use super::writing::{Stored, Writing};
use super::{Lmdb, Session};
use crate::cookie::BEFORE_COOKIE;
use crate::engine::{Condition, Refused, Touched, Version};
use crate::json;
use crate::record::{Body, BodyRef, Encoding};
use crate::time::Millis;

/// A body in pieces, as it is to be stored.
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
        let BodyRef { bytes, encoding, is_json } = given;
        let is_text = is_json && matches!(encoding, Encoding::Ascii | Encoding::Utf8);
        let place = if is_text { Cookie::Unseen } else { Cookie::Fixed };
        let whole = Self { before: bytes, cookie: &[], after: &[], place, encoding, given };
        if !is_text {
            return whole;
        }
        let Some(rest) = bytes.strip_prefix(BEFORE_COOKIE) else {
            return whole;
        };
        let Some(flat) =
            json::flat_object(rest, b"expires").filter(|flat| flat.length <= MAX_COOKIE)
        else {
            return whole;
        };
        let (cookie, after) = rest.split_at(flat.length);
        let before = &bytes[..BEFORE_COOKIE.len()];
        Self { before, cookie, after, place: Cookie::CutUnseen, ..whole }
    }

    pub(super) fn cost(&self, key: &[u8], limits: &Limits) -> usize {
        let body = self.before.len() + self.after.len();
        limits.page.cost(key.len(), self.cookie.len(), body)
    }

    pub(super) fn len(&self) -> usize {
        self.given.bytes.len()
    }

    /// Whether there is room for it, if for nothing else.
    pub(super) fn fits(&self, key: &[u8], limits: &Limits) -> bool {
        self.len() <= limits.max_session && self.cost(key, limits) <= limits.max_bytes
    }

    fn cookie_at(&self) -> u32 {
        match self.place {
            Cookie::Fixed | Cookie::Unseen => 0,
            Cookie::CutUnseen | Cookie::Cut => u32::try_from(self.before.len()).unwrap_or(0),
        }
    }
}

/// A cookie that takes the place of another, and until when the session lives.
#[derive(Clone, Copy)]
pub(super) struct Renewal<'a> {
    pub(super) cookie: BodyRef<'a>,
    pub(super) now: Millis,
    pub(super) expires: Millis,
}

impl Writing<'_> {
    /// See [`MemoryEngine::set`](crate::engine::MemoryEngine::set).
    pub(super) fn set(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        condition: Condition,
        (now, expires): (Millis, Millis),
    ) -> Lmdb<Result<Version, Refused>> {
        self.forget_old(now)?;
        let is_touch = matches!(condition, Condition::Touch { .. });
        let found = self.find(key)?;
        let stored = found.filter(|stored| !stored.is_expired(now));
        if let Err(refused) = self.check(key, condition, stored.map(|one| one.version), now)? {
            self.counters.refused += u64::from(refused == Refused::Destroyed && !is_touch);
            return Ok(Err(refused));
        }
        if is_touch && stored.is_none() && !self.options.stale {
            return Ok(Err(Refused::Missing));
        }
        if is_touch && stored.is_some_and(|one| self.options.is_too_soon(one.due.expires, expires))
        {
            return Ok(Err(Refused::TooSoon));
        }
        let counter = if is_touch { &mut self.counters.touches } else { &mut self.counters.sets };
        *counter += 1;
        let next = self.next_version();
        if self.options.max == 0 {
            // Nothing fits, so what is set falls out at once.
            self.note_removed(key, Body::new(new.given));
            return Ok(Ok(next));
        }
        if self.options.keep_replaced && found.is_some() {
            let old = self.body(key)?;
            self.note_removed(key, old);
        }
        let version = found.filter(|_| is_touch).map_or(next, |found| found.version);
        let due = Due { expires, turn: next };
        self.write(key, new, (version, due), found.as_ref())?;
        if found.is_some() && expires < now {
            self.settle_expiry(key, now)?;
        }
        self.evict(key)?;
        Ok(Ok(next))
    }

    /// Writes a session in place of `old`, if that is there.
    fn write(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        (version, due): (Version, Due),
        old: Option<&Stored>,
    ) -> Lmdb<()> {
        let head = Head {
            version,
            due,
            body: length_of(new.before.len() + new.after.len()).unwrap_or(0),
            cookie_at: new.cookie_at(),
            place: new.place,
            encoding: new.encoding,
            cookie: new.cookie,
        };
        head.write_to(key, &mut self.buffers.head);
        let owner = Owner { sid: key, version };
        layout::write_body(owner, [new.before, new.after], &mut self.buffers.body);
        self.sessions.heads.put(&mut self.transaction, key, &self.buffers.head)?;
        self.put_body(key, old.is_some_and(|old| old.has_pieces))?;
        self.give_back(old.map_or(0, |old| old.cost));
        self.state.bytes += new.cost(key, &self.limits) as u64;
        self.move_expiry(key, old, due)
    }

    fn move_expiry(&mut self, key: &[u8], old: Option<&Stored>, due: Due) -> Lmdb<()> {
        if let Some(old) = old {
            self.delete_expiry(old.due)?;
        }
        self.put_expiry(due, key)
    }

    /// What was overwritten with something that has expired goes at once.
    fn settle_expiry(&mut self, key: &[u8], now: Millis) -> Lmdb<()> {
        if let Some(written) = self.find(key)?.filter(|written| written.is_expired(now)) {
            self.expire(key, &written)?;
        }
        Ok(())
    }

    /// Gives a session another cookie, where that can be done without its body being written.
    pub(super) fn touch(&mut self, key: &[u8], renewal: Renewal<'_>) -> Lmdb<Touched> {
        let Some(stored) = self.find(key)? else {
            return Ok(Touched::Missing);
        };
        if stored.is_expired(renewal.now) {
            if self.options.stale {
                return Ok(Touched::NeedsRewrite);
            }
            self.expire(key, &stored)?;
            return Ok(Touched::Missing);
        }
        if self.options.is_too_soon(stored.due.expires, renewal.expires) {
            return Ok(Touched::Renewed);
        }
        if !self.renew(key, &stored, renewal)? {
            return Ok(Touched::NeedsRewrite);
        }
        self.counters.touches += 1;
        if renewal.expires < renewal.now {
            self.settle_expiry(key, renewal.now)?;
        }
        self.evict(key)?;
        Ok(Touched::Renewed)
    }

    /// Returns false, having changed nothing, where the cookie cannot be replaced.
    fn renew(&mut self, key: &[u8], old: &Stored, renewal: Renewal<'_>) -> Lmdb<bool> {
        let due = Due { expires: renewal.expires, turn: self.state.version + 1 };
        let cookie = renewal.cookie.bytes;
        if cookie.len() > MAX_COOKIE {
            return Ok(false);
        }
        let head = self.sessions.heads.get(&self.transaction, key)?;
        let Some(head) = head.and_then(|head| Head::read(key, head)) else {
            return Ok(false);
        };
        let owner = Owner { sid: key, version: head.version };
        let body = match head.place {
            Cookie::Fixed | Cookie::Cut => None,
            Cookie::Unseen | Cookie::CutUnseen => {
                match self.sessions.get(&self.transaction, key)? {
                    Session::Found(_, body) => Some(body),
                    Session::Missing | Session::Damaged => None,
                }
            }
        };
        let body = body.as_deref().and_then(|body| layout::read_body(owner, body));
        let cut = match head.place {
            Cookie::Fixed => None,
            Cookie::Cut => Some((head.cookie_at, None)),
            Cookie::CutUnseen => body
                .filter(|body| json::is_cut_from_canonical(body, head.cookie_at as usize))
                .map(|_| (head.cookie_at, None)),
            Cookie::Unseen => body.and_then(cut_cookie),
        };
        let Some((cookie_at, rest)) = cut else {
            return Ok(false);
        };
        let encoding = match renewal.cookie.encoding {
            Encoding::Ascii => head.encoding,
            _ => Encoding::Utf8,
        };
        let Some(length) =
            rest.map_or(Some(head.body), |[one, other]| length_of(one.len() + other.len()))
        else {
            return Ok(false);
        };
        let cost = self.limits.page.cost(key.len(), cookie.len(), length as usize);
        let is_too_large = cookie.len() + length as usize > self.limits.max_session;
        if is_too_large || cost > self.limits.max_bytes {
            return Ok(false);
        }
        let version = head.version;
        let place = Cookie::Cut;
        let head = Head { version, due, body: length, cookie_at, place, encoding, cookie };
        head.write_to(key, &mut self.buffers.head);
        if let Some(parts) = rest {
            layout::write_body(owner, parts, &mut self.buffers.body);
            self.put_body(key, old.has_pieces)?;
        }
        self.sessions.heads.put(&mut self.transaction, key, &self.buffers.head)?;
        self.give_back(old.cost);
        self.state.bytes += cost as u64;
        self.state.version = due.turn;
        self.move_expiry(key, Some(old), due)?;
        Ok(true)
    }
}

/// What is longer does not fit into a node of LMDB.
fn length_of(body: usize) -> Option<u32> {
    u32::try_from(body).ok()
}

/// Where the cookie of a whole text belongs, and what is before and behind it.
fn cut_cookie(body: &[u8]) -> Option<(u32, Option<[&[u8]; 2]>)> {
    let place = json::cookie_value(body)?;
    let at = u32::try_from(place.start).ok()?;
    Some((at, Some([&body[..place.start], &body[place.end..]])))
}
