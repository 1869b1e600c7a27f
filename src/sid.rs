//! Session ids: the key of every record, hashed once per call.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::allocation::allocated;

/// Sids up to this many bytes live inside the record's node. express-session and
/// `@fastify/session` make sids of 32 characters.
const INLINE_SID: usize = 32;

/// Names a session to whom its sid must not be shown: the first bytes of the SHA-256 of the sid.
pub type Handle = [u8; 16];

/// A session id as bytes, with its hash.
///
/// Two sids are equal when their bytes are. The boundary encodes JavaScript strings so that
/// different strings never give equal bytes.
#[derive(Clone, Debug)]
pub struct Sid {
    hash: SidHash,
    bytes: SmallVec<[u8; INLINE_SID]>,
}

impl Sid {
    /// Hashes `bytes` with the keyed hasher of the engine that will use the sid.
    #[must_use]
    pub fn new(bytes: &[u8], hasher: &RandomState) -> Self {
        Self { hash: SidHash(hasher.hash_one(bytes)), bytes: SmallVec::from_slice(bytes) }
    }

    /// The bytes the sid was made of.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The handle by which the session can be shown.
    #[must_use]
    pub fn handle(&self) -> Handle {
        first_of_sha256(&self.bytes)
    }

    /// The bytes of memory that the sid takes beside the [`Sid`] itself.
    pub(crate) fn allocated(&self) -> usize {
        if self.bytes.spilled() { allocated(self.bytes.capacity()) } else { 0 }
    }

    pub(crate) fn hash(&self) -> SidHash {
        self.hash
    }
}

impl PartialEq for Sid {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes == other.bytes
    }
}

impl Eq for Sid {}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// The first 16 bytes of the SHA-256 of `bytes`.
pub(crate) fn first_of_sha256(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(bytes)[..16]);
    first
}

/// A number that stands for `bytes`, in any process. It is neither 0 nor the largest.
#[must_use]
pub fn mark_of(bytes: &[u8]) -> u64 {
    let [one, two, three, four, five, six, ..] = first_of_sha256(bytes);
    u64::from_le_bytes([one, two, three, four, five, six, 1, 0])
}

/// The keyed 64-bit hash of a sid (SipHash-1-3 with a random key, so that sids chosen by an
/// attacker cannot be made to collide).
///
/// The entries of the expiry queue name a record by it: eight bytes instead of the sid. Should two
/// sids ever share a hash, such a look-up finds either of them, which is why whoever looks a record
/// up by hash decides by what that record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SidHash(u64);

impl SidHash {
    pub(crate) const FIRST: Self = Self(0);
    pub(crate) const LAST: Self = Self(u64::MAX);

    /// As a number that hardly any other sid has.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The shard, of `shards`, that holds the sid. Taken from the middle of the hash: the map
    /// inside the shard uses the lowest and the highest bits.
    pub(crate) fn shard(self, shards: usize) -> usize {
        let middle = ((self.0 >> 24) & 0xFFFF_FFFF) as usize;
        (middle * shards) >> 32
    }
}

impl Hash for SidHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Borrow<SidHash> for Sid {
    fn borrow(&self) -> &SidHash {
        &self.hash
    }
}

/// Finds the sid that has a hash: the map of the `lru` crate gives its keys only with the records
/// used. It compares the probe with the key, which tells the probe the key.
pub(crate) struct Probe {
    hash: SidHash,
    found: RefCell<Option<Sid>>,
}

impl Probe {
    pub(crate) fn new(hash: SidHash) -> Self {
        Self { hash, found: RefCell::new(None) }
    }

    pub(crate) fn found(self) -> Option<Sid> {
        self.found.into_inner()
    }
}

/// What a map compares to find a sid by a [`Probe`].
pub(crate) trait Probed {
    fn hash_of(&self) -> SidHash;

    /// The sid, if it is one.
    fn sid(&self) -> Option<&Sid> {
        None
    }

    /// Called with a sid of the same hash.
    fn meet(&self, _: &Sid) {}
}

impl Probed for Sid {
    fn hash_of(&self) -> SidHash {
        self.hash
    }

    fn sid(&self) -> Option<&Sid> {
        Some(self)
    }
}

impl Probed for Probe {
    fn hash_of(&self) -> SidHash {
        self.hash
    }

    fn meet(&self, sid: &Sid) {
        *self.found.borrow_mut() = Some(sid.clone());
    }
}

impl Hash for dyn Probed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash_of().hash(state);
    }
}

impl PartialEq for dyn Probed + '_ {
    fn eq(&self, other: &Self) -> bool {
        if self.hash_of() != other.hash_of() {
            return false;
        }
        for (one, other) in [(self, other), (other, self)] {
            if let Some(sid) = other.sid() {
                one.meet(sid);
            }
        }
        true
    }
}

impl Eq for dyn Probed + '_ {}

impl<'a> Borrow<dyn Probed + 'a> for Sid {
    fn borrow(&self) -> &(dyn Probed + 'a) {
        self
    }
}

/// Builds the hasher of the maps that are keyed by [`Sid`], which brings its own hash.
pub(crate) type UseSidHash = BuildHasherDefault<PassThrough>;

/// A hasher that returns the one number written to it.
#[derive(Default)]
pub(crate) struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a sid hashes as one u64");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
impl Sid {
    /// A sid with a hash of the test's choice.
    pub(crate) fn with_hash(bytes: &[u8], hash: u64) -> Self {
        Self { hash: SidHash(hash), bytes: SmallVec::from_slice(bytes) }
    }
}

#[cfg(test)]
mod tests;
