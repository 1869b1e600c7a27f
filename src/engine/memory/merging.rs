//! Writes and touches of a table that merge another request's changes.
//!
//! [`crate::session::merge`] decides the outcome of a merge.

use super::shards::SHARDS;
use super::table::Table;
use crate::engine::rules::{Condition, Refused, Touch, Write};
use crate::engine::types::{Merged, NewCookie, Removed, Touched, Version};
use crate::engine::users::Terms;
use crate::session::merge::{self, Stored};
use crate::session::{Base, BodyRef};
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
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Merged, Refused> {
        let stored = self.alive(&sid, now);
        let resolved = merge::resolve(&base, stored.as_ref(), body.bytes, expires);
        let condition = Condition::NotDestroyed { read };
        let write = Write { condition, now, expires: resolved.expires, terms };
        let version = self.set(sid, resolved.body(), write, removed)?;
        self.counters.merges += u64::from(resolved.is_merged);
        Ok(Merged { version, is_merged: resolved.is_merged })
    }

    /// As [`Self::touch`], but merges what another request has changed in the cookie since.
    pub(super) fn merge_cookie(
        &mut self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        (now, expires): (Millis, Millis),
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        let stored = self.alive(sid, now);
        let merged = stored.and_then(|it| merge::resolve_cookie(&base, &it, cookie.bytes, expires));
        let Some(merged) = merged else {
            return Touched::NeedsRewrite;
        };
        let touch = Touch { now, expires: merged.expires, is_renewal: false };
        self.touch(sid, NewCookie::Text(merged.body()), touch, lifetime, removed)
    }

    fn alive(&mut self, sid: &Sid, now: Millis) -> Option<Stored> {
        self.note_time(now);
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref()?;
        let record = shard.records().peek(sid).filter(|record| !record.is_expired(now))?;
        Some(Stored::new(record.body(&self.forms, 0)))
    }
}
