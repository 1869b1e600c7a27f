//! What a head notes of its session beside the body, in bytes: since when it is there, when it was
//! used, and whose it is.

use crate::engine::users::{Note, User};
use crate::time::Millis;

/// The length of a note.
pub(super) const NOTE: usize = 32;

pub(super) fn read_note(bytes: &[u8; NOTE]) -> Note {
    let [created, used, one, other] = bytes.as_chunks::<8>().0 else {
        unreachable!("a note has four parts");
    };
    let mut owner = [0; 16];
    owner[..8].copy_from_slice(one);
    owner[8..].copy_from_slice(other);
    let time = |bytes: &[u8; 8]| Millis::from_le_bytes(*bytes);
    Note { created: time(created), used: time(used), owner: User(owner) }
}

pub(super) fn note_bytes(note: Note) -> [u8; NOTE] {
    let mut bytes = [0; NOTE];
    bytes[..8].copy_from_slice(&note.created.to_le_bytes());
    bytes[8..16].copy_from_slice(&note.used.to_le_bytes());
    bytes[16..].copy_from_slice(&note.owner.0);
    bytes
}
