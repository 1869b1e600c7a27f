//! An engine and the [`Model`], which are asked the same: what they answer, what they remove and
//! what they count has to be the same too.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::model::{Cookie, Model, Sizes, Ways, cookie_of};
use super::ops::{Ending, Op, REQUESTS, Shape, growing, op, shrinking};
use super::sessions::{
    Gone, START, Session, body_ref, new_body, ops_of, read, text, timed, with_cookie,
};
use crate::engine::{
    Base, Condition, Counters, Engine, Listing, NewCookie, Options, Owner, REMOVED_AT_ONCE,
    Reading, Refused, Removed, Result, SortKey, Terms, Touch, Touched, Version,
};
use crate::session::{BodyRef, BodyView, UserPath};
use crate::sid::Sid;
use crate::time::Millis;

/// If there are more sessions, `clear` hands them out in steps.
const CLEARED_AT_ONCE: usize = 1000;

/// An engine that is compared with the model.
pub(in crate::engine) trait Subject: Sizes {
    const WAYS: Ways;

    /// Whether what is removed in steps comes in the model's order.
    const PRUNES_IN_ORDER: bool;

    fn engine(&self) -> Arc<dyn Engine>;

    fn sid(&self, number: u32) -> Sid;

    fn number_of(sid: &Sid) -> u32;

    /// Prepares an engine that is new or was cleared.
    fn prepare(&self) {}

    /// Begins a prune, of which the engine may look at so many entries at first.
    fn begin_prune(&self, model: &mut Model, budget: usize);

    /// Does a step, with another budget than the background thread's if one is given. Returns
    /// whether there is more to do.
    fn step(&self, model: &mut Model, budget: Option<usize>) -> bool;

    /// The sids that are there, if a prune under way may have removed others.
    fn seen(&self) -> Option<HashSet<u32>> {
        None
    }

    /// Closes the engine and opens it again. Returns whether that can be done.
    fn reopen(&mut self, _: Options) -> bool {
        false
    }
}

