//! The engine that keeps its sessions in a file, which all processes of a machine share: LMDB, by
//! way of `heed`. Every operation is one transaction.
//!
//! The rules are those of [`MemoryEngine`](super::MemoryEngine), but for these:
//!
//! - The order is that of expiry, and of writes and touches where sessions expire in the same
//!   millisecond, not of use: what expires soonest is evicted first, though never
//!   the session that is being written, and listed last. Where all have one lifetime and are
//!   touched when they are used, that is the same.
//! - Reading writes nothing, unless it comes across a session that has expired.
//! - A sid has to have between 1 and 503 bytes. Another is never found, and refused by `set`.
//! - A prune also removes what is written while it goes on and has expired by then.
//! - The file has a size that it does not outgrow, and `max_bytes` is a share of it at the most.
//! - Counters, and what a prune has removed, are those of this process.
//!
//! The modules: `layout` has the bytes of each entry, `space` tells what they take and what there is
//! room for, and `blocks` what the disk has of that; `file` opens the file, in a `folder` that is
//! safe to use and on a disk that `network` has nothing against, of which `check` tells whether LMDB
//! can use it, unless `closing` knows; `following` opens the next one where it is replaced;
//! `transaction` begins, ends and repeats transactions; `writing` is one that writes, and
//! `writer_lock` lets one writer in at a time; `session`, `deaths`, `clearing` and `eviction` are
//! what is done in it; `pruning` and `listing`
//! are what takes more than one.

mod blocks;
mod check;
mod clearing;
mod closing;
mod deaths;
mod error;
mod eviction;
mod file;
mod folder;
mod following;
mod layout;
mod listing;
mod network;
mod pruning;
mod session;
mod space;
#[cfg(test)]
pub(super) mod tests;
mod transaction;
mod writer_lock;
mod writing;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, WithoutTls};
use parking_lot::{Mutex, RwLock};

use self::error::Attempt;
pub use self::error::Error;
use self::eviction::STEP_FOR_PAGES;
use self::file::Files;
pub use self::file::Opened;
use self::folder::Identity;
use self::layout::{Head, Owner, PieceKeys, State};
use self::listing::SidListing;
use self::pruning::Pruning;
use self::session::{NewBody, Renewal};
use self::space::{Limits, PageSize};
use self::writing::{Buffers, count_of};
use super::{
    Condition, Counters, Engine, Listing, NewCookie, Options, Refused, Removed, Result, Stats,
    Touched, Version,
};
use crate::session::TemplateHandle;
use crate::session::{Body, BodyRef, BodyView};
use crate::sid::Sid;
use crate::time::Millis;

type Lmdb<T> = Result<T, heed::Error>;
type Entries = Database<Bytes, Bytes>;

/// A transaction that reads does not belong to a thread. If it did, each thread that ends would
/// run code of LMDB, which may not be there any more.
type Environment = Env<WithoutTls>;

/// The databases of the file; see [`layout`].
#[derive(Clone, Copy)]
struct Databases {
    /// One generation's and the next one's.
    sessions: [Sessions; 2],
    destroyed: Entries,
    deaths: Entries,
    state: Entries,
}

/// The databases that have the sessions.
#[derive(Clone, Copy)]
struct Sessions {
    heads: Entries,
    bodies: Entries,
    pieces: Entries,
    expiry: Entries,
}

/// The one key in `state`.
const STATE: &[u8] = b"state";

/// What is stored of a session.
enum Session<'t> {
    Missing,
    /// Not what was written, or not all of it.
    Damaged,
    /// Its head, and its body with the checksum.
    Found(Head<'t>, Cow<'t, [u8]>),
}

/// What a transaction that reads sees.
struct Snapshot<'t> {
    transaction: &'t RoTxn<'t>,
    databases: Databases,
    /// Its version is that of the reader: what it reads was written no later, and whatever
    /// happens afterwards gets a larger number.
    state: State,
    sessions: Sessions,
}

impl Databases {
    /// Those that have the sessions in a state.
    fn sessions(&self, state: &State) -> Sessions {
        self.sessions[usize::from(state.generation % 2 == 1)]
    }

    fn state(&self, transaction: &RoTxn<'_>) -> Lmdb<State> {
        let stored = self.state.get(transaction, STATE)?.and_then(State::read);
        Ok(stored.unwrap_or(State { format: layout::FORMAT, ..State::default() }))
    }

    fn are_empty(&self, transaction: &RoTxn<'_>) -> Lmdb<bool> {
        let [even, odd] = &self.sessions;
        Ok(even.heads.is_empty(transaction)? && odd.heads.is_empty(transaction)?)
    }

