//! Owns the question whether LMDB can use a data file without harm.
//!
//! LMDB trusts its file: it follows page numbers, offsets and sizes straight into the memory map,
//! so a damaged file ends the process with a signal. [`check`] reads the file before LMDB does,
//! with plain reads, and follows everything LMDB would follow.
//!
//! The format is that of LMDB 0.9, data version 1, as the structures `MDB_meta`, `MDB_page`,
//! `MDB_node` and `MDB_db` of `mdb.c` define it, in the byte order and word size of this build.
//! A transaction never changes a page of the snapshot before it, so only the newest meta page and
//! what it reaches count. What a valid file looks like beyond those structures:
//!
//! - Every page but the two meta pages is used by one tree, or named by one record of the free
//!   database, or by nobody. The last is a leak that harms nothing.
//! - The nodes of a page fill it from `mp_upper` to its end without gaps or overlaps.
//! - The keys below a branch node are not less than its key, and less than the next node's key.
//! - A record of the free database is a count, then as many page numbers in descending order.
//!
//! Values and the free parts of pages are not looked at: LMDB only copies them. Databases with
//! flags (sorted duplicates, integer keys) are not used by this store and count as damage, and so
//! do plain entries in the main database, which holds the named databases and nothing else.
//!
//! A tree is read level by level and each level in the order of its page numbers, because that
//! makes one pass through the file of the leaves, which are nearly all pages.

use std::cmp::Ordering;
use std::fmt;
use std::fs::File;
use std::io;
use std::mem;
use std::path::Path;
use std::rc::Rc;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the layout of LMDB's pages is written down for 64-bit builds only");

/// `PAGEHDRSZ`.
const PAGE_HEADER: usize = 16;
/// `NODESIZE`.
const NODE_HEADER: usize = 8;
/// What `mdb_env_read_header` reads of a meta page: the page header and `MDB_meta`.
const META_SIZE: usize = 152;
/// The meta pages are pages 0 and 1.
const META_PAGES: u64 = 2;
const MAGIC: u32 = 0xBEEF_C0DE;
/// `MDB_DATA_VERSION`.
const VERSION: u32 = 1;
/// LMDB takes the page size of the system that made the file, but not more than `MAX_PAGESIZE`.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 4096..=0x8000;
/// `MDB_MAXKEYSIZE`.
const MAX_KEY: usize = 511;
/// `CURSOR_STACK`: a cursor cannot go deeper.
const MAX_DEPTH: u16 = 32;
/// `P_INVALID`, the root of an empty tree.
const NO_PAGE: u64 = u64::MAX;
/// No file gets there; it keeps LMDB from counting into the number that means "no transaction".
const MAX_TXN: u64 = u64::MAX >> 1;

const P_BRANCH: u16 = 0x01;
const P_LEAF: u16 = 0x02;
const P_OVERFLOW: u16 = 0x04;
const P_META: u16 = 0x08;

const F_BIGDATA: u16 = 0x01;
const F_SUBDATA: u16 = 0x02;

/// The free database keeps the flags of the environment in its own flags. Of those, this is the
/// one that heed can set.
const MDB_NOSUBDIR: u16 = 0x4000;
const MDB_INTEGERKEY: u16 = 0x08;

/// The most pages of one read.
const RUN_PAGES: usize = 64;
/// Pages that are not needed are read along up to this number, because a second read costs more.
const GAP_PAGES: u64 = 8;
/// How many pages may wait to be read. Waiting pages take about 100 bytes each.
const BATCH: usize = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file could not be read. This says nothing about its content.
    Io(io::Error),
    /// The content is not what LMDB writes.
    Damaged(Damage),
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    what: &'static str,
    page: Option<u64>,
}

/// What is wrong with a page whose number the caller knows.
type What = &'static str;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Damaged(damage) => damage.fmt(f),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.page {
            Some(page) => write!(f, "page {page}: {}", self.what),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Damaged(damage) => Some(damage),
        }
    }
}

