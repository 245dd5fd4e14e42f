//! OTLP/HTTP JSON logs: one `ExportLogsServiceRequest` with one resource and one scope.
//!
//! Field rules: opentelemetry-proto `docs/specification.md`, "JSON Protobuf Encoding" (lowerCamelCase names, 64-bit
//! integers as decimal strings, ids as hexadecimal digits).

use std::time::Duration;

use super::attributes::{self, Sink};
use super::{Frame, Numbered, Resource, SDK_NAME, SDK_VERSION};
use crate::json::{push_inside, push_int, push_millis, push_text};
use crate::record::Event;
use crate::time::nanos;

/// The request around the records of a batch.
pub(super) fn frame(resource: &Resource<'_>) -> Frame {
    Frame { prefix: prefix(resource), separator: ",".to_owned(), suffix: "]}]}]}".to_owned() }
}

fn prefix(resource: &Resource<'_>) -> String {
    let mut out = String::from(r#"{"resourceLogs":[{"resource":{"attributes":["#);
    resource.list(&mut Attributes { out: &mut out, is_first: true });
    out.push_str(r#"]},"scopeLogs":[{"scope":{"name":""#);
    out.push_str(SDK_NAME);
    out.push_str(r#"","version":""#);
    out.push_str(SDK_VERSION);
    out.push_str(r#""},"logRecords":["#);
    out
}

/// One `LogRecord`.
pub(super) fn record(record: &Numbered<'_>, out: &mut String) {
    out.push_str(r#"{"timeUnixNano":""#);
    push_int(out, record.time_unix_nanos);
    out.push_str(r#"","observedTimeUnixNano":""#);
    push_int(out, record.observed_unix_nanos);
    out.push_str(r#"","severityNumber":"#);
    push_int(out, attributes::severity(record.event));
    out.push_str(r#","eventName":""#);
    out.push_str(attributes::event_name(record.event));
    out.push_str(r#"","body":{"stringValue":""#);
    attributes::push_body(record.event, out);
    out.push_str(r#""},"attributes":["#);
    attributes::list(record, &mut Attributes { out, is_first: true });
    out.push(']');
    push_trace(record.event, out);
    out.push('}');
}

fn push_trace(event: &Event, out: &mut String) {
    let Event::Exchange(exchange) = event else { return };
    let Some(trace) = &exchange.trace else { return };
    out.push_str(r#","traceId":"#);
    push_text(out, &trace.trace_id);
    out.push_str(r#","spanId":"#);
    push_text(out, &trace.span_id);
}

struct Attributes<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl Attributes<'_> {
    /// Writes a name and the start of its value; the caller writes the rest, up to `}}`.
    fn open(&mut self, name: &str, kind: &str) -> &mut String {
        self.out.push_str(if std::mem::take(&mut self.is_first) { r#"{"key":""# } else { r#",{"key":""# });
        self.out.push_str(name);
        self.out.push_str(kind);
        self.out
    }
}

impl Sink for Attributes<'_> {
    fn text(&mut self, name: &str, value: &[u8]) {
        let out = self.open(name, r#"","value":{"stringValue":""#);
        push_inside(out, value);
        out.push_str(r#""}}"#);
    }

    fn int(&mut self, name: &str, value: u64) {
        let out = self.open(name, r#"","value":{"intValue":""#);
        push_int(out, value);
        out.push_str(r#""}}"#);
    }

    fn flag(&mut self, name: &str, value: bool) {
        let out = self.open(name, r#"","value":{"boolValue":"#);
        out.push_str(if value { "true}}" } else { "false}}" });
    }

    fn millis(&mut self, name: &str, value: Duration) {
        let out = self.open(name, r#"","value":{"doubleValue":"#);
        push_millis(out, nanos(value) / 1000);
        out.push_str("}}");
    }
}
