//! What every engine is held against.

pub(super) mod conflicts;
