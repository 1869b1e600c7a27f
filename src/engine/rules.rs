//! Which write is done, and which is refused: the rules that all engines apply.
//!
//! The rules see a stored session only as the caller describes it, and do not know where it is
//! stored.

use super::tombstones::History;
use super::types::{Counters, Options, Touched, Version};
use super::users::{Note, Terms};
use crate::time::{Millis, has_expired};

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
    /// As [`Self::NotDestroyed`], and what is stored must not be later than the version `expected`.
    /// If that is `read` or earlier, the write must not shorten the session's life either: another
    /// request may have renewed it.
    Unchanged {
        /// When the writer read the session, or wrote it itself.
        read: Version,
        /// The latest version whose changes the writer's body includes: later than `read` after a
        /// merge.
        expected: Version,
    },
    /// For the second half of a touch: what is stored must not be later than the version `read`.
    Touch {
        /// When the session was fetched.
        read: Version,
        /// Whether the touch changes more of the cookie than its time, so that the record gets
        /// a new version.
        is_change: bool,
    },
}

impl Condition {
    fn is_touch(self) -> bool {
        matches!(self, Self::Touch { .. })
    }

    /// Whether the write must not shorten the session's life.
    fn keeps_lifetime(self) -> bool {
        matches!(self, Self::Unchanged { read, expected } if expected <= read)
    }

    /// Whether the write gives the record a new version.
    pub(super) fn is_change(self) -> bool {
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
    /// A later version is stored.
    Changed,
    /// There is no such session, and a touch does not create one.
    Missing,
    /// The touch would have moved the expiry by less than
    /// [`Options::touch_after`](super::Options::touch_after).
    TooSoon,
    /// Its user has as many sessions as it may have, and [`Options::is_refusing`] is set.
    ///
    /// [`Options::is_refusing`]: super::Options::is_refusing
    UserFull,
}

/// What the rules need to know of a stored session that is alive.
#[derive(Clone, Copy)]
pub(super) struct Alive {
    pub(super) version: Version,
    pub(super) expires: Millis,
}

/// A write that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) condition: Condition,
    pub(super) now: Millis,
    /// Until when the session is to be alive.
    pub(super) expires: Millis,
    pub(super) terms: Terms<'a>,
}

impl Write<'_> {
    /// Whether the write may be done in place of `stored`.
    ///
    /// The closures are called only if their answer matters: `history` gives that of the sid, and
    /// `shortens_cookie` tells whether the new cookie would expire before the stored one.
    #[inline]
    pub(super) fn check<E>(
        self,
        options: &Options,
        stored: Option<Alive>,
        history: impl FnOnce() -> Result<History, E>,
        shortens_cookie: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Result<(), Refused>, E> {
        let Self { condition, now, expires, .. } = self;
        if condition != Condition::None || options.destroyed_is_final {
            let history = history()?;
            if options.destroyed_is_final && history.is_remembered(now) {
                return Ok(Err(Refused::Destroyed));
            }
            if let Err(refused) = self.compare(stored.map(|stored| stored.version), history) {
                return Ok(Err(refused));
            }
        }
        if condition.keeps_lifetime()
            && let Some(stored) = stored
            && (expires < stored.expires || shortens_cookie()?)
        {
            return Ok(Err(Refused::Changed));
        }
        if !condition.is_touch() {
            return Ok(Ok(()));
        }
        Ok(match stored {
            None if !options.stale => Err(Refused::Missing),
            Some(stored) if options.is_too_soon(stored.expires, expires) => Err(Refused::TooSoon),
            _ => Ok(()),
        })
    }

    /// Compares the version that the writer read with that of what is stored and with the sid's
    /// history.
    fn compare(self, stored: Option<Version>, history: History) -> Result<(), Refused> {
        let (read, expected) = match self.condition {
            Condition::None => return Ok(()),
            Condition::NotDestroyed { read } => (read, Version::MAX),
            Condition::Unchanged { read, expected } => (read, expected),
            Condition::Touch { read, .. } => (read, read),
        };
        if history.is_destroyed_since(read, stored.is_none()) {
            return Err(Refused::Destroyed);
        }
        if stored.is_some_and(|version| version > expected) {
            return Err(Refused::Changed);
        }
        Ok(())
    }

    /// Counts the outcome of the write.
    pub(super) fn count(self, done: &Result<Version, Refused>, counters: &mut Counters) {
        match done {
            Ok(_) if self.condition.is_touch() => counters.touches += 1,
            Ok(_) => counters.sets += 1,
            Err(Refused::Destroyed) if !self.condition.is_touch() => counters.refused += 1,
            Err(_) => {}
        }
    }
}

/// A touch that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// The caller's time.
    pub now: Millis,
    /// Until when the session is to be alive.
    pub expires: Millis,
    /// Whether the request has read the session. If so, the touch must neither shorten its life nor
    /// undo a change that another request made to its cookie.
    pub is_renewal: bool,
}

impl Touch {
    /// The touch of a session with this note, which may live for no longer than `lifetime`.
    #[inline]
    pub(super) fn within(self, note: Note, lifetime: Millis) -> Self {
        Self { expires: note.limit(self.expires, self.now, lifetime), ..self }
    }

    /// The outcome of a touch of a session that expires at `stored`, if it can be told without
    /// looking at the cookie. On [`Touched::Missing`] the session has expired, and the engine
    /// removes it.
    #[inline]
    pub(super) fn answer(self, options: &Options, stored: Millis) -> Option<Touched> {
        if has_expired(stored, self.now) {
            return Some(if options.stale { Touched::NeedsRewrite } else { Touched::Missing });
        }
        if options.is_too_soon(stored, self.expires) {
            return Some(Touched::Renewed);
        }
        (self.is_renewal && self.expires < stored).then_some(Touched::NeedsRewrite)
    }

    /// Whether the cookie may be replaced in place. `is_renewed` tells whether the new one is the
    /// stored one with the same or a later time; only then does the session keep its version.
    #[inline]
    pub(super) fn may_replace(self, is_renewed: bool) -> bool {
        is_renewed || !self.is_renewal
    }
}
