//! What every engine is held against: run by each of them. An author of a new engine adds it to
//! [`Store::of_each_kind`].

mod anonymous;
pub(super) mod conflicts;
mod contract;
pub(super) mod model;
pub(super) mod ops;
pub(super) mod pair;
pub(super) mod sessions;
mod users;

use std::sync::Arc;

use self::sessions::body_ref;
use super::shared::tests::Folder;
use super::{Condition, Engine, MemoryEngine, Options, Reading, Refused, Version};
use crate::session::BodyView;
use crate::sid::Sid;
use crate::time::Millis;

/// An engine, and the folder that it is in, if it is in one.
struct Store {
    engine: Arc<dyn Engine>,
    _folder: Option<Folder>,
}

impl Store {
    fn in_memory(options: Options) -> Self {
        Self { engine: Arc::new(MemoryEngine::new(options)), _folder: None }
    }

    fn in_a_file(options: Options) -> Self {
        let folder = Folder::new();
        Self { engine: folder.open(options), _folder: Some(folder) }
    }

    /// Of each kind that has an index of users.
    fn with_users(options: Options) -> [Self; 2] {
        Self::of_each_kind(options)
    }

    fn of_each_kind(options: Options) -> [Self; 2] {
        [Self::in_memory(options), Self::in_a_file(options)]
    }
}

fn read(engine: &dyn Engine, sid: &Sid, now: Millis) -> Option<(String, Version)> {
    let mut value = None;
    let mut keep = |body: BodyView<'_>| {
        value = Some((sessions::read(body), body.read()));
    };
    let is_found = engine.read(sid, Reading::Get, now, &mut Vec::new(), &mut keep).unwrap();
    assert_eq!(is_found, value.is_some());
    value
}

fn expires_of(engine: &dyn Engine, sid: &Sid, now: Millis) -> Option<Millis> {
    let mut expires = None;
    let mut keep = |body: BodyView<'_>| expires = Some(body.expires());
    engine.read(sid, Reading::Peek, now, &mut Vec::new(), &mut keep).unwrap();
    expires
}

fn write(
    engine: &dyn Engine,
    sid: &Sid,
    body: &str,
    condition: Condition,
    times: (Millis, Millis),
) -> Result<Version, Refused> {
    engine.set(sid.clone(), body_ref(body), condition, times, &mut Vec::new()).unwrap()
}

/// Clears the store, and gives back what that left.
fn clear(engine: &Arc<dyn Engine>, now: Millis) {
    engine.clear(now, &mut Vec::new()).unwrap();
    while engine.maintenance_step() {}
}
