//! Clearing the store: at once for whoever looks, and bit by bit in the file.

use super::layout::{self, Death};
use super::writing::{Writing, count_of};
use super::{Lmdb, Sessions};
use crate::engine::Removed;
use crate::engine::destroyed::MOST;
use crate::sid::Sid;
use crate::time::Millis;

/// Of how many sessions that are cleared it is remembered that they were destroyed, where that is
/// final: some milliseconds' work.
const FINAL_AT_ONCE: usize = 10_000;

impl Writing<'_> {
    /// Lets no session be there any more. The databases that had them are emptied bit by bit, by
    /// [`Self::sweep`]; sessions are written to the others from here on.
    pub(super) fn clear(&mut self, now: Millis) -> Lmdb<()> {
        let version = self.next_version();
        self.state.cleared = version;
        if self.options.keep_removed {
            self.note_all_removed()?;
        }
        if self.options.destroyed_is_final {
            self.remember_all(Death { version, at: now })?;
        } else {
            // Whatever was destroyed before is among them.
            self.databases.destroyed.clear(&mut self.transaction)?;
            self.databases.deaths.clear(&mut self.transaction)?;
            self.state.dead_bytes = 0;
        }
        // What an earlier one left is in the way.
        for database in self.swept().all() {
            database.clear(&mut self.transaction)?;
        }
        self.state.generation += 1;
        self.sessions = self.databases.sessions(&self.state);
        self.state.bytes = 0;
        Ok(())
    }

    /// The databases that had the sessions before the last [`Self::clear`].
    fn swept(&self) -> Sessions {
        self.databases.sessions(&self.state.before())
    }

    /// Gives back up to `limit` entries of each of these databases. Returns whether there were any.
    pub(super) fn sweep(&mut self, limit: usize) -> Lmdb<bool> {
        let mut is_found = false;
        for database in self.swept().all() {
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

    fn note_all_removed(&mut self) -> Lmdb<()> {
        let mut removed = Vec::new();
        for entry in self.sessions.expiry.rev_iter(&self.transaction)? {
            if let Some((_, sid)) = layout::read_expiry(entry?) {
                let body = self.body(sid)?;
                removed.push(Removed { sid: Sid::new(sid, self.hasher), body, last_use: 0 });
            }
        }
        self.removed.append(&mut removed);
        Ok(())
    }

    /// Remembers as many of the sessions as there is room for.
    fn remember_all(&mut self, death: Death) -> Lmdb<()> {
        let known = count_of(self.databases.deaths.len(&self.transaction)?);
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
            self.remember(&sid, death)?;
        }
        Ok(())
    }
}
