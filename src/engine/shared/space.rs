//! What there is room for: the size of the file's pages, what sessions take of them, and the limits
//! that follow from the size of the map.

use super::head::{HEAD, Head};
use super::index;
use super::layout::{CHECKSUM, DUE, TOMBSTONE};
use super::lmdb::Environment;
use super::notes::NOTE;
use crate::engine::types::Options;
use crate::engine::users::{Note, User};

/// `PAGEHDRSZ` of LMDB.
const PAGE_HEADER: usize = 16;

/// What a node takes beside its key and value: its header, and a pointer to it.
const NODE_HEADER: usize = 8;
const NODE_POINTER: usize = 2;

/// The page number in the place of a value that has a page of its own.
const PAGE_NUMBER: usize = 8;

/// LMDB's pages are those of the system that made the file, but not larger than this.
const LARGEST_PAGE: usize = 32 << 10;

/// With less, the pages that each transaction copies would leave too few for sessions.
const FEWEST_PAGES: usize = 256;

/// Multiples of the page sizes that systems have.
pub(super) const MAP_UNIT: usize = 64 << 10;

/// A transaction of LMDB cannot write more than 131,071 pages; this is half of them at the smallest
/// size.
const LARGEST_SESSION: usize = 256 << 20;

/// How many pages have to be left for a transaction that evicts: those that another has freed can
/// only be used by the second one after it.
pub(super) const RESERVE: u32 = 32;

/// What is noted of a session, as far as it takes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    No,
    Nobody,
    Somebody,
}

impl Noted {
    pub(super) fn by(note: Option<Note>) -> Self {
        note.map_or(Self::No, |note| match note.owner {
            User::NOBODY => Self::Nobody,
            _ => Self::Somebody,
        })
    }

    /// The most that a session may need.
    pub(super) fn at_most(options: &Options) -> Self {
        match (options.user, options.has_notes()) {
            (0, false) => Self::No,
            (0, true) => Self::Nobody,
            _ => Self::Somebody,
        }
    }
}

/// The size of the file's pages. It is that of the system that made the file, wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize(usize);

impl PageSize {
    pub(super) fn of(env: &Environment) -> Self {
        Self(env.stat().page_size as usize)
    }

    /// That of the files that this system makes.
    pub(super) fn of_system() -> Self {
        Self(page_size::get().min(LARGEST_PAGE))
    }

    #[cfg(test)]
    pub(super) const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    pub(super) const fn bytes(self) -> usize {
        self.0
    }

    /// What a page has beside its header: a value of that length fits into a page of its own.
    pub(super) const fn room(self) -> usize {
        self.0 - PAGE_HEADER
    }

    /// `me_nodemax` of LMDB: a node that would take more has its value on a page of its own.
    const fn largest_node(self) -> usize {
        ((self.room() / 2) & !1) - NODE_POINTER
    }

    /// What a node takes of the file, whose value is no longer than [`Self::room`]. The pages of a
    /// B+ tree that grows at random places are about two thirds full (Yao, 1978: ln 2).
    const fn node_cost(self, key: usize, value: usize) -> usize {
        if NODE_HEADER + key + value > self.largest_node() {
            return self.0 + self.node_cost(key, PAGE_NUMBER);
        }
        let fitting = self.room() / (NODE_HEADER + NODE_POINTER + key + value);
        3 * self.0 / 2 / fitting
    }

    /// Whether a body of that length, with its checksum, does not fit into one value.
    pub(super) const fn needs_pieces(self, body: usize) -> bool {
        CHECKSUM + body > self.room()
    }

    /// What a body takes: what does not fit into a page goes on in pieces that do.
    const fn body_cost(self, key: usize, body: usize) -> usize {
        let value = CHECKSUM + body;
        if !self.needs_pieces(body) {
            return self.node_cost(key, value);
        }
        let (full, rest) = (value / self.room(), value % self.room());
        let last = if rest > 0 { self.node_cost(key + size_of::<u32>(), rest) } else { 0 };
        full * self.node_cost(key + size_of::<u32>(), self.room()) + last
    }

