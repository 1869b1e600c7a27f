//! The contract of an engine: what storage does for the store.
//!
//! Its code does not depend on an engine. The rules that engines have in common are in `rules` and
//! `tombstones`, and an engine applies them by calling these.

use std::sync::Arc;

use super::error::Result;
use super::rules::{Condition, Refused, Touch};
use super::types::{Merged, NewCookie, Reading, Reason, Removed, SortKey, Stats, Touched, Version};
use super::users::{Ended, Facts, Terms, User, Which};
use crate::background::Maintenance;
use crate::session::{Base, Body, BodyRef, BodyView, ShapeHandle, TemplateHandle};
use crate::sid::Sid;
use crate::time::{Millis, NEVER};

/// A store of sessions. See [`engine`](super) for the rules.
///
/// What an engine guarantees: any number of threads may use it, and each operation happens in one
/// step. It has no clock: `now` is the caller's time. Operations append what they removed to
/// `removed`, in the order in which the caller has to dispose of it. Each does a bounded amount of
/// work and leaves the rest to the background thread. [`MemoryEngine`](super::MemoryEngine) never
/// fails; [`SharedEngine`](super::SharedEngine) tells what its errors mean.
pub trait Engine: Maintenance {
    /// The sid that `bytes` stand for, for use with this engine.
    fn sid(&self, bytes: &[u8]) -> Sid;

    /// Whether dropping the engine takes so long that it is better left to the background thread.
    fn takes_long_to_drop(&self) -> bool;

    /// Reads the record of `sid`. Returns whether there was one, and if so calls `read` with its
    /// body. `read` may run under a lock, so it should only copy; it may be called more than once,
    /// and the last call counts.
    ///
    /// # Errors
    /// See [`Engine`].
    fn read(
        &self,
        sid: &Sid,
        reading: Reading,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool>;

    /// Whether there is a record of `sid` that has not expired. Neither uses nor removes it.
    ///
    /// # Errors
    /// See [`Engine`].
    fn is_alive(&self, sid: &Sid, now: Millis) -> Result<bool>;

    /// Writes the record of `sid`, if `condition` holds, and evicts down to the limits. `times` are
    /// the caller's time and the record's expiry. The condition is checked and the record written
    /// in one step: no other write comes between. Returns the version of the write, or why it was
    /// refused; a refused write changes nothing but the record's place in the order.
    ///
    /// A new record may already be expired when it is written: it then counts until something
    /// removes it.
    ///
    /// `terms` are followed in the same step, if the options ask for it: the expiry is no later
    /// than they allow, and the record becomes their user's. If that user gains a session and has
    /// more than it may have, either the write is refused, or those of its other sessions that were
    /// unused longest are destroyed.
    ///
    /// # Errors
    /// See [`Engine`].
    fn set_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>>;

    /// As [`Self::set_by`], without terms.
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
    ) -> Result<Result<Version, Refused>> {
        self.set_by(sid, body, condition, times, Terms::NONE, removed)
    }

