//! OTLP/HTTP protobuf logs: one `ExportLogsServiceRequest` with one resource and one scope.
//!
//! Field numbers: opentelemetry-proto `collector/logs/v1/logs_service.proto`, `logs/v1/logs.proto`,
//! `common/v1/common.proto` and `resource/v1/resource.proto`. All are below 16, so a key is one
//! byte.

use super::attributes;
use super::protobuf::{
    FIXED64, Field, LENGTH_DELIMITED, MAX_SHORT, STRING_VALUE, VARINT, field_length, key, push,
    push_field, push_head, push_word,
};
use super::sink::{Sink, utf8};
use super::{Body, Numbered, Resource, Room, SDK_NAME, SDK_VERSION, Scope};
use crate::copy::{copy, copy_ascii};
use crate::record::{Event, TraceContext};
use crate::writer::Writer;

/// `ExportLogsServiceRequest.resource_logs`
const RESOURCE_LOGS: u8 = key(1, LENGTH_DELIMITED);
/// `ResourceLogs.resource`
const RESOURCE: u8 = key(1, LENGTH_DELIMITED);
/// `ResourceLogs.scope_logs`
const SCOPE_LOGS: u8 = key(2, LENGTH_DELIMITED);
/// `ScopeLogs.scope`
const SCOPE: u8 = key(1, LENGTH_DELIMITED);
/// `ScopeLogs.log_records`
const LOG_RECORDS: u8 = key(2, LENGTH_DELIMITED);
/// `InstrumentationScope.name`
const SCOPE_NAME: u8 = key(1, LENGTH_DELIMITED);
/// `InstrumentationScope.version`
const SCOPE_VERSION: u8 = key(2, LENGTH_DELIMITED);

/// `Resource.attributes`
const RESOURCE_ATTRIBUTES: u8 = key(1, LENGTH_DELIMITED);
/// `InstrumentationScope.attributes`
const SCOPE_ATTRIBUTES: u8 = key(3, LENGTH_DELIMITED);

/// `LogRecord.time_unix_nano`
const TIME: u8 = key(1, FIXED64);
/// `LogRecord.severity_number`
const SEVERITY: u8 = key(2, VARINT);
/// `LogRecord.severity_text`
const SEVERITY_TEXT: u8 = key(3, LENGTH_DELIMITED);
/// `LogRecord.body`
const BODY: u8 = key(5, LENGTH_DELIMITED);
/// `LogRecord.trace_id`
const TRACE_ID: u8 = key(9, LENGTH_DELIMITED);
/// `LogRecord.span_id`
const SPAN_ID: u8 = key(10, LENGTH_DELIMITED);
/// `LogRecord.observed_time_unix_nano`
const OBSERVED_TIME: u8 = key(11, FIXED64);
/// `LogRecord.event_name`
const EVENT_NAME: u8 = key(12, LENGTH_DELIMITED);

/// Joins `LogRecord`s to a request.
pub(super) fn batch<'f>(
    resource: &Resource,
    scope: &Scope,
    room: Room,
    fragments: impl Iterator<Item = &'f [u8]> + Clone,
) -> Body {
    let (of_resource, of_scope) = (resource_message(resource), scope_message(scope));
    let records: usize = fragments
        .clone()
        .map(|fragment| field_length(fragment.len()))
        .sum();
    let scope_logs = field_length(of_scope.len()) + records;
    let resource_logs = field_length(of_resource.len()) + field_length(scope_logs);

    let mut bytes = room.open(field_length(resource_logs));
    let head = |bytes: &mut Vec<u8>, key, length| {
        bytes.extend_from_slice(Field::head(key, length).as_bytes())
    };

    head(&mut bytes, RESOURCE_LOGS, resource_logs);
    head(&mut bytes, RESOURCE, of_resource.len());
    bytes.extend_from_slice(of_resource.as_bytes());
    head(&mut bytes, SCOPE_LOGS, scope_logs);
    head(&mut bytes, SCOPE, of_scope.len());
    bytes.extend_from_slice(of_scope.as_bytes());

    let mut ranges = Vec::with_capacity(fragments.clone().count());
    for fragment in fragments {
        head(&mut bytes, LOG_RECORDS, fragment.len());
        let start = bytes.len() - room.before;
        bytes.extend_from_slice(fragment);
        ranges.push(start..start + fragment.len());
    }

    Body {
        bytes,
        fragments: ranges,
    }
}

