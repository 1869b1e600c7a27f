//! The value of a session in `heads`: its head, and behind it the body if both fit into a leaf.
//!
//! | bytes | what                                                                        |
//! | ----- | --------------------------------------------------------------------------- |
//! | 34    | the fixed part                                                              |
//! | 4     | a checksum of all of the head, and of the sid                               |
//! | 32    | the [`Note`], if the session has one                                        |
//! | 16    | where the session's entry among the expiries is, if not where it is due     |
//! |       | the cookie that was cut out of the body                                     |
//! |       | the body with its checksum, if it is here                                   |
//!
//! In format 3 every body was in `bodies`, and every entry where it was due. Heads of that format
//! are read as what they say: a body that is elsewhere, and an entry that was never left behind.

use super::layout::{CHECKSUM, DUE, Due, checksum, number_at};
use super::notes::{note_bytes, read_note};
use crate::engine::types::Version;
use crate::engine::users::{Note, User};
use crate::session::Encoding;

/// The length of a head without what it may have behind the checksum.
pub(super) const HEAD: usize = 38;

/// The longest cookie that is kept in the head: with it, a head fits into a page of any size.
pub(super) const MAX_COOKIE: usize = 2048;

/// Set in the byte that tells where the cookie is: whether the head has a note, whether the body is
/// in the same value, and whether the head tells where the entry is.
const NOTED: u8 = 1 << 7;
const WHOLE: u8 = 1 << 6;
const LEFT_BEHIND: u8 = 1 << 5;
const FLAGS: u8 = NOTED | WHOLE | LEFT_BEHIND;

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

/// What is known of a session beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The version that wrote the body.
    pub(super) version: Version,
    pub(super) due: Due,
    /// Where its entry among the expiries is: at `due` or before.
    pub(super) entry: Due,
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
    /// The body with its checksum, if it is in the same value.
    pub(super) here: Option<&'a [u8]>,
}

const PLACES: [Cookie; 3] = [Cookie::Fixed, Cookie::Unseen, Cookie::Cut];

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

    /// `None` if the bytes are not what was written for the sid. The body is not looked at.
    pub(super) fn read(sid: &[u8], bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(HEAD)?;
        let (fixed, sum) = fixed.split_at(HEAD - CHECKSUM);
        let flags = fixed[32];
        let body = u32::from_le_bytes(fixed.get(24..28)?.try_into().ok()?);
        let (head, here) = if flags & WHOLE == 0 {
            (rest, None)
        } else {
            let (head, here) = rest.split_at(rest.len().checked_sub(CHECKSUM + body as usize)?);
            (head, Some(here))
        };
        if checksum([sid, fixed, head]) != sum {
            return None;
        }
        let (note, head) = if flags & NOTED == 0 {
            (None, head)
        } else {
            let (note, head) = head.split_first_chunk()?;
            (Some(read_note(note)), head)
        };
        let due =
            Due { expires: number_at(fixed, 8)?.cast_signed(), sequence: number_at(fixed, 16)? };
        let (entry, cookie) = if flags & LEFT_BEHIND == 0 {
            (due, head)
        } else {
            let (entry, cookie) = head.split_at_checked(DUE)?;
            (Due::read(entry)?, cookie)
        };
        Some(Self {
            version: number_at(fixed, 0)?,
            due,
            entry,
            body,
            cookie_at: u32::from_le_bytes(fixed.get(28..32)?.try_into().ok()?),
            place: *PLACES.get(usize::from(flags & !FLAGS))?,
            encoding: Encoding::of_code(fixed[33])?,
            note,
            cookie,
            here,
        })
    }

    pub(super) fn write_to(&self, sid: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.due.expires.to_le_bytes());
        bytes.extend_from_slice(&self.due.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.body.to_le_bytes());
        bytes.extend_from_slice(&self.cookie_at.to_le_bytes());
        bytes.extend_from_slice(&[self.flags(), self.encoding.code()]);
        let note = self.note.map(note_bytes);
        let note = note.as_ref().map_or(&[][..], |note| &note[..]);
        let entry = self.is_left_behind().then(|| self.entry.key());
        let entry = entry.as_ref().map_or(&[][..], |entry| &entry[..]);
        let sum = checksum([sid, bytes, note, entry, self.cookie]);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(note);
        bytes.extend_from_slice(entry);
        bytes.extend_from_slice(self.cookie);
        bytes.extend_from_slice(self.here.unwrap_or_default());
    }

    fn flags(&self) -> u8 {
        let place = PLACES.iter().position(|place| *place == self.place).unwrap_or(0);
        let flags = [
            (NOTED, self.note.is_some()),
            (WHOLE, self.here.is_some()),
            (LEFT_BEHIND, self.is_left_behind()),
        ];
        let flags = flags.into_iter().filter(|(_, is_set)| *is_set);
        #[expect(clippy::cast_possible_truncation, reason = "there are three places")]
        flags.fold(place as u8, |flags, (flag, _)| flags | flag)
    }

    /// The head without what it has of texts.
    pub(super) fn bare(&self) -> Head<'static> {
        let Self { version, due, entry, body, cookie_at, place, encoding, note, .. } = *self;
        let (cookie, here) = (&[][..], None);
        Head { version, due, entry, body, cookie_at, place, encoding, note, cookie, here }
    }

    /// Whether the session is due later than its entry says.
    pub(super) fn is_left_behind(&self) -> bool {
        self.entry != self.due
    }
}

#[cfg(test)]
mod tests;
