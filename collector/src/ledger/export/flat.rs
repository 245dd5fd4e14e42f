//! A line of NDJSON from the texts of a row: nothing is parsed, and each text is copied once.

use std::io::{self, Write};

use crate::ledger::StoredEntry;
use crate::ledger::store::members;
use crate::record::UID;
use crate::time::rfc3339;

/// The fields of a line in the order of their names.
pub(super) const FIELDS: [&str; 13] = [
    "body",
    "event_name",
    "flags",
    "hash",
    UID,
    "observed_time_unix_nano",
    "position",
    "received_at_unix_nano",
    "severity_number",
    "span_id",
    "time",
    "time_unix_nano",
    "trace_id",
];

/// Writes the object of `row`. Returns `false`, with nothing written, when its attributes need a
/// closer look: where a name has escapes, or a text has NUL.
pub(super) fn write(out: &mut Vec<u8>, row: &StoredEntry) -> io::Result<bool> {
    let attributes = &row.entry.attributes;
    let Some(members) = members(attributes).filter(|_| !attributes.contains("\\u0000")) else {
        return Ok(false);
    };
    if members.iter().any(|(name, _)| name.contains('\\')) {
        return Ok(false);
    }

    let mut line = Line {
        out,
        is_empty: true,
    };
    let mut fields = FIELDS.into_iter().peekable();
    line.out.push(b'{');
    for (quoted, value) in members {
        let name = quoted.trim_matches('"');
        while let Some(field) = fields.next_if(|field| *field < name) {
            line.field(field, row)?;
        }
        if FIELDS.contains(&name) && is_there(name, row) {
            continue;
        }
        line.member(quoted, value);
    }
    for field in fields {
        line.field(field, row)?;
    }
    line.out.push(b'}');
    Ok(true)
}

/// Whether a row has this field.
fn is_there(field: &str, row: &StoredEntry) -> bool {
    match field {
        "body" => row.entry.body.is_some(),
        "trace_id" => row.entry.trace_id.is_some(),
        "span_id" => row.entry.span_id.is_some(),
        _ => true,
    }
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl Line<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
    }

    fn member(&mut self, quoted: &str, value: &str) {
        self.next();
        self.out.extend_from_slice(quoted.as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(value.as_bytes());
    }

    fn field(&mut self, name: &str, row: &StoredEntry) -> io::Result<()> {
        if !is_there(name, row) {
            return Ok(());
        }
        self.next();
        write!(self.out, "\"{name}\":")?;

        let entry = &row.entry;
        match name {
            "body" => self.text(entry.body.as_deref().unwrap_or_default()),
            "event_name" => self.text(&entry.event_name),
            "flags" => self.text(&row.flags().join(" ")),
            "hash" => self.text(&hex::encode(row.hash)),
            "observed_time_unix_nano" => write!(self.out, "\"{}\"", entry.observed_time),
            "position" => write!(self.out, "{}", row.position),
            "received_at_unix_nano" => write!(self.out, "\"{}\"", entry.received_at),
            "severity_number" => write!(self.out, "{}", entry.severity),
            "span_id" => self.text(entry.span_id.as_deref().unwrap_or_default()),
            "time" => self.text(&rfc3339(entry.time)),
            "time_unix_nano" => write!(self.out, "\"{}\"", entry.time),
            "trace_id" => self.text(entry.trace_id.as_deref().unwrap_or_default()),
            _ => self.text(&entry.uid),
        }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        Ok(serde_json::to_writer(&mut *self.out, text)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::entry::{Entry, Skew};
    use crate::ledger::export::line::Line as Slow;
    use crate::record::{Content, Record};

    fn row(attributes: Value, body: Option<&str>) -> StoredEntry {
        let content = Content {
            time_unix_nano: 1_800_000_000_000_000_001,
            event_name: "a\"b".to_owned(),
            body: body.map(ToOwned::to_owned),
            attributes: serde_json::from_value(attributes).unwrap(),
            ..Content::default()
        };
        StoredEntry {
            position: 7,
            hash: [9; 32],
            entry: Entry::new(Record::from(content), 5, Skew::default()),
            conflict: true,
            is_damaged: false,
        }
    }

    #[test]
    fn a_line_is_the_same_as_one_of_parsed_attributes() {
        for (attributes, body) in [
            (json!({}), None),
            (
                json!({"a": 1.5, "zz": [1, {"b": null}], "user.id": "é\n\""}),
                Some("x\ty"),
            ),
            (
                json!({"body": "mine", "position": 1, "time": "then", "flags": []}),
                None,
            ),
            (
                json!({"body": "mine", "log.record.uid": "u", "trace_id": 1}),
                Some("b"),
            ),
            (json!({"bod": 1, "body_": 2, "time_": 3, "tracf": 4}), None),
        ] {
            let row = row(attributes, body);
            let mut out = Vec::new();
            assert!(write(&mut out, &row).unwrap());
            let slow = Value::Object(Slow::new(&row).values).to_string();
            assert_eq!(String::from_utf8(out).unwrap(), slow);
        }
    }

    #[test]
    fn what_needs_a_closer_look_is_left_alone() {
        for attributes in [json!({"a\"b": 1}), json!({"a": "b\0"})] {
            let mut out = Vec::new();
            assert!(!write(&mut out, &row(attributes, None)).unwrap());
            assert!(out.is_empty());
        }
    }
}
