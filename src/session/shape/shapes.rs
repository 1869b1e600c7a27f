//! The shapes of a table: learnt from what is written, found in a tree, forgotten when unused.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use memchr::memchr2;

use super::hole::{Hole, Values};
use super::packed::{Packed, Shape, ShapeHandle};
use crate::allocation::allocated;

/// A text shorter than this has little to gain, and one that is longer takes long to look at.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=16 * 1024;

/// The most shapes, holes in a shape, and bytes of text in one.
const MAX_SHAPES: usize = 512;
const MAX_HOLES: usize = 255;
const MAX_TEXT: usize = 4096;

/// A handle is this times how many shapes there had been, plus the slot.
const SLOTS: u64 = 1 << 16;

/// How deep objects and arrays may be nested: a builder is made by a function that calls itself.
const MAX_DEPTH: usize = 32;

/// What all shapes may take, in bytes, and which part of a store's `max_bytes`.
const MAX_BYTES: usize = 512 * 1024;
const SHARE: usize = 16;

/// A shape is learnt when it was met so many times, each time in another session than before.
const SIGHTINGS: u8 = 3;

/// So many shapes that were met, but not often enough, are remembered.
const MAX_CANDIDATES: usize = 1024;

/// Luck is what a text that has a shape adds, and one that has none takes away. Without luck only
/// one of [`TURNS`] texts is looked at, so that sessions that are all different cost next to
/// nothing.
const LUCK: u32 = 64;
const LUCK_OF_A_HIT: u32 = 4;
const TURNS: u32 = 64;

/// The number of a shape that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShapeId(pub(crate) u16);

impl ShapeId {
    fn slot(self) -> usize {
        usize::from(self.0)
    }
}

/// The shapes of a table.
pub(crate) struct Shapes {
    slots: Vec<Option<Box<Shape>>>,
    /// The segments and holes of all shapes: shapes that begin alike share their first nodes. The
    /// first node is the root, which has neither.
    nodes: Vec<Node>,
    candidates: HashMap<u64, Candidate>,
    hasher: RandomState,
    /// What the shapes and the tree take.
    bytes: usize,
    max_bytes: usize,
    /// How many shapes there have been, which numbers them.
    made: u64,
    luck: u32,
    turn: u32,
    /// Where values are packed.
    values: Values,
}

/// A segment, and the hole behind it.
#[derive(Default)]
struct Node {
    segment: Arc<[u8]>,
    /// `None` behind the last segment of a shape.
    hole: Option<Hole>,
    children: Vec<u32>,
    /// The shape that ends here.
    shape: Option<ShapeId>,
}

/// A shape that was met.
struct Candidate {
    sightings: u8,
    /// Stands for the session it was met in last.
    session: u64,
}

