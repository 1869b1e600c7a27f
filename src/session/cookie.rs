//! Cookies, kept apart from the sessions they belong to.
//!
//! All cookies of an application are nearly the same text: `{"originalMaxAge":86400000,
//! "expires":"...","httpOnly":true,"path":"/"}`. So the text is kept once, as a template with a
//! hole for the time, and a record keeps the template's number and that time: 90 bytes less, and
//! a touch writes two numbers.
//!
//! A table has its own templates and counts the records that use each. A cookie without a template
//! stays in its session's text.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::json;
use crate::allocation::allocated;
use crate::time::{ISO_LENGTH, Millis, from_iso, has_iso, iso};

/// The first so many templates are kept even if no record has them any more. They take 64 KB at
/// most, and do not count towards the store's size. Any other is dropped with the last record that
/// has it.
const KEPT: usize = 64;

/// The most templates: what the number in a record can tell apart.
const MAX_TEMPLATES: usize = 1 << 16;

/// A cookie whose text is longer than this stays with its session.
const MAX_LENGTH: usize = 1000;

/// How `JSON.stringify` begins a session of express-session, where the cookie comes first.
pub(super) const BEFORE_COOKIE: &[u8] = br#"{"cookie":"#;

/// The number of a template that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TemplateId([u8; 2]);

impl TemplateId {
    fn slot(self) -> usize {
        usize::from(u16::from_le_bytes(self.0))
    }
}

/// The number by which a caller knows a template, which may be gone by the time it is used.
pub type TemplateHandle = u64;

/// A cookie as a record keeps it: its template, and the time that fills the hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutCookie {
    pub(crate) template: TemplateId,
    /// 0 if the template has no hole.
    pub(crate) time: Millis,
}

/// A body of which the cookie's text was cut out.
pub(crate) struct CutBody<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) tail: &'a [u8],
    pub(crate) cookie: CutCookie,
}

/// A cookie's text, all but the time it expires at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pattern<'a> {
    before: &'a [u8],
    /// What follows the time; `None` if there is no time in it.
    after: Option<&'a [u8]>,
}

#[derive(Default)]
struct Template {
    /// What comes before the time, then what follows it.
    text: Box<[u8]>,
    hole: Option<usize>,
    /// How many records have it.
    uses: usize,
    /// 0 if there is no template.
    handle: TemplateHandle,
}

/// The templates of a table.
#[derive(Default)]
pub(crate) struct Templates {
    slots: Vec<Template>,
    /// Slots behind the first [`KEPT`] that have no template.
    vacant: Vec<TemplateId>,
    /// The templates behind the first [`KEPT`], by the hash of their text.
    others: HashMap<u64, TemplateId>,
    /// What the templates behind the first [`KEPT`] take.
    bytes: usize,
    /// The one behind the first [`KEPT`] that was made last: no record may have it yet.
    newest: Option<TemplateId>,
    /// The slot of the template found last: most often the next cookie has the same one.
    latest: usize,
    /// A cookie that was seen once. It becomes a template when it is seen again; cookies that
    /// differ from session to session never do.
    candidate: Candidate,
    /// How many templates there have been, which numbers them.
    made: u64,
}

#[derive(Default)]
struct Candidate {
    text: Vec<u8>,
    hole: Option<usize>,
}

impl Pattern<'_> {
    fn is(self, text: &[u8], hole: Option<usize>) -> bool {
        self.hole() == hole
            && text.len() == self.before.len() + self.after.map_or(0, <[u8]>::len)
            && text.starts_with(self.before)
            && text.ends_with(self.after.unwrap_or_default())
    }

    fn text(self) -> Vec<u8> {
        [self.before, self.after.unwrap_or_default()].concat()
    }

    fn hole(self) -> Option<usize> {
        self.after.map(|_| self.before.len())
    }
}

impl Template {
    /// What it takes, its entry in `others` included.
    fn cost(&self) -> usize {
        allocated(self.text.len()) + size_of::<Self>() + 2 * size_of::<(u64, TemplateId)>()
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.text.split_at(self.hole.unwrap_or(self.text.len()))
    }

    /// The length of the cookie that begins `text`, and its time, if it matches this template.
    fn matches(&self, text: &[u8]) -> Option<(usize, Millis)> {
        let (before, after) = self.parts();
        let rest = text.strip_prefix(before)?;
        if self.hole.is_none() {
            return Some((before.len(), 0));
        }
        let (time, rest) = rest.split_at_checked(ISO_LENGTH)?;
        if !rest.starts_with(after) {
            return None;
        }
        Some((self.text.len() + ISO_LENGTH, from_iso(time)?))
    }
}

