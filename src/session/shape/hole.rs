//! The values in the holes of a shape: which kinds there are, and how each is packed.
//!
//! A packed value is exact: [`Hole::write_text`] gives back every byte that [`Hole::pack`] took. What
//! a kind cannot give back, it does not take.

use std::io::Write as _;

use memchr::memchr2;

use crate::time::{ISO_LENGTH, Millis, from_iso, iso};

/// The fewest and the most digits of a string that is kept as a hexadecimal number.
const HEX_DIGITS: std::ops::RangeInclusive<usize> = 16..=64;

/// The groups of hexadecimal digits of a UUID (RFC 9562), which have hyphens between them.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The length of a UUID as text.
const UUID_LENGTH: usize = 36;

/// What a hole may hold. Of two kinds that fit a value, the first is the more specific one.
///
/// A builder in JavaScript knows them by [`Hole::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Hole {
    /// `true` or `false`.
    Bool,
    /// A whole number below 2^31.
    Int,
    /// A whole number below 2^48, such as a time in milliseconds.
    Long,
    /// Any other number, kept as text of up to 255 characters.
    Number,
    /// A string that `Date.prototype.toISOString` gives, for a time from 1970 on.
    Iso,
    /// A string that is a UUID with small letters.
    Uuid,
    /// A string of so many hexadecimal digits with small letters.
    Hex(u8),
    /// A string of up to 255 characters of Latin-1 without escapes.
    Text,
    /// A longer one, of up to 65,535 characters.
    LongText,
}

/// A session's values, packed: those of the strings one after another, and what has a fixed length
/// behind them. The lengths of the strings are among the latter.
#[derive(Default)]
pub(super) struct Values {
    pub(super) data: Vec<u8>,
    pub(super) fixed: Vec<u8>,
}

/// What is left to be read of a session's packed values.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    data: &'a [u8],
    fixed: &'a [u8],
}

impl<'a> Rest<'a> {
    /// All of `packed`, of which the last `fixed` bytes are what has a fixed length.
    pub(super) fn of(packed: &'a [u8], fixed: usize) -> Self {
        let (data, fixed) = packed.split_at(packed.len().saturating_sub(fixed));
        Self { data, fixed }
    }

    fn data(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.data.split_at(length.min(self.data.len()));
        self.data = rest;
        taken
    }

