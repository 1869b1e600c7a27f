//! What goes into an engine and comes out of it: options, removed sessions, figures.
//!
//! Plain data. It has no rules beyond what a single option implies.

use std::time::Duration;

use super::users::Mark;
use crate::session::{Body, BodyRef, TemplateHandle};
use crate::sid::Sid;
use crate::time::Millis;

/// The place of a session in the order: its expiry (0 if the engine orders by use), then the number
/// of its last use or write.
pub type SortKey = (Millis, u64);

/// How many sessions an operation evicts or prunes itself. It leaves the rest to
/// [`Maintenance`](crate::background::Maintenance); until that has caught up, the store may exceed
/// `max` and `max_bytes`.
pub const REMOVED_AT_ONCE: usize = 256;

/// How an engine is to behave.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the user's, each on its own")]
pub struct Options {
    /// The most records to keep; `usize::MAX` for no limit. With 0 nothing fits.
    pub max: usize,
    /// The most bytes to keep, the engine's own overhead included; `usize::MAX` for no limit.
    pub max_bytes: usize,
    /// Whether an expired record is read once more by the operation that removes it.
    pub stale: bool,
    /// Whether the caller wants what is removed, to dispose of it. Without it, what a prune removes
    /// is freed at once.
    pub keep_removed: bool,
    /// Whether a body that `set` overwrites counts as removed.
    pub keep_replaced: bool,
    /// Whether a destroyed sid rejects writes for ten minutes.
    pub destroyed_is_final: bool,
    /// A touch that would extend the expiry by less than this is skipped.
    pub touch_after: Millis,
    /// Stands for whose sessions are: without it there is no index of users.
    pub user: Mark,
    /// Stands for how long sessions may live from their creation.
    pub lifetime: Mark,
    /// Stands for how many sessions a user may have.
    pub most: Mark,
    /// Whether a session that is one too many is refused, rather than the user's oldest ended.
    pub is_refusing: bool,
    /// Whether records of nobody are evicted before those of somebody. Means nothing without a
    /// `user`.
    pub anonymous_first: bool,
    /// Whether the caller hashes sids. The engine does nothing with it.
    pub hashes_sids: bool,
}

impl Options {
    /// The first option, as JavaScript names it, in which the two differ.
    pub(crate) fn difference(self, other: Self) -> Option<&'static str> {
        let same = [
            ("max", self.max == other.max),
            ("maxBytes", self.max_bytes == other.max_bytes),
            ("stale", self.stale == other.stale),
            ("dispose", self.keep_removed == other.keep_removed),
            ("noDisposeOnSet", self.keep_replaced == other.keep_replaced),
            ("destroyed", self.destroyed_is_final == other.destroyed_is_final),
            ("touchAfter", self.touch_after == other.touch_after),
            ("user", self.user == other.user),
            ("lifetime", self.lifetime == other.lifetime),
            ("maxPerUser", self.most == other.most),
            ("whenFull", self.is_refusing == other.is_refusing),
            ("anonymousFirst", self.anonymous_first == other.anonymous_first),
            ("hashSids", self.hashes_sids == other.hashes_sids),
        ];
        same.into_iter().find(|(_, is_same)| !is_same).map(|(option, _)| option)
    }

    /// Whether a touch that moves the expiry from `from` to `to` is skipped.
    pub(super) fn is_too_soon(self, from: Millis, to: Millis) -> bool {
        to >= from && to.saturating_sub(from) < self.touch_after
    }

    /// Whether an engine notes whose a session is, and since when.
    pub(super) fn has_notes(self) -> bool {
        self.user != 0 || self.lifetime != 0
    }

    /// Whether whose a record is decides when it is evicted.
    pub(super) fn evicts_anonymous_first(self) -> bool {
        self.user != 0 && self.anonymous_first
    }

    pub(super) fn is_limited(self) -> bool {
        self.max < usize::MAX || self.max_bytes < usize::MAX
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max: usize::MAX,
            max_bytes: usize::MAX,
            stale: false,
            keep_removed: false,
            keep_replaced: false,
            destroyed_is_final: false,
            touch_after: 0,
            user: 0,
            lifetime: 0,
            most: 0,
            is_refusing: false,
            anonymous_first: true,
            hashes_sids: false,
        }
    }
}

