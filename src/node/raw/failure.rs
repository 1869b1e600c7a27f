//! Why a call cannot be answered, and the status of each call of N-API.

use std::ffi::CStr;

use napi::sys;

use crate::engine;

/// Why a call cannot be answered.
pub(in crate::node) enum Failure {
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

pub(super) fn argument(
    status: sys::napi_status,
    expected: &'static CStr,
) -> std::result::Result<(), Failure> {
    match status {
        sys::Status::napi_ok => Ok(()),
        sys::Status::napi_pending_exception | sys::Status::napi_generic_failure => {
            Err(Failure::Node)
        }
        _ => Err(Failure::Argument(expected)),
    }
}

pub(super) fn node(status: sys::napi_status) -> std::result::Result<(), Failure> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Failure::Node) }
}
