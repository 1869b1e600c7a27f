//! A session as the engines keep it: its body, its cookie, and the record of both.
//!
//! Nothing here knows of sids, of engines, or of how many sessions there are. In the order in which
//! they build on one another: `json` finds a cookie in a text, `cookie` keeps cookies apart from
//! their sessions, `shape` keeps what sessions have in common apart from their values, `body` is what
//! comes in and goes out, `forms` finds cookies and shapes for a body, `record` is what an engine in
//! memory keeps, `user` finds whose a session is, and `merge` makes one session of what two requests
//! made of it.

mod body;
pub(crate) mod cookie;
pub(crate) mod forms;
pub(crate) mod json;
pub(crate) mod merge;
pub(crate) mod record;
mod shape;
mod user;

pub use self::body::{Body, BodyRef, BodyView, Encoding, FOR_BUILDER};
pub use self::cookie::TemplateHandle;
pub use self::merge::Base;
pub use self::shape::ShapeHandle;
pub use self::user::UserPath;
