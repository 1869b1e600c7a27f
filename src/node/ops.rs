//! The functions of a store, one for each operation: read the arguments, call the engine,
//! give back the result. What they mean is told in `index.js` and in [`crate::engine`].

use std::cell::{Cell, Ref, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use parking_lot::Mutex;

use super::raw::{self, Call, Failure, Text, Value};
use super::task::Task;
use crate::background::{OpenStore, PRUNER, Prunable};
use crate::engine::{
    self, Condition, Engine, Error, MemoryEngine, NewCookie, Options, REMOVED_AT_ONCE, Refused,
    Removed, SharedEngine, Touched, Version,
};
use crate::named::Lease;
use crate::session::{Body, BodyRef, BodyView, Encoding};
use crate::sid::Sid;
use crate::time::{Millis, NEVER, expires_at, from_iso, whole};

/// How many sessions that were removed in steps `takeRemoved` gives at once.
const TAKEN_AT_ONCE: usize = 500;

/// Room for so many sessions that a call has removed is kept for the next.
const REMOVED_TO_KEEP: usize = 16;

/// A buffer that has grown beyond this many bytes is not kept.
const BUFFER_TO_KEEP: usize = 256 * 1024;

/// A store as one JavaScript object has it. It is used by that object's thread only.
pub(super) struct Store {
    /// An empty one once the store is closed and its sessions are in a file, which is let go.
    engine: RefCell<Arc<dyn Engine>>,
    /// Of an engine that has a name, until the store is closed.
    lease: RefCell<Option<Lease>>,
    /// A sync that goes on, and the closing of the file.
    sync: Task,
    closing: Task,
    /// The opening of other files where those of the path were replaced.
    following: Task,
    dispose: bool,
    buffers: RefCell<Buffers>,
    /// The version at which something was read last, and when that expires.
    version: Cell<Version>,
    expires: Cell<Millis>,
    /// What the calls so far removed and `takeRemoved` has not fetched. Empty without `dispose`.
    removed: RefCell<Vec<Removed>>,
    /// What the background thread had removed when it let go of the file.
    left: Arc<Mutex<Vec<Removed>>>,
    _open: OpenStore,
}

/// What is copied in and out passes through these, so that a call allocates nothing.
#[derive(Default)]
struct Buffers {
    sid: Text,
    text: Text,
    body: Vec<u8>,
}

type Done = std::result::Result<Value, Failure>;
type Operation = fn(&Store, &Call) -> Done;

/// Where a store's sessions are.
pub(super) enum Place {
    /// In memory, for this store alone.
    Own,
    /// In memory, for all stores of the process that are given the name.
    Name(String),
    /// In a file in the folder, which is not to outgrow so many bytes.
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
                let opened = SharedEngine::open(Path::new(&path), map_size, options)?;
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
            buffers: RefCell::default(),
            version: Cell::default(),
            expires: Cell::default(),
            removed: RefCell::default(),
            left: Arc::default(),
            _open: PRUNER.open(),
        };
        Ok((Rc::new(store), set_aside))
    }

    fn engine(&self) -> Ref<'_, Arc<dyn Engine>> {
        self.engine.borrow()
    }

    /// Gives `target` this store's functions.
    pub(super) fn bind(self: &Rc<Self>, env: Env, target: &Object) -> Result<()> {
        let functions: [(&str, Operation); 25] = [
            ("get", Store::get),
            ("fetch", Store::fetch),
            ("peek", Store::peek),
            ("version", Store::version),
            ("expires", Store::expires),
            ("set", Store::set),
            ("setTied", Store::set_tied),
            ("touch", Store::touch),
            ("touchByTemplate", Store::touch_by_template),
            ("template", Store::template),
            ("rewrite", Store::rewrite),
            ("destroy", Store::destroy),
            ("length", Store::length),
            ("ids", Store::ids),
            ("list", Store::list),
            ("all", Store::all),
            ("clear", Store::clear),
            ("close", Store::close),
            ("isClosing", Store::is_closing),
            ("syncLater", Store::sync_later),
            ("watch", Store::watch),
            ("prune", Store::prune),
            ("isBusy", Store::is_busy),
            ("takeRemoved", Store::take_removed),
            ("stats", Store::stats),
        ];
        for (name, function) in functions {
            raw::bind(env, target, name, Rc::clone(self), function)?;
        }
        Ok(())
    }

    /// `get(sid, now)`: the body or undefined.
    fn get(&self, call: &Call) -> Done {
        self.read(call, |engine, sid, now, removed, copy| engine.get(sid, now, removed, copy))
    }

    /// `fetch(sid, now)`: as `get`, but is not counted.
    fn fetch(&self, call: &Call) -> Done {
        self.read(call, |engine, sid, now, removed, copy| engine.fetch(sid, now, removed, copy))
    }

    /// `peek(sid, now)`: as `fetch`, but the session does not count as used.
    fn peek(&self, call: &Call) -> Done {
        self.read(call, |engine, sid, now, removed, copy| engine.peek(sid, now, removed, copy))
    }

    fn read(
        &self,
        call: &Call,
        operation: impl FnOnce(
            &dyn Engine,
            &Sid,
            Millis,
            &mut Vec<Removed>,
            &mut dyn FnMut(BodyView<'_>),
        ) -> engine::Result<bool>,
    ) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let now = whole(call.number(1)?);
        let body = &mut buffers.body;
        let mut encoding = Encoding::Ascii;
        let mut copy = |read: BodyView<'_>| {
            self.version.set(read.read());
            self.expires.set(read.expires());
            body.clear();
            read.write_to(body);
            encoding = read.encoding();
        };
        let engine = self.engine();
        let is_found =
            self.removing(|removed| operation(&**engine, &sid, now, removed, &mut copy))?;
        let value =
            if is_found { call.body(&buffers.body, encoding) } else { Ok(Value::UNDEFINED) };
        buffers.trim();
        value
    }

    /// `version()`: at which `get`, `fetch` or `peek` has read last.
    #[expect(clippy::cast_precision_loss, reason = "they are counted from 1")]
    fn version(&self, call: &Call) -> Done {
        call.double(self.version.get() as f64)
    }

    /// `expires()`: the last moment at which that is alive; `Infinity` where it is for ever.
    #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
    fn expires(&self, call: &Call) -> Done {
        let expires = self.expires.get();
        call.double(if expires == NEVER { f64::INFINITY } else { expires as f64 })
    }

    /// `set(sid, body, now, ttl, kind)`, where `kind` is one of [`KINDS`]. Gives the version that
    /// was written, or why it was not; see [`written_code`].
    fn set(&self, call: &Call) -> Done {
        self.write(call, Condition::None, false)
    }

    /// `setTied(sid, body, now, ttl, kind, read, expected, isMerge)`: as `set`, unless the session was
    /// destroyed since the version `read`, or what is stored is later than the version
    /// `expected`. A negative `expected` is for whatever is stored. `isMerge` is 1 for a body that
    /// has what others wrote, else 0.
    fn set_tied(&self, call: &Call) -> Done {
        let read = version_of(call, 5)?;
        let condition = if call.number(6)? < 0.0 {
            Condition::NotDestroyed { read }
        } else {
            Condition::Unchanged { read, expected: version_of(call, 6)? }
        };
        let is_merge = call.number(7)? > 0.0;
        self.write(call, condition, is_merge)
    }

    /// `rewrite(sid, body, now, ttl, kind, read, isChange)`: the second half of a touch whose
    /// first half fetched at the version `read`. `isChange` is 1 where more of the cookie changes
    /// than its time, else 0.
    fn rewrite(&self, call: &Call) -> Done {
        let (read, is_change) = (version_of(call, 5)?, call.number(6)? > 0.0);
        self.write(call, Condition::Touch { read, is_change }, false)
    }

    fn write(&self, call: &Call, condition: Condition, is_merge: bool) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let now = whole(call.number(2)?);
        let expires = expires_at(now, call.number(3)?);
        let kind = KINDS.get(super::whole_count(call.number(4)?)).copied();
        let kind = kind.ok_or(Failure::Argument(c"memorystore-rs: expected the body's kind"))?;
        let is_buffer = kind == Kind::Buffer;
        let written = call.with_body(1, is_buffer, &mut buffers.text, |bytes, encoding| {
            let body = BodyRef { bytes, encoding, is_json: kind == Kind::Json };
            self.removing(|removed| {
                self.engine().set(sid, body, condition, (now, expires), removed)
            })
        })??;
        buffers.trim();
        if is_merge && written.is_ok() {
            self.engine().note_merge();
        }
        call.double(written_code(written))
    }

    /// `touch(sid, holder, now, ttl, isRenewal)`, where `holder` is the JSON text of an object that
    /// has the new cookie and nothing else. `isRenewal` is 1 where the stored cookie must differ in
    /// its time only, and the session live no shorter, else 0. Gives 0 where the session is missing,
    /// 1 where it was renewed, and 2 where JavaScript has to read, change and write it.
    fn touch(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let now = whole(call.number(2)?);
        let expires = expires_at(now, call.number(3)?);
        let encoding = call.string(1, &mut buffers.text)?;
        let (Some(bytes), Encoding::Ascii | Encoding::Utf8) =
            (held_cookie(&buffers.text), encoding)
        else {
            return call.integer(2);
        };
        let cookie = NewCookie::Text(BodyRef { bytes, encoding, is_json: true });
        self.touch_with(call, 4, &sid, cookie, (now, expires))
    }

    /// `touchByTemplate(sid, template, time, now, ttl, isRenewal)`: as `touch`, for a cookie that has the
    /// text of a template. `time` is what stands in its place for one: a number, or text as
    /// `toISOString` gives it, or undefined where there is none. Gives 3 where `touch` has to be
    /// called instead.
    fn touch_by_template(&self, call: &Call) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let template = super::whole_count(call.number(1)?) as u64;
        let now = whole(call.number(3)?);
        let expires = expires_at(now, call.number(4)?);
        let Some(time) = cookie_time(call, &mut buffers.text) else {
            return call.integer(touched_code(Touched::NeedsText));
        };
        let cookie = NewCookie::Cut { template, time };
        self.touch_with(call, 5, &sid, cookie, (now, expires))
    }

    fn touch_with(
        &self,
        call: &Call,
        is_renewal: usize,
        sid: &Sid,
        cookie: NewCookie<'_>,
        (now, expires): (Millis, Millis),
    ) -> Done {
        let is_renewal = call.number(is_renewal)? > 0.0;
        let engine = self.engine();
        let touched = self.removing(|removed| {
            if is_renewal {
                engine.renew(sid, cookie, now, expires, removed)
            } else {
                engine.touch(sid, cookie, now, expires, removed)
            }
        })?;
        call.integer(touched_code(touched))
    }

    /// `template(holder)`: the number by which `touchByTemplate` takes cookies that are as the
    /// one in `holder` but for the time they expire at; 0 where it takes none such.
    fn template(&self, call: &Call) -> Done {
        let text = &mut self.buffers.borrow_mut().text;
        call.string(0, text)?;
        let template = held_cookie(text).and_then(|cookie| self.engine().template(cookie));
        #[expect(clippy::cast_precision_loss, reason = "they are counted from 1")]
        call.double(template.unwrap_or(0) as f64)
    }

    /// `destroy(sid, now)`.
    fn destroy(&self, call: &Call) -> Done {
        let sid = self.sid(call, &mut self.buffers.borrow_mut().sid)?;
        let now = whole(call.number(1)?);
        self.removing(|removed| self.engine().destroy(&sid, now, removed))?;
        Ok(Value::UNDEFINED)
    }

    /// `length()`: expired ones that nothing has removed yet included.
    fn length(&self, call: &Call) -> Done {
        call.count(self.engine().length()?)
    }

    /// `ids(array)`: appends the sids, most recently used first.
    fn ids(&self, call: &Call) -> Done {
        call.append(self.engine().ids()?, Call::sid)
    }

    /// `list()`: has the background thread list the sids, most recently used first, expired
    /// ones included. Gives a function `take(array, limit)`, which appends the next of them and
    /// gives how many are left; undefined while they are being listed.
    fn list(&self, call: &Call) -> Done {
        let listing = Rc::new(Listing::default());
        listing.begin(Arc::clone(&self.engine()).listing()?);
        call.function("take", listing, Listing::take)
    }

    /// `all(array, now)`: appends sid, body, sid, body, ..., most recently used first.
    fn all(&self, call: &Call) -> Done {
        let now = whole(call.number(1)?);
        let listed = self.removing(|removed| self.engine().all(now, removed))?;
        call.append_pairs(listed.iter().map(|(sid, body)| (sid, body)))
    }

    /// `clear(now)`.
    fn clear(&self, call: &Call) -> Done {
        let now = whole(call.number(0)?);
        self.removing(|removed| self.engine().clear(now, removed))?;
        self.go_on_later()?;
        Ok(Value::UNDEFINED)
    }

    /// `close(now)`: clears the store, unless others have it by its name still, or its sessions
    /// are in a file: that is let go. Gives whether it cleared the store.
    fn close(&self, call: &Call) -> Done {
        let is_last = self.lease.take().is_none_or(Lease::end);
        if self.engine().is_durable() {
            self.let_go();
            return call.truth(false);
        }
        if is_last {
            self.clear(call)?;
        }
        call.truth(is_last)
    }

    fn let_go(&self) {
        let engine = self.engine.replace(nothing());
        let left = Arc::clone(&self.left);
        self.closing.begin(move || {
            // Nothing prunes meanwhile: that is done by the same thread.
            engine.take_pruned(usize::MAX, &mut left.lock());
            if engine.is_dirty() { engine.sync() } else { Ok(()) }
        });
    }

    /// `isClosing()`: whether the background thread still has to let go of the file. When it has,
    /// `takeRemoved` gives what it had removed.
    fn is_closing(&self, call: &Call) -> Done {
        let is_closing = self.closing.is_under_way()?;
        if !is_closing {
            self.removed.borrow_mut().append(&mut self.left.lock());
        }
        call.truth(is_closing)
    }

    /// `syncLater()`: has the background thread put on the disk what was written, if anything was.
    /// Gives whether there is anything that is not there yet. Throws what the last time failed with.
    fn sync_later(&self, call: &Call) -> Done {
        let is_under_way = self.sync.is_under_way()?;
        let is_dirty = self.engine().is_dirty();
        if is_dirty && !is_under_way {
            let engine = Arc::downgrade(&self.engine());
            self.sync.begin(move || engine.upgrade().map_or(Ok(()), |engine| engine.sync()));
        }
        call.truth(is_dirty || is_under_way)
    }

    /// `watch()`: where the files of the path were replaced, has the background thread open those
    /// that are there now. Gives what has become of it, once, when there is something to tell.
    fn watch(&self, call: &Call) -> Done {
        let engine = self.engine();
        // Where it failed the notice says so, and it is tried again.
        let is_following = self.following.is_under_way().unwrap_or(false);
        if !is_following && engine.is_replaced() {
            let engine = Arc::downgrade(&engine);
            self.following.begin(move || engine.upgrade().map_or(Ok(()), |engine| engine.follow()));
        }
        match engine.take_notice() {
            Some(notice) => call.body(notice.as_bytes(), Encoding::Utf8),
            None => Ok(Value::UNDEFINED),
        }
    }

    /// `prune(now)`: removes what has expired. If it is more than a little, the background thread
    /// goes on with it.
    fn prune(&self, call: &Call) -> Done {
        self.engine().begin_prune(whole(call.number(0)?))?;
        self.go_on_later()?;
        Ok(Value::UNDEFINED)
    }

    /// `isBusy()`: whether the background thread still has to remove something, or `takeRemoved`
    /// has something to give that it has removed.
    fn is_busy(&self, call: &Call) -> Done {
        call.truth(self.engine().is_busy()?)
    }

    /// `stats(array)`: appends the figures in the order in which `index.js` names them.
    fn stats(&self, call: &Call) -> Done {
        let stats = self.engine().stats()?;
        let counters = stats.counters;
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        let figures = [
            stats.sessions as f64,
            stats.bytes as f64,
            counters.hits as f64,
            counters.misses as f64,
            counters.sets as f64,
            counters.merges as f64,
            counters.refused as f64,
            counters.touches as f64,
            counters.evictions_by_count as f64,
            counters.evictions_by_bytes as f64,
            counters.expirations as f64,
            counters.prunes as f64,
            counters.last_prune.as_secs_f64() * 1000.0,
        ];
        call.append(figures, |call, figure| call.double(*figure))
    }

    /// `takeRemoved(array)`: appends sid, body, sid, body, ... of what the calls so far have
    /// removed, in the order in which it is to be disposed of, and then some of what the
    /// background thread has. Gives whether there is more of that, or may be soon.
    fn take_removed(&self, call: &Call) -> Done {
        let mut removed = self.removed.take();
        let more = self.engine().take_pruned(TAKEN_AT_ONCE, &mut removed);
        call.append_pairs(removed.iter().map(|removed| (&removed.sid, &removed.body)))?;
        call.truth(more)
    }

    fn sid(&self, call: &Call, text: &mut Text) -> std::result::Result<Sid, Failure> {
        let sid = self.engine().sid(call.sid_bytes(0, text)?);
        text.trim();
        Ok(sid)
    }

    /// Runs an operation. What it removed is kept for `dispose`, or dropped here, which is
    /// after the engine's lock has been released. What it left to be done in steps goes to the
    /// background thread.
    fn removing<R>(&self, operation: impl FnOnce(&mut Vec<Removed>) -> R) -> R {
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
    fn go_on_later(&self) -> engine::Result<()> {
        if self.engine().is_busy()? {
            self.step_in_background();
        }
        Ok(())
    }

    fn step_in_background(&self) {
        let engine: Arc<dyn Prunable> = Arc::clone(&self.engine()) as _;
        PRUNER.prune(Arc::downgrade(&engine));
    }
}

