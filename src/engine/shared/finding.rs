//! What is found of sessions: read where that suffices, and removed where what is found has expired
//! or is damaged.

use super::error::Result;
use super::eviction::STEP_FOR_PAGES;
use super::handle::SharedEngine;
use super::head::Head;
use super::layout::{self, State};
use super::schema::{Session, view};
use super::writing::Writing;
use crate::engine::rules::Touch;
use crate::engine::types::{NewCookie, Removed, Touched};
use crate::engine::users::Note;
use crate::session::{Body, BodyView};
use crate::sid::Sid;
use crate::time::{Millis, has_expired};

/// What a reader found.
enum Found {
    Missing,
    Alive,
    /// Expired or damaged, so to be removed.
    Unusable,
}

impl SharedEngine {
    pub(super) fn find(
        &self,
        sid: &Sid,
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        let Some(key) = layout::key_of(sid) else {
            return Ok(false);
        };
        let found = self.reading(|snapshot| {
            let (head, body) = match snapshot.sessions.get(snapshot.transaction, key)? {
                Session::Missing => return Ok(Found::Missing),
                Session::Damaged => return Ok(Found::Unusable),
                Session::Found(head, body) => (head, body),
            };
            if has_expired(head.due.expires, now) {
                return Ok(Found::Unusable);
            }
            let Some(view) = view(key, &head, &body, snapshot.state.version) else {
                return Ok(Found::Unusable);
            };
            read(view);
            Ok(Found::Alive)
        })?;
        match found {
            Found::Missing => Ok(false),
            Found::Alive => Ok(true),
            Found::Unusable => self.remove_unusable(key, now, removed, read),
        }
    }

    /// Removes a session that has expired or is damaged. Reads it first if the store is `stale`, or
    /// if another process has written it anew.
    fn remove_unusable(
        &self,
        key: &[u8],
        now: Millis,
        removed: &mut Vec<Removed>,
        read: &mut dyn FnMut(BodyView<'_>),
    ) -> Result<bool> {
        self.writing(key, 0, removed, |writing| {
            let Some(stored) = writing.find(key)? else {
                writing.discard(key)?;
                return Ok(false);
            };
            let session = writing.sessions.get(&writing.transaction, key)?;
            let view = match &session {
                Session::Found(head, body) => view(key, head, body, writing.state.version),
                Session::Missing | Session::Damaged => None,
            };
            let Some(view) = view else {
                writing.discard(key)?;
                return Ok(false);
            };
            let is_expired = stored.is_expired(now);
            let is_read = !is_expired || self.options.stale;
            if is_read {
                read(view);
            }
            if is_expired {
                writing.expire(key, &stored)?;
            }
            Ok(is_read)
        })
    }

    pub(super) fn touch_session(
        &self,
        sid: &Sid,
        cookie: NewCookie<'_>,
        touch: Touch,
        lifetime: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Touched> {
        let NewCookie::Text(cookie) = cookie else {
            return Ok(Touched::NeedsText);
        };
        self.backlog.lock().note_time(touch.now);
        let Some(key) = layout::key_of(sid) else {
            return Ok(Touched::Missing);
        };
        if self.options.touch_after > 0 && self.is_too_soon(key, touch, lifetime)? {
            return Ok(Touched::Renewed);
        }
        let touches = |writing: &mut Writing<'_>| writing.touch(key, cookie, touch, lifetime);
        self.writing(key, cookie.bytes.len(), removed, touches)
    }

    /// The length of the stored body: one merged with it may need as much more room.
    pub(super) fn stored_length(&self, key: &[u8]) -> Result<usize> {
        self.reading(|snapshot| {
            let head = snapshot.sessions.heads.get(snapshot.transaction, key)?;
            let head = head.and_then(|head| Head::read(key, head));
            Ok(head.map_or(0, |head| head.cookie.len() + head.body as usize))
        })
    }

    /// Whether to skip a touch, decided without waiting for writers.
    fn is_too_soon(&self, key: &[u8], touch: Touch, lifetime: Millis) -> Result<bool> {
        let alive = self.alive(key, touch.now)?;
        Ok(alive.is_some_and(|(stored, note)| {
            let touch = note.map_or(touch, |note| touch.within(note, lifetime));
            self.options.is_too_soon(stored, touch.expires)
        }))
    }

    /// When a session expires, and its note; `None` if there is none, or if it has expired.
    pub(super) fn alive(&self, key: &[u8], now: Millis) -> Result<Option<(Millis, Option<Note>)>> {
        self.reading(|snapshot| {
            let head = snapshot.sessions.heads.get(snapshot.transaction, key)?;
            let head = head.and_then(|head| Head::read(key, head));
            let head = head.filter(|head| !has_expired(head.due.expires, now));
            Ok(head.map(|head| (head.due.expires, head.note)))
        })
    }

    /// How many sessions there are, how many of them belong to somebody, and the state.
    pub(super) fn sums(&self) -> Result<([usize; 2], State)> {
        self.reading(|snapshot| Ok(([snapshot.len()?, snapshot.owned()?], snapshot.state)))
    }

    /// As [`Engine::all`](crate::engine::Engine::all).
    pub(super) fn list_all(
        &self,
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<Vec<(Sid, Body)>> {
        let (listed, over) = self.reading(|snapshot| {
            let (mut listed, mut over) = (Vec::new(), Vec::new());
            for key in snapshot.sessions.latest_first(snapshot.transaction)? {
                let session = snapshot.sessions.get(snapshot.transaction, key)?;
                let found = match &session {
                    Session::Found(head, body) => {
                        view(key, head, body, 0).map(|view| (view, head.due.expires))
                    }
                    Session::Missing | Session::Damaged => None,
                };
                if found.is_none_or(|(_, expires)| has_expired(expires, now)) {
                    over.push(key.to_vec());
                }
                let is_listed = |expires| !has_expired(expires, now) || self.options.stale;
                if let Some((view, _)) = found.filter(|(_, expires)| is_listed(*expires)) {
                    listed.push((Sid::new(key, &self.hasher), view.to_body()));
                }
            }
            Ok((listed, over))
        })?;
        self.remove_all_unusable(&over, now, removed)?;
        Ok(listed)
    }

    /// Removes those of the sessions that have expired or are damaged.
    fn remove_all_unusable(
        &self,
        keys: &[Vec<u8>],
        now: Millis,
        removed: &mut Vec<Removed>,
    ) -> Result<()> {
        // They may be anywhere in the file, each on other pages.
        for keys in keys.chunks(STEP_FOR_PAGES) {
            self.writing(&[], 0, removed, |writing| {
                for key in keys {
                    match writing.find(key)? {
                        Some(stored) if stored.is_expired(now) => writing.expire(key, &stored)?,
                        Some(_) if writing.is_whole(key)? => {}
                        _ => writing.discard(key)?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
