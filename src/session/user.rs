//! Whose a session is, by its JSON text: follows a path of names.
//!
//! The text is one that `JSON.stringify` wrote; see [`json`].

use std::borrow::Cow;

use super::json;

/// Names that lead to the id of a user, from the session downwards.
#[derive(Clone, Debug)]
pub struct UserPath {
    /// As JSON writes them, without the quotes.
    names: Vec<Box<[u8]>>,
}

impl UserPath {
    /// The path whose names have dots between them.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { names: path.split('.').map(escaped).collect() }
    }

    /// The user as text, if it is a string that is not empty or a number.
    #[must_use]
    pub fn user_of<'s>(&self, session: &'s [u8]) -> Option<Cow<'s, [u8]>> {
        let mut value = session;
        for name in &self.names {
            value = &value[json::member(value, name)?];
        }
        match value.first()? {
            b'"' if value.len() > 2 => unescaped(value),
            b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value)),
            _ => None,
        }
    }
}

/// A name as `JSON.stringify` writes it, without the quotes.
fn escaped(name: &str) -> Box<[u8]> {
    let quoted = serde_json::Value::from(name).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].into()
}

/// The string that a JSON string stands for. `None` if that is not well-formed.
fn unescaped(quoted: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inside = &quoted[1..quoted.len() - 1];
    if !inside.contains(&b'\\') {
        return Some(Cow::Borrowed(inside));
    }
    let text: String = serde_json::from_slice(quoted).ok()?;
    Some(Cow::Owned(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(path: &str, session: &str) -> Option<String> {
        let user = UserPath::new(path).user_of(session.as_bytes());
        user.map(|user| String::from_utf8(user.into_owned()).unwrap())
    }

    #[test]
    fn a_string_or_a_number_at_the_end_of_the_path_is_the_user() {
        for (path, session, expected) in [
            ("user", r#"{"cookie":{"user":1},"user":"ann"}"#, Some("ann")),
            ("passport.user", r#"{"cookie":{},"passport":{"a":[{}],"user":"5"}}"#, Some("5")),
            ("a.b.c", r#"{"a":{"b":{"x":{"c":1},"c":-1.5e+30}}}"#, Some("-1.5e+30")),
            ("user", r#"{"user":"a\"b\\\u0007"}"#, Some("a\"b\\\u{7}")),
            ("us\u{e9}r", "{\"us\u{e9}r\":\"\u{1F600}\"}", Some("\u{1F600}")),
            ("a\"b", r#"{"a\"b":7}"#, Some("7")),
        ] {
            assert_eq!(user(path, session).as_deref(), expected, "{path} in {session}");
        }
    }

    #[test]
    fn anything_else_is_nobody() {
        for (path, session) in [
            ("user", "{}"),
            ("user", r#"{"user":""}"#),
            ("user", r#"{"user":null}"#),
            ("user", r#"{"user":true}"#),
            ("user", r#"{"user":{"id":1}}"#),
            ("user", r#"{"user":[1]}"#),
            ("user", r#"{"user":"\ud800"}"#),
            ("user", r#"{"user"#),
            ("user", r#""user""#),
            ("user", "[1]"),
            ("user", ""),
            ("a.user", r#"{"a":"user","user":1}"#),
            ("a.user", r#"{"a":[{"user":1}]}"#),
            ("passport.user", r#"{"user":1,"cookie":{"passport":{"user":1}}}"#),
        ] {
            assert_eq!(user(path, session), None, "{path} in {session}");
        }
    }
}
