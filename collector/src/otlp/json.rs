//! The JSON encoding of OTLP logs: unknown fields are ignored, absent and null fields are empty. A
//! field has its lowerCamelCase name or, as in every reader of protobuf's JSON, its name in the
//! `.proto` file.
//!
//! The serde support of the `opentelemetry-proto` crate refuses an empty `arrayValue`, `"NaN"` and
//! nulls, and accepts an array in place of a message. All of these occur on the wire, so this
//! module has separate types.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::numbers::{Double, Integer, Severity, UnixNano, double};
use super::{DecodeError, Group, Scope, body_text, excerpt, hex_id, unknown};
use crate::record::{Attributes, Content, Record};

/// The body as text.
pub(super) fn text(body: &[u8]) -> Result<&str, DecodeError> {
    // The JSON parser does not validate the strings that it skips.
    str::from_utf8(body)
        .map_err(|error| DecodeError::Invalid(format!("body is not valid UTF-8: {error}")))
}

/// Reads the records of a checked body.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let text = text(body)?;
    let decoded = super::records(groups(text).map_err(|error| refusal(&error))?, content)?;
    if decoded.is_void {
        unknown::refuse(text)?;
    }
    Ok(decoded.records)
}

/// Calls `each` for every record of a request, which has no limit but its length. A request may be
/// the bare list of its resources.
pub(super) fn for_each(text: &str, mut each: impl FnMut(Content)) -> serde_json::Result<()> {
    let groups = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<Message<ResourceLogs>>>(text).map(into_groups)
    } else {
        groups(text)
    };
    super::for_each_content(groups?, content, |content, _| each(content));
    Ok(())
}

fn groups(text: &str) -> serde_json::Result<Vec<Group<LogRecord>>> {
    let Message(logs) = serde_json::from_str::<Message<Logs>>(text)?;
    Ok(into_groups(logs.resource_logs))
}

fn into_groups(resources: Vec<Message<ResourceLogs>>) -> Vec<Group<LogRecord>> {
    let groups = resources.into_iter();
    groups.map(|Message(group)| group.into()).collect()
}

fn refusal(error: &serde_json::Error) -> DecodeError {
    let kind = if error.is_data() {
        "not an OTLP logs request"
    } else {
        "not valid JSON"
    };
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = excerpt(&error.to_string(), &place);
    DecodeError::Invalid(format!("body is {kind}: {message}{place}"))
}

impl From<ResourceLogs> for Group<LogRecord> {
    fn from(group: ResourceLogs) -> Self {
        let scopes = group
            .scope_logs
            .into_iter()
            .map(|Message(scope)| scope.into());
        Self {
            resource: attributes(group.resource.0.attributes),
            scopes: scopes.collect(),
        }
    }
}

impl From<ScopeLogs> for Scope<LogRecord> {
    fn from(scope: ScopeLogs) -> Self {
        let logs = scope.log_records.into_iter().map(|Message(log)| log);
        Self {
            attributes: attributes(scope.scope.0.attributes),
            logs: logs.collect(),
        }
    }
}

fn content(log: LogRecord) -> Content {
    Content {
        time_unix_nano: log.time_unix_nano.0,
        observed_time_unix_nano: log.observed_time_unix_nano.0,
        severity_number: log.severity_number.0,
        event_name: log.event_name,
        trace_id: hex_id(&log.trace_id, 32),
        span_id: hex_id(&log.span_id, 16),
        body: body_text(log.body.0),
        attributes: attributes(log.attributes),
    }
}

fn attributes(list: Vec<Message<KeyValue>>) -> Attributes {
    list.into_iter()
        .map(|Message(entry)| (entry.key, entry.value.0))
        .collect()
}

/// `ExportLogsServiceRequest`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Logs {
    #[serde(alias = "resource_logs", deserialize_with = "null_is_empty")]
    resource_logs: Vec<Message<ResourceLogs>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceLogs {
    #[serde(deserialize_with = "null_is_empty")]
    resource: Message<Attributed>,
    #[serde(alias = "scope_logs", deserialize_with = "null_is_empty")]
    scope_logs: Vec<Message<ScopeLogs>>,
}

