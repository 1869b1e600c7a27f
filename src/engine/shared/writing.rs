//! A transaction that writes, and what all that is done in one has in common. The rest is told in
//! `session`, `deaths` and `eviction`.

use std::hash::RandomState;

use heed::RwTxn;

use super::eviction::Limits;
use super::layout::{self, Head, State};
use super::{Databases, Lmdb, STATE, Session, Sessions, view};
use crate::engine::{Counters, Options, Removed, Version};
use crate::record::Body;
use crate::sid::Sid;
use crate::time::Millis;

/// How many entries one transaction removes, for others that write wait for it.
pub(super) const STEP: usize = 64;

/// A buffer that has grown beyond this many bytes is not kept.
const BUFFER_TO_KEEP: usize = 256 * 1024;

/// One transaction that writes. What it removes and counts is told when it has been committed.
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
    /// Whether the file has been used up to the last page that is to be in use.
    pub(super) is_file_used_up: bool,
    /// Whether there still is too much, and another transaction is to go on evicting.
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
    pub(super) expires: Millis,
    pub(super) cost: u64,
}

impl Stored {
    pub(super) fn is_expired(&self, now: Millis) -> bool {
        now > self.expires
    }
}

impl Writing<'_> {
    /// The session of `key`, by its head. One that cannot be read is removed.
    pub(super) fn find(&mut self, key: &[u8]) -> Lmdb<Option<Stored>> {
        let Some(head) = self.sessions.heads.get(&self.transaction, key)? else {
            return Ok(None);
        };
        let Some(head) = Head::read(head) else {
            self.discard(key)?;
            return Ok(None);
        };
        Ok(Some(Stored {
            version: head.version,
            expires: head.expires,
            cost: layout::cost(key.len(), head.cookie.len(), head.body as usize) as u64,
        }))
    }

    /// Removes what there is of a session that cannot be read.
    pub(super) fn discard(&mut self, key: &[u8]) -> Lmdb<()> {
        let Sessions { heads, bodies, .. } = self.sessions;
        let head = heads.get(&self.transaction, key)?;
        let known = head.and_then(Head::read).map(|head| {
            let cost = layout::cost(key.len(), head.cookie.len(), head.body as usize);
            (head.expires, cost as u64)
        });
        heads.delete(&mut self.transaction, key)?;
        bodies.delete(&mut self.transaction, key)?;
        if let Some((expires, cost)) = known {
            self.delete_expiry(expires, key)?;
            self.give_back(cost);
        }
        Ok(())
    }

    /// Whether the body is what was written.
    pub(super) fn is_whole(&self, key: &[u8]) -> Lmdb<bool> {
        let session = self.sessions.get(&self.transaction, key)?;
        Ok(matches!(session, Session::Found(head, body) if view(&head, body, 0).is_some()))
    }

    pub(super) fn give_back(&mut self, cost: u64) {
        self.state.bytes = self.state.bytes.saturating_sub(cost);
    }

    pub(super) fn delete_expiry(&mut self, expires: Millis, key: &[u8]) -> Lmdb<()> {
        layout::expiry_key(expires, key, &mut self.buffers.key);
        self.sessions.expiry.delete(&mut self.transaction, &self.buffers.key)?;
        Ok(())
    }

    pub(super) fn put_expiry(&mut self, expires: Millis, key: &[u8]) -> Lmdb<()> {
        layout::expiry_key(expires, key, &mut self.buffers.key);
        self.sessions.expiry.put(&mut self.transaction, &self.buffers.key, &[])
    }

    /// The body of `key`, for whoever disposes of it.
    pub(super) fn body(&self, key: &[u8]) -> Lmdb<Body> {
        if !self.options.keep_removed {
            return Ok(Body::none());
        }
        Ok(match self.sessions.get(&self.transaction, key)? {
            Session::Found(head, body) => {
                view(&head, body, 0).map_or_else(Body::none, |body| body.to_body())
            }
            Session::Missing | Session::Damaged => Body::none(),
        })
    }

    pub(super) fn note_removed(&mut self, key: &[u8], body: Body) {
        let sid = Sid::new(key, self.hasher);
        self.removed.push(Removed { sid, body, last_use: 0 });
    }

    /// Removes a session that is there.
    pub(super) fn remove(&mut self, key: &[u8], stored: &Stored) -> Lmdb<()> {
        let body = self.body(key)?;
        self.sessions.heads.delete(&mut self.transaction, key)?;
        self.sessions.bodies.delete(&mut self.transaction, key)?;
        self.delete_expiry(stored.expires, key)?;
        self.give_back(stored.cost);
        self.note_removed(key, body);
        Ok(())
    }

    pub(super) fn expire(&mut self, key: &[u8], stored: &Stored) -> Lmdb<()> {
        self.counters.expirations += 1;
        self.remove(key, stored)
    }

    pub(super) fn next_version(&mut self) -> Version {
        self.state.version += 1;
        self.state.version
    }

    /// Ends the transaction. Returns what it removed and counted, and whether there is still too
    /// much of something.
    pub(super) fn commit(
        mut self,
        before: &State,
    ) -> Lmdb<(Vec<Removed>, Counters, bool, Buffers)> {
        if self.state != *before {
            self.databases.state.put(&mut self.transaction, STATE, &self.state.bytes())?;
        }
        self.transaction.commit()?;
        Ok((self.removed, self.counters, self.is_over, self.buffers))
    }
}

pub(super) fn count_of(entries: u64) -> usize {
    usize::try_from(entries).unwrap_or(usize::MAX)
}
