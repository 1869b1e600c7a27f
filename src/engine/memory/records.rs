//! The records of a shard by their sids, in the order in which they are evicted.
//!
//! If records of nobody go before those of somebody, the two ranks have a list each: so the order of
//! use is exact in both, and what goes next is known at once. What is listed lies in the nodes of the
//! table.

use hashbrown::HashTable;

use super::nodes::{Key, NodeId, Nodes};
use crate::engine::types::Options;
use crate::engine::users::User;
use crate::sid::SidHash;

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

#[cfg(test)]
impl Rank {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Last];
}

/// Below this many records a map is not worth shrinking.
pub(super) const SMALL: usize = 64;

/// Nodes in the order of their use.
struct List {
    newest: NodeId,
    oldest: NodeId,
}

impl List {
    const EMPTY: Self = Self { newest: NodeId::NONE, oldest: NodeId::NONE };

    fn link(&mut self, nodes: &mut Nodes, id: NodeId) {
        nodes.set_newer(id, NodeId::NONE);
        nodes.set_older(id, self.newest);
        match self.newest {
            NodeId::NONE => self.oldest = id,
            newest => nodes.set_newer(newest, id),
        }
        self.newest = id;
    }

    fn unlink(&mut self, nodes: &mut Nodes, id: NodeId) {
        self.join(nodes, nodes.older(id), nodes.newer(id));
    }

    /// Makes two nodes neighbours, of which one may be an end of the list.
    fn join(&mut self, nodes: &mut Nodes, older: NodeId, newer: NodeId) {
        match older {
            NodeId::NONE => self.oldest = newer,
            older => nodes.set_newer(older, newer),
        }
        match newer {
            NodeId::NONE => self.newest = older,
            newer => nodes.set_older(newer, older),
        }
    }
}

fn rank_of(nodes: &Nodes, id: NodeId) -> Rank {
    if nodes.is_first(id) { Rank::First } else { Rank::Last }
}

/// See the module's description.
pub(super) struct Records {
    index: HashTable<NodeId>,
    first: List,
    last: List,
    is_ordered: bool,
}

impl Records {
    pub(super) fn new(order: Order) -> Self {
        Self {
            index: HashTable::new(),
            first: List::EMPTY,
            last: List::EMPTY,
            is_ordered: order != Order::None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.index.iter().copied()
    }

    pub(super) fn find(&self, nodes: &Nodes, key: &Key<'_>) -> Option<NodeId> {
        self.index.find(key.hash().number(), |id| nodes.is(*id, key)).copied()
    }

    pub(super) fn find_by_hash(&self, nodes: &Nodes, hash: SidHash) -> Option<NodeId> {
        self.index.find(hash.number(), |id| nodes.hash(*id) == hash).copied()
    }

    /// Makes a record the most recently used one.
    pub(super) fn note_use(&mut self, nodes: &mut Nodes, id: NodeId) {
        if self.is_ordered {
            self.move_to(nodes, id, rank_of(nodes, id));
        }
    }

    /// Lists the node of a sid that has had none, as the most recently used one.
    pub(super) fn insert(&mut self, nodes: &mut Nodes, id: NodeId, rank: Rank) {
        nodes.set_first(id, rank == Rank::First);
        if self.is_ordered {
            self.list(rank).link(nodes, id);
        }
        let hash = nodes.hash(id).number();
        self.index.insert_unique(hash, id, |id| nodes.hash(*id).number());
    }

    /// Gives a record another rank, as the most recently used one in it.
    pub(super) fn change_rank(&mut self, nodes: &mut Nodes, id: NodeId, rank: Rank) {
        if self.is_ordered {
            self.move_to(nodes, id, rank);
        }
    }

    pub(super) fn remove(&mut self, nodes: &mut Nodes, id: NodeId) {
        if self.is_ordered {
            let rank = rank_of(nodes, id);
            self.list(rank).unlink(nodes, id);
        }
        let hash = nodes.hash(id).number();
        if let Ok(entry) = self.index.find_entry(hash, |one| *one == id) {
            entry.remove();
        }
        nodes.remove(id);
    }

    /// The least recently used record of a rank.
    pub(super) fn oldest(&self, rank: Rank) -> Option<NodeId> {
        let list = match rank {
            Rank::First => &self.first,
            Rank::Last => &self.last,
        };
        (list.oldest != NodeId::NONE).then_some(list.oldest)
    }

    /// Gives memory back once nearly all records are gone. Returns whether it has.
    pub(super) fn shrink(&mut self, nodes: &Nodes) -> bool {
        if !self.is_far_too_large() {
            return false;
        }
        self.index.shrink_to_fit(|id| nodes.hash(*id).number());
        true
    }

    fn is_far_too_large(&self) -> bool {
        let places = self.index.num_buckets();
        places > 2 * SMALL && self.len() <= places / 16
    }

    fn move_to(&mut self, nodes: &mut Nodes, id: NodeId, rank: Rank) {
        if self.list(rank).newest == id {
            return;
        }
        self.list(rank_of(nodes, id)).unlink(nodes, id);
        nodes.set_first(id, rank == Rank::First);
        self.list(rank).link(nodes, id);
    }

    fn list(&mut self, rank: Rank) -> &mut List {
        match rank {
            Rank::First => &mut self.first,
            Rank::Last => &mut self.last,
        }
    }

    /// The records of a rank, the most recently used one first.
    #[cfg(test)]
    pub(super) fn of_rank(&self, nodes: &Nodes, rank: Rank) -> Vec<NodeId> {
        let list = if rank == Rank::First { &self.first } else { &self.last };
        let mut next = list.newest;
        let mut found = Vec::new();
        while next != NodeId::NONE {
            found.push(next);
            next = nodes.older(next);
        }
        found
    }

    /// How many places the map has.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.index.num_buckets()
    }

    /// Checks what the module's description promises.
    #[cfg(test)]
    pub(super) fn validate(&self, nodes: &Nodes) {
        if self.is_ordered {
            let ranks = Rank::BOTH.map(|rank| self.of_rank(nodes, rank));
            for (ids, rank) in ranks.iter().zip(Rank::BOTH) {
                let uses = ids.iter().map(|id| nodes.head(*id).last_use());
                assert!(uses.is_sorted_by(|newer, older| newer > older), "list order is use order");
                assert_eq!(self.oldest(rank), ids.last().copied());
                for (newer, older) in ids.iter().zip(ids.iter().skip(1)) {
                    assert_eq!(nodes.newer(*older), *newer);
                }
            }
            assert_eq!(ranks.concat().len(), self.len());
        }
        for id in self.iter() {
            assert_eq!(self.find(nodes, &Key::of(&nodes.sid(id))), Some(id));
        }
        assert!(!self.is_far_too_large());
    }
}
