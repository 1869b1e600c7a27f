//! A transaction that writes, and what the operations in one have in common. The rest is in
//! `session`, `tombstones`, `clearing` and `eviction`.

use std::hash::RandomState;

use heed::RwTxn;

use super::index;
use super::layout::{Due, Head, PieceKeys, State};
use super::lmdb::Lmdb;
use super::schema::{Databases, STATE, Session, Sessions, view};
use super::space::{Limits, RESERVE};
use crate::engine::types::{Counters, Options, Reason, Removed, Version};
use crate::engine::users::{Note, User};
use crate::session::Body;
use crate::sid::Sid;
use crate::time::{Millis, has_expired};

/// How many entries one transaction removes, because other writers wait for it.
pub(super) const STEP: usize = 64;

/// About how many pages removing a session copies.
const PAGES_TO_REMOVE: usize = 4;

/// A transaction that copies no more than this need not check how many pages it leaves.
const PAGES_OF_FEW: usize = 2 * PAGES_TO_REMOVE;

/// A buffer that has grown beyond this many bytes is not kept.
const BUFFER_TO_KEEP: usize = 256 * 1024;

/// One transaction that writes. What it removes and counts is reported once it is committed.
pub(super) struct Writing<'e> {
    pub(super) databases: Databases,
    /// Those of the databases that have the sessions.
    pub(super) sessions: Sessions,
    pub(super) transaction: RwTxn<'e>,
    pub(super) state: State,
    pub(super) removed: Vec<Removed>,
    pub(super) counters: Counters,
    pub(super) options: Options,
    pub(super) hasher: &'e RandomState,
    pub(super) limits: Limits,
    /// How many sessions it may remove.
    pub(super) step: usize,
    /// How many pages the file has never used, and about how many the transaction has copied.
    pub(super) unused_pages: usize,
    pub(super) copied_pages: usize,
    /// Whether the file has been used up to the last page that is to be in use.
    pub(super) is_file_used_up: bool,
    /// Whether there is still too much, so that another transaction has to go on evicting.
    pub(super) is_over: bool,
    pub(super) buffers: Buffers,
}

/// For what is written. Kept from one transaction to the next.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Buffers {
    /// Gives back what one large session made them grow to.
    pub(super) fn trimmed(self) -> Self {
        let is_large = [&self.head, &self.body].iter().any(|one| one.capacity() > BUFFER_TO_KEEP);
        if is_large { Self::default() } else { self }
    }
}

/// What is known of a stored session without its texts.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) due: Due,
    pub(super) cost: u64,
    pub(super) has_pieces: bool,
    pub(super) note: Option<Note>,
}

impl Stored {
    pub(super) fn is_expired(&self, now: Millis) -> bool {
        has_expired(self.due.expires, now)
    }

    pub(super) fn owner(&self) -> User {
        self.note.map_or(User::NOBODY, |note| note.owner)
    }

    /// Its note. One that was written before the options asked for notes counts as new.
    pub(super) fn note_at(&self, now: Millis, options: &Options) -> Option<Note> {
        let first = Note { created: now, used: now, owner: User::NOBODY };
        self.note.or_else(|| options.has_notes().then_some(first))
    }
}

