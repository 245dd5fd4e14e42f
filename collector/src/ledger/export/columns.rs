//! The columns of the formats that are tables.

/// Name of the column with all attributes as one JSON object.
pub(super) const ATTRIBUTES: &str = "attributes";

/// A name with a dot is that of an attribute.
pub(super) const COLUMNS: [&str; 35] = [
    "position",
    "log.record.uid",
    "time",
    "time_unix_nano",
    "observed_time_unix_nano",
    "received_at_unix_nano",
    "event_name",
    "severity_number",
    "service.name",
    "audit.stream.id",
    "audit.sequence.number",
    "audit.rule",
    "audit.action",
    "audit.outcome",
    "audit.duration_ms",
    "user.id",
    "user.name",
    "user.email",
    "session.id",
    "session.token_ref",
    "client.address",
    "server.address",
    "http.request.method",
    "url.path",
    "http.route",
    "http.response.status_code",
    "rpc.method",
    "rpc.response.status_code",
    "error.message",
    "trace_id",
    "span_id",
    "body",
    "flags",
    "hash",
    ATTRIBUTES,
];
