//! An identity read from a JSON response body. A bounded copy of the body is kept while the stream
//! is open.

mod document;
#[cfg(test)]
mod tests;

use crate::quota::Lease;
use crate::recorder::headers::Headers;
use document::Miss;

/// Why a value is missing; value of `audit.identity.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The body has a content encoding.
    Encoded,
    /// The body exceeds the limit, or the quota shared with other exchanges is exhausted.
    TooLarge,
    /// The content type or the bytes are not JSON, or the body was not read completely.
    NotJson,
    /// The pointer has no number and no non-empty string.
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
    /// Parses a pointer: empty for the whole document, or `/` and a name per level, with `~0` for
    /// `~` and `~1` for `/`. `None` if it is invalid.
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

/// The copy of one response body: complete or empty.
#[derive(Debug)]
pub struct Body {
    max_bytes: usize,
    /// Length from the headers; 0 if unknown.
    announced_bytes: usize,
    kept: Result<Vec<u8>, Unavailable>,
    /// Accounts for the copy in the quota that all exchanges share.
    lease: Lease,
    is_broken_off: bool,
}

impl Body {
    /// Decides by the response headers whether the body is read. It must be JSON by its content
    /// type or have none, be unencoded, and have at most `max_bytes`. Memory is taken with the
    /// first chunk, as far as `lease` allows; beyond that the body is [`Unavailable::TooLarge`].
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

    /// How many bytes of a chunk of this size to fetch from the host: all or none.
    ///
    /// At 0 no host call is needed, but [`Self::push`] must still be called with nothing fetched:
    /// it detects a body that is too large.
    #[must_use]
    pub fn wants(&self, chunk_bytes: usize) -> usize {
        match &self.kept {
            Ok(kept) if chunk_bytes <= self.max_bytes - kept.len() => chunk_bytes,
            _ => 0,
        }
    }

    /// Takes the next chunk: the bytes fetched of it, and its full size. Fewer bytes than wanted
    /// would leave a gap, so the body then becomes [`Unavailable::NotJson`].
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

    /// The response was cut off. A document that is a number may then be incomplete.
    pub fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    /// The value at the pointer: a string's content or a number's exact text. An unpaired surrogate
    /// becomes U+FFFD; of duplicate keys the last value counts.
    ///
    /// # Errors
    /// The reason why there is none.
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

/// `code` and `message` of an error in a JSON object; each `None` if there is no such string.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::recorder) struct JsonError {
    pub(in crate::recorder) code: Option<Vec<u8>>,
    pub(in crate::recorder) message: Option<Vec<u8>>,
}

/// The error at this path of a JSON text with an object at the top level. `None`: the text is
/// invalid. `Some(None)`: the error is missing or null.
pub(in crate::recorder) fn error_of_json(
    text: &[u8],
    path: &[String],
) -> Option<Option<JsonError>> {
    document::raw_at(text, &[])
        .ok()
        .filter(|value| value.starts_with(b"{"))?;
    let found = document::raw_at(text, path)
        .ok()
        .filter(|value| *value != b"null");
    let [code, message] = ["code", "message"].map(|name| document::string_in(found?, name));
    Some(found.map(|_| JsonError { code, message }))
}

/// Capacity to reserve for `bytes` more: the announced length, else twice the kept length, but at
/// most `room`.
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
    // Without a content type the bytes decide (RFC 9110 section 8.3 allows that).
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

/// The items of a list: Envoy joins several content types and encodings with commas.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The JSON media types of the WHATWG MIME Sniffing Standard.
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

/// Case-insensitive equality. Inlined, it would be unrolled to the length of the word, which costs
/// a kilobyte.
#[inline(never)]
fn is(text: &[u8], word: &[u8]) -> bool {
    text.eq_ignore_ascii_case(word)
}

/// `None` if it is not a number; the real length of the body counts then.
fn length(content_length: &[u8]) -> Option<usize> {
    let length: u64 = str::from_utf8(content_length).ok()?.parse().ok()?;
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}
