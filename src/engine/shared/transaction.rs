//! How the engine reads and writes: a transaction at a time, in the process that opened the file,
//! and again where the file was full.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use heed::MdbError;

use super::error::Attempt;
use super::eviction::STEP_FOR_PAGES;
use super::writing::{STEP, Writing};
use super::{Error, Lmdb, Result, SharedEngine, Snapshot, file};
use crate::engine::{Counters, REMOVED_AT_ONCE, Removed};

/// How often, and after how long each time, a writer looks whether readers have ended that hold what
/// is free. They take a few milliseconds, but other processes may have to wait for the processor.
const WAITS: u32 = 500;
const WAIT: Duration = Duration::from_millis(1);

/// How many transactions that evict follow one that writes. The rest is left to steps.
const EVICTIONS_AT_ONCE: usize = REMOVED_AT_ONCE / STEP;

impl SharedEngine {
    /// LMDB's locks belong to the process that took them, not to one that it forks off.
    pub(super) fn belongs_here(&self, attempt: Attempt) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(Error::forked(attempt, &self.path))
    }

    pub(super) fn error(&self, attempt: Attempt, cause: heed::Error) -> Error {
        Error::lmdb(attempt, &self.path, cause)
    }

    /// One transaction that reads.
    pub(super) fn reading<R>(&self, operation: impl FnOnce(&Snapshot<'_>) -> Lmdb<R>) -> Result<R> {
        self.belongs_here(Attempt::Read)?;
        let transaction = match self.env.read_txn() {
            // Those that died while they were reading make room.
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                self.clear_stale_readers()?;
                self.env.read_txn()
            }
            begun => begun,
        };
        transaction
            .and_then(|transaction| operation(&self.databases.snapshot(&transaction)?))
            .map_err(|cause| self.error(Attempt::Read, cause))
    }

    /// One transaction that writes up to `size` bytes for the session `kept`. Where the file is
    /// full, what expires soonest is evicted, and it is done again. Where there is more to evict
    /// than one transaction may, others follow.
    pub(super) fn writing<R>(
        &self,
        kept: &[u8],
        size: usize,
        removed: &mut Vec<Removed>,
        mut operation: impl FnMut(&mut Writing<'_>) -> Lmdb<R>,
    ) -> Result<R> {
        self.belongs_here(Attempt::Write)?;
        let mut victims = 1;
        let mut waits = 0;
        let (value, mut is_over) = loop {
            match self.write_once(size, removed, &mut operation) {
                Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    match self.make_room(victims, kept, removed) {
                        Ok(()) => victims *= 2,
                        Err(error) if error.is_full() && self.waits_for_readers(&mut waits) => {}
                        Err(error) => return Err(error),
                    }
                }
                done => break done.map_err(|cause| self.error(Attempt::Write, cause))?,
            }
        };
        for _ in 0..EVICTIONS_AT_ONCE {
            if !is_over {
                return Ok(value);
            }
            let evict = |writing: &mut Writing<'_>| writing.evict(kept);
            // What was asked is done. Where this fails, the next write goes on with it.
            is_over = self.write_once(0, removed, evict).is_ok_and(|((), is_over)| is_over);
        }
        if is_over {
            self.evict_later(kept);
        }
        Ok(value)
    }

    /// Waits a little for those who read. Returns false where that has been in vain, or was for the
    /// last writer: one that was stopped must not hold up each.
    fn waits_for_readers(&self, waits: &mut u32) -> bool {
        if *waits == WAITS || self.is_held.load(Ordering::Relaxed) {
            self.is_held.store(true, Ordering::Relaxed);
            return false;
        }
        *waits += 1;
        sleep(WAIT);
        true
    }

    /// Makes room because the file is full: takes it from readers that have died, or else evicts up
    /// to so many sessions, in transactions that are so small that they need next to no room
    /// themselves.
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
                let is_found = writing.evict_first(kept)?;
                writing.counters.evictions_by_bytes += u64::from(is_found);
                Ok(is_found)
            });
            match done {
                Ok((true, _)) => {}
                Ok((false, _)) if evicted > 0 => return Ok(()),
                Ok((false, _)) | Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    return Err(Error::full(&self.path));
                }
                Err(cause) => return Err(self.error(Attempt::Write, cause)),
            }
        }
        Ok(())
    }

    /// Returns also whether there still is more than there is room for.
    fn write_once<R>(
        &self,
        size: usize,
        removed: &mut Vec<Removed>,
        operation: impl FnOnce(&mut Writing<'_>) -> Lmdb<R>,
    ) -> Lmdb<(R, bool)> {
        let transaction = self.env.write_txn()?;
        let before = self.databases.state(&transaction)?;
        let need = file::Need { pages: self.env.info().last_page_number + 1, size };
        let free_pages = || {
            let in_use = self.databases.pages(&transaction)?;
            Ok(need.pages.saturating_sub(in_use))
        };
        let mut state = before;
        state.allocated = file::allocate(&self.env, need, before.allocated, free_pages)?;
        let mut writing = Writing {
            databases: self.databases,
            sessions: self.databases.sessions(&before),
            transaction,
            state,
            removed: Vec::new(),
            counters: Counters::default(),
            options: self.options,
            hasher: &self.hasher,
            limits: self.limits,
            is_file_used_up: need.pages >= self.limits.max_pages,
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
        self.refused += other.refused;
        self.touches += other.touches;
        self.evictions_by_count += other.evictions_by_count;
        self.evictions_by_bytes += other.evictions_by_bytes;
        self.expirations += other.expirations;
    }
}
