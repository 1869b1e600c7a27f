//! How sessions lie in the file: the bytes of every kind of entry.
//!
//! | database    | key                         | value                                        |
//! | ----------- | --------------------------- | -------------------------------------------- |
//! | `heads`     | sid                         | [`Head`]: what a touch renews                |
//! | `bodies`    | sid                         | checksum, then the body without its cookie   |
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
//! The fixed part of a head ends with a checksum, and so does the state: a flipped bit would give a
//! session another cookie, or destroy all of them. The checksums of a head and of a body are also
//! over the sid and the version. So what belongs to another session, or to an earlier time, counts
//! as damaged: after a power failure a leaf may name pages that have the content of another body.
//!
//! A session has a [`Note`] in its head, and an entry in `users`, only if the options ask for it. In
//! `users`, a sid that is too long for a key is represented by its handle, and is the value.
//!
//! No value is longer than a page. LMDB puts a longer one on pages side by side, and in a file that
//! is nearly full there may be none, however many are free.
//!
//! A touch writes a head and an expiry, whatever the size of the body. Numbers in values are
//! little-endian; in keys big-endian, so that the order of the bytes is theirs.

use super::notes::{note_bytes, read_note};
use crate::engine::tombstones::Tombstone;
use crate::engine::types::Version;
use crate::engine::users::{Note, User};
use crate::session::Encoding;
use crate::sid::Sid;
use crate::time::Millis;

/// The version of all of this. `CONTRIBUTING.md` tells what a change of it means.
pub(super) const FORMAT: u64 = 3;

/// The same but for what the option `user` adds, so such a file needs no conversion.
pub(super) const FORMAT_WITHOUT_USERS: u64 = 2;

/// LMDB's keys have at most this many bytes.
pub(super) const LMDB_KEY: usize = 511;

/// In `deaths` the version takes eight.
pub(super) const MAX_KEY: usize = LMDB_KEY - 8;

/// The key of a sid. `None` if it is empty or too long.
pub(super) fn key_of(sid: &Sid) -> Option<&[u8]> {
    let key = sid.as_bytes();
    (key.len() <= MAX_KEY && !key.is_empty()).then_some(key)
}

/// The lengths of a head without its cookie, of a checksum, and of a destroyed sid's value.
pub(super) const HEAD: usize = 38;
pub(super) const CHECKSUM: usize = 4;
pub(super) const TOMBSTONE: usize = 16;

/// Set in the byte of a head that tells where the cookie is, if the head has a note.
const NOTED: u8 = 1 << 7;

/// The length of the key of an expiry.
pub(super) const DUE: usize = 16;

/// The longest cookie that is kept in the head: with it, a head fits into a page of any size.
pub(super) const MAX_COOKIE: usize = 2048;

/// Where the cookie of a session is, which a touch replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Not to be replaced.
    Fixed,
    /// In the body, if there is one.
    Unseen,
    /// In the head.
    Cut,
}

/// The part of a session that a touch renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The version that wrote the body.
    pub(super) version: Version,
    pub(super) due: Due,
    /// The length of the body without its checksum. It tells what the session takes without reading
    /// the body.
    pub(super) body: u32,
    /// Where in the body the cookie that was cut out belongs.
    pub(super) cookie_at: u32,
    pub(super) place: Cookie,
    pub(super) encoding: Encoding,
    pub(super) note: Option<Note>,
    /// The text that was cut out.
    pub(super) cookie: &'a [u8],
}

const PLACES: [Cookie; 3] = [Cookie::Fixed, Cookie::Unseen, Cookie::Cut];
const ENCODINGS: [Encoding; 5] =
    [Encoding::Ascii, Encoding::Utf8, Encoding::Utf16, Encoding::Buffer, Encoding::Uint8Array];

impl<'a> Head<'a> {
    /// Where the cookie that was cut out belongs, and its text.
    pub(super) fn cut(&self) -> Option<(usize, &'a [u8])> {
        match self.place {
            Cookie::Fixed | Cookie::Unseen => None,
            Cookie::Cut => Some((self.cookie_at as usize, self.cookie)),
        }
    }