/// Why a session left the store, or its body was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It had expired.
    Expired,
    /// There was no room for it.
    Evicted,
    /// By its sid, or with all of its user's.
    Destroyed,
    /// Its user gained another one, and may not have so many.
    Limit,
    /// With all others.
    Cleared,
    /// Something else was written in place of the body.
    Replaced,
    /// With all others, because the store was closed.
    Closed,
}

/// A session that left the store, or a body that was overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whose it was.
    pub sid: Sid,
    /// What the serializer had returned. Without [`Options::keep_removed`] nobody reads it, and it
    /// may be incomplete.
    pub body: Body,
    /// Why.
    pub reason: Reason,
    /// The number of its last use.
    pub(super) last_use: u64,
}

/// How a session is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By a request: the session is used, and the call counts as a hit or a miss.
    Get,
    /// As the first half of a touch for which the caller rewrites the session: it is used.
    Fetch,
    /// Without using it: its place in the order stays.
    Peek,
}

/// Numbers an engine's operations: larger is later. A record has the version of its last write, so
/// what was read at a version is unchanged if the record's version is not larger. There is no
/// version 0.
pub type Version = u64;

/// What [`Engine::merge`](super::Engine::merge) wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The version of what was written.
    pub version: Version,
    /// Whether another request's changes were merged into it.
    pub is_merged: bool,
}

/// What an engine holds and has done.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// The records, expired ones that nothing has removed yet included.
    pub sessions: usize,
    /// What they take: sids, bodies, and the engine's own overhead.
    pub bytes: usize,
    /// How many of the sessions are nobody's; `None` if the engine does not know whose they are.
    pub anonymous: Option<usize>,
    /// What happened since the engine was made.
    pub counters: Counters,
}

/// What happened since an engine was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Calls of `get` that found a record: a live one, or in a `stale` store an expired one.
    pub hits: u64,
    /// Calls of `get` that did not.
    pub misses: u64,
    /// Records written by `set`.
    pub sets: u64,
    /// Those of them in which two writers' changes were merged.
    pub merges: u64,
    /// Writes that were refused because the session had been destroyed.
    pub refused: u64,
    /// Records renewed by `touch`.
    pub touches: u64,
    /// Records evicted because there were more than `max`.
    pub evictions_by_count: u64,
    /// Records evicted because they took more than `max_bytes`.
    pub evictions_by_bytes: u64,
    /// Those of the evicted records that were somebody's.
    pub evictions_of_users: u64,
    /// Records removed because they had expired.
    pub expirations: u64,
    /// Prunes that were done.
    pub prunes: u64,
    /// How long the last of them took, from when it was asked for.
    pub last_prune: Duration,
}

/// The cookie that a session is to have.
#[derive(Clone, Copy, Debug)]
pub enum NewCookie<'a> {
    /// JSON text in UTF-8.
    Text(BodyRef<'a>),
    /// A template, and the time that completes it.
    Cut {
        /// What [`Engine::template`](super::Engine::template) gave.
        template: TemplateHandle,
        /// The time to insert, if the template has a place for one.
        time: Option<Millis>,
    },
}

/// What [`Engine::touch`](super::Engine::touch) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// There is no such session, or it has expired.
    Missing,
    /// The cookie and the expiry are new, or it is too soon for new ones.
    Renewed,
    /// The cookie and the expiry are unchanged: the caller has to read, change and write the
    /// session. Its place in the order may have changed.
    NeedsRewrite,
    /// Nothing was done: the template is gone, or does not take this time. The caller has to pass
    /// the cookie's text.
    NeedsText,
}
