//! Tests of the engine as a whole: against a model, against other processes, and on files that are
//! full or damaged. Those of writers that overlap are in `tests::conflicts.rs`, for each engine.

mod expiry;
mod files;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod following;
mod formats;
mod large;
mod model;
#[cfg(target_os = "linux")]
mod pages;
mod processes;
mod steps;
mod users;
#[cfg(unix)]
mod writers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::SharedEngine;
use super::index;
use super::layout::{self, State};
use super::schema::{Session, view};
use crate::background::Maintenance;
use crate::engine::tests::sessions::{START, body_ref, read};
use crate::engine::{Engine, Options, Reading, Removed, User};
use crate::session::BodyView;
use crate::sid::Sid;
use crate::time::Millis;

/// Enough for what the tests store.
const MAP: usize = 64 << 20;

/// A folder that goes when the test ends.
pub(in crate::engine) struct Folder(PathBuf);

impl Folder {
    pub(in crate::engine) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("memorystore-rs-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    pub(in crate::engine) fn open(&self, options: Options) -> Arc<SharedEngine> {
        self.open_sized(MAP, options)
    }

    fn open_sized(&self, map_size: usize, options: Options) -> Arc<SharedEngine> {
        let opened = SharedEngine::open(&self.0, map_size, options).unwrap();
        assert_eq!(opened.set_aside, None);
        opened.engine
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl SharedEngine {
    /// What `read` makes of the body that is found.
    fn read_by<R>(
        &self,
        reading: Reading,
        (sid, now): (&Sid, Millis),
        removed: &mut Vec<Removed>,
        read: impl Fn(BodyView<'_>) -> R,
    ) -> Option<R> {
        let mut value = None;
        let mut keep = |body: BodyView<'_>| assert!(value.replace(read(body)).is_none(), "twice");
        let is_found = self.read(sid, reading, now, removed, &mut keep).unwrap();
        assert_eq!(is_found, value.is_some());
        value
    }

    /// What `get` finds.
    fn found<R>(&self, sid: &Sid, now: Millis, read: impl Fn(BodyView<'_>) -> R) -> Option<R> {
        self.read_by(Reading::Get, (sid, now), &mut Vec::new(), read)
    }

    fn is_empty(&self) -> bool {
        self.length().unwrap() == 0
    }

    /// Clears the store, and gives back what that left. Returns what it removed.
    fn clear_all(&self, now: Millis) -> Vec<Removed> {
        let mut removed = Vec::new();
        self.clear(now, &mut removed).unwrap();
        self.finish_steps(&mut removed);
        removed
    }

    /// Prunes to the end. Returns what that removed.
    fn prune_all(&self, now: Millis) -> Vec<Removed> {
        let mut removed = Vec::new();
        self.begin_prune(now).unwrap();
        self.finish_steps(&mut removed);
        removed
    }

    fn finish_steps(&self, removed: &mut Vec<Removed>) {
        while self.maintenance_step() {}
        self.take_pruned(usize::MAX, removed);
    }

    /// Checks that all entries belong together, and that the sums are right. Returns these.
    pub(super) fn validate(&self) -> State {
        self.reading(|snapshot| {
            let databases = snapshot.databases;
            let (transaction, sessions) = (snapshot.transaction, snapshot.sessions);
            let page = self.limits().unwrap().page;
            let (mut bytes, mut pieces, mut owned, mut apart) = (0, 0, 0, 0);
            for entry in sessions.heads.iter(transaction)? {
                let (key, _) = entry?;
                let Session::Found(head, body) = sessions.get(transaction, key)? else {
                    panic!("half a session");
                };
                assert!(view(key, &head, &body, 0).is_some());
                let expiry = sessions.expiry_of(head.owner().unwrap_or(User::NOBODY));
                assert_eq!(expiry.get(transaction, &head.entry.key())?, Some(key));
                assert!(head.entry <= head.due, "it would come up too late");
                if let Some(owner) = head.owner() {
                    let mut entry = Vec::new();
                    index::user_key(owner, key, &mut entry);
                    let value = sessions.users.get(transaction, &entry)?;
                    assert_eq!(value, Some(index::user_value(key)));
                    owned += 1;
                }
                let body = body.len() - layout::CHECKSUM;
                assert_eq!(head.body as usize, body);
                if head.here.is_none() {
                    apart += 1;
                    pieces += (layout::CHECKSUM + body).div_ceil(page.room()) as u64 - 1;
                }
                bytes += page.cost_of(key.len(), &head) as u64;
            }
            let heads = sessions.heads.len(transaction)?;
            assert_eq!(sessions.bodies.len(transaction)?, apart);
            assert_eq!(sessions.expiry.len(transaction)? + owned, heads);
            assert_eq!(sessions.owned.len(transaction)?, owned);
            assert_eq!(sessions.pieces.len(transaction)?, pieces);
            assert_eq!(sessions.users.len(transaction)?, owned);

            let mut tombstone_bytes = 0;
            for entry in databases.tombstone_order.iter(transaction)? {
                let (version, sid) = layout::read_tombstone_key(entry?.0).unwrap();
                let tombstone =
                    databases.tombstones.get(transaction, sid)?.and_then(layout::read_tombstone);
                assert_eq!(tombstone.unwrap().version, version);
                tombstone_bytes += page.tombstone_cost(sid.len()) as u64;
            }
            assert_eq!(
                databases.tombstone_order.len(transaction)?,
                databases.tombstones.len(transaction)?
            );
            let state = snapshot.state;
            assert_eq!((state.bytes, state.tombstone_bytes), (bytes, tombstone_bytes));
            Ok(state)
        })
        .unwrap()
    }
}
