//! Memory for many small things: blocks of some sizes, each named by four bytes.
//!
//! Blocks of one size lie side by side in chunks. The general allocator takes more: it rounds up to
//! fewer sizes, and a pointer has eight bytes. What is in a block is not known here.

use std::ops::Range;

use crate::allocation::allocated;

/// Names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockId(u32);

/// How many of the bits name the block of a chunk; the others name the chunk.
const BLOCK_BITS: u32 = 6;

/// The most blocks of a chunk. When most sessions are gone, the chunks of the others stay, so there
/// are few: jemalloc has 32 blocks of 128 bytes together.
const MOST_BLOCKS: usize = 1 << BLOCK_BITS;

/// What a chunk has unless its blocks are large or tiny.
const PAGE: usize = 4096;

/// A larger block has a chunk of its own.
const SHARED: usize = PAGE / 2;

/// The sizes of small blocks are multiples of this.
const STEP: usize = 8;

/// How many steps there are from one power of two to the next, for blocks that are not small.
const STEPS: usize = 16;

/// The largest small block.
const SMALL: usize = 2 * STEP * STEPS;

/// The chunks that can be named: enough for 137 GB of large blocks.
const MOST_CHUNKS: usize = (1 << (u32::BITS - BLOCK_BITS)) - 1;

impl BlockId {
    /// No block.
    pub(super) const NONE: Self = Self(u32::MAX);

    #[expect(clippy::cast_possible_truncation, reason = "there are not more than `MOST_CHUNKS`")]
    fn new(chunk: usize, block: u32) -> Self {
        Self((chunk as u32) << BLOCK_BITS | block)
    }

    /// The block that has a number.
    pub(super) fn of(number: u32) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }

    fn chunk(self) -> usize {
        (self.0 >> BLOCK_BITS) as usize
    }

    fn block(self) -> usize {
        self.0 as usize % MOST_BLOCKS
    }
}

/// The bytes of a block that has room for `length` bytes.
pub(super) const fn size_of_block(length: usize) -> usize {
    if length > SHARED {
        return allocated(length);
    }
    if length == 0 {
        return STEP;
    }
    let step = if length <= SMALL { STEP } else { (1 << (length - 1).ilog2()) / STEPS };
    length.next_multiple_of(step)
}

/// The number of a size of blocks that share chunks, in their order.
fn class_of(size: usize) -> usize {
    if size <= SMALL {
        return size / STEP - 1;
    }
    let power = (size - 1).ilog2();
    let step = (size - 1) / ((1 << power) / STEPS) - STEPS;
    SMALL / STEP + (power - SMALL.ilog2()) as usize * STEPS + step
}

/// How many blocks of a size a chunk has: as many as fit into a page, or into the size of an
/// allocation in which hardly anything is left over.
fn blocks_of(size: usize) -> usize {
    if size > SHARED {
        return 1;
    }
    (allocated(PAGE.max(MOST_BLOCKS / 2 * size)) / size).min(MOST_BLOCKS)
}

/// Blocks of one size.
struct Chunk {
    bytes: Box<[u8]>,
    /// How many bytes a block has.
    size: usize,
    /// The blocks that are free, a bit for each.
    free: u64,
    /// Where it stands among the open chunks of its size.
    place: u32,
}

impl Chunk {
    fn new(size: usize) -> Self {
        let blocks = blocks_of(size);
        let free = u64::MAX >> (MOST_BLOCKS - blocks);
        Self { bytes: vec![0; blocks * size].into_boxed_slice(), size, free, place: 0 }
    }

    fn is_full(&self) -> bool {
        self.free == 0
    }

    fn is_empty(&self) -> bool {
        self.free.count_ones() as usize * self.size == self.bytes.len()
    }

    fn range(&self, block: usize) -> Range<usize> {
        block * self.size..(block + 1) * self.size
    }

    /// Takes a free block, of which there has to be one.
    fn take(&mut self) -> u32 {
        let block = self.free.trailing_zeros();
        self.free &= self.free - 1;
        block
    }
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Blocks {
    chunks: Vec<Chunk>,
    /// The chunks that have free blocks, by [`class_of`] their size.
    open: Vec<Vec<u32>>,
    /// The numbers of chunks that were freed.
    vacant: Vec<u32>,
}

impl Blocks {
    /// Makes a block with room for `length` bytes, in which there can be anything.
    pub(super) fn add(&mut self, length: usize) -> BlockId {
        let size = size_of_block(length);
        let open = if size > SHARED { None } else { self.open(size).last().copied() };
        let number = open.map_or_else(|| self.add_chunk(size), |number| number as usize);
        let chunk = &mut self.chunks[number];
        let block = chunk.take();
        if chunk.is_full() && size <= SHARED {
            self.open(size).pop();
        }
        BlockId::new(number, block)
    }

