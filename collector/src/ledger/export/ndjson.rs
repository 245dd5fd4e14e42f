//! Newline-delimited JSON: one flat object per line.

use std::io::{self, Write};

use serde_json::Value;

use super::Encoder;
use super::line::Line;
use crate::ledger::StoredEntry;

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
pub(super) fn write_row(out: &mut dyn Write, row: &StoredEntry) -> io::Result<()> {
    writeln!(out, "{}", Value::Object(Line::new(row).values))
}
