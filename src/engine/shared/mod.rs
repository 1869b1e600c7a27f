//! The engine that keeps its sessions in a file, which all processes of a machine share: LMDB, by
//! way of `heed`. Every operation is one transaction.
//!
//! The rules are those of [`MemoryEngine`](super::MemoryEngine), but for these:
//!
//! - The order is that of expiry, not of use: what expires soonest is evicted first, though never
//!   the session that is being written, and listed last. Where all have one lifetime and are
//!   touched when they are used, that is the same.
//! - Reading writes nothing, unless it comes across a session that has expired.
//! - What a prune is about to remove is there until it has been removed.
//! - A sid has to have between 1 and 503 bytes. Another is never found, and too large to set.
//! - The file has a size that it does not outgrow, and `max_bytes` is a share of it at the most.
//! - Counters, and what a prune has removed, are those of this process.
//!
//! The modules: `layout` has the bytes of each entry; `file` opens the file, of which `check` tells
//! whether LMDB can use it, unless `closing` knows; `transaction` begins, ends and repeats transactions; `writing` is one
//! that writes, and `session`, `deaths` and `eviction` are what is done in it.

mod check;
mod closing;
mod deaths;
mod error;
mod eviction;
mod file;
mod layout;
mod session;
#[cfg(test)]
mod tests;
mod transaction;
mod writing;

use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use heed::types::Bytes;
use heed::{Database, Env, RoTxn};
use parking_lot::Mutex;

pub use self::error::Error;
use self::eviction::Limits;
pub use self::file::Opened;
use self::layout::{Head, State};
use self::session::{NewBody, Renewal};
use self::writing::{Buffers, STEP, count_of};
use super::{Condition, Counters, NewCookie, Options, Refused, Removed, Stats, Touched, Version};
use crate::pruner::Prunable;
use crate::record::{Body, BodyRef, BodyView};
use crate::sid::Sid;
use crate::time::{Millis, stopwatch};

type Result<T> = std::result::Result<T, Error>;
type Lmdb<T> = std::result::Result<T, heed::Error>;
type Entries = Database<Bytes, Bytes>;

/// The databases of the file; see [`layout`].
#[derive(Clone, Copy)]
struct Databases {
    heads: Entries,
    bodies: Entries,
    expiry: Entries,
    destroyed: Entries,
    deaths: Entries,
    state: Entries,
}

/// The one key in `state`.
const STATE: &[u8] = b"state";

/// What is stored of a session.
enum Session<'t> {
    Missing,
    /// Not what was written, or not all of it.
    Damaged,
    /// Its head, and its body with the checksum.
    Found(Head<'t>, &'t [u8]),
}

impl Databases {
    fn session<'t>(&self, transaction: &'t RoTxn<'_>, key: &[u8]) -> Lmdb<Session<'t>> {
        let head = self.heads.get(transaction, key)?;
        let body = self.bodies.get(transaction, key)?;
        Ok(match (head, body) {
            (None, None) => Session::Missing,
            (Some(head), Some(body)) => {
                Head::read(head).map_or(Session::Damaged, |head| Session::Found(head, body))
            }
            _ => Session::Damaged,
        })
    }

    fn state(&self, transaction: &RoTxn<'_>) -> Lmdb<Option<State>> {
        Ok(self.state.get(transaction, STATE)?.and_then(State::read))
    }

    /// The latest version. What is read in this transaction was written no later, and whatever
    /// happens to it afterwards gets a larger number.
    fn version(&self, transaction: &RoTxn<'_>) -> Lmdb<Version> {
        Ok(self.state(transaction)?.map_or(0, |state| state.version))
    }

