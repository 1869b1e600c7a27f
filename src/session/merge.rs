//! Merges what two requests made of one session, as JSON text: a three-way merge by key, at every
//! depth of objects.
//!
//! `base` is what a request read, `theirs` what is stored because another request wrote it since,
//! and `mine` what the first request wants to write. See [`merge`] for the rules; `lib/merge.js`
//! has the same ones, for serializers other than JSON.
//!
//! [`resolve`] and [`resolve_cookie`] apply the merge to what an engine has stored.
//!
//! What is not merged keeps its text byte for byte. Keys are compared by their text, because
//! `JSON.stringify` writes each in one way only; if a key occurs twice the last counts, as for
//! `JSON.parse`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use serde_json::Value;
use serde_json::value::RawValue;

use super::body::{Body, BodyRef, BodyView, Encoding};
use crate::time::{Millis, from_iso};

/// Objects nested deeper than this are not merged but compared as one value.
const MAX_DEPTH: usize = 64;

/// The key of a session's cookie, and those of its lifetime, as JSON has them.
const COOKIE: &str = r#""cookie""#;
const EXPIRES: &str = r#""expires""#;
const MAX_AGES: [&str; 2] = [r#""originalMaxAge""#, r#""maxAge""#];
const LIFETIME: [&str; 3] = [MAX_AGES[0], MAX_AGES[1], EXPIRES];

/// More milliseconds than a renewal of a cookie takes.
const MOST_LOST: f64 = 1000.0;

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) text: String,
    pub(crate) lifetime: Lifetime,
}

/// Whose lifetime a merged session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// That of the request that writes: it set a new lifetime, or nobody has renewed the session
    /// for longer.
    Mine,
    /// The stored one: another request set a new lifetime.
    Theirs,
    /// The longer one: another request has renewed the session for longer.
    Longer,
}

/// Merges two sessions. A key that only one side changed, added or deleted is as that side left it.
/// If both did, objects are merged in turn; an object that one side removed, or set to `null` or
/// `{}`, stays so if the other only changed what is inside; otherwise `mine` wins. A cookie has the
/// lifetime that one side set, or else the later one.
///
/// `None` if one of the three is no object.
pub(crate) fn merge(base: &str, theirs: &str, mine: &str) -> Option<Merged> {
    let three = [Object::read(base)?, Object::read(theirs)?, Object::read(mine)?];
    let cookies = three.each_ref().map(|session| session.get(COOKIE).and_then(Object::read));
    let mut members = merge_objects(&three, 0);
    let mut lifetime = Lifetime::Mine;
    if let [Some(base), Some(theirs), Some(mine)] = cookies {
        let cookie = merge_cookies(&[base, theirs, mine]);
        lifetime = cookie.lifetime;
        set(&mut members, COOKIE, Some(Cow::Owned(cookie.text)));
    }
    Some(Merged { text: written(&members), lifetime })
}

/// What a request that writes a session knows of what it read.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The session as the request read it, JSON in UTF-8.
    pub text: &'a [u8],
    /// Whether all requests give the session one lifetime, so that the writer's counts.
    pub has_fixed_lifetime: bool,
}

/// A stored session that is alive, with its expiry.
pub(crate) struct Stored {
    pub(crate) body: Body,
    pub(crate) expires: Millis,
}

impl Stored {
    pub(crate) fn new(view: BodyView<'_>) -> Self {
        Self { body: view.to_body(), expires: view.expires() }
    }
}

/// A session or a cookie to write.
pub(crate) struct Resolved<'a> {
    text: Cow<'a, [u8]>,
    pub(crate) expires: Millis,
    /// Whether another request's changes were merged into it.
    pub(crate) is_merged: bool,
}

impl Resolved<'_> {
    pub(crate) fn body(&self) -> BodyRef<'_> {
        let encoding = if self.text.is_ascii() { Encoding::Ascii } else { Encoding::Utf8 };
        BodyRef { bytes: &self.text, encoding, is_json: true }
    }
}

