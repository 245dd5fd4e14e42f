//! Records as comma-separated values, for spreadsheets.

use serde_json::{Map, Value};

use super::timestamp;
use crate::db::DbError;
use crate::ledger::StoredEntry;

/// The columns. `time` is `time_unix_nano` as in RFC 3339. A name with a dot is that of an
/// attribute. `flags` are separated by spaces, and `attributes` holds all of them as a JSON object.
const COLUMNS: [&str; 28] = [
    "position",
    "log.record.uid",
    "time",
    "time_unix_nano",
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
    "session.id",
    "session.token_ref",
    "client.address",
    "http.request.method",
    "url.path",
    "http.response.status_code",
    "rpc.method",
    "rpc.response.status_code",
    "trace_id",
    "flags",
    "hash",
    "attributes",
];

pub(super) fn head() -> Result<Vec<u8>, DbError> {
    lines([COLUMNS.map(ToOwned::to_owned)].iter())
}

pub(super) fn write(rows: &[StoredEntry]) -> Result<Vec<u8>, DbError> {
    let cells: Vec<_> = rows.iter().map(cells).collect();
    lines(cells.iter())
}

fn lines<'l>(cells: impl Iterator<Item = &'l [String; COLUMNS.len()]>) -> Result<Vec<u8>, DbError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in cells {
        writer.write_record(line).map_err(DbError::failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| DbError::failed(error.to_string()))
}

fn cells(kept: &StoredEntry) -> [String; COLUMNS.len()] {
    let flat = kept.flat();
    COLUMNS.map(|column| {
        harmless(match column {
            "time" => timestamp::text(kept.entry.time),
            "flags" => kept.flags().join(" "),
            "attributes" => kept.entry.attributes.clone(),
            name => cell(&flat, name),
        })
    })
}

fn cell(flat: &Map<String, Value>, name: &str) -> String {
    match flat.get(name) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet runs a text that begins so as a formula, and clients can choose the text.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}
