//! The functions of a store that are about the sessions of one user, and about a session without
//! using it.

use super::raw::{Call, Failure, Value};
use super::store::{Done, Store};
use crate::engine::{Facts, User, Which};
use crate::session::{Body, BodyView};
use crate::sid::{Handle, Sid};
use crate::time::{NEVER, whole};

/// What is told of a session.
pub(super) struct Told {
    pub(super) sid: Sid,
    pub(super) facts: Facts,
    pub(super) body: Body,
}

impl Store {
    /// `info(array, sid, now)`: appends what is told of the session, as in `sessionsOf`, if it is
    /// there and alive. It is not used.
    pub(super) fn info(&self, call: &Call) -> Done {
        let sid = self.sid_at(call, 1, &mut self.buffers.borrow_mut().sid)?;
        let now = whole(call.number(2)?);
        let mut told = Vec::new();
        let mut keep = |facts: &Facts, body: BodyView<'_>| {
            told.clear();
            told.push(Told { sid: sid.clone(), facts: *facts, body: body.to_body() });
        };
        self.engine().info(&sid, now, &mut keep)?;
        append_told(call, &told)
    }

    /// `created(sid, now)`: when the session was created; undefined if it is not there and alive, or
    /// if that is not noted. It is not used.
    #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
    pub(super) fn created(&self, call: &Call) -> Done {
        let sid = self.sid(call, &mut self.buffers.borrow_mut().sid)?;
        let mut times = None;
        let mut keep = |facts: &Facts, _: BodyView<'_>| times = facts.times;
        self.engine().info(&sid, whole(call.number(1)?), &mut keep)?;
        times.map_or(Ok(Value::UNDEFINED), |(created, _)| call.double(created as f64))
    }

    /// `indexSome()`: adds a few sessions to the index of users that have yet to be indexed. Gives
    /// whether there are more.
    pub(super) fn index_some(&self, call: &Call) -> Done {
        call.truth(self.engine().index_some()?)
    }

    /// `sessionsOf(array, user, now, after)`: appends sid, body, created, used, expires, bytes and
    /// order, sid, body, ... of some sessions of the user: those after the sid `after`, or the
    /// first. `after()` then gives the sid after which to go on.
    pub(super) fn sessions_of(&self, call: &Call) -> Done {
        let (user, now) = (self.user(call, 1)?, whole(call.number(2)?));
        let after = self.sid_if_given(call, 3)?;
        let mut told: Vec<Told> = Vec::new();
        let mut keep = |sid: &Sid, facts: &Facts, body: BodyView<'_>| {
            told.push(Told { sid: sid.clone(), facts: *facts, body: body.to_body() });
        };
        let after = self.engine().sessions_of(user, after.as_ref(), now, &mut keep)?;
        self.after.replace(after);
        append_told(call, &told)
    }

    /// `destroyUser(user, now, except, only, after)`: destroys some sessions of the user, as
    /// `sessionsOf` lists them: all, or all but the sid `except`, or the one with the handle `only`,
    /// in hexadecimal digits. Gives how many.
    pub(super) fn destroy_user(&self, call: &Call) -> Done {
        let (user, now) = (self.user(call, 0)?, whole(call.number(1)?));
        let [except, after] = [self.sid_if_given(call, 2)?, self.sid_if_given(call, 4)?];
        let which = match self.handle_if_given(call, 3)? {
            Some(handle) => Which::Only(handle),
            None => Which::All { except: except.as_ref() },
        };
        let engine = self.engine();
        let ended = self
            .removing(|removed| engine.destroy_user(user, which, after.as_ref(), now, removed))?;
        self.after.replace(ended.after);
        call.count(ended.count)
    }

    /// `after()`: the sid after which to go on with the last `sessionsOf` or `destroyUser`;
    /// undefined if no more sessions are left.
    pub(super) fn after(&self, call: &Call) -> Done {
        self.after.take().map_or(Ok(Value::UNDEFINED), |sid| call.sid(&sid))
    }

    fn user(&self, call: &Call, index: usize) -> Result<User, Failure> {
        let text = &mut self.buffers.borrow_mut().user;
        call.string(index, text)?;
        Ok(self.engine().user(text.as_bytes()))
    }

    fn sid_if_given(&self, call: &Call, index: usize) -> Result<Option<Sid>, Failure> {
        match self.sid_at(call, index, &mut self.buffers.borrow_mut().sid) {
            Err(Failure::Argument(_)) => Ok(None),
            sid => sid.map(Some),
        }
    }

    fn handle_if_given(&self, call: &Call, index: usize) -> Result<Option<Handle>, Failure> {
        let text = &mut self.buffers.borrow_mut().user;
        match call.string(index, text) {
            Err(Failure::Argument(_)) => return Ok(None),
            Err(failure) => return Err(failure),
            Ok(_) => {}
        }
        let digits = str::from_utf8(text.as_bytes()).unwrap_or_default();
        let handle = u128::from_str_radix(digits, 16).map(u128::to_be_bytes);
        handle.map(Some).map_err(|_| Failure::Argument(c"memorystore-rs: expected a handle"))
    }
}

/// One of the values by which a session is told.
enum Part<'a> {
    Sid(&'a Sid),
    Body(&'a Body),
    Number(f64),
}

/// Times that are not known are NaN.
#[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
fn append_told(call: &Call, told: &[Told]) -> Done {
    let parts = told.iter().flat_map(|Told { sid, facts, body }| {
        let times = facts.times.map(|(created, used)| [created as f64, used as f64]);
        let [created, used] = times.unwrap_or([f64::NAN; 2]);
        let expires = if facts.expires == NEVER { f64::INFINITY } else { facts.expires as f64 };
        let numbers = [created, used, expires, facts.bytes as f64, facts.order as f64];
        [Part::Sid(sid), Part::Body(body)].into_iter().chain(numbers.map(Part::Number))
    });
    call.append(parts, |call, part| match part {
        Part::Sid(sid) => call.sid(sid),
        Part::Body(body) => call.body(body.bytes(), body.encoding()),
        Part::Number(number) => call.double(*number),
    })
}
