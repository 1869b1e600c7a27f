//! Lists the sids as they are at one moment, a few at a time.

use std::ops::Bound;
use std::sync::Arc;

use heed::{RoTxn, WithoutTls};

use super::error::Attempt;
use super::layout;
use super::{Result, SharedEngine};
use crate::engine::{Engine, Listing};
use crate::sid::Sid;

/// How many sids are listed in a step: as long as other work of the background thread may wait.
const STEP: usize = 1000;

/// Goes through the sessions in the order of their expiry. Writers do not wait for it, but the
/// pages of what they remove meanwhile are free only when it is dropped.
pub(super) struct KeyListing {
    transaction: RoTxn<'static, WithoutTls>,
    /// The key that is behind all that were listed.
    last: Vec<u8>,
    /// Keeps the file open. It is dropped after the transaction.
    engine: Arc<SharedEngine>,
}

impl KeyListing {
    pub(super) fn new(engine: Arc<SharedEngine>) -> Result<Self> {
        let mut last = Vec::new();
        layout::expiry_key(engine.pruned_before(), &[], &mut last);
        Ok(Self { transaction: engine.read_on()?, last, engine })
    }
}

impl Listing for KeyListing {
    fn step(&mut self, listed: &mut Vec<(u64, Sid)>) -> Result<bool> {
        let engine = &self.engine;
        let mut last = None;
        let done = engine.databases.snapshot(&self.transaction).and_then(|snapshot| {
            let range = (Bound::Excluded(&self.last[..]), Bound::Unbounded);
            let mut count = 0;
            for entry in snapshot.sessions.expiry.range(snapshot.transaction, &range)?.take(STEP) {
                let (key, _) = entry?;
                let due = layout::read_expiry_key(key).filter(|due| !due.1.is_empty());
                listed.extend(due.map(|(at, sid)| (layout::order_of(at), engine.sid(sid))));
                last = Some(key);
                count += 1;
            }
            Ok(count == STEP)
        });
        let last = last.map(<[u8]>::to_vec);
        let more = done.map_err(|cause| engine.error(Attempt::Read, cause))?;
        self.last = last.unwrap_or_default();
        Ok(more)
    }
}
