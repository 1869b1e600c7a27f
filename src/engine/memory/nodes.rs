//! The nodes of a table: what it keeps of each session.
//!
//! A node is a header, which links it with its neighbours in the order of use, the table's note, and
//! the sid. The body lies elsewhere. Most touches need only the nodes, which so are close together in
//! memory.

use data_encoding::BASE64URL_NOPAD;
use zerocopy::native_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::blocks::{BlockId, Blocks, size_of_block};
use crate::session::record::{Head, Record, RecordMut};
use crate::sid::{Sid, SidHash};

/// Names a node.
pub(super) type NodeId = BlockId;

/// Memory of nodes or bodies.
pub(super) type Chunk = Box<[u8]>;

/// How a node begins.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    hash: U64,
    head: Head,
    body: U32,
    /// The node that was used next after this one.
    newer: U32,
    /// The node that was used last before this one.
    older: U32,
    /// How many bytes of the sid there are.
    sid: U32,
    flags: u8,
}

/// The sid is packed.
const PACKED: u8 = 1;

/// The node is in the list of those that are evicted first.
const FIRST: u8 = 2;

/// The length of a packed sid.
const PACKED_SID: usize = 24;

/// A sid as a node keeps it: if it is 32 characters of the alphabet of base64url, as express-session
/// and `@fastify/session` make them, the 24 bytes that these stand for.
pub(super) struct Key<'s> {
    hash: SidHash,
    whole: &'s [u8],
    packed: Option<[u8; PACKED_SID]>,
}

impl<'s> Key<'s> {
    pub(super) fn of(sid: &'s Sid) -> Self {
        let whole = sid.as_bytes();
        let mut packed = [0; PACKED_SID];
        // 32 characters have no unused bits, so there is one text for each 24 bytes.
        let is_packed = whole.len() == PACKED_SID / 3 * 4
            && BASE64URL_NOPAD.decode_mut(whole, &mut packed).is_ok();
        Self { hash: sid.hash(), whole, packed: is_packed.then_some(packed) }
    }

    pub(super) fn hash(&self) -> SidHash {
        self.hash
    }

    fn bytes(&self) -> &[u8] {
        self.packed.as_ref().map_or(self.whole, |packed| packed)
    }
}

/// See the module's description.
pub(super) struct Nodes {
    blocks: Blocks,
    bodies: Blocks,
    /// How many bytes the note of a node has.
    note: usize,
    /// Memory that is free, to be dropped outside of the lock.
    pub(super) garbage: Vec<Chunk>,
}

impl Nodes {
    /// For nodes with notes of `note` bytes.
    pub(super) fn new(note: usize) -> Self {
        Self { blocks: Blocks::default(), bodies: Blocks::default(), note, garbage: Vec::new() }
    }

    /// Makes a node whose last use is number `last_use`, with room for a body of `room` bytes. The
    /// record is still to be written.
    pub(super) fn add(&mut self, key: &Key<'_>, room: usize, last_use: u64) -> NodeId {
        let (bytes, note) = (key.bytes(), self.note);
        let body = self.bodies.add(room);
        let id = self.blocks.add(self.length(key));
        let (header, rest) = split_mut(self.blocks.get_mut(id));
        *header = Header {
            hash: U64::new(key.hash.number()),
            head: Head::new(last_use),
            body: U32::new(body.number()),
            newer: U32::new(NodeId::NONE.number()),
            older: U32::new(NodeId::NONE.number()),
            sid: U32::new(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            flags: if key.packed.is_some() { PACKED } else { 0 },
        };
        rest[note..note + bytes.len()].copy_from_slice(bytes);
        id
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        let body = self.body_of(id);
        self.garbage.extend(self.bodies.remove(body));
        self.garbage.extend(self.blocks.remove(id));
    }

    /// The bytes of memory that a node with room for a body of `room` bytes takes.
    pub(super) fn size_for(&self, key: &Key<'_>, room: usize) -> usize {
        size_of_block(self.length(key)) + size_of_block(room)
    }

    /// The bytes of memory that a node takes.
    pub(super) fn size(&self, id: NodeId) -> usize {
        self.blocks.get(id).len() + self.room(id)
    }

    /// How much room for a body it has.
    pub(super) fn room(&self, id: NodeId) -> usize {
        self.bodies.get(self.body_of(id)).len()
    }

    /// Gives a node room for a body of `room` bytes, of which `kept` bytes stay.
    pub(super) fn set_room(&mut self, id: NodeId, room: usize, kept: usize) {
        let (body, freed) = self.bodies.resize(self.body_of(id), room, kept);
        self.header_mut(id).body.set(body.number());
        self.garbage.extend(freed);
    }

    pub(super) fn head(&self, id: NodeId) -> &Head {
        &self.header(id).head
    }

    pub(super) fn head_mut(&mut self, id: NodeId) -> &mut Head {
        &mut self.header_mut(id).head
    }

    pub(super) fn record(&self, id: NodeId) -> Record<'_> {
        let header = self.header(id);
        Record { head: &header.head, room: self.bodies.get(BlockId::of(header.body.get())) }
    }

