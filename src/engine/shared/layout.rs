//! How sessions lie in the file: what there is of every kind of entry, and the bytes of most.
//!
//! | database    | key                         | value                                        |
//! | ----------- | --------------------------- | -------------------------------------------- |
//! | `heads`     | sid                         | [`Head`](super::head): what a touch renews;  |
//! |             |                             | then the body, if both fit into a leaf       |
//! | `bodies`    | sid                         | a longer [body](super::body)                 |
//! | `pieces`    | sid, then a number          | what of that does not fit into a page        |
//! | `expiry`    | expiry, then sequence       | sid                                          |
//! | `owned`     | as `expiry`                 | as `expiry`, of sessions of users            |
//! | `users`     | user, then sid              | nothing                                      |
//! | `destroyed` | sid                         | version at which, and time when              |
//! | `deaths`    | version at which, then sid  | nothing                                      |
//! | `state`     | `state`                     | [`State`]: counts, and the format's version  |
//! |             | `users`                     | `Index`: what `users` is an index of         |
//!
//! There are two of each of the first six: `clear` makes all processes use the other ones, and
//! what is in the former ones is removed bit by bit.
//!
//! A session has one entry in `expiry` or `owned`. Where its expiry is moved to a later time, the
//! entry stays until it comes up; its head tells where it is. It is never behind the expiry.
//!
//! The fixed part of a head ends with a checksum, and so does the state: a flipped bit would give a
//! session another cookie, or destroy all of them. The checksums of a head and of a body are also
//! over the sid and the version. So what belongs to another session, or to an earlier time, counts
//! as damaged: after a power failure a leaf may name pages that have the content of another body.
//!
//! A session has a note in its head, and an entry in `users`, only if the options ask for it. In
//! `users`, a sid that is too long for a key is represented by its handle, and is the value.
//!
//! No value is longer than a page. LMDB puts a longer one on pages side by side, and in a file that
//! is nearly full there may be none, however many are free.
//!
//! Numbers in values are little-endian; in keys big-endian, so that the order of the bytes is
//! theirs.

use crate::engine::tombstones::Tombstone;
use crate::engine::types::Version;
use crate::sid::Sid;
use crate::time::Millis;

/// The version of all of this. `CONTRIBUTING.md` tells what a change of it means.
pub(super) const FORMAT: u64 = 4;

/// The formats of which this one is an extension, so such a file needs no conversion: without what
/// the option `user` adds, and with every body in `bodies` and every entry where its session is due.
pub(super) const EARLIER_FORMATS: [u64; 2] = [2, 3];

/// LMDB's keys have at most this many bytes.
pub(super) const LMDB_KEY: usize = 511;

/// In `deaths` the version takes eight.
pub(super) const MAX_KEY: usize = LMDB_KEY - 8;

/// The key of a sid. `None` if it is empty or too long.
pub(super) fn key_of(sid: &Sid) -> Option<&[u8]> {
    let key = sid.as_bytes();
    (key.len() <= MAX_KEY && !key.is_empty()).then_some(key)
}

/// The lengths of a checksum, and of a destroyed sid's value.
pub(super) const CHECKSUM: usize = 4;
pub(super) const TOMBSTONE: usize = 16;

/// The length of the key of an expiry.
pub(super) const DUE: usize = 16;

/// Detects a flipped bit that breaks nothing else.
pub(super) fn checksum<const N: usize>(parts: [&[u8]; N]) -> [u8; CHECKSUM] {
    let mut sum = crc32fast::Hasher::new();
    for part in parts {
        sum.update(part);
    }
    sum.finalize().to_le_bytes()
}

/// When a session expires, and its place among those that expire in the same millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) expires: Millis,
    /// The number of the write or touch that set it: no other session has it.
    pub(super) sequence: Version,
}

impl Due {
    /// Comes before all that expires at `expires` or later.
    pub(super) fn first_at(expires: Millis) -> Self {
        Self { expires, sequence: 0 }
    }

    /// The key by which a session is found when it expires.
    pub(super) fn key(self) -> [u8; DUE] {
        let mut key = [0; DUE];
        key[..8].copy_from_slice(&order_of(self.expires).to_be_bytes());
        key[8..].copy_from_slice(&self.sequence.to_be_bytes());
        key
    }

