//! Objects of an event.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{VERSION, milliseconds};
use crate::ledger::StoredEntry;
use crate::ledger::export::fields::{Fields, object};

/// In the place of a value that a class requires and the record does not have.
const UNKNOWN: &str = "unknown";

/// The methods of the schema; another one stays among what is unmapped.
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// The status of the call, else that of HTTP.
pub(super) fn status_code(fields: &Fields) -> Option<Value> {
    let http = fields.see_integer("http.response.status_code");
    fields
        .see("rpc.response.status_code")
        .map(Value::from)
        .or_else(|| Some(http?.to_string().into()))
}

/// What made the record.
pub(super) fn product(fields: &Fields) -> Value {
    json!({
        "name": fields.see("telemetry.sdk.name").unwrap_or(UNKNOWN),
        "version": fields.see("telemetry.sdk.version").unwrap_or(UNKNOWN),
    })
}

pub(super) fn metadata(row: &StoredEntry, fields: &mut Fields) -> Value {
    let logged = milliseconds(row.entry.received_at);
    let metadata = object([
        ("version", Some(VERSION.into())),
        ("product", Some(product(fields))),
        ("uid", fields.text("log.record.uid")),
        ("event_code", fields.text("event_name")),
        ("log_provider", Some("audit-collector".into())),
        ("log_name", fields.text("audit.stream.id")),
        ("sequence", fields.integer("audit.sequence.number")),
        ("correlation_uid", fields.text("trace_id")),
        ("original_time", fields.text("time")),
        ("logged_time", Some(logged.into())),
    ]);

    fields.drop(&["telemetry.sdk.name", "telemetry.sdk.version"]);
    metadata.unwrap_or_default()
}

/// The classes require a user with an id or a name. A login that fails often has none.
pub(super) fn user(fields: &mut Fields) -> Value {
    let (id, name) = (fields.text("user.id"), fields.text("user.name"));
    let is_unknown = id.is_none() && name.is_none();
    let email = if fields.see("user.email").is_some_and(is_email) {
        fields.text("user.email")
    } else {
        None
    };

    let user = object([
        ("uid", id),
        ("name", name.or_else(|| is_unknown.then(|| UNKNOWN.into()))),
        ("email_addr", email),
        ("type_id", is_unknown.then(|| 0.into())),
    ]);
    user.unwrap_or_default()
}

/// Whether the schema takes it: its pattern is narrower than RFC 5322.
fn is_email(text: &str) -> bool {
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+,-./=?^_`{|}~".contains(c);
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is =
        |text: &str, is_part: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(is_part);

    text.split_once('@').is_some_and(|(local, domain)| {
        let (host, rest) = domain.split_once('.').unwrap_or_default();
        is(local, &is_local) && is(host, &is_host) && is(rest, &|c| is_host(c) || c == '.')
    })
}

pub(super) fn session(fields: &mut Fields) -> Option<Value> {
    object([
        ("uid", fields.text("session.id")),
        ("credential_uid", fields.text("session.token_ref")),
    ])
}

pub(super) fn service(fields: &Fields) -> Value {
    json!({"name": fields.see("service.name").unwrap_or(UNKNOWN)})
}

pub(super) fn api(fields: &mut Fields) -> Option<Value> {
    let code = fields.see_integer("http.response.status_code");
    let response = object([
        ("code", code.map(Value::from)),
        (
            "error",
            fields
                .text("rpc.response.status_code")
                .filter(|status| status != "OK"),
        ),
        ("error_message", fields.text("error.message")),
    ]);

    let operation = fields.text("audit.action");
    object([
        ("operation", operation.or_else(|| Some(UNKNOWN.into()))),
        ("service", Some(service(fields))),
        ("response", response),
    ])
}

pub(super) fn source(fields: &mut Fields) -> Value {
    let address = fields.text("client.address");
    let address = address.as_ref().and_then(Value::as_str).unwrap_or(UNKNOWN);
    match address.parse::<IpAddr>() {
        Ok(ip) => json!({"ip": ip}),
        Err(_) => json!({"name": address}),
    }
}

/// The service as the client names it.
pub(super) fn destination(fields: &mut Fields) -> Option<Value> {
    object([
        ("hostname", fields.text("server.address")),
        ("port", fields.port("server.port")),
        ("svc_name", fields.text("service.name")),
    ])
}

pub(super) fn http_request(fields: &mut Fields) -> Option<Value> {
    let host = fields.see("server.address").map(Value::from);
    let path = fields.text("url.path");
    let url = path.and_then(|path| object([("path", Some(path)), ("hostname", host)]));

    object([
        (
            "http_method",
            fields.text_of("http.request.method", &METHODS),
        ),
        ("url", url),
        ("version", fields.text("network.protocol.version")),
        ("user_agent", fields.text("user_agent.original")),
        ("uid", fields.text("audit.request_id")),
    ])
}

pub(super) fn http_response(fields: &mut Fields) -> Option<Value> {
    object([("code", fields.integer("http.response.status_code"))])
}