impl Shapes {
    /// No shapes, for a table with this limit.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            nodes: vec![Node::default()],
            candidates: HashMap::new(),
            hasher: RandomState::new(),
            bytes: 0,
            max_bytes: MAX_BYTES.min(max_bytes / SHARE),
            made: 0,
            luck: LUCK,
            turn: 0,
            values: Values::default(),
        }
    }

    /// Packs `text`, JSON that `JSON.stringify` wrote, from behind a session's cookie on. Returns
    /// its shape; what was packed is in [`Self::packed`]. `session` is a number that other sessions
    /// do not have.
    pub(crate) fn pack(&mut self, text: &[u8], is_ascii: bool, session: u64) -> Option<ShapeId> {
        if !LENGTHS.contains(&text.len()) || !self.is_worth_a_look() {
            return None;
        }
        if let Some(shape) = self.find(text, is_ascii) {
            self.luck = (self.luck + LUCK_OF_A_HIT).min(LUCK);
            return Some(shape);
        }
        self.luck = self.luck.saturating_sub(1);
        self.learn(text, session)?;
        self.find(text, is_ascii)
    }

    /// What was packed last.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.values.data
    }

    /// A session that was packed.
    pub(crate) fn view<'a>(&'a self, shape: ShapeId, bytes: &'a [u8]) -> Option<Packed<'a>> {
        let shape = self.slots.get(shape.slot())?.as_deref()?;
        Some(Packed { shape, bytes })
    }

    /// Notes that a record has the shape.
    pub(crate) fn hold(&mut self, shape: ShapeId) {
        if let Some(shape) = &mut self.slots[shape.slot()] {
            shape.uses += 1;
        }
    }

    /// Notes that a record does not have the shape any more.
    pub(crate) fn release(&mut self, shape: ShapeId) {
        if let Some(shape) = &mut self.slots[shape.slot()] {
            shape.uses -= 1;
        }
    }

    /// What the shapes take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The definition of the shape that `handle` stands for, if it still is there.
    pub(crate) fn definition(&self, handle: ShapeHandle) -> Option<Vec<u8>> {
        let slot = usize::try_from(handle % SLOTS).ok()?;
        let shape = self.slots.get(slot)?.as_deref().filter(|shape| shape.handle == handle)?;
        Some(shape.definition())
    }

    /// Takes all shapes out; those to come get other handles.
    pub(crate) fn take(&mut self) -> Self {
        let new = Self { max_bytes: self.max_bytes, made: self.made, ..Self::new(0) };
        std::mem::replace(self, new)
    }

    fn is_worth_a_look(&mut self) -> bool {
        if self.luck > 0 {
            return true;
        }
        self.turn = (self.turn + 1) % TURNS;
        self.turn == 0
    }

    /// Follows the tree as far as it has the text.
    fn find(&mut self, text: &[u8], is_ascii: bool) -> Option<ShapeId> {
        let Self { nodes, values, .. } = self;
        values.data.clear();
        values.fixed.clear();
        // More than the values and their lengths can take, so that nothing grows meanwhile.
        values.data.reserve(2 * text.len());
        let mut rest = text;
        let mut node = &nodes[0];
        loop {
            let found = node.children.iter().find_map(|child| {
                let child = &nodes[*child as usize];
                let behind = rest.strip_prefix(&*child.segment)?;
                let Some(hole) = child.hole else {
                    return behind.is_empty().then_some((child, behind));
                };
                let before = (values.data.len(), values.fixed.len());
                let Some(length) = hole.pack(behind, is_ascii, values) else {
                    values.data.truncate(before.0);
                    values.fixed.truncate(before.1);
                    return None;
                };
                Some((child, &behind[length..]))
            });
            (node, rest) = found?;
            if node.hole.is_none() {
                values.data.extend_from_slice(&values.fixed);
                return node.shape;
            }
        }
    }

    /// Makes a shape of the text, if it was met often enough and there is room.
    fn learn(&mut self, text: &[u8], session: u64) -> Option<()> {
        let (segments, holes) = split(text)?;
        let hash = self.hasher.hash_one((&segments, &holes));
        if self.candidates.len() >= MAX_CANDIDATES {
            self.candidates.clear();
        }
        let new = Candidate { sightings: 0, session: !session };
        let candidate = self.candidates.entry(hash).or_insert(new);
        if candidate.session != session {
            candidate.session = session;
            candidate.sightings = candidate.sightings.saturating_add(1);
        }
        if candidate.sightings < SIGHTINGS {
            return None;
        }
        let slot = self.free_slot(cost(&segments, &holes))?;
        self.candidates.remove(&hash);
        self.made += 1;
        let handle = self.made * SLOTS + slot as u64;
        let segments = segments.into_iter().map(Arc::from).collect();
        let shape = Box::new(Shape::new(segments, holes.into_boxed_slice(), handle));
        self.plant(slot, shape);
        Some(())
    }

    /// The slot for a shape that takes `bytes`, for which unused ones make room.
    fn free_slot(&mut self, bytes: usize) -> Option<usize> {
        for is_tidy in [false, true] {
            let vacant = self.slots.iter().position(Option::is_none);
            let slot = vacant.unwrap_or(self.slots.len());
            if slot < MAX_SHAPES && self.bytes + bytes <= self.max_bytes {
                return Some(slot);
            }
            if !is_tidy {
                self.forget_unused();
            }
        }
        None
    }

    fn forget_unused(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        self.nodes = vec![Node::default()];
        self.bytes = 0;
        for (slot, shape) in slots.into_iter().enumerate() {
            if let Some(shape) = shape.filter(|shape| shape.uses > 0) {
                self.plant(slot, shape);
            }
        }
    }

    /// Puts a shape into its slot and into the tree.
    fn plant(&mut self, slot: usize, mut shape: Box<Shape>) {
        self.bytes += cost(&shape.segments, &shape.holes);
        let mut node = 0;
        for (number, segment) in shape.segments.iter_mut().enumerate() {
            let hole = shape.holes.get(number).copied();
            let is_it = |child: &Node| child.hole == hole && *child.segment == **segment;
            let children = &self.nodes[node].children;
            let known = children.iter().find(|child| is_it(&self.nodes[**child as usize])).copied();
            node = if let Some(known) = known {
                known as usize
            } else {
                self.add_child(node, Node { segment: Arc::clone(segment), hole, ..Node::default() })
            };
            // Shapes that begin alike share the text, too.
            *segment = Arc::clone(&self.nodes[node].segment);
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are at most MAX_SHAPES")]
        let id = ShapeId(slot as u16);
        self.nodes[node].shape = Some(id);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(shape);
    }

    /// Adds a node behind those that are more specific: the first that fits is the most specific
    /// one, so the way to a shape that fits exactly is never missed.
    fn add_child(&mut self, parent: usize, child: Node) -> usize {
        let number = self.nodes.len();
        let nodes = &self.nodes;
        let place = nodes[parent]
            .children
            .iter()
            .position(|other| child.hole < nodes[*other as usize].hole)
            .unwrap_or(nodes[parent].children.len());
        #[expect(clippy::cast_possible_truncation, reason = "their memory is bounded")]
        self.nodes[parent].children.insert(place, number as u32);
        self.nodes.push(child);
        number
    }

    /// Checks the counts of uses against `held`, the shapes that the records have.
    #[cfg(test)]
    pub(crate) fn validate(&self, held: impl Iterator<Item = ShapeId>) {
        let mut uses = vec![0; self.slots.len()];
        for shape in held {
            uses[shape.slot()] += 1;
        }
        let counted = self.slots.iter().map(|slot| slot.as_ref().map_or(0, |shape| shape.uses));
        assert_eq!(counted.collect::<Vec<usize>>(), uses);
        let shapes = self.slots.iter().flatten();
        let bytes = shapes.map(|shape| cost(&shape.segments, &shape.holes)).sum::<usize>();
        assert_eq!(bytes, self.bytes);
        assert!(self.bytes <= self.max_bytes);
    }
}