impl std::error::Error for Damage {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Checks the LMDB data file at `path`, which no one may change meanwhile.
///
/// An empty file counts as damaged, though LMDB would fill it: it tells that content was lost.
///
/// # Errors
///
/// [`Fault::Damaged`] when LMDB could not use the file safely, [`Fault::Io`] when it could not
/// be read.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let meta = newest_meta(&file, length)?;
    let mut checker = Checker::new(file, &meta, meta.pages_in(length))?;
    checker.tree(Kind::Free, &meta.free)?;
    checker.tree(Kind::Main, &meta.main)?;
    for database in mem::take(&mut checker.pages.databases) {
        checker.tree(Kind::Named, &database)?;
    }
    Ok(())
}

fn damaged(what: What) -> Fault {
    Fault::Damaged(Damage { what, page: None })
}

fn damaged_at(page: u64) -> impl Fn(What) -> Fault {
    move |what| Fault::Damaged(Damage { what, page: Some(page) })
}

/// `true` as success.
fn ensure(holds: bool, what: What) -> Result<(), What> {
    if holds { Ok(()) } else { Err(what) }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = bytes.get_mut(read..).unwrap_or_default();
        offset = offset.saturating_add(read as u64);
    }
    Ok(())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_ne_bytes)
}

/// For lengths and positions in memory: what does not fit is out of the bounds of any slice.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What is used of an `MDB_db`.
#[derive(Debug)]
struct Database {
    flags: u16,
    depth: u16,
    totals: Totals,
    root: u64,
}

/// What LMDB counts of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    entries: u64,
}

impl Database {
    const SIZE: usize = 48;

    fn parse(bytes: &[u8]) -> Option<Self> {
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
struct Meta {
    map_size: u64,
    page_size: u32,
    free: Database,
    main: Database,
    last_page: u64,
    txn: u64,
}

impl Meta {
    /// Reads a meta page and checks what LMDB requires of both.
    fn read(file: &File, number: u64, offset: u64) -> Result<Self, Fault> {
        let mut bytes = [0; META_SIZE];
        read_at(file, &mut bytes, offset)?;
        check_header(&bytes, number, P_META).map_err(damaged_at(number))?;
        ensure(u32_at(&bytes, 16) == Some(MAGIC), "not an LMDB file of this byte order")
            .and_then(|()| ensure(u32_at(&bytes, 20) == Some(VERSION), "another data version"))
            .map_err(damaged_at(number))?;
        Self::parse(&bytes).ok_or_else(|| damaged("the meta page is cut off"))
    }

    fn parse(bytes: &[u8; META_SIZE]) -> Option<Self> {
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
    fn check(&self, number: u64, length: u64) -> Result<(), What> {
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
    fn pages_in(&self, length: u64) -> u64 {
        length / u64::from(self.page_size)
    }
}

/// The meta page LMDB picks: the one with the greater transaction number, or the first.
fn newest_meta(file: &File, length: u64) -> Result<Meta, Fault> {
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

/// The position and the kind of a page stand in its header. Flags that LMDB sets only during a
/// transaction would have it write to pages of the last one, so no other flag may be set.
fn check_header(bytes: &[u8], number: u64, flags: u16) -> Result<(), What> {
    ensure(u64_at(bytes, 0) == Some(number), "the header has another page number")?;
    ensure(u16_at(bytes, 10) == Some(flags), "not the kind of page that is needed here")
}

/// What a tree is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The pages that transactions freed. Its keys are their numbers.
    Free,
    /// The named databases.
    Main,
    /// The entries of the store.
    Named,
}

impl Kind {
    fn allows(self, database_flags: u16) -> bool {
        match self {
            Self::Free => database_flags & !MDB_NOSUBDIR == MDB_INTEGERKEY,
            Self::Main | Self::Named => database_flags == 0,
        }
    }

    fn check_key(self, key: &[u8]) -> Result<(), What> {
        let allowed = match self {
            Self::Free => key.len() == size_of::<u64>(),
            Self::Main | Self::Named => (1..=MAX_KEY).contains(&key.len()),
        };
        ensure(allowed, "a key size out of range")
    }

    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Free => u64_at(a, 0).cmp(&u64_at(b, 0)),
            Self::Main | Self::Named => a.cmp(b),
        }
    }
}

/// An `MDB_node`.
#[derive(Debug)]
struct Node<'a> {
    offset: usize,
    /// How much of the page it takes.
    size: usize,
    /// The size of the value, or the lower half of a child's page number.
    low: u32,
    /// The flags, or the upper part of a child's page number.
    flags: u16,
    key: &'a [u8],
    /// What follows the key: nothing in a branch, the page number of a value that has its own
    /// pages, or the value.
    data: &'a [u8],
}

impl<'a> Node<'a> {
    fn parse(page: &'a [u8], offset: usize, page_kind: u16) -> Option<Self> {
        let bytes = page.get(offset..)?;
        let low = u32_at(bytes, 0)?;
        let flags = u16_at(bytes, 4)?;
        let (key, rest) = bytes.get(NODE_HEADER..)?.split_at_checked(u16_at(bytes, 6)?.into())?;
        let stored = match page_kind {
            P_BRANCH => 0,
            _ if flags & F_BIGDATA != 0 => size_of::<u64>(),
            _ => index(low.into()),
        };
        let data = rest.get(..stored)?;
        let size = (NODE_HEADER + key.len() + stored).next_multiple_of(2);
        Some(Self { offset, size, low, flags, key, data })
    }

