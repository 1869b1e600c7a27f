//! The records of a shard by their sids, in the order in which they are evicted.
//!
//! If records of nobody go before those of somebody, the two ranks have a list each: so the order of
//! use is exact in both, and what goes next is known at once.

use std::borrow::Borrow;
use std::hash::Hash;

use lru::LruCache;

use crate::engine::types::Options;
use crate::engine::users::User;
use crate::session::record::Record;
use crate::sid::{Probe, Probed, Sid, SidHash, UseSidHash};

/// In what order records are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In none, because none ever is. Keeping an order costs two cache misses a use: the neighbours
    /// in the list.
    None,
    /// The least recently used one first.
    Use,
    /// So, but those of nobody before those of somebody.
    AnonymousFirst,
}

impl Order {
    pub(super) fn of(options: &Options) -> Self {
        if !options.is_limited() {
            Self::None
        } else if options.evicts_anonymous_first() {
            Self::AnonymousFirst
        } else {
            Self::Use
        }
    }

    /// The rank of the records of `owner`.
    pub(super) fn rank_of(self, owner: User) -> Rank {
        match self {
            Self::AnonymousFirst if owner == User::NOBODY => Rank::First,
            _ => Rank::Last,
        }
    }
}

/// Which records are evicted before which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    First,
    /// When none of the first rank are left. If the order has no ranks, all are of this one.
    Last,
}

impl Rank {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Last];
}

/// Below this many records a map is not worth shrinking.
pub(super) const SMALL: usize = 64;

/// Records in the order of their use.
struct List {
    map: LruCache<Sid, Record, UseSidHash>,
    /// The most records held since the map was built.
    peak: usize,
}

impl List {
    fn new() -> Self {
        Self { map: LruCache::unbounded_with_hasher(UseSidHash::default()), peak: 0 }
    }

    fn put(&mut self, sid: Sid, record: Record) {
        self.map.put(sid, record);
        self.peak = self.peak.max(self.map.len());
    }

    /// Gives memory back once nearly all records are gone: the `lru` crate's map only grows.
    /// Returns whether it has.
    fn shrink(&mut self) -> bool {
        if self.peak < SMALL || self.map.len() > self.peak / 8 {
            return false;
        }
        let mut kept = Self::new();
        while let Some((sid, record)) = self.map.pop_lru() {
            kept.put(sid, record);
        }
        *self = kept;
        true
    }
}

/// See the module's description.
pub(super) struct Records {
    last: List,
    /// Only if the order has ranks.
    first: Option<Box<List>>,
    is_ordered: bool,
}

impl Records {
    pub(super) fn new(order: Order) -> Self {
        Self {
            last: List::new(),
            first: (order == Order::AnonymousFirst).then(|| Box::new(List::new())),
            is_ordered: order != Order::None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.last.map.len() + self.first.as_ref().map_or(0, |first| first.map.len())
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Sid, &Record)> {
        self.last.map.iter().chain(self.first.iter().flat_map(|first| first.map.iter()))
    }

    /// A record, without using it.
    pub(super) fn peek<Q>(&self, sid: &Q) -> Option<&Record>
    where
        Sid: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.last.map.peek(sid) {
            None => self.first.as_ref()?.map.peek(sid),
            found => found,
        }
    }

    pub(super) fn peek_mut(&mut self, sid: SidHash) -> Option<&mut Record> {
        match self.last.map.peek_mut(&sid) {
            None => self.first.as_mut()?.map.peek_mut(&sid),
            found => found,
        }
    }

    pub(super) fn entry_by_hash(&self, sid: SidHash) -> Option<(Sid, &Record)> {
        let probe = Probe::new(sid);
        let record = self.peek(&probe as &dyn Probed)?;
        Some((probe.found()?, record))
    }

    /// A record, as the most recently used one.
    pub(super) fn use_record(&mut self, sid: &Sid) -> Option<&mut Record> {
        if !self.is_ordered {
            return self.last.map.peek_mut(sid);
        }
        match self.last.map.get_mut(sid) {
            None => self.first.as_mut()?.map.get_mut(sid),
            found => found,
        }
    }

    /// Adds a record for a sid that has none, as the most recently used one.
    pub(super) fn insert(&mut self, sid: Sid, record: Record, rank: Rank) {
        debug_assert!(self.peek(&sid).is_none());
        self.list(rank).put(sid, record);
    }

    /// Gives a record another rank, as the most recently used one in it.
    pub(super) fn change_rank(&mut self, sid: &Sid, rank: Rank) {
        if let Some((sid, record)) = self.remove(sid) {
            self.list(rank).put(sid, record);
        }
        self.shrink();
    }

    pub(super) fn remove<Q>(&mut self, sid: &Q) -> Option<(Sid, Record)>
    where
        Sid: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.last.map.pop_entry(sid) {
            None => self.first.as_mut()?.map.pop_entry(sid),
            found => found,
        }
    }

    pub(super) fn remove_least_recent(&mut self, rank: Rank) -> Option<(Sid, Record)> {
        self.list_of(rank)?.map.pop_lru()
    }

    /// The use number of the least recently used record of a rank.
    pub(super) fn oldest_use(&self, rank: Rank) -> Option<u64> {
        let list = match rank {
            Rank::First => self.first.as_deref()?,
            Rank::Last => &self.last,
        };
        list.map.peek_lru().map(|(_, record)| record.last_use)
    }

    /// Gives memory back once nearly all records are gone. Returns whether it has.
    pub(super) fn shrink(&mut self) -> bool {
        let is_first_shrunk = self.first.as_mut().is_some_and(|first| first.shrink());
        self.last.shrink() || is_first_shrunk
    }

    fn list_of(&mut self, rank: Rank) -> Option<&mut List> {
        match rank {
            Rank::First => self.first.as_deref_mut(),
            Rank::Last => Some(&mut self.last),
        }
    }

    /// The list for new records of a rank.
    fn list(&mut self, rank: Rank) -> &mut List {
        match (rank, &mut self.first) {
            (Rank::First, Some(first)) => first,
            _ => &mut self.last,
        }
    }

    /// The sids of a rank, each with it.
    #[cfg(test)]
    pub(super) fn of_rank(&self, rank: Rank) -> impl Iterator<Item = (&Sid, Rank)> {
        let list = match rank {
            Rank::First => self.first.as_deref(),
            Rank::Last => Some(&self.last),
        };
        list.into_iter().flat_map(|list| list.map.iter()).map(move |(sid, _)| (sid, rank))
    }

    /// The most records of the last rank since their map was built.
    #[cfg(test)]
    pub(super) fn peak(&self) -> usize {
        self.last.peak
    }

    /// Checks what the module's description promises.
    #[cfg(test)]
    pub(super) fn validate(&self) {
        for list in self.first.as_deref().into_iter().chain([&self.last]) {
            let uses = list.map.iter().map(|(_, record)| record.last_use);
            if self.is_ordered {
                assert!(uses.is_sorted_by(|newer, older| newer > older), "list order is use order");
            }
            let len = list.map.len();
            assert!(list.peak >= len);
            assert!(list.peak < SMALL || len > list.peak / 8, "the map is not far too large");
        }
    }
}