/// The length of the string that begins `text`, behind its quote.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// What a shape takes at most, with nodes of its own in the tree.
fn cost<S: AsRef<[u8]>>(segments: &[S], holes: &[Hole]) -> usize {
    let counted = |segment: &S| {
        let shared = allocated(2 * size_of::<usize>() + segment.as_ref().len());
        shared + size_of::<Node>() + size_of::<Arc<[u8]>>() + 2 * size_of::<u32>()
    };
    let segments = segments.iter().map(counted).sum::<usize>();
    size_of::<Shape>() + size_of::<usize>() + segments + size_of_val(holes)
}

/// The text without its values, in pieces, and the kinds of the values. `None` if a value is of no
/// kind, or if there is too much of anything.
fn split(text: &[u8]) -> Option<(Vec<&[u8]>, Vec<Hole>)> {
    let (mut segments, mut holes) = (Vec::new(), Vec::new());
    let (mut from, mut at, mut depth) = (0, 0, 0_usize);
    let mut kept = 0;
    while let Some(c) = text.get(at) {
        let (start, hole, length) = match c {
            b'"' => {
                let length = string_length(&text[at + 1..])?;
                let end = at + 1 + length;
                if text.get(end + 1) == Some(&b':') {
                    at = end + 2;
                    continue;
                }
                let value = &text[at + 1..end];
                (at + 1, Hole::of_string(value)?, length)
            }
            b'-' | b'0'..=b'9' => {
                let (hole, length) = Hole::of_number(&text[at..])?;
                (at, hole, length)
            }
            b't' => (at, Hole::Bool, 4),
            b'f' => (at, Hole::Bool, 5),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return None;
                }
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
                continue;
            }
            _ => {
                at += 1;
                continue;
            }
        };
        segments.push(&text[from..start]);
        holes.push(hole);
        kept += start - from;
        if holes.len() > MAX_HOLES || kept > MAX_TEXT {
            return None;
        }
        from = start + length;
        // Behind the quote that ends a string, which belongs to the next segment.
        at = from + usize::from(hole.is_string());
        if at > text.len() {
            return None;
        }
    }
    segments.push(&text[from..]);
    (kept + text.len() - from <= MAX_TEXT).then_some((segments, holes))
}