/// What to write for `mine`, which is to live until `expires`, if `theirs` is stored. It is `mine` unchanged if nobody else has changed the session, or if the two cannot
/// be merged.
pub(crate) fn resolve<'a>(
    base: &Base<'_>,
    theirs: Option<&Stored>,
    mine: &'a [u8],
    expires: Millis,
) -> Resolved<'a> {
    let given = Resolved { text: Cow::Borrowed(mine), expires, is_merged: false };
    // If the texts are equal, nobody else changed the session: only its lifetime was in question.
    let Some(theirs) = theirs.filter(|theirs| theirs.body.bytes() != base.text) else {
        return given;
    };
    let texts =
        [base.text, theirs.body.bytes(), mine].map(|text| str::from_utf8(text).unwrap_or_default());
    let Some(merged) = merge(texts[0], texts[1], texts[2]) else {
        return given;
    };
    Resolved {
        text: Cow::Owned(merged.text.into_bytes()),
        expires: expiry_of(base, merged.lifetime, expires, theirs.expires),
        is_merged: true,
    }
}

/// The cookie and the expiry to give to the session `theirs` if a request touches it with the cookie
/// `mine`, so that it lives until `expires`. `None` if one of the three cookies is no object.
pub(crate) fn resolve_cookie(
    base: &Base<'_>,
    theirs: &Stored,
    mine: &[u8],
    expires: Millis,
) -> Option<Resolved<'static>> {
    let cookie_in = |text| {
        let session = str::from_utf8(text).ok().and_then(Object::read)?;
        session.get(COOKIE).and_then(Object::read)
    };
    let mine = str::from_utf8(mine).ok().and_then(Object::read)?;
    let cookie = merge_cookies(&[cookie_in(base.text)?, cookie_in(theirs.body.bytes())?, mine]);
    Some(Resolved {
        text: Cow::Owned(cookie.text.into_bytes()),
        expires: expiry_of(base, cookie.lifetime, expires, theirs.expires),
        is_merged: true,
    })
}

fn expiry_of(base: &Base<'_>, lifetime: Lifetime, mine: Millis, theirs: Millis) -> Millis {
    match lifetime {
        _ if base.has_fixed_lifetime => mine,
        Lifetime::Mine => mine,
        Lifetime::Theirs => theirs,
        Lifetime::Longer => mine.max(theirs),
    }
}

/// The members of an object by their keys, with the quotes, and the keys in their order.
#[derive(Default)]
struct Object<'a> {
    keys: Vec<&'a str>,
    values: BTreeMap<&'a str, &'a str>,
}

type Members<'a> = Vec<(&'a str, Cow<'a, str>)>;

impl<'a> Object<'a> {
    /// `None` if the text is no object.
    fn read(text: &'a str) -> Option<Self> {
        // Most values are no objects, and an error takes long to make.
        if !text.starts_with('{') {
            return None;
        }
        let mut source = serde_json::Deserializer::from_str(text);
        let object = serde::Deserializer::deserialize_map(&mut source, ObjectVisitor).ok()?;
        source.end().ok()?;
        Some(object)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    /// Whether it has members.
    fn is_used(&self) -> bool {
        !self.keys.is_empty()
    }
}

struct ObjectVisitor;

impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            if object.values.insert(key.get(), value.get()).is_none() {
                object.keys.push(key.get());
            }
        }
        Ok(object)
    }
}

fn merge_objects<'a>([base, theirs, mine]: &[Object<'a>; 3], depth: usize) -> Members<'a> {
    let added = theirs.keys.iter().filter(|key| !mine.values.contains_key(*key));
    mine.keys
        .iter()
        .chain(added)
        .filter_map(|&key| {
            let values = [base.get(key), theirs.get(key), mine.get(key)];
            Some((key, merge_values(values, depth)?))
        })
        .collect()
}

