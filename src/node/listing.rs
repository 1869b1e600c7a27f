//! The sids of a store, listed by the background thread and taken a few at a time.

use std::sync::Arc;

use parking_lot::Mutex;

use super::codes::whole_count;
use super::raw::{Call, Value};
use super::store::Done;
use crate::background::BACKGROUND;
use crate::engine;
use crate::sid::Sid;

/// The sids of a store, listed by the background thread.
#[derive(Default)]
pub(super) struct Listing {
    /// In reverse order, so that the next is taken from the end. `None` until all are listed.
    listed: Arc<Mutex<Option<engine::Result<Vec<Sid>>>>>,
}

impl Listing {
    pub(super) fn begin(&self, mut listing: Box<dyn engine::Listing>) {
        let listed = Arc::downgrade(&self.listed);
        let mut sids = Vec::new();
        BACKGROUND.run(Box::new(move || {
            // Gone if nobody can take the sids any more.
            let Some(listed) = listed.upgrade() else {
                return false;
            };
            let step = listing.step(&mut sids);
            if matches!(step, Ok(true)) {
                return true;
            }
            let mut sids = std::mem::take(&mut sids);
            sids.sort_unstable_by_key(|(order, _)| *order);
            let sids = sids.into_iter().map(|(_, sid)| sid).collect();
            *listed.lock() = Some(step.map(|_| sids));
            false
        }));
    }

    /// `take(array, limit)`, as told at `Store::list`.
    pub(super) fn take(&self, call: &Call) -> Done {
        let limit = whole_count(call.number(1)?);
        let mut listed = self.listed.lock();
        let sids = match &mut *listed {
            None => return Ok(Value::UNDEFINED),
            Some(Ok(sids)) => sids,
            Some(failed) => {
                std::mem::replace(failed, Ok(Vec::new()))?;
                return call.count(0);
            }
        };
        let left = sids.len().saturating_sub(limit);
        call.append(sids.drain(left..).rev(), Call::sid)?;
        call.count(left)
    }
}
