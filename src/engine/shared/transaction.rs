//! How the engine reads and writes: a transaction at a time, in the process that opened the file,
//! and again if the file was full.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use heed::MdbError;

use super::blocks;
use super::error::{Attempt, Cause, Error, Result};
use super::eviction::{Evicted, STEP_FOR_PAGES};
use super::handle::SharedEngine;
use super::lmdb::{Environment, Lmdb, count_of};
use super::open::Files;
use super::schema::Snapshot;
use super::space::Limits;
use super::writing::{STEP, Writing};
use crate::engine::types::{Counters, REMOVED_AT_ONCE, Removed};

/// How often, and how long each time, a writer waits for readers that hold free pages. Reading
/// takes a few milliseconds, but other processes may have to wait for the processor.
const WAITS: u32 = 500;
const WAIT: Duration = Duration::from_millis(1);

/// How many transactions that evict follow one that writes. The rest is left to steps.
const EVICTIONS_AT_ONCE: usize = REMOVED_AT_ONCE / STEP;

impl SharedEngine {
    pub(super) fn error(&self, attempt: Attempt, cause: impl Into<Cause>) -> Error {
        Error::new(attempt, &self.path, cause)
    }

    /// What there is room for.
    pub(super) fn limits(&self) -> Result<Limits> {
        let files = self.files().map_err(|cause| self.error(Attempt::Write, cause))?;
        Ok(files.limits)
    }

    /// Releases the pages that processes which died while they were reading still hold. Returns how
    /// many there were.
    pub(super) fn clear_stale_readers(&self) -> Result<usize> {
        let cleared = self.files().and_then(|files| Ok(files.env.clear_stale_readers()?));
        cleared.map_err(|cause| self.error(Attempt::Read, cause))
    }

    pub(super) fn sync_by(&self, sync: impl FnOnce(&Environment) -> Lmdb<()>) -> Result<()> {
        self.clear_stale_readers()?;
        // Before it begins, so that what is written meanwhile counts.
        self.is_dirty.store(false, Ordering::Relaxed);
        self.files().and_then(|files| Ok(sync(&files.env)?)).map_err(|cause| {
            self.is_dirty.store(true, Ordering::Relaxed);
            self.error(Attempt::Sync, cause)
        })
    }

    /// One transaction that reads.
    pub(super) fn reading<R>(&self, operation: impl FnOnce(&Snapshot<'_>) -> Lmdb<R>) -> Result<R> {
        let files = self.files().map_err(|cause| self.error(Attempt::Read, cause))?;
        let transaction = match files.env.read_txn() {
            // Readers that died still have their slots.
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                files.env.clear_stale_readers().and_then(|_| files.env.read_txn())
            }
            begun => begun,
        };
        transaction
            .and_then(|transaction| operation(&files.databases.snapshot(&transaction)?))
            .map_err(|cause| self.error(Attempt::Read, cause))
    }