    pub(super) fn record_mut(&mut self, id: NodeId) -> RecordMut<'_> {
        let (header, _) = split_mut(self.blocks.get_mut(id));
        let room = self.bodies.get_mut(BlockId::of(header.body.get()));
        RecordMut { head: &mut header.head, room }
    }

    /// What the table notes with the record.
    pub(super) fn note(&self, id: NodeId) -> &[u8] {
        &split(self.blocks.get(id)).1[..self.note]
    }

    pub(super) fn note_mut(&mut self, id: NodeId) -> &mut [u8] {
        &mut split_mut(self.blocks.get_mut(id)).1[..self.note]
    }

    pub(super) fn hash(&self, id: NodeId) -> SidHash {
        SidHash::of(self.header(id).hash.get())
    }

    pub(super) fn sid(&self, id: NodeId) -> Sid {
        let (header, rest) = split(self.blocks.get(id));
        let bytes = &rest[self.note..][..header.sid.get() as usize];
        let hash = header.hash.get();
        if header.flags & PACKED == 0 {
            return Sid::with_hash(bytes, hash);
        }
        let mut text = [0; PACKED_SID / 3 * 4];
        BASE64URL_NOPAD.encode_mut(bytes, &mut text);
        Sid::with_hash(&text, hash)
    }

    pub(super) fn is(&self, id: NodeId, key: &Key<'_>) -> bool {
        let (header, rest) = split(self.blocks.get(id));
        if header.hash.get() != key.hash.number() {
            return false;
        }
        let bytes = &rest[self.note..];
        match (&key.packed, header.flags & PACKED != 0) {
            (Some(packed), true) => bytes.first_chunk() == Some(packed),
            (None, false) => bytes[..header.sid.get() as usize] == *key.whole,
            _ => false,
        }
    }

    pub(super) fn newer(&self, id: NodeId) -> NodeId {
        NodeId::of(self.header(id).newer.get())
    }

    pub(super) fn older(&self, id: NodeId) -> NodeId {
        NodeId::of(self.header(id).older.get())
    }

    pub(super) fn set_newer(&mut self, id: NodeId, newer: NodeId) {
        self.header_mut(id).newer.set(newer.number());
    }

    pub(super) fn set_older(&mut self, id: NodeId, older: NodeId) {
        self.header_mut(id).older.set(older.number());
    }

    pub(super) fn is_first(&self, id: NodeId) -> bool {
        self.header(id).flags & FIRST != 0
    }

    pub(super) fn set_first(&mut self, id: NodeId, is_first: bool) {
        let flags = &mut self.header_mut(id).flags;
        *flags = *flags & !FIRST | if is_first { FIRST } else { 0 };
    }

    /// Takes up to `limit` chunks of memory out, when no node is needed any more.
    pub(super) fn take_chunks(&mut self, limit: usize) -> Vec<Chunk> {
        let next = || self.blocks.take_chunk().or_else(|| self.bodies.take_chunk());
        std::iter::from_fn(next).take(limit).collect()
    }

    fn length(&self, key: &Key<'_>) -> usize {
        size_of::<Header>() + self.note + key.bytes().len()
    }

    fn body_of(&self, id: NodeId) -> BlockId {
        BlockId::of(self.header(id).body.get())
    }

    fn header(&self, id: NodeId) -> &Header {
        split(self.blocks.get(id)).0
    }

    fn header_mut(&mut self, id: NodeId) -> &mut Header {
        split_mut(self.blocks.get_mut(id)).0
    }

    #[cfg(test)]
    pub(super) fn validate(&self, count: usize) {
        self.blocks.validate(count);
        self.bodies.validate(count);
    }
}

fn split(block: &[u8]) -> (&Header, &[u8]) {
    Header::ref_from_prefix(block).unwrap_or_else(|_| unreachable!("a node has a header"))
}

fn split_mut(block: &mut [u8]) -> (&mut Header, &mut [u8]) {
    Header::mut_from_prefix(block).unwrap_or_else(|_| unreachable!("a node has a header"))
}

#[cfg(test)]
mod tests;
