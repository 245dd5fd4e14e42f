//! OTLP/HTTP JSON logs: one `ExportLogsServiceRequest` with one resource and one scope.
//!
//! Field rules: opentelemetry-proto `docs/specification.md`, "JSON Protobuf Encoding" (lowerCamelCase names, 64-bit
//! integers as decimal strings, ids as hexadecimal digits).

use super::attributes;
use super::sink::Sink;
use super::{Format, Frame, Numbered, Resource, SDK_NAME, SDK_VERSION};
use crate::json::Writer;
use crate::record::Event;

/// The request around the records of a batch.
pub(super) fn frame(resource: &Resource<'_>) -> Frame {
    Frame { prefix: prefix(resource), separator: piece(","), suffix: piece("]}]}]}") }
}

fn piece(text: &str) -> Writer {
    let mut out = Writer::default();
    out.push_str(text);
    out
}

fn prefix(resource: &Resource<'_>) -> Writer {
    let mut out = piece(r#"{"resourceLogs":[{"resource":{"attributes":["#);
    resource.list(Sink::new(&mut out, Format::OtlpJson));
    out.push_str(r#"]},"scopeLogs":[{"scope":{"name":""#);
    out.push_str(SDK_NAME);
    out.push_str(r#"","version":""#);
    out.push_str(SDK_VERSION);
    out.push_str(r#""},"logRecords":["#);
    out
}

/// One `LogRecord`.
pub(super) fn record(record: &Numbered<'_>, out: &mut Writer) {
    out.push_piece(br#"{"timeUnixNano":""#);
    out.push_int(record.time_unix_nanos);
    out.push_piece(br#"","observedTimeUnixNano":""#);
    out.push_int(record.observed_unix_nanos);
    out.push_piece(br#"","severityNumber":"#);
    out.push_int(attributes::severity(record.event));
    out.push_piece(br#","eventName":""#);
    out.push_str(attributes::event_name(record.event));
    out.push_piece(br#"","body":{"stringValue":""#);
    attributes::push_body(record.event, out);
    out.push_piece(br#""},"attributes":["#);
    let mut sink = Sink::new(out, Format::OtlpJson);
    attributes::list(record, &mut sink);
    sink.close();
    out.push(b']');
    push_trace(record.event, out);
    out.push(b'}');
}

fn push_trace(event: &Event, out: &mut Writer) {
    let Event::Exchange(exchange) = event else { return };
    let Some(trace) = &exchange.trace else { return };
    out.push_piece(br#","traceId":""#);
    out.push_piece(&trace.trace_id);
    out.push_piece(br#"","spanId":""#);
    out.push_piece(&trace.span_id);
    out.push(b'"');
}
