//! Allocates the file's blocks on the disk: if a page of the map has none and the disk is full,
//! writing to it ends the process. So blocks are allocated before LMDB writes.
//!
//! A process that opens the file while nobody else has it open allocates all that is used
//! ([`secure`]): a copy may have holes. From then on each transaction makes sure that there are
//! enough behind that ([`allocate`]); the file's state notes how far they go.

use super::lmdb::{Environment, Lmdb};

/// What a transaction may need of the file.
#[derive(Clone, Copy)]
pub(super) struct Need {
    /// The pages of the file that have been used so far.
    pub(super) pages: usize,
    /// How many bytes it writes of a session; 0 if it only removes.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix allocates blocks"))]
    pub(super) size: usize,
}

/// How much of the file has blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    /// Up to where.
    pub(super) end: u64,
    /// Whether the disk is full: a transaction must not use many pages then.
    pub(super) are_short: bool,
}

#[cfg(unix)]
pub(super) use self::unix::{allocate, secure, write_zeros};

/// On Windows, LMDB writes with calls that fail if the disk is full.
#[cfg(not(unix))]
pub(super) fn allocate(
    _: &Environment,
    _: Need,
    allocated: u64,
    _: impl FnOnce() -> Lmdb<usize>,
) -> Lmdb<Blocks> {
    Ok(Blocks { end: allocated, are_short: false })
}

