//! Automatic removal: expiry and eviction.

use super::layout::{self, Due};
use super::lmdb::{Entries, Lmdb};
use super::schema::Sessions;
use super::writing::{STEP, Stored, Writing};
use crate::engine::types::Reason;
use crate::engine::users::User;
use crate::time::Millis;

/// How many sessions one transaction evicts because the file's pages run out. A page is freed only
/// when all of its sessions are gone, so this is not done all at once. No more are removed, either,
/// if the disk is full and a transaction has to use freed pages.
pub(super) const STEP_FOR_PAGES: usize = 8;

/// An expiry and the sid of its session.
type Entry = (Vec<u8>, Vec<u8>);

/// A limit that is exceeded.
enum Limit {
    Sessions,
    Bytes,
    Pages,
}

impl Writing<'_> {
    /// Removes some of what was cleared or has expired by `now`. Returns whether there may be more.
    pub(super) fn prune(&mut self, now: Millis) -> Lmdb<bool> {
        if self.sweep(STEP)? {
            return Ok(true);
        }
        let end = Due::first_at(now).key();
        let mut entries = Vec::new();
        for database in [self.sessions.expiry, self.sessions.owned] {
            for entry in database.iter(&self.transaction)?.take(self.step) {
                let (key, sid) = entry?;
                if key >= &end[..] {
                    break;
                }
                entries.push((key.to_vec(), sid.to_vec(), database));
            }
        }
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        entries.truncate(self.step);
        for (key, sid, database) in &entries {
            self.take_due(*database, (key, sid), Self::expire)?;
        }
        Ok(entries.len() == self.step)
    }

    /// Takes out an entry of a database of expiries and its session. An entry without a session is
    /// damage, and is deleted.
    fn take_due(
        &mut self,
        database: Entries,
        entry: (&[u8], &[u8]),
        remove: impl FnOnce(&mut Self, &[u8], &Stored) -> Lmdb<()>,
    ) -> Lmdb<bool> {
        if let Some((due, sid)) = layout::read_expiry(entry)
            && let Some(stored) = self.find(sid)?.filter(|stored| stored.due == due)
        {
            remove(self, sid, &stored)?;
            return Ok(true);
        }
        database.delete(&mut self.transaction, entry.0)?;
        Ok(false)
    }

    /// Evicts some of what expires soonest while there is too much, but not the session `kept`.
    pub(super) fn evict(&mut self, kept: &[u8]) -> Lmdb<()> {
        let mut for_pages = 0;
        for _ in 0..self.step {
            let Some(exceeded) = self.exceeded()? else {
                return Ok(());
            };
            if matches!(exceeded, Limit::Pages) {
                for_pages += 1;
                if for_pages > STEP_FOR_PAGES {
                    return Ok(());
                }
                if self.sweep(STEP_FOR_PAGES)? {
                    continue;
                }
            }
            let is_found = self.evict_first(kept, self.options.evicts_anonymous_first())?;
            match exceeded {
                _ if !is_found => return self.forget_for_room(),
                Limit::Sessions => self.counters.evictions_by_count += 1,
                Limit::Bytes | Limit::Pages => self.counters.evictions_by_bytes += 1,
            }
        }
        self.is_over = matches!(self.exceeded()?, Some(Limit::Sessions | Limit::Bytes));
        Ok(())
    }

    /// Forgets tombstones: a single session may take the whole budget.
    fn forget_for_room(&mut self) -> Lmdb<()> {
        for _ in 0..STEP {
            if self.taken() <= self.limits.max_bytes as u64 || !self.forget_first()? {
                return Ok(());
            }
        }
        self.is_over = true;
        Ok(())
    }

    fn exceeded(&self) -> Lmdb<Option<Limit>> {
        if self.sessions.heads.len(&self.transaction)? > self.limits.max as u64 {
            return Ok(Some(Limit::Sessions));
        }
        if self.taken() > self.limits.max_bytes as u64 {
            return Ok(Some(Limit::Bytes));
        }
        if !self.is_file_used_up {
            return Ok(None);
        }
        let pages = self.databases.pages(&self.transaction)?;
        Ok((pages > self.limits.max_pages).then_some(Limit::Pages))
    }

    fn taken(&self) -> u64 {
        self.state.bytes.saturating_add(self.state.tombstone_bytes)
    }

    /// Removes the session that is next in the order, other than `kept`. With `for_users`, `kept`
    /// goes before those of users if it is nobody's. Returns whether there was one.
    pub(super) fn evict_first(&mut self, kept: &[u8], for_users: bool) -> Lmdb<bool> {
        loop {
            let Some((database, (key, sid))) = self.next_to_evict(kept, for_users)? else {
                return Ok(false);
            };
            let evict = |writing: &mut Self, sid: &[u8], stored: &Stored| {
                let is_of_user = writing.options.user != 0 && stored.owner() != User::NOBODY;
                writing.counters.evictions_of_users += u64::from(is_of_user);
                writing.remove(sid, stored, Reason::Evicted)
            };
            if self.take_due(database, (&key, &sid), evict)? {
                return Ok(true);
            }
        }
    }

    /// What expires soonest, other than the session `kept`. Sessions of users come last, or where
    /// the options say so, among the others.
    fn next_to_evict(&self, kept: &[u8], for_users: bool) -> Lmdb<Option<(Entries, Entry)>> {
        let Sessions { expiry, owned, .. } = self.sessions;
        let of_nobody = self.first_but(kept, expiry)?;
        if of_nobody.is_some() && self.options.evicts_anonymous_first() {
            return Ok(of_nobody);
        }
        let of_users = self.first_but(kept, owned)?;
        if for_users
            && of_users.is_some()
            && let Some(kept) = self.first_but(&[], expiry)?
        {
            return Ok(Some(kept));
        }
        Ok([of_nobody, of_users]
            .into_iter()
            .flatten()
            .min_by(|(_, one), (_, other)| one.cmp(other)))
    }

    /// The first entry of a database of expiries that is not the one of the session `kept`.
    fn first_but(&self, kept: &[u8], database: Entries) -> Lmdb<Option<(Entries, Entry)>> {
        for entry in database.iter(&self.transaction)?.take(2) {
            let (key, sid) = entry?;
            if sid != kept {
                return Ok(Some((database, (key.to_vec(), sid.to_vec()))));
            }
        }
        Ok(None)
    }
}
