//! Finds records, page by page.

mod by_time;
mod conditions;
mod filter;
mod order;
mod search;

use super::store::decoder::Decoder;
pub use super::stored::{Cursor, FLAGS, NoCursor, StoredEntry};
use crate::db::{Connection, DbError, Row};
use conditions::Columns;
pub(crate) use conditions::Conditions;
pub use filter::Filter;
use order::Order;
use search::Search;

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
    list_with(connection, &mut Decoder::default(), filter, start, limit)
}

/// The same with a decoder that keeps the dictionaries of earlier pages.
///
/// # Errors
///
/// Those of the database.
pub fn list_with(
    connection: &mut dyn Connection,
    decoder: &mut Decoder,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> Result<Page, DbError> {
    decoder.refresh(connection)?;
    let filter = filter.as_searched();
    let columns = Columns::of(&filter);
    let limit = usize::try_from(limit).unwrap_or_default();
    let mut search = Search {
        connection,
        decoder,
        filter: &filter,
        columns: &columns,
        limit,
        bytes: 0,
        page: Page::default(),
    };

    match start {
        Start::After(position) => search.by_position(position)?,
        Start::Newest(cursor) => search.by_time(Order::NewestFirst, cursor)?,
        Start::Oldest(cursor) => search.by_time(Order::OldestFirst, cursor)?,
    }
    Ok(search.page)
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

impl Start {
    /// Whether the order is that of storage.
    pub(super) fn by_position(self) -> bool {
        matches!(self, Self::After(_))
    }
}
