//! The record an engine keeps of a session, and what can be done to one.
//!
//! A record knows its body, when it expires, and when it was used last. It knows neither its
//! sid nor the map it lives in, and of its cookie's template only the number.

use std::ops::Range;

use super::body::{Body, BodyRef, BodyView, Encoding, Tail};
use super::cookie::{BEFORE_COOKIE, CutCookie, TemplateId, is_renewal};
use super::forms::{FormedBody, Forms, Used};
use super::json;
use super::shape::ShapeId;
use crate::allocation::allocated;
use crate::time::{Millis, NEVER, has_expired};

/// A body that is to be kept: in one piece, or with its cookie cut out and perhaps packed.
pub(crate) struct NewBody<'a> {
    head: &'a [u8],
    /// What is behind the cookie, as text.
    tail: &'a [u8],
    /// If it has a shape, what is behind the cookie is kept as the forms have packed it.
    shape: Option<(ShapeId, usize)>,
    cookie: Option<CutCookie>,
    encoding: Encoding,
    is_json: bool,
    /// How much room its record has for a note.
    note: usize,
}

impl<'a> NewBody<'a> {
    /// A body for a record without a note.
    #[cfg(test)]
    pub(crate) fn new(body: BodyRef<'a>, forms: &mut Forms) -> Self {
        Self::noted(body, forms, 0, 0)
    }

    /// A body for a record with so much room for a note. `session` is a number that other sessions
    /// do not have. Until the body is kept, the forms must not get another one.
    pub(crate) fn noted(body: BodyRef<'a>, forms: &mut Forms, session: u64, note: usize) -> Self {
        let BodyRef { bytes, encoding, .. } = body;
        let is_json = body.is_json_text();
        let Some(FormedBody { head, tail, cookie, shape }) = forms.form(body, session) else {
            let (head, tail) = bytes.split_at(bytes.len());
            return Self { head, tail, shape: None, cookie: None, encoding, is_json, note };
        };
        let shape = shape.map(|shape| (shape, forms.shapes.packed().len()));
        Self { head, tail, shape, cookie: Some(cookie), encoding, is_json, note }
    }

    /// The bytes of memory that the body takes once it is kept.
    pub(crate) fn allocated(&self) -> usize {
        allocated(self.len() + self.note)
    }

    /// The same, were it not packed.
    pub(crate) fn allocated_as_text(&self) -> usize {
        allocated(self.head.len() + self.tail.len() + self.note)
    }

    /// What the body's record will use of the forms.
    pub(crate) fn used(&self) -> Option<Used> {
        let shape = self.shape.map(|(shape, _)| shape);
        self.cookie.map(|cookie| Used { template: cookie.template, shape })
    }

    /// Whether a record could hold it. V8's strings have half a gigabyte at the most.
    pub(crate) fn fits(&self) -> bool {
        u32::try_from(self.len()).is_ok()
    }

    /// How many bytes are kept of it.
    fn len(&self) -> usize {
        self.shape.map_or(self.head.len() + self.tail.len(), |(_, packed)| packed)
    }

    /// What is kept of it, in two pieces.
    fn kept<'b>(&'b self, forms: &'b Forms) -> [&'b [u8]; 2] {
        if self.shape.is_some() { [forms.shapes.packed(), &[]] } else { [self.head, self.tail] }
    }

    fn place(&self) -> Place {
        match (self.cookie, self.is_json) {
            (None, false) => Place::Nowhere,
            (None, true) => Place::NotLookedFor,
            (Some(cookie), _) if self.shape.is_some() => {
                Place::Packed { template: cookie.template }
            }
            (Some(cookie), _) => Place::Cut { template: cookie.template },
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "where a cookie was cut out, what is before it is short"
    )]
    fn cookie_at(&self) -> u16 {
        match self.shape {
            Some((shape, _)) => shape.0,
            None => self.cookie.map_or(0, |_| self.head.len() as u16),
        }
    }
}

