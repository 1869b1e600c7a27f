//! Clearing the store: at once for whoever looks, and bit by bit in the file.

use super::lmdb::{Lmdb, count_of};
use super::schema::{Session, Sessions, view};
use super::writing::Writing;
use crate::engine::tombstones::{FINAL_AT_ONCE, MOST, Tombstone};
use crate::engine::types::Reason;
use crate::session::Body;
use crate::time::Millis;

/// Up to this many sessions are removed in one transaction. If there are more, they are swept a few
/// at a time.
const CLEARED_AT_ONCE: u64 = 1000;

impl Writing<'_> {
    /// Removes all sessions. If there are very many, [`Self::sweep`] empties their databases bit by
    /// bit, and sessions are written to the other databases from here on. Returns whether there is
    /// anything to sweep.
    pub(super) fn clear(&mut self, now: Millis) -> Lmdb<bool> {
        let version = self.next_version();
        self.state.cleared = version;
        if self.options.destroyed_is_final {
            self.remember_all(Tombstone { version, at: now })?;
        } else {
            // Whatever was destroyed before is among them.
            self.databases.tombstones.clear(&mut self.transaction)?;
            self.databases.tombstone_order.clear(&mut self.transaction)?;
            self.state.tombstone_bytes = 0;
        }
        let (current, swept) = (self.sessions, self.swept());
        let count = current.heads.len(&self.transaction)?;
        let left = swept.heads.len(&self.transaction)?;
        let is_swept = count > CLEARED_AT_ONCE && count >= left;
        // The sweep of an earlier clear may not be done. Only the larger of the two is left to be
        // swept.
        if is_swept {
            self.note_swept(swept, usize::MAX)?;
            self.empty(swept)?;
            self.state.generation += 1;
            self.sessions = self.databases.sessions(&self.state);
        } else {
            self.note_all_removed()?;
            self.empty(current)?;
        }
        self.state.bytes = 0;
        Ok(is_swept || left > 0)
    }

    /// The databases that do not have the sessions: what is left in them is for [`Self::sweep`].
    fn swept(&self) -> Sessions {
        self.databases.sessions(&self.state.before())
    }

    fn empty(&mut self, sessions: Sessions) -> Lmdb<()> {
        for database in sessions.all() {
            database.clear(&mut self.transaction)?;
        }
        Ok(())
    }

    /// Deletes up to `limit` entries of each of the databases to sweep. Returns whether there were
    /// any.
    pub(super) fn sweep(&mut self, limit: usize) -> Lmdb<bool> {
        let swept = self.swept();
        self.note_swept(swept, limit)?;
        // Bodies that are apart go last: they are handed out with their heads.
        let has_sessions = !swept.heads.is_empty(&self.transaction)?;
        let apart = if has_sessions { &[][..] } else { &[swept.bodies, swept.pieces] };
        let mut is_found = false;
        for database in [swept.heads, swept.expiry, swept.owned, swept.users].iter().chain(apart) {
            let mut keys = Vec::new();
            for entry in database.iter(&self.transaction)?.take(limit) {
                keys.push(entry?.0.to_vec());
            }
            is_found |= !keys.is_empty();
            for key in keys {
                database.delete(&mut self.transaction, &key)?;
            }
        }
        Ok(is_found)
    }

    /// Hands out the first `limit` of the sessions in databases that are being swept.
    fn note_swept(&mut self, swept: Sessions, limit: usize) -> Lmdb<()> {
        if !self.options.keep_removed {
            return Ok(());
        }
        let mut found = Vec::new();
        for entry in swept.heads.iter(&self.transaction)?.take(limit) {
            let (key, _) = entry?;
            let body = match swept.get(&self.transaction, key)? {
                Session::Found(head, body) => view(key, &head, &body, 0).map(|it| it.to_body()),
                Session::Missing | Session::Damaged => None,
            };
            found.push((key.to_vec(), body.unwrap_or_else(Body::none)));
        }
        for (key, body) in found {
            self.note_removed(&key, body, Reason::Cleared);
        }
        Ok(())
    }

    /// Hands out all sessions, the latest expiry first.
    fn note_all_removed(&mut self) -> Lmdb<()> {
        if !self.options.keep_removed {
            return Ok(());
        }
        let mut found = Vec::new();
        for sid in self.sessions.latest_first(&self.transaction)? {
            found.push((sid.to_vec(), self.body(sid)?));
        }
        for (key, body) in found {
            self.note_removed(&key, body, Reason::Cleared);
        }
        Ok(())
    }

    /// Makes tombstones for as many of the sessions as there is room for.
    fn remember_all(&mut self, tombstone: Tombstone) -> Lmdb<()> {
        let known = count_of(self.databases.tombstone_order.len(&self.transaction)?);
        let mut sids = Vec::new();
        for entry in self
            .sessions
            .heads
            .iter(&self.transaction)?
            .take(FINAL_AT_ONCE.min(MOST.saturating_sub(known)))
        {
            sids.push(entry?.0.to_vec());
        }
        for sid in sids {
            if self.remembers_too_much()? {
                return Ok(());
            }
            self.remember(&sid, tombstone)?;
        }
        Ok(())
    }
}
