//! Failures as exceptions of JavaScript.

use std::ffi::{CStr, CString};
use std::ptr;

use napi::sys;

use super::call::Call;
use crate::engine;

impl Call<'_> {
    pub(super) fn throw_type_error(&self, message: &CStr) -> sys::napi_value {
        // SAFETY: the environment is valid during the call; both strings end in a NUL.
        let _ = unsafe {
            sys::napi_throw_type_error(self.env, c"ERR_INVALID_ARG_TYPE".as_ptr(), message.as_ptr())
        };
        ptr::null_mut()
    }

    pub(super) fn throw_engine_error(&self, error: &engine::Error) -> sys::napi_value {
        // Paths have no NUL, nor have the system's texts.
        let message = CString::new(format!("memorystore-rs: {error}")).unwrap_or_default();
        let code = error.code().and_then(|code| CString::new(code).ok());
        // SAFETY: the environment is valid during the call; both strings end in a NUL, or the code
        // is null, which stands for no code.
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
    pub(super) fn throw_error(&self, message: &CStr) -> sys::napi_value {
        // SAFETY: the environment is valid during the call; both strings end in a NUL. With an
        // exception pending the callee does nothing but say so.
        let _ = unsafe {
            sys::napi_throw_error(self.env, c"ERR_MEMORYSTORE_INTERNAL".as_ptr(), message.as_ptr())
        };
        ptr::null_mut()
    }
}
