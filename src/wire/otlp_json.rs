//! OTLP/HTTP JSON logs: one `ExportLogsServiceRequest` with one resource and one scope.
//!
//! Encoding: opentelemetry-proto `docs/specification.md`, "JSON Protobuf Encoding" (lowerCamelCase
//! names, 64-bit integers as decimal strings, ids as hexadecimal digits).

use super::attributes;
use super::sink::Sink;
use super::{Frame, Numbered, Resource, SDK_NAME, SDK_VERSION, Scope};
use crate::record::Event;
use crate::writer::Writer;

/// The request around the records of a batch.
pub(super) fn frame(resource: &Resource, scope: &Scope) -> Frame {
    Frame {
        prefix: prefix(resource, scope),
        separator: piece(","),
        suffix: piece("]}]}]}"),
    }
}

fn piece(text: &str) -> Writer {
    let mut out = Writer::default();
    out.push_str(text);
    out
}

fn prefix(resource: &Resource, scope: &Scope) -> Writer {
    let mut out = piece(r#"{"resourceLogs":[{"resource":{"attributes":["#);
    resource.list(&mut Sink::json(&mut out));
    out.push_str(r#"]},"scopeLogs":[{"scope":{"name":""#);
    out.push_str(SDK_NAME);
    out.push_str(r#"","version":""#);
    out.push_str(SDK_VERSION);
    out.push_str(r#"","attributes":["#);

    scope.list(&mut Sink::json(&mut out));
    out.push_str(r#"]},"logRecords":["#);
    out
}

/// One `LogRecord`.
pub(super) fn record(record: &Numbered<'_>, out: &mut Writer) {
    out.push_piece(br#"{"timeUnixNano":""#);
    out.push_int(record.time_unix_nanos);
    out.push_piece(br#"","observedTimeUnixNano":""#);
    out.push_int(record.observed_unix_nanos);
    out.push_piece(br#"","severityNumber":"#);
    let severity = attributes::severity(record.event);
    out.push_int(severity.number());
    out.push_piece(br#","severityText":""#);
    out.push_str(severity.text());
    out.push_piece(br#"","eventName":""#);
    out.push_str(attributes::event_name(record.event));
    out.push_piece(br#"","body":{"stringValue":""#);

    let [action, space, word] = attributes::body(record.event);
    out.push_inside(action);
    out.push_bytes(space);
    out.push_bytes(word);
    out.push_piece(br#""},"attributes":["#);
    attributes::list(record, &mut Sink::json(out));
    out.push(b']');
    push_trace(record.event, out);
    out.push(b'}');
}

fn push_trace(event: &Event, out: &mut Writer) {
    let Event::Exchange(exchange) = event else {
        return;
    };
    let Some(trace) = &exchange.trace else { return };
    out.push_piece(br#","traceId":""#);
    out.push_piece(&trace.trace_id);
    out.push_piece(br#"","spanId":""#);
    out.push_piece(&trace.span_id);
    out.push(b'"');
}
