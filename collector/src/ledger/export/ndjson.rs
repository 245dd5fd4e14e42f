//! Newline-delimited JSON: one flat object per line.

use std::io;

use serde_json::{Map, Value};

use super::line::{Line, NUL};
use super::{Encoder, flat};
use crate::ledger::StoredEntry;
use crate::record::{DERIVED_UID_PREFIX, UID};

pub(super) struct Ndjson;

impl Encoder for Ndjson {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        rows.iter().try_for_each(|row| write_row(out, row))
    }
}

/// Writes one row and a newline.
///
/// # Errors
///
/// When the line cannot be written.
pub(super) fn write_row(out: &mut Vec<u8>, row: &StoredEntry) -> io::Result<()> {
    if !flat::write(out, row)? {
        serde_json::to_writer(&mut *out, &Value::Object(Line::new(row).values))?;
    }
    out.push(b'\n');
    Ok(())
}

/// The line of a row, if the hash of the row can be computed from it: no attribute has the name of a
/// field or holds NUL, and the uid is that of the sender unless none was sent.
pub(super) fn whole_line(row: &StoredEntry) -> Option<String> {
    let text = &row.entry.attributes;
    let attributes: Map<String, Value> = serde_json::from_str(text).ok()?;
    let has_uid = match attributes.get(UID) {
        Some(uid) => uid == row.entry.uid.as_str(),
        None => row.entry.uid.starts_with(DERIVED_UID_PREFIX),
    };

    // The uid can be an attribute, too.
    let mut fields = flat::FIELDS.iter().filter(|name| **name != UID);
    let is_hidden = fields.any(|name| attributes.contains_key(*name));
    let written = Value::Object(attributes).to_string();
    let is_plain = !text.contains(NUL) && written == *text;
    let is_whole = has_uid && !is_hidden && is_plain;
    is_whole.then(|| Value::Object(Line::new(row).values).to_string())
}
