//! The functions that seal and open what a store keeps elsewhere. See [`crate::sealing`].

use std::cell::RefCell;
use std::rc::Rc;

use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use super::raw::{self, Call, Text, Value};
use super::store::Done;
use crate::sealing::{KEY_LENGTH, Sealer, Unopened};
use crate::session::Encoding;

/// A sealer as one JavaScript object has it.
struct Bound {
    sealer: Sealer,
    /// What is copied in passes through these.
    texts: RefCell<[Text; 2]>,
}

/// Fills `target` with the functions of a sealer, which seals with the first of `keys`. Returns
/// whether all of them have the right length.
#[napi]
pub(crate) fn create_sealer(env: Env, target: Object, keys: Vec<Uint8Array>) -> Result<bool> {
    let keys: Option<Vec<[u8; KEY_LENGTH]>> =
        keys.into_iter().map(|key| key.as_ref().try_into().ok()).collect();
    let Some(keys) = keys else {
        return Ok(false);
    };
    let bound = Rc::new(Bound { sealer: Sealer::new(&keys), texts: RefCell::default() });
    raw::bind(env, &target, "seal", Rc::clone(&bound), Bound::seal)?;
    raw::bind(env, &target, "open", bound, Bound::open)?;
    Ok(true)
}

impl Bound {
    /// `seal(sid, body, isBuffer)`: a sealed body, a `Buffer`; undefined if the system has no
    /// randomness.
    fn seal(&self, call: &Call) -> Done {
        let [sid, text] = &mut *self.texts.borrow_mut();
        let sid = call.sid_bytes(0, sid)?;
        let sealed = call.with_body(1, call.is_set(2), text, |bytes, encoding| {
            self.sealer.seal(sid, bytes, encoding)
        })?;
        text.trim();
        sealed.map_or(Ok(Value::UNDEFINED), |sealed| call.body(&sealed, Encoding::Buffer))
    }

    /// `open(sid, sealed)`: the body; or 1 if the key is another one, and 2 if it was changed.
    fn open(&self, call: &Call) -> Done {
        let [sid, text] = &mut *self.texts.borrow_mut();
        let sid = call.sid_bytes(0, sid)?;
        let opened = call.with_body(1, true, text, |bytes, _| self.sealer.open(sid, bytes))?;
        match opened {
            Ok((body, encoding)) => call.body(&body, encoding),
            Err(Unopened::OtherKey) => call.integer(1),
            Err(Unopened::Changed) => call.integer(2),
        }
    }
}
