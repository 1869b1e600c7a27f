//! The bytes of a body as it is stored, in the value of its head or in one of its own: here alone
//! bodies go into the file and come out of it.

use super::layout::{CHECKSUM, checksum};
use crate::engine::types::Version;

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

#[cfg(test)]
mod tests;