fn merge_values(values: [Option<&str>; 3], depth: usize) -> Option<Cow<'_, str>> {
    let [base, theirs, mine] = values;
    let [their_value, my_value] = [theirs, mine].map(|value| value.map(Cow::Borrowed));
    if mine == base {
        return their_value;
    }
    if theirs == base {
        return my_value;
    }
    let [was, their, my] = values.map(|value| value.and_then(Object::read));
    let are_objects = [&was, &their, &my].iter().all(|it| it.as_ref().is_some_and(Object::is_used));
    if !are_objects {
        // For three objects, merging their members does the same.
        if is_same(mine, base) {
            return their_value;
        }
        if is_same(theirs, base) {
            return my_value;
        }
        if was.is_some() && is_nothing(mine, my.as_ref()) && their.is_some() {
            return my_value;
        }
        if was.is_some() && is_nothing(theirs, their.as_ref()) && my.is_some() {
            return their_value;
        }
    }
    let (Some(their), Some(my)) = (their, my) else {
        return my_value;
    };
    // Both may have made the object, as the first two requests that put something into a cart do.
    let was = was.or_else(|| is_nothing(base, None).then(Object::default));
    match was {
        Some(was) if depth < MAX_DEPTH => {
            let members = merge_objects(&[was, their, my], depth + 1);
            Some(Cow::Owned(written(&members)))
        }
        _ => my_value,
    }
}

/// Whether two values are equal. Objects may have their keys in another order.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let are_nested = [one, other].iter().all(|value| value.starts_with(['{', '[']));
    are_nested
        && serde_json::from_str::<Value>(one)
            .is_ok_and(|one| serde_json::from_str(other).is_ok_and(|other: Value| one == other))
}

/// Whether it stands for no value: some apps clear a key like this instead of deleting it.
fn is_nothing(value: Option<&str>, object: Option<&Object<'_>>) -> bool {
    value.is_none_or(|value| value == "null") || object.is_some_and(|object| !object.is_used())
}

fn merge_cookies(cookies: &[Object<'_>; 3]) -> Merged {
    let [base, theirs, mine] = cookies;
    let lifetime = lifetime_of(base, theirs, mine);
    let from = if lifetime == Lifetime::Mine { mine } else { theirs };
    let mut members = merge_objects(cookies, 0);
    for key in LIFETIME {
        set(&mut members, key, from.get(key).map(Cow::Borrowed));
    }
    Merged { text: written(&members), lifetime }
}

fn lifetime_of(base: &Object<'_>, theirs: &Object<'_>, mine: &Object<'_>) -> Lifetime {
    if has_new_lifetime(base, mine) {
        return Lifetime::Mine;
    }
    if has_new_lifetime(base, theirs) {
        return Lifetime::Theirs;
    }
    let [base, theirs, mine] = [base, theirs, mine].map(time_of);
    if theirs != base && theirs > mine { Lifetime::Longer } else { Lifetime::Mine }
}

/// Whether a cookie was given another lifetime, rather than renewed for the one that it had.
fn has_new_lifetime(base: &Object<'_>, cookie: &Object<'_>) -> bool {
    let is_other = |key: &&str| !is_same_age(base.get(key), cookie.get(key));
    MAX_AGES.iter().any(is_other) || time_of(base).is_none() != time_of(cookie).is_none()
}

/// Whether both are the same number of milliseconds, give or take a renewal: when express-session
/// renews a cookie it reads the clock twice, and the time in between is lost.
fn is_same_age(was: Option<&str>, is: Option<&str>) -> bool {
    let number = |age: Option<&str>| age.and_then(|age| age.parse::<f64>().ok());
    match (number(was), number(is)) {
        (Some(was), Some(is)) => (0.0..MOST_LOST).contains(&(was - is)),
        _ => is_same(was, is),
    }
}

/// When a cookie expires; `None` if it does not say.
fn time_of(cookie: &Object<'_>) -> Option<i64> {
    let text = cookie.get(EXPIRES)?.strip_prefix('"')?.strip_suffix('"')?;
    from_iso(text.as_bytes())
}

/// Sets a member where it is, or adds or removes it.
fn set<'a>(members: &mut Members<'a>, key: &'static str, value: Option<Cow<'a, str>>) {
    let place = members.iter().position(|(known, _)| *known == key);
    match (place, value) {
        (Some(place), Some(value)) => members[place].1 = value,
        (None, Some(value)) => members.push((key, value)),
        (Some(place), None) => drop(members.remove(place)),
        (None, None) => {}
    }
}

fn written(members: &Members<'_>) -> String {
    let length = members.iter().map(|(key, value)| key.len() + value.len() + 2).sum::<usize>();
    let mut text = String::with_capacity(length + 2);
    text.push('{');
    for (key, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(key);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
