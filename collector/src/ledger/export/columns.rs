//! The columns of the formats that are tables.

use Kind::{Double, Integer, Nanos, Text, Time};

/// A column. A name with a dot is that of an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// The type of a column where a format has types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// 64 bits, signed.
    Integer,
    /// Nanoseconds since the Unix epoch; JSON has them as text.
    Nanos,
    /// The time of the record.
    Time,
    Double,
}

/// Name of the column with all attributes as one JSON object.
pub(super) const ATTRIBUTES: &str = "attributes";

/// Ids are texts: as numbers they would lose leading zeros, and digits beyond 2^53.
pub(super) const COLUMNS: [Column; 35] = [
    column("position", Integer),
    column("log.record.uid", Text),
    column("time", Time),
    column("time_unix_nano", Nanos),
    column("observed_time_unix_nano", Nanos),
    column("received_at_unix_nano", Nanos),
    column("event_name", Text),
    column("severity_number", Integer),
    column("service.name", Text),
    column("audit.stream.id", Text),
    column("audit.sequence.number", Integer),
    column("audit.rule", Text),
    column("audit.action", Text),
    column("audit.outcome", Text),
    column("audit.duration_ms", Double),
    column("user.id", Text),
    column("user.name", Text),
    column("user.email", Text),
    column("session.id", Text),
    column("session.token_ref", Text),
    column("client.address", Text),
    column("server.address", Text),
    column("http.request.method", Text),
    column("url.path", Text),
    column("http.route", Text),
    column("http.response.status_code", Integer),
    column("rpc.method", Text),
    column("rpc.response.status_code", Text),
    column("error.message", Text),
    column("trace_id", Text),
    column("span_id", Text),
    column("body", Text),
    column("flags", Text),
    column("hash", Text),
    column(ATTRIBUTES, Text),
];

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}
