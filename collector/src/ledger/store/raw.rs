//! A row as it is stored.

use super::keys;
use super::table::RECORDS;
use crate::db::{Cell, Connection, DbError, Row, select_in};
use crate::ledger::chain::{self, Hash};
use crate::ledger::stored::Cursor;

/// The columns of a row, and whether another record came with its uid.
pub(crate) struct Raw {
    pub(crate) position: i64,
    pub(crate) at: i64,
    pub(super) received_at: i64,
    /// `None`: that of `at`.
    pub(super) time: Option<i64>,
    pub(super) observed_time: i64,
    pub(super) flags: i64,
    pub(crate) shape_id: i64,
    pub(super) keys: [Option<i64>; keys::COLUMNS.len()],
    /// `None`: not 32 bytes.
    pub(super) hash: Option<Hash>,
    pub(super) uid: Vec<u8>,
    pub(super) trace_id: Option<Vec<u8>>,
    pub(super) span_id: Option<Vec<u8>>,
    pub(super) body: Option<String>,
    pub(super) values: String,
    pub(super) conflict: bool,
    /// Whether a column holds another type, or nothing where it must.
    pub(super) is_broken: bool,
}

/// The columns of a row, of all rows; further conditions may follow.
pub(crate) fn select() -> String {
    let conflicts = "(SELECT COUNT(*) FROM conflicts WHERE conflicts.position = records.position)";
    format!(
        "SELECT {}, {conflicts} FROM records WHERE 1 = 1",
        RECORDS.names()
    )
}

/// The rows at these positions, in any order.
pub(crate) fn at(
    connection: &mut dyn Connection,
    positions: impl Iterator<Item = i64>,
) -> Result<Vec<Raw>, DbError> {
    let positions: Vec<_> = positions.collect();
    with_keys(connection, "position", &positions)
}

/// The rows that have one of these keys in a column, in any order.
pub(super) fn with_keys<'k, K: Copy + Into<Cell<'k>>>(
    connection: &mut dyn Connection,
    column: &str,
    keys: &[K],
) -> Result<Vec<Raw>, DbError> {
    let select = format!("{} AND {column} IN", select());

    let mut rows = Vec::new();
    select_in(connection, (&select, &[]), keys, &mut |row| {
        rows.push(Raw::read(row));
        Ok(())
    })?;
    Ok(rows)
}

impl Raw {
    /// Reads a row of [`select`]. Columns of another type are left out, and the row is broken.
    pub(crate) fn read(row: &dyn Row) -> Self {
        let mut columns = Columns {
            row,
            next: 0,
            is_broken: false,
        };

        let mut raw = Self {
            position: columns.integer(),
            at: columns.integer(),
            received_at: columns.integer(),
            time: columns.optional_integer(),
            observed_time: columns.integer(),
            flags: columns.integer(),
            shape_id: columns.integer(),
            keys: std::array::from_fn(|_| columns.optional_integer()),
            hash: columns
                .bytes()
                .and_then(|bytes| chain::hash(Some(bytes)).ok()),
            uid: columns.bytes().unwrap_or_default().to_vec(),
            trace_id: columns.optional_bytes(),
            span_id: columns.optional_bytes(),
            body: columns.optional_text(),
            values: columns.text(),
            conflict: columns.integer() > 0,
            is_broken: false,
        };
        raw.is_broken = columns.is_broken;
        raw
    }

    /// Where it is in the order of time.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            at: self.at,
            position: self.position,
        }
    }

    /// Bytes of the columns that can be large.
    pub(crate) fn size(&self) -> usize {
        self.values.len() + self.body.as_ref().map_or(0, String::len)
    }
}

/// Reads the columns of a row one after the other.
struct Columns<'r> {
    row: &'r dyn Row,
    next: usize,
    is_broken: bool,
}

impl<'r> Columns<'r> {
    fn read<T>(
        &mut self,
        read: impl FnOnce(&'r dyn Row, usize) -> Result<Option<T>, DbError>,
    ) -> Option<T> {
        let column = self.next;
        self.next += 1;
        read(self.row, column).unwrap_or_else(|_| {
            self.is_broken = true;
            None
        })
    }

    fn needed<T>(&mut self, value: Option<T>) -> Option<T> {
        self.is_broken |= value.is_none();
        value
    }

    fn optional_integer(&mut self) -> Option<i64> {
        self.read(|row, column| row.integer(column))
    }

    fn integer(&mut self) -> i64 {
        let value = self.optional_integer();
        self.needed(value).unwrap_or_default()
    }

    fn optional_text(&mut self) -> Option<String> {
        self.read(|row, column| Ok(row.text(column)?.map(ToOwned::to_owned)))
    }

    fn text(&mut self) -> String {
        let value = self.optional_text();
        self.needed(value).unwrap_or_default()
    }

    fn optional_bytes(&mut self) -> Option<Vec<u8>> {
        self.read(|row, column| Ok(row.bytes(column)?.map(ToOwned::to_owned)))
    }

    fn bytes(&mut self) -> Option<&'r [u8]> {
        let value = self.read(|row, column| row.bytes(column));
        self.needed(value)
    }
}
