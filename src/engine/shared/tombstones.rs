//! The tombstones in the file. What they mean is told in [`crate::engine::tombstones`].

use super::layout::{self, Death};
use super::lmdb::Lmdb;
use super::schema::Databases;
use super::writing::{STEP, Writing};
use crate::engine::rules::{Condition, Refused};
use crate::engine::tombstones::{History, MOST, SHARE, is_over, judge};
use crate::engine::types::Version;
use crate::time::Millis;

impl Writing<'_> {
    /// Whether a write may be done.
    pub(super) fn check(
        &self,
        key: &[u8],
        condition: Condition,
        stored: Option<Version>,
        now: Millis,
    ) -> Lmdb<Result<(), Refused>> {
        if condition == Condition::None && !self.options.destroyed_is_final {
            return Ok(Ok(()));
        }
        let death = self.databases.destroyed.get(&self.transaction, key)?.and_then(Death::read);
        if self.options.destroyed_is_final && death.is_some_and(|death| !is_over(death.at, now)) {
            return Ok(Err(Refused::Destroyed));
        }
        let history = History {
            tombstone: death.map(|death| death.version),
            cleared: self.state.cleared,
            forgotten: self.state.forgotten,
        };
        Ok(judge(condition, stored, history))
    }

    /// Removes a session, and remembers that. Returns whether it was there.
    pub(super) fn destroy(&mut self, key: &[u8], now: Millis) -> Lmdb<bool> {
        let version = self.next_version();
        self.remember(key, Death { version, at: now })?;
        self.forget_old(now)?;
        let mut left = STEP;
        while left > 0 && self.remembers_too_much()? && self.forget_first()? {
            left -= 1;
        }
        let found = self.find(key)?;
        if let Some(stored) = &found {
            self.remove(key, stored)?;
        }
        self.evict(&[])?;
        Ok(found.is_some())
    }

    pub(super) fn remember(&mut self, key: &[u8], death: Death) -> Lmdb<()> {
        let Databases { destroyed, deaths, .. } = self.databases;
        if let Some(old) = destroyed.get(&self.transaction, key)?.and_then(Death::read) {
            layout::death_key(old.version, key, &mut self.buffers.key);
            deaths.delete(&mut self.transaction, &self.buffers.key)?;
        } else {
            self.state.dead_bytes += self.limits.page.death_cost(key.len()) as u64;
        }
        destroyed.put(&mut self.transaction, key, &death.bytes())?;
        layout::death_key(death.version, key, &mut self.buffers.key);
        deaths.put(&mut self.transaction, &self.buffers.key, &[])
    }

    pub(super) fn remembers_too_much(&self) -> Lmdb<bool> {
        let is_too_large = self.state.dead_bytes > (self.limits.max_bytes / SHARE) as u64;
        Ok(is_too_large || self.databases.deaths.len(&self.transaction)? > MOST as u64)
    }

    /// Forgets some of those that were destroyed too long ago to matter.
    pub(super) fn forget_old(&mut self, now: Millis) -> Lmdb<()> {
        for _ in 0..STEP {
            let Databases { destroyed, deaths, .. } = self.databases;
            let Some((key, _)) = deaths.first(&self.transaction)? else {
                return Ok(());
            };
            let death = match layout::read_death_key(key) {
                Some((_, sid)) if !sid.is_empty() => destroyed.get(&self.transaction, sid)?,
                _ => None,
            };
            if death.and_then(Death::read).is_some_and(|death| !is_over(death.at, now)) {
                return Ok(());
            }
            self.forget_first()?;
        }
        Ok(())
    }

    /// Returns whether there was one to forget.
    pub(super) fn forget_first(&mut self) -> Lmdb<bool> {
        let Databases { destroyed, deaths, .. } = self.databases;
        let Some((key, _)) = deaths.first(&self.transaction)? else {
            return Ok(false);
        };
        let key = key.to_vec();
        deaths.delete(&mut self.transaction, &key)?;
        let Some((version, sid)) = layout::read_death_key(&key).filter(|(_, sid)| !sid.is_empty())
        else {
            return Ok(true);
        };
        destroyed.delete(&mut self.transaction, sid)?;
        let cost = self.limits.page.death_cost(sid.len()) as u64;
        self.state.dead_bytes = self.state.dead_bytes.saturating_sub(cost);
        self.state.forgotten = self.state.forgotten.max(version);
        Ok(true)
    }
}
