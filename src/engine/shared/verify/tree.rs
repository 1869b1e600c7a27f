//! The pages of a tree: what each must hold, whatever the order in which they are read.

use std::rc::Rc;

use super::bytes::{u32_at, u64_at};
use super::fault::{What, ensure};
use super::freelist::{FreeList, NO_PAGE};
use super::meta::{Database, Totals};
use super::order::{Kind, Subtree};
use super::page::{
    F_BIGDATA, F_SUBDATA, NODE_HEADER, Node, P_BRANCH, P_LEAF, P_OVERFLOW, PAGE_HEADER,
    check_header, nodes,
};
use super::page_set::PageSet;

/// A value that has its own pages.
#[derive(Debug)]
pub(super) struct Overflow {
    pub(super) page: u64,
    pub(super) size: u32,
}

/// What has been found, apart from how it is read.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) page_size: usize,
    /// The last transaction.
    pub(super) txn: u64,
    pub(super) seen: PageSet,
    /// Of the tree that is being checked.
    pub(super) found: Totals,
    /// The named databases of the main database.
    pub(super) databases: Vec<Database>,
}

impl Pages {
    /// Checks a branch page and adds its children.
    pub(super) fn branch(
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
    pub(super) fn leaf(
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

    pub(super) fn entry(
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
    pub(super) fn max_node(&self) -> usize {
        let half = (self.page_size - PAGE_HEADER) / 2;
        (half & !1) - size_of::<u16>()
    }

    pub(super) fn database(&mut self, data: &[u8]) -> Result<(), What> {
        let record = Some(data).filter(|data| data.len() == Database::SIZE);
        let database = record.and_then(Database::parse);
        self.databases.push(database.ok_or("a record of a database has the wrong size")?);
        Ok(())
    }

    pub(super) fn free_entry(&mut self, node: &Node) -> Result<(), What> {
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
    pub(super) fn overflow(&mut self, overflow: &Overflow, page: &[u8]) -> Result<(), What> {
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
