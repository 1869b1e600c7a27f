//! The lock that a writer takes before LMDB's: a wait for this one can be given up.
//!
//! Whoever waits for LMDB's own lock waits without a limit, and a process that was stopped in the
//! middle of a transaction holds it for as long. So writers go through this one first. It is one
//! word in a file that all processes have mapped: the id of the process that writes, or 0. Taking
//! and leaving it costs no system call if nobody waits.
//!
//! It only has to bound the wait. LMDB's lock still keeps writers apart, so it does no harm if two
//! get through. Nor does it if a writer dies: LMDB has each process that has the file open lock a
//! byte of its lock file, the byte at the offset of its id, and the system drops that lock when the
//! process ends. A word with the id of a process that has no such lock counts as 0.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use self::word::Word;
use super::folder::{WRITING, open_file};
use crate::time::stopwatch;

/// How long a writer waits for another process: a thousand times as long as a transaction takes
/// on a slow disk, and no longer than users wait for a page.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How often a writer looks again at once before it sleeps.
const SPINS: u32 = 100;

/// How long it sleeps at the most before it checks whether the other process has ended.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);

/// The writers' lock of one file, as this process has it.
pub(super) struct WriterLock {
    word: Word,
    /// The threads of this process take turns.
    turn: Mutex<()>,
    /// Whether a writer has waited in vain: the next ones do not until one of them gets through.
    is_stuck: AtomicBool,
    patience: Duration,
}

/// The lock is held until this is dropped.
pub(super) struct WriterGuard<'l> {
    lock: &'l WriterLock,
    _turn: MutexGuard<'l, ()>,
}

/// The process of that id, if it is known, holds the lock for longer than a writer waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy(pub(super) Option<u32>);

impl WriterLock {
    /// `lmdb` is LMDB's lock file. It may be closed only when the environment has been.
    pub(super) fn open(folder: &Path, lmdb: File, patience: Duration) -> io::Result<Self> {
        Ok(Self {
            word: Word::open(&open_file(folder, WRITING)?, lmdb)?,
            turn: Mutex::new(()),
            is_stuck: AtomicBool::new(false),
            patience,
        })
    }

    /// Waits for its turn, for a bounded time.
    pub(super) fn lock(&self) -> Result<WriterGuard<'_>, Busy> {
        let turn = match self.turn.try_lock() {
            Some(turn) => turn,
            // A thread that has the turn waits no longer than `patience` itself.
            None => self.turn.try_lock_for(2 * self.patience).ok_or(Busy(None))?,
        };
        if !self.word.try_take() {
            self.wait()?;
        }
        self.is_stuck.store(false, Ordering::Relaxed);
        Ok(WriterGuard { lock: self, _turn: turn })
    }

    #[cold]
    fn wait(&self) -> Result<(), Busy> {
        if self.spin() {
            return Ok(());
        }
        let began = stopwatch();
        loop {
            if self.word.take_from_dead() {
                return Ok(());
            }
            if self.is_stuck.load(Ordering::Relaxed) || began.elapsed() >= self.patience {
                self.is_stuck.store(true, Ordering::Relaxed);
                return Err(Busy(self.word.holder()));
            }
            if self.word.sleep_and_take(LONGEST_SLEEP) {
                return Ok(());
            }
        }
    }

    /// A transaction takes some microseconds, as does a sleep.
    fn spin(&self) -> bool {
        (0..SPINS).any(|_| {
            std::hint::spin_loop();
            self.word.try_take()
        })
    }

    #[cfg(all(test, unix))]
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Whether a writer sleeps until another has written.
    #[cfg(all(test, unix))]
    pub(super) fn is_awaited(&self) -> bool {
        self.word.has_sleepers()
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        self.lock.word.leave();
    }
}

#[cfg(unix)]
mod word {
    use std::fs::File;
    use std::io;
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use crate::engine::shared::folder::holder_of_byte;

    /// As much as is mapped: no system has smaller pages.
    const LENGTH: usize = 4096;

    /// Set in the word, beside the id, if others may be sleeping. No id is that large.
    const HAS_SLEEPERS: u32 = 1 << 31;

    /// The first bytes of a file, mapped.
    ///
    /// Not by a crate: those ask the system for its page size when they unmap, and would unmap what
    /// is before the map if the answer is not the page size of the kernel.
    struct Map(NonNull<AtomicU32>);

    #[expect(unsafe_code, reason = "memory that other processes write too")]
    mod map {
        use std::fs::File;
        use std::io;
        use std::ptr::{self, NonNull};
        use std::sync::atomic::AtomicU32;

        use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

        use super::{LENGTH, Map};

        // SAFETY: all that it gives is a shared reference to an atomic, and it is unmapped once, by
        // its owner.
        unsafe impl Send for Map {}
        // SAFETY: as above.
        unsafe impl Sync for Map {}

        impl Map {
            pub(super) fn of(file: &File) -> io::Result<Self> {
                let rights = ProtFlags::READ | ProtFlags::WRITE;
                // SAFETY: the system chooses the place, so it is nobody else's memory.
                let map =
                    unsafe { mmap(ptr::null_mut(), LENGTH, rights, MapFlags::SHARED, file, 0) }?;
                NonNull::new(map.cast()).map(Self).ok_or(io::ErrorKind::OutOfMemory.into())
            }

