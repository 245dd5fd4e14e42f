//! A row as every format shows it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::ledger::StoredEntry;
use crate::time::rfc3339;

/// How JSON writes the character that many databases take in no text.
pub(super) const NUL: &str = "\\u0000";

/// A row with one shape for each of its fields. In every text and name, NUL is replaced by U+FFFD,
/// as in the columns of the ledger: a database that refuses it would refuse the whole export.
pub(super) struct Line<'r> {
    /// The row itself.
    pub(super) row: &'r StoredEntry,
    /// All attributes and fields by name. `time` is in RFC 3339, and `flags` one text.
    pub(super) values: Map<String, Value>,
}

impl<'r> Line<'r> {
    pub(super) fn new(row: &'r StoredEntry) -> Self {
        let mut values = row.flat();
        if row.entry.attributes.contains(NUL) {
            values = without_nul(values);
        }

        values.insert("time".to_owned(), rfc3339(row.entry.time).into());
        if let Some(flags) = values.get_mut("flags") {
            *flags = joined(flags).into();
        }
        Self { row, values }
    }

    /// All attributes as JSON text; as they are stored when they cannot be read.
    pub(super) fn attributes(&self) -> Cow<'r, str> {
        let text = &self.row.entry.attributes;
        let read = text.contains(NUL).then(|| serde_json::from_str(text));
        match read {
            Some(Ok(attributes)) => Cow::Owned(Value::Object(without_nul(attributes)).to_string()),
            _ => Cow::Borrowed(text),
        }
    }
}

/// The names in a list, with a space between them.
fn joined(list: &Value) -> String {
    let names = list.as_array().into_iter().flatten();
    let names: Vec<_> = names.filter_map(Value::as_str).collect();
    names.join(" ")
}

fn without_nul(values: Map<String, Value>) -> Map<String, Value> {
    let replaced = |text: String| text.replace('\0', "\u{fffd}");
    values
        .into_iter()
        .map(|(name, value)| (replaced(name), value_without_nul(value)))
        .collect()
}

fn value_without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace('\0', "\u{fffd}").into(),
        Value::Array(values) => values.into_iter().map(value_without_nul).collect(),
        Value::Object(values) => Value::Object(without_nul(values)),
        other => other,
    }
}
