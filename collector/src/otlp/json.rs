//! Reader types for the JSON encoding of OTLP logs: unknown fields are ignored, absent and null fields are empty.
//!
//! The serde support of the `opentelemetry-proto` crate refuses an empty `arrayValue`, `"NaN"` and nulls, and takes an
//! array where a message belongs; all of that is on the wire of other senders, so the types are our own.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `ExportLogsServiceRequest`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Logs {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) resource_logs: Vec<Message<ResourceLogs>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceLogs {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) resource: Message<Resource>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) scope_logs: Vec<Message<ScopeLogs>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) attributes: Vec<Message<KeyValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ScopeLogs {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) log_records: Vec<Message<LogRecord>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogRecord {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) time_unix_nano: UnixNano,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) observed_time_unix_nano: UnixNano,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) severity_number: i32,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) event_name: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) trace_id: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) span_id: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) body: AnyValue,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) attributes: Vec<Message<KeyValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) key: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) value: AnyValue,
}

/// An attribute's value as plain JSON: bytes stay base64 text, NaN and the infinities are strings, empty is null.
#[derive(Default, Deserialize)]
#[serde(try_from = "Message<AnyValueFields>")]
pub(super) struct AnyValue(pub(super) Value);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnyValueFields {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Integer>,
    double_value: Option<Double>,
    bytes_value: Option<String>,
    array_value: Option<Message<ArrayValue>>,
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
            fields.bytes_value.map(Value::from),
            fields.array_value.map(|Message(array)| array.values.into_iter().map(|AnyValue(value)| value).collect()),
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

fn double(value: f64) -> Value {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => value.into(),
    }
}

fn object(list: KeyValueList) -> Value {
    // Sorted first, so that equal lists have equal JSON text whatever order the sender used.
    let sorted: BTreeMap<_, _> = list.values.into_iter().map(|Message(entry)| (entry.key, entry.value.0)).collect();
    Value::Object(sorted.into_iter().collect())
}

/// Nanoseconds since the Unix epoch, not negative.
#[derive(Default, Deserialize)]
#[serde(try_from = "Integer")]
pub(super) struct UnixNano(pub(super) i64);

impl TryFrom<Integer> for UnixNano {
    type Error = &'static str;

    fn try_from(Integer(value): Integer) -> Result<Self, Self::Error> {
        if value < 0 { Err("a time is negative") } else { Ok(Self(value)) }
    }
}

/// An int64, written as a string of digits or as a number.
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a signed 64-bit integer, as a number or as a string of digits")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Integer, E> {
        Ok(Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
        i64::try_from(value).map(Integer).map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Integer, E> {
        value.parse().map(Integer).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
    }
}

/// A double, written as a number or as a string such as `"NaN"`.
struct Double(f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoubleVisitor)
    }
}

struct DoubleVisitor;

impl Visitor<'_> for DoubleVisitor {
    type Value = Double;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, as a number or as a string")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Double, E> {
        Ok(Double(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Double, E> {
        value.parse().map(Double).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
    }
}

/// A protobuf message: a JSON object and nothing else. Derived readers alone would take an array for it.
#[derive(Default)]
pub(super) struct Message<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor(PhantomData)).map(Self)
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