    fn snapshot<'t>(&self, transaction: &'t RoTxn<'t>) -> Lmdb<Snapshot<'t>> {
        let state = self.state(transaction)?;
        Ok(Snapshot { transaction, databases: *self, state, sessions: self.sessions(&state) })
    }

    /// A state whose sums are those of what there is: damage may have taken what they counted.
    fn recounted(&self, transaction: &RoTxn<'_>, state: State, page: PageSize) -> Lmdb<State> {
        let mut bytes = 0;
        for entry in self.sessions(&state).heads.iter(transaction)? {
            let (sid, head) = entry?;
            if let Some(head) = Head::read(sid, head) {
                bytes += page.cost(sid.len(), head.cookie.len(), head.body as usize) as u64;
            }
        }
        let mut dead_bytes = 0;
        for entry in self.deaths.iter(transaction)? {
            if let Some((_, sid)) = layout::read_death_key(entry?.0) {
                dead_bytes += page.death_cost(sid.len()) as u64;
            }
        }
        Ok(State { bytes, dead_bytes, ..state })
    }

    /// How many pages the databases use.
    fn pages(&self, transaction: &RoTxn<'_>) -> Lmdb<usize> {
        let Self { sessions, destroyed, deaths, state } = self;
        let sessions = sessions.iter().flat_map(Sessions::all);
        let mut pages = 0;
        for database in sessions.chain([*destroyed, *deaths, *state]) {
            let stat = database.stat(transaction)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(pages)
    }
}

impl Sessions {
    fn all(&self) -> [Entries; 4] {
        [self.heads, self.bodies, self.pieces, self.expiry]
    }

    fn get<'t>(&self, transaction: &'t RoTxn<'_>, key: &[u8]) -> Lmdb<Session<'t>> {
        let head = self.heads.get(transaction, key)?;
        let body = self.bodies.get(transaction, key)?;
        let (head, first) = match (head, body) {
            (None, None) => return Ok(Session::Missing),
            (Some(head), Some(body)) => (Head::read(key, head), body),
            _ => return Ok(Session::Damaged),
        };
        let Some(head) = head else {
            return Ok(Session::Damaged);
        };
        let body = self.body(transaction, (key, &head), first)?;
        Ok(body.map_or(Session::Damaged, |body| Session::Found(head, body)))
    }

    /// The whole body that begins with `first`, put together if need be. `None` where something is
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
    fn len(&self) -> Lmdb<usize> {
        Ok(count_of(self.sessions.heads.len(self.transaction)?))
    }

    /// The sids, the latest expiry first.
    fn latest_first(&self) -> Lmdb<impl Iterator<Item = Lmdb<&[u8]>> + use<'_>> {
        let entries = self.sessions.expiry.rev_iter(self.transaction)?;
        Ok(entries.filter_map(|entry| match entry {
            Ok(entry) => layout::read_expiry(entry).map(|(_, sid)| Ok(sid)),
            Err(error) => Some(Err(error)),
        }))
    }
}

/// What the serializer had returned, read at the version `read`. `None` where the body is not what
/// was written.
fn view<'t>(key: &[u8], head: &Head<'t>, body: &'t [u8], read: Version) -> Option<BodyView<'t>> {
    let owner = Owner { sid: key, version: head.version };
    BodyView::of_parts(
        layout::read_body(owner, body)?,
        head.cut(),
        head.encoding,
        (read, head.due.expires),
    )
}

/// What a reader found.
enum Found {
    Missing,
    Alive,
    /// Something that is to be removed.
    Over,
}

/// A store of sessions in a file. See the [module's description](self).
///
/// Any number of threads and processes may use it. The errors it gives say what LMDB or the system
/// says, or that this process was forked off the one that opened the file; nothing has been done
/// then, but for sessions that were evicted to make room.
pub struct SharedEngine {
    path: PathBuf,
    /// Why there are none, where they were removed and could not be made anew.
    files: RwLock<Result<Files, String>>,
    options: Options,
    map_size: usize,
    hasher: RandomState,
    /// The process that opened the file.
    process: u32,
    /// What this process has done.
    counters: Mutex<Counters>,
    pruning: Mutex<Pruning>,
    /// Whether this process has written something since it synced last.
    is_dirty: AtomicBool,
    /// Whether readers held the file full for longer than a writer waits.
    is_held: AtomicBool,
    buffers: Mutex<Buffers>,
    /// What has become of the files, until it is told.
    notices: Mutex<VecDeque<String>>,
}

impl SharedEngine {
    /// Opens the file in the folder `path`, and makes both if need be. It will not grow beyond
    /// `map_size` bytes. Stores of this process that have one path share one engine.
    ///
    /// # Errors
    /// What is wrong with the path, or in which option the engine of this path differs.
    pub fn open(path: &Path, map_size: usize, options: Options) -> Result<Opened> {
        file::open(path, map_size, options)
    }

