//! Reads pages, those that lie close together at once.

use std::fs::File;
use std::io;

use super::bytes::{index, read_at};

/// The most pages of one read.
pub(super) const RUN_PAGES: usize = 64;
/// Pages that are not needed are read along up to this number, because a second read costs more.
pub(super) const GAP_PAGES: u64 = 8;

/// Reads pages.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: File,
    pub(super) page_size: usize,
    pub(super) buffer: Vec<u8>,
}

impl Reader {
    /// Reads the `pages` that lie close together at the beginning of an ascending, non-empty
    /// list, and returns how many of the list those are.
    pub(super) fn read(&mut self, mut pages: impl Iterator<Item = u64>) -> io::Result<Run<'_>> {
        let first = pages.next().unwrap_or_default();
        let (mut last, mut count) = (first, 1);
        for page in pages {
            if page - last > GAP_PAGES || page - first >= RUN_PAGES as u64 {
                break;
            }
            last = page;
            count += 1;
        }
        let length = index(last - first).saturating_add(1).saturating_mul(self.page_size);
        self.buffer.resize(length, 0);
        read_at(&self.file, &mut self.buffer, first.saturating_mul(self.page_size as u64))?;
        Ok(Run { first, count, page_size: self.page_size, bytes: &self.buffer })
    }
}

/// Pages that one read brought.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) first: u64,
    pub(super) count: usize,
    pub(super) page_size: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Run<'a> {
    pub(super) fn page(&self, number: u64) -> &'a [u8] {
        let start = index(number.saturating_sub(self.first)).saturating_mul(self.page_size);
        self.bytes.get(start..).and_then(|rest| rest.get(..self.page_size)).unwrap_or_default()
    }
}
