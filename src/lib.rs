//! The store behind the npm package `memorystore-rs`: sessions by sid, in memory, least
//! recently used first out, each with an expiry of its own.
//!
//! This is the plain Rust store; it knows nothing of Node.js. The module `node`, built with
//! the feature of the same name (on by default), is the boundary that exposes it as an addon.
//!
//! ```
//! use memorystore_rs::engine::{Condition, Engine, MemoryEngine, Options, Reading};
//! use memorystore_rs::session::{BodyRef, BodyView, Encoding};
//! use memorystore_rs::time::expires_at;
//!
//! let store = MemoryEngine::new(Options { max: 1000, ..Options::default() });
//! let body = BodyRef { bytes: b"{}", encoding: Encoding::Ascii, is_json: true };
//! let mut removed = Vec::new();
//! let now = 1_700_000_000_000;
//!
//! let sid = store.sid(b"a sid");
//! let times = (now, expires_at(now, 500.0));
//! store.set(sid.clone(), body, Condition::None, times, &mut removed).unwrap().unwrap();
//! let mut read = None;
//! let mut keep = |body: BodyView<'_>| read = Some(body.to_body());
//! store.read(&sid, Reading::Get, now + 500, &mut removed, &mut keep).unwrap();
//! assert_eq!(read.unwrap().bytes(), b"{}");
//! let is_found =
//!     store.read(&sid, Reading::Get, now + 501, &mut removed, &mut |_| ()).unwrap();
//! assert!(!is_found);
//! ```

mod allocation;
pub mod background;
pub mod engine;
pub mod named;
#[cfg(feature = "node")]
mod node;
pub mod sealing;
pub mod session;
pub mod sid;
pub mod time;
