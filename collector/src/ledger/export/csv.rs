//! Comma-separated values, for spreadsheets and programs.

use std::io;

use csv::Writer;
use serde_json::Value;

use super::Encoder;
use super::line::Line;
use crate::ledger::StoredEntry;

/// The columns. A name with a dot is that of an attribute. `attributes` holds all of them as a JSON
/// object.
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

#[derive(Default)]
pub(super) struct Csv {
    has_head: bool,
}

impl Encoder for Csv {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        let mut writer = Writer::from_writer(out);
        if !std::mem::replace(&mut self.has_head, true) {
            writer.write_record(COLUMNS)?;
        }

        for row in rows {
            let line = Line::new(row);
            writer.write_record(COLUMNS.map(|column| cell(&line, column)))?;
        }
        writer.flush()
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.rows(&[], out)
    }
}

fn cell(line: &Line<'_>, column: &str) -> String {
    match line.values.get(column) {
        _ if column == "attributes" => harmless(&line.attributes()),
        None => String::new(),
        Some(Value::String(text)) => harmless(text),
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet runs a text that begins so as a formula, and clients can choose the text.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