    fn number(&mut self, length: usize) -> u64 {
        let (taken, rest) = self.fixed.split_at(length.min(self.fixed.len()));
        self.fixed = rest;
        let mut bytes = [0; 8];
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    fn counted(&mut self, hole: Hole) -> &'a [u8] {
        let length = self.number(hole.fixed());
        self.data(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

impl Hole {
    /// The most specific kind for the number that begins `text`, and the number's length.
    pub(super) fn of_number(text: &[u8]) -> Option<(Self, usize)> {
        let length = number_length(text);
        let kind = match digits(text) {
            Some((..0x8000_0000, _)) => Self::Int,
            Some(_) => Self::Long,
            None => Self::Number,
        };
        (1..=255).contains(&length).then_some((kind, length))
    }

    /// The most specific kind for a string, given what is between its quotes. `None` if it has
    /// escapes or more than Latin-1.
    pub(super) fn of_string(text: &[u8]) -> Option<Self> {
        if from_iso(text).is_some_and(|time| time >= 0) {
            return Some(Self::Iso);
        }
        let mut packed = Vec::new();
        if pack_uuid(text, &mut packed).is_some() {
            return Some(Self::Uuid);
        }
        let is_digit = |c: &u8| DIGIT_VALUES[usize::from(*c)] < 16;
        let is_hex = text.len().is_multiple_of(2) && text.iter().all(is_digit);
        if is_hex && HEX_DIGITS.contains(&text.len()) {
            return Some(Self::Hex(u8::try_from(text.len()).ok()?));
        }
        packed.clear();
        pack_latin1(text, &mut packed)?;
        let is_long = u8::try_from(packed.len()).is_err();
        (!text.contains(&b'\\')).then_some(if is_long { Self::LongText } else { Self::Text })
    }

    /// Packs the value that begins `text`: a number, a word, or what is behind the quote of a
    /// string. Returns its length; `None` if this kind does not take it.
    #[inline]
    pub(super) fn pack(self, text: &[u8], is_ascii: bool, values: &mut Values) -> Option<usize> {
        let Values { data, fixed } = values;
        match self {
            Self::Bool => {
                let truth = text.starts_with(b"true");
                fixed.push(u8::from(truth));
                (truth || text.starts_with(b"false")).then_some(if truth { 4 } else { 5 })
            }
            Self::Int | Self::Long => {
                let (number, length) = digits(text)?;
                let size = self.fixed();
                fixed.extend_from_slice(&number.to_le_bytes()[..size]);
                (self == Self::Long || number < 0x8000_0000).then_some(length)
            }
            Self::Number => {
                let length = number_length(text);
                fixed.push(u8::try_from(length).ok().filter(|length| *length > 0)?);
                data.extend_from_slice(&text[..length]);
                Some(length)
            }
            Self::Iso => {
                let text = string(text, ISO_LENGTH)?;
                let time = u64::try_from(from_iso(text)?).ok()?;
                data.extend_from_slice(&time.to_le_bytes()[..6]);
                Some(ISO_LENGTH)
            }
            Self::Uuid => {
                pack_uuid(string(text, UUID_LENGTH)?, data)?;
                Some(UUID_LENGTH)
            }
            Self::Hex(digits) => {
                let text = string(text, usize::from(digits))?;
                pack_hex(text, data)?;
                Some(text.len())
            }
            Self::Text | Self::LongText => {
                let length = memchr2(b'"', b'\\', text).filter(|end| text[*end] == b'"')?;
                let before = data.len();
                if is_ascii {
                    data.extend_from_slice(&text[..length]);
                } else {
                    pack_latin1(&text[..length], data)?;
                }
                let size = self.fixed();
                let count = data.len() - before;
                fixed.extend_from_slice(&count.to_le_bytes()[..size]);
                (count >> (8 * size) == 0).then_some(length)
            }
        }
    }

    /// How many bytes a value takes of what has a fixed length.
    pub(super) fn fixed(self) -> usize {
        match self {
            Self::Bool | Self::Number | Self::Text => 1,
            Self::Int => 4,
            Self::Long => 6,
            Self::LongText => 2,
            Self::Iso | Self::Uuid | Self::Hex(_) => 0,
        }
    }

    /// The kind as a number, plus 16 times the length that its strings have if that is always the
    /// same. See lib/native/builders.js.
    pub(super) fn code(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int => 2,
            Self::Long => 3,
            Self::Number => 4,
            Self::Text => 5,
            Self::LongText => 6,
            Self::Iso => 16 * ISO_LENGTH,
            Self::Uuid => 16 * UUID_LENGTH,
            Self::Hex(digits) => 16 * usize::from(digits),
        }
    }

    /// Whether it holds what is between the quotes of a string.
    pub(super) fn is_string(self) -> bool {
        self >= Self::Iso
    }

    /// Whether a builder gets the value in another form than the packed one.
    pub(super) fn is_expanded(self) -> bool {
        matches!(self, Self::Iso | Self::Uuid | Self::Hex(_))
    }

    /// Appends the next value as it was in the session's text, which is ASCII or UTF-8.
    pub(super) fn write_text(self, values: &mut Rest<'_>, is_ascii: bool, text: &mut Vec<u8>) {
        match self {
            Self::Bool => {
                text.extend_from_slice(if values.number(1) == 0 { b"false" } else { b"true" });
            }
            Self::Int | Self::Long => {
                let written = write!(text, "{}", values.number(self.fixed()));
                debug_assert!(written.is_ok(), "a Vec takes all");
            }
            Self::Text | Self::LongText if !is_ascii => {
                text.extend(values.counted(self).iter().flat_map(|c| utf8_of(*c)));
            }
            _ => self.write_data(values, text),
        }
    }

    /// Appends the next value's part of the data as a builder takes it: in Latin-1, with a length
    /// that is fixed or known from what has a fixed length.
    pub(super) fn write_data(self, values: &mut Rest<'_>, text: &mut Vec<u8>) {
        match self {
            Self::Bool | Self::Int | Self::Long => drop(values.number(self.fixed())),
            Self::Number | Self::Text | Self::LongText => {
                text.extend_from_slice(values.counted(self));
            }
            Self::Iso => {
                let mut bytes = [0; 8];
                bytes[..6].copy_from_slice(values.data(6));
                let time = iso(Millis::from_le_bytes(bytes));
                text.extend_from_slice(&time.unwrap_or([b'0'; ISO_LENGTH]));
            }
            Self::Uuid => {
                let mut bytes = values.data(16);
                for (number, digits) in UUID_GROUPS.into_iter().enumerate() {
                    if number > 0 {
                        text.push(b'-');
                    }
                    let (group, rest) = bytes.split_at(digits / 2);
                    write_hex(group, text);
                    bytes = rest;
                }
            }
            Self::Hex(digits) => write_hex(values.data(usize::from(digits) / 2), text),
        }
    }
}

/// The whole number, as JSON writes it, that begins `text`, and its length. `None` if there is none
/// below 2^48.
fn digits(text: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    let mut length = 0;
    while let Some(digit) = text.get(length).map(|c| c.wrapping_sub(b'0')).filter(|it| *it < 10) {
        number = number * 10 + u64::from(digit);
        length += 1;
        if number >= 1 << 48 {
            return None;
        }
    }
    let is_canonical = length == 1 || length > 1 && text[0] != b'0';
    let is_whole = !matches!(text.get(length), Some(b'.' | b'e' | b'E'));
    (is_canonical && is_whole).then_some((number, length))
}

fn number_length(text: &[u8]) -> usize {
    let is_part = |c: &u8| c.is_ascii_digit() || b"-+.eE".contains(c);
    text.iter().take_while(|c| is_part(c)).count()
}

/// The string of this length, whose end follows it, that begins `text`.
fn string(text: &[u8], length: usize) -> Option<&[u8]> {
    text.get(..length).filter(|_| text.get(length) == Some(&b'"'))
}

/// Appends what a UUID stands for; `None` if it is none.
fn pack_uuid(text: &[u8], data: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    for (number, digits) in UUID_GROUPS.into_iter().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b"-")?;
        }
        let (group, behind) = rest.split_at_checked(digits)?;
        pack_hex(group, data)?;
        rest = behind;
    }
    rest.is_empty().then_some(())
}