    /// The folder that the file is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what has expired or is damaged. It is read if the store is `stale`, or if another
    /// process has written it since.
    fn take_over(
        &self,
        key: &[u8],
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        self.writing(key, 0, removed, |writing| {
            let Some(stored) = writing.find(key)? else {
                writing.discard(key)?;
                return Ok(false);
            };
            let session = writing.sessions.get(&writing.transaction, key)?;
            let view = match &session {
                Session::Found(head, body) => view(key, head, body, writing.state.version),
                Session::Missing | Session::Damaged => None,
            };
            let Some(view) = view else {
                writing.discard(key)?;
                return Ok(false);
            };
            let is_expired = stored.is_expired(now);
            let is_read = !is_expired || self.options.stale;
            if is_read {
                read(view);
            }
            if is_expired {
                writing.expire(key, &stored)?;
            }
            Ok(is_read)
        })
    }

    fn touch_session(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        is_tied: bool,
        (now, expires): (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        let NewCookie::Text(cookie) = cookie else {
            return Ok(Touched::NeedsText);
        };
        self.note_time(now);
        let Some(key) = layout::key_of(sid) else {
            return Ok(Touched::Missing);
        };
        if self.options.touch_after > 0 && self.is_too_soon(key, now, expires)? {
            return Ok(Touched::Renewed);
        }
        let renewal = Renewal { cookie, is_tied, now, expires };
        self.writing(key, cookie.bytes.len(), removed, |writing| writing.touch(key, renewal))
    }

    /// Whether a touch is to be left out, told without waiting for those that write.
    fn is_too_soon(&self, key: &[u8], now: Millis, expires: Millis) -> Result<bool> {
        self.reading(|snapshot| {
            let head = snapshot.sessions.heads.get(snapshot.transaction, key)?;
            let alive = head.and_then(|head| Head::read(key, head));
            let alive = alive.filter(|head| now <= head.due.expires);
            Ok(alive.is_some_and(|head| self.options.is_too_soon(head.due.expires, expires)))
        })
    }

    /// What there is room for.
    fn limits(&self) -> Result<Limits> {
        let files = self.files().map_err(|cause| self.error(Attempt::Write, cause))?;
        Ok(files.limits)
    }

    /// Whether the file that is open has LMDB's lock file.
    fn has_open(&self, lock: Identity) -> bool {
        self.files.read().as_ref().is_ok_and(|files| files.has_open(lock))
    }

    /// How many sessions there are, and the state.
    fn sums(&self) -> Result<(usize, State)> {
        self.reading(|snapshot| Ok((snapshot.len()?, snapshot.state)))
    }

    /// Removes those of the sessions that have expired or are damaged.
    fn remove_over(&self, keys: &[Vec<u8>], now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        // They are anywhere in the file, and each is on pages of its own.
        for keys in keys.chunks(STEP_FOR_PAGES) {
            self.writing(&[], 0, removed, |writing| {
                for key in keys {
                    match writing.find(key)? {
                        Some(stored) if stored.is_expired(now) => writing.expire(key, &stored)?,
                        Some(_) if writing.is_whole(key)? => {}
                        _ => writing.discard(key)?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Gives up what processes that died while they were reading still hold of the file. Returns
    /// how many there were.
    fn clear_stale_readers(&self) -> Result<usize> {
        let cleared = self.files().and_then(|files| Ok(files.env.clear_stale_readers()?));
        cleared.map_err(|cause| self.error(Attempt::Read, cause))
    }
}

impl SharedEngine {
    fn sync_by(&self, sync: impl FnOnce(&Environment) -> Lmdb<()>) -> Result<()> {
        self.clear_stale_readers()?;
        // Before it begins, so that what is written meanwhile counts.
        self.is_dirty.store(false, Ordering::Relaxed);
        self.files().and_then(|files| Ok(sync(&files.env)?)).map_err(|cause| {
            self.is_dirty.store(true, Ordering::Relaxed);
            self.error(Attempt::Sync, cause)
        })
    }
}

impl Engine for SharedEngine {
    fn sid(&self, bytes: &[u8]) -> Sid {
        Sid::new(bytes, &self.hasher)
    }

    fn is_durable(&self) -> bool {
        true
    }

    /// The map of a large file takes milliseconds to go.
    fn takes_long_to_drop(&self) -> bool {
        true
    }

    fn get(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        let is_found = self.fetch(sid, now, removed, read)?;
        let counters = &mut self.counters.lock();
        if is_found {
            counters.hits += 1;
        } else {
            counters.misses += 1;
        }
        Ok(is_found)
    }

    fn fetch(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        let found = self.reading(|snapshot| {
            let (head, body) = match snapshot.sessions.get(snapshot.transaction, key)? {
                Session::Missing => return Ok(Found::Missing),
                Session::Damaged => return Ok(Found::Over),
                Session::Found(head, body) => (head, body),
            };
            if now > head.due.expires {
                return Ok(Found::Over);
            }
            let Some(view) = view(key, &head, &body, snapshot.state.version) else {
                return Ok(Found::Over);
            };
            read(view);
            Ok(Found::Alive)
        })?;
        match found {
            Found::Missing => Ok(false),
            Found::Alive => Ok(true),
            Found::Over => self.take_over(key, now, removed, read),
        }
    }

    /// As [`Self::fetch`]: reading a session does not change its place in the order.
    fn peek(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        self.fetch(sid, now, removed, read)
    }

    fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Result<Version, Refused>> {
        self.note_time(times.0);
        let Some(key) = layout::key_of(&sid) else {
            return Ok(Err(Refused::Sid));
        };
        let new = NewBody::new(body);
        if !new.fits(key, &self.limits()?) {
            return Ok(Err(Refused::TooLarge));
        }
        self.writing(key, new.len(), removed, |writing| writing.set(key, &new, condition, times))
    }

    fn note_merge(&self) {
        self.counters.lock().merges += 1;
    }

    fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        self.touch_session(sid, cookie, false, (now, expires), removed)
    }

    fn renew(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        self.touch_session(sid, cookie, true, (now, expires), removed)
    }

    /// None: a template would have to be known to all processes.
    fn template(&self, _: &[u8]) -> Option<TemplateHandle> {
        None
    }

    fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        self.writing(&[], 0, removed, |writing| writing.destroy(key, now))
    }

    fn length(&self) -> Result<usize> {
        Ok(self.sums()?.0)
    }

    fn stats(&self) -> Result<Stats> {
        let (sessions, state) = self.sums()?;
        let bytes = count_of(state.bytes.saturating_add(state.dead_bytes));
        Ok(Stats { sessions, bytes, counters: *self.counters.lock() })
    }

    fn ids(&self) -> Result<Vec<Sid>> {
        self.reading(|snapshot| snapshot.latest_first()?.map(|sid| Ok(self.sid(sid?))).collect())
    }

    fn listing(self: Arc<Self>) -> Result<Box<dyn Listing>> {
        Ok(Box::new(SidListing::new(&self)))
    }

    fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        let (listed, over) = self.reading(|snapshot| {
            let (mut listed, mut over) = (Vec::new(), Vec::new());
            for key in snapshot.latest_first()? {
                let key = key?;
                let session = snapshot.sessions.get(snapshot.transaction, key)?;
                let found = match &session {
                    Session::Found(head, body) => {
                        view(key, head, body, 0).map(|view| (view, head.due.expires))
                    }
                    Session::Missing | Session::Damaged => None,
                };
                if found.is_none_or(|(_, expires)| now > expires) {
                    over.push(key.to_vec());
                }
                let is_listed = |expires| now <= expires || self.options.stale;
                if let Some((view, _)) = found.filter(|(_, expires)| is_listed(*expires)) {
                    listed.push((self.sid(key), view.to_body()));
                }
            }
            Ok((listed, over))
        })?;
        self.remove_over(&over, now, removed)?;
        Ok(listed)
    }

    fn clear(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        if self.writing(&[], 0, removed, |writing| writing.clear(now))? {
            self.sweep_later();
        }
        Ok(())
    }

    fn begin_prune(&self, now: Millis) -> Result<()> {
        self.prune_now(now)
    }

    fn is_busy(&self) -> Result<bool> {
        self.pruning.lock().is_busy()
    }

    fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        self.pruning.lock().take_pruned(limit, removed)
    }

    fn is_dirty(&self) -> bool {
        self.is_dirty.load(Ordering::Relaxed)
    }

    /// Also has the file give up what dead readers hold: it would grow with what is written.
    fn sync(&self) -> Result<()> {
        self.sync_by(Env::force_sync)
    }

    fn is_replaced(&self) -> bool {
        self.is_file_replaced()
    }

    fn follow(&self) -> Result<()> {
        self.follow_files(file::NOTICING)
    }

    fn take_notice(&self) -> Option<String> {
        self.notices.lock().pop_front()
    }

    #[cfg(test)]
    fn validate(&self) {
        self.validate();
    }
}

impl std::fmt::Debug for SharedEngine {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.debug_struct("SharedEngine").field("path", &self.path).finish_non_exhaustive()
    }
}
