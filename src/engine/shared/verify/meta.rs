//! The meta pages, and the database records that they and the main database have.

use std::fs::File;

use super::bytes::{read_at, u16_at, u32_at, u64_at};
use super::fault::{Fault, What, damaged, damaged_at, ensure};
use super::page::{P_META, check_header};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the layout of LMDB's pages is written down for 64-bit builds only");

/// What `mdb_env_read_header` reads of a meta page: the page header and `MDB_meta`.
pub(super) const META_SIZE: usize = 152;
/// The meta pages are pages 0 and 1.
pub(super) const META_PAGES: u64 = 2;
pub(super) const MAGIC: u32 = 0xBEEF_C0DE;
/// `MDB_DATA_VERSION`.
pub(super) const VERSION: u32 = 1;
/// LMDB takes the page size of the system that made the file, but not more than `MAX_PAGESIZE`.
pub(super) const PAGE_SIZES: std::ops::RangeInclusive<u32> = 4096..=0x8000;
/// No file gets there; it keeps LMDB from counting into the number that means "no transaction".
pub(super) const MAX_TXN: u64 = u64::MAX >> 1;

/// What is used of an `MDB_db`.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) flags: u16,
    pub(super) depth: u16,
    pub(super) totals: Totals,
    pub(super) root: u64,
}

/// What LMDB counts of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) branch_pages: u64,
    pub(super) leaf_pages: u64,
    pub(super) overflow_pages: u64,
    pub(super) entries: u64,
}

impl Database {
    pub(super) const SIZE: usize = 48;

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            flags: u16_at(bytes, 4)?,
            depth: u16_at(bytes, 6)?,
            totals: Totals {
                branch_pages: u64_at(bytes, 8)?,
                leaf_pages: u64_at(bytes, 16)?,
                overflow_pages: u64_at(bytes, 24)?,
                entries: u64_at(bytes, 32)?,
            },
            root: u64_at(bytes, 40)?,
        })
    }
}

/// What is used of an `MDB_meta`.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) map_size: u64,
    pub(super) page_size: u32,
    pub(super) free: Database,
    pub(super) main: Database,
    pub(super) last_page: u64,
    pub(super) txn: u64,
}

impl Meta {
    /// Reads a meta page and checks what LMDB requires of both.
    pub(super) fn read(file: &File, number: u64, offset: u64) -> Result<Self, Fault> {
        let mut bytes = [0; META_SIZE];
        read_at(file, &mut bytes, offset)?;
        check_header(&bytes, number, P_META).map_err(damaged_at(number))?;
        ensure(u32_at(&bytes, 16) == Some(MAGIC), "not an LMDB file of this byte order")
            .and_then(|()| ensure(u32_at(&bytes, 20) == Some(VERSION), "another data version"))
            .map_err(damaged_at(number))?;
        Self::parse(&bytes).ok_or_else(|| damaged("the meta page is cut off"))
    }

    pub(super) fn parse(bytes: &[u8; META_SIZE]) -> Option<Self> {
        let free = bytes.get(40..)?;
        Some(Self {
            map_size: u64_at(bytes, 32)?,
            // `mm_psize` lies in a field of the free database that it does not need.
            page_size: u32_at(free, 0)?,
            free: Database::parse(free)?,
            main: Database::parse(bytes.get(88..)?)?,
            last_page: u64_at(bytes, 136)?,
            txn: u64_at(bytes, 144)?,
        })
    }

    /// Checks what LMDB relies on in the meta page it picks.
    pub(super) fn check(&self, number: u64, length: u64) -> Result<(), What> {
        // LMDB finds the meta page of a transaction by the last bit of its number.
        ensure(self.txn & 1 == number, "a transaction number of the other meta page")?;
        ensure(self.txn <= MAX_TXN, "a transaction number out of range")?;
        // Without a writable map LMDB does not write free pages, so the file may end before its
        // last page. But a record of the free database names each of them, in eight bytes.
        let possible = self.pages_in(length).saturating_add(length / 8);
        let last_page_allowed = (META_PAGES - 1..possible).contains(&self.last_page);
        ensure(last_page_allowed, "a last page out of range")?;
        // The map may well be larger than the file, which LMDB extends as it needs.
        ensure(self.last_page < self.pages_in(self.map_size), "the map ends before the last page")
    }

    /// How many whole pages there are in so many bytes.
    pub(super) fn pages_in(&self, length: u64) -> u64 {
        length / u64::from(self.page_size)
    }
}

/// The meta page LMDB picks: the one with the greater transaction number, or the first.
pub(super) fn newest_meta(file: &File, length: u64) -> Result<Meta, Fault> {
    if length < META_SIZE as u64 {
        return Err(damaged("the file is too short for a meta page"));
    }
    let first = Meta::read(file, 0, 0)?;
    let page_size = first.page_size;
    if !PAGE_SIZES.contains(&page_size) || !page_size.is_power_of_two() {
        return Err(damaged("a page size that LMDB does not use"));
    }
    if length < u64::from(page_size) * META_PAGES {
        return Err(damaged("the file is too short for two meta pages"));
    }
    let second = Meta::read(file, 1, page_size.into())?;
    if second.page_size != page_size {
        return Err(damaged("two page sizes"));
    }
    let (number, newest) = if first.txn < second.txn { (1, second) } else { (0, first) };
    newest.check(number, length).map_err(damaged_at(number))?;
    Ok(newest)
}
