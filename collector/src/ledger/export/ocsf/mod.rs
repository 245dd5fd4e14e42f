//! OCSF, the Open Cybersecurity Schema Framework: one event per line.

mod class;
mod parts;

use std::io::{self, Write as _};

use serde_json::{Map, Value};

use super::Encoder;
use super::fields::{Fields, add, object};
use super::line::Line;
use crate::ledger::StoredEntry;
use class::{API_ACTIVITY, AUTHENTICATION, Activity, LIFECYCLE};

/// Version of the schema (schema.ocsf.io).
const VERSION: &str = "1.8.0";

pub(super) struct Ocsf;

impl Encoder for Ocsf {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        rows.iter()
            .try_for_each(|row| writeln!(out, "{}", Value::Object(event(row))))
    }
}

/// What has no place in the class is in `unmapped`.
fn event(row: &StoredEntry) -> Map<String, Value> {
    let mut fields = Fields::new(Line::new(row));
    let activity = Activity::of(&row.entry.event_name, &fields);
    let mut event = Map::new();

    classify(&mut event, &activity);
    describe(&mut event, row, &mut fields);
    match activity.class {
        API_ACTIVITY => call(&mut event, &mut fields),
        AUTHENTICATION => authentication(&mut event, &mut fields),
        LIFECYCLE => add(&mut event, [("app", Some(parts::product(&fields)))]),
        _ => {}
    }

    add(
        &mut event,
        [("metadata", Some(parts::metadata(row, &mut fields)))],
    );
    fields.drop(&["severity_number", "time_unix_nano"]);
    add(
        &mut event,
        [("unmapped", Some(Value::Object(fields.rest())))],
    );
    event
}

fn classify(event: &mut Map<String, Value>, Activity { class, id, name }: &Activity) {
    let type_name = format!("{}: {name}", class.name);
    add(
        event,
        [
            ("category_uid", Some(class.category_uid.into())),
            ("category_name", Some(class.category.into())),
            ("class_uid", Some(class.uid.into())),
            ("class_name", Some(class.name.into())),
            ("activity_id", Some((*id).into())),
            ("activity_name", Some(name.as_str().into())),
            ("type_uid", Some((class.uid * 100 + id).into())),
            ("type_name", Some(type_name.into())),
        ],
    );
}

/// What every class has. The time is the one by which the ledger orders the record.
fn describe(event: &mut Map<String, Value>, row: &StoredEntry, fields: &mut Fields) {
    let (severity_id, severity) = severity(row.entry.severity);
    let (status_id, status) = status(fields.see("audit.outcome"));
    // A duration beyond the largest integer becomes that.
    let duration = fields.duration("audit.duration_ms");
    let duration = duration.map(|duration| duration.round() as i64);

    add(
        event,
        [
            ("time", Some(milliseconds(row.entry.at).into())),
            ("duration", duration.map(Value::from)),
            ("message", fields.text("body")),
            ("severity_id", Some(severity_id.into())),
            ("severity", Some(severity.into())),
            ("status_id", Some(status_id.into())),
            ("status", Some(status.into())),
            ("status_code", parts::status_code(fields)),
        ],
    );
}

fn call(event: &mut Map<String, Value>, fields: &mut Fields) {
    let actor = object([
        ("user", Some(parts::user(fields))),
        ("session", parts::session(fields)),
    ]);
    add(event, [("actor", actor), ("api", parts::api(fields))]);
    exchange(event, fields);
}

fn authentication(event: &mut Map<String, Value>, fields: &mut Fields) {
    add(
        event,
        [
            ("user", Some(parts::user(fields))),
            ("session", parts::session(fields)),
            ("service", Some(parts::service(fields))),
        ],
    );
    exchange(event, fields);
}

fn exchange(event: &mut Map<String, Value>, fields: &mut Fields) {
    add(
        event,
        [
            ("src_endpoint", Some(parts::source(fields))),
            ("http_request", parts::http_request(fields)),
            ("http_response", parts::http_response(fields)),
            ("dst_endpoint", parts::destination(fields)),
        ],
    );
}

fn milliseconds(unix_nano: i64) -> i64 {
    unix_nano.div_euclid(1_000_000)
}

/// From the severity numbers of OpenTelemetry.
fn severity(number: i64) -> (i64, &'static str) {
    match number {
        1..=12 => (1, "Informational"),
        13..=16 => (3, "Medium"),
        17..=20 => (4, "High"),
        21..=24 => (6, "Fatal"),
        _ => (0, "Unknown"),
    }
}

fn status(outcome: Option<&str>) -> (i64, &'static str) {
    match outcome {
        Some("success") => (1, "Success"),
        Some(_) => (2, "Failure"),
        None => (0, "Unknown"),
    }
}
