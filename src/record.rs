//! The record an engine keeps of a session, and what can be done to one.
//!
//! A record knows its body, when it expires, and when it was used last. It knows neither its
//! sid nor the map it lives in.

use std::ops::Range;

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

impl BodyRef<'_> {
    /// The bytes of memory that the body takes once it is kept.
    pub(crate) fn allocated(self) -> usize {
        allocated(self.bytes.len())
    }
}

/// What a serializer made of a session, as it is kept.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Vec<u8>,
    /// Where the cookie's value stands, once touch has looked: `cookie_length` bytes from
    /// `cookie_from` on. A value is never empty, so a length of 0 means that it is not known.
    /// Four and two bytes because every session has them; larger ones are looked for each time.
    cookie_from: u32,
    cookie_length: u16,
    encoding: Encoding,
    is_json: bool,
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Body {}

/// Allocations are handed out in steps of this many bytes, less [`ALLOCATION_HEADER`]
/// (glibc's `malloc`, and near enough everywhere), so the rest of a step costs nothing.
const ALLOCATION_STEP: usize = 16;
const ALLOCATION_HEADER: usize = 8;

/// The capacity to ask for to hold `length` bytes: all of the step that would be used anyway,
/// so that a counter that gains a digit fits in place.
const fn capacity_for(length: usize) -> usize {
    if length == 0 {
        return 0;
    }
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
            cookie_from: 0,
            cookie_length: 0,
            encoding: body.encoding,
            is_json: body.is_json,
        }
    }

    /// The body, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> BodyRef<'_> {
        BodyRef { bytes: &self.bytes, encoding: self.encoding, is_json: self.is_json }
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
        self.cookie_length = 0;
        self.encoding = body.encoding;
        self.is_json = body.is_json;
    }

    /// Where the value of the session's cookie stands, if it can be replaced in place.
    fn cookie(&mut self) -> Option<Range<usize>> {
        if self.cookie_length > 0 {
            let from = self.cookie_from as usize;
            return Some(from..from + usize::from(self.cookie_length));
        }
        if !self.is_json || !matches!(self.encoding, Encoding::Ascii | Encoding::Utf8) {
            return None;
        }
        let cookie = json::cookie_value(&self.bytes);
        // If there is none, that stays so until the next write: do not look again.
        self.is_json = cookie.is_some();
        cookie
    }

    fn splice(&mut self, place: Range<usize>, cookie: BodyRef<'_>) {
        let place_known = (u32::try_from(place.start), u16::try_from(cookie.bytes.len()));
        if place.len() == cookie.bytes.len() {
            self.bytes[place].copy_from_slice(cookie.bytes);
        } else {
            let grown = self.bytes.len() - place.len() + cookie.bytes.len();
            if grown > self.bytes.capacity() {
                self.bytes.reserve_exact(capacity_for(grown) - self.bytes.len());
            }
            self.bytes.splice(place, cookie.bytes.iter().copied());
        }
        if cookie.encoding != Encoding::Ascii {
            self.encoding = Encoding::Utf8;
        }
        (self.cookie_from, self.cookie_length) = match place_known {
            (Ok(from), Ok(length)) => (from, length),
            _ => (0, 0),
        };
    }
}

/// What an allocation of `size` bytes takes.
pub(crate) const fn allocated(size: usize) -> usize {
    if size == 0 { 0 } else { capacity_for(size) + ALLOCATION_HEADER }
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
}

