//! NDJSON: one flat JSON object per line, as the filter's `format: ndjson` writes it. Fields and
//! attributes have their names as keys; every key that is not a field is an attribute.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::numbers::{Severity, UnixNano};
use super::{DecodeError, body_text, excerpt, hex_id};
use crate::record::{Content, Record, Request};

/// Prefix of the filter's events. Their lines have no body: it would only repeat attributes.
const FILTER_EVENTS: &str = "audit.";

/// Keys of whole requests, each of which would become a record with one attribute.
const OTLP_REQUESTS: [&str; 6] = [
    "resourceLogs",
    "resource_logs",
    "resourceSpans",
    "resource_spans",
    "resourceMetrics",
    "resource_metrics",
];

/// Reads the records of a checked body.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut request = Request::default();
    lines(body)
        .map(|(number, line)| {
            let content = content(line);
            let content =
                content.map_err(|why| DecodeError::Invalid(format!("line {number} is {why}")))?;
            Ok(request.record(content))
        })
        .collect()
}

/// The lines that are not blank, with their numbers from 1.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    lines
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The content of a line. The error completes the sentence "line 1 is".
pub(super) fn content(line: &[u8]) -> Result<Content, String> {
    let text = str::from_utf8(line).map_err(|error| format!("not valid UTF-8: {error}"))?;
    let Line(content) =
        serde_json::from_str(text).map_err(|error| reason(&error, "not a record"))?;
    Ok(with_body(content))
}

/// What is wrong with a line, and where; `kind` is for JSON of another content.
pub(super) fn reason(error: &serde_json::Error, kind: &str) -> String {
    let kind = if error.is_data() {
        kind
    } else {
        "not valid JSON"
    };
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = excerpt(&error.to_string(), &place);
    format!("{kind}: {message} at column {}", error.column())
}

/// Adds the body that the filter writes for the same record in OTLP, so that both formats store
/// equal records.
fn with_body(mut content: Content) -> Content {
    if content.body.is_none() && content.event_name.starts_with(FILTER_EVENTS) {
        content.body = Some(filters_body(&content));
    }
    content
}

fn filters_body(content: &Content) -> String {
    let Some(action) = content.text("audit.action") else {
        return content.event_name.clone();
    };

    // A record that was acknowledged before its request was forwarded has a stage instead of an
    // outcome.
    match content
        .text("audit.outcome")
        .or_else(|| content.text("audit.stage"))
    {
        Some(outcome) => format!("{action} {outcome}"),
        None => action.to_owned(),
    }
}

struct Line(Content);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut content = Content::default();

        while let Some(name) = map.next_key::<String>()? {
            if OTLP_REQUESTS.contains(&name.as_str()) {
                let message = "it is a request of OTLP, which is application/json";
                return Err(A::Error::custom(message));
            }

            match name.as_str() {
                "time_unix_nano" => content.time_unix_nano = value::<UnixNano, A>(&mut map)?.0,
                "observed_time_unix_nano" => {
                    content.observed_time_unix_nano = value::<UnixNano, A>(&mut map)?.0
                }
                "severity_number" => content.severity_number = value::<Severity, A>(&mut map)?.0,
                "event_name" => content.event_name = value(&mut map)?,
                "trace_id" => content.trace_id = hex_id(&value::<String, A>(&mut map)?, 32),
                "span_id" => content.span_id = hex_id(&value::<String, A>(&mut map)?, 16),
                "body" => content.body = body_text(value(&mut map)?),
                _ => {
                    content.attributes.insert(name, map.next_value::<Value>()?);
                }
            }
        }

        Ok(Line(content))
    }
}

/// The value of a field; null is an absent field, as in OTLP.
fn value<'de, T: Default + Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
