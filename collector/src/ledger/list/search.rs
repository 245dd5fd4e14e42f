//! One search: what it looks for, and what it has found.

use super::conditions::{Access, Columns, Conditions};
use super::filter::Filter;
use super::order::push_times;
use super::{MAX_PAGE_BYTES, Page};
use crate::db::{Cell, Connection, DbError};
use crate::ledger::StoredEntry;
use crate::ledger::store::decoder::Decoder;
use crate::ledger::store::raw::{self, Raw};

/// Most rows of a query for which more may be needed.
const MAX_ROWS: usize = 1000;

/// A search that is under way.
pub(super) struct Search<'s> {
    pub(super) connection: &'s mut dyn Connection,
    pub(super) decoder: &'s mut Decoder,
    pub(super) filter: &'s Filter,
    pub(super) columns: &'s Columns,
    /// Most rows of the page.
    pub(super) limit: usize,
    /// Bytes of the rows that were found.
    pub(super) bytes: usize,
    pub(super) page: Page,
}

impl Search<'_> {
    /// The rows after `position`, in the order of storage.
    pub(super) fn by_position(&mut self, mut position: i64) -> Result<(), DbError> {
        loop {
            let mut query = Conditions::of(raw::select());
            query.push(" AND position > ", Cell::Integer(position));
            self.columns.restrict(Access::Order, &mut query);
            push_times(self.filter, true, &mut query);
            query.text.push_str(" ORDER BY position");

            let rows = self.next(query)?;
            let Some(last) = rows.last().map(|row| row.position) else {
                return Ok(());
            };
            self.take(rows)?;
            if self.page.more {
                return Ok(());
            }
            position = last;
        }
    }

    /// The next rows of a query without a limit, at most as many as the page can take and one more.
    pub(super) fn next(&mut self, mut query: Conditions<'_>) -> Result<Vec<Raw>, DbError> {
        // One more row shows whether there is a next page.
        let room = self.limit.saturating_sub(self.page.rows.len()) + 1;
        let room = room.min(MAX_ROWS + 1);
        query.push(
            " LIMIT ",
            Cell::Integer(i64::try_from(room).unwrap_or(i64::MAX)),
        );

        let (mut rows, mut bytes) = (Vec::new(), self.bytes);
        let read = self
            .connection
            .query(&query.text, &query.cells, &mut |row| {
                // The row that does not fit shows that there is one.
                let is_full = bytes >= MAX_PAGE_BYTES;
                let row = Raw::read(row);
                bytes += row.size();
                rows.push(row);
                if is_full {
                    return Err(DbError::failed("the page is full"));
                }
                Ok(())
            });
        if bytes < MAX_PAGE_BYTES {
            read?;
        }
        Ok(rows)
    }

    /// Takes rows into the page until it is full.
    pub(super) fn take(&mut self, rows: Vec<Raw>) -> Result<(), DbError> {
        let rows = self.decoder.decode(self.connection, rows)?;
        for row in rows {
            if !self.matches(&row) {
                continue;
            }
            if self.page.rows.len() >= self.limit || self.bytes >= MAX_PAGE_BYTES {
                self.page.more = true;
                break;
            }
            self.bytes += row.entry.size();
            self.page.rows.push(row);
        }
        Ok(())
    }

    /// A damaged row matches where its keys do: what it holds is not known.
    fn matches(&self, row: &StoredEntry) -> bool {
        row.is_damaged || self.filter.matches(&row.entry)
    }
}
