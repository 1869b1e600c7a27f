//! The functions of a store, one for each operation: read the arguments, call the engine, give back
//! the result. See `index.js` and [`crate::engine`] for what they mean.

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};

use super::codes::{held_cookie, reason_code, whole_count};
use super::listing::Listing;
use super::raw::{self, Call, Failure, Value};
use super::store::{Done, Store};
use crate::engine::{Reading, Reason, Removed};
use crate::session::{Body, BodyView, Encoding, FOR_BUILDER};
use crate::sid::Sid;
use crate::time::{NEVER, whole};

/// How many sessions that were removed in steps `takeRemoved` gives at once.
const TAKEN_AT_ONCE: usize = 500;

type Operation = fn(&Store, &Call) -> Done;

/// What requests call: each is a function of its own, which takes the least time to call and about
/// a kilobyte of memory in each store.
const BOUND: [(&str, Operation); 13] = [
    ("get", Store::get),
    ("version", Store::version),
    ("expires", Store::expires),
    ("isAlive", Store::is_alive),
    ("set", Store::set),
    ("merge", Store::merge),
    ("setTied", Store::set_tied),
    ("touch", Store::touch),
    ("mergeCookie", Store::merge_cookie),
    ("touchByTemplate", Store::touch_by_template),
    ("rewrite", Store::rewrite),
    ("destroy", Store::destroy),
    ("drop", Store::discard),
];

/// The others: they have one function in common, `operate(index, ...arguments)`.
const COMMON: [(&str, Operation); 25] = [
    ("fetch", Store::fetch),
    ("peek", Store::peek),
    ("noteRefused", Store::note_refused),
    ("template", Store::template),
    ("cookieOf", Store::cookie_of),
    ("shape", Store::shape),
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
    ("info", Store::info),
    ("created", Store::created),
    ("indexSome", Store::index_some),
    ("sessionsOf", Store::sessions_of),
    ("destroyUser", Store::destroy_user),
    ("after", Store::after),
];

/// The names of the operations that `operate` does, in the order of their indices.
pub(super) fn common_operations() -> Vec<&'static str> {
    COMMON.iter().map(|(name, _)| *name).collect()
}

impl Store {
    /// Gives `target` this store's functions.
    pub(super) fn bind(self: &Rc<Self>, env: Env, target: &Object) -> Result<()> {
        let operate: (&str, Operation) = ("operate", Store::operate);
        for (name, function) in BOUND.into_iter().chain([operate]) {
            raw::bind(env, target, name, Rc::clone(self), function)?;
        }
        Ok(())
    }

    /// `operate(index, ...arguments)`: one of [`COMMON`].
    fn operate(&self, call: &Call) -> Done {
        let index = whole_count(call.number(0)?);
        let Some((_, operation)) = COMMON.get(index) else {
            return Err(Failure::Argument(c"memorystore-rs: no such operation"));
        };
        operation(self, &call.without_first())
    }

    /// `get(sid, now, isForBuilder)`: the body or undefined. If `isForBuilder` is 1, a session with a
    /// shape comes as a builder takes it.
    fn get(&self, call: &Call) -> Done {
        self.read(call, Reading::Get)
    }

    /// `fetch(sid, now)`: as `get`, but is not counted.
    fn fetch(&self, call: &Call) -> Done {
        self.read(call, Reading::Fetch)
    }

    /// `peek(sid, now)`: as `fetch`, but the session does not count as used.
    fn peek(&self, call: &Call) -> Done {
        self.read(call, Reading::Peek)
    }