impl Templates {
    /// Cuts the cookie out of `text`, JSON that `JSON.stringify` wrote, if there is a template for
    /// it or one is made now.
    pub(crate) fn cut<'a>(&mut self, text: &'a [u8]) -> Option<CutBody<'a>> {
        let (head, rest) = before_cookie(text)?;
        let (length, cookie) = self.recognise(rest)?;
        Some(CutBody { head, tail: &rest[length..], cookie })
    }

    fn recognise(&mut self, text: &[u8]) -> Option<(usize, CutCookie)> {
        if let Some((length, time)) =
            self.slots.get(self.latest).and_then(|latest| latest.matches(text))
        {
            return Some((length, CutCookie { template: id_of(self.latest), time }));
        }
        let (length, pattern, time) = pattern_of(text)?;
        let template = self
            .find(pattern)
            .or_else(|| self.is_met_again(pattern).then(|| self.add(pattern)).flatten())?;
        self.latest = template.slot();
        Some((length, CutCookie { template, time }))
    }

    /// The handle of the template for `text`, a cookie alone, which is made if need be. `None` if
    /// there cannot be one.
    pub(crate) fn intern(&mut self, text: &[u8]) -> Option<TemplateHandle> {
        let (length, pattern, _) = pattern_of(text)?;
        if length < text.len() {
            return None;
        }
        let template = self.find(pattern).or_else(|| self.add(pattern))?;
        Some(self.slots[template.slot()].handle)
    }

    /// The template that `handle` stands for, if there still is one that takes `time` (or none).
    pub(crate) fn lookup(&self, handle: TemplateHandle, time: Option<Millis>) -> Option<CutCookie> {
        let (id, template) = self.by_handle(handle)?;
        if template.hole.is_some() != time.is_some() || time.is_some_and(|time| !has_iso(time)) {
            return None;
        }
        Some(CutCookie { template: id, time: time.unwrap_or(0) })
    }

    fn by_handle(&self, handle: TemplateHandle) -> Option<(TemplateId, &Template)> {
        let slot = usize::try_from(handle % MAX_TEMPLATES as u64).ok()?;
        let template = self.slots.get(slot).filter(|template| template.handle == handle)?;
        Some((id_of(slot), template))
    }

    /// The definition from which the cookies of a template are built, if it still is there: JSON
    /// text of whether there is a time, and of the cookie with 1970 as its time.
    pub(crate) fn definition(&self, handle: TemplateHandle) -> Option<Vec<u8>> {
        let (id, template) = self.by_handle(handle)?;
        let cookie = CutCookie { template: id, time: 0 };
        let mut text = format!(r#"{{"hasTime":{},"cookie":"#, template.hole.is_some()).into_bytes();
        self.text(cookie).write_to(&mut text);
        text.push(b'}');
        Some(text)
    }

    /// Notes that a record has the template.
    pub(crate) fn hold(&mut self, template: TemplateId) {
        self.slots[template.slot()].uses += 1;
    }

    /// Notes that a record does not have the template any more.
    pub(crate) fn release(&mut self, template: TemplateId) {
        self.slots[template.slot()].uses -= 1;
        self.vacate(template);
    }

    /// What the templates behind the first [`KEPT`] take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The cookie's text.
    pub(crate) fn text(&self, cookie: CutCookie) -> CookieText<'_> {
        let template = &self.slots[cookie.template.slot()];
        let (before, after) = template.parts();
        let time = template.hole.and_then(|_| iso(cookie.time));
        CookieText { before, time, after, handle: template.handle }
    }

    /// Whether `new` is the cookie `stored`, JSON text, with the same or a later time.
    pub(crate) fn is_renewal(&self, stored: &[u8], new: CutCookie) -> bool {
        let template = &self.slots[new.template.slot()];
        let matching = template.matches(stored);
        matching.is_some_and(|(length, time)| length == stored.len() && time <= new.time)
    }

    /// Takes all templates out; those to come get other handles.
    pub(crate) fn take(&mut self) -> Self {
        let made = self.made;
        std::mem::replace(self, Self { made, ..Self::default() })
    }

    fn find(&self, pattern: Pattern<'_>) -> Option<TemplateId> {
        let is_it = |template: &Template| pattern.is(&template.text, template.hole);
        if let Some(slot) = self.slots.iter().take(KEPT).position(is_it) {
            return Some(id_of(slot));
        }
        if self.others.is_empty() {
            return None;
        }
        let found = *self.others.get(&self.hash(&pattern.text()))?;
        is_it(&self.slots[found.slot()]).then_some(found)
    }

    fn hash(&self, text: &[u8]) -> u64 {
        self.others.hasher().hash_one(text)
    }

    fn is_met_again(&mut self, pattern: Pattern<'_>) -> bool {
        let is_it = pattern.is(&self.candidate.text, self.candidate.hole);
        if !is_it {
            self.candidate = Candidate { text: pattern.text(), hole: pattern.hole() };
        }
        is_it
    }

    fn add(&mut self, pattern: Pattern<'_>) -> Option<TemplateId> {
        if let Some(newest) = self.newest.take() {
            self.vacate(newest);
        }
        let slot = self.free_slot()?;
        self.made += 1;
        let template = Template {
            text: pattern.text().into_boxed_slice(),
            hole: pattern.hole(),
            uses: 0,
            handle: self.made * MAX_TEMPLATES as u64 + slot as u64,
        };
        let id = id_of(slot);
        if slot >= KEPT {
            let hash = self.hash(&template.text);
            self.others.insert(hash, id);
            self.bytes += template.cost();
            self.newest = Some(id);
        }
        if slot == self.slots.len() {
            self.slots.push(template);
        } else {
            self.slots[slot] = template;
        }
        Some(id)
    }

    fn free_slot(&mut self) -> Option<usize> {
        let next = self.slots.len();
        if next < KEPT {
            return Some(next);
        }
        let is_unused = |template: &Template| template.uses == 0;
        let unused = self.slots.iter().take(KEPT).position(is_unused);
        let vacant = || self.vacant.pop().map(TemplateId::slot);
        unused.or_else(vacant).or((next < MAX_TEMPLATES).then_some(next))
    }

    /// Drops a template that no record has, but for the first [`KEPT`].
    fn vacate(&mut self, id: TemplateId) {
        let slot = id.slot();
        if slot < KEPT || self.slots[slot].uses > 0 {
            return;
        }
        let template = std::mem::take(&mut self.slots[slot]);
        self.bytes -= template.cost();
        let hash = self.hash(&template.text);
        if self.others.get(&hash) == Some(&id) {
            self.others.remove(&hash);
        }
        self.vacant.push(id);
        if self.newest == Some(id) {
            self.newest = None;
        }
        if self.latest == slot {
            self.latest = 0;
        }
    }

    /// Checks the counts of uses against `held`, the templates that the records have.
    #[cfg(test)]
    pub(crate) fn validate(&self, held: impl Iterator<Item = TemplateId>) {
        let mut uses = vec![0; self.slots.len()];
        for template in held {
            uses[template.slot()] += 1;
        }
        let counted: Vec<usize> = self.slots.iter().map(|template| template.uses).collect();
        assert_eq!(counted, uses);
        let others = self.slots.iter().skip(KEPT).filter(|template| template.handle != 0);
        assert_eq!(others.map(Template::cost).sum::<usize>(), self.bytes);
    }
}

