//! Compares the engine with the model, in the order of expiry.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::super::SharedEngine;
use super::super::head::MAX_COOKIE;
use super::super::space::{Noted, PageSize};
use super::super::writing::STEP;
use super::Folder;
use crate::background::Maintenance;
use crate::engine::tests::model::{Cookie, Model, Order, Sizes, Ways, cookie_of};
use crate::engine::tests::ops::{ops, options, options_with_users, overlapping};
use crate::engine::tests::pair::{Subject, assert_keeps_the_rules, assert_keeps_the_rules_of_many};
use crate::engine::tests::sessions::user_of;
use crate::engine::{Engine, Options};
use crate::sid::Sid;

/// An engine and its file.
struct InAFile {
    folder: Folder,
    options: Options,
    engine: Arc<SharedEngine>,
}

impl InAFile {
    fn new(options: Options) -> Self {
        let folder = Folder::new();
        Self { engine: folder.open(options), folder, options }
    }
}

/// Sids of several lengths, in no order.
fn sid_bytes(number: u32) -> Vec<u8> {
    let mut bytes = number.wrapping_mul(0x9E37_79B9).to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    if number % 4 == 3 {
        bytes.resize(40 + number as usize % 400, b'.');
    }
    bytes
}

impl InAFile {
    fn cost_with(sid: u32, body: &str, is_cut: bool, noted: Noted) -> usize {
        let cookie = if is_cut { cookie_of(body).len() } else { 0 };
        PageSize::of_system().cost(sid_bytes(sid).len(), cookie, body.len() - cookie, noted)
    }
}

impl Sizes for InAFile {
    fn cost(&self, sid: u32, body: &str, is_cut: bool) -> usize {
        let noted = match Noted::at_most(&self.options) {
            Noted::Somebody if user_of(body).is_none() => Noted::Nobody,
            noted => noted,
        };
        Self::cost_with(sid, body, is_cut, noted)
    }

    /// Whose it is, is not known yet.
    fn alone(&self, sid: u32, body: &str) -> usize {
        let is_cut = body.starts_with(r#"{"cookie":{"#);
        Self::cost_with(sid, body, is_cut, Noted::at_most(&self.options))
    }

    fn fits_in_place(&self, model: &Model, (sid, body): (u32, &str), cookie: Cookie<'_>) -> bool {
        cookie.text.len() <= MAX_COOKIE && self.cost(sid, body, true) <= model.options.max_bytes
    }
}

impl Subject for InAFile {
    const WAYS: Ways = Ways {
        order: Order::Expiry,
        reads_set_prunes_back: false,
        clear_ends_prunes: false,
        cuts_text: true,
        forgets_all_for_room: false,
        repeats_tombstones: false,
        forgets_in_clear: false,
        forgotten_at_once: STEP,
        cost_of_owner: 0,
        tombstone_cost: |sid| PageSize::of_system().tombstone_cost(sid_bytes(sid).len()),
    };

    const PRUNES_IN_ORDER: bool = false;

    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as _
    }

    fn sid(&self, number: u32) -> Sid {
        self.engine.sid(&sid_bytes(number))
    }

    fn number_of(sid: &Sid) -> u32 {
        u32::from_le_bytes(sid.as_bytes()[4..8].try_into().unwrap())
    }

    fn begin_prune(&self, model: &mut Model, _: usize) {
        self.engine.begin_prune(model.now).unwrap();
        model.prune = Some(model.now);
    }

    fn step(&self, _: &mut Model, _: Option<usize>) -> bool {
        self.engine.maintenance_step()
    }

    fn seen(&self) -> Option<HashSet<u32>> {
        Some(self.engine.ids().unwrap().iter().map(Self::number_of).collect())
    }

    fn reopen(&mut self, options: Options) -> bool {
        let weak = Arc::downgrade(&self.engine);
        self.engine = Folder::new().open(options);
        assert!(weak.upgrade().is_none());
        self.engine = self.folder.open(options);
        true
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules(options in options(), ops in ops()) {
        assert_keeps_the_rules(InAFile::new(options), options, &ops);
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules_of_users(options in options_with_users(), ops in ops()) {
        assert_keeps_the_rules(InAFile::new(options), options, &ops);
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, ..Config::default() })]

    #[test]
    fn an_engine_keeps_the_rules_of_overlapping_requests(
        max in prop_oneof![Just(usize::MAX), Just(2)],
        destroyed_is_final in any::<bool>(),
        ops in overlapping(),
    ) {
        let options = Options { max, destroyed_is_final, ..Options::default() };
        assert_keeps_the_rules(InAFile::new(options), options, &ops);
    }
}

#[test]
fn an_engine_keeps_the_rules_while_hundreds_come_and_go() {
    for (max, max_bytes) in [(usize::MAX, usize::MAX), (200, usize::MAX), (200, 200_000)] {
        let options = Options { max, max_bytes, keep_removed: true, ..Options::default() };
        assert_keeps_the_rules_of_many(InAFile::new(options), options, &(0..600), 1);
    }
}