    /// How many pages the databases use.
    fn pages(&self, transaction: &RoTxn<'_>) -> Lmdb<usize> {
        let Self { heads, bodies, expiry, destroyed, deaths, state } = self;
        let mut pages = 0;
        for database in [heads, bodies, expiry, destroyed, deaths, state] {
            let stat = database.stat(transaction)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(pages)
    }
}

/// What the serializer had returned, read at the version `read`. `None` where the body is not what
/// was written.
fn view<'t>(head: &Head<'t>, body: &'t [u8], read: Version) -> Option<BodyView<'t>> {
    BodyView::of_parts(layout::read_body(body)?, head.cut(), head.encoding, read)
}

/// What a reader found.
enum Found<R> {
    Missing,
    Alive(R),
    /// Something that is to be removed.
    Over,
}

/// A store of sessions in a file. See the [module's description](self).
///
/// Any number of threads and processes may use it. `now` is the caller's time. Operations append
/// what they removed to `removed`, in the order in which it is to be disposed of. The errors they
/// give say what LMDB or the system says, or that this process was forked off the one that opened
/// the file; nothing has been done then, but for sessions that were evicted to make room.
pub struct SharedEngine {
    path: PathBuf,
    env: Env,
    databases: Databases,
    options: Options,
    map_size: usize,
    limits: Limits,
    hasher: RandomState,
    /// The process that opened the file.
    process: u32,
    local: Mutex<Local>,
    buffers: Mutex<Buffers>,
    _lock: closing::InUse,
}

/// What is this process's own.
#[derive(Default)]
struct Local {
    counters: Counters,
    /// The prune that is under way: what has expired by then is to go, and when it began.
    prune: Option<(Millis, Instant)>,
    pruned: Vec<Removed>,
}

/// The sessions that [`SharedEngine::clear`] removed.
#[derive(Debug)]
pub struct Cleared {
    /// How many there were.
    pub count: usize,
    /// They themselves, the latest expiry first, where the engine keeps what is removed.
    pub removed: Vec<Removed>,
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

    /// The sid that `bytes` stand for, for use with this engine.
    #[must_use]
    pub fn sid(&self, bytes: &[u8]) -> Sid {
        Sid::new(bytes, &self.hasher)
    }

    /// The folder that the file is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the record of `sid`. `read` should only copy.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn get<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Result<Option<R>> {
        let found = self.fetch(sid, now, removed, read)?;
        let counters = &mut self.local.lock().counters;
        if found.is_some() {
            counters.hits += 1;
        } else {
            counters.misses += 1;
        }
        Ok(found)
    }

