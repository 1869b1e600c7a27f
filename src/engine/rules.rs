//! Which write is done, and which is refused: the rules that all engines apply.
//!
//! It knows of a stored session what the caller tells, and nothing of where it is stored.

use super::types::Version;

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
    pub(super) fn keeps_lifetime(self) -> bool {
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
    /// What is stored is later.
    Changed,
    /// There is none, and a touch makes none.
    Missing,
    /// The touch would have moved the expiry by less than [`Options::touch_after`](super::Options::touch_after).
    TooSoon,
}
