//! Goes through the trees, level by level, and reads their pages.

use std::fs::File;
use std::io;
use std::mem;

use super::bytes::{index, read_at};
use super::fault::{Fault, damaged, damaged_at};
use super::freelist::{FreeList, NO_PAGE};
use super::meta::{Database, Meta, Totals};
use super::order::{Kind, Subtree};
use super::page::PAGE_HEADER;
use super::page_set::PageSet;
use super::reader::Reader;
use super::tree::{Overflow, Pages};

/// `CURSOR_STACK`: a cursor cannot go deeper.
pub(super) const MAX_DEPTH: u16 = 32;
/// How many pages may wait to be read. Waiting pages take about 100 bytes each.
pub(super) const BATCH: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Checker {
    pub(super) reader: Reader,
    pub(super) pages: Pages,
}

impl Checker {
    pub(super) fn new(file: File, meta: &Meta, in_file: u64) -> io::Result<Self> {
        let page_size = index(meta.page_size.into());
        let pages = Pages {
            page_size,
            txn: meta.txn,
            seen: PageSet::new(meta.last_page, in_file)?,
            found: Totals::default(),
            databases: Vec::new(),
        };
        Ok(Self { reader: Reader { file, page_size, buffer: Vec::new() }, pages })
    }

    pub(super) fn tree(&mut self, kind: Kind, database: &Database) -> Result<(), Fault> {
        self.pages.found = Totals::default();
        if !kind.allows(database.flags) {
            return Err(damaged("a database has flags that are not used here"));
        }
        let height = database.depth.checked_sub(1).filter(|_| database.depth <= MAX_DEPTH);
        match height {
            None if database.depth == 0 && database.root == NO_PAGE => {}
            None => return Err(damaged("a database has an impossible depth")),
            Some(height) => {
                self.pages.seen.claim(database.root).map_err(damaged)?;
                let root = Subtree { page: database.root, low: None, high: None };
                self.level(kind, height, vec![root])?;
            }
        }
        if self.pages.found == database.totals {
            Ok(())
        } else {
            Err(damaged("a database has other numbers of pages or entries than it should"))
        }
    }

    /// Checks subtrees that all have `height` levels below their root. The depth limits the
    /// recursion.
    pub(super) fn level(
        &mut self,
        kind: Kind,
        height: u16,
        mut level: Vec<Subtree>,
    ) -> Result<(), Fault> {
        level.sort_unstable_by_key(|subtree| subtree.page);
        let Some(below) = height.checked_sub(1) else { return self.leaves(kind, &level) };
        let mut children = Vec::new();
        let mut rest = level.as_slice();
        while !rest.is_empty() {
            let run = self.reader.read(rest.iter().map(|subtree| subtree.page))?;
            let (now, later) = rest.split_at_checked(run.count).unwrap_or((rest, &[]));
            for subtree in now {
                let page = run.page(subtree.page);
                let checked = self.pages.branch(kind, subtree, page, &mut children);
                checked.map_err(damaged_at(subtree.page))?;
            }
            if children.len() >= BATCH {
                self.level(kind, below, mem::take(&mut children))?;
            }
            rest = later;
        }
        self.level(kind, below, children)
    }

    pub(super) fn leaves(&mut self, kind: Kind, leaves: &[Subtree]) -> Result<(), Fault> {
        let mut overflows = Vec::new();
        let mut rest = leaves;
        while !rest.is_empty() {
            let run = self.reader.read(rest.iter().map(|subtree| subtree.page))?;
            let (now, later) = rest.split_at_checked(run.count).unwrap_or((rest, &[]));
            for subtree in now {
                let page = run.page(subtree.page);
                let checked = self.pages.leaf(kind, subtree, page, &mut overflows);
                checked.map_err(damaged_at(subtree.page))?;
            }
            if overflows.len() >= BATCH {
                self.overflows(kind, mem::take(&mut overflows))?;
            }
            rest = later;
        }
        self.overflows(kind, overflows)
    }

    pub(super) fn overflows(
        &mut self,
        kind: Kind,
        mut overflows: Vec<Overflow>,
    ) -> Result<(), Fault> {
        overflows.sort_unstable_by_key(|overflow| overflow.page);
        // Before any of them is read, so that their pages exist.
        for overflow in &overflows {
            self.pages.seen.claim(overflow.page).map_err(damaged_at(overflow.page))?;
        }
        let mut rest = overflows.as_slice();
        while !rest.is_empty() {
            let run = self.reader.read(rest.iter().map(|overflow| overflow.page))?;
            let (now, later) = rest.split_at_checked(run.count).unwrap_or((rest, &[]));
            for overflow in now {
                let checked = self.pages.overflow(overflow, run.page(overflow.page));
                checked.map_err(damaged_at(overflow.page))?;
            }
            rest = later;
        }
        if kind == Kind::Free {
            overflows.iter().try_for_each(|overflow| self.free_list(overflow))?;
        }
        Ok(())
    }

    /// Checks a record of the free database that has its own pages. It can be as long as the
    /// largest value, so it is read in pieces.
    pub(super) fn free_list(&mut self, overflow: &Overflow) -> Result<(), Fault> {
        const PIECE: u64 = 1 << 16;
        let start = overflow.page.saturating_mul(self.reader.page_size as u64);
        let mut offset = start.saturating_add(PAGE_HEADER as u64);
        let mut count = [0; 8];
        read_at(&self.reader.file, &mut count, offset)?;
        let mut list = FreeList::new(u64::from_ne_bytes(count), overflow.size.into())
            .map_err(damaged_at(overflow.page))?;
        offset = offset.saturating_add(8);
        while list.left > 0 {
            let length = list.left.saturating_mul(8).min(PIECE);
            self.reader.buffer.resize(index(length), 0);
            read_at(&self.reader.file, &mut self.reader.buffer, offset)?;
            list.take(&self.reader.buffer, &mut self.pages.seen)
                .map_err(damaged_at(overflow.page))?;
            offset = offset.saturating_add(length);
        }
        Ok(())
    }
}
