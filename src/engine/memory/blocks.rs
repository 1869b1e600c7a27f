//! Memory for many small things: blocks of some sizes, each named by four bytes.
//!
//! Blocks of one size lie side by side in chunks. The general allocator takes more: it rounds up to
//! fewer sizes, and a pointer has eight bytes. What is in a block is not known here.

/// Names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockId(u32);

/// How many of the bits name the block of a chunk; the others name the chunk.
const BLOCK_BITS: u32 = 10;

/// A chunk has no more bytes than this, unless it has a single block.
const CHUNK: usize = 64 * 1024;

/// A larger block has a chunk of its own.
const SHARED: usize = CHUNK / 2;

/// The sizes of small blocks are multiples of this.
const STEP: usize = 8;

/// How many steps there are from one power of two to the next, for blocks that are not small.
const STEPS: usize = 16;

/// The largest small block.
const SMALL: usize = 2 * STEP * STEPS;

/// The chunks that can be named. With the blocks that fill them it is above 100 GB.
const MOST_CHUNKS: usize = (1 << (u32::BITS - BLOCK_BITS)) - 1;

/// Ends a list of free blocks.
const NONE: u16 = u16::MAX;

impl BlockId {
    /// No block.
    pub(super) const NONE: Self = Self(u32::MAX);

    #[expect(clippy::cast_possible_truncation, reason = "there are not more than `MOST_CHUNKS`")]
    fn new(chunk: usize, block: u16) -> Self {
        Self((chunk as u32) << BLOCK_BITS | u32::from(block))
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

    fn block(self) -> u16 {
        (self.0 & ((1 << BLOCK_BITS) - 1)) as u16
    }
}

/// The bytes of a block that has room for `length` bytes.
pub(super) const fn size_of_block(length: usize) -> usize {
    if length == 0 {
        return STEP;
    }
    let step = if length <= SMALL { STEP } else { (1 << (length - 1).ilog2()) / STEPS };
    match length.checked_next_multiple_of(step) {
        Some(size) => size,
        None => length,
    }
}

/// The number of a size of blocks, in their order.
fn class_of(size: usize) -> usize {
    if size <= SMALL {
        return size / STEP - 1;
    }
    let power = (size - 1).ilog2();
    let step = (size - 1) / ((1 << power) / STEPS) - STEPS;
    SMALL / STEP + (power - SMALL.ilog2()) as usize * STEPS + step
}

/// Blocks of one size.
struct Chunk {
    /// The blocks that were used so far, in use or free.
    bytes: Vec<u8>,
    /// How many bytes a block has.
    size: usize,
    /// How many blocks there can be.
    most: u16,
    /// How many are in use.
    used: u16,
    /// The first free block. The next one is named by its first bytes.
    free: u16,
    /// Where it stands among the open chunks of its size.
    place: u32,
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.used == self.most
    }

    fn range(&self, block: u16) -> std::ops::Range<usize> {
        let from = usize::from(block) * self.size;
        from..from + self.size
    }

    /// Takes a block, if it is not full.
    fn take(&mut self) -> u16 {
        self.used += 1;
        if self.free != NONE {
            let block = self.free;
            let at = self.range(block).start;
            self.free = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]);
            return block;
        }
        if self.most == 1 {
            // Zeroed memory comes for nothing if there is much of it.
            self.bytes = vec![0; self.size];
            return 0;
        }
        let (length, most) = (self.bytes.len(), usize::from(self.most) * self.size);
        if length == self.bytes.capacity() {
            self.bytes.reserve_exact((2 * length).clamp(self.size, most) - length);
        }
        self.bytes.resize(length + self.size, 0);
        #[expect(clippy::cast_possible_truncation, reason = "there are not more than `most`")]
        {
            (length / self.size) as u16
        }
    }

    fn give_back(&mut self, block: u16) {
        self.used -= 1;
        let at = self.range(block).start;
        self.bytes[at..at + 2].copy_from_slice(&self.free.to_ne_bytes());
        self.free = block;
    }
}

/// The chunks of one size of blocks.
#[derive(Default)]
struct Class {
    /// Those that have free blocks.
    open: Vec<u32>,
    /// How many there are, full ones included.
    chunks: usize,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Blocks {
    chunks: Vec<Chunk>,
    /// By [`class_of`].
    classes: Vec<Class>,
    /// The numbers of chunks that were freed.
    vacant: Vec<u32>,
}

impl Blocks {
    /// Makes a block with room for `length` bytes, in which there can be anything.
    pub(super) fn add(&mut self, length: usize) -> BlockId {
        let size = size_of_block(length);
        let number = if size > SHARED { None } else { self.class(size).open.last().copied() };
        let number = number.map_or_else(|| self.add_chunk(size), |number| number as usize);
        let chunk = &mut self.chunks[number];
        let block = chunk.take();
        if chunk.is_full() && size <= SHARED {
            self.class(size).open.pop();
        }
        BlockId::new(number, block)
    }

