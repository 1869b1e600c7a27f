//! Which sessions each user has: an index of the records that belong to somebody.
//!
//! It knows users and sids by their hashes. The table keeps it in step with the records.

use std::collections::{BTreeSet, btree_set};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;

use super::shards::SHARDS;
use crate::engine::users::User;
use crate::sid::SidHash;

/// What an entry takes: 24 bytes in a leaf of eleven, which is filled by two thirds, and its share
/// of the nodes above.
pub(super) const COST: usize = 46;

/// The entries of some of the users.
pub(super) type Part = BTreeSet<(User, SidHash)>;

/// See the module's description.
pub(super) struct Owners {
    /// In parts, by the user, so that freeing one takes little time.
    parts: Box<[Part]>,
    len: usize,
    hasher: RandomState,
}

impl Owners {
    pub(super) fn new() -> Self {
        Self { parts: empty_parts(), len: 0, hasher: RandomState::new() }
    }

    /// The user that `text` names: 128 bits by a random key, so no two are alike.
    pub(super) fn user(&self, text: &[u8]) -> User {
        let halves = [0_u8, 1].map(|half| self.hasher.hash_one((half, text)));
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&halves[0].to_ne_bytes());
        hash[8..].copy_from_slice(&halves[1].to_ne_bytes());
        User(hash)
    }

    /// Notes that a record has another owner.
    pub(super) fn change(&mut self, sid: SidHash, from: User, to: User) {
        if from == to {
            return;
        }
        if from != User::NOBODY {
            self.len -= usize::from(self.parts[part_of(from)].remove(&(from, sid)));
        }
        if to != User::NOBODY {
            self.len += usize::from(self.parts[part_of(to)].insert((to, sid)));
        }
    }

    /// The sids of `user`, or those behind `after`.
    pub(super) fn of(&self, user: User, after: Option<SidHash>) -> Sids<'_> {
        let from = after
            .map_or(Bound::Included((user, SidHash::FIRST)), |sid| Bound::Excluded((user, sid)));
        let to = Bound::Included((user, SidHash::LAST));
        Sids(self.parts[part_of(user)].range((from, to)))
    }

    /// How many sessions are somebody's.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.len * COST
    }

    /// Takes all entries out, to be freed bit by bit.
    pub(super) fn take(&mut self) -> Box<[Part]> {
        self.len = 0;
        std::mem::replace(&mut self.parts, empty_parts())
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> BTreeSet<(User, SidHash)> {
        let all: BTreeSet<_> = self.parts.iter().flatten().copied().collect();
        assert_eq!(all.len(), self.len);
        all
    }
}

/// The sids of a user.
pub(super) struct Sids<'o>(btree_set::Range<'o, (User, SidHash)>);

impl Iterator for Sids<'_> {
    type Item = SidHash;

    fn next(&mut self) -> Option<SidHash> {
        self.0.next().map(|(_, sid)| *sid)
    }
}

fn empty_parts() -> Box<[Part]> {
    std::iter::repeat_with(Part::new).take(SHARDS).collect()
}

fn part_of(user: User) -> usize {
    let [first, second, third, fourth, ..] = user.0;
    let number = u32::from_ne_bytes([first, second, third, fourth]);
    (number as usize * SHARDS) >> 32
}