    /// Whose the session is, if it is somebody's.
    pub(super) fn owner(&self) -> Option<User> {
        self.note.map(|note| note.owner).filter(|owner| *owner != User::NOBODY)
    }

    /// `None` if the bytes are not what was written for the sid.
    pub(super) fn read(sid: &[u8], bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(HEAD)?;
        let (fixed, sum) = fixed.split_at(HEAD - CHECKSUM);
        if checksum([sid, fixed, rest]) != sum {
            return None;
        }
        let place = fixed[32];
        let (note, cookie) = if place & NOTED == 0 {
            (None, rest)
        } else {
            let (note, cookie) = rest.split_first_chunk()?;
            (Some(read_note(note)), cookie)
        };
        Some(Self {
            version: number_at(fixed, 0)?,
            due: Due {
                expires: number_at(fixed, 8)?.cast_signed(),
                sequence: number_at(fixed, 16)?,
            },
            body: u32::from_le_bytes(fixed.get(24..28)?.try_into().ok()?),
            cookie_at: u32::from_le_bytes(fixed.get(28..32)?.try_into().ok()?),
            place: *PLACES.get(usize::from(place & !NOTED))?,
            encoding: *ENCODINGS.get(usize::from(fixed[33]))?,
            note,
            cookie,
        })
    }

    pub(super) fn write_to(&self, sid: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.due.expires.to_le_bytes());
        bytes.extend_from_slice(&self.due.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.body.to_le_bytes());
        bytes.extend_from_slice(&self.cookie_at.to_le_bytes());
        let place = PLACES.iter().position(|place| *place == self.place).unwrap_or(0);
        let encoding = ENCODINGS.iter().position(|known| *known == self.encoding).unwrap_or(0);
        let noted = if self.note.is_some() { NOTED } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "there are five at the most")]
        bytes.extend_from_slice(&[place as u8 | noted, encoding as u8]);
        let note = self.note.map(note_bytes);
        let note = note.as_ref().map_or(&[][..], |note| &note[..]);
        let sum = checksum([sid, bytes, note, self.cookie]);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(note);
        bytes.extend_from_slice(self.cookie);
    }
}

/// Detects a flipped bit that breaks nothing else.
pub(super) fn checksum<const N: usize>(parts: [&[u8]; N]) -> [u8; CHECKSUM] {
    let mut sum = crc32fast::Hasher::new();
    for part in parts {
        sum.update(part);
    }
    sum.finalize().to_le_bytes()
}

/// Whose a body is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(super) sid: &'a [u8],
    pub(super) version: Version,
}

/// The body as it is stored: with a checksum.
pub(super) fn write_body(owner: Owner<'_>, [one, other]: [&[u8]; 2], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend_from_slice(&checksum([&owner.version.to_le_bytes(), owner.sid, one, other]));
    bytes.extend_from_slice(one);
    bytes.extend_from_slice(other);
}

/// The body that was written; `None` if it is damaged, or not the owner's.
pub(super) fn read_body<'b>(owner: Owner<'_>, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let (sum, body) = bytes.split_at_checked(CHECKSUM)?;
    (checksum([&owner.version.to_le_bytes(), owner.sid, body]) == sum).then_some(body)
}

/// The keys of the pieces of a body that does not fit into one value. No other sid has one of them:
/// the number always takes four bytes.
pub(super) struct PieceKeys {
    key: Vec<u8>,
    sid: usize,
}

impl PieceKeys {
    pub(super) fn new(sid: &[u8]) -> Self {
        let mut key = Vec::with_capacity(sid.len() + size_of::<u32>());
        key.extend_from_slice(sid);
        Self { key, sid: sid.len() }
    }

    pub(super) fn key(&mut self, number: u32) -> &[u8] {
        self.key.truncate(self.sid);
        self.key.extend_from_slice(&number.to_be_bytes());
        &self.key
    }
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
