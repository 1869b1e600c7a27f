//! The order of the keys: within a page, and between a page and those above it.

use std::cmp::Ordering;
use std::rc::Rc;

use super::bytes::u64_at;
use super::fault::{What, ensure};

/// `MDB_MAXKEYSIZE`.
pub(super) const MAX_KEY: usize = 511;
/// The free database keeps the flags of the environment in its own flags. Of those, this is the
/// one that heed can set.
pub(super) const MDB_NOSUBDIR: u16 = 0x4000;
pub(super) const MDB_INTEGERKEY: u16 = 0x08;

/// What a tree is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The pages that transactions freed. Its keys are their numbers.
    Free,
    /// The named databases.
    Main,
    /// The entries of the store.
    Named,
}

impl Kind {
    pub(super) fn allows(self, database_flags: u16) -> bool {
        match self {
            Self::Free => database_flags & !MDB_NOSUBDIR == MDB_INTEGERKEY,
            Self::Main | Self::Named => database_flags == 0,
        }
    }

    pub(super) fn check_key(self, key: &[u8]) -> Result<(), What> {
        let allowed = match self {
            Self::Free => key.len() == size_of::<u64>(),
            Self::Main | Self::Named => (1..=MAX_KEY).contains(&key.len()),
        };
        ensure(allowed, "a key size out of range")
    }

    pub(super) fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Free => u64_at(a, 0).cmp(&u64_at(b, 0)),
            Self::Main | Self::Named => a.cmp(b),
        }
    }
}

/// A page that a branch names, with the bounds of its keys.
#[derive(Debug)]
pub(super) struct Subtree {
    pub(super) page: u64,
    /// No key is less.
    pub(super) low: Option<Rc<[u8]>>,
    /// Every key is less.
    pub(super) high: Option<Rc<[u8]>>,
}

impl Subtree {
    pub(super) fn check_order<'a>(
        &self,
        kind: Kind,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), What> {
        let mut previous = None;
        for key in keys {
            kind.check_key(key)?;
            let order = match (previous, self.low.as_deref()) {
                (Some(previous), _) => kind.compare(previous, key).is_lt(),
                (None, Some(low)) => kind.compare(low, key).is_le(),
                (None, None) => true,
            };
            ensure(order, "the keys are not in order")?;
            previous = Some(key);
        }
        let below = match (previous, self.high.as_deref()) {
            (Some(last), Some(high)) => kind.compare(last, high).is_lt(),
            _ => true,
        };
        ensure(below, "a key belongs to a later page")
    }
}
