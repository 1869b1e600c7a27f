//! What an engine is: keeps one session per [`Sid`](crate::sid::Sid),
//! in order of use, until it expires, is evicted or is destroyed.
//!
//! - A record is alive while `now <= expires`.
//! - `get` and `set` use a record, as does `touch` if it is alive: it becomes the most recently
//!   used. Nothing else changes the order.
//! - An expired record stays, and counts, until something removes it: `get`, `touch` and `all`,
//!   which never find it, a prune, or an eviction.
//! - An operation does a bounded amount of work: what is more is left to steps, which the
//!   background thread does.
//! - Whatever an operation removes it hands to its caller, who frees it or disposes of it.
//!
//! [`MemoryEngine`] keeps its records in this process. [`SharedEngine`] keeps them in a file that
//! all processes of a machine share, and tells where its rules differ.

#[cfg(test)]
mod conflict_tests;
mod destroyed;
mod memory;
mod part;
pub mod shared;
mod table;
#[cfg(test)]
mod tests;

pub use crate::session::TemplateHandle;
pub use memory::MemoryEngine;
pub use shared::{Error, SharedEngine};

use std::sync::Arc;
use std::time::Duration;

use crate::background::Prunable;
use crate::session::{Body, BodyRef, BodyView};
use crate::sid::Sid;
use crate::time::Millis;

/// What an operation of an engine comes to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A store of sessions. See the [module](self) for the rules.
///
/// Any number of threads may use it. `now` is the caller's time. Operations append what they
/// removed to `removed`, in the order in which it is to be disposed of. An engine in memory never
/// fails; see [`SharedEngine`] for what the errors of the other one say.
pub trait Engine: Prunable {
    /// The sid that `bytes` stand for, for use with this engine.
    fn sid(&self, bytes: &[u8]) -> Sid;

    /// Whether the sessions stay when the engine goes.
    fn is_durable(&self) -> bool;

    /// Whether dropping the engine takes so long that it is better left to the background thread.
    fn takes_long_to_drop(&self) -> bool;

