//! The contract of an engine: what storage does for the store.
//!
//! It names no engine. The rules that engines have in common are in `rules` and `tombstones`, and
//! an engine applies them by calling these.

use std::sync::Arc;

use super::error::Result;
use super::rules::{Condition, Refused, Touch};
use super::types::{Merged, NewCookie, Rank, Removed, Stats, Touched, Version};
use crate::background::Maintenance;
use crate::session::{Base, Body, BodyRef, BodyView, TemplateHandle};
use crate::sid::Sid;
use crate::time::Millis;

/// A store of sessions. See [`engine`](super) for the rules.
///
/// What an engine guarantees: any number of threads may use it, and each operation happens in one
/// step. It has no clock: `now` is the caller's time. Operations append what they removed to
/// `removed`, in the order in which the caller has to dispose of it. They do a bounded amount of
/// work and leave the rest to steps. An engine in memory never fails; see [`SharedEngine`](super::SharedEngine) for what the errors of the other one say.
pub trait Engine: Maintenance {
    /// The sid that `bytes` stand for, for use with this engine.
    fn sid(&self, bytes: &[u8]) -> Sid;

    /// Whether dropping the engine takes so long that it is better left to the background thread.
    fn takes_long_to_drop(&self) -> bool;

    /// Reads and uses the record of `sid`. Returns whether there was one, and calls `read` if there
    /// was. An engine may call it under a lock, so it should only copy, and more than once: the last
    /// call counts.
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
    /// written in one step: no other write comes between. Returns the version of what was written,
    /// or why it was not; but for its place in the order nothing has changed then.
    ///
    /// A new record may have expired when it is written: it counts until an operation accesses it.
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

    /// As [`Self::set`] for a session that was read, and that another request may have written
    /// since: merges what both made of it. `body` is JSON, and so is the base, which comes with the
    /// version at which it was read. What is stored is read, merged and written in one step.
    ///
    /// # Errors
    /// See [`Engine`].
    fn merge(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        base: (Base<'_>, Version),
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Merged, Refused>>;

    /// As [`Self::touch`] for a session that was read, and of which another request may have changed
    /// the cookie since: merges both cookies.
    ///
    /// # Errors
    /// See [`Engine`].
    fn merge_cookie(
        &self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Touched>;

    /// Counts what was just set as a merge.
    fn note_merge(&self);

    /// Gives the record of `sid` a new cookie and expiry. The rest of the session stays as it
    /// stands. An engine does what [`Touch`] lets it do, in one step.
    ///
    /// # Errors
    /// See [`Engine`].
    fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
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
    /// many, freeing them or handing them out is left to [`Maintenance::maintenance_step`].
    ///
    /// # Errors
    /// See [`Engine`].
    fn clear(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()>;

    /// Begins to remove what has expired by `now`, in place of a prune that is under way, and
    /// removes the first few hundred. The rest is left to [`Maintenance::maintenance_step`]. A call
    /// with an earlier time meanwhile sets the time of the prune back.
    ///
    /// # Errors
    /// See [`Engine`]. The prune is over then.
    fn begin_prune(&self, now: Millis) -> Result<()>;

    /// Whether [`Maintenance::maintenance_step`] has anything to do, or [`Self::take_pruned`] has
    /// anything to give.
    ///
    /// # Errors
    /// Why a prune has ended early, once.
    fn is_busy(&self) -> Result<bool>;

    /// Moves up to `limit` of the sessions that were removed in steps into `removed`. Returns
    /// whether there are more, or may be soon. Only an engine with `keep_removed` has any.
    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool;

    /// Where the sessions stay when the engine goes: what there is to do for that.
    fn durable(&self) -> Option<&dyn Durable> {
        None
    }

    /// Checks that all that is kept belongs together.
    #[cfg(test)]
    fn validate(&self);
}

/// What an engine does whose sessions outlive the process.
pub trait Durable {
    /// Whether this process has written something that [`Self::sync`] is to put on the disk.
    fn is_dirty(&self) -> bool;

    /// Writes to the disk what the system has not yet written: what comes before this call
    /// survives a power failure.
    ///
    /// # Errors
    /// See [`Engine`].
    fn sync(&self) -> Result<()>;

    /// Whether the file that the sessions are in was removed or replaced. Takes two system calls.
    fn is_replaced(&self) -> bool;

    /// Goes on with what is in the file's place now. Others wait meanwhile.
    ///
    /// # Errors
    /// See [`Engine`]. All operations fail as well then, until this is called again and succeeds.
    fn follow(&self) -> Result<()>;

    /// What whoever runs the process should know of what became of the file, told once.
    fn take_notice(&self) -> Option<String>;
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
