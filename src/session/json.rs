//! Finds the `cookie` member in the text of a stored session, where replacing it in place
//! gives the very bytes that parse, assign and stringify would give.
//!
//! That holds if the rest of the text is what `JSON.stringify` writes for the value that
//! `JSON.parse` makes of it. Text from `JSON.stringify` nearly always is, but it need not be:
//! `JSON.rawJSON` writes numbers and strings in any spelling, a Proxy lists its keys in any
//! order. So the text is checked against the spelling that `SerializeJSONProperty` of
//! ECMA-262 defines, and whatever is not plainly in it counts as unknown.

use std::ops::Range;

use memchr::memchr2;

/// Objects and arrays nested deeper than this are not followed.
const MAX_DEPTH: usize = 64;

/// Where the value of the top-level member `cookie` stands in `text`.
///
/// `None` where `text` is no object, has no such member, or is not known to survive parsing
/// and stringifying byte for byte.
pub(crate) fn cookie_value(text: &[u8]) -> Option<Range<usize>> {
    let mut scanner = Scanner { text, at: 0, cut: None, cookie: None };
    scanner.session()?;
    scanner.cookie
}

/// Whether [`cookie_value`] would find the cookie of `text`, had its value not been cut out
/// at `cut`.
pub(crate) fn is_cut_from_canonical(text: &[u8], cut: usize) -> bool {
    let mut scanner = Scanner { text, at: 0, cut: Some(cut), cookie: None };
    scanner.session().is_some() && scanner.cookie == Some(cut..cut)
}

/// An object whose members are neither objects nor arrays.
pub(crate) struct FlatObject {
    /// How long its text is.
    pub(crate) length: usize,
    /// Where the string is, without its quotes, that the member asked for has as its value.
    pub(crate) string: Option<Range<usize>>,
}

/// The flat object that begins `text`; `None` where there is none, or one that `JSON.stringify`
/// would have written otherwise.
pub(crate) fn flat_object(text: &[u8], member: &[u8]) -> Option<FlatObject> {
    let mut scanner = Scanner { text, at: 0, cut: None, cookie: None };
    let mut found: Option<Range<usize>> = None;
    scanner.members(|scanner, key| {
        let from = scanner.at;
        scanner.scalar()?;
        if &text[key] == member && found.replace(from..scanner.at).is_some() {
            return None;
        }
        Some(())
    })?;
    let string =
        found.filter(|value| text[value.start] == b'"').map(|value| value.start + 1..value.end - 1);
    Some(FlatObject { length: scanner.at, string })
}

/// Reads one JSON text; each method consumes what it is named after, or gives `None` where
/// `JSON.stringify` would have written it otherwise.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Where a value was cut out, which counts as being there.
    cut: Option<usize>,
    cookie: Option<Range<usize>>,
}

impl Scanner<'_> {
    fn session(&mut self) -> Option<()> {
        self.object(0)?;
        (self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn eat_all(&mut self, word: &[u8]) -> Option<()> {
        if !self.text.get(self.at..)?.starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if self.cut == Some(self.at) {
            return Some(());
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' => self.eat_all(b"true"),
            b'f' => self.eat_all(b"false"),
            b'n' => self.eat_all(b"null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.members(|scanner, key| {
            let from = scanner.at;
            scanner.value(depth + 1)?;
            if depth == 0 && &scanner.text[key] == b"cookie" {
                if scanner.cookie.is_some() {
                    return None;
                }
                scanner.cookie = Some(from..scanner.at);
            }
            Some(())
        })
    }

    /// Reads an object, of which `value` reads each member's value.
    fn members(
        &mut self,
        mut value: impl FnMut(&mut Self, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.eat(b'{')?;
        if self.peek()? == b'}' {
            return self.eat(b'}');
        }
        let mut order = KeyOrder::default();
        loop {
            let key = self.string()?;
            order.admit(&self.text[key.clone()])?;
            self.eat(b':')?;
            value(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b'}'),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.eat(b'[')?;
        if self.peek()? == b']' {
            return self.eat(b']');
        }
        loop {
            self.value(depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b']'),
            }
        }
    }

    /// Gives where the string's text between the quotes is.
    fn string(&mut self) -> Option<Range<usize>> {
        self.eat(b'"')?;
        let from = self.at;
        loop {
            self.at += memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[self.at] == b'"' {
                let inside = from..self.at;
                self.at += 1;
                return Some(inside);
            }
            self.escape()?;
        }
    }

    /// `JSON.stringify` escapes `"`, `\`, the control characters (five of them by a letter)
    /// and lone surrogates, in lower case. Whether a surrogate is alone is not looked into.
    fn escape(&mut self) -> Option<()> {
        self.eat(b'\\')?;
        match self.peek()? {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            _ => {
                self.eat_all(b"u00")?;
                let digits = self.text.get(self.at..self.at + 2)?;
                let has_letter =
                    [b"08", b"09", b"0a", b"0c", b"0d"].contains(&digits.try_into().ok()?);
                let is_control = matches!(digits, [b'0' | b'1', b'0'..=b'9' | b'a'..=b'f']);
                if has_letter || !is_control {
                    return None;
                }
                self.at += 2;
            }
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        if !is_canonical_number(&rest[..length]) {
            return None;
        }
        self.at += length;
        Some(())
    }
}

/// Whether `Number::toString` of ECMA-262 gives `token` for the number that `token` names.
///
/// Numbers that it writes with an exponent are left aside (counted as not known).
fn is_canonical_number(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    // The frequent case: an integer that a double holds exactly.
    if digits.len() <= 15 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return digits[0] != b'0' || token == b"0";
    }
    if token.contains(&b'e') || token.contains(&b'E') || token.contains(&b'+') {
        return false;
    }
    let Some(token) = str::from_utf8(token).ok() else {
        return false;
    };
    let Ok(number) = token.parse::<f64>() else {
        return false;
    };
    // From 1e21 on and below 1e-6 JavaScript writes an exponent. In between, Rust writes the
    // same as JavaScript: the shortest digits that give the number back, closest to it.
    (1e-6..1e21).contains(&number.abs()) && number.to_string() == token
}

/// Watches that an object's keys come in the order in which a parsed object lists them:
/// array indices first, ascending, then the others.
#[derive(Default)]
struct KeyOrder {
    last_index: Option<u32>,
    named: bool,
}

impl KeyOrder {
    fn admit(&mut self, key: &[u8]) -> Option<()> {
        if !key.first().is_some_and(u8::is_ascii_digit) || !key.iter().all(u8::is_ascii_digit) {
            self.named = true;
            return Some(());
        }
        if key.len() > 1 && key[0] == b'0' {
            self.named = true;
            return Some(());
        }
        // Beyond nine digits lies the end of the array indices; not worth knowing exactly.
        if key.len() > 9 || self.named {
            return None;
        }
        let index = str::from_utf8(key).ok()?.parse::<u32>().ok()?;
        if self.last_index.is_some_and(|last| last >= index) {
            return None;
        }
        self.last_index = Some(index);
        Some(())
    }
}

#[cfg(test)]
mod tests;