    /// Frees a block. What has to be freed outside of a lock, because it is large, is returned.
    pub(super) fn remove(&mut self, id: BlockId) -> Option<Vec<u8>> {
        let number = id.chunk();
        let chunk = &mut self.chunks[number];
        let was_full = chunk.is_full();
        chunk.give_back(id.block());
        let (size, is_empty) = (chunk.size, chunk.used == 0);
        if size > SHARED {
            return Some(self.free_chunk(number));
        }
        if was_full {
            self.open_chunk(number);
        }
        if is_empty {
            self.close_chunk(number);
            self.class(size).chunks -= 1;
            drop(self.free_chunk(number));
        }
        None
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

    /// Gives a block that holds `kept` bytes another size. What has to be freed outside of a lock is
    /// returned.
    pub(super) fn resize(
        &mut self,
        id: BlockId,
        length: usize,
        kept: usize,
    ) -> (BlockId, Option<Vec<u8>>) {
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

    /// Takes the memory of some blocks out, of which none is needed any more.
    pub(super) fn take_some(&mut self) -> Option<Vec<u8>> {
        self.chunks.pop().map(|chunk| chunk.bytes)
    }

    /// Whether [`Self::take_some`] has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn add_chunk(&mut self, size: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a chunk has at most 1024 blocks")]
        let most = if size > SHARED { 1 } else { (CHUNK / size).min(1 << BLOCK_BITS) as u16 };
        // The first chunk of a size grows with its blocks: a small store has few of them.
        let bytes = if most == 1 || self.class(size).chunks == 0 {
            Vec::new()
        } else {
            Vec::with_capacity(usize::from(most) * size)
        };
        let chunk = Chunk { bytes, size, most, used: 0, free: NONE, place: 0 };
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
            self.class(size).chunks += 1;
        }
        number
    }

    /// The chunks of a size that is shared.
    fn class(&mut self, size: usize) -> &mut Class {
        let class = class_of(size);
        if self.classes.len() <= class {
            self.classes.resize_with(class + 1, Class::default);
        }
        &mut self.classes[class]
    }

    fn free_chunk(&mut self, number: usize) -> Vec<u8> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are not more than `MOST_CHUNKS`"
        )]
        self.vacant.push(number as u32);
        std::mem::take(&mut self.chunks[number].bytes)
    }

    /// Puts a chunk among those that have free blocks.
    #[expect(clippy::cast_possible_truncation, reason = "there are not more than `MOST_CHUNKS`")]
    fn open_chunk(&mut self, number: usize) {
        let open = &mut self.class(self.chunks[number].size).open;
        let place = open.len() as u32;
        open.push(number as u32);
        self.chunks[number].place = place;
    }

    /// Takes it from there.
    fn close_chunk(&mut self, number: usize) {
        let Chunk { size, place, .. } = self.chunks[number];
        let open = &mut self.class(size).open;
        open.swap_remove(place as usize);
        if let Some(moved) = open.get(place as usize).copied() {
            self.chunks[moved as usize].place = place;
        }
    }

    /// Checks what the module's description promises.
    #[cfg(test)]
    pub(super) fn validate(&self, in_use: usize) {
        let used: usize = self.chunks.iter().map(|chunk| usize::from(chunk.used)).sum();
        assert_eq!(used, in_use);
        for (number, chunk) in (0..).zip(&self.chunks) {
            if self.vacant.contains(&number) {
                assert!(chunk.bytes.is_empty());
                continue;
            }
            assert!(chunk.used > 0, "an empty chunk is freed");
            let class = self.classes.get(class_of(chunk.size));
            let place = class.and_then(|class| class.open.get(chunk.place as usize));
            assert_eq!(place == Some(&number), !chunk.is_full());
        }
        let shared = |chunk: &&Chunk| chunk.used > 0 && chunk.size <= SHARED;
        let counted: usize = self.classes.iter().map(|class| class.chunks).sum();
        assert_eq!(counted, self.chunks.iter().filter(shared).count());
    }
}

#[cfg(test)]
mod tests;