    /// As [`Self::get`], but does not count as a hit or a miss.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn fetch<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Result<Option<R>> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(None);
        };
        let mut read = Some(read);
        let found = self.reading(|transaction| {
            let (head, body) = match self.databases.session(transaction, key)? {
                Session::Missing => return Ok(Found::Missing),
                Session::Damaged => return Ok(Found::Over),
                Session::Found(head, body) => (head, body),
            };
            if now > head.expires {
                return Ok(Found::Over);
            }
            let Some(view) = view(&head, body, self.databases.version(transaction)?) else {
                return Ok(Found::Over);
            };
            Ok(Found::Alive(read.take().map(|read| read(view))))
        })?;
        match found {
            Found::Missing => Ok(None),
            Found::Alive(value) => Ok(value),
            Found::Over => self.take_over(key, now, removed, read),
        }
    }

    /// As [`Self::fetch`]: reading a session does not change its place in the order.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn peek<R>(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: impl FnOnce(BodyView<'_>) -> R,
    ) -> Result<Option<R>> {
        self.fetch(sid, now, removed, read)
    }

    /// Removes what has expired or is damaged. It is read if the store is `stale`, or if another
    /// process has written it since.
    fn take_over<R>(
        &self,
        key: &[u8],
        now: Millis,
        removed: &mut Vec<Removed>,
        mut read: Option<impl FnOnce(BodyView<'_>) -> R>,
    ) -> Result<Option<R>> {
        let mut value = None;
        self.writing(key, 0, removed, |writing| {
            let Some(stored) = writing.find(key)? else {
                return writing.discard(key);
            };
            let is_expired = stored.is_expired(now);
            let session = self.databases.session(&writing.transaction, key)?;
            let Session::Found(head, body) = session else {
                return writing.discard(key);
            };
            let Some(view) = view(&head, body, writing.state.version) else {
                return writing.discard(key);
            };
            if let Some(read) = read.take_if(|_| !is_expired || self.options.stale) {
                value = Some(read(view));
            }
            if is_expired { writing.expire(key, &stored) } else { Ok(()) }
        })?;
        Ok(value)
    }

    /// Writes the record of `sid`, alive until `expires`, if `condition` holds, and evicts down
    /// to the limits. No other process's write comes between. Returns the version of what was
    /// written, or why it was not.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    #[expect(clippy::needless_pass_by_value, reason = "as the other engine has it")]
    pub fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<std::result::Result<Version, Refused>> {
        let new = NewBody::new(body);
        let key =
            layout::key_of(&sid).filter(|key| new.cost(key) <= self.limits.max_bytes && new.fits());
        let Some(key) = key else {
            return Ok(Err(Refused::TooLarge));
        };
        self.writing(key, new.len(), removed, |writing| writing.set(key, &new, condition, times))
    }

    /// Gives the record of `sid` a new cookie and expiry, without the rest of the session being
    /// read or written, where that is sure to give the bytes that parsing, assigning and
    /// stringifying would.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn touch(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        now: Millis,
        expires: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        let NewCookie::Text(cookie) = cookie else {
            return Ok(Touched::NeedsText);
        };
        let Some(key) = layout::key_of(sid) else {
            return Ok(Touched::Missing);
        };
        if self.options.touch_after > 0 && self.is_too_soon(key, now, expires)? {
            return Ok(Touched::Renewed);
        }
        let renewal = Renewal { cookie, now, expires };
        self.writing(key, cookie.bytes.len(), removed, |writing| writing.touch(key, renewal))
    }

    /// Whether a touch is to be left out, told without waiting for those that write.
    fn is_too_soon(&self, key: &[u8], now: Millis, expires: Millis) -> Result<bool> {
        self.reading(|transaction| {
            let head = self.databases.heads.get(transaction, key)?.and_then(Head::read);
            let alive = head.filter(|head| now <= head.expires);
            Ok(alive.is_some_and(|head| self.options.is_too_soon(head.expires, expires)))
        })
    }

    /// Removes the record of `sid`. Returns whether there was one. From here on, nobody who has
    /// read it before can write it.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn destroy(&self, sid: &Sid, now: Millis, removed: &mut Vec<Removed>) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        self.writing(&[], 0, removed, |writing| writing.destroy(key, now))
    }

    /// How many records there are, including expired ones that nothing has come across yet.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn len(&self) -> Result<usize> {
        self.reading(|transaction| Ok(count_of(self.databases.heads.len(transaction)?)))
    }

    /// As [`Self::len`].
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn held(&self) -> Result<usize> {
        self.len()
    }

    /// Whether there are no records, not even expired ones.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What the engine holds, and what this process has done.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn stats(&self) -> Result<Stats> {
        let (sessions, state) = self.reading(|transaction| {
            let sessions = count_of(self.databases.heads.len(transaction)?);
            Ok((sessions, self.databases.state(transaction)?.unwrap_or_default()))
        })?;
        let bytes = count_of(state.bytes.saturating_add(state.dead_bytes));
        Ok(Stats { sessions, bytes, counters: self.local.lock().counters })
    }

    /// The sids, the latest expiry first, expired ones included.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn ids(&self) -> Result<Vec<Sid>> {
        self.reading(|transaction| {
            let mut sids = Vec::new();
            for entry in self.databases.expiry.rev_iter(transaction)? {
                sids.extend(layout::read_expiry_key(entry?.0).map(|(_, sid)| self.sid(sid)));
            }
            Ok(sids)
        })
    }

    /// The sids, with numbers that are in the order of their expiry, are appended to `listed`.
    /// Returns whether there are more parts: there is only one, as no writer waits for it.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn list_part(&self, part: usize, listed: &mut Vec<(u64, Sid)>) -> Result<bool> {
        if part > 0 {
            return Ok(false);
        }
        self.reading(|transaction| {
            for entry in self.databases.expiry.iter(transaction)? {
                let due = layout::read_expiry_key(entry?.0);
                listed.extend(due.map(|(expires, sid)| (layout::order_of(expires), self.sid(sid))));
            }
            Ok(false)
        })
    }

    /// Copies of all sids and bodies, the latest expiry first. Expired ones are removed, and
    /// listed once more only if the store is `stale`.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn all(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<Vec<(Sid, Body)>> {
        let (listed, over) = self.reading(|transaction| {
            let (mut listed, mut over) = (Vec::new(), Vec::new());
            for entry in self.databases.expiry.rev_iter(transaction)? {
                let Some((_, key)) =
                    layout::read_expiry_key(entry?.0).filter(|due| !due.1.is_empty())
                else {
                    continue;
                };
                let session = self.databases.session(transaction, key)?;
                let found = match &session {
                    Session::Found(head, body) => {
                        view(head, body, 0).map(|view| (view, head.expires))
                    }
                    Session::Missing | Session::Damaged => None,
                };
                let is_expired = found.is_some_and(|(_, expires)| now > expires);
                if is_expired || found.is_none() {
                    over.push(key.to_vec());
                }
                if let Some((view, _)) = found.filter(|_| !is_expired || self.options.stale) {
                    listed.push((self.sid(key), view.to_body()));
                }
            }
            Ok((listed, over))
        })?;
        self.remove_over(&over, now, removed)?;
        Ok(listed)
    }

    /// Removes those of the sessions that have expired or are damaged.
    fn remove_over(&self, keys: &[Vec<u8>], now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        for keys in keys.chunks(STEP) {
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

    /// Removes all records. From here on, nobody who has read one before can write it.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn clear(&self, now: Millis) -> Result<Cleared> {
        let mut removed = Vec::new();
        let count = self.writing(&[], 0, &mut removed, |writing| writing.clear(now))?;
        Ok(Cleared { count, removed })
    }

    /// Removes what has expired by `now`, what expired first first, before it returns.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn prune(&self, now: Millis, removed: &mut Vec<Removed>) -> Result<()> {
        let began = stopwatch();
        while self.writing(&[], 0, removed, |writing| writing.prune(now))? {}
        self.note_pruned(began);
        Ok(())
    }

    /// Notes that what has expired by `now` is to be removed. Removing it is left to
    /// [`Self::prune_first`] and [`Prunable::prune_step`]. Another prune that is under way is
    /// given up: it went by a clock that has gone on, or has been set back, since.
    pub fn begin_prune(&self, now: Millis) {
        self.local.lock().prune = Some((now, stopwatch()));
    }

    /// Does a step of the prune that is under way: others that write wait for no more than that.
    /// Returns whether there is more to do.
    ///
    /// # Errors
    /// See [`SharedEngine`]. The prune is over then.
    pub fn prune_first(&self) -> Result<bool> {
        let Some((now, began)) = self.local.lock().prune else {
            return Ok(false);
        };
        let mut removed = Vec::new();
        let more = self.writing(&[], 0, &mut removed, |writing| writing.prune(now));
        let mut local = self.local.lock();
        if self.options.keep_removed {
            local.pruned.append(&mut removed);
        }
        if matches!(more, Ok(true)) {
            return Ok(true);
        }
        // Unless another one has begun meanwhile.
        let is_over = local.prune == Some((now, began));
        if is_over {
            local.prune = None;
        }
        drop(local);
        more?;
        if is_over {
            self.note_pruned(began);
        }
        Ok(!is_over)
    }

    fn note_pruned(&self, began: Instant) {
        let counters = &mut self.local.lock().counters;
        counters.prunes += 1;
        counters.last_prune = began.elapsed();
    }

    /// Whether a prune that was begun has not ended.
    #[must_use]
    pub fn is_pruning(&self) -> bool {
        self.local.lock().prune.is_some()
    }

    /// Moves up to `limit` of the sessions that prunes in the background have removed into
    /// `removed`. Returns whether there are more, or may be soon. Only an engine with
    /// `keep_removed` has any.
    pub fn take_pruned(&self, limit: usize, removed: &mut Vec<Removed>) -> bool {
        let mut local = self.local.lock();
        let count = limit.min(local.pruned.len());
        removed.extend(local.pruned.drain(..count));
        local.has_pruned()
    }

    /// Whether [`Self::take_pruned`] has anything to give, or may have soon.
    #[must_use]
    pub fn has_pruned(&self) -> bool {
        self.local.lock().has_pruned()
    }

    /// Writes to the disk what the system has not yet written: what comes before this call
    /// survives a power failure.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn force_sync(&self) -> Result<()> {
        self.belongs_here()?;
        self.env.force_sync().map_err(|cause| self.error(cause))
    }

    /// Gives up what processes that died while they were reading still hold of the file. Returns
    /// how many there were.
    ///
    /// # Errors
    /// See [`SharedEngine`].
    pub fn clear_stale_readers(&self) -> Result<usize> {
        self.belongs_here()?;
        self.env.clear_stale_readers().map_err(|cause| self.error(cause))
    }
}

impl Local {
    fn has_pruned(&self) -> bool {
        !self.pruned.is_empty() || self.prune.is_some()
    }
}

impl Prunable for SharedEngine {
    /// An error ends the prune. Whoever calls the engine next is told of its cause.
    fn prune_step(&self) -> bool {
        let more = self.prune_first();
        if !matches!(more, Ok(true)) {
            let _ = self.clear_stale_readers();
        }
        more.unwrap_or(false)
    }
}

impl std::fmt::Debug for SharedEngine {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.debug_struct("SharedEngine").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Keeps an engine for all stores of this process that have its path.
type Shared = Arc<SharedEngine>;
