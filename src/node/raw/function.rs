//! Functions of JavaScript that are bound to a store.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::Object;
use napi::{Env, Error, JsValue, Result, check_status, sys};

use super::call::{Call, MAX_ARGUMENTS};
use super::failure::{Failure, node};
use super::value::Value;

/// What V8 is told that a bound function takes outside of its heap. A store has about fourteen, so
/// this is about three times what a function and its share of a store with a session really take:
/// dropped stores are collected before thousands of them have piled up.
const FUNCTION_WEIGHT: i64 = 16384;

/// A native function and the store it belongs to.
struct Bound<T> {
    target: Rc<T>,
    function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
}

/// Sets `object[name]` to a function that calls `function` with `target`.
pub(in crate::node) fn bind<T: 'static>(
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
    // If this fails, `data` leaks: the function exists and points to it.
    node(status)?;
    weigh(env, FUNCTION_WEIGHT);
    Ok(Value(value))
}

fn release<T>(data: *mut c_void) {
    // SAFETY: `data` came from `Box::into_raw` of a `Bound<T>` in `make_function::<T>`, and is
    // given back once: by that if there is no function, else by that function's only finalizer.
    drop(unsafe { Box::from_raw(data.cast::<Bound<T>>()) });
}

/// Tells V8 that its objects hold so many more bytes outside of its heap. It is only a hint, so a
/// failure does not matter.
fn weigh(env: sys::napi_env, bytes: i64) {
    let mut total = 0;
    // SAFETY: `env` is the environment of the call or the finalizer that is under way.
    let _ = unsafe { sys::napi_adjust_external_memory(env, bytes, &raw mut total) };
}

extern "C" fn finalize<T>(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    weigh(env, -FUNCTION_WEIGHT);
    // Dropping a store can panic only by a bug, and the process should survive that too.
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

impl Call<'_> {
    /// A function that calls `function` with `target`.
    pub(in crate::node) fn function<T: 'static>(
        &self,
        name: &str,
        target: Rc<T>,
        function: fn(&T, &Call) -> std::result::Result<Value, Failure>,
    ) -> std::result::Result<Value, Failure> {
        make_function(self.env, name, target, function)
    }
}
