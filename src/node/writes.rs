//! The functions of a store that write and touch sessions: read the arguments, call the engine, give
//! back what came of it.

use super::codes::{
    KINDS, Kind, cookie_time, held_cookie, touched_code, version_of, whole_count, written_code,
};
use super::raw::{Call, Failure};
use super::store::{Done, Store};
use crate::engine::{Base, Condition, NewCookie, Touch, Touched};
use crate::session::{BodyRef, Encoding};
use crate::sid::Sid;
use crate::time::{Millis, expires_at, whole};

impl Store {
    /// `set(sid, body, now, ttl, kind, user, most, lifetime)`, where `kind` is one of [`KINDS`].
    /// Gives the version that was written, or why it was not; see [`written_code`]. Of all writes,
    /// the last three arguments are needed only if they are told; see
    /// [`rules`](super::rules).
    pub(super) fn set(&self, call: &Call) -> Done {
        self.write(call, Condition::None, false, 5)
    }

    /// `merge(sid, body, now, ttl, read, expected, base, hasFixedLifetime, user, most, lifetime)`: as
    /// `set` with JSON, for a session that was read at the version `read`. Without `base` it is
    /// written unless what is stored is later than the version `expected`. With `base`, the session
    /// as it was read, it is merged with what is stored. `hasFixedLifetime` is 1 if all sessions
    /// have one lifetime, else 0. Gives the version, plus a half if it was merged, or why it was
    /// not written.
    pub(super) fn merge(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let times = times(call, 2)?;
        let read = version_of(call, 4)?;
        let encoding = call.string(1, &mut buffers.text)?;
        let body = BodyRef { bytes: buffers.text.as_bytes(), encoding, is_json: true };
        let terms = self.rules.terms(call, 8, true, &mut buffers.user)?;
        let engine = self.engine();
        let result = if call.is_given(6) {
            call.string(6, &mut buffers.base)?;
            let has_fixed_lifetime = call.number(7)? > 0.0;
            let base = Base { text: buffers.base.as_bytes(), has_fixed_lifetime };
            let merged = self.removing(|removed| {
                engine.merge_by(sid, body, (base, read), times, terms, removed)
            })?;
            merged.map(|merged| (merged.version, merged.is_merged))
        } else {
            let condition = Condition::Unchanged { read, expected: version_of(call, 5)? };
            let written = self
                .removing(|removed| engine.set_by(sid, body, condition, times, terms, removed))?;
            written.map(|version| (version, false))
        };
        buffers.trim();
        let half = if matches!(result, Ok((_, true))) { 0.5 } else { 0.0 };
        call.double(written_code(result.map(|(version, _)| version)) + half)
    }

    /// `setTied(sid, body, now, ttl, kind, read, expected, isMerge, user, most, lifetime)`: as `set`, unless the session
    /// was destroyed since the version `read`, or what is stored is later than the version
    /// `expected`. A negative `expected` allows any version. `isMerge` is 1 if others' changes were
    /// merged into the body, else 0.
    pub(super) fn set_tied(&self, call: &Call) -> Done {
        let read = version_of(call, 5)?;
        let condition = if call.number(6)? < 0.0 {
            Condition::NotDestroyed { read }
        } else {
            Condition::Unchanged { read, expected: version_of(call, 6)? }
        };
        let is_merge = call.number(7)? > 0.0;
        self.write(call, condition, is_merge, 8)
    }

    /// `rewrite(sid, body, now, ttl, kind, read, isChange, user, most, lifetime)`: the second half of a touch whose first
    /// half fetched at the version `read`. `isChange` is 1 if more of the cookie changes than its
    /// time, else 0.
    pub(super) fn rewrite(&self, call: &Call) -> Done {
        let (read, is_change) = (version_of(call, 5)?, call.number(6)? > 0.0);
        self.write(call, Condition::Touch { read, is_change }, false, 7)
    }

