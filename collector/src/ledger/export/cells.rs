//! The cells of a row in the columns of a table: what no column needs is not parsed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::columns::{ATTRIBUTES, COLUMNS};
use super::line::Line;
use crate::ledger::StoredEntry;
use crate::ledger::store::members;
use crate::record::UID;

/// A cell before it has the type of its column.
pub(super) enum Cell<'r> {
    /// The JSON text of an attribute.
    Json(Cow<'r, str>),
    Text(Cow<'r, str>),
    Integer(i64),
}

/// The cells of a row, in the order of the columns.
pub(super) struct Cells<'r>([Option<Cell<'r>>; COLUMNS.len()]);

/// The places of the columns by their names.
static PLACES: LazyLock<HashMap<&str, usize>> = LazyLock::new(|| {
    let places = COLUMNS.iter().enumerate();
    places.map(|(place, column)| (column.name, place)).collect()
});

impl<'r> Cells<'r> {
    pub(super) fn of(row: &'r StoredEntry) -> Self {
        Self::at_hand(row).unwrap_or_else(|| Self::parsed(row))
    }

    pub(super) fn get(&self, place: usize) -> Option<&Cell<'r>> {
        self.0.get(place)?.as_ref()
    }

    /// From the texts of the row. `None` when they need a closer look: where a name has escapes, or a
    /// text has NUL.
    fn at_hand(row: &'r StoredEntry) -> Option<Self> {
        let text = row.entry.attributes.as_str();
        if text.contains("\\u0000") {
            return None;
        }

        let mut cells = Self([const { None }; COLUMNS.len()]);
        for (name, value) in members(text)? {
            if name.contains('\\') {
                return None;
            }
            cells.set(name.trim_matches('"'), Cell::Json(Cow::Borrowed(value)));
        }
        cells.set_fields(row);
        Some(cells)
    }

    /// The fields take precedence over attributes with the same name.
    fn set_fields(&mut self, row: &'r StoredEntry) {
        let entry = &row.entry;
        for (name, text) in [
            (UID, Some(entry.uid.as_str())),
            ("event_name", Some(&entry.event_name)),
            ("trace_id", entry.trace_id.as_deref()),
            ("span_id", entry.span_id.as_deref()),
            ("body", entry.body.as_deref()),
            (ATTRIBUTES, Some(&entry.attributes)),
        ] {
            if let Some(text) = text {
                self.set(name, Cell::Text(Cow::Borrowed(text)));
            }
        }
        for (name, number) in [
            ("position", row.position),
            ("severity_number", entry.severity),
            ("time", entry.time),
            ("time_unix_nano", entry.time),
            ("observed_time_unix_nano", entry.observed_time),
            ("received_at_unix_nano", entry.received_at),
        ] {
            self.set(name, Cell::Integer(number));
        }
        self.set("hash", Cell::Text(Cow::Owned(hex::encode(row.hash))));
        self.set("flags", Cell::Text(Cow::Owned(row.flags().join(" "))));
    }

    fn set(&mut self, name: &str, cell: Cell<'r>) {
        if let Some(place) = PLACES.get(name).and_then(|place| self.0.get_mut(*place)) {
            *place = Some(cell);
        }
    }

    fn parsed(row: &'r StoredEntry) -> Self {
        let line = Line::new(row);
        let mut cells = Self(COLUMNS.map(|column| {
            let value = line.values.get(column.name)?;
            Some(Cell::Json(Cow::Owned(value.to_string())))
        }));
        cells.set_fields(row);
        let attributes = Cow::Owned(line.attributes().into_owned());
        cells.set(ATTRIBUTES, Cell::Text(attributes));
        cells
    }
}

impl Cell<'_> {
    /// The text of a cell in a column of texts: other values have their JSON text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Json(value) => string(value).unwrap_or(Cow::Borrowed(value)),
        }
    }

    /// `None` for a value of another type.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Json(value) => value.parse().ok(),
            Self::Text(_) => None,
        }
    }

    /// `None` for a value of another type.
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Self::Json(value) => value.parse().ok(),
            Self::Integer(_) | Self::Text(_) => None,
        }
    }
}

/// The text of a JSON string.
fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}
