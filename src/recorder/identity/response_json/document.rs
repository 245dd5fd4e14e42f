//! Reads one value of a JSON text (RFC 8259) without building the document.
//!
//! Hand-written for two reasons: a number must keep its text, and the module must stay small.
//! Without recursion, nesting cannot overflow the stack.

use crate::json::without_bom;
use crate::recorder::uri::escapes::escape;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recorder) enum Miss {
    /// The text as a whole is not valid JSON.
    Malformed,
    /// The text is valid JSON without such a value.
    Absent,
}

/// The value at `path`, which has an object key or array index per level: a string's content or a
/// number's text. Of duplicate keys the last value counts, as in most readers.
pub(in crate::recorder) fn value_at(text: &[u8], path: &[String]) -> Result<Vec<u8>, Miss> {
    let value = raw_at(text, path)?;
    scalar(value)
        .filter(|content| !content.is_empty())
        .ok_or(Miss::Absent)
}

/// The raw text of the value at `path`.
///
/// The members of the top-level object are read once; validity is checked on the way to the value.
pub(in crate::recorder) fn raw_at<'a>(text: &'a [u8], path: &[String]) -> Result<&'a [u8], Miss> {
    str::from_utf8(text).map_err(|_| Miss::Malformed)?;
    let mut reader = Reader {
        rest: without_bom(text),
    };
    let mut names = path.iter();
    let found = match names.as_slice() {
        [name, ..] if reader.finds(b'{') => {
            names.next();
            reader.members(name)
        }
        _ => reader.value().map(Some),
    };
    let is_whole = reader.is_at_end();

    let mut value = found
        .filter(|_| is_whole)
        .ok_or(Miss::Malformed)?
        .ok_or(Miss::Absent)?;

    for name in names {
        value = child(value, name).ok_or(Miss::Absent)?;
    }

    Ok(value)
}

/// The string member of this name in the text of an object.
pub(in crate::recorder) fn string_in(object: &[u8], name: &str) -> Option<Vec<u8>> {
    child(object, name)
        .filter(|value| value.starts_with(b"\""))
        .and_then(scalar)
}

fn child<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (kind, rest) = value.split_first()?;
    let mut reader = Reader { rest };
    match kind {
        b'{' => reader.members(name)?,
        b'[' => element(reader, index(name)?),
        _ => None,
    }
}

fn is_key(raw: &[u8], name: &str) -> bool {
    if raw.contains(&b'\\') {
        decoded(raw) == name.as_bytes()
    } else {
        raw == name.as_bytes()
    }
}

fn element(mut reader: Reader<'_>, index: usize) -> Option<&[u8]> {
    for _ in 0..index {
        reader.value()?;
        reader.finds(b',');
    }
    reader.value()
}

/// Digits without leading zeros.
fn index(name: &str) -> Option<usize> {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    is_plain.then(|| name.parse().ok())?
}

fn scalar(value: &[u8]) -> Option<Vec<u8>> {
    match value {
        [b'"', content @ .., b'"'] => Some(decoded(content)),
        [b'-' | b'0'..=b'9', ..] => Some(value.to_vec()),
        _ => None,
    }
}

/// Decodes the inside of a string.
fn decoded(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut reader = Reader { rest: raw };
    while let Some(byte) = reader.next() {
        if byte != b'\\' {
            out.push(byte);
        } else if let Some(character) = reader.escaped() {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    out
}

/// The unread rest of a text. Each method takes the part that it is named for, and returns `None`
/// if that is not next.
///
/// The three smallest methods are used everywhere and are not inlined, which saves 1.5 KB.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Any value, including nested ones.
    fn value(&mut self) -> Option<&'a [u8]> {
        self.skip_space();

        let text = self.rest;
        let mut open = Vec::new();
        loop {
            if let Some(close) = self.opening() {
                if !self.finds(close) {
                    self.key_in(close)?;
                    open.push(close);
                    continue;
                }
            } else {
                self.scalar()?;
            }
            loop {
                let Some(close) = open.last().copied() else {
                    return self.taken_of(text);
                };
                if self.finds(b',') {
                    self.key_in(close)?;
                    break;
                }
                if !self.finds(close) {
                    return None;
                }
                open.pop();
            }
        }
    }

    /// The members of an object, from after its opening brace to its closing one. Returns the value
    /// of this name, if there is one.
    fn members(&mut self, name: &str) -> Option<Option<&'a [u8]>> {
        let mut found = None;
        let mut is_closed = self.finds(b'}');
        while !is_closed {
            let (key, value) = (self.key()?, self.value()?);
            if is_key(key, name) {
                found = Some(value);
            }
            is_closed = !self.finds(b',') && self.finds(b'}').then_some(true)?;
        }

        Some(found)
    }

    /// Whether only white space is left.
    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    /// The start of an array or object; returns its closing byte.
    fn opening(&mut self) -> Option<u8> {
        self.skip_space();
        if self.takes(b'{') {
            return Some(b'}');
        }
        self.takes(b'[').then_some(b']')
    }

    /// The part before a value: nothing in an array, the key in an object.
    fn key_in(&mut self, close: u8) -> Option<()> {
        if close == b'}' {
            self.key()?;
        }
        Some(())
    }

    /// A key and its colon; returns the inside of the key, not decoded.
    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.finds(b'"').then(|| self.string_end())??;
        self.finds(b':').then_some(key)
    }

    /// A string, number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        if self.takes(b'"') {
            return self.string_end().map(drop);
        }

        for word in [&b"true"[..], b"false", b"null"] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(());
            }
        }

        self.number()
    }

    /// A string after its opening quote; returns its inside, not decoded.
    fn string_end(&mut self) -> Option<&'a [u8]> {
        let text = self.rest;
        loop {
            let plain = self
                .rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;

            self.rest = self.rest.get(plain..)?;
            let before = self.rest.len();
            match self.next()? {
                b'"' => return text.get(..text.len() - before),
                b'\\' => drop(self.escaped()?),
                _ => return None,
            }
        }
    }

    /// The part of an escape after the backslash. An unpaired surrogate becomes U+FFFD.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return None,
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let unit = self.code_unit()?;
        let mut ahead = Reader { rest: self.rest };
        if (0xd800..0xdc00).contains(&unit)
            && ahead.takes(b'\\')
            && ahead.takes(b'u')
            && let Some(low @ 0xdc00..0xe000) = ahead.code_unit()
        {
            self.rest = ahead.rest;
            return char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        }

        Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code_unit(&mut self) -> Option<u32> {
        let [a, b, c, d, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        let bytes = [escape(&[b'%', *a, *b])?, escape(&[b'%', *c, *d])?];
        Some(u32::from(u16::from_be_bytes(bytes)))
    }

    fn number(&mut self) -> Option<()> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }

        if self.takes(b'e') || self.takes(b'E') {
            let _sign = self.takes(b'-') || self.takes(b'+');
            self.digits()?;
        }

        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let others = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(self.rest.len());
        self.rest = self.rest.get(others..)?;
        (others > 0).then_some(())
    }

    #[inline(never)]
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes the byte, with preceding white space.
    fn finds(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.takes(byte)
    }

    #[inline(never)]
    fn takes(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn taken_of(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        text.get(..text.len() - self.rest.len())
    }
}
