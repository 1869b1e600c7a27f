//! What the sessions of a table have in common: the templates of their cookies, and their shapes.

use super::body::{BodyRef, Encoding};
use super::cookie::{CutBody, CutCookie, TemplateId, Templates};
use super::shape::{ShapeId, Shapes};

/// See the module's description.
pub(crate) struct Forms {
    pub(crate) templates: Templates,
    pub(crate) shapes: Shapes,
}

/// What a record uses of the forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(super) template: TemplateId,
    pub(super) shape: Option<ShapeId>,
}

/// A body of which the cookie was cut out, and the rest packed if it has a shape.
pub(super) struct FormedBody<'a> {
    pub(super) head: &'a [u8],
    pub(super) tail: &'a [u8],
    pub(super) cookie: CutCookie,
    pub(super) shape: Option<ShapeId>,
}

impl Forms {
    /// For a table with this limit.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { templates: Templates::default(), shapes: Shapes::new(max_bytes) }
    }

    /// Finds or makes the forms for a body. `session` is a number that other sessions do not have.
    pub(super) fn form<'a>(&mut self, body: BodyRef<'a>, session: u64) -> Option<FormedBody<'a>> {
        if !body.is_json_text() {
            return None;
        }
        let CutBody { head, tail, cookie } = self.templates.cut(body.bytes)?;
        let shape = self.shapes.pack(tail, body.encoding == Encoding::Ascii, session);
        Some(FormedBody { head, tail, cookie, shape })
    }

    /// Notes that a record uses these.
    pub(crate) fn hold(&mut self, used: Option<Used>) {
        let Some(Used { template, shape }) = used else {
            return;
        };
        self.templates.hold(template);
        if let Some(shape) = shape {
            self.shapes.hold(shape);
        }
    }

    /// Notes that a record does not use these any more.
    pub(crate) fn release(&mut self, used: Option<Used>) {
        let Some(Used { template, shape }) = used else {
            return;
        };
        self.templates.release(template);
        if let Some(shape) = shape {
            self.shapes.release(shape);
        }
    }

    /// What the forms take that count towards the store's size.
    pub(crate) fn bytes(&self) -> usize {
        self.templates.bytes() + self.shapes.bytes()
    }

    /// Takes all forms out.
    pub(crate) fn take(&mut self) -> Self {
        Self { templates: self.templates.take(), shapes: self.shapes.take() }
    }

    /// Checks the counts of uses against what the records use.
    #[cfg(test)]
    pub(crate) fn validate(&self, used: &[Used]) {
        self.templates.validate(used.iter().map(|used| used.template));
        self.shapes.validate(used.iter().filter_map(|used| used.shape));
    }
}
