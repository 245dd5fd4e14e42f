//! NDJSON: one flat object per line, with attribute names as keys. The attributes of resource and
//! scope are repeated in every line.

use super::attributes;
use super::name::name;
use super::sink::Sink;
use super::{Frame, Numbered, Resource, Scope};
use crate::record::Event;
use crate::writer::Writer;

/// The end of every record: the attributes of resource and scope, and the line end.
pub(super) fn frame(resource: &Resource, scope: &Scope) -> Frame {
    let mut end = Writer::default();
    let mut sink = Sink::flat(&mut end);

    resource.list(&mut sink);
    scope.list(&mut sink);
    end.push_str("}\n");
    Frame {
        prefix: Writer::default(),
        separator: end.clone(),
        suffix: end,
    }
}

/// One object, without the end that [`frame`] adds.
pub(super) fn record(record: &Numbered<'_>, out: &mut Writer) {
    out.push_str(r#"{"time_unix_nano":"#);
    out.push_int(record.time_unix_nanos);

    let mut sink = Sink::flat(out);
    sink.int(name!("observed_time_unix_nano"), record.observed_unix_nanos);
    sink.word(name!("event_name"), attributes::event_name(record.event));
    let severity = attributes::severity(record.event);
    sink.int(name!("severity_number"), severity.number());
    attributes::list(record, &mut sink);

    if let Event::Exchange(exchange) = record.event
        && let Some(trace) = &exchange.trace
    {
        sink.text(name!("trace_id"), &trace.trace_id);
        sink.text(name!("span_id"), &trace.span_id);
    }
}