impl Record {
    pub(crate) fn new(body: BodyRef<'_>, expires: Millis, last_use: u64) -> Self {
        Self { body: Body::new(body), expires, due: NEVER, last_use }
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

    /// The bytes of memory that the record takes beside the [`Record`] itself.
    pub(crate) fn allocated(&self) -> usize {
        allocated(self.body.bytes.capacity())
    }

    pub(crate) fn overwrite(&mut self, body: BodyRef<'_>, expires: Millis) {
        self.body.assign(body);
        self.expires = expires;
    }

    /// As [`Self::overwrite`], and gives the old body back.
    pub(crate) fn replace(&mut self, body: BodyRef<'_>, expires: Millis) -> Body {
        let old = std::mem::replace(&mut self.body, Body::new(body));
        self.expires = expires;
        old
    }

    /// Replaces the value of the session's `cookie` by `cookie`, JSON text in UTF-8, and
    /// renews the expiry.
    ///
    /// Returns false, having changed nothing, where that might not give the bytes that
    /// `JSON.stringify` would, or where the body would take more than `room` bytes.
    pub(crate) fn splice_cookie(
        &mut self,
        cookie: BodyRef<'_>,
        expires: Millis,
        room: usize,
    ) -> bool {
        let Some(place) = self.body.cookie() else {
            return false;
        };
        if allocated(self.body.bytes.len() - place.len() + cookie.bytes.len()) > room {
            return false;
        }
        self.body.splice(place, cookie);
        self.expires = expires;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> BodyRef<'_> {
        let encoding = if text.is_ascii() { Encoding::Ascii } else { Encoding::Utf8 };
        BodyRef { bytes: text.as_bytes(), encoding, is_json: true }
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
            assert!(record.splice_cookie(json(cookie), 9, usize::MAX));
            assert_eq!(text(&record), format!(r#"{{"a":1,"cookie":{cookie},"b":"é"}}"#));
            assert_eq!(record.expires(), 9);
        }
    }

    #[test]
    fn a_cookie_beyond_ascii_makes_the_body_utf8() {
        let mut record = Record::new(json(r#"{"cookie":{}}"#), 5, 0);
        assert!(record.splice_cookie(json(r#"{"path":"/é"}"#), 5, usize::MAX));
        assert_eq!(record.body().encoding, Encoding::Utf8);
    }

    #[test]
    fn what_json_stringify_did_not_write_is_left_alone() {
        let own = BodyRef { is_json: false, ..json(r#"{"cookie":{}}"#) };
        let mut record = Record::new(own, 5, 0);
        assert!(!record.splice_cookie(json("1"), 9, usize::MAX));
        assert_eq!(text(&record), r#"{"cookie":{}}"#);
        assert_eq!(record.expires(), 5);
    }

    #[test]
    fn a_new_body_forgets_where_the_old_cookie_was() {
        let mut record = Record::new(json(r#"{"cookie":1,"a":2}"#), 5, 0);
        assert!(record.splice_cookie(json("3"), 5, usize::MAX));
        record.overwrite(json(r#"{"a":2,"cookie":1}"#), 5);
        assert!(record.splice_cookie(json("3"), 5, usize::MAX));
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

    fn session(before: usize, cookie: &str, after: usize) -> String {
        let (before, after) = ("b".repeat(before), "é".repeat(after));
        format!(r#"{{"b":"{before}","cookie":{cookie},"a":"{after}"}}"#)
    }

    fn long(length: usize) -> String {
        format!(r#""{}""#, "c".repeat(length - 2))
    }

    #[test]
    fn cookies_are_replaced_again_and_again_however_long_and_wherever_they_stand() {
        const KNOWN: usize = u16::MAX as usize;
        let lengths = [KNOWN - 1, KNOWN, KNOWN + 1, KNOWN + 2, 3, 100_000, 2 * KNOWN, 2, KNOWN + 4];
        for (before, after) in [(0, 0), (1, 70_000), (70_000, 1), (300_000, 3)] {
            let mut record = Record::new(json(&session(before, "0", after)), 5, 0);
            for length in lengths {
                let cookie = long(length);
                for _ in 0..2 {
                    assert!(record.splice_cookie(json(&cookie), 9, usize::MAX), "{length}");
                    assert!(text(&record) == session(before, &cookie, after), "{length}");
                }
            }
        }
    }

    #[test]
    fn a_cookie_may_stand_beyond_what_two_bytes_count() {
        // Where its place is known from the splice before, and where it is looked for.
        let mut record = Record::new(json(&session(200_000, "1", 0)), 5, 0);
        for cookie in ["22", "333", "4"] {
            assert!(record.splice_cookie(json(cookie), 9, usize::MAX));
            assert!(text(&record) == session(200_000, cookie, 0), "{cookie}");
        }
        assert_eq!(record.body.cookie_length, 1, "it is remembered");
    }

    #[test]
    fn a_splice_may_take_all_the_room_there_is_and_not_a_byte_more() {
        for length in 1..200 {
            let cookie = "1".repeat(length);
            let grown = format!(r#"{{"cookie":{cookie}}}"#);
            let needed = json(&grown).allocated();
            let mut record = Record::new(json(r#"{"cookie":0}"#), 5, 0);
            let before = record.allocated();
            for room in [0, needed - ALLOCATION_STEP, needed - 1] {
                assert!(!record.splice_cookie(json(&cookie), 9, room), "{length}");
                assert_eq!(text(&record), r#"{"cookie":0}"#);
                assert_eq!((record.expires(), record.allocated()), (5, before));
            }
            assert!(record.splice_cookie(json(&cookie), 9, needed), "{length}");
            assert_eq!(text(&record), grown);
            assert_eq!((record.expires(), record.allocated()), (9, needed));
        }
    }

    #[test]
    fn a_body_in_its_first_allocation_takes_what_was_foretold() {
        for length in 0..300 {
            let body = "a".repeat(length);
            let record = Record::new(json(&body), 5, 0);
            assert_eq!(record.allocated(), json(&body).allocated(), "{length}");
            assert!(record.allocated() >= length);
            assert!(record.allocated() < length + ALLOCATION_HEADER + ALLOCATION_STEP);
            assert!(length == 0 || record.allocated() >= length + ALLOCATION_HEADER);
        }
    }

    #[test]
    fn a_body_that_overwrites_takes_no_more_than_it_or_the_old_one_would_alone() {
        for from in (0..600).step_by(7) {
            for to in (0..600).step_by(11) {
                let [old, new] = [from, to].map(|length| "a".repeat(length));
                let mut record = Record::new(json(&old), 5, 0);
                record.overwrite(json(&new), 5);
                let alone = [&old, &new].map(|body| json(body).allocated());
                assert!(alone.contains(&record.allocated()), "{from} {to}");
                assert_eq!(text(&record), new);
            }
        }
    }
}
