//! The index of users, in bytes: its entries, and what they are an index of.
//!
//! A session that belongs to somebody has one entry, and no other session has one.

use super::layout::{CHECKSUM, LMDB_KEY, MAX_KEY, checksum, number_at};
use crate::engine::types::Version;
use crate::engine::users::{Mark, User};
use crate::sid::{Handle, first_of_sha256};
use crate::time::Millis;

/// The length of a user in a key.
const USER: usize = size_of::<User>();

/// The key in `state` of the [`Index`].
pub(super) const INDEX: &[u8] = b"users";

/// The key of an entry of `users`.
pub(super) fn user_key(user: User, sid: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&user.0);
    match long_in_user_key(sid) {
        None => key.extend_from_slice(sid),
        Some(handle) => key.extend_from_slice(&handle),
    }
}

/// The value of such an entry.
pub(super) fn user_value(sid: &[u8]) -> &[u8] {
    if long_in_user_key(sid).is_some() { sid } else { &[] }
}

/// The sid of such an entry.
pub(super) fn sid_of<'t>((key, value): (&'t [u8], &'t [u8])) -> Option<&'t [u8]> {
    let sid = if value.is_empty() { key.get(USER..)? } else { value };
    (1..=MAX_KEY).contains(&sid.len()).then_some(sid)
}

/// What represents a sid that is too long for a key of `users`.
fn long_in_user_key(sid: &[u8]) -> Option<Handle> {
    is_too_long(sid.len()).then(|| first_of_sha256(sid))
}

const fn is_too_long(sid: usize) -> bool {
    USER + sid > LMDB_KEY
}

/// The lengths of the key and of the value for a sid of that length.
pub(super) const fn lengths(sid: usize) -> (usize, usize) {
    if is_too_long(sid) { (USER + size_of::<Handle>(), sid) } else { (USER + sid, 0) }
}

/// What the entries of `users` say, and how far they are complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Stands for the option `user` by which they were made.
    pub(super) user: Mark,
    /// What was written later was indexed when it was written.
    pub(super) since: Version,
    /// When that was, by the clock.
    pub(super) at: Millis,
    /// The sid after which sessions that were written before have yet to be indexed; `None` if all
    /// of them are.
    pub(super) after: Option<Vec<u8>>,
}

impl Index {
    /// `None` if the bytes are not what was written.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        if checksum([bytes]) != sum {
            return None;
        }
        let (is_under_way, after) = bytes.get(24..)?.split_first()?;
        Some(Self {
            user: number_at(bytes, 0)?,
            since: number_at(bytes, 8)?,
            at: number_at(bytes, 16)?.cast_signed(),
            after: (*is_under_way == 1).then(|| after.to_vec()),
        })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.user.to_le_bytes());
        bytes.extend_from_slice(&self.since.to_le_bytes());
        bytes.extend_from_slice(&self.at.to_le_bytes());
        bytes.push(u8::from(self.after.is_some()));
        bytes.extend_from_slice(self.after.as_deref().unwrap_or_default());
        let sum = checksum([&bytes]);
        bytes.extend_from_slice(&sum);
        bytes
    }
}
