use super::super::error::{Attempt, Cause};
use super::super::tests::Folder;
use crate::engine::{Engine, Options};

#[test]
fn why_a_prune_has_ended_is_told_once_and_not_of_the_next() {
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let fail = || engine.backlog.lock().failure = Some(engine.error(Attempt::Write, Cause::Full));
    fail();
    assert!(engine.is_busy().is_err());
    assert!(!engine.is_busy().unwrap());
    fail();
    engine.begin_prune(0).unwrap();
    assert!(!engine.is_busy().unwrap());
}
