//! N-API made safe for [`super::ops`]: functions bound to their store, the arguments of a
//! call, and the values given back.
//!
//! A `#[napi]` class method costs about ten times as much as what is done here (see
//! CONTRIBUTING.md), which is why the hot path is written against N-API itself.
//!
//! Rules that hold for all of it:
//! - A [`Call`] lives while its JavaScript function runs. The environment and the values in it
//!   are valid for just that long, on just that thread, and its lifetime keeps them inside.
//! - Every status is looked at. A failed call leaves an exception pending or becomes a
//!   [`Failure`], which [`trampoline`] throws.

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::Object;
use napi::{Env, Error, JsValue, Result, check_status, sys};

use crate::engine;
use crate::session::Encoding;
use crate::sid::Sid;

/// The most arguments a function takes.
const MAX_ARGUMENTS: usize = 8;

/// What V8 is told that a bound function takes outside of its heap. It is some three times what
/// a function and its share of an empty store do take, so that stores that were dropped are
/// collected before thousands of them have piled up.
const FUNCTION_WEIGHT: i64 = 4096;

/// The least room to offer to a string. V8 writes UTF-8 fastest where each of the string's
/// units could take three bytes.
const MIN_ROOM: usize = 16 * 1024;

/// Room that has grown beyond this many bytes is not kept.
const ROOM_TO_KEEP: usize = 256 * 1024;

/// The first byte of a sid that is not valid Unicode. No UTF-8 contains it, so such a sid
/// equals no other.
const UTF16_SID: u8 = 0xFF;

