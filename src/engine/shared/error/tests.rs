use super::*;

#[test]
fn an_error_tells_what_could_not_be_done_where_and_why() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let path = Path::new("/sessions");
    let error = Error::new(Attempt::Open, path, denied());
    assert!(error.to_string().starts_with("cannot open the sessions in /sessions: "));
    assert_eq!(error.code(), Some("EACCES"));
    let error = Error::new(Attempt::Write, path, heed::Error::from(MdbError::MapFull));
    assert!(error.to_string().contains("cannot write the sessions in /sessions: the file is"));
    assert_eq!(error.code(), Some("ERR_MEMORYSTORE_FULL"));
    let damaged = heed::Error::from(MdbError::Corrupted);
    assert_eq!(Error::new(Attempt::Read, path, damaged).code(), None);
}

#[cfg(unix)]
#[test]
fn the_codes_of_the_system_are_those_that_nodejs_has() {
    let known = [(1, "EPERM"), (2, "ENOENT"), (5, "EIO"), (13, "EACCES"), (20, "ENOTDIR")];
    for (number, code) in known.into_iter().chain([(28, "ENOSPC"), (30, "EROFS")]) {
        assert_eq!(system_code(&io::Error::from_raw_os_error(number)), Some(code));
    }
    for (number, code) in
        [(libc::ENAMETOOLONG, "ENAMETOOLONG"), (libc::ELOOP, "ELOOP"), (libc::EMLINK, "EMLINK")]
    {
        assert_eq!(system_code(&io::Error::from_raw_os_error(number)), Some(code));
    }
}

#[test]
fn what_is_too_large_to_map_names_the_option() {
    let text = |attempt, kind| {
        Error::new(attempt, Path::new("/sessions"), io::Error::from(kind)).to_string()
    };
    for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::FileTooLarge] {
        assert!(text(Attempt::Open, kind).contains("`mapSize`"));
        assert!(!text(Attempt::Write, kind).contains("`mapSize`"));
    }
    assert!(!text(Attempt::Open, io::ErrorKind::StorageFull).contains("`mapSize`"));
}