            pub(super) fn word(&self) -> &AtomicU32 {
                // SAFETY:
                // - the map lives as long as `self`, is longer than a u32, and begins at a page
                //   boundary.
                // - everybody who has the file mapped uses these bytes as an atomic u32.
                unsafe { self.0.as_ref() }
            }
        }

        impl Drop for Map {
            fn drop(&mut self) {
                // SAFETY: it is what `mmap` gave, and nothing refers to it any more.
                let _ = unsafe { munmap(self.0.as_ptr().cast(), LENGTH) };
            }
        }
    }

    /// The word by which processes agree on who writes.
    pub(super) struct Word {
        map: Map,
        lmdb: File,
        own: u32,
    }

    impl Word {
        pub(super) fn open(file: &File, lmdb: File) -> io::Result<Self> {
            use std::os::unix::fs::FileExt;

            if file.metadata()?.len() < LENGTH as u64 {
                // Written, so that the disk has a block for it.
                file.write_all_at(&[0; LENGTH - 4], 4)?;
            }
            let map = Map::of(file)?;
            Ok(Self { map, lmdb, own: std::process::id() })
        }

        fn word(&self) -> &AtomicU32 {
            self.map.word()
        }

        fn replace(&self, old: u32, new: u32) -> bool {
            self.word().compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        }

        pub(super) fn try_take(&self) -> bool {
            self.replace(0, self.own)
        }

        /// Takes it from a process that has ended, or from an earlier one that had this one's id.
        pub(super) fn take_from_dead(&self) -> bool {
            let word = self.word().load(Ordering::Relaxed);
            let holder = word & !HAS_SLEEPERS;
            let is_dead = matches!(holder_of_byte(&self.lmdb, holder.into()), Ok(None));
            is_dead && self.replace(word, self.own | HAS_SLEEPERS)
        }

        /// Sleeps until the holder leaves, for `limit` at the most, and then tries to take the
        /// lock.
        pub(super) fn sleep_and_take(&self, limit: Duration) -> bool {
            let word = self.word().load(Ordering::Relaxed);
            let marked = word | HAS_SLEEPERS;
            if word != 0 && (word == marked || self.replace(word, marked)) {
                sleep_while(self.word(), marked, limit);
            }
            // There may be others who sleep.
            self.replace(0, self.own | HAS_SLEEPERS)
        }

        #[cfg(test)]
        pub(super) fn has_sleepers(&self) -> bool {
            self.word().load(Ordering::Relaxed) & HAS_SLEEPERS != 0
        }

        pub(super) fn holder(&self) -> Option<u32> {
            let holder = self.word().load(Ordering::Relaxed) & !HAS_SLEEPERS;
            Some(holder).filter(|holder| *holder != 0)
        }

        /// Does nothing if another process has taken the lock, which may happen.
        pub(super) fn leave(&self) {
            if self.replace(self.own, 0) {
                return;
            }
            if self.replace(self.own | HAS_SLEEPERS, 0) {
                wake_one(self.word());
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn sleep_while(word: &AtomicU32, value: u32, limit: Duration) {
        use rustix::thread::futex::{Flags, Timespec, wait};

        let limit = Timespec::try_from(limit).ok();
        // It is tried again, whatever ended it.
        let _ = wait(word, Flags::empty(), value, limit.as_ref());
    }

    #[cfg(target_os = "linux")]
    fn wake_one(word: &AtomicU32) {
        use rustix::thread::futex::{Flags, wake};

        // Nobody sleeps for long.
        let _ = wake(word, Flags::empty(), 1);
    }

    /// Longer than a transaction takes.
    #[cfg(not(target_os = "linux"))]
    const NAP: Duration = Duration::from_micros(50);

    #[cfg(not(target_os = "linux"))]
    fn sleep_while(_: &AtomicU32, _: u32, limit: Duration) {
        std::thread::sleep(NAP.min(limit));
    }

    #[cfg(not(target_os = "linux"))]
    fn wake_one(_: &AtomicU32) {}
}

#[cfg(not(unix))]
mod word {
    use std::fs::File;
    use std::io;
    use std::time::Duration;

    /// A lock of the system, which drops it when the process ends.
    pub(super) struct Word(File);

    impl Word {
        pub(super) fn open(file: &File, _: File) -> io::Result<Self> {
            Ok(Self(file.try_clone()?))
        }

        pub(super) fn try_take(&self) -> bool {
            self.0.try_lock().is_ok()
        }

        pub(super) fn take_from_dead(&self) -> bool {
            false
        }

        pub(super) fn sleep_and_take(&self, limit: Duration) -> bool {
            std::thread::sleep(Duration::from_millis(1).min(limit));
            self.try_take()
        }

        pub(super) fn holder(&self) -> Option<u32> {
            None
        }

        pub(super) fn leave(&self) {
            // There is nothing to be done about it, and it ends with the process.
            let _ = self.0.unlock();
        }
    }
}
