//! A page by itself: its header, and the nodes that it holds.

use super::bytes::{index, u16_at, u32_at, u64_at};
use super::fault::{What, ensure};

/// `PAGEHDRSZ`.
pub(super) const PAGE_HEADER: usize = 16;
/// `NODESIZE`.
pub(super) const NODE_HEADER: usize = 8;

pub(super) const P_BRANCH: u16 = 0x01;
pub(super) const P_LEAF: u16 = 0x02;
pub(super) const P_OVERFLOW: u16 = 0x04;
pub(super) const P_META: u16 = 0x08;

pub(super) const F_BIGDATA: u16 = 0x01;
pub(super) const F_SUBDATA: u16 = 0x02;

/// The position and the kind of a page stand in its header. Flags that LMDB sets only during a
/// transaction would have it write to pages of the last one, so no other flag may be set.
pub(super) fn check_header(bytes: &[u8], number: u64, flags: u16) -> Result<(), What> {
    ensure(u64_at(bytes, 0) == Some(number), "the header has another page number")?;
    ensure(u16_at(bytes, 10) == Some(flags), "not the kind of page that is needed here")
}

/// An `MDB_node`.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) offset: usize,
    /// How much of the page it takes.
    pub(super) size: usize,
    /// The size of the value, or the lower half of a child's page number.
    pub(super) low: u32,
    /// The flags, or the upper part of a child's page number.
    pub(super) flags: u16,
    pub(super) key: &'a [u8],
    /// What follows the key: nothing in a branch, the page number of a value that has its own
    /// pages, or the value.
    pub(super) data: &'a [u8],
}

impl<'a> Node<'a> {
    pub(super) fn parse(page: &'a [u8], offset: usize, page_kind: u16) -> Option<Self> {
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

    pub(super) fn child(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

/// Checks a branch or leaf page by itself and returns its nodes.
pub(super) fn nodes(page: &[u8], number: u64, page_kind: u16) -> Result<Vec<Node<'_>>, What> {
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
pub(super) fn check_places(nodes: &[Node], upper: usize, end: usize) -> Result<(), What> {
    let mut places: Vec<_> = nodes.iter().map(|node| (node.offset, node.size)).collect();
    places.sort_unstable();
    let mut expected = upper;
    for (offset, size) in places {
        ensure(offset == expected, "the nodes are not packed")?;
        expected += size;
    }
    ensure(expected == end, "the nodes do not fill the page")
}