impl Writing<'_> {
    /// The session of `key`, by its head. One that cannot be read is removed.
    pub(super) fn find(&mut self, key: &[u8]) -> Lmdb<Option<Stored>> {
        let Some(head) = self.sessions.heads.get(&self.transaction, key)? else {
            return Ok(None);
        };
        let Some(head) = Head::read(key, head) else {
            self.discard(key)?;
            return Ok(None);
        };
        Ok(Some(self.stored(key, &head)))
    }

    pub(super) fn stored(&self, key: &[u8], head: &Head<'_>) -> Stored {
        let (page, body) = (self.limits.page, head.body as usize);
        Stored {
            version: head.version,
            due: head.due,
            cost: page.cost_of(key.len(), head) as u64,
            has_pieces: page.needs_pieces(body),
            note: head.note,
        }
    }

    /// Removes what there is of a session that may be damaged, and reports nothing. What it took is
    /// only known if its head can be read; else the sums are put right when the file is opened.
    pub(super) fn discard(&mut self, key: &[u8]) -> Lmdb<()> {
        let head = self.sessions.heads.get(&self.transaction, key)?;
        let known = head.and_then(|head| Head::read(key, head)).map(|head| self.stored(key, &head));
        self.delete(key, true)?;
        if let Some(stored) = known {
            self.delete_expiry(&stored)?;
            self.change_owner(key, stored.owner(), User::NOBODY)?;
            self.give_back(stored.cost);
        }
        Ok(())
    }

    /// Deletes the head, and the body with its pieces.
    fn delete(&mut self, key: &[u8], has_pieces: bool) -> Lmdb<()> {
        self.sessions.heads.delete(&mut self.transaction, key)?;
        self.sessions.bodies.delete(&mut self.transaction, key)?;
        if has_pieces { self.delete_pieces(key) } else { Ok(()) }
    }

    fn delete_pieces(&mut self, key: &[u8]) -> Lmdb<()> {
        let mut keys = PieceKeys::new(key);
        for number in 0.. {
            if !self.sessions.pieces.delete(&mut self.transaction, keys.key(number))? {
                break;
            }
        }
        Ok(())
    }

    /// Writes the body that is in the buffer, in place of one that may have pieces.
    pub(super) fn put_body(&mut self, key: &[u8], has_pieces: bool) -> Lmdb<()> {
        if has_pieces {
            self.delete_pieces(key)?;
        }
        let room = self.limits.page.room();
        let body = &self.buffers.body;
        let (first, rest) = body.split_at(body.len().min(room));
        self.sessions.bodies.put(&mut self.transaction, key, first)?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut keys = PieceKeys::new(key);
        for (number, piece) in (0..).zip(rest.chunks(room)) {
            self.sessions.pieces.put(&mut self.transaction, keys.key(number), piece)?;
            self.copied_pages += 1;
        }
        Ok(())
    }

    /// Whether the body is what was written.
    pub(super) fn is_whole(&self, key: &[u8]) -> Lmdb<bool> {
        let session = self.sessions.get(&self.transaction, key)?;
        Ok(matches!(session, Session::Found(head, body) if view(key, &head, &body, 0).is_some()))
    }

    pub(super) fn give_back(&mut self, cost: u64) {
        self.state.bytes = self.state.bytes.saturating_sub(cost);
    }

    pub(super) fn delete_expiry(&mut self, stored: &Stored) -> Lmdb<()> {
        let database = self.sessions.expiry_of(stored.owner());
        database.delete(&mut self.transaction, &stored.due.key())?;
        Ok(())
    }

    pub(super) fn put_expiry(&mut self, (due, owner): (Due, User), key: &[u8]) -> Lmdb<()> {
        self.sessions.expiry_of(owner).put(&mut self.transaction, &due.key(), key)
    }

    /// Keeps the index in step with a session that has another owner now, or is gone.
    pub(super) fn change_owner(&mut self, key: &[u8], from: User, to: User) -> Lmdb<()> {
        if from == to {
            return Ok(());
        }
        let users = self.sessions.users;
        if from != User::NOBODY {
            index::user_key(from, key, &mut self.buffers.key);
            users.delete(&mut self.transaction, &self.buffers.key)?;
        }
        if to != User::NOBODY {
            index::user_key(to, key, &mut self.buffers.key);
            users.put(&mut self.transaction, &self.buffers.key, index::user_value(key))?;
        }
        Ok(())
    }

    /// The body of `key`, for whoever disposes of it.
    pub(super) fn body(&self, key: &[u8]) -> Lmdb<Body> {
        if !self.options.keep_removed {
            return Ok(Body::none());
        }
        Ok(match self.sessions.get(&self.transaction, key)? {
            Session::Found(head, body) => {
                view(key, &head, &body, 0).map_or_else(Body::none, |body| body.to_body())
            }
            Session::Missing | Session::Damaged => Body::none(),
        })
    }

    pub(super) fn note_removed(&mut self, key: &[u8], body: Body, reason: Reason) {
        let sid = Sid::new(key, self.hasher);
        self.removed.push(Removed { sid, body, reason, last_use: 0 });
    }

    /// Removes a session that is there.
    pub(super) fn remove(&mut self, key: &[u8], stored: &Stored, reason: Reason) -> Lmdb<()> {
        let body = self.body(key)?;
        self.delete(key, stored.has_pieces)?;
        self.copied_pages += PAGES_TO_REMOVE;
        self.delete_expiry(stored)?;
        self.change_owner(key, stored.owner(), User::NOBODY)?;
        self.give_back(stored.cost);
        self.note_removed(key, body, reason);
        Ok(())
    }

    pub(super) fn expire(&mut self, key: &[u8], stored: &Stored) -> Lmdb<()> {
        self.counters.expirations += 1;
        self.remove(key, stored, Reason::Expired)
    }

    pub(super) fn next_version(&mut self) -> Version {
        self.state.version += 1;
        self.state.version
    }

    /// Only the transaction after the next one can use the pages that this one freed. So if it has
    /// copied many pages, and may have come near the end of the map, it makes sure that enough are
    /// left for one that evicts: by taking them, and giving them back.
    fn leave_room(&mut self) -> Lmdb<()> {
        if self.copied_pages <= PAGES_OF_FEW
            || self.unused_pages > self.copied_pages + 3 * RESERVE as usize
        {
            return Ok(());
        }
        let page = vec![0; self.limits.page.room()];
        let mut keys = PieceKeys::new(STATE);
        for number in 0..RESERVE {
            self.databases.state.put(&mut self.transaction, keys.key(number), &page)?;
        }
        for number in 0..RESERVE {
            self.databases.state.delete(&mut self.transaction, keys.key(number))?;
        }
        Ok(())
    }

    /// Ends the transaction. Returns what it removed and counted, and whether there is still too
    /// much of something.
    pub(super) fn commit(
        mut self,
        before: &State,
    ) -> Lmdb<(Vec<Removed>, Counters, bool, Buffers)> {
        self.leave_room()?;
        if self.state != *before {
            self.databases.state.put(&mut self.transaction, STATE, &self.state.bytes())?;
        }
        self.transaction.commit()?;
        Ok((self.removed, self.counters, self.is_over, self.buffers))
    }
}
