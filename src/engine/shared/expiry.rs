//! The entries by which sessions are found when they expire.
//!
//! An entry is never behind the expiry of its session. If the expiry is moved to a later time, the
//! entry stays: whoever comes upon it moves it, and looks on. So a touch writes no entry, and what
//! comes first is right as soon as its session is due where the entry is.

use heed::{RoTxn, RwTxn};

use super::head::Head;
use super::layout::{self, Due, State};
use super::lmdb::{Entries, Lmdb};
use super::schema::{Databases, Sessions};
use super::writing::{PAGES_TO_REMOVE, Stored, Writing};
use crate::engine::users::User;

/// What an entry stands for.
pub(super) enum Entry {
    /// A session that is due then.
    Due(Stored),
    /// A session that is due later.
    LeftBehind(Stored),
    /// None: damage.
    Stray,
}

impl Writing<'_> {
    pub(super) fn delete_expiry(&mut self, stored: &Stored) -> Lmdb<()> {
        let database = self.sessions.expiry_of(stored.owner());
        database.delete(&mut self.transaction, &stored.entry.key())?;
        Ok(())
    }

    /// Makes sure that a session has an entry which is not behind its expiry, and returns where it
    /// is: the one of the session before, if that will do.
    pub(super) fn keep_expiry(
        &mut self,
        key: &[u8],
        old: Option<&Stored>,
        (due, owner): (Due, User),
    ) -> Lmdb<Due> {
        let is_of_user = owner != User::NOBODY;
        if let Some(old) = old {
            if old.entry <= due && (old.owner() != User::NOBODY) == is_of_user {
                return Ok(old.entry);
            }
            self.delete_expiry(old)?;
        }
        self.sessions.expiry_of(owner).put(&mut self.transaction, &due.key(), key)?;
        Ok(due)
    }

    /// What the entry of a database stands for.
    pub(super) fn entry(&mut self, entry: (&[u8], &[u8])) -> Lmdb<Entry> {
        let Some((due, sid)) = layout::read_expiry(entry) else {
            return Ok(Entry::Stray);
        };
        let stored = self.find(sid)?.filter(|stored| stored.entry == due);
        Ok(match stored {
            None => Entry::Stray,
            Some(stored) if stored.due == due => Entry::Due(stored),
            Some(stored) => Entry::LeftBehind(stored),
        })
    }

    /// Moves an entry that was left behind to where its session is due.
    pub(super) fn move_expiry(
        &mut self,
        database: Entries,
        key: &[u8],
        stored: &Stored,
    ) -> Lmdb<()> {
        let value = self.sessions.heads.get(&self.transaction, key)?;
        let Some(head) = value.and_then(|value| Head::read(key, value)) else {
            return Ok(());
        };
        Head { entry: head.due, ..head }.write_to(key, &mut self.buffers.head);
        self.sessions.heads.put(&mut self.transaction, key, &self.buffers.head)?;
        database.delete(&mut self.transaction, &stored.entry.key())?;
        self.copied_pages += PAGES_TO_REMOVE;
        database.put(&mut self.transaction, &stored.due.key(), key)
    }
}

impl Databases {
    /// Gives entries to sessions that have none where their heads say: damage may have removed them,
    /// and without one a session would never be pruned or evicted. Those that no session has are
    /// deleted when they come up.
    pub(super) fn mend_expiries(&self, transaction: &mut RwTxn<'_>, state: &State) -> Lmdb<()> {
        let sessions = self.sessions(state);
        if sessions.sum_of_entries(transaction)? == sessions.sum_of_heads(transaction)? {
            return Ok(());
        }
        let mut missing = Vec::new();
        for entry in sessions.heads.iter(transaction)? {
            let (sid, head) = entry?;
            let Some(head) = Head::read(sid, head) else {
                continue;
            };
            let database = sessions.expiry_of(head.owner().unwrap_or(User::NOBODY));
            if database.get(transaction, &head.entry.key())? != Some(sid) {
                missing.push((database, head.entry.key(), sid.to_vec()));
            }
        }
        for (database, key, sid) in missing {
            database.put(transaction, &key, &sid)?;
        }
        Ok(())
    }
}

impl Sessions {
    /// How many entries there are, and the sum of what they are: it tells, all but surely, whether
    /// they are those that the heads name.
    fn sum_of_entries(&self, transaction: &RoTxn<'_>) -> Lmdb<(u64, u64)> {
        let mut sum = (0, 0);
        for (database, is_of_user) in [(self.expiry, false), (self.owned, true)] {
            for entry in database.iter(transaction)? {
                let (key, sid) = entry?;
                add(&mut sum, key, sid, is_of_user);
            }
        }
        Ok(sum)
    }

    /// The same of the entries that the heads name.
    fn sum_of_heads(&self, transaction: &RoTxn<'_>) -> Lmdb<(u64, u64)> {
        let mut sum = (0, 0);
        for entry in self.heads.iter(transaction)? {
            let (sid, head) = entry?;
            if let Some(head) = Head::read(sid, head) {
                add(&mut sum, &head.entry.key(), sid, head.owner().is_some());
            }
        }
        Ok(sum)
    }
}

fn add((count, sum): &mut (u64, u64), key: &[u8], sid: &[u8], is_of_user: bool) {
    let one = u32::from_le_bytes(layout::checksum([key, sid, &[u8::from(is_of_user)]]));
    *count += 1;
    *sum = sum.wrapping_add(one.into());
}
