//! All rows in the order of positions, for a walk over the whole ledger: each is looked at where the
//! database has it, and its dictionary is read once for each segment.

use super::content::{Content, Texts};
use super::decoder::Dictionary;
use super::table::RECORDS;
use super::{SEGMENT_ROWS, keys, segment_of, uid};
use crate::db::{Cell, Connection, DbError, Kind, Row};
use crate::ledger::chain::{self, Hash, Hasher};
use crate::ledger::entry::ordering_time;

/// Rows per query; PostgreSQL sends all of them before the first can be processed.
const CHUNK: i64 = 8192;

/// A row, as far as its columns can be read.
pub(crate) struct Scanned<'r> {
    pub(crate) position: i64,
    pub(crate) at: i64,
    pub(crate) received_at: i64,
    time: i64,
    pub(crate) observed_time: i64,
    flags: i64,
    keys: [Option<i64>; keys::COLUMNS.len()],
    /// `None`: not 32 bytes.
    pub(crate) hash: Option<Hash>,
    pub(crate) uid: String,
    trace_id: Option<&'r [u8]>,
    span_id: Option<&'r [u8]>,
    body: Option<&'r str>,
    /// `None`: a column cannot be read, or does not fit the dictionary.
    pub(crate) content: Option<Content<'r>>,
}

/// What a scan is for.
pub(crate) trait Visitor {
    /// Called for every row.
    fn row(&mut self, row: &Scanned<'_>);

    /// Called after some rows, when the connection is free.
    ///
    /// # Errors
    ///
    /// Those of the database.
    fn pause(&mut self, connection: &mut dyn Connection) -> Result<(), DbError>;
}

/// Shows every row to `visitor`.
///
/// # Errors
///
/// Those of the database and of the visitor.
pub(crate) fn scan(
    connection: &mut dyn Connection,
    visitor: &mut dyn Visitor,
) -> Result<(), DbError> {
    let mut after = i64::MIN;
    while let Some(next) = next(connection, after)? {
        let segment = segment_of(next);
        let dictionary = Dictionary::whole(connection, segment)?;
        let end = segment.saturating_add(1).saturating_mul(SEGMENT_ROWS);
        while scan_chunk(connection, &dictionary, &mut after, end, visitor)? {
            visitor.pause(connection)?;
        }
        visitor.pause(connection)?;
    }
    Ok(())
}

/// The position of the row after this one.
fn next(connection: &mut dyn Connection, after: i64) -> Result<Option<i64>, DbError> {
    const NEXT: &str = "SELECT position FROM records WHERE position > $1 ORDER BY position LIMIT 1";

    let mut next = None;
    connection.query(NEXT, &[Cell::Integer(after)], &mut |row| {
        next = row.integer(0)?;
        Ok(())
    })?;
    Ok(next)
}

/// Returns whether there may be more before `end`.
fn scan_chunk(
    connection: &mut dyn Connection,
    dictionary: &Dictionary,
    after: &mut i64,
    end: i64,
    visitor: &mut dyn Visitor,
) -> Result<bool, DbError> {
    let select = format!(
        "SELECT {} FROM records WHERE position > $1 AND position < $2 ORDER BY position LIMIT $3",
        RECORDS.names()
    );
    let cells = [*after, end, CHUNK].map(Cell::Integer);

    let mut rows = 0;
    connection.query(&select, &cells, &mut |row| {
        let scanned = Scanned::read(row, dictionary);
        *after = scanned.position;
        rows += 1;
        visitor.row(&scanned);
        Ok(())
    })?;
    Ok(rows == CHUNK)
}

impl<'r> Scanned<'r> {
    fn read(row: &'r dyn Row, dictionary: &'r Dictionary) -> Self {
        let number = |column| row.integer(column).ok().flatten();
        let bytes = |column| row.bytes(column).ok().flatten();
        let uid = bytes(UID).and_then(uid::decode);
        let content = uid.as_deref().and_then(|uid| {
            let is_typed = is_typed(row);
            let values = row.text(VALUES).ok().flatten()?;
            is_typed.then(|| dictionary.content(number(SHAPE)?, values, uid))?
        });

        let at = number(AT).unwrap_or_default();
        Self {
            position: number(POSITION).unwrap_or_default(),
            at,
            received_at: number(RECEIVED_AT).unwrap_or_default(),
            time: number(TIME).unwrap_or(at),
            observed_time: number(OBSERVED_AT).unwrap_or_default(),
            flags: number(FLAGS).unwrap_or_default(),
            keys: std::array::from_fn(|index| number(KEYS + index)),
            hash: bytes(HASH).and_then(|hash| chain::hash(Some(hash)).ok()),
            uid: uid.unwrap_or_default(),
            trace_id: bytes(TRACE_ID),
            span_id: bytes(SPAN_ID),
            body: row.text(BODY).ok().flatten(),
            content,
        }
    }

