//! From the bytes of a request to records, in each of the formats that the collector reads.

mod json;
pub mod limits;
mod ndjson;
mod numbers;
mod protobuf;
mod scan;

use serde_json::Value;

use crate::record::{Attributes, Content, Record};

/// Most characters of a decoder's message that are repeated to the client; a message can quote the client's own text.
const MAX_MESSAGE_CHARS: usize = 200;

/// How the records of a body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP logs in protobuf's JSON encoding.
    Json,
    /// OTLP logs in protobuf's own encoding.
    Protobuf,
    /// One flat JSON object a line, as the filter's `format: ndjson` writes it.
    Ndjson,
}

/// A body that keeps the [`limits`] which can be seen without reading its records.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    format: Format,
    body: &'a [u8],
    values: usize,
}

/// Why a body was not read, with the sentence that the client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not what its format says; the sentence says where and why.
    #[error("{0}")]
    Invalid(String),
    /// It would cost more than one request may, see [`limits`].
    #[error("{0}")]
    TooLarge(String),
}

impl Format {
    /// Looks at a body without taking memory for what it holds.
    ///
    /// # Errors
    ///
    /// When it exceeds one of [`limits`], or cannot be read at all.
    pub fn check(self, body: &[u8]) -> Result<Checked<'_>, DecodeError> {
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
    /// How many values the body holds, each of which will take memory.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Reads all records, in the order of the body.
    ///
    /// # Errors
    ///
    /// When a field has a wrong type or a limit is exceeded. The message names the place of a wrong field as well as
    /// the format can, and is bounded in length.
    pub fn decode(self) -> Result<Vec<Record>, DecodeError> {
        match self.format {
            Format::Json => json::decode(self.body),
            Format::Protobuf => protobuf::decode(self.body),
            Format::Ndjson => ndjson::decode(self.body),
        }
    }
}

/// Checks and reads an OTLP logs request in its JSON encoding.
///
/// # Errors
///
/// See [`Format::check`] and [`Checked::decode`].
pub fn decode_json(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    Format::Json.check(body)?.decode()
}

/// The records of one resource.
struct Group<L> {
    resource: Attributes,
    scopes: Vec<Scope<L>>,
}

/// The records of one scope, each still as its format reads it.
struct Scope<L> {
    attributes: Attributes,
    logs: Vec<L>,
}

/// Gives each record the attributes of its scope and of its resource; what is nearer to the record wins.
fn records<L>(
    groups: Vec<Group<L>>,
    content: fn(L) -> Content,
) -> Result<Vec<Record>, DecodeError> {
    limits::check_groups(&groups)?;
    let mut records = Vec::new();
    for Group { resource, scopes } in groups {
        for Scope { attributes, logs } in scopes {
            records.extend(logs.into_iter().map(|log| {
                let mut content = content(log);
                let own = std::mem::replace(&mut content.attributes, resource.clone());
                content.attributes.extend(attributes.clone());
                content.attributes.extend(own);
                Record::from(content)
            }));
        }
    }
    Ok(records)
}

/// OTLP wants an invalid id to be read as no id (`logs.proto`, `trace_id`), and all zeros is invalid.
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
mod tests;
