//! Comma-separated values, for spreadsheets and programs.

use std::io;

use csv::Writer;
use serde_json::Value;

use super::Encoder;
use super::columns::{ATTRIBUTES, COLUMNS};
use super::line::Line;
use crate::ledger::StoredEntry;

/// What happens to a text that a spreadsheet would run as a formula. Clients can choose texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formulas {
    /// It gets a `'` before it, and so does a text that begins with one. A reader has every text
    /// again when it removes one `'` from the begin of each cell that has one.
    Quoted,
    /// It is left as it is, for programs.
    Raw,
}

/// Begins of formulas, in the full-width forms of East Asian keyboards, too. A tab or the end of a
/// line is skipped before them.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

pub(super) struct Csv {
    formulas: Formulas,
    has_head: bool,
}

impl Csv {
    pub(super) fn new(formulas: Formulas) -> Self {
        Self {
            formulas,
            has_head: false,
        }
    }

    /// A number is no formula, and is left as it is.
    fn cell(&self, line: &Line<'_>, column: &str) -> String {
        match line.values.get(column) {
            _ if column == ATTRIBUTES => self.text(&line.attributes()),
            None => String::new(),
            Some(Value::String(text)) => self.text(text),
            Some(other) => other.to_string(),
        }
    }

    fn text(&self, text: &str) -> String {
        let is_marked = text.starts_with('\'') || text.starts_with(FORMULA);
        if is_marked && self.formulas == Formulas::Quoted {
            format!("'{text}")
        } else {
            text.to_owned()
        }
    }
}

impl Encoder for Csv {
    fn rows(&mut self, rows: &[StoredEntry], out: &mut Vec<u8>) -> io::Result<()> {
        let mut writer = Writer::from_writer(out);
        if !std::mem::replace(&mut self.has_head, true) {
            writer.write_record(COLUMNS.map(|column| column.name))?;
        }

        for row in rows {
            let line = Line::new(row);
            writer.write_record(COLUMNS.map(|column| self.cell(&line, column.name)))?;
        }
        writer.flush()
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.rows(&[], out)
    }
}
