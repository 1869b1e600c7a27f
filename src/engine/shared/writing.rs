//! A transaction that writes, and what the operations in one have in common. The rest is in
//! `expiry`, `session`, `tombstones`, `clearing` and `eviction`.

use std::hash::RandomState;

use heed::RwTxn;

use super::body::PieceKeys;
use super::head::Head;
use super::index;
use super::layout::{Due, State};
use super::lmdb::Lmdb;
use super::schema::{Databases, STATE, Session, Sessions, view};
use super::space::{Limits, Noted, RESERVE};
use crate::engine::types::{Counters, Options, Reason, Removed, Version};
use crate::engine::users::{Note, User};
use crate::session::Body;
use crate::sid::Sid;
use crate::time::{Millis, has_expired};

/// How many entries one transaction removes, because other writers wait for it.
pub(super) const STEP: usize = 64;

/// About how many pages removing a session copies.
pub(super) const PAGES_TO_REMOVE: usize = 4;

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

    /// Takes the body of a session whose head is written again, if it is in one value with the head.
    pub(super) fn body_of(&mut self, head: &Head<'_>) -> BodyIs {
        let Some(here) = head.here else {
            return BodyIs::LeftApart;
        };
        self.body.clear();
        self.body.extend_from_slice(here);
        BodyIs::New
    }
}

/// What is known of a stored session without its texts.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) due: Due,
    /// Where its entry among the expiries is.
    pub(super) entry: Due,
    pub(super) cost: u64,
    /// Whether its body is apart from its head, and whether that goes on in pieces.
    pub(super) is_apart: bool,
    pub(super) has_pieces: bool,
    pub(super) note: Option<Note>,
}

/// What becomes of the body of a session whose head is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyIs {
    /// In the buffer, to be put where it belongs.
    New,
    /// Apart from the head, where it stays.
    LeftApart,
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
        let is_apart = head.here.is_none();
        Stored {
            version: head.version,
            due: head.due,
            entry: head.entry,
            cost: page.cost_of(key.len(), head) as u64,
            is_apart,
            has_pieces: is_apart && page.needs_pieces(body),
            note: head.note,
        }
    }

    /// Removes what there is of a session that may be damaged, and reports nothing. What it took is
    /// only known if its head can be read; else the sums are put right when the file is opened.
    pub(super) fn discard(&mut self, key: &[u8]) -> Lmdb<()> {
        let head = self.sessions.heads.get(&self.transaction, key)?;
        let known = head.and_then(|head| Head::read(key, head)).map(|head| self.stored(key, &head));
        self.sessions.heads.delete(&mut self.transaction, key)?;
        self.delete_body(key, true)?;
        if let Some(stored) = known {
            self.delete_expiry(&stored)?;
            self.change_owner(key, stored.owner(), User::NOBODY)?;
            self.give_back(stored.cost);
        }
        Ok(())
    }

    /// Deletes a body that is apart from its head.
    fn delete_body(&mut self, key: &[u8], has_pieces: bool) -> Lmdb<()> {
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

    /// Writes the session of this head in place of `old`, with its entries, and counts what it takes.
    /// Where its entry and its body are is decided here, whatever the head says.
    pub(super) fn put_session(
        &mut self,
        key: &[u8],
        head: &Head<'_>,
        body: BodyIs,
        old: Option<&Stored>,
    ) -> Lmdb<()> {
        let page = self.limits.page;
        let (cookie, length, noted) = (head.cookie.len(), head.body as usize, Noted::by(head.note));
        let is_whole = body == BodyIs::New && page.is_whole(key.len(), cookie, length, noted);
        let owner = head.owner().unwrap_or(User::NOBODY);
        let entry = self.keep_expiry(key, old, (head.due, owner))?;
        let here = is_whole.then_some(&self.buffers.body[..]);
        let head = Head { entry, here, ..*head };
        let cost = page.cost_of(key.len(), &head) as u64;
        head.write_to(key, &mut self.buffers.head);
        self.sessions.heads.put(&mut self.transaction, key, &self.buffers.head)?;
        let has_pieces = old.is_some_and(|old| old.has_pieces);
        if body == BodyIs::New && !is_whole {
            self.put_body(key, has_pieces)?;
        } else if is_whole && old.is_some_and(|old| old.is_apart) {
            self.delete_body(key, has_pieces)?;
        }
        self.give_back(old.map_or(0, |old| old.cost));
        self.state.bytes += cost;
        self.change_owner(key, old.map_or(User::NOBODY, Stored::owner), owner)
    }

    /// Writes the body that is in the buffer apart from its head, in place of one that may have
    /// pieces.
    fn put_body(&mut self, key: &[u8], has_pieces: bool) -> Lmdb<()> {
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
        self.sessions.heads.delete(&mut self.transaction, key)?;
        if stored.is_apart {
            self.delete_body(key, stored.has_pieces)?;
        }
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
