//! Writes to a table that has notes, and its operations on the sessions of one user.

use super::notes::note_of;
use super::owners::Owners;
#[cfg(test)]
use super::records::Rank;
use super::shards::{SHARDS, shard_of};
use super::table::{Table, cost};
use crate::engine::rules::{Refused, Write};
use crate::engine::types::{Options, Reason, Removed, Version};
use crate::engine::users::{
    Claim, ENDED_AT_ONCE, Ended, Facts, LISTED_AT_ONCE, User, Which, to_end,
};
use crate::session::record::Record;
use crate::session::{BodyRef, BodyView};
use crate::sid::{Sid, SidHash};
use crate::time::Millis;

impl Table {
    /// As [`Self::set`], in a table that has notes.
    pub(super) fn set_noted(
        &mut self,
        sid: Sid,
        body: BodyRef<'_>,
        write: Write<'_>,
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        let Write { now, expires, terms, .. } = write;
        let mut owner = User::NOBODY;
        if let (Some(owners), Some(text)) = (&self.owners, terms.owner.text(body)) {
            owner = owners.user(&text);
        }
        let stored = self.alive_record(&sid, now).map(note_of);
        let mut claim = Claim::new(stored, owner, (now, expires), terms);
        if claim.most < usize::MAX && self.options.is_refusing {
            claim.is_refused = self.alive_of(owner, now).count() >= claim.most;
        }
        let write = Write { expires: claim.expires, ..write };
        self.set_checked(sid, body, write, Some(&claim), removed)
    }

    /// Ends those sessions of the user of `claim` that were unused longest, but not `kept`, until
    /// there are no more than it may have.
    pub(super) fn end_unused(
        &mut self,
        claim: &Claim,
        kept: SidHash,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) {
        let Claim { note, most, .. } = *claim;
        if most == usize::MAX {
            return;
        }
        let others = self.alive_of(note.owner, now).filter(|(hash, _)| *hash != kept);
        let others = others.map(|(hash, record)| (note_of(record).used, record.last_use, hash));
        for (_, _, hash) in to_end(others.collect(), most) {
            if let Some((sid, _)) = self.by_hash(hash) {
                self.destroy_for(Reason::Limit, &sid, now, removed);
            }
        }
    }

    /// As [`Engine::info`](crate::engine::Engine::info).
    pub(super) fn info(
        &mut self,
        sid: &Sid,
        now: Millis,
        read: &mut dyn FnMut(&Facts, BodyView<'_>),
    ) -> bool {
        self.note_time(now);
        let Some(record) = self.alive_record(sid, now) else {
            return false;
        };
        read(&self.facts(sid, record), record.body(&self.forms, 0));
        true
    }

    /// As [`Engine::sessions_of`](crate::engine::Engine::sessions_of).
    pub(super) fn sessions_of(
        &mut self,
        user: User,
        after: Option<&Sid>,
        now: Millis,
        read: &mut dyn FnMut(&Sid, &Facts, BodyView<'_>),
    ) -> Option<Sid> {
        self.note_time(now);
        let (sids, more) = self.some_of(user, after, LISTED_AT_ONCE);
        let mut last = None;
        for (sid, record) in sids.into_iter().filter_map(|hash| self.by_hash(hash)) {
            if !record.is_expired(now) {
                read(&sid, &self.facts(&sid, record), record.body(&self.forms, 0));
            }
            last = Some(sid);
        }
        last.filter(|_| more)
    }

    /// As [`Engine::destroy_user`](crate::engine::Engine::destroy_user).
    pub(super) fn destroy_user(
        &mut self,
        user: User,
        which: Which<'_>,
        after: Option<&Sid>,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Ended {
        self.note_time(now);
        let (sids, more) = self.some_of(user, after, ENDED_AT_ONCE);
        let mut ended = Ended::default();
        for hash in sids {
            let Some((sid, record)) = self.by_hash(hash) else {
                continue;
            };
            let is_ended = !record.is_expired(now) && which.includes(&sid);
            if is_ended {
                self.destroy(&sid, now, removed);
                ended.count += 1;
            }
            ended.after = Some(sid);
        }
        ended.after = ended.after.filter(|_| more);
        ended
    }

    /// Up to `limit` sids of a user, and whether there are more.
    fn some_of(&self, user: User, after: Option<&Sid>, limit: usize) -> (Vec<SidHash>, bool) {
        let Some(owners) = &self.owners else {
            return (Vec::new(), false);
        };
        let mut sids = owners.of(user, after.map(Sid::hash));
        (sids.by_ref().take(limit).collect(), sids.next().is_some())
    }

    /// The records of `user` that are alive.
    fn alive_of(&self, user: User, now: Millis) -> impl Iterator<Item = (SidHash, &Record)> {
        let sids = self.owners.iter().flat_map(move |owners| owners.of(user, None));
        let records = sids.filter_map(|hash| {
            let shard = self.shards[hash.shard(SHARDS)].as_deref()?;
            Some((hash, shard.by_hash(hash)?))
        });
        records.filter(move |(_, record)| !record.is_expired(now))
    }

    fn alive_record(&self, sid: &Sid, now: Millis) -> Option<&Record> {
        let shard = self.shards[sid.hash().shard(SHARDS)].as_deref()?;
        shard.records().peek(sid).filter(|record| !record.is_expired(now))
    }

    fn by_hash(&self, hash: SidHash) -> Option<(Sid, &Record)> {
        let shard = self.shards[hash.shard(SHARDS)].as_deref()?;
        shard.entry_by_hash(hash)
    }

    fn facts(&self, sid: &Sid, record: &Record) -> Facts {
        let times = self.options.has_notes().then(|| {
            let note = note_of(record);
            (note.created, note.used)
        });
        Facts {
            times,
            expires: record.expires(),
            bytes: cost(sid, record.allocated()),
            order: record.last_use,
        }
    }

    /// Notes that the record of a sid, which is in the table or has left it, has another owner.
    pub(super) fn change_owner(&mut self, sid: SidHash, from: User, to: User) {
        if let Some(owners) = &mut self.owners {
            owners.change(sid, from, to);
        }
    }
}

impl Table {
    /// Gives a record whose owner changed, and that was used last, the rank that it has now.
    pub(super) fn change_rank(&mut self, sid: &Sid, from: User, to: User) {
        let rank = self.order.rank_of(to);
        if rank == self.order.rank_of(from) {
            return;
        }
        if let Some(shard) = shard_of(&mut self.shards, sid) {
            shard.change_rank(sid, rank);
            self.eviction_queue.track(sid.hash().shard(SHARDS), rank, self.uses);
        }
    }
}

impl Owners {
    /// The index of a table, if the options ask for one.
    pub(super) fn for_options(options: &Options) -> Option<Self> {
        (options.user != 0).then(Self::new)
    }
}

#[cfg(test)]
impl Table {
    /// The index and the records agree.
    pub(super) fn validate_owners(&self) {
        let Some(owners) = &self.owners else {
            return;
        };
        let records = self.shards.iter().flatten().flat_map(|shard| shard.records().iter());
        let owned = records.map(|(sid, record)| (note_of(record).owner, sid.hash()));
        let owned = owned.filter(|(owner, _)| *owner != User::NOBODY).collect();
        assert_eq!(owners.all(), owned);
        for records in self.shards.iter().flatten().map(|shard| shard.records()) {
            for (sid, rank) in Rank::BOTH.iter().flat_map(|rank| records.of_rank(*rank)) {
                let found = records.peek(sid).map(|one| self.order.rank_of(note_of(one).owner));
                assert_eq!(found, Some(rank));
            }
        }
    }
}
