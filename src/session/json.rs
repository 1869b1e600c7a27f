//! Finds the cookie in the text of a session, so that a touch can replace it in place.
//!
//! The text is one that `JSON.stringify` wrote: well-formed, without white space, and no object has
//! a key twice. Nothing else is required of a session. Numbers and strings that `JSON.rawJSON`
//! spelled otherwise, and keys in the order in which a Proxy lists them, stay as they are.

use std::ops::Range;

use memchr::memchr2;

/// Where the value of the top-level member `cookie` stands in `text`; `None` if `text` is no object
/// or has no such member.
pub(crate) fn cookie_value(text: &[u8]) -> Option<Range<usize>> {
    member(text, b"cookie")
}

/// Where the value of a member of the object `text` stands. `name` is as JSON writes it, without
/// the quotes.
#[inline]
pub(crate) fn member(text: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.eat(b'{')?;
    loop {
        let key = scanner.key()?;
        let from = scanner.at;
        scanner.value()?;
        if &text[key] == name {
            return Some(from..scanner.at);
        }
        scanner.eat(b',')?;
    }
}

/// An object whose members are neither objects nor arrays.
pub(crate) struct FlatObject {
    /// How long its text is.
    pub(crate) length: usize,
    /// Where the value of the requested member is, without its quotes, if it is a string.
    pub(crate) string: Option<Range<usize>>,
}

/// The flat object that begins `text`, if there is one.
pub(crate) fn flat_object(text: &[u8], member: &[u8]) -> Option<FlatObject> {
    let mut scanner = Scanner { text, at: 0 };
    let mut string = None;
    scanner.eat(b'{')?;
    if scanner.eat(b'}').is_some() {
        return Some(FlatObject { length: scanner.at, string });
    }
    loop {
        let key = scanner.key()?;
        let value = scanner.scalar()?;
        if &text[key] == member {
            string = (text[value.start] == b'"').then_some(value.start + 1..value.end - 1);
        }
        if scanner.eat(b',').is_none() {
            scanner.eat(b'}')?;
            return Some(FlatObject { length: scanner.at, string });
        }
    }
}

/// Reads one JSON text. Each method consumes what it is named after, or gives `None` if that is not
/// there.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
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

    /// Gives where the key's text between the quotes is.
    fn key(&mut self) -> Option<Range<usize>> {
        let key = self.string()?;
        self.eat(b':')?;
        Some(key)
    }

    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                _ => {
                    self.scalar()?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Gives where a string, a number or a word is.
    fn scalar(&mut self) -> Option<Range<usize>> {
        let from = self.at;
        if self.peek()? == b'"' {
            self.string()?;
        } else {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-+.".contains(byte);
            self.at += self.text[from..].iter().take_while(|byte| is_part(byte)).count();
        }
        (self.at > from).then_some(from..self.at)
    }

    /// Gives where the text between the quotes is.
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
            self.at += 2;
        }
    }
}

#[cfg(test)]
mod tests;
