//! The functions of a store that are about all of it: clearing, pruning, syncing and closing it.

use std::sync::Arc;

use super::raw::{Call, Value};
use super::store::{Done, Store, nothing};
use crate::engine::{Durable, Reason};
use crate::named::Lease;
use crate::session::Encoding;
use crate::time::whole;

impl Store {
    /// `clear(now)`.
    pub(super) fn clear(&self, call: &Call) -> Done {
        self.clear_for(Reason::Cleared, call)
    }

    fn clear_for(&self, reason: Reason, call: &Call) -> Done {
        let now = whole(call.number(0)?);
        self.removing(|removed| self.engine().clear_for(reason, now, removed))?;
        self.go_on_later()?;
        Ok(Value::UNDEFINED)
    }

    /// `close(now)`: clears the store, unless others still share it by name. If its sessions are in
    /// a file, releases the file instead. Gives whether it cleared the store.
    pub(super) fn close(&self, call: &Call) -> Done {
        let is_last = self.lease.take().is_none_or(Lease::end);
        if self.engine().durable().is_some() {
            self.release_file();
            return call.truth(false);
        }
        if is_last {
            self.clear_for(Reason::Closed, call)?;
        }
        call.truth(is_last)
    }

    pub(super) fn release_file(&self) {
        let engine = self.engine.replace(nothing());
        let left = Arc::clone(&self.pruned_at_close);
        self.closing.begin(move || {
            // No prune runs meanwhile: this same thread does them.
            engine.take_pruned(usize::MAX, &mut left.lock());
            engine.durable().filter(|durable| durable.is_dirty()).map_or(Ok(()), Durable::sync)
        });
    }

    /// `isClosing()`: whether the background thread still has to release the file. Once it has,
    /// `takeRemoved` gives what that thread had removed.
    pub(super) fn is_closing(&self, call: &Call) -> Done {
        let is_closing = self.closing.is_under_way()?;
        if !is_closing {
            self.removed.borrow_mut().append(&mut self.pruned_at_close.lock());
        }
        call.truth(is_closing)
    }

    /// `syncLater()`: has the background thread sync the file, if anything was written. Gives
    /// whether something is not on the disk yet. Throws the error of the last sync.
    pub(super) fn sync_later(&self, call: &Call) -> Done {
        let is_under_way = self.sync.is_under_way()?;
        let is_dirty = self.engine().durable().is_some_and(Durable::is_dirty);
        if is_dirty && !is_under_way {
            let engine = Arc::downgrade(&self.engine());
            self.sync.begin(move || {
                let engine = engine.upgrade();
                engine.as_ref().and_then(|engine| engine.durable()).map_or(Ok(()), Durable::sync)
            });
        }
        call.truth(is_dirty || is_under_way)
    }

    /// `watch()`: if the files of the path were replaced, has the background thread open the new
    /// ones. Gives each notice of what happened once.
    pub(super) fn watch(&self, call: &Call) -> Done {
        let engine = self.engine();
        let Some(durable) = engine.durable() else {
            return Ok(Value::UNDEFINED);
        };
        // If it failed, the notice says so, and it is tried again.
        let is_following = self.following.is_under_way().unwrap_or(false);
        if !is_following && durable.is_replaced() {
            let engine = Arc::downgrade(&engine);
            self.following.begin(move || {
                let engine = engine.upgrade();
                engine.as_ref().and_then(|engine| engine.durable()).map_or(Ok(()), Durable::follow)
            });
        }
        match durable.take_notice() {
            Some(notice) => call.body(notice.as_bytes(), Encoding::Utf8),
            None => Ok(Value::UNDEFINED),
        }
    }

    /// `prune(now)`: removes what has expired. If it is more than a little, the background thread
    /// goes on with it.
    pub(super) fn prune(&self, call: &Call) -> Done {
        self.engine().begin_prune(whole(call.number(0)?))?;
        self.go_on_later()?;
        Ok(Value::UNDEFINED)
    }

    /// `isBusy()`: whether the background thread still has to remove something, or `takeRemoved`
    /// has something to give that it has removed.
    pub(super) fn is_busy(&self, call: &Call) -> Done {
        call.truth(self.engine().is_busy()?)
    }
}
