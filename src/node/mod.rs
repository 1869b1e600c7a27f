//! The boundary to Node.js: the only module that knows N-API.
//!
//! JavaScript gets one exported function, `createStore`, which fills an object with functions
//! that are each bound to one store ([`ops`]); calls and strings pass through [`raw`], which
//! has the unsafe code for it.

#[cfg(not(windows))]
#[expect(unsafe_code, reason = "the allocator's settings and its controls are C's")]
mod allocator;
mod codes;
mod lifecycle;
mod listing;
mod ops;
#[expect(unsafe_code, reason = "N-API is a C interface; this module makes it a safe one")]
mod raw;
mod rules;
mod sealer;
mod store;
mod task;
mod users;
mod writes;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;

use crate::background::BACKGROUND;
use crate::engine::Options;
use crate::time::whole;
use codes::whole_count;
use rules::Rules;
use store::{Place, Refusal, Store};

/// The options of a store, as `index.js` has read them.
#[napi(object, object_to_js = false)]
#[expect(clippy::struct_excessive_bools, reason = "they are the user's, each on its own")]
pub(crate) struct StoreOptions {
    /// The most sessions to keep, and the most memory to use for them (`Infinity`: no limit).
    pub max: f64,
    pub max_bytes: f64,
    pub stale: bool,
    pub dispose: bool,
    pub no_dispose_on_set: bool,
    /// Whether `destroyed` is `'final'`.
    pub is_final: bool,
    /// Milliseconds; 0 if every touch is done.
    pub touch_after: f64,
    /// The path to the user of a session; empty if JavaScript tells the user of each.
    pub user: Option<String>,
    /// Milliseconds and a count; NaN if JavaScript tells them with each write.
    pub lifetime: Option<f64>,
    pub max_per_user: Option<f64>,
    /// Whether `whenFull` is `'refuse'`.
    pub is_refusing: Option<bool>,
    /// Whether sessions of nobody are evicted before those of a `user`.
    pub anonymous_first: Option<bool>,
    /// Whether JavaScript hashes the sids.
    pub hashes_sids: Option<bool>,
    /// The name by which the process's threads share the store.
    pub name: Option<String>,
    /// The folder of the file in which the sessions are, and how large the file may become.
    pub path: Option<String>,
    pub map_size: f64,
}

/// How a store was opened, or why it was not.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub(crate) struct Opening {
    /// The option in which it differs from another store of the process with the same sessions.
    pub differing: Option<&'static str>,
    /// What is wrong with its path.
    pub error: Option<String>,
    pub code: Option<&'static str>,
    /// The new name of its file, if that was damaged.
    pub set_aside: Option<String>,
}

/// The names of the operations that a store's function `operate` does, in the order of their indices.
#[napi]
pub(crate) fn common_operations() -> Vec<&'static str> {
    ops::common_operations()
}

/// Fills `target` with the functions of a store: a new one, or that of the name or the path.
#[napi]
pub(crate) fn create_store(env: Env, target: Object, options: StoreOptions) -> Result<Opening> {
    let rules = Rules::new(options.user.as_deref(), options.lifetime, options.max_per_user);
    let engine_options = Options {
        max: whole_count(options.max),
        max_bytes: whole_count(options.max_bytes),
        stale: options.stale,
        keep_removed: options.dispose,
        keep_replaced: options.dispose && !options.no_dispose_on_set,
        destroyed_is_final: options.is_final,
        touch_after: whole(options.touch_after),
        user: rules.user_mark(),
        lifetime: rules.lifetime.mark(),
        most: rules.most.mark(),
        is_refusing: options.is_refusing == Some(true),
        anonymous_first: options.anonymous_first != Some(false),
        hashes_sids: options.hashes_sids == Some(true),
    };
    let place = match (options.path, options.name) {
        (Some(path), _) => Place::Path(path, whole_count(options.map_size)),
        (None, Some(name)) => Place::Name(name),
        (None, None) => Place::Own,
    };
    Ok(match Store::open(engine_options, rules, place) {
        Ok((store, set_aside)) => {
            store.bind(env, &target)?;
            Opening { set_aside, ..Opening::default() }
        }
        Err(Refusal::Differs(option)) => {
            have_dropped_stores_collected(env)?;
            Opening { differing: Some(option), ..Opening::default() }
        }
        Err(Refusal::Failed(error)) => Opening {
            error: Some(format!("memorystore-rs: {error}")),
            code: error.code(),
            ..Opening::default()
        },
    })
}

/// More than V8 lets any process have outside of its heap.
const VERY_MUCH: i64 = 1 << 40;

/// The store that stands in the way may be one that nobody holds any more. Reporting much memory
/// makes V8 collect garbage, so that a second try can succeed.
fn have_dropped_stores_collected(env: Env) -> Result<()> {
    env.adjust_external_memory(VERY_MUCH)?;
    env.adjust_external_memory(-VERY_MUCH)?;
    Ok(())
}

/// Runs whenever an environment (the main thread, a worker) loads the addon.
#[napi(module_exports)]
pub(crate) fn load(_exports: Object, env: Env) -> Result<()> {
    BACKGROUND.attach();
    #[cfg(not(windows))]
    BACKGROUND.tidy_with(allocator::give_back);
    env.add_env_cleanup_hook((), |()| BACKGROUND.detach())?;
    Ok(())
}
