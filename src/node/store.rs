//! A store as one JavaScript object has it: its engine, and what its calls have in common.
//!
//! It knows what an engine is and nothing of the functions that JavaScript calls.

use std::cell::{Cell, Ref, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use parking_lot::Mutex;

use super::raw::{Call, Failure, Text, Value};
use super::rules::Rules;
use super::task::Task;
use crate::background::{BACKGROUND, Maintenance, OpenStore};
use crate::engine::{
    self, Engine, Error, MemoryEngine, Options, REMOVED_AT_ONCE, Removed, SharedEngine, Version,
    shared,
};
use crate::named::Lease;
use crate::sid::Sid;
use crate::time::Millis;

/// The room for so many removed sessions is kept from one call to the next.
const REMOVED_TO_KEEP: usize = 16;

/// A buffer that has grown beyond this many bytes is not kept.
const BUFFER_TO_KEEP: usize = 256 * 1024;

/// A store as one JavaScript object has it. It is used by that object's thread only.
pub(super) struct Store {
    /// When a store on a path is closed, an empty engine takes the place of its engine.
    pub(super) engine: RefCell<Arc<dyn Engine>>,
    /// The lease of a named engine, until the store is closed.
    pub(super) lease: RefCell<Option<Lease>>,
    /// The sync that is under way, and the closing of the file.
    pub(super) sync: Task,
    pub(super) closing: Task,
    /// The opening of new files after those of the path were replaced.
    pub(super) following: Task,
    pub(super) dispose: bool,
    /// Whose sessions are, and how long they may live.
    pub(super) rules: Rules,
    pub(super) buffers: RefCell<Buffers>,
    /// The version at which something was read last, and when that expires.
    pub(super) version: Cell<Version>,
    pub(super) expires: Cell<Millis>,
    /// After which sid to go on with the sessions of a user.
    pub(super) after: RefCell<Option<Sid>>,
    /// What the calls so far removed and `takeRemoved` has not fetched. Empty without `dispose`.
    pub(super) removed: RefCell<Vec<Removed>>,
    /// What the background thread had removed when it released the file.
    pub(super) pruned_at_close: Arc<Mutex<Vec<Removed>>>,
    pub(super) _open: OpenStore,
}

/// What is copied in and out passes through these, so that a call allocates nothing.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) sid: Text,
    pub(super) text: Text,
    pub(super) base: Text,
    pub(super) user: Text,
    pub(super) body: Vec<u8>,
}

/// The result of a store's function.
pub(super) type Done = std::result::Result<Value, Failure>;

/// Where a store's sessions are.
pub(super) enum Place {
    /// In memory, for this store alone.
    Own,
    /// In memory, for all stores of the process that are given the name.
    Name(String),
    /// In a file in the folder, which must not outgrow so many bytes.
    Path(String, usize),
}

/// Why a store cannot be opened.
pub(super) enum Refusal {
    /// In this option it differs from another store that has the same sessions.
    Differs(&'static str),
    Failed(Error),
}

impl Store {
    /// A store, and what a file that was found damaged is called now.
    pub(super) fn open(
        options: Options,
        rules: Rules,
        place: Place,
    ) -> std::result::Result<(Rc<Self>, Option<String>), Refusal> {
        let mut set_aside = None;
        let mut lease = None;
        let engine: Arc<dyn Engine> = match place {
            Place::Own => Arc::new(MemoryEngine::new(options)),
            Place::Name(name) => {
                let lease = lease.insert(Lease::open(&name, options).map_err(Refusal::Differs)?);
                Arc::clone(lease.engine()) as _
            }
            Place::Path(path, map_size) => {
                let path = Path::new(&path);
                let opened = match rules.user_path() {
                    Some(user) => SharedEngine::open_by(path, map_size, options, user)?,
                    None => SharedEngine::open(path, map_size, options)?,
                };
                set_aside = opened.set_aside.map(|path| path.to_string_lossy().into_owned());
                opened.engine
            }
        };
        let store = Self {
            engine: RefCell::new(engine),
            lease: RefCell::new(lease),
            sync: Task::default(),
            closing: Task::default(),
            following: Task::default(),
            dispose: options.keep_removed,
            rules,
            buffers: RefCell::default(),
            version: Cell::default(),
            expires: Cell::default(),
            after: RefCell::default(),
            removed: RefCell::default(),
            pruned_at_close: Arc::default(),
            _open: BACKGROUND.open(),
        };
        // A file may have sessions that have yet to be indexed.
        store.go_on_later().map_err(Refusal::Failed)?;
        Ok((Rc::new(store), set_aside))
    }

    pub(super) fn engine(&self) -> Ref<'_, Arc<dyn Engine>> {
        self.engine.borrow()
    }

    pub(super) fn sid(&self, call: &Call, text: &mut Text) -> std::result::Result<Sid, Failure> {
        self.sid_at(call, 0, text)
    }

    /// The sid that is the argument `index`.
    pub(super) fn sid_at(
        &self,
        call: &Call,
        index: usize,
        text: &mut Text,
    ) -> std::result::Result<Sid, Failure> {
        let sid = self.engine().sid(call.sid_bytes(index, text)?);
        text.trim();
        Ok(sid)
    }

    /// Runs an operation. What it removed is kept for `dispose`, or dropped here, which is
    /// after the engine's lock has been released. What it left to be done in steps goes to the
    /// background thread.
    pub(super) fn removing<R>(&self, operation: impl FnOnce(&mut Vec<Removed>) -> R) -> R {
        let mut removed = self.removed.borrow_mut();
        let before = removed.len();
        let result = operation(&mut removed);
        let count = removed.len() - before;
        if !self.dispose {
            removed.clear();
            removed.shrink_to(REMOVED_TO_KEEP);
        }
        if count >= REMOVED_AT_ONCE {
            self.step_in_background();
        }
        result
    }

    /// Leaves to the background thread what is left of a prune or a clear, if anything is.
    pub(super) fn go_on_later(&self) -> engine::Result<()> {
        if self.engine().is_busy()? {
            self.step_in_background();
        }
        Ok(())
    }

    pub(super) fn step_in_background(&self) {
        let engine: Arc<dyn Maintenance> = Arc::clone(&self.engine()) as _;
        BACKGROUND.maintain(Arc::downgrade(&engine));
    }
}

/// An engine without sessions.
pub(super) fn nothing() -> Arc<dyn Engine> {
    Arc::new(MemoryEngine::new(Options::default()))
}

impl From<shared::Error> for Refusal {
    fn from(error: shared::Error) -> Self {
        match error.differing_option() {
            Some(option) => Self::Differs(option),
            None => Self::Failed(error.into()),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let engine = self.engine.get_mut();
        if engine.takes_long_to_drop() {
            BACKGROUND.free(Box::new(std::mem::replace(engine, nothing())));
        }
    }
}

impl Buffers {
    /// Gives back what one large session made the buffers grow to.
    pub(super) fn trim(&mut self) {
        self.text.trim();
        self.base.trim();
        self.user.trim();
        if self.body.capacity() > BUFFER_TO_KEEP {
            self.body = Vec::new();
        }
    }
}