    /// Reads and uses the record of `sid`. Returns whether there was one. `read` is called if there
    /// was, maybe under a lock: it should only copy. Where it is called again, the last time counts.
    ///
    /// # Errors
    /// See [`Engine`].
    fn get(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool>;

    /// As [`Self::get`], but does not count as a hit or a miss: the first half of a touch for
    /// which the caller rewrites the session.
    ///
    /// # Errors
    /// See [`Engine`].
    fn fetch(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool>;

    /// As [`Self::fetch`], but the record is not used: its place in the order stays.
    ///
    /// # Errors
    /// See [`Engine`].
    fn peek(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool>;

    /// Writes the record of `sid`, if `condition` holds, and evicts down to the limits. `times` are
    /// when it is now and until when the record is alive. The condition is judged and the record
    /// written in one step: no other write comes between. Returns the version of what was written, or why it was not; but for its
    /// place in the order nothing has changed then.
    ///
    /// A new record may have expired when it is written: it counts until it is come across.
    ///
    /// # Errors
    /// See [`Engine`].
    fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>>;

    /// Counts what was just set as a merge.
    fn note_merge(&self);

    /// Gives the record of `sid` a new cookie and expiry, without the rest of the session being
    /// read or written, where that is sure to give the bytes that parsing, assigning and
    /// stringifying would.
    ///
    /// # Errors
    /// See [`Engine`].
    fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched>;

    /// As [`Self::touch`], for a request that has read the session: only where `cookie` is the
    /// stored one but for a later `expires`, and the session lives no shorter. Otherwise
    /// [`Touched::NeedsRewrite`]: other requests may have changed the cookie.
    ///
    /// # Errors
    /// See [`Engine`].
    fn renew(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched>;

    /// The handle by which [`Self::touch`] takes cookies that differ from `cookie`, JSON text,
    /// in their `expires` only. `None` where it takes them as text alone.
    fn template(&self, cookie: &[u8]) -> Option<TemplateHandle>;

    /// Removes the record of `sid`. Returns whether there was one. From here on, nobody who has
    /// read it before can write it.
    ///
    /// # Errors
    /// See [`Engine`].
    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool>;

    /// How many records there are, including expired ones that nothing has removed yet.
    ///
    /// # Errors
    /// See [`Engine`].
    fn length(&self) -> Result<usize>;

    /// What the engine holds, and what it has done in this process.
    ///
    /// # Errors
    /// See [`Engine`].
    fn stats(&self) -> Result<Stats>;

    /// The sids in order, the one that would be evicted last first, expired ones included.
    ///
    /// # Errors
    /// See [`Engine`].
    fn ids(&self) -> Result<Vec<Sid>>;

    /// Begins to list the sids, for very many of them.
    ///
    /// # Errors
    /// See [`Engine`].
    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>>;

    /// Copies of all sids and bodies, in the order of [`Self::ids`]. Expired ones are removed, and
    /// listed once more only if the store is `stale`.
    ///
    /// # Errors
    /// See [`Engine`].
    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>>;

    /// Removes all records. From here on, nobody who has read one before can write it. Of very
    /// many, freeing them or handing them out is left to [`Prunable::prune_step`].
    ///
    /// # Errors
    /// See [`Engine`].
    fn clear(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()>;

    /// Begins to remove what has expired by `now`, in place of a prune that is under way, and
    /// does the first few hundred. The rest is left to [`Prunable::prune_step`]. If somebody
    /// comes with an earlier time meanwhile, that is what it goes by from then on.
    ///
    /// # Errors
    /// See [`Engine`]. The prune is over then.
    fn begin_prune(&self, now: Millis) -> Result<()>;

    /// Whether [`Prunable::prune_step`] has anything to do, or [`Self::take_pruned`] to give.
    ///
    /// # Errors
    /// Why a prune has ended early, once.
    fn is_busy(&self) -> Result<bool>;

    /// Moves up to `limit` of the sessions that were removed in steps into `removed`. Returns
    /// whether there are more, or may be soon. Only an engine with `keep_removed` has any.
    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool;

    /// Whether this process has written something that [`Self::sync`] is to put on the disk.
    fn is_dirty(&self) -> bool;

    /// Writes to the disk what the system has not yet written: what comes before this call
    /// survives a power failure.
    ///
    /// # Errors
    /// See [`Engine`].
    fn sync(&self) -> Result<()>;

    /// Whether the file that the sessions are in was removed or replaced. Takes two system calls.
    fn is_replaced(&self) -> bool {
        false
    }

    /// Goes on with what is in the file's place now. Others wait meanwhile.
    ///
    /// # Errors
    /// See [`Engine`]. All operations fail as well then, until this is called again and succeeds.
    fn follow(&self) -> Result<()> {
        Ok(())
    }

    /// What whoever runs the process should know of what became of the file, told once.
    fn take_notice(&self) -> Option<String> {
        None
    }

    /// Checks that all that is kept belongs together.
    #[cfg(test)]
    fn validate(&self);
}

/// The sids of an engine, listed a few at a time.
pub trait Listing: Send {
    /// Appends a few to `listed`, each with its rank: larger the earlier it comes in the order.
    /// Returns whether there are more. Each that is there all the while is listed once.
    ///
    /// # Errors
    /// See [`Engine`].
    fn step(&mut self, listed: &mut Vec<(Rank, Sid)>) -> Result<bool>;
}

/// The place of a session in the order: when it expires, where that matters, and the number of
/// what was done to it last.
pub type Rank = (Millis, u64);

/// How many sessions an operation evicts or prunes itself. What is more than that it leaves to
/// [`Prunable::prune_step`]; until that has been called often enough there may be more than `max`
/// and `max_bytes` allow.
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
    /// Whether the caller wants what is removed, to dispose of it. Without it, what a prune
    /// removes is freed at once, where it is removed.
    pub keep_removed: bool,
    /// Whether a body that `set` overwrites counts as removed.
    pub keep_replaced: bool,
    /// Whether nobody can write a destroyed sid for some minutes.
    pub destroyed_is_final: bool,
    /// A touch that would put the expiry off by less than this is not done.
    pub touch_after: Millis,
}

impl Options {
    /// Whether a touch that moves the expiry from one moment to another is left out.
    fn is_too_soon(self, from: Millis, to: Millis) -> bool {
        to >= from && to.saturating_sub(from) < self.touch_after
    }

    fn is_limited(self) -> bool {
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
        }
    }
}

/// A session that left the store, or a body that another took the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whose it was.
    pub sid: Sid,
    /// What the serializer had returned. Without [`Options::keep_removed`] nobody reads it: it
    /// may be in pieces.
    pub body: Body,
    /// The number of its last use.
    last_use: u64,
}

/// Numbers what happens to an engine's records, reads too: larger is later. A record has that of
/// its last write, so what was read at a version is unchanged where its record's is not larger.
/// There is no version 0.
pub type Version = u64;

/// What a write depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// On nothing: the writer had not read the session.
    None,
    /// The session must not have been destroyed since the version `read`.
    NotDestroyed {
        /// When the writer read the session, or wrote it itself.
        read: Version,
    },
    /// As that, and what is stored must not be later than the version `expected`. Where that is
    /// `read` or earlier, the session must not live shorter than it does: another request may
    /// have renewed it.
    Unchanged {
        /// When the writer read the session, or wrote it itself.
        read: Version,
        /// Up to when the writer's body takes in what others wrote: later than `read` after a
        /// merge.
        expected: Version,
    },
    /// What is stored must not be later than the version `read`, and does not become so: the
    /// write is the second half of a touch.
    Touch {
        /// When the session was fetched.
        read: Version,
        /// Whether the touch changes more of the cookie than its time, so that the record gets
        /// a new version.
        is_change: bool,
    },
}

impl Condition {
    /// Whether the write must leave the session all of its lifetime.
    fn keeps_lifetime(self) -> bool {
        matches!(self, Self::Unchanged { read, expected } if expected <= read)
    }

    /// Whether the write gives the record a new version.
    fn is_change(self) -> bool {
        !matches!(self, Self::Touch { is_change: false, .. })
    }
}

/// Why a session was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It alone takes more than `max_bytes`.
    TooLarge,
    /// The engine cannot keep a sid of that length.
    Sid,
    /// It was destroyed since the writer read it.
    Destroyed,
    /// What is stored is later.
    Changed,
    /// There is none, and a touch makes none.
    Missing,
    /// The touch would have moved the expiry by less than [`Options::touch_after`].
    TooSoon,
}

/// What an engine holds and has done.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// The records, expired ones that nothing has removed yet included.
    pub sessions: usize,
    /// What they take: sids, bodies, and the engine's own overhead.
    pub bytes: usize,
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
    /// The text of a template.
    Cut {
        /// What [`Engine::template`] gave.
        template: TemplateHandle,
        /// The time that belongs into it, where it has a place for one.
        time: Option<Millis>,
    },
}

/// What [`Engine::touch`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// There is no such session, or it has expired.
    Missing,
    /// The cookie and the expiry are new, or it is too soon for new ones.
    Renewed,
    /// Neither cookie nor expiry was changed, because only reading, changing and writing the
    /// session can do it. Its place in the order may have been: that call comes next.
    NeedsRewrite,
    /// Nothing: there is no such template any more, or not for such a time. The cookie's text
    /// is needed.
    NeedsText,
}