    fn child(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

/// Checks a branch or leaf page by itself and returns its nodes.
fn nodes(page: &[u8], number: u64, page_kind: u16) -> Result<Vec<Node<'_>>, What> {
    check_header(page, number, page_kind)?;
    let lower = u16_at(page, 12).map_or(0, usize::from);
    let upper = u16_at(page, 14).map_or(0, usize::from);
    ensure(lower.is_multiple_of(2) && lower <= upper, "the bounds of the free space are wrong")?;
    let offsets = page.get(PAGE_HEADER..lower).ok_or("the free space begins in the header")?;
    let nodes: Option<Vec<_>> = offsets
        .chunks_exact(2)
        .map(|offset| Node::parse(page, u16_at(offset, 0)?.into(), page_kind))
        .collect();
    let nodes = nodes.ok_or("a node leaves the page")?;
    check_places(&nodes, upper, page.len())?;
    Ok(nodes)
}

/// LMDB moves nodes about within a page and relies on them being packed.
fn check_places(nodes: &[Node], upper: usize, end: usize) -> Result<(), What> {
    let mut places: Vec<_> = nodes.iter().map(|node| (node.offset, node.size)).collect();
    places.sort_unstable();
    let mut expected = upper;
    for (offset, size) in places {
        ensure(offset == expected, "the nodes are not packed")?;
        expected += size;
    }
    ensure(expected == end, "the nodes do not fill the page")
}

/// A page that a branch names, with the bounds of its keys.
#[derive(Debug)]
struct Subtree {
    page: u64,
    /// No key is less.
    low: Option<Rc<[u8]>>,
    /// Every key is less.
    high: Option<Rc<[u8]>>,
}

impl Subtree {
    fn check_order<'a>(
        &self,
        kind: Kind,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), What> {
        let mut previous = None;
        for key in keys {
            kind.check_key(key)?;
            let order = match (previous, self.low.as_deref()) {
                (Some(previous), _) => kind.compare(previous, key).is_lt(),
                (None, Some(low)) => kind.compare(low, key).is_le(),
                (None, None) => true,
            };
            ensure(order, "the keys are not in order")?;
            previous = Some(key);
        }
        let below = match (previous, self.high.as_deref()) {
            (Some(last), Some(high)) => kind.compare(last, high).is_lt(),
            _ => true,
        };
        ensure(below, "a key belongs to a later page")
    }
}

/// A value that has its own pages.
#[derive(Debug)]
struct Overflow {
    page: u64,
    size: u32,
}

/// The pages that have been met.
#[derive(Debug)]
struct PageSet {
    words: Vec<u64>,
    last: u64,
    /// How many pages the file has.
    in_file: u64,
}

impl PageSet {
    fn new(last: u64, in_file: u64) -> io::Result<Self> {
        let length = index(last / 64).saturating_add(1);
        let mut words = Vec::new();
        words.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        words.resize(length, 0);
        Ok(Self { words, last, in_file })
    }