    /// As [`Self::set_by`], for a session that was read and that another request may have written
    /// since: merges the changes of both. `body` and `base` are JSON; `base` comes with the version
    /// at which it was read. Reading what is stored, merging and writing happen in one step.
    ///
    /// # Errors
    /// See [`Engine`].
    fn merge_by(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        base: (Base<'_>, Version),
        times: (Millis, Millis),
        terms: Terms<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Merged, Refused>>;

    /// As [`Self::merge_by`], without terms.
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
    ) -> Result<Result<Merged, Refused>> {
        self.merge_by(sid, body, base, times, Terms::NONE, removed)
    }

    /// As [`Self::touch_within`], for a session that was read and whose cookie another request may
    /// have changed since: merges both cookies.
    ///
    /// # Errors
    /// See [`Engine`].
    fn merge_cookie_within(
        &self,
        sid: &Sid,
        cookie: BodyRef<'_>,
        base: Base<'_>,
        times: (Millis, Millis),
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched>;

    /// As [`Self::merge_cookie_within`], without a limit.
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
    ) -> Result<Touched> {
        self.merge_cookie_within(sid, cookie, base, times, NEVER, removed)
    }

    /// Counts a merge that the caller did itself, with [`Self::set`].
    fn note_merge(&self);

    /// Counts a write that the caller refused itself.
    fn note_refused(&self);

    /// Gives the record of `sid` a new cookie and expiry. The rest of the session stays as it is.
    /// Happens in one step; [`Touch`] says what is allowed. If the options ask for it, the session
    /// lives no longer than `lifetime` from its creation.
    ///
    /// # Errors
    /// See [`Engine`].
    fn touch_within(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched>;

    /// As [`Self::touch_within`], without a limit.
    ///
    /// # Errors
    /// See [`Engine`].
    fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        self.touch_within(sid, cookie, touch, NEVER, removed)
    }

    /// Calls `read` with the record of `sid`, without using it. Returns whether there is one that
    /// is alive. For `read`, see [`Self::read`].
    ///
    /// # Errors
    /// See [`Engine`].
    fn info(
        &self,
        sid: &Sid,
        now: Millis,
        read: &mut dyn FnMut(&Facts, BodyView<'_>),
    ) -> Result<bool>;

    /// The user that `text` names, for use with this engine.
    fn user(&self, text: &[u8]) -> User;

    /// Adds a few sessions to the index of users that have yet to be indexed. Returns whether there
    /// are more. The operations on the sessions of a user do all that is left by themselves.
    ///
    /// # Errors
    /// See [`Engine`].
    fn index_some(&self) -> Result<bool> {
        Ok(false)
    }

    /// Calls `read` with some records of `user` that are alive, in no order: those after the sid
    /// `after`, or the first. Returns the sid after which to go on; `None` if no more are left. For
    /// `read`, see [`Self::read`].
    ///
    /// # Errors
    /// See [`Engine`].
    fn sessions_of(
        &self,
        user: User,
        after: Option<&Sid>,
        now: Millis,
        read: &mut dyn FnMut(&Sid, &Facts, BodyView<'_>),
    ) -> Result<Option<Sid>>;

    /// Destroys some records of `user`, as [`Self::destroy`] does: those after the sid `after`, or
    /// the first. Those that have expired do not count.
    ///
    /// # Errors
    /// See [`Engine`].
    fn destroy_user(
        &self,
        user: User,
        which: Which<'_>,
        after: Option<&Sid>,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Ended>;

    /// A handle for cookies that differ from `cookie`, JSON text, in `expires` only:
    /// [`Self::touch`] takes it in place of their text. `None` if the engine takes cookies as text
    /// only.
    fn template(&self, cookie: &[u8]) -> Option<TemplateHandle>;

    /// The definition of a template, as JSON text, for sessions that were
    /// [read for a builder](BodyView::write_for_builder).
    fn template_definition(&self, _handle: TemplateHandle) -> Option<Vec<u8>> {
        None
    }

    /// The definition of a shape, as [`Self::template_definition`].
    fn shape_definition(&self, _handle: ShapeHandle) -> Option<Vec<u8>> {
        None
    }

    /// Removes the record of `sid`. Returns whether there was one. Requests that read it before can
    /// no longer write it.
    ///
    /// # Errors
    /// See [`Engine`].
    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool>;

    /// Removes the record of `sid` as if it had never been there: without a tombstone, so requests
    /// that read it before can still write it, uncounted, and without appending it to `removed`.
    /// For a caller that keeps copies of sessions here, and finds that one is out of date.
    ///
    /// # Errors
    /// See [`Engine`].
    fn discard(&self, sid: &Sid, removed: &mut Vec<Removed>) -> Result<()>;

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

    /// The sids in order, the most recently used first, expired ones included.
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

    /// Removes all records. Requests that read one before can no longer write it. If there are very
    /// many, freeing them or handing them out is left to [`Maintenance::maintenance_step`].
    ///
    /// # Errors
    /// See [`Engine`].
    fn clear(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        self.clear_for(Reason::Cleared, now, removed)
    }

    /// As [`Self::clear`], for another reason. What is in a file is always cleared, because another
    /// process may hand it out.
    ///
    /// # Errors
    /// See [`Engine`].
    fn clear_for(&self, reason: Reason, now: Millis, removed: &mut Vec<Removed>) -> Result<()>;

    /// Begins to remove what has expired by `now`, replacing a prune that is under way, and removes
    /// the first few hundred. The rest is left to [`Maintenance::maintenance_step`]. A call of the
    /// engine with an earlier time meanwhile sets the prune's time back to it.
    ///
    /// # Errors
    /// See [`Engine`]. The prune then ends.
    fn begin_prune(&self, now: Millis) -> Result<()>;

    /// Whether [`Maintenance::maintenance_step`] has anything to do, or [`Self::take_pruned`] has
    /// anything to give.
    ///
    /// # Errors
    /// Why a prune ended early, reported once.
    fn is_busy(&self) -> Result<bool>;

    /// Moves up to `limit` of the sessions that were removed in steps into `removed`. Returns
    /// whether there are more, or may be soon. Only an engine with `keep_removed` has any.
    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool;

    /// The engine, if its sessions outlive the process.
    fn durable(&self) -> Option<&dyn Durable> {
        None
    }

    /// Checks the engine's invariants.
    #[cfg(test)]
    fn validate(&self);
}

/// The operations of an engine whose sessions outlive the process.
pub trait Durable {
    /// Whether this process has written something that [`Self::sync`] is to put on the disk.
    fn is_dirty(&self) -> bool;

    /// Flushes to the disk: what was written before this call survives a power failure.
    ///
    /// # Errors
    /// See [`Engine`].
    fn sync(&self) -> Result<()>;

    /// Whether the file that the sessions are in was removed or replaced. Takes two system calls.
    fn is_replaced(&self) -> bool;

    /// Opens the file that is in its place now. Other operations wait meanwhile.
    ///
    /// # Errors
    /// See [`Engine`]. All operations then fail too, until a later call succeeds.
    fn follow(&self) -> Result<()>;

    /// A message about what happened to the file, for whoever runs the process. Given once.
    fn take_notice(&self) -> Option<String>;
}

/// The sids of an engine, listed a few at a time.
pub trait Listing: Send {
    /// Appends a few sids to `listed`, each with its sort key, which is larger the earlier in the
    /// order it is. Returns whether there are more. A session that exists throughout the listing is
    /// listed once.
    ///
    /// # Errors
    /// See [`Engine`].
    fn step(&mut self, listed: &mut Vec<(SortKey, Sid)>) -> Result<bool>;
}