/// `Resource`
fn resource_message(resource: &Resource) -> Writer {
    let mut out = Writer::default();
    resource.list(&mut Sink::protobuf(&mut out, RESOURCE_ATTRIBUTES));
    out
}

/// `InstrumentationScope`
fn scope_message(scope: &Scope) -> Writer {
    let mut out = Writer::default();
    push_field(&mut out, SCOPE_NAME, SDK_NAME.as_bytes());
    push_field(&mut out, SCOPE_VERSION, SDK_VERSION.as_bytes());
    scope.list(&mut Sink::protobuf(&mut out, SCOPE_ATTRIBUTES));
    out
}

/// One `LogRecord`.
pub(super) fn record(record: &Numbered<'_>, out: &mut Writer) {
    let severity = attributes::severity(record.event);
    for field in [
        Field::fixed64(TIME, record.time_unix_nanos),
        Field::fixed64(OBSERVED_TIME, record.observed_unix_nanos),
        Field::varint(SEVERITY, severity.number()),
    ] {
        push(out, &field);
    }

    push_word(out, SEVERITY_TEXT, severity.text());
    push_word(out, EVENT_NAME, attributes::event_name(record.event));
    push_body(record.event, out);
    attributes::list(record, &mut Sink::record(out));

    if let Event::Exchange(exchange) = record.event
        && let Some(trace) = &exchange.trace
    {
        push_trace(trace, out);
    }
}

/// `AnyValue` of `<action> <outcome>`.
fn push_body(event: &Event, out: &mut Writer) {
    let [action, space, word] = attributes::body(event);
    if push_short_body(out, action, space, word) {
        return;
    }

    let action = utf8(action);
    let length = action.len() + space.len() + word.len();
    push_head(out, BODY, field_length(length));
    push_head(out, STRING_VALUE, length);
    out.push_bytes(&action);
    out.push_bytes(space);
    out.push_bytes(word);
}

/// Writes a body of ASCII whose length is one byte. False: it is not such a one, and nothing is
/// written.
fn push_short_body(out: &mut Writer, action: &[u8], space: &[u8], word: &[u8]) -> bool {
    let length = action.len() + space.len() + word.len();
    let bytes = BODY_HEAD + length;
    if bytes - 2 > MAX_SHORT {
        return false;
    }

    let head = [BODY, length as u8 + 2, STRING_VALUE, length as u8];
    let written = out.fill(bytes, |room| {
        let is_put = put_body(room, head, [action, space, word]);
        if is_put == Some(true) { bytes } else { 0 }
    });
    written > 0
}

/// Bytes before the text of a short body.
const BODY_HEAD: usize = 4;

/// Fills the room for a short body. Yields whether the action is ASCII; `None`: the room is too
/// small.
#[inline(always)]
fn put_body(
    room: &mut [u8],
    head: [u8; BODY_HEAD],
    [action, space, word]: [&[u8]; 3],
) -> Option<bool> {
    let (start, room) = room.split_first_chunk_mut()?;
    *start = head;
    let (text, room) = room.split_at_mut_checked(action.len())?;
    let (between, end) = room.split_at_mut_checked(space.len())?;
    copy(between, space);
    copy(end, word);

    Some(copy_ascii(text, action))
}

/// In protobuf, ids are bytes.
fn push_trace(trace: &TraceContext, out: &mut Writer) {
    for (key, digits) in [
        (TRACE_ID, trace.trace_id.as_slice()),
        (SPAN_ID, &trace.span_id),
    ] {
        push_head(out, key, digits.len() / 2);
        for [high, low] in digits.as_chunks().0 {
            out.push(hex_value(*high) << 4 | hex_value(*low));
        }
    }
}

/// The value of a lower-case hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit & 0x0f,
    }
}
