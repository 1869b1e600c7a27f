//! Makes the index of users where the option `user` is new to a file, a few sessions at a time, and
//! mends it where damage has removed some of it.
//!
//! What is written meanwhile is indexed when it is written.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use heed::{RoTxn, RwTxn};

use super::error::Result;
use super::handle::SharedEngine;
use super::head::{Cookie, Head};
use super::index::{self, INDEX, Index};
use super::layout::State;
use super::lmdb::Lmdb;
use super::schema::{Databases, Session, Sessions, view};
use super::users::user_named;
use super::writing::Writing;
use crate::engine::users::{Mark, Note, User};
use crate::session::UserPath;
use crate::time::wall_clock;

impl Databases {
    /// What `users` is an index of.
    fn index(&self, transaction: &RoTxn<'_>) -> Lmdb<Index> {
        let stored = self.state.get(transaction, INDEX)?.and_then(Index::read);
        Ok(stored.unwrap_or_default())
    }

    fn put_index(&self, transaction: &mut RwTxn<'_>, index: &Index) -> Lmdb<()> {
        if index.user == 0 {
            self.state.delete(transaction, INDEX)?;
            return Ok(());
        }
        self.state.put(transaction, INDEX, &index.bytes())
    }

    /// Whether the sessions are indexed by this option.
    pub(super) fn has_index_of(&self, transaction: &RoTxn<'_>, user: Mark) -> Lmdb<bool> {
        Ok(self.index(transaction)?.user == user)
    }

    /// Whether there are sessions that have yet to be indexed.
    pub(super) fn is_indexing(&self, transaction: &RoTxn<'_>) -> Lmdb<bool> {
        Ok(self.index(transaction)?.after.is_some())
    }

    /// Has all sessions indexed by another option from here on.
    pub(super) fn begin_index(
        &self,
        transaction: &mut RwTxn<'_>,
        state: &State,
        user: Mark,
    ) -> Lmdb<()> {
        let is_empty = self.sessions(state).heads.is_empty(transaction)?;
        let after = (!is_empty).then(Vec::new);
        let index = Index { user, since: state.version, at: wall_clock(), after };
        self.put_index(transaction, &index)
    }

    /// Makes the entries those that the heads ask for. If a head has lost its note, all sessions
    /// are indexed once more.
    pub(super) fn mend_index(&self, transaction: &mut RwTxn<'_>, state: &State) -> Lmdb<()> {
        let index = self.index(transaction)?;
        let sessions = self.sessions(state);
        if index.user == 0 && sessions.users.is_empty(transaction)? {
            return Ok(());
        }
        let (mut missing, mut is_noted) = (Vec::new(), true);
        let mut key = Vec::new();
        for entry in sessions.heads.iter(transaction)? {
            let (sid, head) = entry?;
            let head = Head::read(sid, head);
            is_noted &= head.is_some_and(|head| head.note.is_some());
            let Some(owner) = head.and_then(|head| head.owner()) else {
                continue;
            };
            index::user_key(owner, sid, &mut key);
            if sessions.users.get(transaction, &key)? != Some(index::user_value(sid)) {
                missing.push((key.clone(), sid.to_vec()));
            }
        }
        let mut stray = Vec::new();
        for entry in sessions.users.iter(transaction)? {
            let entry = entry?;
            if !sessions.is_owned(transaction, entry)? {
                stray.push(entry.0.to_vec());
            }
        }
        for key in stray {
            sessions.users.delete(transaction, &key)?;
        }
        for (key, sid) in missing {
            sessions.users.put(transaction, &key, index::user_value(&sid))?;
        }
        if index.user != 0 && index.after.is_none() && !is_noted {
            self.put_index(transaction, &Index { since: 0, after: Some(Vec::new()), ..index })?;
        }
        Ok(())
    }
}

impl Sessions {
    /// Whether an entry of `users` has its session.
    fn is_owned(&self, transaction: &RoTxn<'_>, entry: (&[u8], &[u8])) -> Lmdb<bool> {
        let Some(sid) = index::sid_of(entry) else {
            return Ok(false);
        };
        let head = self.heads.get(transaction, sid)?.and_then(|head| Head::read(sid, head));
        let mut key = Vec::new();
        Ok(head.and_then(|head| head.owner()).is_some_and(|owner| {
            index::user_key(owner, sid, &mut key);
            key == entry.0
        }))
    }
}

impl Writing<'_> {
    /// Indexes some of the sessions that have yet to be indexed, by a path if the option is one.
    /// Returns whether there are more.
    fn index_some(&mut self, path: Option<&UserPath>) -> Lmdb<bool> {
        let mut index = self.databases.index(&self.transaction)?;
        let Some(after) = index.after.take() else {
            return Ok(false);
        };
        let from = match &after[..] {
            [] => Bound::Unbounded,
            after => Bound::Excluded(after),
        };
        let mut keys = Vec::new();
        let heads = self.sessions.heads;
        for entry in heads.range(&self.transaction, &(from, Bound::Unbounded))?.take(self.step) {
            keys.push(entry?.0.to_vec());
        }
        for key in &keys {
            self.index_session(key, &index, path)?;
        }
        let has_more = keys.len() == self.step;
        index.after = keys.pop().filter(|_| has_more);
        self.databases.put_index(&mut self.transaction, &index)?;
        Ok(has_more)
    }

    fn index_session(&mut self, key: &[u8], index: &Index, path: Option<&UserPath>) -> Lmdb<()> {
        let session = self.sessions.get(&self.transaction, key)?;
        let Session::Found(head, body) = &session else {
            return Ok(());
        };
        let Some(view) = view(key, head, body, 0) else {
            return Ok(());
        };
        let owner = match path.filter(|_| head.place != Cookie::Fixed) {
            Some(path) => path.user_of(view.to_body().bytes()).map(|text| user_named(&text)),
            // The app tells whose it is, with the next write.
            None => head.owner().filter(|_| head.version > index.since),
        };
        let owner = owner.unwrap_or(User::NOBODY);
        let first = Note { created: index.at, used: index.at, owner };
        let note = head.note.map_or(first, |note| Note { owner, ..note });
        if head.note == Some(note) {
            return self.change_owner(key, User::NOBODY, owner);
        }
        let old = self.stored(key, head);
        let body_is = self.buffers.body_of(head);
        let cookie = head.cookie.to_vec();
        let head = Head { note: Some(note), cookie: &cookie, ..head.bare() };
        self.put_session(key, &head, body_is, Some(&old))
    }
}

impl SharedEngine {
    /// Has the background thread index what has yet to be indexed in the files that were opened.
    pub(super) fn index_later(&self) -> Result<()> {
        let is_indexing =
            self.reading(|snapshot| snapshot.databases.is_indexing(snapshot.transaction))?;
        self.is_indexed.store(!is_indexing, Ordering::Relaxed);
        self.backlog.lock().is_indexing = is_indexing;
        Ok(())
    }

    /// Indexes a few sessions. Returns whether there are more.
    pub(super) fn index_a_little(&self) -> Result<bool> {
        let path = self.user_path.as_ref();
        let more = self.writing(&[], 0, &mut Vec::new(), |writing| writing.index_some(path))?;
        if !more {
            self.is_indexed.store(true, Ordering::Relaxed);
        }
        Ok(more)
    }

    /// Indexes all that has yet to be indexed: what is asked of a user has to be complete.
    pub(super) fn finish_index(&self) -> Result<()> {
        while !self.is_indexed.load(Ordering::Relaxed) {
            self.index_a_little()?;
        }
        Ok(())
    }
}
