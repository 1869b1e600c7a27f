//! Engines that the stores of this process share by name, so that all its worker threads see the
//! same sessions.
//!
//! The addon is loaded once by a process, whatever the number of its workers, so what is static
//! here is common to all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::{MemoryEngine, Options};

/// The engines of this process that have a name.
static NAMED: Mutex<BTreeMap<String, Shared>> = Mutex::new(BTreeMap::new());

struct Shared {
    engine: Arc<MemoryEngine>,
    options: Options,
    leases: usize,
}

/// Keeps the engine of a name alive. It goes when the last lease has ended or is dropped.
pub struct Lease {
    /// None once it has ended.
    name: Option<String>,
    engine: Arc<MemoryEngine>,
}

impl Lease {
    /// Opens the engine called `name`, and makes it if there is none.
    ///
    /// # Errors
    /// The option, as JavaScript names it, in which `options` differ from those that the engine
    /// was made with.
    pub fn open(name: &str, options: Options) -> Result<Self, &'static str> {
        let mut named = NAMED.lock();
        let shared = named.entry(name.to_owned()).or_insert_with(|| Shared {
            engine: Arc::new(MemoryEngine::new(options)),
            options,
            leases: 0,
        });
        if let Some(option) = shared.options.difference(options) {
            return Err(option);
        }
        shared.leases += 1;
        Ok(Self { name: Some(name.to_owned()), engine: Arc::clone(&shared.engine) })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<MemoryEngine> {
        &self.engine
    }

    /// Gives the lease back. Returns whether it was the last: if so nobody else has the engine, and
    /// the next to open the name gets a new one.
    #[must_use]
    pub fn end(mut self) -> bool {
        self.leave()
    }

    fn leave(&mut self) -> bool {
        let Some(name) = self.name.take() else {
            return false;
        };
        let mut named = NAMED.lock();
        let Some(shared) = named.get_mut(&name) else {
            return false;
        };
        shared.leases -= 1;
        if shared.leases > 0 {
            return false;
        }
        // The engine itself is freed later: this lease has it too.
        named.remove(&name);
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
