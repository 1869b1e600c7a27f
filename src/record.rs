//! The record an engine keeps of a session, and what can be done to one.
//!
//! A record knows its body, when it expires, and when it was used last. It knows neither its
//! sid nor the map it lives in.

use crate::json;
use crate::time::{Millis, NEVER};

/// How a body's bytes stand for the value that the serializer returned, so that what is
/// handed out is what came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A string of ASCII characters: the fastest to hand back.
    Ascii,
    /// A string, in UTF-8.
    Utf8,
    /// A string with lone surrogates, as UTF-16 code units in the machine's byte order.
    Utf16,
    /// The bytes of a Node.js `Buffer`.
    Buffer,
    /// The bytes of a `Uint8Array`.
    Uint8Array,
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

/// What a serializer made of a session, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    encoding: Encoding,
    is_json: bool,
}

/// Allocations are handed out in steps of this many bytes, less [`ALLOCATION_HEADER`]
/// (glibc's `malloc`, and near enough everywhere), so the rest of a step costs nothing.
const ALLOCATION_STEP: usize = 16;
const ALLOCATION_HEADER: usize = 8;

/// The capacity to ask for to hold `length` bytes: all of the step that would be used anyway,
/// so that a counter that gains a digit fits in place.
fn capacity_for(length: usize) -> usize {
    match (length + ALLOCATION_HEADER).checked_next_multiple_of(ALLOCATION_STEP) {
        Some(step) => step - ALLOCATION_HEADER,
        None => length,
    }
}

impl Body {
    fn new(body: BodyRef<'_>) -> Self {
        let mut bytes = Vec::with_capacity(capacity_for(body.bytes.len()));
        bytes.extend_from_slice(body.bytes);
        Self {
            bytes,
            encoding: body.encoding,
            is_json: body.is_json,
        }
    }

    /// The body, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> BodyRef<'_> {
        BodyRef {
            bytes: &self.bytes,
            encoding: self.encoding,
            is_json: self.is_json,
        }
    }

    /// Takes `body` in place of the old one, in the same allocation where it fits and does
    /// not waste more than it uses.
    fn assign(&mut self, body: BodyRef<'_>) {
        let wanted = capacity_for(body.bytes.len());
        let held = self.bytes.capacity();
        if held < body.bytes.len() || held / 2 > wanted {
            *self = Self::new(body);
            return;
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(body.bytes);
        self.encoding = body.encoding;
        self.is_json = body.is_json;
    }
}

/// A session as an engine keeps it.
#[derive(Clone, Debug)]
pub struct Record {
    body: Body,
    expires: Millis,
    /// When its ticket in the expiry index comes up: never later than `expires`, and `NEVER`
    /// where there is no ticket.
    pub(crate) due: Millis,
    /// The number of its last use; larger is more recent.
    pub(crate) last_use: u64,
    /// Where the cookie's value stands in the body, once touch has looked.
    cookie: Option<Span>,
}

/// A range in a body; bodies are shorter than 4 GiB, as V8's strings and buffers are.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u32,
    to: u32,
}

impl Record {
    pub(crate) fn new(body: BodyRef<'_>, expires: Millis, last_use: u64) -> Self {
        Self {
            body: Body::new(body),
            expires,
            due: NEVER,
            last_use,
            cookie: None,
        }
    }