/// A resource or a scope.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributed {
    #[serde(deserialize_with = "null_is_empty")]
    attributes: Vec<Message<KeyValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScopeLogs {
    #[serde(deserialize_with = "null_is_empty")]
    scope: Message<Attributed>,
    #[serde(alias = "log_records", deserialize_with = "null_is_empty")]
    log_records: Vec<Message<LogRecord>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogRecord {
    #[serde(alias = "time_unix_nano", deserialize_with = "null_is_empty")]
    time_unix_nano: UnixNano,
    #[serde(alias = "observed_time_unix_nano", deserialize_with = "null_is_empty")]
    observed_time_unix_nano: UnixNano,
    #[serde(alias = "severity_number", deserialize_with = "null_is_empty")]
    severity_number: Severity,
    #[serde(alias = "event_name", deserialize_with = "null_is_empty")]
    event_name: String,
    #[serde(alias = "trace_id", deserialize_with = "null_is_empty")]
    trace_id: String,
    #[serde(alias = "span_id", deserialize_with = "null_is_empty")]
    span_id: String,
    #[serde(deserialize_with = "null_is_empty")]
    body: AnyValue,
    #[serde(deserialize_with = "null_is_empty")]
    attributes: Vec<Message<KeyValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    #[serde(deserialize_with = "null_is_empty")]
    key: String,
    #[serde(deserialize_with = "null_is_empty")]
    value: AnyValue,
}

/// An attribute's value as plain JSON: bytes stay base64 text, NaN and the infinities are strings,
/// empty is null.
#[derive(Default, Deserialize)]
#[serde(try_from = "Message<AnyValueFields>")]
struct AnyValue(Value);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnyValueFields {
    #[serde(alias = "string_value")]
    string_value: Option<String>,
    #[serde(alias = "bool_value")]
    bool_value: Option<bool>,
    #[serde(alias = "int_value")]
    int_value: Option<Integer>,
    #[serde(alias = "double_value")]
    double_value: Option<Double>,
    #[serde(alias = "bytes_value")]
    bytes_value: Option<String>,
    #[serde(alias = "array_value")]
    array_value: Option<Message<ArrayValue>>,
    #[serde(alias = "kvlist_value")]
    kvlist_value: Option<Message<KeyValueList>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ArrayValue {
    #[serde(deserialize_with = "null_is_empty")]
    values: Vec<AnyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyValueList {
    #[serde(deserialize_with = "null_is_empty")]
    values: Vec<Message<KeyValue>>,
}

impl TryFrom<Message<AnyValueFields>> for AnyValue {
    type Error = &'static str;

    fn try_from(Message(fields): Message<AnyValueFields>) -> Result<Self, Self::Error> {
        let mut given = [
            fields.string_value.map(Value::from),
            fields.bool_value.map(Value::from),
            fields.int_value.map(|Integer(value)| value.into()),
            fields.double_value.map(|Double(value)| double(value)),
            fields.bytes_value.map(|text| base64(text).into()),
            fields.array_value.map(|Message(array)| {
                array
                    .values
                    .into_iter()
                    .map(|AnyValue(value)| value)
                    .collect()
            }),
            fields.kvlist_value.map(|Message(list)| object(list)),
        ]
        .into_iter()
        .flatten();

        let value = given.next().unwrap_or_default();
        if given.next().is_some() {
            return Err("a value is given in more than one type");
        }
        Ok(Self(value))
    }
}

/// Bytes in the standard alphabet with padding. Protobuf's JSON mapping also allows the other
/// alphabet, and no padding. Text that is not base64 is kept.
fn base64(text: String) -> String {
    let standard = text
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    match BASE64_STANDARD_NO_PAD.decode(standard) {
        Ok(bytes) => BASE64_STANDARD.encode(bytes),
        Err(_) => text,
    }
}

fn object(list: KeyValueList) -> Value {
    // Sorted first, so that equal lists have equal JSON text whatever order the sender used.
    let sorted: BTreeMap<_, _> = list
        .values
        .into_iter()
        .map(|Message(entry)| (entry.key, entry.value.0))
        .collect();
    Value::Object(sorted.into_iter().collect())
}

/// A protobuf message: a JSON object and nothing else. Derived readers alone would accept an array
/// for it.
#[derive(Default)]
struct Message<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(MessageVisitor(PhantomData))
            .map(Self)
    }
}

struct MessageVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MessageVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Protobuf's JSON mapping reads null as an absent field.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