#[cfg(not(unix))]
pub(super) fn secure(_: &Environment, _: usize) -> Lmdb<()> {
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::ops::Range;
    use std::os::unix::fs::FileExt;

    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;

    use super::super::space::PageSize;
    use super::{Blocks, Environment, Lmdb, Need};

    /// How many unused pages should have blocks for a transaction, besides what it writes.
    const MARGIN: usize = 1024;

    /// How many a transaction needs at least if the disk is full. One that writes needs more, so
    /// that some are left for those that remove until they can use the pages that earlier ones
    /// freed. Writing needs still more if there are hardly any free pages.
    const LEAST: usize = 128;
    const LEAST_TO_WRITE: usize = 320;
    const LEAST_TO_GROW: usize = 512;
    const HARDLY_ANY: usize = 64;

    /// How much is allocated at a time, and how much if the disk is nearly full.
    const CHUNK: usize = 1 << 20;
    const PIECE: usize = 64 << 10;

    impl Need {
        /// Whether blocks up to `end` are enough for a transaction. Free pages are of use only if
        /// no reader holds them, so there must be enough even if all of them are held.
        fn is_met(self, page: PageSize, end: usize, free_pages: usize) -> bool {
            let pages = self.size.div_ceil(page.bytes());
            let behind = (end / page.bytes()).saturating_sub(self.pages);
            if self.size == 0 {
                return behind >= LEAST;
            }
            let has_old_pages = free_pages >= HARDLY_ANY + 2 * pages;
            behind >= if has_old_pages { LEAST_TO_WRITE + pages } else { LEAST_TO_GROW + 2 * pages }
        }
    }

    /// Makes sure that a transaction has blocks to write to. The file has blocks up to `allocated`.
    ///
    /// The caller holds the writers' lock, so nobody else uses the pages behind the used ones.
    /// `free_pages` counts those of the used ones that are free; it is seldom called.
    pub(in super::super) fn allocate(
        env: &Environment,
        need: Need,
        allocated: u64,
        free_pages: impl FnOnce() -> Lmdb<usize>,
    ) -> Lmdb<Blocks> {
        let page = PageSize::of(env);
        let used = need.pages * page.bytes();
        let map_size = env.info().map_size;
        let wanted = used + MARGIN * page.bytes() + 2 * need.size;
        let mut from = usize::try_from(allocated).unwrap_or(0).max(used);
        if from >= map_size.min(wanted) {
            return Ok(Blocks { end: allocated, are_short: false });
        }
        let file = env.try_clone_inner_file()?;
        let done = extend(&file, &mut from, map_size.min(wanted + CHUNK));
        match done {
            Err(error) if from < map_size && !need.is_met(page, from, free_pages()?) => {
                Err(error.into())
            }
            done => Ok(Blocks { end: from as u64, are_short: done.is_err() }),
        }
    }

    /// Allocates blocks up to `to`, and moves `from` along: in small pieces if the disk has no room
    /// for large ones.
    fn extend(file: &File, from: &mut usize, to: usize) -> io::Result<()> {
        let mut done = Ok(());
        for step in [CHUNK, PIECE] {
            done = Ok(());
            while *from < to && done.is_ok() {
                let end = to.min(*from + step);
                done = reserve(file, *from..end).and_then(|is_done| {
                    if is_done { Ok(()) } else { write_zeros(file, *from..end) }
                });
                if done.is_ok() {
                    *from = end;
                }
            }
        }
        done
    }

    /// Allocates blocks for all pages that have been used. Nobody else may have the file open.
    pub(in super::super) fn secure(env: &Environment, pages: usize) -> Lmdb<()> {
        let file = env.try_clone_inner_file()?;
        let used = 0..pages * PageSize::of(env).bytes();
        if !reserve(&file, used.clone())? {
            fill_holes(&file, used)?;
        }
        Ok(())
    }

    /// Has the system allocate blocks for a part of the file, without changing what is in it.
    /// Returns false if it cannot.
    #[cfg(target_os = "linux")]
    fn reserve(file: &File, part: Range<usize>) -> io::Result<bool> {
        use rustix::fs::{FallocateFlags, fallocate};

        let length = part.len() as u64;
        let done = rustix::io::retry_on_intr(|| {
            fallocate(file, FallocateFlags::empty(), part.start as u64, length)
        });
        match done {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(_: &File, _: Range<usize>) -> io::Result<bool> {
        Ok(false)
    }

    /// Writes zeros where the file has holes, which read as zeros.
    fn fill_holes(file: &File, part: Range<usize>) -> io::Result<()> {
        let mut from = part.start as u64;
        let end = part.end as u64;
        while let Some(hole) = found(seek(file, SeekFrom::Hole(from)))?.filter(|hole| *hole < end) {
            let data = found(seek(file, SeekFrom::Data(hole)))?.unwrap_or(end).min(end);
            let [start, stop] = [hole, data].map(|at| usize::try_from(at).unwrap_or(part.end));
            write_zeros(file, start..stop)?;
            from = data;
        }
        Ok(())
    }

    /// `None` if there is nothing of that kind any more, or the file system cannot tell.
    fn found(place: Result<u64, Errno>) -> io::Result<Option<u64>> {
        match place {
            Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(None),
            place => Ok(Some(place?)),
        }
    }

    pub(in super::super) fn write_zeros(file: &File, part: Range<usize>) -> io::Result<()> {
        let zeros = vec![0; part.len().min(PIECE)];
        for at in part.clone().step_by(PIECE) {
            let length = PIECE.min(part.end - at);
            file.write_all_at(&zeros[..length], at as u64)?;
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::MetadataExt;

        use super::*;

        /// A file of that many bytes, all of them in a hole but for one in the middle.
        fn sparse(name: &str, length: usize) -> (std::path::PathBuf, File) {
            let name = format!("memorystore-rs-blocks-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path);
            let file = file.unwrap();
            file.set_len(length as u64).unwrap();
            file.write_all_at(b"x", length as u64 / 2).unwrap();
            (path, file)
        }

        fn assert_full(file: &File, length: usize) {
            assert!(file.metadata().unwrap().blocks() * 512 >= length as u64);
            let mut bytes = vec![1; length];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!(bytes.iter().position(|byte| *byte != 0), Some(length / 2));
            assert_eq!(bytes.iter().rposition(|byte| *byte != 0), Some(length / 2));
        }

        #[test]
        fn holes_are_filled_and_nothing_else_is_changed() {
            let length = 3 << 20;
            let (path, file) = sparse("holes", length);
            assert!(file.metadata().unwrap().blocks() * 512 < length as u64 / 2);
            fill_holes(&file, 0..length).unwrap();
            assert_full(&file, length);
            std::fs::remove_file(path).unwrap();
        }

        #[test]
        fn the_system_gives_blocks_to_a_file_that_has_holes() {
            let length = 3 << 20;
            let (path, file) = sparse("reserved", length);
            if reserve(&file, 0..length).unwrap() {
                assert_full(&file, length);
            }
            std::fs::remove_file(path).unwrap();
        }

        #[test]
        fn where_the_disk_is_full_a_transaction_needs_what_no_reader_can_hold() {
            let page = PageSize::new(4096);
            let is_met = |size, behind, free| {
                Need { pages: 10, size }.is_met(page, (10 + behind) * 4096, free)
            };
            assert!(is_met(0, LEAST, 0) && !is_met(0, LEAST - 1, 10_000));
            assert!(is_met(1, LEAST_TO_GROW + 2, 0) && !is_met(1, LEAST_TO_GROW + 1, 0));
            assert!(is_met(1, LEAST_TO_WRITE + 1, HARDLY_ANY + 2));
            assert!(!is_met(1, LEAST_TO_GROW + 1, HARDLY_ANY + 1));
            assert!(!is_met(4096 * 100, LEAST_TO_WRITE + 99, 10_000));
        }
    }
}