    /// What the serializer returned.
    #[must_use]
    pub fn body(&self) -> BodyRef<'_> {
        self.body.as_ref()
    }

    /// The body alone, taken out of the record.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The last moment at which the record is alive.
    #[must_use]
    pub fn expires(&self) -> Millis {
        self.expires
    }

    /// Whether the record's time is over at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        now > self.expires
    }

    pub(crate) fn overwrite(&mut self, body: BodyRef<'_>, expires: Millis) {
        self.body.assign(body);
        self.expires = expires;
        self.cookie = None;
    }

    /// As [`Self::overwrite`], and gives the old body back.
    pub(crate) fn replace(&mut self, body: BodyRef<'_>, expires: Millis) -> Body {
        let old = std::mem::replace(&mut self.body, Body::new(body));
        self.expires = expires;
        self.cookie = None;
        old
    }

    /// Replaces the value of the session's `cookie` by `cookie`, JSON text in UTF-8, and
    /// renews the expiry.
    ///
    /// Returns false, having changed nothing, where that might not give the bytes that
    /// `JSON.stringify` would.
    pub(crate) fn splice_cookie(&mut self, cookie: BodyRef<'_>, expires: Millis) -> bool {
        let Some(Span { from, to }) = self.cookie_span() else {
            return false;
        };
        let Ok(length) = u32::try_from(cookie.bytes.len()) else {
            return false;
        };
        let place = from as usize..to as usize;
        let bytes = &mut self.body.bytes;
        if place.len() == cookie.bytes.len() {
            bytes[place].copy_from_slice(cookie.bytes);
        } else {
            let grown = bytes.len() - place.len() + cookie.bytes.len();
            if grown > bytes.capacity() {
                bytes.reserve_exact(capacity_for(grown) - bytes.len());
            }
            bytes.splice(place, cookie.bytes.iter().copied());
        }
        if cookie.encoding != Encoding::Ascii {
            self.body.encoding = Encoding::Utf8;
        }
        self.cookie = Some(Span {
            from,
            to: from + length,
        });
        self.expires = expires;
        true
    }

    fn cookie_span(&mut self) -> Option<Span> {
        if self.cookie.is_some() {
            return self.cookie;
        }
        if !self.body.is_json || !matches!(self.body.encoding, Encoding::Ascii | Encoding::Utf8) {
            return None;
        }
        let Some(range) = json::cookie_value(&self.body.bytes) else {
            // The answer stays the same until the next write: do not look again.
            self.body.is_json = false;
            return None;
        };
        self.cookie = Some(Span {
            from: u32::try_from(range.start).ok()?,
            to: u32::try_from(range.end).ok()?,
        });
        self.cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> BodyRef<'_> {
        let encoding = if text.is_ascii() {
            Encoding::Ascii
        } else {
            Encoding::Utf8
        };
        BodyRef {
            bytes: text.as_bytes(),
            encoding,
            is_json: true,
        }
    }

    fn text(record: &Record) -> &str {
        str::from_utf8(record.body().bytes).unwrap()
    }

    #[test]
    fn a_cookie_of_any_length_takes_the_place_of_the_old_one() {
        let mut record = Record::new(json(r#"{"a":1,"cookie":{"x":1},"b":"é"}"#), 5, 0);
        for cookie in [
            "{}",
            r#"{"x":2}"#,
            r#"{"x":3,"long":"0123456789012345678901234567890123456789"}"#,
            "null",
        ] {
            assert!(record.splice_cookie(json(cookie), 9));
            assert_eq!(
                text(&record),
                format!(r#"{{"a":1,"cookie":{cookie},"b":"é"}}"#)
            );
            assert_eq!(record.expires(), 9);
        }
    }

    #[test]
    fn a_cookie_beyond_ascii_makes_the_body_utf8() {
        let mut record = Record::new(json(r#"{"cookie":{}}"#), 5, 0);
        assert!(record.splice_cookie(json(r#"{"path":"/é"}"#), 5));
        assert_eq!(record.body().encoding, Encoding::Utf8);
    }

    #[test]
    fn what_json_stringify_did_not_write_is_left_alone() {
        let own = BodyRef {
            is_json: false,
            ..json(r#"{"cookie":{}}"#)
        };
        let mut record = Record::new(own, 5, 0);
        assert!(!record.splice_cookie(json("1"), 9));
        assert_eq!(text(&record), r#"{"cookie":{}}"#);
        assert_eq!(record.expires(), 5);
    }

    #[test]
    fn a_new_body_forgets_where_the_old_cookie_was() {
        let mut record = Record::new(json(r#"{"cookie":1,"a":2}"#), 5, 0);
        assert!(record.splice_cookie(json("3"), 5));
        record.overwrite(json(r#"{"a":2,"cookie":1}"#), 5);
        assert!(record.splice_cookie(json("3"), 5));
        assert_eq!(text(&record), r#"{"a":2,"cookie":3}"#);
    }

    #[test]
    fn a_body_that_fits_stays_where_it_is() {
        let mut body = Body::new(json(&"a".repeat(100)));
        let place = body.bytes.as_ptr();
        for length in [99, 103, 60] {
            body.assign(json(&"b".repeat(length)));
            assert_eq!(body.bytes.as_ptr(), place, "{length}");
            assert_eq!(body.bytes.len(), length);
        }
    }

    #[test]
    fn a_body_that_shrinks_a_lot_gives_its_memory_back() {
        let mut body = Body::new(json(&"a".repeat(40_000)));
        body.assign(json("b"));
        assert!(body.bytes.capacity() < 100);
    }
}
