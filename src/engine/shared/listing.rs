//! Lists the sids a few at a time, each few in a transaction of its own: during a transaction, no
//! page that writers free can be used again.

use std::ops::Bound;
use std::sync::{Arc, Weak};

use super::handle::SharedEngine;
use super::head::Head;
use crate::engine::contract::Listing;
use crate::engine::error::Result;
use crate::engine::types::SortKey;
use crate::sid::Sid;

/// How many sids are listed in a step: as long as other work of the background thread may wait.
const STEP: usize = 1000;

/// Goes through the sessions in the order of their sids, because that order does not change.
pub(super) struct SidListing {
    /// Gone once the store is closed or dropped.
    engine: Weak<SharedEngine>,
    /// The last key that was looked at; empty before the first.
    last: Vec<u8>,
}

impl SidListing {
    pub(super) fn new(engine: &Arc<SharedEngine>) -> Self {
        Self { engine: Arc::downgrade(engine), last: Vec::new() }
    }
}

impl Listing for SidListing {
    fn step(&mut self, listed: &mut Vec<(SortKey, Sid)>) -> Result<bool> {
        let Some(engine) = self.engine.upgrade() else {
            return Ok(false);
        };
        let (last, count) = engine.reading(|snapshot| {
            let from = match &self.last[..] {
                [] => Bound::Unbounded,
                last => Bound::Excluded(last),
            };
            let range = (from, Bound::Unbounded);
            let (mut last, mut count) = (None, 0);
            for entry in snapshot.sessions.heads.range(snapshot.transaction, &range)?.take(STEP) {
                let (key, head) = entry?;
                let sort_key =
                    Head::read(key, head).map(|head| (head.due.expires, head.due.sequence));
                listed.extend(sort_key.map(|sort_key| (sort_key, Sid::new(key, &engine.hasher))));
                last = Some(key);
                count += 1;
            }
            Ok((last.map(<[u8]>::to_vec), count))
        })?;
        self.last = last.unwrap_or_default();
        Ok(count == STEP)
    }
}
