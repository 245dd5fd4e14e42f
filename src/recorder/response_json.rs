//! An identity from a JSON response body, kept while the stream goes on.

use super::headers::Headers;

/// Why a value could not be had; word of `audit.identity.source` after `unavailable:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The body has a content encoding.
    Encoded,
    /// The body is longer than the limit.
    TooLarge,
    /// By its content type or by its bytes the body is no JSON document, or not all of it was read.
    NotJson,
    /// The document has no string that is not empty and no number at the pointer.
    Absent,
}

impl Unavailable {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "encoded",
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::Absent => "absent",
        }
    }
}

/// A JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer; `None` when it is none. The empty text points at the whole document.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.is_empty().then(|| Self(Vec::new()))
    }
}

/// What is kept of one response body.
#[derive(Debug)]
pub struct Body {
    max_bytes: usize,
    kept: Result<Vec<u8>, Unavailable>,
}

impl Body {
    /// Decides by the response headers whether reading is worth it; a body of more than `max_bytes` is not.
    #[must_use]
    pub fn begin(_headers: &Headers<'_>, max_bytes: usize) -> Self {
        Self { max_bytes, kept: Ok(Vec::new()) }
    }

    /// How many bytes of a chunk of this size should be fetched from the host. 0: no host call is needed, but
    /// [`Self::push`] is, with nothing fetched: it learns so that the body has grown too large.
    #[must_use]
    pub fn wants(&self, chunk_bytes: usize) -> usize {
        match &self.kept {
            Ok(kept) if kept.len().saturating_add(chunk_bytes) <= self.max_bytes => chunk_bytes,
            _ => 0,
        }
    }

    /// Takes the next chunk: what was fetched of it, and its real size. Less than all of a chunk makes a body with a hole,
    /// which is no JSON.
    pub fn push(&mut self, fetched: &[u8], chunk_bytes: usize) {
        let Ok(kept) = &mut self.kept else { return };
        if kept.len().saturating_add(chunk_bytes) > self.max_bytes {
            self.kept = Err(Unavailable::TooLarge);
            return;
        }
        kept.extend_from_slice(fetched);
    }

    /// The value at the pointer: a string's content or a number's exact text.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, pointer: &Pointer) -> Result<Vec<u8>, Unavailable> {
        match &self.kept {
            Ok(_) if pointer.0.is_empty() => Err(Unavailable::NotJson),
            Ok(_) => Err(Unavailable::Absent),
            Err(why) => Err(*why),
        }
    }
}
