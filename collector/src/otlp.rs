//! From the bytes of an OTLP request to records.

mod json;
pub mod limits;

use serde_json::Value;

use crate::record::{Attributes, Content, Record};
use json::{AnyValue, KeyValue, LogRecord, Logs, Message, ResourceLogs};

/// Most characters of a decoder's message that are repeated to the client; a message can quote the client's own text.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a body was not read, with the sentence that the client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not an OTLP logs request; the sentence says where and why.
    #[error("{0}")]
    Invalid(String),
    /// It would cost more than one request may, see [`limits`].
    #[error("{0}")]
    TooLarge(String),
}

/// Reads an OTLP logs request in its JSON encoding; the records come in the order of the request.
///
/// # Errors
///
/// When `body` is not JSON, a field has a wrong type, or one of [`limits`] is exceeded. The message names the place of
/// a wrong field and is bounded in length.
pub fn decode_json(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    // The JSON reader would not look into the strings that it skips.
    let text =
        str::from_utf8(body).map_err(|error| DecodeError::Invalid(format!("body is not valid UTF-8: {error}")))?;
    limits::check_text(text)?;
    let Message(logs) = serde_json::from_str::<Message<Logs>>(text).map_err(|error| refusal(&error))?;
    limits::check_logs(&logs)?;
    Ok(logs.resource_logs.into_iter().flat_map(|Message(group)| records(group)).collect())
}

fn refusal(error: &serde_json::Error) -> DecodeError {
    let kind = if error.is_data() { "not an OTLP logs request" } else { "not valid JSON" };
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let message: String = text.strip_suffix(&place).unwrap_or(&text).chars().take(MAX_MESSAGE_CHARS).collect();
    DecodeError::Invalid(format!("body is {kind}: {message}{place}"))
}

fn records(group: ResourceLogs) -> impl Iterator<Item = Record> {
    let resource = attributes(group.resource.0.attributes);
    let logs = group.scope_logs.into_iter().flat_map(|Message(scope)| scope.log_records);
    logs.map(move |Message(log)| record(&resource, log))
}

fn record(resource: &Attributes, log: LogRecord) -> Record {
    let mut all = resource.clone();
    all.extend(attributes(log.attributes));
    Record::from(Content {
        time_unix_nano: log.time_unix_nano.0,
        observed_time_unix_nano: log.observed_time_unix_nano.0,
        severity_number: log.severity_number,
        event_name: log.event_name,
        trace_id: hex_id(&log.trace_id, 32),
        span_id: hex_id(&log.span_id, 16),
        body: body_text(log.body),
        attributes: all,
    })
}

fn attributes(list: Vec<Message<KeyValue>>) -> Attributes {
    list.into_iter().map(|Message(entry)| (entry.key, entry.value.0)).collect()
}

/// OTLP wants an invalid id to be read as no id (`logs.proto`, `trace_id`), and all zeros is invalid.
fn hex_id(text: &str, digits: usize) -> Option<String> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let valid = well_formed && text.bytes().any(|byte| byte != b'0');
    valid.then(|| text.to_ascii_lowercase())
}

fn body_text(AnyValue(body): AnyValue) -> Option<String> {
    match body {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
