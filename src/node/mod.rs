//! The boundary to Node.js: the only module that knows N-API.
//!
//! JavaScript gets one exported function, `createStore`, which fills an object with functions
//! that are each bound to one store ([`ops`]); calls and strings pass through [`raw`], which
//! has all of the unsafe code.

mod ops;
#[expect(unsafe_code, reason = "N-API is a C interface; this module makes it a safe one")]
mod raw;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;

use crate::engine::Options;
use crate::pruner::PRUNER;
use ops::Store;

/// The allocator of the addon's own memory; V8 and Node.js keep theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fills `target` with the functions of a new store.
///
/// `max` is the most sessions to keep, `max_bytes` the most memory (`Infinity`: no limit).
/// `stale` and `dispose` are the options of the same names; `dispose_on_set` is the opposite of
/// `noDisposeOnSet`, `destroyed_is_final` is `destroyed: 'final'`.
#[napi]
pub(crate) fn create_store(
    env: Env,
    target: Object,
    max: f64,
    max_bytes: f64,
    stale: bool,
    dispose: bool,
    dispose_on_set: bool,
    destroyed_is_final: bool,
) -> Result<()> {
    let options = Options {
        max: whole_count(max),
        max_bytes: whole_count(max_bytes),
        stale,
        keep_removed: dispose,
        keep_replaced: dispose && dispose_on_set,
        destroyed_is_final,
    };
    Store::new(options).bind(env, &target)
}

/// A count from JavaScript: fractions are dropped, what is beyond `usize` is its largest.
fn whole_count(count: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    {
        count as usize
    }
}

/// Runs whenever an environment (the main thread, a worker) loads the addon.
#[napi(module_exports)]
pub(crate) fn load(_exports: Object, env: Env) -> Result<()> {
    PRUNER.attach();
    env.add_env_cleanup_hook((), |()| PRUNER.detach())?;
    Ok(())
}
