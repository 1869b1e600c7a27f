//! N-API made safe for the operations: functions bound to their store, the arguments of a
//! call, and the values given back.
//!
//! A `#[napi]` class method costs about ten times as much as what is done here (see
//! docs/design.md), which is why the hot path is written against N-API itself.
//!
//! Rules that hold for all of it:
//! - A [`Call`] lives while its JavaScript function runs. The environment and the values in it
//!   are valid for just that long, on just that thread, and its lifetime keeps them inside.
//! - Every status is looked at. A failed call leaves an exception pending or becomes a
//!   [`Failure`], which the native side of the function throws.
//!
//! This file only lists what there is. `failure` and `text` have no unsafe code.

mod call;
mod failure;
mod function;
mod text;
mod throw;
mod value;

pub(super) use self::call::Call;
pub(super) use self::failure::Failure;
pub(super) use self::function::bind;
pub(super) use self::text::Text;
pub(super) use self::value::Value;
