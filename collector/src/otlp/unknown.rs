//! Unknown fields of a body of which nothing was taken: those of traces or metrics, or of a record
//! without the messages around it. OTLP ignores unknown fields, but an answer of success to such a
//! body would acknowledge what is thrown away.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{DecodeError, MAX_MESSAGE_CHARS};

/// A message, or a list of such messages.
#[derive(Clone, Copy)]
enum Message {
    Logs,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
}

impl Message {
    /// What a field holds: another of these messages or something else; `None` when it is unknown.
    fn field(self, name: &str) -> Option<Option<Self>> {
        match (self, name) {
            (Self::Logs, "resourceLogs" | "resource_logs") => Some(Some(Self::ResourceLogs)),
            (Self::ResourceLogs, "scopeLogs" | "scope_logs") => Some(Some(Self::ScopeLogs)),
            (Self::ScopeLogs, "logRecords" | "log_records") => Some(Some(Self::LogRecord)),
            (Self::ResourceLogs, "resource")
            | (Self::ScopeLogs, "scope")
            | (Self::ResourceLogs | Self::ScopeLogs, "schemaUrl" | "schema_url")
            | (
                Self::LogRecord,
                "timeUnixNano"
                | "time_unix_nano"
                | "observedTimeUnixNano"
                | "observed_time_unix_nano"
                | "severityNumber"
                | "severity_number"
                | "severityText"
                | "severity_text"
                | "body"
                | "attributes"
                | "droppedAttributesCount"
                | "dropped_attributes_count"
                | "flags"
                | "traceId"
                | "trace_id"
                | "spanId"
                | "span_id"
                | "eventName"
                | "event_name",
            ) => Some(None),
            _ => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Message {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match self.field(&name) {
                None => return Err(A::Error::custom(excerpt(&name))),
                Some(Some(inner)) => map.next_value_seed(inner)?,
                Some(None) => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

fn excerpt(name: &str) -> String {
    let name: String = name.chars().take(MAX_MESSAGE_CHARS).collect();
    format!("an OTLP logs request has no field `{name}` here")
}

/// Refuses a JSON request with an unknown field; it was decoded before.
pub(super) fn refuse(json: &str) -> Result<(), DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Message::Logs
        .deserialize(&mut deserializer)
        .map_err(|error| nothing_taken(&error.to_string()))
}

/// The refusal of a body of which nothing was taken.
pub(super) fn nothing_taken(why: &str) -> DecodeError {
    DecodeError::Invalid(format!("body has nothing to store: {why}"))
}
