//! Random runs of operations, and the options of the engines that they are done on.

use std::ops::Range;

use proptest::prelude::*;

use super::sessions::{lifetime, reading};
use crate::engine::tombstones::REMEMBERED;
use crate::engine::{Options, Reading};
use crate::time::Millis;

/// How many of the requests that have read a session are under way.
pub(super) const REQUESTS: usize = 6;

#[derive(Clone, Debug)]
pub(in crate::engine) enum Op {
    Read(u32, Reading),
    IsAlive(u32),
    Set(u32, Millis, Shape),
    /// With a cookie that is so much longer than the shortest. Says whether it is a renewal.
    Touch(u32, Millis, usize, bool),
    /// A request that has read a session ends.
    End(usize, Ending, Millis, Shape),
    Destroy(u32),
    Discard(u32),
    Ids,
    All,
    Clear,
    Len,
    /// So many steps of a listing.
    List(usize),
    /// A prune that is done at once.
    Prune,
    /// Begins a prune, of which only the first so many entries are looked at.
    BeginPrune(usize),
    /// A step with so large a budget.
    Step(usize),
    /// A step as the background thread does it.
    BackgroundStep,
    TakePruned(usize),
    /// The clock goes forward, or back.
    Clock(Millis),
    /// The engine is closed and opened again.
    Reopen,
}

/// How a request ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Ending {
    Overwrite,
    Compare,
    /// It writes what it read, so its cookie has the earlier time.
    WriteBack,
    /// It writes what includes the changes of all others.
    WriteMerged,
    /// The second half of a touch. Says whether it changes more than the cookie's time.
    Touch(bool),
    /// Says whether lifetimes are fixed.
    Merge(bool),
    MergeCookie(bool),
}

/// What a body is like: JSON or not, surely with a cookie that has a time, how much longer than the
/// shortest, and whose.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Shape {
    pub(super) is_json: bool,
    pub(super) is_timed: bool,
    pub(super) padding: usize,
    pub(super) user: Option<u8>,
}

fn padding() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..20_usize, 2 => 20..300_usize, 1 => 300..1500_usize, 1 => 1500..9000_usize]
}

fn shape() -> impl Strategy<Value = Shape> {
    (any::<bool>(), padding(), user()).prop_map(|(is_json, padding, user)| Shape {
        is_json,
        is_timed: false,
        padding,
        user,
    })
}

fn user() -> impl Strategy<Value = Option<u8>> + Clone {
    proptest::option::of(0..3_u8)
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        1 => Just(Ending::Overwrite),
        3 => Just(Ending::Compare),
        2 => Just(Ending::WriteBack),
        1 => Just(Ending::WriteMerged),
        2 => any::<bool>().prop_map(Ending::Touch),
        3 => any::<bool>().prop_map(Ending::Merge),
        3 => any::<bool>().prop_map(Ending::MergeCookie),
    ]
}

pub(in crate::engine) fn op(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        15 => (sids.clone(), reading()).prop_map(|(sid, reading)| Op::Read(sid, reading)),
        4 => sids.clone().prop_map(Op::IsAlive),
        20 => (sids.clone(), lifetime(), shape())
            .prop_map(|(sid, life, shape)| Op::Set(sid, life, shape)),
        14 => (sids.clone(), lifetime(), padding(), any::<bool>())
            .prop_map(|(sid, life, padding, is_renewal)| Op::Touch(sid, life, padding, is_renewal)),
        14 => (0..REQUESTS, ending(), lifetime(), shape())
            .prop_map(|(request, ending, life, shape)| Op::End(request, ending, life, shape)),
        4 => sids.clone().prop_map(Op::Destroy),
        1 => sids.prop_map(Op::Discard),
        2 => Just(Op::Ids),
        2 => Just(Op::All),
        1 => Just(Op::Clear),
        1 => Just(Op::Len),
        6 => prop_oneof![1..100_usize, Just(usize::MAX)].prop_map(Op::List),
        2 => Just(Op::Prune),
        8 => (1..4_usize).prop_map(Op::BeginPrune),
        10 => (1..4_usize).prop_map(Op::Step),
        3 => Just(Op::BackgroundStep),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::TakePruned),
        10 => (0..30_i64).prop_map(Op::Clock),
        3 => (-60..0_i64).prop_map(Op::Clock),
        // What was destroyed is forgotten.
        1 => Just(Op::Clock(REMEMBERED + 1)),
        1 => Just(Op::Reopen),
    ]
}