/// What each hexadecimal digit stands for, and more than 15 for other characters.
const DIGIT_VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Appends what hexadecimal digits stand for; `None` if they are none.
fn pack_hex(text: &[u8], data: &mut Vec<u8>) -> Option<()> {
    let (pairs, _) = text.as_chunks::<2>();
    let mut all = 0;
    data.extend(pairs.iter().map(|digits| {
        let [high, low] = digits.map(|digit| DIGIT_VALUES[usize::from(digit)]);
        all |= high | low;
        high << 4 | low
    }));
    (all < 16).then_some(())
}

fn write_hex(bytes: &[u8], text: &mut Vec<u8>) {
    let digits = |b: &u8| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
    text.extend(bytes.iter().flat_map(digits));
}

/// Appends UTF-8 as Latin-1; `None` if that lacks a character.
fn pack_latin1(text: &[u8], data: &mut Vec<u8>) -> Option<()> {
    for c in str::from_utf8(text).ok()?.chars() {
        data.push(u8::try_from(c).ok()?);
    }
    Some(())
}

/// A character of Latin-1 as UTF-8.
fn utf8_of(c: u8) -> impl Iterator<Item = u8> {
    let mut bytes = [0; 2];
    let length = char::from(c).encode_utf8(&mut bytes).len();
    bytes.into_iter().take(length)
}