    /// One transaction that writes up to `size` bytes for the session `kept`. If the file is full,
    /// what expires soonest is evicted, and the operation is done again. If there is more to evict
    /// than one transaction may, others follow.
    pub(super) fn writing<R>(
        &self,
        kept: &[u8],
        size: usize,
        removed: &mut Vec<Removed>,
        mut operation: impl FnMut(&mut Writing<'_>) -> Lmdb<R>,
    ) -> Result<R> {
        let mut victims = 1;
        let mut waits = 0;
        let (value, mut is_over) = loop {
            match self.write_once(size, removed, &mut operation) {
                Err(Cause::Full) => match self.make_room(victims, kept, removed) {
                    Ok(()) => victims *= 2,
                    Err(error) if error.is_full() && self.waits_for_readers(&mut waits) => {}
                    Err(error) => return Err(error),
                },
                done => break done.map_err(|cause| self.error(Attempt::Write, cause))?,
            }
        };
        for _ in 0..EVICTIONS_AT_ONCE {
            if !is_over {
                return Ok(value);
            }
            let evict = |writing: &mut Writing<'_>| writing.evict(kept);
            // What was asked is done. If this fails, the next write goes on with it.
            is_over = self.write_once(0, removed, evict).is_ok_and(|((), is_over)| is_over);
        }
        if is_over {
            self.backlog.lock().evict_later(kept);
        }
        Ok(value)
    }

    /// Waits a little for readers. Returns false if waiting has been in vain, for this writer or
    /// for the last one: a reader that was stopped must not hold up every writer.
    pub(super) fn waits_for_readers(&self, waits: &mut u32) -> bool {
        if *waits == WAITS || self.is_held.load(Ordering::Relaxed) {
            self.is_held.store(true, Ordering::Relaxed);
            return false;
        }
        *waits += 1;
        sleep(WAIT);
        true
    }

    /// Makes room because the file is full: takes it from readers that have died, or else evicts up
    /// to `victims` sessions, in transactions so small that they need next to no room themselves.
    fn make_room(&self, victims: usize, kept: &[u8], removed: &mut Vec<Removed>) -> Result<()> {
        if self.clear_stale_readers()? > 0 {
            // What they held is free now.
            return Ok(());
        }
        for evicted in 0..victims {
            let done = self.write_once(0, removed, |writing| {
                if writing.sweep(STEP_FOR_PAGES)? {
                    return Ok(true);
                }
                let evicted = writing.evict_first(kept, false)?;
                writing.counters.evictions_by_bytes += u64::from(evicted == Evicted::One);
                Ok(evicted != Evicted::Nothing)
            });
            match done {
                Ok((true, _)) => {}
                Ok((false, _)) if evicted > 0 => return Ok(()),
                Ok((false, _)) | Err(Cause::Full) => {
                    return Err(self.error(Attempt::Write, Cause::Full));
                }
                Err(cause) => return Err(self.error(Attempt::Write, cause)),
            }
        }
        Ok(())
    }

    /// Does `operation` in one transaction. Also returns whether there is still more than there is
    /// room for.
    fn write_once<R>(
        &self,
        size: usize,
        removed: &mut Vec<Removed>,
        operation: impl FnOnce(&mut Writing<'_>) -> Lmdb<R>,
    ) -> Result<(R, bool), Cause> {
        let files = self.files()?;
        let Files { env, databases, limits, .. } = &*files;
        let _writing = files.writer_lock.lock()?;
        let transaction = env.write_txn()?;
        let before = databases.state(&transaction)?;
        let need = blocks::Need { pages: env.info().last_page_number + 1, size };
        // Pages that no tree uses, or by which the trees are emptier than trees that grow.
        let free_pages = || {
            let estimated = before.bytes.saturating_add(before.tombstone_bytes);
            let needed = count_of(estimated / limits.page.bytes() as u64);
            Ok(need.pages.saturating_sub(databases.pages(&transaction)?.min(needed)))
        };
        let mut state = before;
        let blocks = blocks::allocate(env, need, before.allocated, free_pages)?;
        state.allocated = blocks.end;
        let mut writing = Writing {
            databases: *databases,
            sessions: databases.sessions(&before),
            transaction,
            state,
            removed: Vec::new(),
            counters: Counters::default(),
            options: self.options,
            hasher: &self.hasher,
            limits: *limits,
            step: if blocks.are_short { STEP_FOR_PAGES } else { STEP },
            unused_pages: limits.pages.saturating_sub(need.pages),
            copied_pages: 0,
            is_file_used_up: need.pages >= limits.max_pages,
            is_over: false,
            buffers: std::mem::take(&mut *self.buffers.lock()),
        };
        let value = operation(&mut writing)?;
        let (mut gone, counters, is_over, buffers) = writing.commit(&before)?;
        self.is_dirty.store(true, Ordering::Relaxed);
        self.is_held.store(false, Ordering::Relaxed);
        *self.buffers.lock() = buffers.trimmed();
        self.counters.lock().add(&counters);
        removed.append(&mut gone);
        Ok((value, is_over))
    }
}

impl Counters {
    /// Adds what one transaction has done.
    fn add(&mut self, other: &Self) {
        self.sets += other.sets;
        self.merges += other.merges;
        self.refused += other.refused;
        self.touches += other.touches;
        self.evictions_by_count += other.evictions_by_count;
        self.evictions_by_bytes += other.evictions_by_bytes;
        self.evictions_of_users += other.evictions_of_users;
        self.expirations += other.expirations;
    }
}
