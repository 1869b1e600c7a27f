//! What the options `user`, `lifetime` and `maxPerUser` say of the sessions that a store writes.
//!
//! Paths and numbers are known to the store. What a function gives comes from JavaScript with each
//! call, in the last arguments.

use super::codes::whole_count;
use super::raw::{Call, Failure, Text};
use crate::engine::{Mark, Owner, Terms};
use crate::session::UserPath;
use crate::sid::mark_of;
use crate::time::{Millis, whole};

/// A number that an option gives.
#[derive(Clone, Copy)]
pub(super) enum Number {
    /// There is no limit.
    None,
    Given(f64),
    /// By JavaScript, with each call.
    Told,
}

impl Number {
    fn new(option: Option<f64>) -> Self {
        match option {
            Some(number) if number.is_nan() => Self::Told,
            Some(number) if number < f64::INFINITY => Self::Given(number),
            _ => Self::None,
        }
    }

    /// The number for one call, whose argument `index` has it if it is told.
    fn of(self, call: &Call, index: usize) -> Result<f64, Failure> {
        match self {
            Self::None => Ok(f64::INFINITY),
            Self::Given(number) => Ok(number),
            Self::Told => call.number(index),
        }
    }

    pub(super) fn mark(self) -> Mark {
        match self {
            Self::None => 0,
            Self::Given(number) => mark_of(&number.to_le_bytes()),
            Self::Told => Mark::MAX,
        }
    }
}

/// Whose sessions are.
enum User {
    Nobody,
    At(UserPath, Mark),
    /// By JavaScript, with each call.
    Told,
}

/// See the module's description.
pub(super) struct Rules {
    user: User,
    pub(super) lifetime: Number,
    pub(super) most: Number,
}

impl Rules {
    /// The options as JavaScript gives them: an empty `user` and a number that is NaN are told.
    pub(super) fn new(user: Option<&str>, lifetime: Option<f64>, most: Option<f64>) -> Self {
        let user = match user {
            None => User::Nobody,
            Some("") => User::Told,
            Some(path) => User::At(UserPath::new(path), mark_of(path.as_bytes())),
        };
        Self { user, lifetime: Number::new(lifetime), most: Number::new(most) }
    }

    pub(super) fn user_mark(&self) -> Mark {
        match &self.user {
            User::Nobody => 0,
            User::At(_, mark) => *mark,
            User::Told => Mark::MAX,
        }
    }

    /// The path to the user of a session, if the option is one.
    pub(super) fn user_path(&self) -> Option<&UserPath> {
        match &self.user {
            User::At(path, _) => Some(path),
            User::Nobody | User::Told => None,
        }
    }

    /// How long the session may live that one call touches; argument `index` has it if it is told.
    pub(super) fn lifetime(&self, call: &Call, index: usize) -> Result<Millis, Failure> {
        Ok(whole(self.lifetime.of(call, index)?))
    }

    /// The terms of one call that writes. Its arguments from `index` on are the user, how many it may
    /// have, and the lifetime, if they are told. The user of what is not JSON is told too; its text
    /// goes into `text`.
    pub(super) fn terms<'t>(
        &'t self,
        call: &Call,
        index: usize,
        is_json: bool,
        text: &'t mut Text,
    ) -> Result<Terms<'t>, Failure> {
        let owner = match &self.user {
            User::Nobody => Owner::Nobody,
            User::At(path, _) if is_json => Owner::At(path),
            User::At(..) | User::Told => told_owner(call, index, text)?,
        };
        let most = whole_count(self.most.of(call, index + 1)?);
        Ok(Terms { owner, most, lifetime: self.lifetime(call, index + 2)? })
    }
}

fn told_owner<'t>(call: &Call, index: usize, text: &'t mut Text) -> Result<Owner<'t>, Failure> {
    match call.string(index, text) {
        Ok(_) => Ok(Owner::Named(text.as_bytes())),
        // Undefined: nobody's.
        Err(Failure::Argument(_)) => Ok(Owner::Nobody),
        Err(failure) => Err(failure),
    }
}
