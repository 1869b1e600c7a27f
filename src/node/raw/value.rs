//! What a call gives back: JavaScript's values.

use std::ffi::{c_char, c_void};
use std::ptr;

use napi::sys;

use super::call::{Call, UTF16_SID};
use super::failure::{Failure, argument, node};
use crate::session::Encoding;
use crate::sid::Sid;

/// What a call gives back.
#[derive(Clone, Copy)]
pub(in crate::node) struct Value(pub(super) sys::napi_value);

impl Value {
    /// JavaScript's `undefined`, as N-API defines a null pointer returned from a function.
    pub(in crate::node) const UNDEFINED: Self = Self(ptr::null_mut());
}

impl Call<'_> {
    /// A string, a `Buffer`, or the `ArrayBuffer` to make a `Uint8Array` of: JavaScript does
    /// that, for it knows which realm's `Uint8Array` is wanted.
    pub(in crate::node) fn body(
        &self,
        bytes: &[u8],
        encoding: Encoding,
    ) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let text = bytes.as_ptr().cast::<c_char>();
        let length = bytes.len().cast_signed();
        let status = match encoding {
            Encoding::Ascii => return self.latin1(bytes),
            Encoding::Utf8 => {
                // SAFETY: `text` points to `length` bytes of UTF-8; the callee copies them.
                unsafe { sys::napi_create_string_utf8(self.env, text, length, &raw mut value) }
            }
            Encoding::Utf16 => return self.utf16_string(bytes),
            Encoding::Buffer => {
                // SAFETY: `text` points to `bytes.len()` bytes; the callee copies them. The
                // place of the copy is not wanted.
                unsafe {
                    sys::napi_create_buffer_copy(
                        self.env,
                        bytes.len(),
                        text.cast::<c_void>(),
                        ptr::null_mut(),
                        &raw mut value,
                    )
                }
            }
            Encoding::Uint8Array => return self.array_buffer(bytes),
        };
        node(status)?;
        Ok(Value(value))
    }

    /// A string of which each byte is a character.
    pub(in crate::node) fn latin1(&self, bytes: &[u8]) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let text = bytes.as_ptr().cast::<c_char>();
        let length = bytes.len().cast_signed();
        // SAFETY: `text` points to `length` bytes, each a character of Latin-1; the callee copies
        // them.
        node(unsafe { sys::napi_create_string_latin1(self.env, text, length, &raw mut value) })?;
        Ok(Value(value))
    }

    fn utf16_string(&self, bytes: &[u8]) -> std::result::Result<Value, Failure> {
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(u16::from_ne_bytes).collect();
        let mut value = ptr::null_mut();
        // SAFETY: `units` points to `units.len()` code units; the callee copies them.
        let status = unsafe {
            sys::napi_create_string_utf16(
                self.env,
                units.as_ptr(),
                units.len().cast_signed(),
                &raw mut value,
            )
        };
        node(status)?;
        Ok(Value(value))
    }

    fn array_buffer(&self, bytes: &[u8]) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let mut data = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        let status = unsafe {
            sys::napi_create_arraybuffer(self.env, bytes.len(), &raw mut data, &raw mut value)
        };
        node(status)?;
        if !bytes.is_empty() {
            // SAFETY: the new ArrayBuffer has `bytes.len()` bytes at `data`, which nobody else
            // has seen yet, so they do not overlap `bytes`.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
        }
        Ok(Value(value))
    }

    /// The string that [`Self::sid_bytes`] made the bytes of `sid` from.
    pub(in crate::node) fn sid(&self, sid: &Sid) -> std::result::Result<Value, Failure> {
        match sid.as_bytes() {
            [UTF16_SID, units @ ..] => self.utf16_string(units),
            bytes if bytes.is_ascii() => self.body(bytes, Encoding::Ascii),
            bytes => self.body(bytes, Encoding::Utf8),
        }
    }

    /// A small number.
    pub(in crate::node) fn integer(&self, number: i32) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_int32(self.env, number, &raw mut value) })?;
        Ok(Value(value))
    }

    /// A number of things in memory, so far below 2^53.
    pub(in crate::node) fn count(&self, count: usize) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_int64(self.env, count, &raw mut value) })?;
        Ok(Value(value))
    }

    /// Any number.
    pub(in crate::node) fn double(&self, number: f64) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_double(self.env, number, &raw mut value) })?;
        Ok(Value(value))
    }

    /// A boolean.
    pub(in crate::node) fn truth(&self, truth: bool) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_get_boolean(self.env, truth, &raw mut value) })?;
        Ok(Value(value))
    }

    /// Appends a value for each of `items` to the first argument, an array.
    pub(in crate::node) fn append<I>(
        &self,
        items: impl IntoIterator<Item = I>,
        to_value: impl Fn(&Self, &I) -> std::result::Result<Value, Failure>,
    ) -> std::result::Result<Value, Failure> {
        let array = self.arguments[0];
        let mut length = 0;
        // SAFETY: the environment and the argument are valid during the call.
        let status = unsafe { sys::napi_get_array_length(self.env, array, &raw mut length) };
        argument(status, c"memorystore-rs: expected an array")?;
        for (index, item) in (length..).zip(items) {
            self.in_scope(|| {
                let value = to_value(self, &item)?;
                // SAFETY: the environment, the array and the value are valid during the call.
                node(unsafe { sys::napi_set_element(self.env, array, index, value.0) })
            })?;
        }
        Ok(Value::UNDEFINED)
    }

    /// Runs `step` in a handle scope of its own, so that a million steps do not keep a million
    /// handles. The values made in it must not leave it.
    fn in_scope(
        &self,
        step: impl FnOnce() -> std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        let mut scope = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_open_handle_scope(self.env, &raw mut scope) })?;
        let done = step();
        // SAFETY: `scope` is the innermost open scope: `step` opens none and ran to its end.
        let closed = node(unsafe { sys::napi_close_handle_scope(self.env, scope) });
        done.and(closed)
    }
}
