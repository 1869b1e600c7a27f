//! The databases of the file, and what a transaction that reads sees in them.
//!
//! It has no environment, begins no transaction and writes nothing.

use std::borrow::Cow;

use heed::RoTxn;

use super::body::{self, Owner, PieceKeys};
use super::head::Head;
use super::layout::{self, State};
use super::lmdb::{Entries, Lmdb, count_of};
use super::space::PageSize;
use crate::engine::types::Version;
use crate::engine::users::User;
use crate::session::BodyView;

/// The databases of the file; see [`layout`].
#[derive(Clone, Copy)]
pub(super) struct Databases {
    /// Those of even and of odd generations: one has the sessions, the other is empty or being
    /// swept.
    pub(super) sessions: [Sessions; 2],
    pub(super) tombstones: Entries,
    pub(super) tombstone_order: Entries,
    pub(super) state: Entries,
}

/// The databases that have the sessions.
#[derive(Clone, Copy)]
pub(super) struct Sessions {
    pub(super) heads: Entries,
    pub(super) bodies: Entries,
    pub(super) pieces: Entries,
    /// Of sessions of nobody.
    pub(super) expiry: Entries,
    /// Of those of users, which are evicted later.
    pub(super) owned: Entries,
    pub(super) users: Entries,
}

/// The one key in `state`.
pub(super) const STATE: &[u8] = b"state";

/// What is stored of a session.
pub(super) enum Session<'t> {
    Missing,
    /// Not what was written, or not all of it.
    Damaged,
    /// Its head, and its body with the checksum.
    Found(Head<'t>, Cow<'t, [u8]>),
}

/// What a transaction that reads sees.
pub(super) struct Snapshot<'t> {
    pub(super) transaction: &'t RoTxn<'t>,
    pub(super) databases: Databases,
    /// Its version is that of the reader: what it reads was written no later, and whatever
    /// happens afterwards gets a larger number.
    pub(super) state: State,
    pub(super) sessions: Sessions,
}

impl Databases {
    /// The databases that have the sessions in `state`.
    pub(super) fn sessions(&self, state: &State) -> Sessions {
        self.sessions[usize::from(state.generation % 2 == 1)]
    }

    pub(super) fn state(&self, transaction: &RoTxn<'_>) -> Lmdb<State> {
        let stored = self.state.get(transaction, STATE)?.and_then(State::read);
        Ok(stored.unwrap_or(State { format: layout::FORMAT, ..State::default() }))
    }

    pub(super) fn are_empty(&self, transaction: &RoTxn<'_>) -> Lmdb<bool> {
        let [even, odd] = &self.sessions;
        Ok(even.heads.is_empty(transaction)? && odd.heads.is_empty(transaction)?)
    }

    pub(super) fn snapshot<'t>(&self, transaction: &'t RoTxn<'t>) -> Lmdb<Snapshot<'t>> {
        let state = self.state(transaction)?;
        Ok(Snapshot { transaction, databases: *self, state, sessions: self.sessions(&state) })
    }

    /// The state with its sums counted anew: damage may have removed what they counted.
    pub(super) fn recounted(
        &self,
        transaction: &RoTxn<'_>,
        state: State,
        page: PageSize,
    ) -> Lmdb<State> {
        let mut bytes = 0;
        for entry in self.sessions(&state).heads.iter(transaction)? {
            let (sid, head) = entry?;
            if let Some(head) = Head::read(sid, head) {
                bytes += page.cost_of(sid.len(), &head) as u64;
            }
        }
        let mut tombstone_bytes = 0;
        for entry in self.tombstone_order.iter(transaction)? {
            if let Some((_, sid)) = layout::read_tombstone_key(entry?.0) {
                tombstone_bytes += page.tombstone_cost(sid.len()) as u64;
            }
        }
        Ok(State { bytes, tombstone_bytes, ..state })
    }

    /// How many pages the databases use.
    pub(super) fn pages(&self, transaction: &RoTxn<'_>) -> Lmdb<usize> {
        let Self { sessions, tombstones, tombstone_order, state } = self;
        let sessions = sessions.iter().flat_map(Sessions::all);
        let mut pages = 0;
        for database in sessions.chain([*tombstones, *tombstone_order, *state]) {
            let stat = database.stat(transaction)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(pages)
    }
}

impl Sessions {
    pub(super) fn all(&self) -> [Entries; 6] {
        [self.heads, self.bodies, self.pieces, self.expiry, self.owned, self.users]
    }

    /// The entries by which sessions of `owner` are found when they expire.
    pub(super) fn expiry_of(&self, owner: User) -> Entries {
        if owner == User::NOBODY { self.expiry } else { self.owned }
    }

    /// The sids, the latest expiry first, and last those whose head cannot be read.
    pub(super) fn latest_first<'t>(&self, transaction: &'t RoTxn<'_>) -> Lmdb<Vec<&'t [u8]>> {
        let mut found = Vec::with_capacity(count_of(self.heads.len(transaction)?));
        for entry in self.heads.iter(transaction)? {
            let (sid, head) = entry?;
            found.push((Head::read(sid, head).map(|head| head.due), sid));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found.into_iter().map(|(_, sid)| sid).collect())
    }

    pub(super) fn get<'t>(&self, transaction: &'t RoTxn<'_>, key: &[u8]) -> Lmdb<Session<'t>> {
        let Some(value) = self.heads.get(transaction, key)? else {
            return Ok(Session::Missing);
        };
        let Some(head) = Head::read(key, value) else {
            return Ok(Session::Damaged);
        };
        if let Some(body) = head.here {
            return Ok(Session::Found(head, Cow::Borrowed(body)));
        }
        let Some(first) = self.bodies.get(transaction, key)? else {
            return Ok(Session::Damaged);
        };
        let body = self.body(transaction, (key, &head), first)?;
        Ok(body.map_or(Session::Damaged, |body| Session::Found(head, body)))
    }

    /// The whole body apart from its head that begins with `first`, put together if need be. `None` if something is
    /// missing.
    fn body<'t>(
        &self,
        transaction: &'t RoTxn<'_>,
        (key, head): (&[u8], &Head<'_>),
        first: &'t [u8],
    ) -> Lmdb<Option<Cow<'t, [u8]>>> {
        let length = layout::CHECKSUM + head.body as usize;
        if first.len() >= length {
            return Ok((first.len() == length).then_some(Cow::Borrowed(first)));
        }
        let mut body = Vec::with_capacity(length);
        body.extend_from_slice(first);
        let mut keys = PieceKeys::new(key);
        for number in 0.. {
            if body.len() >= length {
                break;
            }
            let Some(piece) = self.pieces.get(transaction, keys.key(number))? else {
                return Ok(None);
            };
            body.extend_from_slice(piece);
        }
        Ok((body.len() == length).then_some(Cow::Owned(body)))
    }
}

impl Snapshot<'_> {
    pub(super) fn len(&self) -> Lmdb<usize> {
        Ok(count_of(self.sessions.heads.len(self.transaction)?))
    }

    /// How many of them belong to somebody.
    pub(super) fn owned(&self) -> Lmdb<usize> {
        Ok(count_of(self.sessions.users.len(self.transaction)?))
    }
}

/// What the serializer had returned, read at the version `read`. `None` if the body is not what was
/// written.
pub(super) fn view<'t>(
    key: &[u8],
    head: &Head<'t>,
    stored: &'t [u8],
    read: Version,
) -> Option<BodyView<'t>> {
    let owner = Owner { sid: key, version: head.version };
    BodyView::of_parts(
        body::read_body(owner, stored)?,
        head.cut(),
        head.encoding,
        (read, head.due.expires),
    )
}
