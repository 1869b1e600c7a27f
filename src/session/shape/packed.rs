//! A shape, and the sessions that have it: as text, and as a builder takes them.

use std::cell::Cell;
use std::sync::Arc;

use super::hole::{Hole, Rest};

/// The number by which a caller knows a shape, which may be gone by the time it is used.
pub type ShapeHandle = u64;

/// A shape is handed to builders once it was read so many times: to make one takes as long as some
/// hundred reads, and it is slow until V8 has optimised it.
const READS_BEFORE_BUILDING: u32 = 100;

/// A text with holes.
pub(crate) struct Shape {
    /// What is before, between and behind the holes: one more than there are holes.
    pub(super) segments: Box<[Arc<[u8]>]>,
    pub(super) holes: Box<[Hole]>,
    /// How many bytes of a packed session have a fixed length.
    fixed: usize,
    /// Whether a builder gets some value in another form than the packed one.
    is_expanded: bool,
    /// How many records have it.
    pub(super) uses: usize,
    /// How often a session with it was read, up to [`READS_BEFORE_BUILDING`].
    reads: Cell<u32>,
    pub(super) handle: ShapeHandle,
}

impl Shape {
    pub(super) fn new(segments: Box<[Arc<[u8]>]>, holes: Box<[Hole]>, handle: ShapeHandle) -> Self {
        let fixed = holes.iter().map(|hole| hole.fixed()).sum();
        let is_expanded = holes.iter().any(|hole| hole.is_expanded());
        Self { segments, holes, fixed, is_expanded, uses: 0, reads: Cell::new(0), handle }
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], Hole)> {
        self.segments.iter().map(AsRef::as_ref).zip(self.holes.iter().copied())
    }

    fn last_segment(&self) -> &[u8] {
        self.segments.last().map_or(&[], AsRef::as_ref)
    }

    /// The definition from which a builder is made: JSON text of the codes of the holes, and of the
    /// session's members with the number of a hole as each value.
    pub(super) fn definition(&self) -> Vec<u8> {
        let codes: Vec<String> = self.holes.iter().map(|hole| hole.code().to_string()).collect();
        let mut text = format!(r#"{{"holes":[{}],"session":{{"cookie":null"#, codes.join(","));
        let mut bytes = std::mem::take(&mut text).into_bytes();
        let mut is_string = false;
        for (number, (segment, hole)) in self.pairs().enumerate() {
            write_unquoted(segment, is_string, hole.is_string(), &mut bytes);
            bytes.extend_from_slice(number.to_string().as_bytes());
            is_string = hole.is_string();
        }
        write_unquoted(self.last_segment(), is_string, false, &mut bytes);
        bytes.push(b'}');
        bytes
    }
}

/// Appends a segment without the quotes of the strings that are around it.
fn write_unquoted(
    segment: &[u8],
    is_behind_string: bool,
    is_before_string: bool,
    to: &mut Vec<u8>,
) {
    let segment = &segment[usize::from(is_behind_string)..];
    to.extend_from_slice(&segment[..segment.len() - usize::from(is_before_string)]);
}

/// What a record has of a session with a shape.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(super) shape: &'a Shape,
    pub(super) bytes: &'a [u8],
}

impl Packed<'_> {
    /// Appends the text that was packed.
    pub(crate) fn write_text(&self, is_ascii: bool, text: &mut Vec<u8>) {
        let mut rest = Rest::of(self.bytes, self.shape.fixed);
        for (segment, hole) in self.shape.pairs() {
            text.extend_from_slice(segment);
            hole.write_text(&mut rest, is_ascii, text);
        }
        text.extend_from_slice(self.shape.last_segment());
    }

    /// Appends the values as a builder takes them, in Latin-1: those of the strings, then what has
    /// a fixed length.
    pub(crate) fn write_values(&self, text: &mut Vec<u8>) {
        if !self.shape.is_expanded {
            text.extend_from_slice(self.bytes);
            return;
        }
        let mut rest = Rest::of(self.bytes, self.shape.fixed);
        for hole in &self.shape.holes {
            hole.write_data(&mut rest, text);
        }
        text.extend_from_slice(&self.bytes[self.bytes.len() - self.shape.fixed..]);
    }

    /// The handle of the shape, if it is read often. Counts the read.
    pub(crate) fn handle_to_build(&self) -> Option<ShapeHandle> {
        let reads = &self.shape.reads;
        if reads.get() < READS_BEFORE_BUILDING {
            reads.set(reads.get() + 1);
            return None;
        }
        Some(self.shape.handle)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}