    pub(super) fn read(key: &[u8]) -> Option<Self> {
        let (order, sequence) = key.split_at_checked(8)?;
        let order = u64::from_be_bytes(order.try_into().ok()?);
        let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
        Some(Self { expires: (order ^ SIGN).cast_signed(), sequence })
    }
}

/// When a session expires, and its sid, by an entry of `expiry`.
pub(super) fn read_expiry<'t>((key, sid): (&[u8], &'t [u8])) -> Option<(Due, &'t [u8])> {
    let is_sid = (1..=MAX_KEY).contains(&sid.len());
    Due::read(key).filter(|_| is_sid).map(|due| (due, sid))
}

/// The key by which a destroyed sid is found when it is to be forgotten.
pub(super) fn tombstone_key(version: Version, sid: &[u8], key: &mut Vec<u8>) {
    numbered_key(version, sid, key);
}

/// The version and the sid of such a key.
pub(super) fn read_tombstone_key(key: &[u8]) -> Option<(Version, &[u8])> {
    let (version, sid) = key.split_at_checked(8)?;
    Some((u64::from_be_bytes(version.try_into().ok()?), sid))
}

fn numbered_key(number: u64, sid: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(sid);
}

/// Flipping the sign makes the order of the bytes that of the numbers.
const SIGN: u64 = 1 << 63;

/// A number whose order is that of expiries.
fn order_of(expires: Millis) -> u64 {
    expires.cast_unsigned() ^ SIGN
}

/// The tombstone that is stored as these bytes.
pub(super) fn read_tombstone(bytes: &[u8]) -> Option<Tombstone> {
    Some(Tombstone { version: number_at(bytes, 0)?, at: number_at(bytes, 8)?.cast_signed() })
}

pub(super) fn tombstone_value(tombstone: Tombstone) -> [u8; TOMBSTONE] {
    let mut bytes = [0; TOMBSTONE];
    bytes[..8].copy_from_slice(&tombstone.version.to_le_bytes());
    bytes[8..].copy_from_slice(&tombstone.at.to_le_bytes());
    bytes
}

/// What all processes have in common beside the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) format: u64,
    /// The latest version.
    pub(super) version: Version,
    /// What the sessions take, by [`PageSize::cost`](super::space::PageSize::cost).
    pub(super) bytes: u64,
    /// What the destroyed sids take, by [`PageSize::tombstone_cost`](super::space::PageSize::tombstone_cost).
    pub(super) tombstone_bytes: u64,
    /// The version of the last `clear`.
    pub(super) cleared: Version,
    /// The version of the latest tombstone that was forgotten.
    pub(super) forgotten: Version,
    /// How much of the file the system has given blocks for.
    pub(super) allocated: u64,
    /// How often `clear` has changed the databases: whether this is odd tells which have the
    /// sessions.
    pub(super) generation: u64,
}

impl State {
    const LENGTH: usize = 64 + CHECKSUM;

    /// A state in which the other databases have the sessions.
    pub(super) fn before(&self) -> Self {
        Self { generation: self.generation ^ 1, ..*self }
    }

    /// `None` if the bytes are not what was written.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_at_checked(Self::LENGTH - CHECKSUM)?;
        if checksum([bytes]) != sum {
            return None;
        }
        Some(Self {
            format: number_at(bytes, 0)?,
            version: number_at(bytes, 8)?,
            bytes: number_at(bytes, 16)?,
            tombstone_bytes: number_at(bytes, 24)?,
            cleared: number_at(bytes, 32)?,
            forgotten: number_at(bytes, 40)?,
            allocated: number_at(bytes, 48)?,
            generation: number_at(bytes, 56)?,
        })
    }

    pub(super) fn bytes(self) -> [u8; Self::LENGTH] {
        let numbers = [
            self.format,
            self.version,
            self.bytes,
            self.tombstone_bytes,
            self.cleared,
            self.forgotten,
            self.allocated,
            self.generation,
        ];
        let mut bytes = [0; Self::LENGTH];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let (numbers, sum) = bytes.split_at_mut(Self::LENGTH - CHECKSUM);
        sum.copy_from_slice(&checksum([numbers]));
        bytes
    }
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
