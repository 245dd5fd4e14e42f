//! The table of the ledger: its columns, from an entry and to one.

use super::Entry;
use crate::db::{Cell, Column, DbError, Row, Table};

/// The table of the ledger: position, hash, and the hashed columns in the order of
/// [`Entry::cells`].
pub const RECORDS: Table = Table {
    name: "records",
    columns: &[
        Column::integer("position"),
        Column::bytes("hash"),
        Column::text("uid"),
        Column::integer("received_at_unix_nano"),
        Column::integer("at_unix_nano"),
        Column::integer("time_unix_nano"),
        Column::integer("observed_time_unix_nano"),
        Column::integer("severity_number"),
        Column::integer("flags"),
        Column::text("event_name"),
        Column::text("stream_id"),
        Column::integer("sequence_number"),
        Column::text("service_name"),
        Column::text("rule"),
        Column::text("action"),
        Column::text("outcome"),
        Column::text("user_id"),
        Column::text("user_name"),
        Column::text("user_email"),
        Column::text("session_id"),
        Column::text("token_ref"),
        Column::text("trace_id"),
        Column::text("span_id"),
        Column::text("body"),
        Column::text("attributes"),
    ],
};

/// How many columns of [`RECORDS`] precede the hashed ones.
pub const UNHASHED: usize = 2;

/// How many columns are hashed.
pub const HASHED: usize = RECORDS.columns.len() - UNHASHED;

impl Entry {
    /// Reads a row that begins with the columns of [`RECORDS`] from `uid` on, at column `from`.
    ///
    /// # Errors
    ///
    /// When a column holds another type.
    pub fn read(row: &dyn Row, from: usize) -> Result<Self, DbError> {
        let mut columns = Columns { row, next: from };

        Ok(Self {
            uid: columns.text()?,
            received_at: columns.integer()?,
            at: columns.integer()?,
            time: columns.integer()?,
            observed_time: columns.integer()?,
            severity: columns.integer()?,
            flags: columns.integer()?,
            event_name: columns.text()?,
            stream_id: columns.optional_text()?,
            sequence_number: columns.optional_integer()?,
            service_name: columns.optional_text()?,
            rule: columns.optional_text()?,
            action: columns.optional_text()?,
            outcome: columns.optional_text()?,
            user_id: columns.optional_text()?,
            user_name: columns.optional_text()?,
            user_email: columns.optional_text()?,
            session_id: columns.optional_text()?,
            token_ref: columns.optional_text()?,
            trace_id: columns.optional_text()?,
            span_id: columns.optional_text()?,
            body: columns.optional_text()?,
            attributes: columns.text()?,
        })
    }

    /// The cells of its row from `uid` on.
    pub fn cells(&self) -> [Cell<'_>; HASHED] {
        [
            Cell::Text(&self.uid),
            Cell::Integer(self.received_at),
            Cell::Integer(self.at),
            Cell::Integer(self.time),
            Cell::Integer(self.observed_time),
            Cell::Integer(self.severity),
            Cell::Integer(self.flags),
            Cell::Text(&self.event_name),
            self.stream_id.as_deref().into(),
            self.sequence_number.into(),
            self.service_name.as_deref().into(),
            self.rule.as_deref().into(),
            self.action.as_deref().into(),
            self.outcome.as_deref().into(),
            self.user_id.as_deref().into(),
            self.user_name.as_deref().into(),
            self.user_email.as_deref().into(),
            self.session_id.as_deref().into(),
            self.token_ref.as_deref().into(),
            self.trace_id.as_deref().into(),
            self.span_id.as_deref().into(),
            self.body.as_deref().into(),
            Cell::Text(&self.attributes),
        ]
    }
}

/// Reads the columns of a row one after the other.
struct Columns<'r> {
    row: &'r dyn Row,
    next: usize,
}

impl Columns<'_> {
    fn column(&mut self) -> usize {
        let column = self.next;
        self.next += 1;
        column
    }

    fn optional_text(&mut self) -> Result<Option<String>, DbError> {
        let column = self.column();
        Ok(self.row.text(column)?.map(ToOwned::to_owned))
    }

    fn optional_integer(&mut self) -> Result<Option<i64>, DbError> {
        let column = self.column();
        self.row.integer(column)
    }

    fn text(&mut self) -> Result<String, DbError> {
        self.optional_text()?
            .ok_or_else(|| DbError::failed("a column is NULL"))
    }

    fn integer(&mut self) -> Result<i64, DbError> {
        self.optional_integer()?
            .ok_or_else(|| DbError::failed("a column is NULL"))
    }
}
