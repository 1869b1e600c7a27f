//! The record an engine keeps of a session, and what can be done to one.
//!
//! A record knows its body, when it expires, and when it was used last. It knows neither its
//! sid nor the map it lives in, and of its cookie's template only the number.

use std::ops::Range;

use zerocopy::native_endian::{I64, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::body::{BodyRef, BodyView, Encoding, Tail};
use super::cookie::{BEFORE_COOKIE, CutCookie, TemplateId, is_renewal};
use super::forms::{FormedBody, Forms, Used};
use super::json;
use super::shape::ShapeId;
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
}

impl<'a> NewBody<'a> {
    /// A body that is to be kept. `session` is a number that other sessions do not have. Until the
    /// body is kept, the forms must not get another one.
    pub(crate) fn new(body: BodyRef<'a>, forms: &mut Forms, session: u64) -> Self {
        let BodyRef { bytes, encoding, .. } = body;
        let is_json = body.is_json_text();
        let Some(FormedBody { head, tail, cookie, shape }) = forms.form(body, session) else {
            let (head, tail) = bytes.split_at(bytes.len());
            return Self { head, tail, shape: None, cookie: None, encoding, is_json };
        };
        let shape = shape.map(|shape| (shape, forms.shapes.packed().len()));
        Self { head, tail, shape, cookie: Some(cookie), encoding, is_json }
    }

    /// How many bytes would be kept, were it not packed.
    pub(crate) fn len_as_text(&self) -> usize {
        self.head.len() + self.tail.len()
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
    pub(crate) fn len(&self) -> usize {
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
/// record.
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

impl Place {
    /// In three bytes, as a record has it.
    fn to_bytes(self) -> [u8; 3] {
        match self {
            Self::Nowhere => [0; 3],
            Self::NotLookedFor => [1, 0, 0],
            Self::Known { length } => [2, length, 0],
            Self::Cut { template: TemplateId([one, other]) } => [3, one, other],
            Self::Packed { template: TemplateId([one, other]) } => [4, one, other],
        }
    }

    fn of_bytes([kind, one, other]: [u8; 3]) -> Self {
        match kind {
            1 => Self::NotLookedFor,
            2 => Self::Known { length: one },
            3 => Self::Cut { template: TemplateId([one, other]) },
            4 => Self::Packed { template: TemplateId([one, other]) },
            _ => Self::Nowhere,
        }
    }
}

/// The lower six bytes of the number of a use: at a million uses a second they last nine years.
type Use = [u8; 6];

fn use_of([one, two, three, four, five, six]: Use) -> u64 {
    u64::from_le_bytes([one, two, three, four, five, six, 0, 0])
}

fn kept_use(number: u64) -> Use {
    let [one, two, three, four, five, six, ..] = number.to_le_bytes();
    [one, two, three, four, five, six]
}

/// What a record has beside the bytes of its body. Every session has it, so it is small.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Head {
    expires: I64,
    /// When its entry in the expiry queue comes up: never later than `expires`, and `NEVER` if
    /// there is no entry.
    due: I64,
    /// The time in a cookie that was cut out.
    cookie_time: I64,
    /// The number of its last use; larger is more recent.
    last_use: Use,
    /// The number of the last use that wrote more than the cookie's time.
    version: Use,
    /// How much of the room the body is.
    length: U32,
    /// Where the cookie is or belongs, if `place` says that this is known.
    cookie_at: U16,
    place: [u8; 3],
    encoding: u8,
}

/// A session as an engine in memory keeps it, to be read: its head, and the memory that the engine
/// has made for its body.
#[derive(Clone, Copy)]
pub(crate) struct Record<'r> {
    pub(crate) head: &'r Head,
    /// The body, without the cookie if that was cut out, and room behind it.
    pub(crate) room: &'r [u8],
}

/// The same, to be changed. Room has to be made before a longer body is written.
pub(crate) struct RecordMut<'r> {
    pub(crate) head: &'r mut Head,
    pub(crate) room: &'r mut [u8],
}

/// A body with another cookie in its text, which is to be kept.
pub(crate) struct Spliced {
    text: Vec<u8>,
    cookie: Range<usize>,
    is_ascii: bool,
}

impl Spliced {
    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    fn place(&self) -> (u16, Place) {
        match (u16::try_from(self.cookie.start), u8::try_from(self.cookie.len())) {
            (Ok(at), Ok(length)) => (at, Place::Known { length }),
            _ => (0, Place::NotLookedFor),
        }
    }
}

