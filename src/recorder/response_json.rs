//! An identity from a JSON response body, of which a bounded copy is kept while the stream goes on.

mod document;
#[cfg(test)]
mod tests;

use super::headers::Headers;
use crate::quota::Lease;
use document::Miss;

/// Why a value could not be had; value of `audit.identity.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The body has a content encoding.
    Encoded,
    /// The body is longer than the limit, or there is no room for it beside those of other exchanges.
    TooLarge,
    /// By its content type or by its bytes the body is no JSON text, or not all of it was read.
    NotJson,
    /// At the pointer is no number, and no string but the empty one.
    Absent,
}

impl Unavailable {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "unavailable:encoded",
            Self::TooLarge => "unavailable:too_large",
            Self::NotJson => "unavailable:not_json",
            Self::Absent => "unavailable:absent",
        }
    }
}

/// A JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer: empty for the whole document, or `/` and a name for each level, with `~0` for `~` and `~1` for
    /// `/`. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        text.strip_prefix('/')?
            .split('/')
            .map(unescaped)
            .collect::<Option<_>>()
            .map(Self)
    }
}

fn unescaped(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

/// What is kept of one response body: all of it or nothing.
#[derive(Debug)]
pub struct Body {
    max_bytes: usize,
    /// Length by the headers, when they tell; else 0.
    announced_bytes: usize,
    kept: Result<Vec<u8>, Unavailable>,
    /// The memory of what is kept, a part of what all exchanges may keep.
    lease: Lease,
    is_broken_off: bool,
}

impl Body {
    /// Decides by the response headers whether reading is worth it: for JSON by its content type, or for a body that has
    /// none, not encoded, of no more than `max_bytes`. Memory is taken when the first chunk comes, as far as `lease` can have
    /// it; beyond that the body is [`Unavailable::TooLarge`].
    #[must_use]
    pub fn begin(headers: &Headers<'_>, max_bytes: usize, lease: Lease) -> Self {
        let announced_bytes = headers
            .first("content-length")
            .and_then(length)
            .unwrap_or_default();
        let kept = match refusal(headers) {
            None if announced_bytes > max_bytes => Err(Unavailable::TooLarge),
            None => Ok(Vec::new()),
            Some(why) => Err(why),
        };
        Self {
            max_bytes,
            announced_bytes,
            kept,
            lease,
            is_broken_off: false,
        }
    }

    /// How many bytes of a chunk of this size should be fetched from the host: all or none.
    ///
    /// 0: no host call is needed. [`Self::push`] is, with nothing fetched: it learns so that the body is too large.
    #[must_use]
    pub fn wants(&self, chunk_bytes: usize) -> usize {
        match &self.kept {
            Ok(kept) if chunk_bytes <= self.max_bytes - kept.len() => chunk_bytes,
            _ => 0,
        }
    }

    /// Takes the next chunk: what was fetched of it, and its real size. With less than was wanted the body would have a
    /// hole, so that it is given up as [`Unavailable::NotJson`].
    pub fn push(&mut self, fetched: &[u8], chunk_bytes: usize) {
        let Ok(kept) = &mut self.kept else { return };
        let room = self.max_bytes - kept.len();
        let why = if chunk_bytes > room
            || !self
                .lease
                .resize(capacity(kept, chunk_bytes, self.announced_bytes, room))
        {
            Unavailable::TooLarge
        } else if fetched.len() != chunk_bytes {
            Unavailable::NotJson
        } else {
            kept.reserve_exact(self.lease.bytes() - kept.len());
            kept.extend_from_slice(fetched);
            return;
        };

        self.kept = Err(why);
        self.lease.end();
    }

    /// The response has ended before its end. A document that is a number may then be the start of another one.
    pub fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    /// The value at the pointer: a string's content or a number's exact text. Half a surrogate pair is read as U+FFFD; of
    /// a key that comes twice, the last value counts.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, pointer: &Pointer) -> Result<Vec<u8>, Unavailable> {
        let text = self.kept.as_ref().map_err(|why| *why)?;
        if self.is_broken_off && pointer.0.is_empty() {
            return Err(Unavailable::NotJson);
        }
        document::value_at(text, &pointer.0).map_err(|miss| match miss {
            Miss::Malformed => Unavailable::NotJson,
            Miss::Absent => Unavailable::Absent,
        })
    }
}

/// `code` and `message` of an error that is a JSON object; each `None` where there is no such string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) code: Option<Vec<u8>>,
    pub(super) message: Option<Vec<u8>>,
}

/// The error at this place of a JSON text whose outermost value is an object. `None`: it is no such text. `Some(None)`:
/// there is no error, or it is null.
pub(super) fn error_of_json(text: &[u8], path: &[String]) -> Option<Option<JsonError>> {
    document::raw_at(text, &[])
        .ok()
        .filter(|value| value.starts_with(b"{"))?;
    let found = document::raw_at(text, path)
        .ok()
        .filter(|value| *value != b"null");
    let [code, message] = ["code", "message"].map(|name| document::string_in(found?, name));
    Some(found.map(|_| JsonError { code, message }))
}

/// The memory for `bytes` more: as much as was announced, else twice as much as is kept, but never more than `room`.
fn capacity(kept: &Vec<u8>, bytes: usize, announced_bytes: usize, room: usize) -> usize {
    if bytes <= kept.capacity() - kept.len() {
        return kept.capacity();
    }
    let more = announced_bytes
        .saturating_sub(kept.len())
        .max(kept.len())
        .max(bytes);
    kept.len() + more.min(room)
}

fn refusal(headers: &Headers<'_>) -> Option<Unavailable> {
    // Without a content type the bytes decide, as RFC 9110 section 8.3 allows.
    let is_other = headers
        .first("content-type")
        .is_some_and(|types| !is_json(types) && !items(types).any(is_json));
    if is_other {
        return Some(Unavailable::NotJson);
    }
    let is_plain = |coding: &[u8]| coding.is_empty() || is(coding, b"identity");
    let is_encoded = headers
        .all("content-encoding")
        .any(|codings| !items(codings).all(is_plain));
    is_encoded.then_some(Unavailable::Encoded)
}

/// The items of a list: Envoy joins several content types and content codings with commas.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The JSON media types of the WHATWG's MIME Sniffing Standard.
fn is_json(content_type: &[u8]) -> bool {
    let parameters = content_type
        .iter()
        .position(|byte| matches!(byte, b';' | b' ' | b'\t'));
    let media_type = content_type
        .get(..parameters.unwrap_or(content_type.len()))
        .unwrap_or_default();
    let suffix = media_type
        .len()
        .checked_sub(b"+json".len())
        .and_then(|at| media_type.get(at..));
    is(media_type, b"application/json")
        || is(media_type, b"text/json")
        || suffix.is_some_and(|suffix| is(suffix, b"+json"))
}

/// Equality without regard to case. Where it is inlined it is unrolled to the length of the word, which costs a kilobyte.
#[inline(never)]
fn is(text: &[u8], word: &[u8]) -> bool {
    text.eq_ignore_ascii_case(word)
}

/// `None` for what is no number; the body's real length counts then.
fn length(content_length: &[u8]) -> Option<usize> {
    let length: u64 = str::from_utf8(content_length).ok()?.parse().ok()?;
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}