    /// Notes a page that LMDB reads.
    fn claim(&mut self, page: u64) -> Result<(), What> {
        ensure(page < self.in_file, "the file ends before a page that is needed")?;
        self.claim_free(page)
    }

    fn claim_free(&mut self, page: u64) -> Result<(), What> {
        ensure((META_PAGES..=self.last).contains(&page), "a page number out of range")?;
        let word = self.words.get_mut(index(page / 64)).ok_or("a page number out of range")?;
        let bit = 1 << (page % 64);
        ensure(*word & bit == 0, "a page is used twice")?;
        *word |= bit;
        Ok(())
    }
}

/// A record of the free database, which may come in pieces.
#[derive(Debug)]
struct FreeList {
    /// How many page numbers are still to come.
    left: u64,
    /// They are less than this.
    above: u64,
}

impl FreeList {
    /// Begins with the count, the first word of a record of `size` bytes.
    fn new(count: u64, size: u64) -> Result<Self, What> {
        let room = (size / 8).checked_sub(1).ok_or("a list of free pages without a count")?;
        ensure(
            size.is_multiple_of(8) && count <= room,
            "a list of free pages is longer than its record",
        )?;
        Ok(Self { left: count, above: NO_PAGE })
    }

    fn take(&mut self, bytes: &[u8], pages: &mut PageSet) -> Result<(), What> {
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

/// Reads pages.
#[derive(Debug)]
struct Reader {
    file: File,
    page_size: usize,
    buffer: Vec<u8>,
}

impl Reader {
    /// Reads the `pages` that lie close together at the beginning of an ascending, non-empty
    /// list, and returns how many of the list those are.
    fn read(&mut self, mut pages: impl Iterator<Item = u64>) -> io::Result<Run<'_>> {
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
struct Run<'a> {
    first: u64,
    count: usize,
    page_size: usize,
    bytes: &'a [u8],
}

impl<'a> Run<'a> {
    fn page(&self, number: u64) -> &'a [u8] {
        let start = index(number.saturating_sub(self.first)).saturating_mul(self.page_size);
        self.bytes.get(start..).and_then(|rest| rest.get(..self.page_size)).unwrap_or_default()
    }
}

/// What has been found, apart from how it is read.
#[derive(Debug)]
struct Pages {
    page_size: usize,
    /// The last transaction.
    txn: u64,
    seen: PageSet,
    /// Of the tree that is being checked.
    found: Totals,
    /// The named databases of the main database.
    databases: Vec<Database>,
}

impl Pages {
    /// Checks a branch page and adds its children.
    fn branch(
        &mut self,
        kind: Kind,
        subtree: &Subtree,
        page: &[u8],
        children: &mut Vec<Subtree>,
    ) -> Result<(), What> {
        let nodes = nodes(page, subtree.page, P_BRANCH)?;
        ensure(nodes.len() >= 2, "a branch page without branches")?;
        // The first node has no key: it begins where the page begins.
        subtree.check_order(kind, nodes.iter().skip(1).map(|node| node.key))?;
        let mut low = subtree.low.clone();
        let mut rest = nodes.iter();
        while let Some(node) = rest.next() {
            let high = match rest.as_slice().first() {
                Some(next) => Some(Rc::from(next.key)),
                None => subtree.high.clone(),
            };
            self.seen.claim(node.child())?;
            children.push(Subtree { page: node.child(), low, high: high.clone() });
            low = high;
        }
        self.found.branch_pages += 1;
        Ok(())
    }

