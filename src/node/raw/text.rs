//! Room for strings that are copied out of V8.

/// The least room to offer to a string. V8 writes UTF-8 fastest if there is room for three bytes
/// for each of the string's units.
const MIN_ROOM: usize = 16 * 1024;

/// Room that has grown beyond this many bytes is not kept.
const ROOM_TO_KEEP: usize = 256 * 1024;

/// A string that was copied out of V8, in room that is used again for the next one.
#[derive(Default)]
pub(in crate::node) struct Text {
    /// Longer than the string, as a rule. All of it is initialised, because V8 writes into it.
    pub(super) room: Vec<u8>,
    pub(super) length: usize,
}

impl Text {
    pub(in crate::node) fn as_bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.room.is_empty() {
            self.grow(MIN_ROOM);
        }
        &mut self.room
    }

    pub(super) fn grow(&mut self, room: usize) {
        if room > self.room.len() {
            self.room.resize(room, 0);
        }
    }

    pub(super) fn replace(&mut self, bytes: impl Iterator<Item = u8>) {
        self.room = bytes.collect();
        self.length = self.room.len();
        self.grow(MIN_ROOM);
    }

    /// Gives back what one large string made the room grow to.
    pub(in crate::node) fn trim(&mut self) {
        if self.room.len() > ROOM_TO_KEEP {
            *self = Self::default();
        }
    }
}
