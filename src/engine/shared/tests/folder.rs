//! Folders and files that are not safe to use.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use super::super::SharedEngine;
use super::{Folder, MAP};
use crate::engine::{Failure, Options};

const FILES: [&str; 5] = ["data.mdb", "lock.mdb", "opening.lock", "writing.lock", "closed"];

/// A folder of a store that was closed.
fn closed() -> Folder {
    let folder = Folder::new();
    drop(folder.open(Options::default()));
    // Only some systems have a note of a clean end.
    if !folder.path().join("closed").exists() {
        fs::write(folder.path().join("closed"), "").unwrap();
    }
    folder
}

/// Is refused because of what `path` is, and told what to do.
fn is_refused(folder: &Path, path: &Path, what: &str) {
    let error = SharedEngine::open(folder, MAP, Options::default()).unwrap_err();
    assert_eq!(error.code(), Some("ERR_MEMORYSTORE_UNSAFE"), "{error}");
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()) && text.contains(what), "{text}");
}

#[test]
fn what_others_can_write_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        for file in FILES {
            let folder = closed();
            let path = folder.path().join(file);
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            is_refused(folder.path(), &path, "chmod go-w");
        }
    }
    for mode in [0o770, 0o707, 0o1777] {
        let folder = closed();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        is_refused(folder.path(), folder.path(), "chmod go-w");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder.open(Options::default());
    }
}

#[test]
fn a_link_in_place_of_a_file_is_refused_and_what_it_leads_to_is_left_alone() {
    for file in FILES {
        let folder = closed();
        let path = folder.path().join(file);
        let target = Folder::new();
        fs::write(target.path(), "somebody's").unwrap();
        fs::remove_file(&path).unwrap();
        symlink(target.path(), &path).unwrap();
        is_refused(folder.path(), &path, "link");
        assert_eq!(fs::read(target.path()).unwrap(), b"somebody's");
        fs::remove_file(target.path()).unwrap();
        // Nor is one followed that leads nowhere.
        is_refused(folder.path(), &path, "link");
        assert!(!target.path().exists());
    }
}

#[test]
fn a_file_that_has_another_name_is_refused_and_left_alone() {
    for file in FILES {
        let folder = closed();
        let path = folder.path().join(file);
        let target = Folder::new();
        fs::write(target.path(), "somebody's").unwrap();
        fs::remove_file(&path).unwrap();
        fs::hard_link(target.path(), &path).unwrap();
        is_refused(folder.path(), &path, "another name");
        assert_eq!(fs::read(target.path()).unwrap(), b"somebody's");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    const NOBODY: u32 = 65534;

    let folder = closed();
    if chown(folder.path(), Some(NOBODY), None).is_err() {
        eprintln!("left out: only root can give a file away");
        return;
    }
    is_refused(folder.path(), folder.path(), "chown");
    for file in FILES {
        let folder = closed();
        let path = folder.path().join(file);
        chown(&path, Some(NOBODY), None).unwrap();
        is_refused(folder.path(), &path, "chown");
    }
}