/// Why a call cannot be answered.
pub(super) enum Failure {
    /// The arguments are not what the function takes. Only JavaScript that does not go
    /// through index.js can bring this about.
    Argument(&'static CStr),
    /// N-API refused, as when a string is too long or memory has run out. If it left an
    /// exception pending, that one is thrown.
    Node,
    /// The engine failed.
    Engine(engine::Error),
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

/// What a call gives back.
#[derive(Clone, Copy)]
pub(super) struct Value(sys::napi_value);

impl Value {
    /// JavaScript's `undefined`, as N-API defines a null pointer returned from a function.
    pub(super) const UNDEFINED: Self = Self(ptr::null_mut());
}

/// A native function and the store it belongs to.
struct Bound<T> {
    target: Rc<T>,
    function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
}

/// Sets `object[name]` to a function that calls `function` with `target`.
pub(super) fn bind<T: 'static>(
    env: Env,
    object: &Object,
    name: &str,
    target: Rc<T>,
    function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
) -> Result<()> {
    let value = make_function(env.raw(), name, target, function);
    let Value(value) = value.map_err(|_| Error::from_reason("cannot make a function"))?;
    let name = env.create_string(name)?;
    // SAFETY: all three are valid values of this environment, in an open handle scope.
    let status = unsafe {
        sys::napi_set_property(env.raw(), object.value().value, name.value().value, value)
    };
    check_status!(status)
}

/// Makes a function that calls `function` with `target`, and owns one count of it: a function
/// that outlives the object it is a property of stays valid.
fn make_function<T: 'static>(
    env: sys::napi_env,
    name: &str,
    target: Rc<T>,
    function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
) -> std::result::Result<Value, Failure> {
    let data = Box::into_raw(Box::new(Bound { target, function })).cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY:
    // - `env` is the environment of the call that is under way.
    // - `name` points to `name.len()` bytes, copied by the callee.
    // - `data` is a `Bound<T>`, which `trampoline::<T>` expects.
    let status = unsafe {
        sys::napi_create_function(
            env,
            name.as_ptr().cast::<c_char>(),
            name.len().cast_signed(),
            Some(trampoline::<T>),
            data,
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        release::<T>(data);
    }
    node(status)?;
    // SAFETY: `value` is the function made above, in the same handle scope; `data` is what
    // `finalize::<T>` expects, and the function is the only one to hold it.
    let status = unsafe {
        sys::napi_add_finalizer(
            env,
            value,
            data,
            Some(finalize::<T>),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    // Where this fails `data` is left to leak: the function exists and points to it.
    node(status)?;
    weigh(env, FUNCTION_WEIGHT);
    Ok(Value(value))
}

fn release<T>(data: *mut c_void) {
    // SAFETY: `data` came from `Box::into_raw` of a `Bound<T>` in `make_function::<T>`, and is
    // given back once: by that if there is no function, else by that function's only finalizer.
    drop(unsafe { Box::from_raw(data.cast::<Bound<T>>()) });
}

/// Tells V8 that as many more bytes hang on its objects. It is a hint, so failure is none.
fn weigh(env: sys::napi_env, bytes: i64) {
    let mut total = 0;
    // SAFETY: `env` is the environment of the call or the finalizer that is under way.
    let _ = unsafe { sys::napi_adjust_external_memory(env, bytes, &raw mut total) };
}

extern "C" fn finalize<T>(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    weigh(env, -FUNCTION_WEIGHT);
    // A store that is dropped may panic only by a bug; the process is to outlive that too.
    let _ = catch_unwind(|| release::<T>(data));
}

/// The native side of every bound function.
extern "C" fn trampoline<T>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut arguments = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    let mut data = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running call; `arguments` has room for
    // `count` values, and those that were not given are filled up with undefined.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != sys::Status::napi_ok {
        return ptr::null_mut();
    }
    // SAFETY: `data` is the `Bound<T>` this function was made with. It is freed by the
    // function's finalizer, which cannot run while the function does: it is being called, so
    // it is reachable, and finalizers run on this same thread.
    let bound = unsafe { &*data.cast::<Bound<T>>() };
    let call = Call { env, arguments, scope: PhantomData };
    let done = catch_unwind(AssertUnwindSafe(|| (bound.function)(&bound.target, &call)));
    match done {
        Ok(Ok(value)) => value.0,
        Ok(Err(Failure::Argument(message))) => call.throw_type_error(message),
        Ok(Err(Failure::Engine(error))) => call.throw_engine_error(&error),
        Ok(Err(Failure::Node)) => call.throw_error(c"memorystore-rs: Node.js refused a value"),
        Err(_panic) => call.throw_error(c"memorystore-rs: internal error, please report it"),
    }
}

/// A string that was copied out of V8, in room that is used again for the next one.
#[derive(Default)]
pub(super) struct Text {
    /// As long as it ever was: V8 writes into it, so it is kept initialised.
    room: Vec<u8>,
    length: usize,
}

impl Text {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    fn room(&mut self) -> &mut [u8] {
        if self.room.is_empty() {
            self.grow(MIN_ROOM);
        }
        &mut self.room
    }

    fn grow(&mut self, room: usize) {
        if room > self.room.len() {
            self.room.resize(room, 0);
        }
    }

    fn replace(&mut self, bytes: impl Iterator<Item = u8>) {
        self.room = bytes.collect();
        self.length = self.room.len();
        self.grow(MIN_ROOM);
    }

    /// Gives back what one large string made the room grow to.
    pub(super) fn trim(&mut self) {
        if self.room.len() > ROOM_TO_KEEP {
            *self = Self::default();
        }
    }
}

/// One call of a bound function.
pub(super) struct Call<'scope> {
    env: sys::napi_env,
    arguments: [sys::napi_value; MAX_ARGUMENTS],
    scope: PhantomData<&'scope ()>,
}