pub(in crate::engine) fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(0..14), 0..150)
}

/// Requests that overlap: of few sessions, which live for long.
pub(in crate::engine) fn overlapping() -> impl Strategy<Value = Vec<Op>> {
    let sid = 0..3_u32;
    let life = 100..300_i64;
    let shape = (0..20_usize, user()).prop_map(|(padding, user)| Shape {
        is_json: true,
        is_timed: true,
        padding,
        user,
    });
    let op = prop_oneof![
        6 => sid.clone().prop_map(|sid| Op::Read(sid, Reading::Get)),
        3 => (sid.clone(), life.clone(), shape.clone())
            .prop_map(|(sid, life, shape)| Op::Set(sid, life, shape)),
        6 => (sid.clone(), life.clone(), 0..20_usize, any::<bool>())
            .prop_map(|(sid, life, padding, is_renewal)| Op::Touch(sid, life, padding, is_renewal)),
        12 => (0..REQUESTS, ending(), life, shape)
            .prop_map(|(request, ending, life, shape)| Op::End(request, ending, life, shape)),
        1 => sid.clone().prop_map(Op::Destroy),
        1 => sid.prop_map(Op::Discard),
        2 => (-9..20_i64).prop_map(Op::Clock),
        1 => prop_oneof![Just(Op::Clear), Just(Op::Prune), Just(Op::Clock(REMEMBERED + 1))],
    ];
    proptest::collection::vec(op, 0..80)
}

pub(super) fn growing(sids: Range<u32>) -> impl Strategy<Value = Op> {
    let life = prop_oneof![9 => 0..3000_i64, 1 => -20..0_i64];
    let set = (sids, life, shape()).prop_map(|(sid, life, shape)| Op::Set(sid, life, shape));
    prop_oneof![6 => set, 1 => (0..3_i64).prop_map(Op::Clock)]
}

pub(super) fn shrinking(sids: Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => sids.clone().prop_map(Op::Destroy),
        2 => sids.prop_map(|sid| Op::Read(sid, Reading::Get)),
        1 => (0..100_i64).prop_map(Op::Clock),
        1 => Just(Op::BeginPrune(1)),
        4 => Just(Op::BackgroundStep),
    ]
}

pub(in crate::engine) fn options() -> impl Strategy<Value = Options> {
    let max = proptest::sample::select(&[usize::MAX, 0, 1, 3, 10][..]);
    // No budget, one that is too small for any, and some for a few.
    let max_bytes = prop_oneof![
        2 => Just(usize::MAX),
        1 => 0..300_usize,
        3 => 300..9000_usize,
        1 => 9000..50_000_usize,
    ];
    let touch_after = prop_oneof![3 => Just(0), 1 => 1..30_i64];
    let flags = any::<[bool; 4]>();
    (max, max_bytes, touch_after, flags).prop_map(|(max, max_bytes, touch_after, flags)| {
        let [stale, keep_removed, keep_replaced, destroyed_is_final] = flags;
        // Which tombstones `clear` makes where there is no room for all is up to the engine.
        let max_bytes = if destroyed_is_final { usize::MAX } else { max_bytes };
        let limits = Options { max, max_bytes, touch_after, ..Options::default() };
        Options { stale, keep_removed, keep_replaced, destroyed_is_final, ..limits }
    })
}

/// As [`options`], of engines that may know whose sessions are.
pub(in crate::engine) fn options_with_users() -> impl Strategy<Value = Options> {
    (options(), 0..2_u64, any::<bool>()).prop_map(|(options, user, anonymous_first)| Options {
        user,
        anonymous_first,
        ..options
    })
}