/// What `read` makes of the body that an operation finds.
pub(in crate::engine) fn found<R>(
    read: impl Fn(BodyView<'_>) -> R,
    operation: impl FnOnce(&mut dyn FnMut(BodyView<'_>)) -> Result<bool>,
) -> Option<R> {
    let mut value = None;
    let mut keep = |body: BodyView<'_>| assert!(value.replace(read(body)).is_none(), "twice");
    let is_found = operation(&mut keep).unwrap();
    assert_eq!(is_found, value.is_some());
    value
}

/// The counters of what was done to sessions.
fn figures(counters: &Counters) -> [u64; 10] {
    [
        counters.hits,
        counters.misses,
        counters.sets,
        counters.merges,
        counters.refused,
        counters.touches,
        counters.evictions_by_count,
        counters.evictions_by_bytes,
        counters.evictions_of_users,
        counters.expirations,
    ]
}

/// A request under way: what it read or wrote last, and at which version of each side.
#[derive(Clone)]
struct Request {
    sid: u32,
    body: String,
    engine: Version,
    model: Version,
}

/// A listing under way.
struct Walk {
    listing: Box<dyn Listing>,
    listed: Vec<(SortKey, Sid)>,
    /// The sids that have been there from its beginning on.
    always: HashSet<u32>,
}

/// See the module's description.
pub(in crate::engine) struct Pair<S> {
    subject: S,
    model: Model,
    bodies: u64,
    requests: VecDeque<Request>,
    walk: Option<Walk>,
}

impl<S: Subject> Pair<S> {
    fn new(subject: S, options: Options) -> Self {
        subject.prepare();
        Self {
            subject,
            model: Model::new(S::WAYS, options, START),
            bodies: 0,
            requests: VecDeque::new(),
            walk: None,
        }
    }

    fn engine(&self) -> Arc<dyn Engine> {
        self.subject.engine()
    }

    fn set(
        &self,
        sid: Sid,
        body: BodyRef<'_>,
        condition: Condition,
        times: (Millis, Millis),
        removed: &mut Vec<Removed>,
    ) -> Result<Version, Refused> {
        self.engine().set_by(sid, body, condition, times, terms(), removed).unwrap()
    }

    fn next_body(&mut self, shape: Shape) -> String {
        self.bodies += 1;
        if shape.is_timed {
            self.bodies = self.bodies.next_multiple_of(3);
        }
        new_body(self.bodies, shape.is_json, shape.padding, shape.user)
    }

    fn next_cookie(&self, padding: usize) -> String {
        if self.bodies.is_multiple_of(2) {
            timed(self.bodies)
        } else {
            format!(r#""{}{}""#, self.bodies, "c".repeat(padding))
        }
    }

    fn gone(removed: &[Removed]) -> Vec<Gone> {
        removed.iter().map(|one| (S::number_of(&one.sid), text(&one.body), one.reason)).collect()
    }

    /// Tells the model of a step of the engine that a prune may have been part of, and that itself
    /// `removed` these.
    fn tell_seen(&mut self, removed: &[Removed]) {
        let seen = self.model.prune.and_then(|_| self.subject.seen());
        self.model.seen = seen.map(|mut seen| {
            seen.extend(removed.iter().map(|one| S::number_of(&one.sid)));
            seen
        });
    }

    fn absorb_prune(&mut self) {
        self.tell_seen(&[]);
        self.model.absorb_prune();
        if self.model.seen.is_some() && !self.engine().is_busy().unwrap() {
            self.model.prune = None;
        }
    }

    /// Does `op` on both sides and compares what it gives and what it removes.
    fn apply(&mut self, op: &Op) {
        let now = self.model.now;
        let removed = &mut Vec::new();
        let expected = &mut Vec::new();
        match *op {
            Op::Read(number, reading) => self.read(number, reading, removed, expected),
            Op::IsAlive(number) => {
                let is_alive = self.engine().is_alive(&self.subject.sid(number), now).unwrap();
                assert_eq!(is_alive, self.model.alive(number).is_some());
            }
            Op::Set(number, life, shape) => {
                let (sid, body) = (self.subject.sid(number), self.next_body(shape));
                let expires = now.saturating_add(life);
                let (given, times) = (body_ref(&body), (now, expires));
                let done = self.set(sid, given, Condition::None, times, removed);
                self.model.note_time(false);
                self.tell_seen(removed);
                let (subject, session) = (&self.subject, (number, body));
                let model = self.model.set(subject, session, Condition::None, expires, expected);
                assert_eq!(done.map(drop), model.map(drop));
            }
            Op::Touch(number, life, padding, is_renewal) => {
                let user = Some(0).filter(|_| padding.is_multiple_of(2));
                let fresh = self.next_body(Shape { is_json: true, is_timed: false, padding, user });
                let touch = Touch { now, expires: now.saturating_add(life), is_renewal };
                let cookie = self.next_cookie(padding);
                self.touch(number, (&cookie, fresh), touch, (removed, expected));
            }
            Op::End(index, ending, life, shape) => {
                if index < self.requests.len() {
                    let expires = now.saturating_add(life);
                    self.end(index, (ending, shape), expires, (removed, expected));
                }
            }
            Op::Destroy(number) => {
                let existed =
                    self.engine().destroy(&self.subject.sid(number), now, removed).unwrap();
                self.tell_seen(removed);
                assert_eq!(existed, self.model.destroy(number, expected));
            }
            Op::Discard(number) => {
                self.engine().discard(&self.subject.sid(number), removed).unwrap();
                self.model.discard(number);
            }
            Op::Ids => {
                let ids: Vec<u32> = self.engine().ids().unwrap().iter().map(S::number_of).collect();
                assert_eq!(ids, self.model.ids());
            }
            Op::All => {
                let listed = self.engine().all(now, removed).unwrap().into_iter();
                let listed: Vec<Session> =
                    listed.map(|(sid, body)| (S::number_of(&sid), text(&body))).collect();
                assert_eq!(listed, self.model.all(expected));
            }
            Op::Clear => self.clear(removed, expected),
            Op::Len => assert_eq!(self.engine().length().unwrap(), self.model.entries.len()),
            Op::List(steps) => self.list(steps),
            Op::Prune => {
                self.subject.begin_prune(&mut self.model, REMOVED_AT_ONCE);
                self.finish_steps();
                assert!(self.model.expired(now).is_empty());
            }
            Op::BeginPrune(budget) => self.subject.begin_prune(&mut self.model, budget),
            Op::Step(budget) => drop(self.subject.step(&mut self.model, Some(budget))),
            Op::BackgroundStep => drop(self.subject.step(&mut self.model, None)),
            Op::TakePruned(limit) => self.take_pruned(limit),
            Op::Clock(millis) => self.model.now += millis,
            Op::Reopen => self.reopen(),
        }
        if self.model.options.keep_removed {
            assert_eq!(&Self::gone(removed), expected, "what {op:?} removed");
        } else {
            let sids = removed.iter().map(|one| (S::number_of(&one.sid), one.reason));
            let expected = expected.iter().map(|(sid, _, reason)| (*sid, *reason));
            assert_eq!(sids.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
        self.absorb_prune();
        self.compare_figures();
        if let Some(walk) = &mut self.walk {
            let entries = &self.model.entries;
            walk.always.retain(|number| entries.iter().any(|entry| entry.sid == *number));
        }
    }

    fn compare_figures(&self) {
        let stats = self.engine().stats().unwrap();
        assert_eq!(figures(&stats.counters), figures(&self.model.counters));
        assert_eq!((stats.sessions, stats.bytes), (self.model.entries.len(), self.model.bytes()));
        assert_eq!(stats.anonymous, self.model.anonymous());
        assert!(stats.sessions <= self.model.options.max);
        assert!(stats.bytes <= self.model.options.max_bytes);
    }

    /// What `get` finds is what a request under way has read.
    fn read(
        &mut self,
        number: u32,
        reading: Reading,
        removed: &mut Vec<Removed>,
        expected: &mut Vec<Gone>,
    ) {
        let (sid, now) = (self.subject.sid(number), self.model.now);
        let found = found(
            |body| (body.read(), (read(body), body.expires())),
            |keep| self.engine().read(&sid, reading, now, removed, keep),
        );
        let model = self.model.read(number, reading, expected);
        assert_eq!(found.as_ref().map(|(_, session)| session), model.as_ref());
        if let Some((engine, (body, _))) = found.filter(|_| reading == Reading::Get) {
            self.requests.truncate(REQUESTS - 1);
            let model = self.model.turns;
            self.requests.push_front(Request { sid: number, body, engine, model });
        }
    }

    /// As the boundary touches: by reading and writing where it cannot be done in place.
    fn touch(
        &mut self,
        number: u32,
        (cookie, fresh): (&str, String),
        touch: Touch,
        (removed, expected): (&mut Vec<Removed>, &mut Vec<Gone>),
    ) {
        let sid = self.subject.sid(number);
        let template = self.engine().template(cookie.as_bytes());
        let new_cookie = match template {
            None => NewCookie::Text(body_ref(cookie)),
            Some(template) => NewCookie::Cut { template, time: Some(self.bodies.cast_signed()) },
        };
        let touched = self.engine().touch(&sid, new_cookie, touch, removed).unwrap();
        let Touch { now, expires, .. } = touch;
        let rewritten = (touched == Touched::NeedsRewrite).then(|| {
            let found = found(
                |body| body.read(),
                |read| self.engine().read(&sid, Reading::Fetch, now, removed, read),
            );
            let condition = Condition::Touch { read: found.unwrap(), is_change: false };
            self.set(sid, body_ref(&fresh), condition, (now, expires), removed)
        });

        self.model.note_time(false);
        self.tell_seen(removed);
        let (subject, model) = (&self.subject, &mut self.model);
        let cookie = Cookie { text: cookie, is_template: template.is_some() };
        assert_eq!(touched, model.touch(subject, (number, cookie), touch, expected));
        if let Some(rewritten) = rewritten {
            assert!(model.read(number, Reading::Fetch, expected).is_some());
            let condition = Condition::Touch { read: model.turns, is_change: false };
            let done = model.set(subject, (number, fresh), condition, expires, expected);
            assert_eq!(rewritten.map(drop), done.map(drop));
        }
    }

    /// A request ends, and goes on from what it wrote.
    fn end(
        &mut self,
        index: usize,
        (ending, shape): (Ending, Shape),
        expires: Millis,
        (removed, expected): (&mut Vec<Removed>, &mut Vec<Gone>),
    ) {
        let Request { sid: number, body: base, engine, model } = self.requests[index].clone();
        let is_json = base.starts_with('{');
        let (body, condition) = match ending {
            Ending::MergeCookie(is_fixed) if is_json => {
                self.bodies += 1;
                return self.merge_cookie(
                    number,
                    (shape.padding, is_fixed, &base),
                    expires,
                    (removed, expected),
                );
            }
            Ending::Merge(is_fixed) if is_json => {
                let body = self.next_body(Shape { is_json, ..shape });
                let kept = Some(cookie_of(&base)).filter(|_| self.bodies.is_multiple_of(2));
                let body = kept.and_then(|cookie| with_cookie(&body, cookie)).unwrap_or(body);
                let base = (&base[..], is_fixed, engine, model);
                let done = self.merge((number, &body), base, expires, (removed, expected));
                return self.go_on(index, body, done);
            }
            Ending::WriteBack => (base, Condition::Unchanged { read: engine, expected: engine }),
            Ending::Compare => {
                let condition = Condition::Unchanged { read: engine, expected: engine };
                (self.next_body(shape), condition)
            }
            Ending::WriteMerged => {
                let condition = Condition::Unchanged { read: engine, expected: Version::MAX };
                (self.next_body(shape), condition)
            }
            Ending::Touch(is_change) => {
                (self.next_body(shape), Condition::Touch { read: engine, is_change })
            }
            Ending::Overwrite | Ending::Merge(_) | Ending::MergeCookie(_) => {
                (self.next_body(shape), Condition::NotDestroyed { read: engine })
            }
        };
        let sid = self.subject.sid(number);
        let times = (self.model.now, expires);
        let done = self.set(sid, body_ref(&body), condition, times, removed);
        self.model.note_time(false);
        self.tell_seen(removed);
        let condition = match condition {
            Condition::None => Condition::None,
            Condition::NotDestroyed { .. } => Condition::NotDestroyed { read: model },
            Condition::Unchanged { expected: Version::MAX, .. } => {
                Condition::Unchanged { read: model, expected: Version::MAX }
            }
            Condition::Unchanged { .. } => Condition::Unchanged { read: model, expected: model },
            Condition::Touch { is_change, .. } => Condition::Touch { read: model, is_change },
        };
        let session = (number, body.clone());
        let model = self.model.set(&self.subject, session, condition, expires, expected);
        assert_eq!(done.map(drop), model.map(drop));
        if !matches!(ending, Ending::Touch(_)) {
            self.go_on(index, body, done.and_then(|engine| Ok((engine, model?))));
        }
    }

    fn go_on(&mut self, index: usize, body: String, done: Result<(Version, Version), Refused>) {
        if let Ok((engine, model)) = done {
            let sid = self.requests[index].sid;
            self.requests[index] = Request { sid, body, engine, model };
        }
    }

    fn merge(
        &mut self,
        (number, body): (u32, &str),
        (base, has_fixed_lifetime, engine, model): (&str, bool, Version, Version),
        expires: Millis,
        (removed, expected): (&mut Vec<Removed>, &mut Vec<Gone>),
    ) -> Result<(Version, Version), Refused> {
        let base = Base { text: base.as_bytes(), has_fixed_lifetime };
        let (sid, times) = (self.subject.sid(number), (self.model.now, expires));
        let given = json(body);
        let base_of_engine = (base, engine);
        let done = self.engine().merge_by(sid, given, base_of_engine, times, terms(), removed);
        let done = done.unwrap();
        self.model.note_time(false);
        self.tell_seen(removed);
        let session = (number, body);
        let model = self.model.merge(&self.subject, session, (base, model), expires, expected);
        assert_eq!(
            done.map(|merged| merged.is_merged),
            model.map(|(_, is_merged)| is_merged),
            "a merge of {number}"
        );
        Ok((done?.version, model?.0))
    }

    fn merge_cookie(
        &mut self,
        number: u32,
        (padding, has_fixed_lifetime, base): (usize, bool, &str),
        expires: Millis,
        (removed, expected): (&mut Vec<Removed>, &mut Vec<Gone>),
    ) {
        let base = Base { text: base.as_bytes(), has_fixed_lifetime };
        let (sid, times) = (self.subject.sid(number), (self.model.now, expires));
        let cookie = self.next_cookie(padding);
        let done = self.engine().merge_cookie(&sid, json(&cookie), base, times, removed).unwrap();
        self.model.note_time(false);
        self.tell_seen(removed);
        let touched = (number, &cookie[..]);
        let model = self.model.merge_cookie(&self.subject, touched, base, expires, expected);
        assert_eq!(done, model);
    }

    fn list(&mut self, steps: usize) {
        let ids: HashSet<u32> = self.model.entries.iter().map(|entry| entry.sid).collect();
        let is_begun = self.walk.is_some();
        let engine = self.engine();
        let walk = self.walk.get_or_insert_with(|| Walk {
            listing: engine.listing().unwrap(),
            listed: Vec::new(),
            always: ids.clone(),
        });
        let mut more = true;
        for _ in 0..steps {
            let known = walk.listed.len();
            more = walk.listing.step(&mut walk.listed).unwrap();
            let new = &walk.listed[known..];
            assert!(new.iter().all(|(_, sid)| ids.contains(&S::number_of(sid))));
            if !more {
                break;
            }
        }
        if more {
            return;
        }
        let Some(Walk { mut listed, always, .. }) = self.walk.take() else { return };
        listed.sort_by(|(one, _), (other, _)| other.cmp(one));
        let numbers: Vec<u32> = listed.iter().map(|(_, sid)| S::number_of(sid)).collect();
        let distinct: HashSet<u32> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "none twice");
        assert!(always.is_subset(&distinct), "none is left out");
        if !is_begun {
            assert_eq!(numbers, self.model.ids());
        }
    }

    fn clear(&mut self, removed: &mut Vec<Removed>, expected: &mut Vec<Gone>) {
        self.engine().clear(self.model.now, removed).unwrap();
        self.subject.prepare();
        let is_in_steps = self.model.entries.len() > CLEARED_AT_ONCE;
        let cleared = self.model.clear();
        match (self.model.options.keep_removed, is_in_steps) {
            (true, true) => self.model.pruned.extend(cleared),
            (true, false) => *expected = cleared,
            (false, _) => {}
        }
    }

    fn take_pruned(&mut self, limit: usize) {
        let mut taken = Vec::new();
        let more = self.engine().take_pruned(limit, &mut taken);
        assert!(taken.len() <= limit);
        assert_eq!(more, self.engine().is_busy().unwrap());
        let pruned = &mut self.model.pruned;
        if !self.model.options.keep_removed {
            assert_eq!(taken, [], "nobody wants it");
            pruned.clear();
        }
        let taken = Self::gone(&taken);
        if S::PRUNES_IN_ORDER {
            let expected: Vec<Gone> = pruned.drain(..limit.min(pruned.len())).collect();
            assert_eq!(taken, expected);
            assert_eq!(more, !pruned.is_empty() || self.model.prune.is_some());
            return;
        }
        for gone in taken {
            let at = pruned.iter().position(|own| *own == gone);
            pruned.swap_remove(at.expect("not removed in steps"));
        }
        assert!(more || pruned.is_empty());
    }

    /// What is stored stays. What is this process's own begins anew.
    fn reopen(&mut self) {
        if self.subject.reopen(self.model.options) {
            self.walk = None;
            self.model.counters = Counters::default();
            self.model.prune = None;
            self.model.pruned.clear();
        }
    }

    fn finish_steps(&mut self) {
        while self.subject.step(&mut self.model, None) {}
        self.absorb_prune();
    }

    /// Lets what is under way finish, and compares all there is.
    fn finish(&mut self) {
        self.finish_steps();
        self.engine().validate();
        self.take_pruned(usize::MAX);
        assert_eq!(self.model.pruned, []);
        assert!(!self.engine().take_pruned(usize::MAX, &mut Vec::new()));
        let list = Op::List(usize::MAX);
        for op in [&list, &list, &Op::Len, &Op::Reopen, &Op::Ids, &Op::All, &Op::Clear, &Op::Len] {
            self.apply(op);
            self.engine().validate();
        }
        self.finish_steps();
        self.take_pruned(usize::MAX);
        self.engine().validate();
    }
}

/// Bodies say whose they are.
fn terms() -> Terms<'static> {
    static PATH: LazyLock<UserPath> = LazyLock::new(|| UserPath::new("user"));
    Terms { owner: Owner::At(&PATH), ..Terms::NONE }
}

fn json(text: &str) -> BodyRef<'_> {
    BodyRef { is_json: true, ..body_ref(text) }
}

/// Asks an engine and the model the same.
pub(in crate::engine) fn assert_keeps_the_rules(
    subject: impl Subject,
    options: Options,
    ops: &[Op],
) {
    let mut pair = Pair::new(subject, options);
    for op in ops {
        pair.apply(op);
        pair.engine().validate();
    }
    pair.finish();
}

/// As [`assert_keeps_the_rules`], with many sessions that come and go.
pub(in crate::engine) fn assert_keeps_the_rules_of_many(
    subject: impl Subject,
    options: Options,
    sids: &Range<u32>,
    rounds: usize,
) {
    let mut pair = Pair::new(subject, options);
    let count = 2 * sids.len();
    for round in 0..rounds {
        let phases = [
            ops_of(growing(sids.clone()), count * 4 / 5),
            ops_of(op(sids.clone()), count / 2),
            ops_of(shrinking(sids.clone()), count + count / 10 * round),
        ];
        for (count, op) in phases.iter().flatten().enumerate() {
            pair.apply(op);
            if count % 64 == 0 {
                pair.engine().validate();
            }
        }
    }
    pair.finish();
}
