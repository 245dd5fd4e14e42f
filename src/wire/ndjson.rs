//! NDJSON: one flat object a line, attribute names as keys, the resource's attributes repeated in every line.

use std::time::Duration;

use super::attributes::{self, Sink};
use super::{Frame, Numbered, Resource};
use crate::json::{push_int, push_millis, push_text};
use crate::record::Event;
use crate::time::nanos;

/// What ends every record: the resource's attributes and the end of the line.
pub(super) fn frame(resource: &Resource<'_>) -> Frame {
    let mut end = String::new();
    resource.list(&mut Members(&mut end));
    end.push_str("}\n");
    Frame { prefix: String::new(), separator: end.clone(), suffix: end }
}

/// One object, left open for the [`frame`].
pub(super) fn record(record: &Numbered<'_>, out: &mut String) {
    out.push_str(r#"{"time_unix_nano":"#);
    push_int(out, record.time_unix_nanos);
    let mut members = Members(out);
    members.int("observed_time_unix_nano", record.observed_unix_nanos);
    members.text("event_name", attributes::event_name(record.event).as_bytes());
    members.int("severity_number", attributes::severity(record.event));
    attributes::list(record, &mut members);
    if let Event::Exchange(exchange) = record.event
        && let Some(trace) = &exchange.trace
    {
        members.text("trace_id", &trace.trace_id);
        members.text("span_id", &trace.span_id);
    }
}

struct Members<'o>(&'o mut String);

impl Members<'_> {
    /// Writes a name; the caller writes its value.
    fn open(&mut self, name: &str) -> &mut String {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0
    }
}

impl Sink for Members<'_> {
    fn text(&mut self, name: &str, value: &[u8]) {
        push_text(self.open(name), value);
    }

    fn int(&mut self, name: &str, value: u64) {
        push_int(self.open(name), value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.open(name).push_str(if value { "true" } else { "false" });
    }

    fn millis(&mut self, name: &str, value: Duration) {
        push_millis(self.open(name), nanos(value) / 1000);
    }
}
