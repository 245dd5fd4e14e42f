//! The query that finds records, page by page.

use std::fmt;
use std::str::FromStr;

use super::chain::{self, Hash};
pub use super::conditions::Filter;
use super::conditions::{Columns, Conditions};
use super::entry::{CLOCK_SKEW, Entry, RECORDS, UNHASHED};
use crate::db::{Cell, Connection, DbError, Row};
use crate::record::UID;
use serde_json::{Map, Value};

/// Where a page begins, and in which order it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Newest first, from the newest record or from where a page ended.
    Newest(Option<Cursor>),
    /// Oldest first, from the oldest record or from where a page ended.
    Oldest(Option<Cursor>),
    /// In the order of storage, after this position.
    After(i64),
}

/// A place in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// [`Entry::at`] of the record.
    pub at: i64,
    /// Its position.
    pub position: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.at, self.position)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that an answer gave")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, position) = text.split_once('-').ok_or(NoCursor)?;
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| NoCursor);
        Ok(Self {
            at: number(at)?,
            position: number(position)?,
        })
    }
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its position in the chain, from 1.
    pub position: i64,
    /// Its hash.
    pub hash: Hash,
    /// Its content.
    pub entry: Entry,
    /// Whether another record came with its uid.
    pub conflict: bool,
}

impl StoredEntry {
    /// Where it is in the order of time.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            at: self.entry.at,
            position: self.position,
        }
    }

    /// Whether its time cannot be believed.
    pub fn is_skewed(&self) -> bool {
        self.entry.flags & CLOCK_SKEW != 0
    }

    /// All attributes and fields as one flat object, as the API and the exports show them. Damaged
    /// attributes are left out.
    pub fn flat(&self) -> Map<String, Value> {
        let mut flat = self.entry.flat();
        flat.insert(UID.to_owned(), self.entry.uid.clone().into());
        flat.insert(
            "received_at_unix_nano".to_owned(),
            self.entry.received_at.to_string().into(),
        );
        flat.insert("position".to_owned(), self.position.into());
        flat.insert("hash".to_owned(), hex::encode(self.hash).into());
        flat.insert("flags".to_owned(), self.flags().into());

        flat
    }

    /// Names of the reasons to doubt the record, of [`FLAGS`].
    pub fn flags(&self) -> Vec<&'static str> {
        let damaged = self.entry.attributes().is_err();
        let set = [self.is_skewed(), self.conflict, damaged];

        FLAGS
            .into_iter()
            .zip(set)
            .filter_map(|(name, set)| set.then_some(name))
            .collect()
    }
}

/// Reasons to doubt a record: its clock, another record with its uid, attributes that cannot be read.
pub const FLAGS: [&str; 3] = ["clock_skew", "conflict", "damaged"];

/// A page takes no further record once it has this many bytes: one record can be as large as a
/// request.
pub(super) const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Some of the matching records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the requested order.
    pub rows: Vec<StoredEntry>,
    /// Whether there are more of them.
    pub more: bool,
}

/// The records that match `filter`: at most `limit`, and no further one once they take 16 MiB.
///
/// # Errors
///
/// Those of the database.
pub fn list(
    connection: &mut dyn Connection,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> Result<Page, DbError> {
    let columns = Columns::of(filter);
    let mut query = Conditions {
        text: select(),
        ..Conditions::default()
    };
    columns.restrict(filter, start.by_position(), &mut query);
    start.restrict(&mut query);

    // One more row shows whether there is a next page.
    query.push(" LIMIT ", Cell::Integer(limit.saturating_add(1)));

    let mut rows = Vec::new();
    let more = read_page(connection, &query, limit, &mut |row| {
        let entry = Entry::read(row, UNHASHED)?;
        let size = entry.size();
        rows.push(StoredEntry {
            position: row.integer(0)?.unwrap_or_default(),
            hash: chain::hash(row.bytes(1)?)?,
            entry,
            conflict: row.integer(RECORDS.columns.len())?.unwrap_or_default() > 0,
        });
        Ok(size)
    })?;
    Ok(Page { rows, more })
}

/// Reads at most `limit` rows, and no further one once they take [`MAX_PAGE_BYTES`]. `each` yields
/// the size of a row in bytes. Returns whether there are more of them.
pub(super) fn read_page(
    connection: &mut dyn Connection,
    query: &Conditions<'_>,
    limit: i64,
    each: &mut dyn FnMut(&dyn Row) -> Result<usize, DbError>,
) -> Result<bool, DbError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut rows, mut bytes, mut more) = (0, 0, false);
    let read = connection.query(&query.text, &query.cells, &mut |row| {
        if rows >= limit || bytes >= MAX_PAGE_BYTES {
            more = true;
            return Err(DbError::failed("the page is full"));
        }

        bytes += each(row)?;
        rows += 1;
        Ok(())
    });

    if more { Ok(true) } else { read.map(|()| false) }
}

/// The columns of a [`StoredEntry`], of all records.
fn select() -> String {
    let conflicts = "(SELECT COUNT(*) FROM conflicts WHERE conflicts.position = records.position)";
    let names = RECORDS.names();
    format!("SELECT {names}, {conflicts} FROM records WHERE 1 = 1")
}

impl Start {
    /// Whether the order is that of storage.
    pub(super) fn by_position(self) -> bool {
        matches!(self, Self::After(_))
    }

    fn restrict(self, query: &mut Conditions<'_>) {
        let (cursor, beyond, order) = match self {
            Self::Newest(cursor) => (cursor, "<", " ORDER BY at_unix_nano DESC, position DESC"),
            Self::Oldest(cursor) => (cursor, ">", " ORDER BY at_unix_nano, position"),
            Self::After(position) => {
                query.push(" AND position > ", Cell::Integer(position));
                query.text.push_str(" ORDER BY position");
                return;
            }
        };

        if let Some(Cursor { at, position }) = cursor {
            query.push(
                &format!(" AND (at_unix_nano, position) {beyond} ("),
                Cell::Integer(at),
            );
            query.push(", ", Cell::Integer(position));
            query.text.push(')');
        }

        query.text.push_str(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        let cursor = Cursor {
            at: i64::MAX,
            position: 7,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "7", "a-b", "1-", "-1", "1-2-3"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