    fn read(&self, call: &Call, reading: Reading) -> Done {
        let buffers = &mut *self.buffers.borrow_mut();
        let sid = self.sid(call, &mut buffers.sid)?;
        let now = whole(call.number(1)?);
        let is_for_builder = call.is_set(2);
        let body = &mut buffers.body;
        // None for what a builder takes.
        let mut encoding = None;
        let mut copy = |read: BodyView<'_>| {
            self.version.set(read.read());
            self.expires.set(read.expires());
            body.clear();
            if is_for_builder && read.write_for_builder(body) {
                return;
            }
            read.write_to(body);
            if is_for_builder && body.first() == Some(&FOR_BUILDER) {
                // Another serializer wrote it. With a blank it is no JSON either, and for no builder.
                body.insert(0, b' ');
            }
            encoding = Some(read.encoding());
        };
        let engine = self.engine();
        let is_found =
            self.removing(|removed| engine.read(&sid, reading, now, removed, &mut copy))?;
        let value = match encoding {
            _ if !is_found => Ok(Value::UNDEFINED),
            Some(encoding) => call.body(&buffers.body, encoding),
            None => call.latin1(&buffers.body),
        };
        buffers.trim();
        value
    }

    /// `isAlive(sid, now)`: whether there is a session that has not expired. Does nothing to it.
    fn is_alive(&self, call: &Call) -> Done {
        let sid = self.sid(call, &mut self.buffers.borrow_mut().sid)?;
        call.truth(self.engine().is_alive(&sid, whole(call.number(1)?))?)
    }

    /// `version()`: the version at which `get`, `fetch` or `peek` last read.
    #[expect(clippy::cast_precision_loss, reason = "they are counted from 1")]
    fn version(&self, call: &Call) -> Done {
        call.double(self.version.get() as f64)
    }

    /// `expires()`: the last moment at which the session last read is alive; `Infinity` if it never
    /// expires.
    #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
    fn expires(&self, call: &Call) -> Done {
        let expires = self.expires.get();
        call.double(if expires == NEVER { f64::INFINITY } else { expires as f64 })
    }

    /// `noteRefused()`: counts a write that JavaScript refused.
    #[expect(clippy::unnecessary_wraps, reason = "it is an operation like the others")]
    fn note_refused(&self, _call: &Call) -> Done {
        self.engine().note_refused();
        Ok(Value::UNDEFINED)
    }

    /// `template(holder)`: the number of a template, for `touchByTemplate`, of cookies that differ
    /// from the one in `holder` only in when they expire; 0 if there is none.
    fn template(&self, call: &Call) -> Done {
        let text = &mut self.buffers.borrow_mut().text;
        call.string(0, text)?;
        let template = held_cookie(text).and_then(|cookie| self.engine().template(cookie));
        #[expect(clippy::cast_precision_loss, reason = "they are counted from 1")]
        call.double(template.unwrap_or(0) as f64)
    }

    /// `cookieOf(handle)`: the definition of a template, for a builder; undefined if it is gone.
    fn cookie_of(&self, call: &Call) -> Done {
        let handle = whole_count(call.number(0)?) as u64;
        call.text(self.engine().template_definition(handle))
    }

    /// `shape(handle)`: the definition of a shape, for a builder; undefined if it is gone.
    fn shape(&self, call: &Call) -> Done {
        let handle = whole_count(call.number(0)?) as u64;
        call.text(self.engine().shape_definition(handle))
    }

    /// `destroy(sid, now)`.
    fn destroy(&self, call: &Call) -> Done {
        let sid = self.sid(call, &mut self.buffers.borrow_mut().sid)?;
        let now = whole(call.number(1)?);
        self.removing(|removed| self.engine().destroy(&sid, now, removed))?;
        Ok(Value::UNDEFINED)
    }

    /// `drop(sid)`: removes the session as if it had never been there. It is not disposed of.
    fn discard(&self, call: &Call) -> Done {
        let sid = self.sid(call, &mut self.buffers.borrow_mut().sid)?;
        self.removing(|removed| self.engine().discard(&sid, removed))?;
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

    /// `stats(array)`: appends the figures in the order in which `index.js` names them. The last two
    /// are there only if the store knows whose sessions are.
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
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        let of_users =
            stats.anonymous.map(|anonymous| [anonymous as f64, counters.evictions_of_users as f64]);
        let figures = figures.into_iter().chain(of_users.into_iter().flatten());
        call.append(figures, |call, figure| call.double(*figure))
    }

    /// `takeRemoved(array)`: appends sid, body, reason, sid, body, ... of what the calls so far have
    /// removed, in the order in which it is to be disposed of, and then some of what the
    /// background thread has; for the reasons see [`reason_code`]. Gives whether there is more of
    /// that, or may be soon.
    fn take_removed(&self, call: &Call) -> Done {
        let mut removed = self.removed.take();
        let more = self.engine().take_pruned(TAKEN_AT_ONCE, &mut removed);
        let parts = removed.iter().flat_map(|Removed { sid, body, reason, .. }| {
            [Part::Sid(sid), Part::Body(body), Part::Reason(*reason)]
        });
        call.append(parts, Call::part)?;
        call.truth(more)
    }
}

impl Call<'_> {
    /// JSON text or undefined.
    fn text(&self, text: Option<Vec<u8>>) -> Done {
        text.map_or(Ok(Value::UNDEFINED), |text| self.body(&text, Encoding::Utf8))
    }

    fn append_pairs<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a Sid, &'a Body)>,
    ) -> std::result::Result<Value, Failure> {
        let flat = pairs.flat_map(|(sid, body)| [Part::Sid(sid), Part::Body(body)]);
        self.append(flat, Self::part)
    }

    fn part(&self, part: &Part<'_>) -> std::result::Result<Value, Failure> {
        match part {
            Part::Sid(sid) => self.sid(sid),
            Part::Body(body) => self.body(body.bytes(), body.encoding()),
            Part::Reason(reason) => self.integer(reason_code(*reason)),
        }
    }
}

enum Part<'a> {
    Sid(&'a Sid),
    Body(&'a Body),
    Reason(Reason),
}