/// Whether the cookie `new`, JSON text, is `stored` with the same or a later time to expire at.
pub(crate) fn is_renewal(stored: &[u8], new: &[u8]) -> bool {
    if stored == new {
        return true;
    }
    let (Some((length, old, since)), Some((new_length, new_pattern, until))) =
        (pattern_of(stored), pattern_of(new))
    else {
        return false;
    };
    let are_whole = length == stored.len() && new_length == new.len();
    are_whole && old.after.is_some() && old == new_pattern && until >= since
}

/// Splits a session of express-session, as `JSON.stringify` writes it, before its cookie.
fn before_cookie(text: &[u8]) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(BEFORE_COOKIE.len()).filter(|(head, _)| *head == BEFORE_COOKIE)
}

/// What is before the cookie of such a session, the cookie, and what is after it. `None` if the
/// cookie is no flat object, or longer than `longest`.
pub(crate) fn cut_text(text: &[u8], longest: usize) -> Option<[&[u8]; 3]> {
    let (head, rest) = before_cookie(text)?;
    let flat = json::flat_object(rest, b"expires").filter(|flat| flat.length <= longest)?;
    let (cookie, tail) = rest.split_at(flat.length);
    Some([head, cookie, tail])
}

fn id_of(slot: usize) -> TemplateId {
    #[expect(clippy::cast_possible_truncation, reason = "slots are fewer than MAX_TEMPLATES")]
    TemplateId((slot as u16).to_le_bytes())
}

/// The pattern and the time of the cookie that begins `text`, and its length. `None` unless it is a
/// flat object, short and in ASCII.
fn pattern_of(text: &[u8]) -> Option<(usize, Pattern<'_>, Millis)> {
    let flat = json::flat_object(text, b"expires")?;
    let cookie = &text[..flat.length];
    if cookie.len() > MAX_LENGTH || !cookie.is_ascii() {
        return None;
    }
    let time = flat.string.and_then(|place| Some((place.clone(), from_iso(&cookie[place])?)));
    Some(match time {
        None => (cookie.len(), Pattern { before: cookie, after: None }, 0),
        Some((place, time)) => {
            let (before, after) = (&cookie[..place.start], &cookie[place.end..]);
            (cookie.len(), Pattern { before, after: Some(after) }, time)
        }
    })
}

/// A cookie's text, in pieces.
#[derive(Clone, Copy)]
pub(crate) struct CookieText<'a> {
    before: &'a [u8],
    time: Option<[u8; ISO_LENGTH]>,
    after: &'a [u8],
    /// 0 if it has no template.
    handle: TemplateHandle,
}

impl<'a> CookieText<'a> {
    /// A text in one piece.
    pub(crate) fn whole(text: &'a [u8]) -> Self {
        Self { before: text, time: None, after: &[], handle: 0 }
    }

    pub(crate) fn write_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.before);
        self.write_time_to(text);
        text.extend_from_slice(self.after);
    }

    pub(crate) fn write_time_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.time.as_ref().map_or(&[], |time| &time[..]));
    }

    /// The handle of its template.
    pub(crate) fn handle(&self) -> TemplateHandle {
        self.handle
    }

    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.after.len() + self.time.map_or(0, |_| ISO_LENGTH)
    }
}

#[cfg(test)]
mod tests;
