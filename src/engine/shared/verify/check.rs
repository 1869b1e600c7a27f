//! The check of a whole file.

use std::fs::File;
use std::mem;
use std::path::Path;

use super::fault::Fault;
use super::meta::newest_meta;
use super::order::Kind;
use super::walk::Checker;

/// Checks the LMDB data file at `path`, which no one may change meanwhile.
///
/// An empty file counts as damaged, though LMDB would fill it: it tells that content was lost.
///
/// # Errors
///
/// [`Fault::Damaged`] when LMDB could not use the file safely, [`Fault::Io`] when it could not
/// be read.
pub(in super::super) fn check(path: &Path) -> Result<(), Fault> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let meta = newest_meta(&file, length)?;
    let mut checker = Checker::new(file, &meta, meta.pages_in(length))?;
    checker.tree(Kind::Free, &meta.free)?;
    checker.tree(Kind::Main, &meta.main)?;
    for database in mem::take(&mut checker.pages.databases) {
        checker.tree(Kind::Named, &database)?;
    }
    Ok(())
}