/// The length of a body that [`NewBody::fits`], possibly with a longer cookie.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Where the cookie of a session is, which a touch replaces; its position is `cookie_at` of the
/// record. Small, because every session has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is none that may be replaced in place.
    Nowhere,
    /// In the text, if there is one.
    NotLookedFor,
    /// In the text, with this length.
    Known { length: u8 },
    /// Cut out of the text.
    Cut { template: TemplateId },
    /// Cut out of a text of which the rest is packed: `cookie_at` is the number of its shape.
    Packed { template: TemplateId },
}

/// A session as an engine keeps it.
///
/// 64 bytes, so that the node of a sid and its record is two cache lines: with 80 a set at a
/// million sessions took a fifth longer.
#[derive(Debug)]
pub(crate) struct Record {
    /// The body, without the cookie if that was cut out, and room behind it. The end of the room is
    /// the note, if the record's table has notes.
    bytes: Box<[u8]>,
    /// How much of `bytes` the body is.
    length: u32,
    /// Where the cookie is or belongs, if `place` says that this is known.
    cookie_at: u16,
    place: Place,
    encoding: Encoding,
    /// The number of the last use that wrote more than the cookie's time: its lower six bytes,
    /// which a million uses a second take nine years to run through.
    version: [u8; 6],
    /// The time in a cookie that was cut out.
    cookie_time: Millis,
    expires: Millis,
    /// When its entry in the expiry queue comes up: never later than `expires`, and `NEVER` if
    /// there is no entry.
    pub(crate) due: Millis,
    /// The number of its last use; larger is more recent.
    pub(crate) last_use: u64,
}

const _: () = assert!(size_of::<Record>() == 64);

impl Record {
    /// A record of `body`. The caller counts the use of the forms.
    pub(crate) fn new(body: &NewBody<'_>, forms: &Forms, expires: Millis, last_use: u64) -> Self {
        let mut record = Self {
            bytes: Box::default(),
            length: 0,
            cookie_at: body.cookie_at(),
            place: body.place(),
            encoding: body.encoding,
            cookie_time: body.cookie.map_or(0, |cookie| cookie.time),
            expires,
            due: NEVER,
            last_use,
            version: [0; 6],
        };
        record.set_version(last_use);
        record.set_bytes(body, forms);
        record
    }

