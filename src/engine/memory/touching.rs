//! Touches: give a record another cookie and expiry, in place.

use super::notes::{note_of, set_note};
use super::shards::shard_of;
use super::table::{Table, Written, cost};
use crate::engine::rules::Touch;
use crate::engine::types::{NewCookie, Removed, Touched};
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
        let found =
            shard_of(&mut self.shards, sid).and_then(|shard| shard.use_record(sid, last_use));
        let Some(record) = found else {
            return Touched::Missing;
        };
        let note = (self.note > 0).then(|| note_of(record));
        let touch = note.map_or(touch, |note| touch.within(note, lifetime));
        let expires = touch.expires;
        if let Some(answer) = touch.answer(&self.options, record.expires()) {
            if answer == Touched::Missing {
                self.expire(sid, removed);
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
        let before = record.allocated();
        let old = record.used();
        let is_done = match (cookie, cut) {
            (NewCookie::Text(text), _) => {
                let taken = cost(sid, 0).saturating_add(self.tombstones.bytes());
                let room = self.options.max_bytes.saturating_sub(taken);
                record.set_cookie_text(text, &self.forms, expires, (room, self.note))
            }
            (_, Some(cookie)) => record.set_cut_cookie(cookie, expires, self.note),
            (_, None) => false,
        };
        // Even if it is not done, a packed session may be text now.
        self.forms.hold(record.used());
        self.forms.release(old);
        self.bytes = self.bytes - before + record.allocated();
        if !is_done {
            return Touched::NeedsRewrite;
        }
        if !is_renewed {
            record.set_version(last_use);
        }
        if let Some(note) = note {
            set_note(record, note.used_at(now));
        }
        let written = Written::of(record, now);
        self.counters.touches += 1;
        self.remove_or_schedule(sid, written, removed);
        self.trim(removed);
        Touched::Renewed
    }
}
