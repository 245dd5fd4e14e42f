//! The cells of a row in the columns of a table: what no column needs is not parsed.

use std::borrow::Cow;
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

/// The columns and their places in the order of their names.
static BY_NAME: LazyLock<Vec<(&str, usize)>> = LazyLock::new(|| {
    let columns = COLUMNS.iter().enumerate();
    let mut by_name: Vec<_> = columns
        .map(|(place, column)| (column.name, place))
        .collect();
    by_name.sort_unstable();
    by_name
});

impl<'r> Cells<'r> {
    pub(super) fn of(row: &'r StoredEntry) -> Self {
        Self::at_hand(row).unwrap_or_else(|| Self::parsed(row))
    }

    pub(super) fn get(&self, place: usize) -> Option<&Cell<'r>> {
        self.0.get(place)?.as_ref()
    }

    /// From the texts of the row. `None` when they need a closer look: where a name has escapes or is
    /// not behind the one before, or a text has NUL.
    fn at_hand(row: &'r StoredEntry) -> Option<Self> {
        let text = row.entry.attributes.as_str();
        if text.contains("\\u0000") {
            return None;
        }

        let mut cells = Self([const { None }; COLUMNS.len()]);
        let (mut columns, mut before) = (BY_NAME.iter().peekable(), None);
        for (quoted, value) in members(text)? {
            let name = quoted.trim_matches('"');
            if name.contains('\\') || before >= Some(name) {
                return None;
            }
            before = Some(name);

            while columns.next_if(|(column, _)| *column < name).is_some() {}
            if let Some((_, place)) = columns.next_if(|(column, _)| *column == name) {
                cells.put(*place, Cell::Json(Cow::Borrowed(value)));
            }
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
        let found = BY_NAME.binary_search_by_key(&name, |(column, _)| column);
        if let Some((_, place)) = found.ok().and_then(|found| BY_NAME.get(found)) {
            self.put(*place, cell);
        }
    }

    fn put(&mut self, place: usize, cell: Cell<'r>) {
        if let Some(place) = self.0.get_mut(place) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::{Entry, Skew};
    use crate::record::{Content, Record};

    fn row(attributes: &str) -> StoredEntry {
        let mut entry = Entry::new(Record::from(Content::default()), 5, Skew::default());
        entry.attributes = attributes.to_owned();
        StoredEntry {
            position: 7,
            hash: [9; 32],
            entry,
            conflict: false,
            is_damaged: false,
        }
    }

    fn texts(cells: &Cells<'_>) -> Vec<Option<String>> {
        let places = 0..COLUMNS.len();
        let text = |place| cells.get(place).map(|cell| cell.text().into_owned());
        places.map(text).collect()
    }

    #[test]
    fn cells_at_hand_are_those_of_parsed_attributes() {
        for attributes in [
            "{}",
            r#"{"a":1,"audit.action":"login","audit.duration_ms":1.5,"user.id":"\u00e9\n","z":[]}"#,
            r#"{"audit.actio":1,"audit.action":2,"audit.actionx":3,"position":4,"url.path":"/"}"#,
        ] {
            let row = row(attributes);
            let at_hand = Cells::at_hand(&row).unwrap();
            assert_eq!(texts(&at_hand), texts(&Cells::parsed(&row)), "{attributes}");
        }
    }

    #[test]
    fn names_out_of_order_need_a_closer_look() {
        for attributes in [
            r#"{"user.id":"a","audit.action":"login"}"#,
            r#"{"user.id":"a","user.id":"b"}"#,
            r#"{"user\"id":"a"}"#,
            r#"{"user.id":"\u0000"}"#,
        ] {
            let row = row(attributes);
            assert!(Cells::at_hand(&row).is_none(), "{attributes}");
        }
    }
}
