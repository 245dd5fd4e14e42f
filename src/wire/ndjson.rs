//! NDJSON: one flat object a line, attribute names as keys, the resource's attributes repeated in every line.

use super::attributes;
use super::sink::{Sink, name};
use super::{Format, Frame, Numbered, Resource};
use crate::json::Writer;
use crate::record::Event;

/// What ends every record: the resource's attributes and the end of the line.
pub(super) fn frame(resource: &Resource<'_>) -> Frame {
    let mut end = Writer::default();
    resource.list(Sink::new(&mut end, Format::Ndjson));
    end.push_str("}\n");
    Frame { prefix: Writer::default(), separator: end.clone(), suffix: end }
}

/// One object, left open for the [`frame`].
pub(super) fn record(record: &Numbered<'_>, out: &mut Writer) {
    out.push_str(r#"{"time_unix_nano":"#);
    out.push_int(record.time_unix_nanos);
    let mut sink = Sink::new(out, Format::Ndjson);
    sink.int(name!(int "observed_time_unix_nano"), record.observed_unix_nanos);
    sink.word(name!(text "event_name"), attributes::event_name(record.event));
    sink.int(name!(int "severity_number"), attributes::severity(record.event));
    attributes::list(record, &mut sink);
    if let Event::Exchange(exchange) = record.event
        && let Some(trace) = &exchange.trace
    {
        sink.text(name!(text "trace_id"), &trace.trace_id);
        sink.text(name!(text "span_id"), &trace.span_id);
    }
}
