//! The protobuf encoding of OTLP logs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Typed;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use serde_json::Value;

use super::numbers::{UnixNano, double};
use super::scan::{refusal, unknown_field};
use super::unknown::nothing_taken;
use super::{DecodeError, Group, Scope, body_text, hex_id};
use crate::record::{Attributes, Content, Record};

/// Reads the records of a checked body.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let logs =
        ExportLogsServiceRequest::decode(body).map_err(|error| refusal(&error.to_string()))?;
    let groups = logs.resource_logs.into_iter().map(Group::from);
    let decoded = super::records(groups.collect(), content)?;

    if decoded.is_void
        && let Some(number) = unknown_field(body)?
    {
        let why = format!("an OTLP logs request has no field {number} where the body has it");
        return Err(nothing_taken(&why));
    }
    Ok(decoded.records)
}

impl From<ResourceLogs> for Group<LogRecord> {
    fn from(group: ResourceLogs) -> Self {
        Self {
            resource: attributes(group.resource.unwrap_or_default().attributes),
            scopes: group.scope_logs.into_iter().map(Scope::from).collect(),
        }
    }
}

impl From<ScopeLogs> for Scope<LogRecord> {
    fn from(scope: ScopeLogs) -> Self {
        Self {
            attributes: attributes(scope.scope.unwrap_or_default().attributes),
            logs: scope.log_records,
        }
    }
}

fn content(log: LogRecord) -> Content {
    Content {
        time_unix_nano: UnixNano::from(log.time_unix_nano).0,
        observed_time_unix_nano: UnixNano::from(log.observed_time_unix_nano).0,
        severity_number: log.severity_number,
        event_name: log.event_name,
        trace_id: hex_id(&hex(&log.trace_id), 32),
        span_id: hex_id(&hex(&log.span_id), 16),
        body: body_text(plain(log.body)),
        attributes: attributes(log.attributes),
    }
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    list.into_iter()
        .map(|entry| (entry.key, plain(entry.value)))
        .collect()
}

/// A value as plain JSON, equal to that of the JSON encoding: bytes are base64 text, empty is null.
fn plain(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        // `StringValueStrindex` is an index into a table that only profiles have.
        None | Some(Typed::StringValueStrindex(_)) => Value::Null,
        Some(Typed::StringValue(text)) => text.into(),
        Some(Typed::BoolValue(value)) => value.into(),
        Some(Typed::IntValue(value)) => value.into(),
        Some(Typed::DoubleValue(value)) => double(value),
        Some(Typed::BytesValue(bytes)) => BASE64_STANDARD.encode(&bytes).into(),
        Some(Typed::ArrayValue(array)) => array
            .values
            .into_iter()
            .map(|value| plain(Some(value)))
            .collect(),
        Some(Typed::KvlistValue(list)) => object(list.values),
    }
}

fn object(list: Vec<KeyValue>) -> Value {
    let sorted: BTreeMap<_, _> = attributes(list);
    Value::Object(sorted.into_iter().collect())
}

/// An id of more than 16 bytes is invalid, so no more than 17 of them are written out.
fn hex(id: &[u8]) -> String {
    id.iter()
        .take(MAX_ID_BYTES + 1)
        .fold(String::new(), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Bytes of a trace id; a span id has half of them.
const MAX_ID_BYTES: usize = 16;

#[cfg(test)]
mod tests;
