//! Whose a session is, since when, and until when at most: the rules that all engines apply.
//!
//! An engine has an index of users, and notes with each session, only if the options ask for it.
//! The owner of a session is what the option `user` says of what is stored, so it is found in the
//! same step as the write.

use std::borrow::Cow;

use crate::session::{BodyRef, UserPath};
use crate::sid::{Handle, Sid};
use crate::time::{Millis, NEVER, has_expired};

/// Stands for an option's value: stores that share their sessions have to give the same. 0 if it is
/// not given.
pub type Mark = u64;

/// A user as an index knows it: by a hash that no two users share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User(pub(super) [u8; 16]);

impl User {
    /// Whose a session is that has no user.
    pub(super) const NOBODY: Self = Self([0; 16]);
}

/// Whose a session is that is written.
#[derive(Clone, Copy, Debug, Default)]
pub enum Owner<'a> {
    /// Nobody's.
    #[default]
    Nobody,
    /// That user's, as text.
    Named(&'a [u8]),
    /// As the path says of the JSON that is stored.
    At(&'a UserPath),
}

impl Owner<'_> {
    /// The user as text, if `body` is stored.
    pub(super) fn text<'s>(&'s self, body: BodyRef<'s>) -> Option<Cow<'s, [u8]>> {
        match self {
            Self::Named(text) => Some(Cow::Borrowed(text)),
            Self::At(path) if body.is_json_text() => path.user_of(body.bytes),
            Self::Nobody | Self::At(_) => None,
        }
    }
}

/// What a writer says of its session beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// How long it may live from its creation; `NEVER` if there is no limit. 0 or less is no time.
    pub lifetime: Millis,
    /// How many sessions its user may have; `usize::MAX` if there is no limit.
    pub most: usize,
}

impl Terms<'_> {
    /// Says nothing.
    pub const NONE: Self = Self { owner: Owner::Nobody, lifetime: NEVER, most: usize::MAX };
}

/// What an engine notes with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// When it was first written, or got its present owner.
    pub(super) created: Millis,
    /// When it was written or touched last.
    pub(super) used: Millis,
    pub(super) owner: User,
}

impl Note {
    /// The note of a session that is used at `now`. A time of creation that lies ahead is over: the
    /// clock has been set back since.
    pub(super) fn used_at(self, now: Millis) -> Self {
        Self { created: self.created.min(now), used: now, ..self }
    }

    /// Until when the session may live, if it is to live until `expires`.
    pub(super) fn limit(self, expires: Millis, now: Millis, lifetime: Millis) -> Millis {
        if lifetime <= 0 {
            return expires.min(now.saturating_sub(1));
        }
        expires.min(self.created.min(now).saturating_add(lifetime))
    }
}

/// What a write makes of a session's note and expiry.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) note: Note,
    pub(super) expires: Millis,
    /// Whether it gives the user one session too many, and has to be refused.
    pub(super) is_refused: bool,
    /// How many sessions the user may have from then on; `usize::MAX` if that need not be judged.
    pub(super) most: usize,
}

impl Claim {
    /// `stored` is the note of what is stored and alive; `times` are the caller's time and the
    /// expiry that it asks for.
    pub(super) fn new(
        stored: Option<Note>,
        owner: User,
        (now, expires): (Millis, Millis),
        terms: Terms<'_>,
    ) -> Self {
        let kept = stored.filter(|note| note.owner == owner);
        let created = kept.map_or(now, |note| note.created.min(now));
        let note = Note { created, used: now, owner };
        let expires = note.limit(expires, now, terms.lifetime);
        let is_gain = owner != User::NOBODY && kept.is_none() && !has_expired(expires, now);
        let most = if is_gain { terms.most } else { usize::MAX };
        Self { note, expires, is_refused: false, most }
    }
}

/// What is told of a session beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it was first written or got its present user, and when it was written or touched last;
    /// `None` if the engine does not note this.
    pub times: Option<(Millis, Millis)>,
    /// The last moment at which it is alive.
    pub expires: Millis,
    /// What it takes.
    pub bytes: usize,
    /// Its place among those that were used at the same time: larger is later.
    pub order: u64,
}

/// Which of a user's sessions are to be ended.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All, or all but one.
    All {
        /// The one that stays.
        except: Option<&'a Sid>,
    },
    /// The one with this handle.
    Only(Handle),
}

impl Which<'_> {
    pub(super) fn includes(&self, sid: &Sid) -> bool {
        match self {
            Self::All { except } => except.is_none_or(|kept| kept != sid),
            Self::Only(handle) => sid.handle() == *handle,
        }
    }
}

/// How far an engine has come with ending a user's sessions.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// How many it has ended.
    pub count: usize,
    /// After which sid to go on; `None` if no more are left.
    pub after: Option<Sid>,
}

/// How many sessions of a user are listed in one step, and how many are looked at to end them.
pub(super) const LISTED_AT_ONCE: usize = 100;
pub(super) const ENDED_AT_ONCE: usize = 250;

/// How many of `others`, each with what it was used last at, have to end so that their user has no
/// more than `most` with one that it gains. Those that were unused longest come first.
pub(super) fn to_end<T: Ord>(mut others: Vec<T>, most: usize) -> Vec<T> {
    let count = (others.len() + 1).saturating_sub(most).min(others.len());
    if count > 0 && count < others.len() {
        others.select_nth_unstable(count - 1);
    }
    others.truncate(count);
    others.sort_unstable();
    others
}