    /// The arguments from `told` on are those that the rules may have JavaScript tell.
    fn write(&self, call: &Call, condition: Condition, is_merge: bool, told: usize) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let times = times(call, 2)?;
        let kind = KINDS.get(whole_count(call.number(4)?)).copied();
        let kind = kind.ok_or(Failure::Argument(c"memorystore-rs: expected the body's kind"))?;
        let is_buffer = kind == Kind::Buffer;
        let terms = self.rules.terms(call, told, kind == Kind::Json, &mut buffers.user)?;
        let written = call.with_body(1, is_buffer, &mut buffers.text, |bytes, encoding| {
            let body = BodyRef { bytes, encoding, is_json: kind == Kind::Json };
            let engine = self.engine();
            self.removing(|removed| engine.set_by(sid, body, condition, times, terms, removed))
        })??;
        buffers.trim();
        if is_merge && written.is_ok() {
            self.engine().note_merge();
        }
        call.double(written_code(written))
    }

    /// `touch(sid, holder, now, ttl, isRenewal, lifetime)`, where `holder` is the JSON text of an object that
    /// has the new cookie and nothing else. `isRenewal` is 1 if the stored cookie must differ in
    /// its time only, and the session must not live shorter, else 0. Gives 0 if the session is
    /// missing, 1 if it was renewed, and 2 if JavaScript has to read, change and write it. Of all
    /// touches, `lifetime` is needed only if it is told; see [`rules`](super::rules).
    pub(super) fn touch(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let times = times(call, 2)?;
        let encoding = call.string(1, &mut buffers.text)?;
        let (Some(bytes), Encoding::Ascii | Encoding::Utf8) =
            (held_cookie(&buffers.text), encoding)
        else {
            return call.integer(touched_code(Touched::NeedsRewrite));
        };
        let cookie = NewCookie::Text(BodyRef { bytes, encoding, is_json: true });
        self.touch_with(call, 4, &sid, cookie, times)
    }

    /// `mergeCookie(sid, holder, now, ttl, base, hasFixedLifetime, lifetime)`: as `touch`, for a session that
    /// was `base` when it was read, and whose cookie another request may have changed since.
    pub(super) fn merge_cookie(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let times = times(call, 2)?;
        let encoding = call.string(1, &mut buffers.text)?;
        call.string(4, &mut buffers.base)?;
        let base =
            Base { text: buffers.base.as_bytes(), has_fixed_lifetime: call.number(5)? > 0.0 };
        let touched = match held_cookie(&buffers.text) {
            Some(bytes) => {
                let cookie = BodyRef { bytes, encoding, is_json: true };
                let lifetime = self.rules.lifetime(call, 6)?;
                let engine = self.engine();
                self.removing(|removed| {
                    engine.merge_cookie_within(&sid, cookie, base, times, lifetime, removed)
                })?
            }
            None => Touched::NeedsRewrite,
        };
        buffers.trim();
        call.integer(touched_code(touched))
    }

    /// `touchByTemplate(sid, template, time, now, ttl, isRenewal, lifetime)`: as `touch`, for a cookie that
    /// matches a template. `time` is when it expires: a number, or text as `toISOString` gives it,
    /// or undefined if the template has no time. Gives 3 if `touch` has to be called instead.
    pub(super) fn touch_by_template(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let template = whole_count(call.number(1)?) as u64;
        let times = times(call, 3)?;
        let Some(time) = cookie_time(call, &mut buffers.text) else {
            return call.integer(touched_code(Touched::NeedsText));
        };
        let cookie = NewCookie::Cut { template, time };
        self.touch_with(call, 5, &sid, cookie, times)
    }

    fn touch_with(
        &self,
        call: &Call,
        is_renewal: usize,
        sid: &Sid,
        cookie: NewCookie<'_>,
        (now, expires): (Millis, Millis),
    ) -> Done {
        let lifetime = self.rules.lifetime(call, is_renewal + 1)?;
        let is_renewal = call.number(is_renewal)? > 0.0;
        let engine = self.engine();
        let touch = Touch { now, expires, is_renewal };
        let touched =
            self.removing(|removed| engine.touch_within(sid, cookie, touch, lifetime, removed))?;
        call.integer(touched_code(touched))
    }
}

/// The caller's time, and until when its session is to live: arguments `at` and the next.
fn times(call: &Call, at: usize) -> Result<(Millis, Millis), Failure> {
    let now = whole(call.number(at)?);
    Ok((now, expires_at(now, call.number(at + 1)?)))
}
