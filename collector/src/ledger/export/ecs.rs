//! ECS, the Elastic Common Schema: one document per line.

use std::io::{self, Write as _};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::Encoder;
use super::fields::{Fields, add, object};
use super::line::Line;
use crate::ledger::StoredEntry;
use crate::time::rfc3339;

/// Version of the schema (github.com/elastic/ecs).
const VERSION: &str = "9.4.0";

pub(super) struct Ecs;

impl Encoder for Ecs {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        rows.iter()
            .try_for_each(|row| writeln!(out, "{}", Value::Object(document(row))))
    }
}

/// What has no place in the schema is in `labels`. `@timestamp` is the time by which the ledger
/// orders the record, `event.start` that which was sent.
fn document(row: &StoredEntry) -> Map<String, Value> {
    let mut fields = Fields::new(Line::new(row));
    let mut document = Map::new();
    add(
        &mut document,
        [
            ("@timestamp", Some(rfc3339(row.entry.at).into())),
            ("ecs", Some(json!({"version": VERSION}))),
            ("event", event(row, &mut fields)),
            ("message", fields.text("body")),
            (
                "log",
                level(row.entry.severity).map(|level| json!({"level": level})),
            ),
            ("error", object([("message", fields.text("error.message"))])),
            ("rule", object([("name", fields.text("audit.rule"))])),
            ("trace", object([("id", fields.text("trace_id"))])),
            ("span", object([("id", fields.text("span_id"))])),
        ],
    );
    add(&mut document, exchange(&mut fields));

    fields.drop(&["time", "time_unix_nano", "observed_time_unix_nano"]);
    fields.drop(&["received_at_unix_nano", "severity_number"]);
    add(&mut document, [("labels", Some(labels(fields)))]);
    document
}

fn event(row: &StoredEntry, fields: &mut Fields) -> Option<Value> {
    let entry = &row.entry;
    let (category, kind) = categories(&entry.event_name, fields);
    let nanos = fields
        .duration("audit.duration_ms")
        .map(|ms| (ms * 1e6).round() as i64);
    let outcome = fields.text("audit.outcome");
    let outcome = outcome.as_ref().and_then(Value::as_str);
    let time = |unix_nano: i64| (unix_nano != 0).then(|| Value::from(rfc3339(unix_nano)));

    object([
        ("kind", Some("event".into())),
        ("category", category.map(Value::from)),
        ("type", Some(kind)),
        ("module", Some("audit_filter".into())),
        ("dataset", Some("audit_filter.record".into())),
        ("provider", fields.text("telemetry.sdk.name")),
        ("code", fields.text("event_name")),
        ("action", fields.text("audit.action")),
        ("outcome", Some(success_or_failure(outcome).into())),
        (
            "reason",
            outcome
                .filter(|outcome| *outcome != "success")
                .map(Value::from),
        ),
        ("id", fields.text("log.record.uid")),
        ("hash", fields.text("hash")),
        ("sequence", fields.integer("audit.sequence.number")),
        ("severity", Some(entry.severity.into())),
        ("start", time(entry.time)),
        ("duration", nanos.map(Value::from)),
        ("created", time(entry.observed_time)),
        ("ingested", time(entry.received_at)),
    ])
}

/// Categories and types that the schema expects together.
fn categories(event_name: &str, fields: &Fields) -> (Option<Vec<&'static str>>, Value) {
    let login = || Some(vec!["authentication", "session"]);

    match (event_name, fields.session_event()) {
        ("audit.http" | "audit.rpc", Some("start")) => (login(), json!(["start"])),
        ("audit.http" | "audit.rpc", Some("end")) => (login(), json!(["end"])),
        ("audit.http" | "audit.rpc", _) => {
            let is_denied = fields.see("audit.outcome") == Some("denied");
            let access = if is_denied {
                json!(["access", "denied"])
            } else {
                json!(["access"])
            };
            (Some(vec!["api"]), access)
        }
        ("audit.stream.start", _) => (None, json!(["start"])),
        ("audit.stream.end", _) => (None, json!(["end"])),
        ("audit.loss", _) => (None, json!(["error"])),
        _ => (None, json!(["info"])),
    }
}

fn success_or_failure(outcome: Option<&str>) -> &'static str {
    match outcome {
        Some("success") => "success",
        Some(_) => "failure",
        None => "unknown",
    }
}

/// From the severity numbers of OpenTelemetry.
fn level(severity: i64) -> Option<&'static str> {
    match severity {
        1..=8 => Some("debug"),
        9..=12 => Some("info"),
        13..=16 => Some("warn"),
        17..=20 => Some("error"),
        21..=24 => Some("fatal"),
        _ => None,
    }
}

fn exchange(fields: &mut Fields) -> [(&'static str, Option<Value>); 7] {
    let user = object([
        ("id", fields.text("user.id")),
        ("name", fields.text("user.name")),
        ("email", fields.text("user.email")),
    ]);
    let ip = fields
        .see("client.address")
        .and_then(|address| address.parse().ok());
    let client = object([
        ("ip", ip.map(|ip: IpAddr| json!(ip))),
        ("address", fields.text("client.address")),
    ]);
    let server = object([
        ("address", fields.text("server.address")),
        ("port", fields.port("server.port")),
    ]);

    let request = object([
        ("method", fields.text("http.request.method")),
        ("id", fields.text("audit.request_id")),
    ]);
    let status = fields.integer("http.response.status_code");
    let http = object([
        ("request", request),
        ("response", object([("status_code", status)])),
        ("version", fields.text("network.protocol.version")),
    ]);
    let node = object([("name", fields.text("service.instance.id"))]);
    let service = object([("name", fields.text("service.name")), ("node", node)]);

    [
        ("user", user),
        ("client", client),
        ("server", server),
        ("service", service),
        ("http", http),
        ("url", object([("path", fields.text("url.path"))])),
        (
            "user_agent",
            object([("original", fields.text("user_agent.original"))]),
        ),
    ]
}

/// Labels are keywords, and their names have no dots. Of names that differ in dots and underscores
/// only, the later ones in byte order get a number.
fn labels(fields: Fields) -> Value {
    let mut labels = Map::new();
    for (name, value) in fields.rest() {
        let value = match value {
            Value::String(_) => value,
            other => other.to_string().into(),
        };
        labels.insert(free_name(&labels, name.replace('.', "_")), value);
    }
    Value::Object(labels)
}

fn free_name(labels: &Map<String, Value>, name: String) -> String {
    let mut free = name.clone();
    let mut number = 1;
    while labels.contains_key(&free) {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}
