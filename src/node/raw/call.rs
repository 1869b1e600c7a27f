//! A call under way: its environment and its arguments.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr;

use napi::sys;

use super::failure::{Failure, argument, node};
use super::text::Text;
use crate::session::Encoding;

/// The most arguments a function takes.
pub(super) const MAX_ARGUMENTS: usize = 11;

/// The first byte of a sid that is not valid Unicode. No UTF-8 contains it, so such a sid
/// equals no other.
pub(super) const UTF16_SID: u8 = 0xFF;

/// One call of a bound function.
pub(in crate::node) struct Call<'scope> {
    pub(super) env: sys::napi_env,
    pub(super) arguments: [sys::napi_value; MAX_ARGUMENTS],
    pub(super) scope: PhantomData<&'scope ()>,
}

impl Call<'_> {
    /// The same call without its first argument. It has room for one argument less.
    pub(in crate::node) fn without_first(&self) -> Self {
        let mut arguments = self.arguments;
        arguments.copy_within(1.., 0);
        Self { arguments, ..*self }
    }

    /// The argument `index`, a number.
    pub(in crate::node) fn number(&self, index: usize) -> std::result::Result<f64, Failure> {
        let mut number = 0.0;
        // SAFETY: the environment and the argument are valid during the call.
        let status =
            unsafe { sys::napi_get_value_double(self.env, self.arguments[index], &raw mut number) };
        argument(status, c"memorystore-rs: expected a number")?;
        Ok(number)
    }

    /// Whether the argument `index` is not undefined.
    pub(in crate::node) fn is_given(&self, index: usize) -> bool {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: the environment and the argument are valid during the call.
        let status = unsafe { sys::napi_typeof(self.env, self.arguments[index], &raw mut kind) };
        status == sys::Status::napi_ok && kind != sys::ValueType::napi_undefined
    }

    /// Whether the argument `index` is given and is a number above 0.
    pub(in crate::node) fn is_set(&self, index: usize) -> bool {
        self.number(index).is_ok_and(|number| number > 0.0)
    }

    /// Copies the argument `index`, a string, into `text`.
    pub(in crate::node) fn string(
        &self,
        index: usize,
        text: &mut Text,
    ) -> std::result::Result<Encoding, Failure> {
        let value = self.arguments[index];
        text.length = self.utf8(value, text.room())?;
        // A character that does not fit is left out whole, so up to three bytes can be free.
        if text.length + 4 >= text.room.len() {
            let needed = self.utf8(value, &mut [])? + 1;
            text.grow(needed);
            text.length = self.utf8(value, text.room())?;
        }
        if text.as_bytes().is_ascii() {
            return Ok(Encoding::Ascii);
        }
        // A lone surrogate has no UTF-8: V8 writes U+FFFD in its place.
        if str::from_utf8(text.as_bytes()).is_ok_and(|text| !text.contains('\u{FFFD}')) {
            return Ok(Encoding::Utf8);
        }
        let units = self.utf16(value)?;
        if char::decode_utf16(units.iter().copied()).all(|unit| unit.is_ok()) {
            return Ok(Encoding::Utf8);
        }
        text.replace(units.into_iter().flat_map(u16::to_ne_bytes));
        Ok(Encoding::Utf16)
    }

    /// Copies the argument `index`, a string, into `text`, as bytes that no other string has.
    pub(in crate::node) fn sid_bytes<'t>(
        &self,
        index: usize,
        text: &'t mut Text,
    ) -> std::result::Result<&'t [u8], Failure> {
        if self.string(index, text)? == Encoding::Utf16 {
            let units = text.as_bytes().to_vec();
            text.replace([UTF16_SID].into_iter().chain(units));
        }
        Ok(text.as_bytes())
    }

    /// Hands the argument `index`, a string or a `Uint8Array`, to `use_it` as bytes. `text` is
    /// where a string is copied to. Whether a `Uint8Array` is a `Buffer` only JavaScript knows
    /// (`napi_is_buffer` holds for both).
    pub(in crate::node) fn with_body<R>(
        &self,
        index: usize,
        is_buffer: bool,
        text: &mut Text,
        use_it: impl FnOnce(&[u8], Encoding) -> R,
    ) -> std::result::Result<R, Failure> {
        match self.string(index, text) {
            Ok(encoding) => Ok(use_it(text.as_bytes(), encoding)),
            Err(Failure::Argument(_)) => {
                let encoding = if is_buffer { Encoding::Buffer } else { Encoding::Uint8Array };
                Ok(use_it(self.bytes(self.arguments[index])?, encoding))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Writes as much of the string `value` as fits into `buffer`, less a final NUL. Returns how
    /// many bytes that took; for an empty buffer, how many all of it takes.
    fn utf8(
        &self,
        value: sys::napi_value,
        buffer: &mut [u8],
    ) -> std::result::Result<usize, Failure> {
        let mut length = 0;
        let to = if buffer.is_empty() { ptr::null_mut() } else { buffer.as_mut_ptr() };
        // SAFETY: the environment and the value are valid during the call; `to` is null or has
        // room for `buffer.len()` bytes.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                value,
                to.cast::<c_char>(),
                buffer.len(),
                &raw mut length,
            )
        };
        argument(status, c"memorystore-rs: expected a string")?;
        Ok(length)
    }

    /// The UTF-16 code units of the string `value`.
    fn utf16(&self, value: sys::napi_value) -> std::result::Result<Vec<u16>, Failure> {
        let mut length = 0;
        // SAFETY: the environment and the value are valid during the call; without a buffer
        // the callee writes the length only.
        let status = unsafe {
            sys::napi_get_value_string_utf16(self.env, value, ptr::null_mut(), 0, &raw mut length)
        };
        argument(status, c"memorystore-rs: expected a string")?;
        let mut units = vec![0; length + 1];
        // SAFETY: as above; `units` has room for `units.len()` units, the final NUL included.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                value,
                units.as_mut_ptr(),
                units.len(),
                &raw mut length,
            )
        };
        node(status)?;
        units.truncate(length);
        Ok(units)
    }

    /// The bytes of `value`, a `Uint8Array` (a `Buffer` is one).
    fn bytes(&self, value: sys::napi_value) -> std::result::Result<&[u8], Failure> {
        let mut kind = 0;
        let mut length = 0;
        let mut data = ptr::null_mut();
        // SAFETY: the environment and the value are valid during the call; results that are
        // not wanted may be null.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                value,
                &raw mut kind,
                &raw mut length,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let expected = c"memorystore-rs: expected a string or a Uint8Array";
        argument(status, expected)?;
        if kind != sys::TypedarrayType::uint8_array {
            return Err(Failure::Argument(expected));
        }
        if length == 0 || data.is_null() {
            return Ok(&[]);
        }
        // SAFETY:
        // - The array has `length` bytes at `data`; it is an argument, so it stays alive during
        //   the call, and the slice does not outlive that.
        // - Nothing writes to it meanwhile: no JavaScript runs on this thread until the call
        //   returns, and index.js copies an array whose memory is shared with other threads.
        Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) })
    }
}
