//! The format before: a row with all columns and attributes as text. It is only read.

use super::chain::{self, Hash};
use super::entry::Entry;
use crate::db::{Cell, Connection, DbError, Row};

/// A row of the earlier format, with the hash that is stored beside it.
pub(super) struct EarlierRow {
    pub(super) position: i64,
    pub(super) hash: Hash,
    pub(super) entry: Entry,
}

/// The next rows after a position, at most `limit`.
///
/// # Errors
///
/// Those of the database; also when a column holds another type, with the position of the row.
pub(super) fn rows_after(
    connection: &mut dyn Connection,
    position: i64,
    limit: i64,
) -> Result<Vec<EarlierRow>, DbError> {
    const SELECT: &str = "SELECT position, hash, uid, received_at_unix_nano, at_unix_nano, \
        time_unix_nano, observed_time_unix_nano, severity_number, flags, event_name, stream_id, \
        sequence_number, service_name, rule, action, outcome, user_id, user_name, user_email, \
        session_id, token_ref, trace_id, span_id, body, attributes FROM records \
        WHERE position > $1 ORDER BY position LIMIT $2";

    let mut rows = Vec::new();
    let cells = [Cell::Integer(position), Cell::Integer(limit)];
    connection.query(SELECT, &cells, &mut |row| {
        rows.push(read(row)?);
        Ok(())
    })?;
    Ok(rows)
}

fn read(row: &dyn Row) -> Result<EarlierRow, DbError> {
    let mut columns = Columns { row, next: 0 };
    let position = columns.integer()?;
    let mut read = move || -> Result<EarlierRow, DbError> {
        Ok(EarlierRow {
            position,
            hash: columns.hash()?,
            entry: columns.entry()?,
        })
    };
    read().map_err(|error| DbError::failed(format!("row {position} cannot be read: {error}")))
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

    fn hash(&mut self) -> Result<Hash, DbError> {
        let column = self.column();
        chain::hash(self.row.bytes(column)?)
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

    fn entry(&mut self) -> Result<Entry, DbError> {
        Ok(Entry {
            uid: self.text()?,
            received_at: self.integer()?,
            at: self.integer()?,
            time: self.integer()?,
            observed_time: self.integer()?,
            severity: self.integer()?,
            flags: self.integer()?,
            event_name: self.text()?,
            stream_id: self.optional_text()?,
            sequence_number: self.optional_integer()?,
            service_name: self.optional_text()?,
            rule: self.optional_text()?,
            action: self.optional_text()?,
            outcome: self.optional_text()?,
            user_id: self.optional_text()?,
            user_name: self.optional_text()?,
            user_email: self.optional_text()?,
            session_id: self.optional_text()?,
            token_ref: self.optional_text()?,
            trace_id: self.optional_text()?,
            span_id: self.optional_text()?,
            body: self.optional_text()?,
            attributes: self.text()?,
        })
    }
}