/// What a body is: text, text that `JSON.stringify` wrote, a `Buffer`, or another `Uint8Array`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Buffer,
    Uint8Array,
}

/// The kinds by the numbers by which `index.js` knows them.
const KINDS: [Kind; 4] = [Kind::Text, Kind::Json, Kind::Buffer, Kind::Uint8Array];

fn version_of(call: &Call, index: usize) -> std::result::Result<Version, Failure> {
    Ok(super::whole_count(call.number(index)?) as Version)
}

/// What `index.js` is told of a write: the version, or a negative number.
#[expect(clippy::cast_precision_loss, reason = "versions are counted from 1")]
fn written_code(written: std::result::Result<Version, Refused>) -> f64 {
    match written {
        Ok(version) => version as f64,
        Err(Refused::TooLarge) => -1.0,
        Err(Refused::Destroyed) => -2.0,
        Err(Refused::Changed) => -3.0,
        Err(Refused::Missing) => -4.0,
        Err(Refused::TooSoon) => -5.0,
        Err(Refused::Sid) => -6.0,
    }
}

/// The cookie in `{"cookie":...}`, the JSON text of an object that has nothing else.
fn held_cookie(holder: &Text) -> Option<&[u8]> {
    holder.as_bytes().strip_prefix(b"{\"cookie\":")?.strip_suffix(b"}")
}

