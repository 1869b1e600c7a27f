//! Which pages are used, so that none is used twice.

use std::io;

use super::bytes::index;
use super::fault::{What, ensure};
use super::meta::META_PAGES;

/// The pages that have been met.
#[derive(Debug)]
pub(super) struct PageSet {
    pub(super) words: Vec<u64>,
    pub(super) last: u64,
    /// How many pages the file has.
    pub(super) in_file: u64,
}

impl PageSet {
    pub(super) fn new(last: u64, in_file: u64) -> io::Result<Self> {
        let length = index(last / 64).saturating_add(1);
        let mut words = Vec::new();
        words.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        words.resize(length, 0);
        Ok(Self { words, last, in_file })
    }

    /// Notes a page that LMDB reads.
    pub(super) fn claim(&mut self, page: u64) -> Result<(), What> {
        ensure(page < self.in_file, "the file ends before a page that is needed")?;
        self.claim_free(page)
    }

    pub(super) fn claim_free(&mut self, page: u64) -> Result<(), What> {
        ensure((META_PAGES..=self.last).contains(&page), "a page number out of range")?;
        let word = self.words.get_mut(index(page / 64)).ok_or("a page number out of range")?;
        let bit = 1 << (page % 64);
        ensure(*word & bit == 0, "a page is used twice")?;
        *word |= bit;
        Ok(())
    }
}
