//! Automatic removal: expiry and eviction.

use super::expiry::Entry;
use super::layout::Due;
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

/// A session that is due where its entry is: the key of that, and its sid.
type First = (Vec<u8>, Vec<u8>, Stored);

/// It is not known yet what is due first.
struct NotYet;

/// What became of looking for a session to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicted {
    One,
    /// None yet: what came first was an entry to be moved or deleted, and that is done.
    NotYet,
    /// None, because there is no other session.
    Nothing,
}

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
            match self.entry((key, sid))? {
                Entry::Due(stored) => self.expire(sid, &stored)?,
                Entry::LeftBehind(stored) if stored.is_expired(now) => self.expire(sid, &stored)?,
                Entry::LeftBehind(stored) => self.move_expiry(*database, sid, &stored)?,
                Entry::Stray => {
                    database.delete(&mut self.transaction, key)?;
                }
            }
        }
        Ok(entries.len() == self.step)
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
            match (self.evict_first(kept, self.options.evicts_anonymous_first())?, exceeded) {
                (Evicted::NotYet, _) => {}
                (Evicted::Nothing, _) => return self.forget_for_room(),
                (Evicted::One, Limit::Sessions) => self.counters.evictions_by_count += 1,
                (Evicted::One, Limit::Bytes | Limit::Pages) => {
                    self.counters.evictions_by_bytes += 1;
                }
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

    /// Removes the session that is next in the order, other than `kept`. If an entry is in front of
    /// it that was left behind, only moves that. With `for_users`, `kept` goes before those of users
    /// if it is nobody's.
    pub(super) fn evict_first(&mut self, kept: &[u8], for_users: bool) -> Lmdb<Evicted> {
        let Sessions { expiry, owned, .. } = self.sessions;
        let Ok(of_nobody) = self.first_due(kept, expiry)? else {
            return Ok(Evicted::NotYet);
        };
        let is_chosen = of_nobody.is_some() && self.options.evicts_anonymous_first();
        let of_users = if is_chosen { Ok(None) } else { self.first_due(kept, owned)? };
        let Ok(of_users) = of_users else {
            return Ok(Evicted::NotYet);
        };
        if for_users && of_users.is_some() && self.first_but(&[], expiry)?.is_some() {
            // No other session is nobody's.
            if let Some(stored) = self.find(kept)? {
                return self.evict_session(kept, &stored);
            }
        }
        let found = [of_nobody, of_users].into_iter().flatten();
        let Some((_, sid, stored)) = found.min_by(|(one, ..), (other, ..)| one.cmp(other)) else {
            return Ok(Evicted::Nothing);
        };
        self.evict_session(&sid, &stored)
    }

    fn evict_session(&mut self, key: &[u8], stored: &Stored) -> Lmdb<Evicted> {
        let is_of_user = self.options.user != 0 && stored.owner() != User::NOBODY;
        self.counters.evictions_of_users += u64::from(is_of_user);
        self.remove(key, stored, Reason::Evicted)?;
        Ok(Evicted::One)
    }

    /// What is due first by a database of expiries, other than `kept`; [`NotYet`] if its first entry
    /// had to be moved or deleted.
    fn first_due(&mut self, kept: &[u8], database: Entries) -> Lmdb<Result<Option<First>, NotYet>> {
        let Some((key, sid)) = self.first_but(kept, database)? else {
            return Ok(Ok(None));
        };
        match self.entry((&key, &sid))? {
            Entry::Due(stored) => return Ok(Ok(Some((key, sid, stored)))),
            Entry::LeftBehind(stored) => self.move_expiry(database, &sid, &stored)?,
            Entry::Stray => {
                database.delete(&mut self.transaction, &key)?;
            }
        }
        Ok(Err(NotYet))
    }

    /// The first entry of a database of expiries that is not the one of the session `kept`.
    fn first_but(&self, kept: &[u8], database: Entries) -> Lmdb<Option<(Vec<u8>, Vec<u8>)>> {
        for entry in database.iter(&self.transaction)?.take(2) {
            let (key, sid) = entry?;
            if sid != kept {
                return Ok(Some((key.to_vec(), sid.to_vec())));
            }
        }
        Ok(None)
    }
}