    /// Whether a session of these lengths is one value, which fits into a leaf: its head, which may
    /// have to tell where the expiry is, and its body.
    pub(super) const fn is_whole(
        self,
        key: usize,
        cookie: usize,
        body: usize,
        noted: Noted,
    ) -> bool {
        let value = head_length(cookie, noted) + DUE + CHECKSUM + body;
        NODE_HEADER + key + value <= self.largest_node()
    }

    /// What a session of these lengths takes of the file once it is written.
    pub(super) const fn cost(self, key: usize, cookie: usize, body: usize, noted: Noted) -> usize {
        let is_whole = self.is_whole(key, cookie, body, noted);
        self.cost_where(key, (cookie, body), noted, is_whole)
    }

    /// What the session with this head takes, whose sid has this length.
    pub(super) fn cost_of(self, key: usize, head: &Head<'_>) -> usize {
        let lengths = (head.cookie.len(), head.body as usize);
        self.cost_where(key, lengths, Noted::by(head.note), head.here.is_some())
    }

    /// A node in the tree of the heads, and another in that of the expiries. If the body is apart, a
    /// node for it, and its pieces. If the session belongs to somebody, a node in the tree of users.
    const fn cost_where(
        self,
        key: usize,
        (cookie, body): (usize, usize),
        noted: Noted,
        is_whole: bool,
    ) -> usize {
        let head = head_length(cookie, noted);
        let session = if is_whole {
            self.node_cost(key, head + CHECKSUM + body)
        } else {
            self.node_cost(key, head) + self.body_cost(key, body)
        };
        let entry = if matches!(noted, Noted::Somebody) { self.user_cost(key) } else { 0 };
        session + self.node_cost(DUE, key) + entry
    }

    const fn user_cost(self, key: usize) -> usize {
        let (key, value) = index::lengths(key);
        self.node_cost(key, value)
    }

    /// What a destroyed sid takes while it is remembered.
    pub(super) const fn tombstone_cost(self, key: usize) -> usize {
        self.node_cost(key, TOMBSTONE) + self.node_cost(8 + key, 0)
    }
}

/// The length of a head that does not tell where the expiry is: most need not.
const fn head_length(cookie: usize, noted: Noted) -> usize {
    let note = if matches!(noted, Noted::No) { 0 } else { NOTE };
    HEAD + note + cookie
}

/// The size of the map for what was asked for: whole units, and not too little.
pub(super) fn map_size(asked: usize) -> usize {
    let least = FEWEST_PAGES * PageSize::of_system().bytes();
    asked.max(least).next_multiple_of(MAP_UNIT)
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) page: PageSize,
    pub(super) max: usize,
    pub(super) max_bytes: usize,
    /// How long a session may be, as the serializer returned it.
    pub(super) max_session: usize,
    /// How many pages may be in use.
    pub(super) max_pages: usize,
    /// How many pages the map has.
    pub(super) pages: usize,
}

impl Limits {
    /// Half of the file is for the estimated size of the sessions. The pages in use may be more
    /// than that, and then some are needed for what writers copy and readers still hold.
    ///
    /// An eighth is for one session. While it is overwritten the file has it twice, once more what
    /// the last transaction freed, and what it takes to evict all others.
    pub(super) fn new(options: Options, page: PageSize, map_size: usize) -> Self {
        let pages = map_size / page.bytes();
        Self {
            page,
            max: options.max,
            max_bytes: options.max_bytes.min(map_size / 2),
            max_session: (map_size / 8).min(LARGEST_SESSION),
            max_pages: (pages / 4 * 3).min(pages.saturating_sub(3 * RESERVE as usize)),
            pages,
        }
    }
}

#[cfg(test)]
mod tests;