/// The time that `touchByTemplate` is given: `None` where it is not one.
#[expect(clippy::option_option, reason = "no time is not a wrong one")]
fn cookie_time(call: &Call, text: &mut Text) -> Option<Option<Millis>> {
    if let Ok(number) = call.number(2) {
        return number.is_finite().then(|| Some(whole(number)));
    }
    match call.string(2, text) {
        Ok(_) => from_iso(text.as_bytes()).map(Some),
        Err(_not_given) => Some(None),
    }
}

/// What `index.js` is told of a touch.
fn touched_code(touched: Touched) -> i32 {
    match touched {
        Touched::Missing => 0,
        Touched::Renewed => 1,
        Touched::NeedsRewrite => 2,
        Touched::NeedsText => 3,
    }
}

/// The sids of a store, listed by the background thread.
#[derive(Default)]
struct Listing {
    /// The last of them in the order, first, so that the next is taken from the end.
    listed: Arc<Mutex<Option<engine::Result<Vec<Sid>>>>>,
}

impl Listing {
    fn begin(&self, mut listing: Box<dyn engine::Listing>) {
        let listed = Arc::downgrade(&self.listed);
        let mut sids = Vec::new();
        PRUNER.run(Box::new(move || {
            // It is gone where nobody can ask for the sids any more.
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

    /// `take(array, limit)`, as told at [`Store::list`].
    fn take(&self, call: &Call) -> Done {
        let limit = super::whole_count(call.number(1)?);
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

/// An engine without sessions.
fn nothing() -> Arc<dyn Engine> {
    Arc::new(MemoryEngine::new(Options::default()))
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.differing_option() {
            Some(option) => Self::Differs(option),
            None => Self::Failed(error),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let engine = self.engine.get_mut();
        if engine.takes_long_to_drop() {
            PRUNER.free(Box::new(std::mem::replace(engine, nothing())));
        }
    }
}

impl Buffers {
    /// Gives back what one large session made the buffers grow to.
    fn trim(&mut self) {
        self.text.trim();
        if self.body.capacity() > BUFFER_TO_KEEP {
            self.body = Vec::new();
        }
    }
}

impl Call<'_> {
    fn append_pairs<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a Sid, &'a Body)>,
    ) -> std::result::Result<Value, Failure> {
        let flat = pairs.flat_map(|(sid, body)| [Part::Sid(sid), Part::Body(body)]);
        self.append(flat, |call, part| match part {
            Part::Sid(sid) => call.sid(sid),
            Part::Body(body) => call.body(body.bytes(), body.encoding()),
        })
    }
}

enum Part<'a> {
    Sid(&'a Sid),
    Body(&'a Body),
}