impl Head {
    /// The head of a record that is still to be written, and that is used for the first time.
    pub(crate) fn new(last_use: u64) -> Self {
        Self {
            expires: I64::new(NEVER),
            due: I64::new(NEVER),
            cookie_time: I64::new(0),
            last_use: kept_use(last_use),
            version: kept_use(last_use),
            length: U32::new(0),
            cookie_at: U16::new(0),
            place: Place::Nowhere.to_bytes(),
            encoding: 0,
        }
    }

    /// How long the body is, as it is kept.
    pub(crate) fn len(&self) -> usize {
        self.length.get() as usize
    }

    /// The number of its last use; larger is more recent.
    pub(crate) fn last_use(&self) -> u64 {
        use_of(self.last_use)
    }

    pub(crate) fn set_last_use(&mut self, last_use: u64) {
        self.last_use = kept_use(last_use);
    }

    /// The number of the last use that wrote more than the cookie's time.
    pub(crate) fn version(&self) -> u64 {
        use_of(self.version)
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        self.version = kept_use(version);
    }

    /// When its entry in the expiry queue comes up: never later than it expires, and [`NEVER`] if
    /// there is no entry.
    pub(crate) fn due(&self) -> Millis {
        self.due.get()
    }

    pub(crate) fn set_due(&mut self, due: Millis) {
        self.due.set(due);
    }

    /// The last moment at which the record is alive.
    pub(crate) fn expires(&self) -> Millis {
        self.expires.get()
    }

    /// Whether the record's time is over at `now`.
    pub(crate) fn is_expired(&self, now: Millis) -> bool {
        has_expired(self.expires(), now)
    }

    /// What the record uses of the forms.
    pub(crate) fn used(&self) -> Option<Used> {
        match self.place() {
            Place::Cut { template } => Some(Used { template, shape: None }),
            Place::Packed { template } => {
                Some(Used { template, shape: Some(ShapeId(self.cookie_at.get())) })
            }
            _ => None,
        }
    }

    /// Whether the cookie of `body` is the session's with an earlier time.
    pub(crate) fn has_later_cookie_than(&self, body: &NewBody<'_>) -> bool {
        match (self.cut_cookie(), body.cookie) {
            (Some(old), Some(new)) => old.template == new.template && new.time < old.time,
            _ => false,
        }
    }

    fn cut_cookie(&self) -> Option<CutCookie> {
        match self.place() {
            Place::Cut { template } | Place::Packed { template } => {
                Some(CutCookie { template, time: self.cookie_time.get() })
            }
            _ => None,
        }
    }

    fn encoding(&self) -> Encoding {
        Encoding::of_code(self.encoding).unwrap_or(Encoding::Utf8)
    }

    fn place(&self) -> Place {
        Place::of_bytes(self.place)
    }

    fn set_place(&mut self, cookie_at: u16, place: Place) {
        self.cookie_at.set(cookie_at);
        self.place = place.to_bytes();
    }
}

impl<'r> Record<'r> {
    /// The body, without a cookie that was cut out, and packed if it has a shape.
    fn text(self) -> &'r [u8] {
        &self.room[..self.head.len()]
    }

    /// What the serializer returned, read at the version `read`.
    pub(crate) fn body(self, forms: &'r Forms, read: u64) -> BodyView<'r> {
        let (head, tail) = match self.head.place() {
            Place::Cut { .. } => {
                let (head, tail) = self.text().split_at(usize::from(self.head.cookie_at.get()));
                (head, Tail::Text(tail))
            }
            Place::Packed { .. } => {
                match forms.shapes.view(ShapeId(self.head.cookie_at.get()), self.text()) {
                    Some(packed) => (BEFORE_COOKIE, Tail::Packed(packed)),
                    // No record's shape is ever forgotten.
                    None => (self.text(), Tail::Text(&[])),
                }
            }
            _ => (self.text(), Tail::Text(&[])),
        };
        BodyView {
            head,
            cookie: self.head.cut_cookie().map(|cookie| forms.templates.text(cookie)),
            tail,
            encoding: self.head.encoding(),
            read,
            expires: self.head.expires(),
        }
    }

    /// A packed body as text, without its cookie.
    fn unpacked(self, forms: &Forms) -> Option<Vec<u8>> {
        let Place::Packed { .. } = self.head.place() else {
            return None;
        };
        let packed = forms.shapes.view(ShapeId(self.head.cookie_at.get()), self.text())?;
        let mut text = BEFORE_COOKIE.to_vec();
        packed.write_text(self.head.encoding() == Encoding::Ascii, &mut text);
        Some(text)
    }
}