    /// Whether what a search relies on follows from the content.
    pub(crate) fn is_consistent(&self, texts: &Texts<'_>) -> bool {
        let at = ordering_time(self.time, self.received_at, self.flags);
        self.at == at && self.keys == keys::of_texts(texts)
    }

    /// Its hash behind `previous`.
    pub(crate) fn hash_behind(
        &self,
        previous: &Hash,
        content: &Content<'_>,
        texts: &Texts<'_>,
        hasher: &mut Hasher,
    ) -> Hash {
        let [stream, others @ ..] = texts;
        hasher.begin(previous, self.position);
        hasher.push(Cell::Text(&self.uid));
        for number in [self.received_at, self.at, self.time, self.observed_time] {
            hasher.push(Cell::Integer(number));
        }
        hasher.push(Cell::Integer(content.severity));
        hasher.push(Cell::Integer(self.flags));
        hasher.push(Cell::Text(&content.event_name));
        hasher.push(stream.as_deref().into());
        hasher.push(content.sequence_number().into());
        for text in others {
            hasher.push(text.as_deref().into());
        }
        hasher.push_hex(self.trace_id);
        hasher.push_hex(self.span_id);
        hasher.push(self.body.into());
        hasher.push_pieces(content.attributes_len(), |each| content.attributes(each));
        hasher.end()
    }
}

/// Whether no column holds another type.
fn is_typed(row: &dyn Row) -> bool {
    RECORDS
        .columns
        .iter()
        .enumerate()
        .all(|(index, column)| match column.kind {
            Kind::Integer | Kind::Small => row.integer(index).is_ok(),
            Kind::Text => row.text(index).is_ok(),
            Kind::Bytes => row.bytes(index).is_ok(),
        })
}

/// Columns of [`RECORDS`].
const POSITION: usize = 0;
const AT: usize = 1;
const RECEIVED_AT: usize = 2;
const TIME: usize = 3;
const OBSERVED_AT: usize = 4;
const FLAGS: usize = 5;
const SHAPE: usize = 6;
const KEYS: usize = 7;
const HASH: usize = 13;
const UID: usize = 14;
const TRACE_ID: usize = 15;
const SPAN_ID: usize = 16;
const BODY: usize = 17;
const VALUES: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_where_they_are_looked_for() {
        let names = [
            (POSITION, "position"),
            (AT, "at_unix_nano"),
            (RECEIVED_AT, "received_at_unix_nano"),
            (TIME, "time_unix_nano"),
            (OBSERVED_AT, "observed_time_unix_nano"),
            (FLAGS, "flags"),
            (SHAPE, "shape_id"),
            (KEYS, keys::COLUMNS[0]),
            (HASH, "hash"),
            (UID, "uid"),
            (TRACE_ID, "trace_id"),
            (SPAN_ID, "span_id"),
            (BODY, "body"),
            (VALUES, "attribute_values"),
        ];

        for (index, name) in names {
            assert_eq!(RECORDS.columns[index].name, name);
        }
    }
}
