//! What a serializer made of a session: as it comes in, as it is read, and as it leaves the store.
//!
//! A body knows neither its sid nor where it is stored.

use super::cookie::CookieText;
use super::shape::Packed;
use crate::time::Millis;

/// How what a builder takes begins, as no JSON text does: this byte, then the version at which it
/// was read, the handle of the shape, and that of the cookie's template (6 bytes each, the least
/// significant one first). The time of the cookie follows if there is one, then the values. See
/// lib/native/builders.js.
pub const FOR_BUILDER: u8 = 1;

/// How a body's bytes stand for the value that the serializer returned, so that what is
/// handed out is what came in. The numbers are in files, and in what was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// A string of ASCII characters: the fastest to hand back.
    Ascii = 0,
    /// A string, in UTF-8.
    Utf8 = 1,
    /// A string with lone surrogates, as UTF-16 code units in the machine's byte order.
    Utf16 = 2,
    /// The bytes of a Node.js `Buffer`.
    Buffer = 3,
    /// The bytes of a `Uint8Array`.
    Uint8Array = 4,
}

impl Encoding {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ascii, Self::Utf8, Self::Utf16, Self::Buffer, Self::Uint8Array];

    /// The encoding that has the number `code`.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// What a serializer made of a session, borrowed from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRef<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// What they stand for.
    pub encoding: Encoding,
    /// Whether `JSON.stringify` wrote them, so that touch may replace the cookie in place.
    pub is_json: bool,
}

impl BodyRef<'_> {
    /// Whether it is JSON in an encoding that includes ASCII.
    pub(crate) fn is_json_text(&self) -> bool {
        self.is_json && matches!(self.encoding, Encoding::Ascii | Encoding::Utf8)
    }
}

/// A body that left its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    encoding: Encoding,
}

impl Body {
    /// Nothing, in place of a body that nobody reads.
    pub(crate) fn none() -> Self {
        Self { bytes: Vec::new(), encoding: Encoding::Ascii }
    }

    pub(crate) fn new(body: BodyRef<'_>) -> Self {
        Self { bytes: body.bytes.to_vec(), encoding: body.encoding }
    }

    pub(super) fn of_parts(bytes: Vec<u8>, encoding: Encoding) -> Self {
        Self { bytes, encoding }
    }

    /// What the serializer had returned.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the bytes stand for.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// A body as a record holds it, to be read under the lock.
#[derive(Clone, Copy)]
pub struct BodyView<'a> {
    pub(super) head: &'a [u8],
    pub(super) cookie: Option<CookieText<'a>>,
    pub(super) tail: Tail<'a>,
    pub(super) encoding: Encoding,
    pub(super) read: u64,
    pub(super) expires: Millis,
}

/// What is behind the cookie.
#[derive(Clone, Copy)]
pub(super) enum Tail<'a> {
    Text(&'a [u8]),
    Packed(Packed<'a>),
}

impl<'a> BodyView<'a> {
    /// A body that was stored without its cookie, read at the version `read`. `cookie` has the
    /// offset at which the cookie's text belongs, and the text. `None` if the offset is out of
    /// bounds.
    pub(crate) fn of_parts(
        bytes: &'a [u8],
        cookie: Option<(usize, &'a [u8])>,
        encoding: Encoding,
        (read, expires): (u64, Millis),
    ) -> Option<Self> {
        let (head, tail) = bytes.split_at_checked(cookie.map_or(bytes.len(), |(at, _)| at))?;
        let cookie = cookie.map(|(_, text)| CookieText::whole(text));
        Some(Self { head, cookie, tail: Tail::Text(tail), encoding, read, expires })
    }

    /// The version at which the body was read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The last moment at which the session is alive.
    #[must_use]
    pub fn expires(&self) -> Millis {
        self.expires
    }

    /// Appends what the serializer had returned to `bytes`.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.head);
        if let Some(cookie) = self.cookie {
            cookie.write_to(bytes);
        }
        match self.tail {
            Tail::Text(tail) => bytes.extend_from_slice(tail),
            Tail::Packed(packed) => packed.write_text(self.encoding == Encoding::Ascii, bytes),
        }
    }

    /// Appends the session as a builder in JavaScript takes it, if it has a shape that is read
    /// often; see [`FOR_BUILDER`]. Returns whether it did.
    pub fn write_for_builder(&self, bytes: &mut Vec<u8>) -> bool {
        let (Tail::Packed(packed), Some(cookie)) = (self.tail, self.cookie) else {
            return false;
        };
        let Some(shape) = packed.handle_to_build() else {
            return false;
        };
        bytes.push(FOR_BUILDER);
        for number in [self.read, shape, cookie.handle()] {
            bytes.extend_from_slice(&number.to_le_bytes()[..6]);
        }
        cookie.write_time_to(bytes);
        packed.write_values(bytes);
        true
    }

    /// What the bytes stand for.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// A copy that can leave the lock.
    #[must_use]
    pub fn to_body(&self) -> Body {
        let cookie = self.cookie.map_or(0, |cookie| cookie.len());
        let tail = match self.tail {
            Tail::Text(tail) => tail.len(),
            Tail::Packed(packed) => 2 * packed.len(),
        };
        let mut bytes = Vec::with_capacity(self.head.len() + cookie + tail);
        self.write_to(&mut bytes);
        Body { bytes, encoding: self.encoding }
    }
}
