//! The tombstones in the file. See [`crate::engine::tombstones`] for what they mean.

use super::layout;
use super::lmdb::Lmdb;
use super::schema::Databases;
use super::writing::{STEP, Writing};
use crate::engine::tombstones::{History, MOST, SHARE, Tombstone};
use crate::engine::types::Reason;
use crate::time::Millis;

impl Writing<'_> {
    /// What is known of the destruction of a sid.
    pub(super) fn history_of(&self, key: &[u8]) -> Lmdb<History> {
        let tombstone = self.databases.tombstones.get(&self.transaction, key)?;
        Ok(History {
            tombstone: tombstone.and_then(layout::read_tombstone),
            cleared: self.state.cleared,
            forgotten: self.state.forgotten,
        })
    }

    /// Removes a session, and makes a tombstone. Returns whether it was there.
    pub(super) fn destroy(&mut self, key: &[u8], now: Millis) -> Lmdb<bool> {
        self.destroy_for(Reason::Destroyed, key, now, &[])
    }

    /// As [`Self::destroy`], for another reason, and without evicting the session `kept`.
    pub(super) fn destroy_for(
        &mut self,
        reason: Reason,
        key: &[u8],
        now: Millis,
        kept: &[u8],
    ) -> Lmdb<bool> {
        let version = self.next_version();
        self.remember(key, Tombstone { version, at: now })?;
        self.forget_old(now)?;
        let mut left = STEP;
        while left > 0 && self.remembers_too_much()? && self.forget_first()? {
            left -= 1;
        }
        let found = self.find(key)?;
        if let Some(stored) = &found {
            self.remove(key, stored, reason)?;
        }
        self.evict(kept)?;
        Ok(found.is_some())
    }

    pub(super) fn remember(&mut self, key: &[u8], tombstone: Tombstone) -> Lmdb<()> {
        let Databases { tombstones, tombstone_order, .. } = self.databases;
        if let Some(old) = tombstones.get(&self.transaction, key)?.and_then(layout::read_tombstone)
        {
            layout::tombstone_key(old.version, key, &mut self.buffers.key);
            tombstone_order.delete(&mut self.transaction, &self.buffers.key)?;
        } else {
            self.state.tombstone_bytes += self.limits.page.tombstone_cost(key.len()) as u64;
        }
        tombstones.put(&mut self.transaction, key, &layout::tombstone_value(tombstone))?;
        layout::tombstone_key(tombstone.version, key, &mut self.buffers.key);
        tombstone_order.put(&mut self.transaction, &self.buffers.key, &[])
    }

    pub(super) fn remembers_too_much(&self) -> Lmdb<bool> {
        let is_too_large = self.state.tombstone_bytes > (self.limits.max_bytes / SHARE) as u64;
        Ok(is_too_large || self.databases.tombstone_order.len(&self.transaction)? > MOST as u64)
    }

    /// Forgets some of the tombstones that are too old to matter.
    pub(super) fn forget_old(&mut self, now: Millis) -> Lmdb<()> {
        for _ in 0..STEP {
            let Databases { tombstones, tombstone_order, .. } = self.databases;
            let Some((key, _)) = tombstone_order.first(&self.transaction)? else {
                return Ok(());
            };
            let tombstone = match layout::read_tombstone_key(key) {
                Some((_, sid)) if !sid.is_empty() => tombstones.get(&self.transaction, sid)?,
                _ => None,
            };
            if tombstone
                .and_then(layout::read_tombstone)
                .is_some_and(|tombstone| !tombstone.is_over(now))
            {
                return Ok(());
            }
            self.forget_first()?;
        }
        Ok(())
    }

    /// Returns whether there was one to forget.
    pub(super) fn forget_first(&mut self) -> Lmdb<bool> {
        let Databases { tombstones, tombstone_order, .. } = self.databases;
        let Some((key, _)) = tombstone_order.first(&self.transaction)? else {
            return Ok(false);
        };
        let key = key.to_vec();
        tombstone_order.delete(&mut self.transaction, &key)?;
        let Some((version, sid)) =
            layout::read_tombstone_key(&key).filter(|(_, sid)| !sid.is_empty())
        else {
            return Ok(true);
        };
        tombstones.delete(&mut self.transaction, sid)?;
        let cost = self.limits.page.tombstone_cost(sid.len()) as u64;
        self.state.tombstone_bytes = self.state.tombstone_bytes.saturating_sub(cost);
        self.state.forgotten = self.state.forgotten.max(version);
        Ok(true)
    }
}
