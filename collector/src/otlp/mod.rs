//! From the bytes of a request to records, in each format that the collector supports.

mod json;
pub mod limits;
mod line;
mod ndjson;
mod numbers;
mod protobuf;
mod scan;
mod surrogates;
mod texts;
mod unknown;

use serde_json::Value;

pub use line::decode_line;

use crate::record::{Attributes, Content, Record, Request};

/// Most characters of a decoder's message that are repeated to the client; a message can quote the
/// client's text.
const MAX_MESSAGE_CHARS: usize = 200;

/// Format of the records in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP logs in protobuf's JSON encoding.
    Json,
    /// OTLP logs in protobuf's own encoding.
    Protobuf,
    /// One flat JSON object per line, as the filter's `format: ndjson` writes it.
    Ndjson,
}

/// A body within those [`limits`] that can be checked without decoding its records.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    format: Format,
    body: &'a [u8],
    values: usize,
}

/// Why a body was not decoded, with the sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It violates its format; the sentence has the place and the reason.
    #[error("{0}")]
    Invalid(String),
    /// It would cost more than one request may, see [`limits`].
    #[error("{0}")]
    TooLarge(String),
}

impl Format {
    /// Checks a body without allocating memory for its content. Half surrogates of its texts become
    /// U+FFFD.
    ///
    /// # Errors
    ///
    /// When it exceeds one of [`limits`], or cannot be parsed at all.
    pub fn check(self, body: &mut [u8]) -> Result<Checked<'_>, DecodeError> {
        match self {
            Self::Json | Self::Ndjson => surrogates::replace_halves(body),
            Self::Protobuf => texts::replace_halves(body),
        }

        let body = &*body;
        let values = match self {
            Self::Json => limits::check_json(json::text(body)?)?,
            Self::Protobuf => scan::check(body)?,
            Self::Ndjson => limits::check_lines(body)?,
        };

        Ok(Checked {
            format: self,
            body,
            values,
        })
    }
}

impl Checked<'_> {
    /// How many values the body holds; each of them takes memory once decoded.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Decodes all records, in the order of the body.
    ///
    /// # Errors
    ///
    /// When a field has a wrong type or a limit is exceeded. The message names the place of a wrong
    /// field as exactly as the format allows, and is bounded in length.
    pub fn decode(self) -> Result<Vec<Record>, DecodeError> {
        match self.format {
            Format::Json => json::decode(self.body),
            Format::Protobuf => protobuf::decode(self.body),
            Format::Ndjson => ndjson::decode(self.body),
        }
    }
}

/// Checks and decodes an OTLP logs request in its JSON encoding.
///
/// # Errors
///
/// See [`Format::check`] and [`Checked::decode`].
pub fn decode_json(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    Format::Json.check(&mut body.to_vec())?.decode()
}

/// The records of one resource.
struct Group<L> {
    resource: Attributes,
    scopes: Vec<Scope<L>>,
}

/// The records of one scope, each still in the type of its format.
struct Scope<L> {
    attributes: Attributes,
    logs: Vec<L>,
}

/// The records of a request.
struct Decoded {
    records: Vec<Record>,
    /// Whether none of them has content of its own.
    is_void: bool,
}

/// Makes records of the logs within the limits of one request.
fn records<L>(groups: Vec<Group<L>>, content: fn(L) -> Content) -> Result<Decoded, DecodeError> {
    limits::check_groups(&groups)?;

    let (mut request, mut records) = (Request::default(), Vec::new());
    let mut is_void = true;
    for_each_content(groups, content, |content, is_empty| {
        is_void &= is_empty;
        records.push(request.record(content));
    });
    Ok(Decoded { records, is_void })
}

/// Adds the attributes of scope and resource to each record, one after the other. For equal names,
/// the record takes precedence over the scope, and the scope over the resource. `each` also gets
/// whether the record has no content of its own.
fn for_each_content<L>(
    groups: Vec<Group<L>>,
    content: fn(L) -> Content,
    mut each: impl FnMut(Content, bool),
) {
    for Group { resource, scopes } in groups {
        for Scope { attributes, logs } in scopes {
            for log in logs {
                let mut content = content(log);
                let is_empty = content == Content::default();

                let own = std::mem::replace(&mut content.attributes, resource.clone());
                content.attributes.extend(attributes.clone());
                content.attributes.extend(own);
                each(content, is_empty);
            }
        }
    }
}

/// OTLP requires that an invalid id is read as no id (`logs.proto`, `trace_id`); all zeros is
/// invalid.
fn hex_id(text: &str, digits: usize) -> Option<String> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let valid = well_formed && text.bytes().any(|byte| byte != b'0');
    valid.then(|| text.to_ascii_lowercase())
}

fn body_text(body: Value) -> Option<String> {
    match body {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// The beginning of a decoder's message, without the place at its end.
fn excerpt(message: &str, place: &str) -> String {
    message
        .strip_suffix(place)
        .unwrap_or(message)
        .chars()
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

#[cfg(test)]
mod forms;
#[cfg(test)]
mod tests;
