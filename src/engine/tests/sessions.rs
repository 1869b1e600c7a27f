//! Sessions and runs of operations for the tests of every engine.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::engine::{Reading, Reason};
use crate::session::{Body, BodyRef, BodyView, Encoding};
use crate::time::{Millis, NEVER, iso};

pub(in crate::engine) const START: Millis = 1_700_000_000_000;

/// A session in a model: the number of its sid, and its body.
pub(in crate::engine) type Session = (u32, String);

/// A session that left a model, or a body that was overwritten, and why.
pub(in crate::engine) type Gone = (u32, String, Reason);

/// A body that no other write has. Where it is JSON its cookie can be replaced, and it may be that
/// of a user.
pub(in crate::engine) fn new_body(
    number: u64,
    is_json: bool,
    padding: usize,
    user: Option<u8>,
) -> String {
    let padding = "x".repeat(padding);
    let user = user.map(|user| format!(r#","user":"{user}""#)).unwrap_or_default();
    if is_json && number.is_multiple_of(3) {
        format!(r#"{{"cookie":{},"n":"{number}{padding}"{user}}}"#, timed(number))
    } else if is_json {
        format!(r#"{{"n":"{number}{padding}"{user},"cookie":0}}"#)
    } else {
        format!("body {number} {padding}")
    }
}

/// A cookie that differs from the others of its kind in the time.
pub(in crate::engine) fn timed(number: u64) -> String {
    let time = iso(number.cast_signed()).unwrap();
    format!(r#"{{"expires":"{}","path":"/"}}"#, str::from_utf8(&time).unwrap())
}

/// The user of a body of [`new_body`], which may have been merged.
pub(in crate::engine) fn user_of(body: &str) -> Option<&str> {
    let (_, rest) = body.strip_prefix('{')?.split_once(r#""user":""#)?;
    rest.split('"').next()
}

/// A body of [`new_body`] with another cookie; `None` if it has none.
pub(in crate::engine) fn with_cookie(body: &str, cookie: &str) -> Option<String> {
    let (before, rest) = body.split_once(r#""cookie":"#)?;
    let after = rest.find(r#","n":"#).map_or("}", |at| &rest[at..]);
    Some(format!(r#"{before}"cookie":{cookie}{after}"#))
}

pub(in crate::engine) fn body_ref(body: &str) -> BodyRef<'_> {
    BodyRef {
        bytes: body.as_bytes(),
        encoding: Encoding::Ascii,
        is_json: body.starts_with('{') || body.starts_with('"'),
    }
}

pub(in crate::engine) fn text(body: &Body) -> String {
    String::from_utf8(body.bytes().to_vec()).unwrap()
}

pub(in crate::engine) fn read(body: BodyView<'_>) -> String {
    text(&body.to_body())
}

pub(in crate::engine) fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![10 => Just(Reading::Get), 2 => Just(Reading::Fetch), 3 => Just(Reading::Peek)]
}

/// How long a session lives; [`NEVER`] stands for itself.
pub(in crate::engine) fn lifetime() -> impl Strategy<Value = Millis> {
    prop_oneof![8 => 0..60_i64, 1 => -20..0_i64, 1 => Just(NEVER)]
}

/// The same run of operations in every run of the tests.
pub(in crate::engine) fn ops_of<Op: Debug>(
    strategy: impl Strategy<Value = Op>,
    count: usize,
) -> Vec<Op> {
    let runner = &mut TestRunner::deterministic();
    let ops = proptest::collection::vec(strategy, count);
    ops.new_tree(runner).unwrap().current()
}
