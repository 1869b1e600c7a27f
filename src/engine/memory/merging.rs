//! Writes and touches of a table that merge another request's changes.
//!
//! [`crate::session::merge`] decides the outcome of a merge.

use super::shards::SHARDS;
use super::table::Table;
use crate::engine::rules::{Condition, Refused, Touch, Write};
use crate::engine::types::{Merged, NewCookie, Removed, Touched, Version};
use crate::session::{Base, Body, BodyRef, merge};
use crate::sid::Sid;
use crate::time::Millis;

impl Table {
    /// As [`Self::set`], but merges what another request has written since.
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
        let write = Write { condition, now, expires: resolved.expires };
        let version = self.set(sid, resolved.body(), write, removed)?;
        let is_merged = resolved.is_merged;
        self.counters.merges += u64::from(is_merged);
        Ok(Merged { version, is_merged })
    }

    /// As [`Self::touch`], but merges what another request has changed in the cookie since.
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
        self.touch(sid, cookie, Touch { now, expires, is_renewal: false }, removed)
    }

    /// The body of a session that is alive, and until when it lives.
    fn alive(&mut self, sid: &Sid, now: Millis) -> Option<(Body, Millis)> {
        self.note_time(now);
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref()?;
        let record = shard.records().peek(sid).filter(|record| !record.is_expired(now))?;
        Some((record.body(&self.templates, 0).to_body(), record.expires()))
    }
}
