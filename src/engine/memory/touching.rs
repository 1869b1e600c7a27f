//! Touches: give a record another cookie and expiry, in place.

use super::blocks::size_of_block;
use super::nodes::NodeId;
use super::notes::{note_of, set_note};
use super::table::{Table, Written};
use crate::engine::rules::Touch;
use crate::engine::types::{NewCookie, Removed, Touched};
use crate::engine::users::Note;
use crate::session::BodyRef;
use crate::session::cookie::CutCookie;
use crate::sid::Sid;
use crate::time::Millis;

impl Table {
    /// Renews the record of `sid` with a new cookie, if that can be done in place.
    pub(super) fn touch(
        &mut self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Touched {
        let now = touch.now;
        let cut = match cookie {
            NewCookie::Text(_) => None,
            NewCookie::Cut { template, time } => {
                match self.forms.templates.lookup(template, time) {
                    None => return Touched::NeedsText,
                    found => found,
                }
            }
        };
        self.note_time(now);
        let last_use = self.next_use();
        let Some(id) = self.find_to_use(sid, last_use) else {
            return Touched::Missing;
        };
        let note = self.options.has_notes().then(|| note_of(&self.nodes, id));
        let mut record = self.nodes.record_mut(id);
        let touch = note.map_or(touch, |note| touch.within(note, lifetime));
        let expires = touch.expires;
        if let Some(answer) = touch.answer(&self.options, record.head.expires()) {
            if answer == Touched::Missing {
                self.expire(id, removed);
            }
            return answer;
        }
        let is_renewed = match (cookie, cut) {
            (_, Some(cookie)) => record.is_renewed_by(cookie, &self.forms),
            (NewCookie::Text(text), _) => record.is_renewed_by_text(text.bytes, &self.forms),
            (_, None) => false,
        };
        if !touch.may_replace(is_renewed) {
            return Touched::NeedsRewrite;
        }
        let old = record.head.used();
        let is_done = match (cookie, cut) {
            (NewCookie::Text(text), _) => self.set_cookie_text(id, text, expires),
            (_, Some(cookie)) => self.set_cut_cookie(id, cookie, expires),
            (_, None) => false,
        };
        if !is_done {
            return Touched::NeedsRewrite;
        }
        let head = self.nodes.head_mut(id);
        self.forms.hold(head.used());
        self.forms.release(old);
        if !is_renewed {
            head.set_version(last_use);
        }
        let written = Written::of(head, now);
        if let Some(note) = note {
            set_note(&mut self.nodes, id, Note { used: now, ..note });
        }
        self.counters.touches += 1;
        self.remove_or_schedule(id, written, removed);
        self.trim(removed);
        Touched::Renewed
    }

    /// Gives a record the cookie `cookie`, as text. Returns false, having changed nothing, if there is
    /// no cookie to replace or the session would be too large.
    fn set_cookie_text(&mut self, id: NodeId, cookie: BodyRef<'_>, expires: Millis) -> bool {
        let rest = self.cost(id) - self.nodes.room(id) + self.tombstones.bytes();
        let max_bytes = self.options.max_bytes;
        let fits = |length| rest.saturating_add(size_of_block(length)) <= max_bytes;
        let Some(spliced) = self.nodes.record_mut(id).spliced(cookie, &self.forms, fits) else {
            return false;
        };
        self.make_room(id, spliced.len());
        self.nodes.record_mut(id).set_spliced(&spliced, expires);
        true
    }

    /// As [`Self::set_cookie_text`], for a cookie of which only template and time are kept.
    fn set_cut_cookie(&mut self, id: NodeId, cookie: CutCookie, expires: Millis) -> bool {
        let mut record = self.nodes.record_mut(id);
        let before = record.head.len();
        if !record.set_cut_cookie(cookie, expires) {
            return false;
        }
        let length = record.head.len();
        // Where the cookie was is room that the session will hardly need again.
        if length < before && size_of_block(length) < self.nodes.room(id) {
            self.set_room(id, length, length);
        }
        true
    }
}