    /// Checks a leaf page and adds the values that have pages of their own.
    fn leaf(
        &mut self,
        kind: Kind,
        subtree: &Subtree,
        page: &[u8],
        overflows: &mut Vec<Overflow>,
    ) -> Result<(), What> {
        let nodes = nodes(page, subtree.page, P_LEAF)?;
        ensure(!nodes.is_empty(), "a leaf page without entries")?;
        subtree.check_order(kind, nodes.iter().map(|node| node.key))?;
        for node in &nodes {
            self.entry(kind, node, overflows)?;
        }
        self.found.leaf_pages += 1;
        self.found.entries += nodes.len() as u64;
        Ok(())
    }

    fn entry(
        &mut self,
        kind: Kind,
        node: &Node,
        overflows: &mut Vec<Overflow>,
    ) -> Result<(), What> {
        match (kind, node.flags) {
            (Kind::Free | Kind::Named, F_BIGDATA) => {
                let page = u64_at(node.data, 0).unwrap_or(NO_PAGE);
                overflows.push(Overflow { page, size: node.low });
            }
            (Kind::Free | Kind::Named, 0) => ensure(
                NODE_HEADER + node.key.len() + node.data.len() <= self.max_node(),
                "a value too large for its page",
            )?,
            (Kind::Main, F_SUBDATA) => self.database(node.data)?,
            _ => return Err("an entry of a kind that is not used here"),
        }
        if kind == Kind::Free { self.free_entry(node) } else { Ok(()) }
    }

    /// `me_nodemax`: LMDB counts on two nodes in a page.
    fn max_node(&self) -> usize {
        let half = (self.page_size - PAGE_HEADER) / 2;
        (half & !1) - size_of::<u16>()
    }

    fn database(&mut self, data: &[u8]) -> Result<(), What> {
        let record = Some(data).filter(|data| data.len() == Database::SIZE);
        let database = record.and_then(Database::parse);
        self.databases.push(database.ok_or("a record of a database has the wrong size")?);
        Ok(())
    }

    fn free_entry(&mut self, node: &Node) -> Result<(), What> {
        let txn = u64_at(node.key, 0).unwrap_or_default();
        ensure((1..=self.txn).contains(&txn), "free pages of a transaction that never was")?;
        if node.flags & F_BIGDATA != 0 {
            return Ok(()); // `Checker::free_list` reads it.
        }
        let count = u64_at(node.data, 0).unwrap_or_default();
        let mut list = FreeList::new(count, node.data.len() as u64)?;
        list.take(node.data.get(8..).unwrap_or_default(), &mut self.seen)
    }

    /// Checks the first page of a value; the others have no header.
    fn overflow(&mut self, overflow: &Overflow, page: &[u8]) -> Result<(), What> {
        check_header(page, overflow.page, P_OVERFLOW)?;
        let count = u64::from(u32_at(page, 12).unwrap_or_default());
        // There may be more pages than the value needs: LMDB overwrites a longer value in place.
        let room = (count * self.page_size as u64).saturating_sub(PAGE_HEADER as u64);
        ensure(count > 0 && u64::from(overflow.size) <= room, "a value longer than its pages")?;
        // The caller has claimed the first one.
        for number in 1..count {
            self.seen.claim(overflow.page.saturating_add(number))?;
        }
        self.found.overflow_pages += count;
        Ok(())
    }
}

#[derive(Debug)]
struct Checker {
    reader: Reader,
    pages: Pages,
}

impl Checker {
    fn new(file: File, meta: &Meta, in_file: u64) -> io::Result<Self> {
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

    fn tree(&mut self, kind: Kind, database: &Database) -> Result<(), Fault> {
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
    fn level(&mut self, kind: Kind, height: u16, mut level: Vec<Subtree>) -> Result<(), Fault> {
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

    fn leaves(&mut self, kind: Kind, leaves: &[Subtree]) -> Result<(), Fault> {
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

    fn overflows(&mut self, kind: Kind, mut overflows: Vec<Overflow>) -> Result<(), Fault> {
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
    fn free_list(&mut self, overflow: &Overflow) -> Result<(), Fault> {
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

#[cfg(test)]
mod tests;