impl Call<'_> {
    /// The argument `index`, a number.
    pub(super) fn number(&self, index: usize) -> std::result::Result<f64, Failure> {
        let mut number = 0.0;
        // SAFETY: the environment and the argument are valid during the call.
        let status =
            unsafe { sys::napi_get_value_double(self.env, self.arguments[index], &raw mut number) };
        argument(status, c"memorystore-rs: expected a number")?;
        Ok(number)
    }

    /// Copies the argument `index`, a string, into `text`.
    pub(super) fn string(
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
    pub(super) fn sid_bytes<'t>(
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
    pub(super) fn with_body<R>(
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

    /// A string, a `Buffer`, or the `ArrayBuffer` to make a `Uint8Array` of: JavaScript does
    /// that, for it knows which realm's `Uint8Array` is wanted.
    pub(super) fn body(
        &self,
        bytes: &[u8],
        encoding: Encoding,
    ) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let text = bytes.as_ptr().cast::<c_char>();
        let length = bytes.len().cast_signed();
        let status = match encoding {
            Encoding::Ascii => {
                // SAFETY: `text` points to `length` bytes, each an ASCII and so a Latin-1
                // character; the callee copies them.
                unsafe { sys::napi_create_string_latin1(self.env, text, length, &raw mut value) }
            }
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
    pub(super) fn sid(&self, sid: &Sid) -> std::result::Result<Value, Failure> {
        match sid.as_bytes() {
            [UTF16_SID, units @ ..] => self.utf16_string(units),
            bytes if bytes.is_ascii() => self.body(bytes, Encoding::Ascii),
            bytes => self.body(bytes, Encoding::Utf8),
        }
    }

    /// A function that calls `function` with `target`.
    pub(super) fn function<T: 'static>(
        &self,
        name: &str,
        target: Rc<T>,
        function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
    ) -> std::result::Result<Value, Failure> {
        make_function(self.env, name, target, function)
    }

    /// A small number.
    pub(super) fn integer(&self, number: i32) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_int32(self.env, number, &raw mut value) })?;
        Ok(Value(value))
    }

    /// A number of things in memory, so far below 2^53.
    pub(super) fn count(&self, count: usize) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_int64(self.env, count, &raw mut value) })?;
        Ok(Value(value))
    }

    /// Any number.
    pub(super) fn double(&self, number: f64) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_create_double(self.env, number, &raw mut value) })?;
        Ok(Value(value))
    }

    /// A boolean.
    pub(super) fn truth(&self, truth: bool) -> std::result::Result<Value, Failure> {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is valid during the call.
        node(unsafe { sys::napi_get_boolean(self.env, truth, &raw mut value) })?;
        Ok(Value(value))
    }

    /// Appends a value for each of `items` to the first argument, an array.
    pub(super) fn append<I>(
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

    fn throw_type_error(&self, message: &CStr) -> sys::napi_value {
        // SAFETY: the environment is valid during the call; both strings end in a NUL.
        let _ = unsafe {
            sys::napi_throw_type_error(self.env, c"ERR_INVALID_ARG_TYPE".as_ptr(), message.as_ptr())
        };
        ptr::null_mut()
    }

    fn throw_engine_error(&self, error: &engine::Error) -> sys::napi_value {
        // Paths have no NUL, nor have the system's texts.
        let message = CString::new(format!("memorystore-rs: {error}")).unwrap_or_default();
        let code = error.code().and_then(|code| CString::new(code).ok());
        // SAFETY: the environment is valid during the call; both strings end in a NUL, or the
        // code is null, which is for none.
        let _ = unsafe {
            sys::napi_throw_error(
                self.env,
                code.as_ref().map_or(ptr::null(), |code| code.as_ptr()),
                message.as_ptr(),
            )
        };
        ptr::null_mut()
    }

    /// Throws, unless an exception is pending already.
    fn throw_error(&self, message: &CStr) -> sys::napi_value {
        // SAFETY: the environment is valid during the call; both strings end in a NUL. With an
        // exception pending the callee does nothing but say so.
        let _ = unsafe {
            sys::napi_throw_error(self.env, c"ERR_MEMORYSTORE_INTERNAL".as_ptr(), message.as_ptr())
        };
        ptr::null_mut()
    }
}

fn argument(status: sys::napi_status, expected: &'static CStr) -> std::result::Result<(), Failure> {
    match status {
        sys::Status::napi_ok => Ok(()),
        sys::Status::napi_pending_exception | sys::Status::napi_generic_failure => {
            Err(Failure::Node)
        }
        _ => Err(Failure::Argument(expected)),
    }
}

fn node(status: sys::napi_status) -> std::result::Result<(), Failure> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Failure::Node) }
}