    /// The number of the last use that wrote more than the cookie's time.
    pub(crate) fn version(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&self.version);
        u64::from_le_bytes(bytes)
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        self.version.copy_from_slice(&version.to_le_bytes()[..6]);
    }

    /// The body, without a cookie that was cut out, and packed if it has a shape.
    fn text(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    /// Copies the body into the present allocation if it fits and does not waste more than it uses,
    /// else into a new one.
    fn set_bytes(&mut self, body: &NewBody<'_>, forms: &Forms) {
        let (capacity, wanted) = (self.bytes.len(), body.allocated());
        if capacity < body.len() + body.note || capacity / 2 > wanted {
            self.bytes = vec![0; wanted].into_boxed_slice();
        }
        let [head, tail] = body.kept(forms);
        let (to, rest) = self.bytes.split_at_mut(head.len());
        to.copy_from_slice(head);
        rest[..tail.len()].copy_from_slice(tail);
        self.length = length_of(body.len());
    }

    /// What the serializer returned, read at the version `read`.
    pub(crate) fn body<'a>(&'a self, forms: &'a Forms, read: u64) -> BodyView<'a> {
        let (head, tail) = match self.place {
            Place::Cut { .. } => {
                let (head, tail) = self.text().split_at(usize::from(self.cookie_at));
                (head, Tail::Text(tail))
            }
            Place::Packed { .. } => match forms.shapes.view(ShapeId(self.cookie_at), self.text()) {
                Some(packed) => (BEFORE_COOKIE, Tail::Packed(packed)),
                // No record's shape is ever forgotten.
                None => (self.text(), Tail::Text(&[])),
            },
            _ => (self.text(), Tail::Text(&[])),
        };
        BodyView {
            head,
            cookie: self.cut_cookie().map(|cookie| forms.templates.text(cookie)),
            tail,
            encoding: self.encoding,
            read,
            expires: self.expires,
        }
    }

    /// The last bytes of the allocation: what the table has noted of the session. A table in which
    /// each body comes with room for `N` bytes has them; a new body makes them void.
    pub(crate) fn note<const N: usize>(&self) -> &[u8; N] {
        self.bytes.last_chunk().unwrap_or(&[0; N])
    }

    pub(crate) fn set_note<const N: usize>(&mut self, note: [u8; N]) {
        if let Some(place) = self.bytes.last_chunk_mut() {
            *place = note;
        }
    }

    /// What is kept of the body, for a caller that does not look at it.
    pub(crate) fn into_garbage(self) -> Body {
        Body::of_parts(self.bytes.into_vec(), self.encoding)
    }

    /// What the record uses of the forms.
    pub(crate) fn used(&self) -> Option<Used> {
        match self.place {
            Place::Cut { template } => Some(Used { template, shape: None }),
            Place::Packed { template } => {
                Some(Used { template, shape: Some(ShapeId(self.cookie_at)) })
            }
            _ => None,
        }
    }

    fn cut_cookie(&self) -> Option<CutCookie> {
        match self.place {
            Place::Cut { template } | Place::Packed { template } => {
                Some(CutCookie { template, time: self.cookie_time })
            }
            _ => None,
        }
    }

    /// Keeps a packed body as text from now on, with its cookie cut out. The caller counts the use of
    /// the forms.
    fn unpack(&mut self, forms: &Forms, note: usize) {
        let Place::Packed { template } = self.place else {
            return;
        };
        let Some(packed) = forms.shapes.view(ShapeId(self.cookie_at), self.text()) else {
            return;
        };
        let mut bytes = BEFORE_COOKIE.to_vec();
        packed.write_text(self.encoding == Encoding::Ascii, &mut bytes);
        self.length = length_of(bytes.len());
        bytes.resize(allocated(bytes.len() + note) - note, 0);
        bytes.extend_from_slice(&self.bytes[self.bytes.len() - note..]);
        self.bytes = bytes.into_boxed_slice();
        #[expect(clippy::cast_possible_truncation, reason = "it is a short constant")]
        {
            self.cookie_at = BEFORE_COOKIE.len() as u16;
        }
        self.place = Place::Cut { template };
    }

    /// The last moment at which the record is alive.
    pub(crate) fn expires(&self) -> Millis {
        self.expires
    }

    /// Whether the record's time is over at `now`.
    pub(crate) fn is_expired(&self, now: Millis) -> bool {
        has_expired(self.expires, now)
    }

    /// Whether the cookie of `body` is the session's with an earlier time.
    pub(crate) fn has_later_cookie_than(&self, body: &NewBody<'_>) -> bool {
        match (self.cut_cookie(), body.cookie) {
            (Some(old), Some(new)) => old.template == new.template && new.time < old.time,
            _ => false,
        }
    }

    /// Whether `cookie`, text in UTF-8, is the session's with the same or a later time.
    pub(crate) fn is_renewed_by_text(&mut self, cookie: &[u8], forms: &Forms) -> bool {
        if let Some(cut) = self.cut_cookie() {
            let mut stored = Vec::new();
            forms.templates.text(cut).write_to(&mut stored);
            return is_renewal(&stored, cookie);
        }
        self.cookie_place().is_some_and(|place| is_renewal(&self.bytes[place], cookie))
    }

    /// Whether `cookie` is the session's with the same or a later time.
    pub(crate) fn is_renewed_by(&mut self, cookie: CutCookie, forms: &Forms) -> bool {
        if let Some(stored) = self.cut_cookie() {
            return stored.template == cookie.template && stored.time <= cookie.time;
        }
        self.cookie_place()
            .is_some_and(|place| forms.templates.is_renewal(&self.bytes[place], cookie))
    }

    /// The bytes of memory that the record takes beside the [`Record`] itself.
    pub(crate) fn allocated(&self) -> usize {
        allocated(self.bytes.len())
    }

    /// Takes `body` in place of the old one. The caller sees to the forms and the version.
    pub(crate) fn overwrite(&mut self, body: &NewBody<'_>, forms: &Forms, expires: Millis) {
        self.set_bytes(body, forms);
        self.cookie_at = body.cookie_at();
        self.place = body.place();
        self.encoding = body.encoding;
        self.cookie_time = body.cookie.map_or(0, |cookie| cookie.time);
        self.expires = expires;
    }

    /// Gives the session the cookie `cookie`, as text in UTF-8, and renews the expiry.
    ///
    /// Returns false, having changed nothing that can be read, if there is no cookie to replace, or
    /// if the body would take more than `room` bytes. `note` is the length of the record's note.
    pub(crate) fn set_cookie_text(
        &mut self,
        cookie: BodyRef<'_>,
        forms: &Forms,
        expires: Millis,
        (room, note): (usize, usize),
    ) -> bool {
        self.unpack(forms, note);
        let Some(place) = self.cookie_place() else {
            return false;
        };
        if allocated(self.text().len() - place.len() + cookie.bytes.len() + note) > room {
            return false;
        }
        self.splice(&place, cookie.bytes, note);
        (self.cookie_at, self.place) =
            match (u16::try_from(place.start), u8::try_from(cookie.bytes.len())) {
                (Ok(at), Ok(length)) => (at, Place::Known { length }),
                _ => (0, Place::NotLookedFor),
            };
        if cookie.encoding != Encoding::Ascii {
            self.encoding = Encoding::Utf8;
        }
        self.expires = expires;
        true
    }

    /// As [`Self::set_cookie_text`], for a cookie of which only template and time are kept.
    pub(crate) fn set_cut_cookie(
        &mut self,
        cookie: CutCookie,
        expires: Millis,
        note: usize,
    ) -> bool {
        if let Place::Packed { template } = &mut self.place {
            *template = cookie.template;
            (self.cookie_time, self.expires) = (cookie.time, expires);
            return true;
        }
        let Some(place) = self.cookie_place() else {
            return false;
        };
        let Ok(at) = u16::try_from(place.start) else {
            return false;
        };
        if !place.is_empty() {
            self.splice(&place, &[], note);
        }
        self.cookie_at = at;
        self.place = Place::Cut { template: cookie.template };
        self.cookie_time = cookie.time;
        self.expires = expires;
        true
    }

    /// Where the value of the session's cookie stands in `bytes`, if it can be replaced in place;
    /// an empty range if it was cut out.
    fn cookie_place(&mut self) -> Option<Range<usize>> {
        let at = usize::from(self.cookie_at);
        match self.place {
            Place::Nowhere | Place::Packed { .. } => None,
            Place::Known { length } => Some(at..at + usize::from(length)),
            Place::NotLookedFor => {
                let found = json::cookie_value(self.text());
                // If there is none, that stays so until the next write: do not look again.
                if found.is_none() {
                    self.place = Place::Nowhere;
                }
                found
            }
            Place::Cut { .. } => Some(at..at),
        }
    }

    /// Puts `with` in place of a part of the body. The note stays.
    fn splice(&mut self, place: &Range<usize>, with: &[u8], note: usize) {
        let old = self.text().len();
        let new = old - place.len() + with.len();
        let wanted = allocated(new + note);
        if self.bytes.len() < new + note || self.bytes.len() > wanted && with.is_empty() {
            let mut bytes = Vec::with_capacity(wanted);
            bytes.extend_from_slice(&self.bytes[..place.start]);
            bytes.extend_from_slice(with);
            bytes.extend_from_slice(&self.bytes[place.end..old]);
            bytes.resize(wanted - note, 0);
            bytes.extend_from_slice(&self.bytes[self.bytes.len() - note..]);
            self.bytes = bytes.into_boxed_slice();
        } else {
            self.bytes.copy_within(place.end..old, place.start + with.len());
            self.bytes[place.start..place.start + with.len()].copy_from_slice(with);
        }
        self.length = length_of(new);
    }
}

#[cfg(test)]
mod tests;