impl RecordMut<'_> {
    fn read(&self) -> Record<'_> {
        Record { head: self.head, room: self.room }
    }

    /// Takes `body` in place of the old one, for which there is room. The caller sees to the forms
    /// and the version.
    pub(crate) fn overwrite(&mut self, body: &NewBody<'_>, forms: &Forms, expires: Millis) {
        self.set_text(body.kept(forms));
        self.head.set_place(body.cookie_at(), body.place());
        self.head.encoding = body.encoding.code();
        self.head.cookie_time.set(body.cookie.map_or(0, |cookie| cookie.time));
        self.head.expires.set(expires);
    }

    fn set_text(&mut self, [head, tail]: [&[u8]; 2]) {
        let (to, rest) = self.room.split_at_mut(head.len());
        to.copy_from_slice(head);
        rest[..tail.len()].copy_from_slice(tail);
        self.head.length.set(length_of(head.len() + tail.len()));
    }

    /// Whether `cookie`, text in UTF-8, is the session's with the same or a later time.
    pub(crate) fn is_renewed_by_text(&mut self, cookie: &[u8], forms: &Forms) -> bool {
        if let Some(cut) = self.head.cut_cookie() {
            let mut stored = Vec::new();
            forms.templates.text(cut).write_to(&mut stored);
            return is_renewal(&stored, cookie);
        }
        self.cookie_place().is_some_and(|place| is_renewal(&self.room[place], cookie))
    }

    /// Whether `cookie` is the session's with the same or a later time.
    pub(crate) fn is_renewed_by(&mut self, cookie: CutCookie, forms: &Forms) -> bool {
        if let Some(stored) = self.head.cut_cookie() {
            return stored.template == cookie.template && stored.time <= cookie.time;
        }
        self.cookie_place()
            .is_some_and(|place| forms.templates.is_renewal(&self.room[place], cookie))
    }

    /// The body with the cookie `cookie`, text in UTF-8, or nothing if there is no cookie that may be
    /// replaced or a body of its length does not fit.
    pub(crate) fn spliced(
        &mut self,
        cookie: BodyRef<'_>,
        forms: &Forms,
        fits: impl FnOnce(usize) -> bool,
    ) -> Option<Spliced> {
        let unpacked = self.read().unpacked(forms);
        let place = match unpacked {
            Some(_) => BEFORE_COOKIE.len()..BEFORE_COOKIE.len(),
            None => self.cookie_place()?,
        };
        let old = unpacked.as_deref().unwrap_or(self.read().text());
        if !fits(old.len() - place.len() + cookie.bytes.len()) {
            return None;
        }
        let text = [&old[..place.start], cookie.bytes, &old[place.end..]].concat();
        let is_ascii =
            self.head.encoding() == Encoding::Ascii && cookie.encoding == Encoding::Ascii;
        Some(Spliced { text, cookie: place.start..place.start + cookie.bytes.len(), is_ascii })
    }

    /// Takes what was spliced, for which there is room, and renews the expiry. The caller sees to the
    /// forms.
    pub(crate) fn set_spliced(&mut self, spliced: &Spliced, expires: Millis) {
        let (cookie_at, place) = spliced.place();
        self.set_text([&spliced.text, &[]]);
        self.head.set_place(cookie_at, place);
        if !spliced.is_ascii {
            self.head.encoding = Encoding::Utf8.code();
        }
        self.head.expires.set(expires);
    }

    /// Gives the session a cookie of which only template and time are kept, and renews the expiry.
    /// Returns false, having changed nothing that can be read, if there is no cookie to replace. The
    /// caller sees to the forms.
    pub(crate) fn set_cut_cookie(&mut self, cookie: CutCookie, expires: Millis) -> bool {
        let CutCookie { template, time } = cookie;
        if let Place::Packed { .. } = self.head.place() {
            self.head.set_place(self.head.cookie_at.get(), Place::Packed { template });
        } else {
            let Some(place) = self.cookie_place() else {
                return false;
            };
            let Ok(at) = u16::try_from(place.start) else {
                return false;
            };
            let length = self.head.len();
            self.room.copy_within(place.end..length, place.start);
            self.head.length.set(length_of(length - place.len()));
            self.head.set_place(at, Place::Cut { template });
        }
        self.head.cookie_time.set(time);
        self.head.expires.set(expires);
        true
    }

    /// Where the value of the session's cookie stands in the text, if it can be replaced in place;
    /// an empty range if it was cut out.
    fn cookie_place(&mut self) -> Option<Range<usize>> {
        let at = usize::from(self.head.cookie_at.get());
        match self.head.place() {
            Place::Nowhere | Place::Packed { .. } => None,
            Place::Known { length } => Some(at..at + usize::from(length)),
            Place::NotLookedFor => {
                let found = json::cookie_value(self.read().text());
                // If there is none, that stays so until the next write: do not look again.
                if found.is_none() {
                    self.head.set_place(0, Place::Nowhere);
                }
                found
            }
            Place::Cut { .. } => Some(at..at),
        }
    }
}

#[cfg(test)]
mod tests;
