//! Compares [`MemoryEngine`] with the model. Of its steps, only which expired sessions are gone
//! already may be visible from outside.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::tombstones::{COST, FORGOTTEN_AT_ONCE};
use super::{MemoryEngine, owners};
use crate::background::Maintenance;
use crate::engine::tests::model::{Cookie, Model, Order, Sizes, Ways};
use crate::engine::tests::ops::{ops, options_with_users, overlapping};
use crate::engine::tests::pair::{Subject, assert_keeps_the_rules, assert_keeps_the_rules_of_many};
use crate::engine::tests::sessions::{body_ref, timed};
use crate::engine::{Condition, Engine, Options};
use crate::session::BodyRef;
use crate::sid::Sid;
use crate::time::NEVER;

/// An engine whose sids lie in so many shards.
struct InMemory {
    engine: Arc<MemoryEngine>,
    options: Options,
    shards: u64,
}

impl InMemory {
    fn new(options: Options, shards: u64) -> Self {
        Self { engine: Arc::new(MemoryEngine::new(options)), options, shards }
    }
}

/// Sid `number` in one of up to 256 groups, each of which has a shard of its own. Every fourth
/// does not fit into a record's node.
fn grouped_sid(number: u32, group: u64) -> Sid {
    let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = mixed & !(0xFFFF_FFFF << 24) | group << 48;
    let mut bytes = number.to_le_bytes().to_vec();
    if number % 4 == 3 {
        bytes.resize(40 + number as usize % 60, b'.');
    }
    Sid::with_hash(&bytes, hash)
}

impl InMemory {
    /// What a store takes that holds this session of nobody and nothing else.
    fn alone_with(&self, sid: u32, body: BodyRef<'_>) -> usize {
        let options = Options { user: self.options.user, ..Options::default() };
        let store = Self::new(options, 1);
        store.prepare();
        let (sid, removed) = (store.sid(sid), &mut Vec::new());
        store.engine.set(sid, body, Condition::None, (0, NEVER), removed).unwrap().unwrap();
        store.engine.stats().unwrap().bytes
    }
}

impl Sizes for InMemory {
    /// What the engine says, because it depends on what the record was before.
    fn cost(&self, sid: u32, _: &str, _: bool) -> usize {
        self.engine.cost_of(&self.sid(sid)).unwrap_or(0)
    }

    fn alone(&self, sid: u32, body: &str) -> usize {
        self.alone_with(sid, body_ref(body))
    }

    fn forms(&self) -> usize {
        self.engine.bytes_of_forms()
    }

    /// What is cut out takes no room.
    fn fits_in_place(&self, model: &Model, (sid, body): (u32, &str), cookie: Cookie<'_>) -> bool {
        let whole = || self.alone_with(sid, BodyRef { is_json: false, ..body_ref(body) });
        let max_bytes = model.options.max_bytes;
        cookie.is_template
            || max_bytes == usize::MAX
            || whole() + model.tombstone_bytes() <= max_bytes
    }
}

impl Subject for InMemory {
    const WAYS: Ways = Ways {
        order: Order::Use,
        reads_set_prunes_back: true,
        clear_ends_prunes: true,
        cuts_text: false,
        forgets_all_for_room: true,
        repeats_tombstones: true,
        forgets_in_clear: true,
        forgotten_at_once: FORGOTTEN_AT_ONCE,
        cost_of_owner: owners::COST,
        tombstone_cost: |_| COST,
    };

    const PRUNES_IN_ORDER: bool = false;

    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as _
    }

    fn sid(&self, number: u32) -> Sid {
        grouped_sid(number, u64::from(number) % self.shards)
    }

    fn number_of(sid: &Sid) -> u32 {
        u32::from_le_bytes(sid.as_bytes()[..4].try_into().unwrap())
    }

    /// Has the engine know the kind of the timed cookies.
    fn prepare(&self) {
        assert!(self.engine.template(timed(0).as_bytes()).is_some());
    }

    fn begin_prune(&self, model: &mut Model, budget: usize) {
        self.engine.begin_prune_with(model.now, budget);
        model.prune = Some(model.now);
    }

    fn step(&self, _: &mut Model, budget: Option<usize>) -> bool {
        match budget {
            Some(budget) => self.engine.step(budget),
            None => self.engine.maintenance_step(),
        }
    }

    fn seen(&self) -> Option<HashSet<u32>> {
        Some(self.engine.ids().unwrap().iter().map(Self::number_of).collect())
    }
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules(
        options in options_with_users(),
        shards in 1..4_u64,
        ops in ops(),
    ) {
        assert_keeps_the_rules(InMemory::new(options, shards), options, &ops);
    }
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules_of_overlapping_requests(
        max in prop_oneof![Just(usize::MAX), Just(2)],
        destroyed_is_final in any::<bool>(),
        user in 0..2_u64,
        ops in overlapping(),
    ) {
        let options = Options { max, destroyed_is_final, user, ..Options::default() };
        assert_keeps_the_rules(InMemory::new(options, 1), options, &ops);
    }
}

#[test]
fn an_engine_keeps_the_rules_while_thousands_come_and_go() {
    for (max, max_bytes, shards, user) in [
        (usize::MAX, usize::MAX, 3, 0),
        (900, usize::MAX, 256, 0),
        (900, 300_000, 256, 0),
        (900, usize::MAX, 3, 1),
    ] {
        let options = Options { max, max_bytes, user, keep_removed: true, ..Options::default() };
        let engine = InMemory::new(options, shards);
        assert_keeps_the_rules_of_many(engine, options, &(0..2500), 2);
    }
}
