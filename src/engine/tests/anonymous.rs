//! Sessions of nobody go before those of somebody, where there is no room for all.

use std::sync::{Arc, LazyLock};

use super::Store;
use super::sessions::{START, body_ref};
use crate::engine::{Condition, Engine, Options, Owner, Reason, Removed, Terms};
use crate::session::UserPath;
use crate::time::Millis;

static PATH: LazyLock<UserPath> = LazyLock::new(|| UserPath::new("user"));

/// With room for four.
fn options() -> Options {
    Options { max: 4, user: 1, keep_removed: true, ..Options::default() }
}

fn for_each_engine(options: Options, check: impl Fn(&Arc<dyn Engine>)) {
    for Store { engine, _folder } in &Store::with_users(options) {
        check(engine);
        engine.validate();
    }
}

/// Writes a session of `user`, or of nobody if that is empty, and returns what has gone for it. Each
/// write is later than the one before and so is the expiry, so that all engines have the same order.
fn set(engine: &dyn Engine, sid: &str, user: &str, moment: Millis) -> Vec<String> {
    let body = match user {
        "" => r#"{"cookie":{}}"#.to_owned(),
        user => format!(r#"{{"cookie":{{}},"user":"{user}"}}"#),
    };
    let times = (START + moment, START + moment + 1000);
    let terms = Terms { owner: Owner::At(&PATH), ..Terms::NONE };
    let removed = &mut Vec::new();
    let sid = engine.sid(sid.as_bytes());
    engine.set_by(sid, body_ref(&body), Condition::None, times, terms, removed).unwrap().unwrap();
    removed.iter().map(told).collect()
}

fn told(removed: &Removed) -> String {
    assert_eq!(removed.reason, Reason::Evicted);
    String::from_utf8(removed.sid.as_bytes().to_vec()).unwrap()
}

/// As [`set`], of one session after the other.
fn set_all(engine: &dyn Engine, sessions: &[(&str, &str)]) -> Vec<String> {
    let sets = (0..).zip(sessions).map(|(moment, (sid, user))| set(engine, sid, user, moment));
    sets.flatten().collect()
}

#[test]
fn sessions_of_nobody_go_before_those_of_users_each_in_their_order() {
    for_each_engine(options(), |engine| {
        let fill = [("ann", "ann"), ("one", ""), ("bob", "bob"), ("two", "")];
        assert_eq!(set_all(&**engine, &fill), [""; 0]);
        let gone: Vec<_> =
            (0..4).flat_map(|n| set(&**engine, &n.to_string(), "cy", 4 + n)).collect();
        assert_eq!(gone, ["one", "two", "ann", "bob"]);
    });
}

#[test]
fn a_flood_of_sessions_of_nobody_ends_none_of_a_user() {
    for_each_engine(options(), |engine| {
        set_all(&**engine, &[("ann", "ann"), ("bob", "bob"), ("cy", "cy")]);
        for n in 3..500 {
            set(&**engine, &n.to_string(), "", n);
        }
        assert_eq!(engine.length().unwrap(), 4);
        for sid in ["ann", "bob", "cy"] {
            assert!(engine.is_alive(&engine.sid(sid.as_bytes()), START + 500).unwrap());
        }
        let stats = engine.stats().unwrap();
        let counters = stats.counters;
        assert_eq!((stats.anonymous, counters.evictions_by_count), (Some(1), 496));
        assert_eq!(counters.evictions_of_users, 0);
    });
}

#[test]
fn a_session_that_gets_a_user_stays_and_one_that_loses_it_goes_first() {
    for_each_engine(options(), |engine| {
        let fill = [("one", ""), ("ann", "ann"), ("two", ""), ("bob", "bob")];
        set_all(&**engine, &fill);
        assert_eq!(set(&**engine, "one", "cy", 4), [""; 0]);
        assert_eq!(set(&**engine, "ann", "", 5), [""; 0]);
        assert_eq!(engine.stats().unwrap().anonymous, Some(2));
        let gone: Vec<_> = (6..10).flat_map(|n| set(&**engine, &n.to_string(), "dan", n)).collect();
        assert_eq!(gone, ["two", "ann", "bob", "one"]);
    });
}

#[test]
fn evicted_sessions_of_users_are_counted() {
    for_each_engine(options(), |engine| {
        for n in 0..7 {
            set(&**engine, &n.to_string(), "ann", n);
        }
        let counters = engine.stats().unwrap().counters;
        assert_eq!((counters.evictions_by_count, counters.evictions_of_users), (3, 3));
    });
}

#[test]
fn without_the_option_whose_they_are_does_not_matter_and_is_counted() {
    let plain = Options { anonymous_first: false, ..options() };
    for_each_engine(plain, |engine| {
        let fill = [("ann", "ann"), ("one", ""), ("bob", "bob"), ("two", "")];
        set_all(&**engine, &fill);
        let gone: Vec<_> = (4..8).flat_map(|n| set(&**engine, &n.to_string(), "", n)).collect();
        assert_eq!(gone, ["ann", "one", "bob", "two"]);
        let stats = engine.stats().unwrap();
        assert_eq!((stats.anonymous, stats.counters.evictions_of_users), (Some(4), 2));
    });
}

#[test]
fn who_does_not_know_users_counts_none() {
    for Store { engine, _folder } in &Store::of_each_kind(Options { user: 0, ..options() }) {
        for n in 0..7 {
            set(&**engine, &n.to_string(), "ann", n);
        }
        let stats = engine.stats().unwrap();
        assert_eq!((stats.anonymous, stats.counters.evictions_of_users), (None, 0));
    }
}
