//! The lists of free pages.

use super::bytes::{index, u64_at};
use super::fault::{What, ensure};
use super::page_set::PageSet;

/// `P_INVALID`, the root of an empty tree.
pub(super) const NO_PAGE: u64 = u64::MAX;

/// A record of the free database, which may come in pieces.
#[derive(Debug)]
pub(super) struct FreeList {
    /// How many page numbers are still to come.
    pub(super) left: u64,
    /// They are less than this.
    pub(super) above: u64,
}

impl FreeList {
    /// Begins with the count, the first word of a record of `size` bytes.
    pub(super) fn new(count: u64, size: u64) -> Result<Self, What> {
        let room = (size / 8).checked_sub(1).ok_or("a list of free pages without a count")?;
        ensure(
            size.is_multiple_of(8) && count <= room,
            "a list of free pages is longer than its record",
        )?;
        Ok(Self { left: count, above: NO_PAGE })
    }

    pub(super) fn take(&mut self, bytes: &[u8], pages: &mut PageSet) -> Result<(), What> {
        for word in bytes.chunks_exact(8).take(index(self.left)) {
            let page = u64_at(word, 0).unwrap_or(NO_PAGE);
            ensure(page < self.above, "a list of free pages is not in order")?;
            pages.claim_free(page)?;
            self.above = page;
            self.left -= 1;
        }
        Ok(())
    }
}
