//! Whether a data file is structurally valid, so that LMDB can use it safely.
//!
//! LMDB trusts its file: it follows page numbers, offsets and sizes straight into the memory map,
//! so a damaged file ends the process with a signal. [`check()`] reads the file before LMDB does,
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

//!
//! This file only lists what there is. `check` is the way in; `walk` reads the trees that `meta`
//! names, and `tree`, `order`, `page`, `page_set` and `freelist` say what must hold.

mod bytes;
mod check;
mod fault;
mod freelist;
mod meta;
mod order;
mod page;
mod page_set;
mod reader;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

pub(super) use self::check::check;
pub(super) use self::fault::Fault;