    /// Frees a block. Returns the memory of its chunk if nothing is left in it.
    pub(super) fn remove(&mut self, id: BlockId) -> Option<Box<[u8]>> {
        let number = id.chunk();
        let chunk = &mut self.chunks[number];
        let was_full = chunk.is_full();
        chunk.free |= 1 << id.block();
        let is_shared = chunk.size <= SHARED;
        if !chunk.is_empty() {
            if was_full {
                self.open_chunk(number);
            }
            return None;
        }
        if is_shared && !was_full {
            self.close_chunk(number);
        }
        Some(self.free_chunk(number))
    }

    pub(super) fn get(&self, id: BlockId) -> &[u8] {
        let chunk = &self.chunks[id.chunk()];
        &chunk.bytes[chunk.range(id.block())]
    }

    pub(super) fn get_mut(&mut self, id: BlockId) -> &mut [u8] {
        let chunk = &mut self.chunks[id.chunk()];
        let range = chunk.range(id.block());
        &mut chunk.bytes[range]
    }

    /// Gives a block that holds `kept` bytes another size. Returns memory that is free then.
    pub(super) fn resize(
        &mut self,
        id: BlockId,
        length: usize,
        kept: usize,
    ) -> (BlockId, Option<Box<[u8]>>) {
        let new = self.add(length);
        self.copy(id, new, kept);
        (new, self.remove(id))
    }

    fn copy(&mut self, from: BlockId, to: BlockId, length: usize) {
        if from.chunk() == to.chunk() {
            let chunk = &mut self.chunks[from.chunk()];
            let (from, to) = (chunk.range(from.block()).start, chunk.range(to.block()).start);
            chunk.bytes.copy_within(from..from + length, to);
            return;
        }
        let chunks = self.chunks.get_disjoint_mut([from.chunk(), to.chunk()]);
        let [one, other] = chunks.unwrap_or_else(|_| unreachable!("they are two chunks"));
        let (from, to) = (one.range(from.block()).start, other.range(to.block()).start);
        other.bytes[to..to + length].copy_from_slice(&one.bytes[from..from + length]);
    }

    /// Takes the memory of a chunk out, when no block is needed any more.
    pub(super) fn take_chunk(&mut self) -> Option<Box<[u8]>> {
        self.chunks.pop().map(|chunk| chunk.bytes)
    }

    fn add_chunk(&mut self, size: usize) -> usize {
        let chunk = Chunk::new(size);
        let number = if let Some(number) = self.vacant.pop() {
            self.chunks[number as usize] = chunk;
            number as usize
        } else {
            assert!(self.chunks.len() < MOST_CHUNKS, "more blocks than can be named");
            self.chunks.push(chunk);
            self.chunks.len() - 1
        };
        if size <= SHARED {
            self.open_chunk(number);
        }
        number
    }

    fn free_chunk(&mut self, number: usize) -> Box<[u8]> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are not more than `MOST_CHUNKS`"
        )]
        self.vacant.push(number as u32);
        std::mem::take(&mut self.chunks[number].bytes)
    }

    /// The chunks of a size that have free blocks.
    fn open(&mut self, size: usize) -> &mut Vec<u32> {
        let class = class_of(size);
        if self.open.len() <= class {
            self.open.resize_with(class + 1, Vec::new);
        }
        &mut self.open[class]
    }

    /// Puts a chunk among those that have free blocks.
    #[expect(clippy::cast_possible_truncation, reason = "there are not more than `MOST_CHUNKS`")]
    fn open_chunk(&mut self, number: usize) {
        let open = self.open(self.chunks[number].size);
        let place = open.len() as u32;
        open.push(number as u32);
        self.chunks[number].place = place;
    }

    /// Takes it from there.
    fn close_chunk(&mut self, number: usize) {
        let Chunk { size, place, .. } = self.chunks[number];
        let open = self.open(size);
        open.swap_remove(place as usize);
        if let Some(moved) = open.get(place as usize).copied() {
            self.chunks[moved as usize].place = place;
        }
    }

    /// Checks what the module's description promises.
    #[cfg(test)]
    pub(super) fn validate(&self, in_use: usize) {
        let mut used = 0;
        for (number, chunk) in (0..).zip(&self.chunks) {
            if self.vacant.contains(&number) {
                assert!(chunk.bytes.is_empty());
                continue;
            }
            assert!(!chunk.is_empty(), "an empty chunk is freed");
            used += blocks_of(chunk.size) - chunk.free.count_ones() as usize;
            let open = self.open.get(class_of(chunk.size));
            let place = open.and_then(|open| open.get(chunk.place as usize));
            assert_eq!(place == Some(&number), !chunk.is_full());
        }
        assert_eq!(used, in_use);
        let open: usize = self.open.iter().map(Vec::len).sum();
        assert!(open <= self.chunks.len());
    }
}

#[cfg(test)]
mod tests;
