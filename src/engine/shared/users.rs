//! Writes of a store whose sessions have notes, and the operations on the sessions of one user.
//!
//! What a head says of its session's owner is the truth: an entry of the index without such a
//! session is passed over.

use std::ops::Bound;

use heed::RoTxn;

use super::head::Head;
use super::index;
use super::lmdb::Lmdb;
use super::schema::{Session, Sessions, Snapshot, view};
use super::session::NewBody;
use super::space::PageSize;
use super::writing::{Stored, Writing};
use crate::engine::rules::{Refused, Write};
use crate::engine::types::{Reason, Version};
use crate::engine::users::{Claim, Ended, Facts, LISTED_AT_ONCE, User, Which, to_end};
use crate::session::BodyView;
use crate::sid::{Sid, first_of_sha256};
use crate::time::{Millis, has_expired};

/// The user that `text` names: the same in all processes.
pub(super) fn user_named(text: &[u8]) -> User {
    User(first_of_sha256(text))
}

/// What is told of the session with this head.
pub(super) fn facts_of(key: &[u8], head: &Head<'_>, page: PageSize) -> Facts {
    Facts {
        times: head.note.map(|note| (note.created, note.used)),
        expires: head.due.expires,
        bytes: page.cost_of(key.len(), head),
        order: head.due.sequence,
    }
}

impl Sessions {
    /// Up to `limit` sids that the index has of a user, from the first on or those after `after`,
    /// and whether there are more.
    fn some_of(
        &self,
        transaction: &RoTxn<'_>,
        user: User,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Lmdb<(Vec<Vec<u8>>, bool)> {
        let mut from = user.0.to_vec();
        if let Some(after) = after {
            index::user_key(user, after, &mut from);
        }
        let from = match after {
            Some(_) => Bound::Excluded(&from[..]),
            None => Bound::Included(&from[..]),
        };
        let mut sids = Vec::new();
        for entry in self.users.range(transaction, &(from, Bound::Unbounded))? {
            let entry = entry?;
            if !entry.0.starts_with(&user.0) {
                break;
            }
            let Some(sid) = index::sid_of(entry) else {
                continue;
            };
            if sids.len() == limit {
                return Ok((sids, true));
            }
            sids.push(sid.to_vec());
        }
        Ok((sids, false))
    }
}

impl Snapshot<'_> {
    /// As [`Engine::sessions_of`](crate::engine::Engine::sessions_of).
    pub(super) fn sessions_of(
        &self,
        user: User,
        after: Option<&[u8]>,
        (now, page): (Millis, PageSize),
        read: &mut dyn FnMut(&[u8], &Facts, BodyView<'_>),
    ) -> Lmdb<Option<Vec<u8>>> {
        let (sids, has_more) =
            self.sessions.some_of(self.transaction, user, after, LISTED_AT_ONCE)?;
        for key in &sids {
            let session = self.sessions.get(self.transaction, key)?;
            let Session::Found(head, body) = &session else {
                continue;
            };
            if head.owner() != Some(user) || has_expired(head.due.expires, now) {
                continue;
            }
            if let Some(view) = view(key, head, body, self.state.version) {
                read(key, &facts_of(key, head, page), view);
            }
        }
        Ok(sids.into_iter().next_back().filter(|_| has_more))
    }
}

impl Writing<'_> {
    /// As [`Self::set`], if sessions have notes.
    pub(super) fn set_noted(
        &mut self,
        key: &[u8],
        new: &NewBody<'_>,
        write: Write<'_>,
    ) -> Lmdb<Result<Version, Refused>> {
        let Write { now, expires, terms, .. } = write;
        let text = terms.owner.text(new.given()).filter(|_| self.options.user != 0);
        let owner = text.map_or(User::NOBODY, |text| user_named(&text));
        let stored = self.find(key)?.filter(|stored| !stored.is_expired(now));
        let note = stored.and_then(|stored| stored.note);
        let mut claim = Claim::new(note, owner, (now, expires), terms);
        if claim.most < usize::MAX && self.options.is_refusing {
            claim.is_refused = self.alive_of(owner, now)?.len() >= claim.most;
        }
        let write = Write { expires: claim.expires, ..write };
        self.set_checked(key, new, write, Some(&claim))
    }

    /// Ends those sessions of the user of `claim` that were unused longest, but not `kept`, until
    /// there are no more than it may have.
    pub(super) fn end_unused(&mut self, claim: &Claim, kept: &[u8], now: Millis) -> Lmdb<()> {
        let Claim { note, most, .. } = *claim;
        if most == usize::MAX {
            return Ok(());
        }
        let others = self.alive_of(note.owner, now)?.into_iter().filter(|(key, _)| key != kept);
        let others = others
            .map(|(key, stored)| (stored.note.map(|note| note.used), stored.due.sequence, key));
        for (_, _, key) in to_end(others.collect(), most) {
            self.destroy_for(Reason::Limit, &key, now, kept)?;
        }
        Ok(())
    }

    /// The sessions of `user` that are alive.
    fn alive_of(&mut self, user: User, now: Millis) -> Lmdb<Vec<(Vec<u8>, Stored)>> {
        let (sids, _) = self.sessions.some_of(&self.transaction, user, None, usize::MAX)?;
        let mut alive = Vec::new();
        for key in sids {
            let stored = self.find(&key)?.filter(|stored| stored.owner() == user);
            if let Some(stored) = stored.filter(|stored| !stored.is_expired(now)) {
                alive.push((key, stored));
            }
        }
        Ok(alive)
    }

    /// As [`Engine::destroy_user`](crate::engine::Engine::destroy_user).
    pub(super) fn destroy_user(
        &mut self,
        user: User,
        which: Which<'_>,
        after: Option<&[u8]>,
        now: Millis,
    ) -> Lmdb<Ended> {
        let (sids, has_more) = self.sessions.some_of(&self.transaction, user, after, self.step)?;
        let mut ended = Ended::default();
        for key in sids {
            let stored = self.find(&key)?.filter(|stored| stored.owner() == user);
            let is_alive = stored.is_some_and(|stored| !stored.is_expired(now));
            let sid = Sid::new(&key, self.hasher);
            if is_alive && which.includes(&sid) {
                self.destroy(&key, now)?;
                ended.count += 1;
            }
            ended.after = Some(sid);
        }
        ended.after = ended.after.filter(|_| has_more);
        Ok(ended)
    }
}
