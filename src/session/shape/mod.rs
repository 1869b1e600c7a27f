//! Sessions as the shape that they share with others, and the values that are their own.
//!
//! The sessions of an application are one text with other values in it:
//! `{"cookie":...,"user":{"id":12,"name":"Ada"},"views":3}`. So that text is kept once, as a shape
//! with a hole for each value, and a record keeps the shape's number and the values. What is read is
//! byte for byte what was written.
//!
//! `hole` packs values, `packed` has a shape and what is read by it, and `shapes` learns shapes and
//! forgets them. What a session has besides its
//! cookie is what has a shape; for cookies see [`cookie`](super::cookie).

mod hole;
mod packed;
mod shapes;

#[cfg(test)]
mod tests;

pub(super) use self::packed::Packed;
pub use self::packed::ShapeHandle;
pub(super) use self::shapes::{ShapeId, Shapes};
