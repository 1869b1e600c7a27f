//! What a table notes with its records, in bytes, if the options ask for it.

use crate::engine::types::Options;
use crate::engine::users::{Note, User};
use crate::session::record::Record;
use crate::time::Millis;

/// The length of a note in a record.
const NOTE: usize = 32;

/// How much room for a note the records of a table have.
pub(super) fn note_room(options: &Options) -> usize {
    if options.has_notes() { NOTE } else { 0 }
}

/// The note of a record whose table has notes.
pub(super) fn note_of(record: &Record) -> Note {
    let [created, used, one, other] = record.note::<NOTE>().as_chunks::<8>().0 else {
        unreachable!("a note has four parts");
    };
    let mut owner = [0; 16];
    owner[..8].copy_from_slice(one);
    owner[8..].copy_from_slice(other);
    let time = |bytes: &[u8; 8]| Millis::from_ne_bytes(*bytes);
    Note { created: time(created), used: time(used), owner: User(owner) }
}

/// Notes something else with a record whose table has notes.
pub(super) fn set_note(record: &mut Record, note: Note) {
    let mut bytes = [0; NOTE];
    bytes[..8].copy_from_slice(&note.created.to_ne_bytes());
    bytes[8..16].copy_from_slice(&note.used.to_ne_bytes());
    bytes[16..].copy_from_slice(&note.owner.0);
    record.set_note(bytes);
}
