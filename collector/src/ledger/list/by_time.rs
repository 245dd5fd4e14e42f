//! A search in the order of time.
//!
//! The index of time leads through all rows. That of a key or a shape leads to few of them, segment by
//! segment, and not in order. So a search for these first looks at the nearest rows in the order of
//! time: what is frequent is found there. What is left is found by segments, from the nearest one on,
//! until no later segment can have a row that comes earlier.

use super::conditions::{Access, Conditions};
use super::order::{Order, push_times};
use super::search::Search;
use super::{Cursor, MAX_PAGE_BYTES};
use crate::db::{Cell, DbError};
use crate::ledger::store::raw::{self, Raw};

/// Rows that are looked at in the order of time, before the indexes of segments are used.
const NEAREST: i64 = 500;

/// Most rows that are read by their positions at once.
const AT_ONCE: usize = 128;

/// A row that can match.
struct Place {
    cursor: Cursor,
    /// Bytes of its values.
    size: usize,
}

/// A segment that can have matching rows.
struct Segment {
    number: i64,
    /// The time at which it is first in the order.
    at: i64,
}

impl Search<'_> {
    /// The rows beyond `cursor`.
    pub(super) fn by_time(&mut self, order: Order, cursor: Option<Cursor>) -> Result<(), DbError> {
        if !self.columns.is_indexed() {
            return self.in_order(order, cursor, None);
        }

        let edge = self.edge(order, cursor)?;
        self.in_order(order, cursor, edge)?;
        match edge {
            Some(edge) if !self.page.more => self.by_segments(order, edge),
            _ => Ok(()),
        }
    }

    /// The last of the nearest rows; `None` when there are fewer.
    fn edge(&mut self, order: Order, cursor: Option<Cursor>) -> Result<Option<Cursor>, DbError> {
        let mut query = Conditions::of(PLACES.to_owned());
        push_times(self.filter, false, &mut query);
        if let Some(cursor) = cursor {
            order.push_beyond(cursor, &mut query);
        }
        query.text.push_str(order.by_rows());
        query.push(" LIMIT 1 OFFSET ", Cell::Integer(NEAREST - 1));
        Ok(self.places(&query)?.pop().map(|place| place.cursor))
    }

    /// The rows between two cursors, by the index of time.
    fn in_order(
        &mut self,
        order: Order,
        cursor: Option<Cursor>,
        edge: Option<Cursor>,
    ) -> Result<(), DbError> {
        let mut cursor = cursor;
        loop {
            let mut query = Conditions::of(raw::select());
            push_times(self.filter, false, &mut query);
            self.columns.restrict(Access::Few, &mut query);
            if let Some(cursor) = cursor {
                order.push_beyond(cursor, &mut query);
            }
            if let Some(edge) = edge {
                order.push_up_to(edge, &mut query);
            }
            query.text.push_str(order.by_rows());

            let rows = self.next(query)?;
            let Some(last) = rows.last().map(Raw::cursor) else {
                return Ok(());
            };
            self.take(rows)?;
            if self.page.more {
                return Ok(());
            }
            cursor = Some(last);
        }
    }

    /// The rows beyond `cursor`, by the indexes of their segments.
    fn by_segments(&mut self, order: Order, cursor: Cursor) -> Result<(), DbError> {
        let segments = self.segments(order, cursor)?;
        let mut found: Vec<Place> = Vec::new();

        for (place, segment) in segments.iter().enumerate() {
            found.extend(self.in_segment(order, cursor, segment.number)?);
            order.sort(&mut found, |place| place.cursor);

            let next = segments.get(place + 1);
            let is_settled = |at| next.is_none_or(|next| order.is_before(at, next.at));
            let settled = found
                .iter()
                .take_while(|row| is_settled(row.cursor.at))
                .count();
            let rows: Vec<_> = found.drain(..settled).collect();
            self.take_all(&rows)?;
            if self.page.more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The segments that can have matching rows beyond `cursor`, in the order of their nearest rows.
    fn segments(&mut self, order: Order, cursor: Cursor) -> Result<Vec<Segment>, DbError> {
        let (column, by) = order.by_segments();
        let mut query = Conditions::of(format!(
            "SELECT segment, {column} FROM segments WHERE 1 = 1"
        ));
        let (from, to) = match order {
            Order::NewestFirst => (self.filter.from, Some(cursor.at)),
            Order::OldestFirst => (Some(cursor.at), self.filter.to),
        };
        if let Some(from) = from {
            query.push(" AND last_at_unix_nano >= ", Cell::Integer(from));
        }
        if let Some(to) = to {
            query.push(" AND first_at_unix_nano <= ", Cell::Integer(to));
        }
        self.columns.restrict_segments(&mut query);
        query.text.push_str(by);

        let mut segments = Vec::new();
        self.connection
            .query(&query.text, &query.cells, &mut |row| {
                segments.push(Segment {
                    number: row.integer(0)?.unwrap_or_default(),
                    at: row.integer(1)?.unwrap_or_default(),
                });
                Ok(())
            })?;
        Ok(segments)
    }

    /// The places of the rows of a segment that can match, in any order.
    fn in_segment(
        &mut self,
        order: Order,
        cursor: Cursor,
        segment: i64,
    ) -> Result<Vec<Place>, DbError> {
        let mut query = Conditions::of(PLACES.to_owned());
        self.columns.restrict(Access::Segment(segment), &mut query);
        push_times(self.filter, true, &mut query);
        order.push_hidden_beyond(cursor, &mut query);
        self.places(&query)
    }

    /// The results of a query that begins with [`PLACES`].
    fn places(&mut self, query: &Conditions<'_>) -> Result<Vec<Place>, DbError> {
        let mut places = Vec::new();
        self.connection
            .query(&query.text, &query.cells, &mut |row| {
                let size = row.integer(2)?.unwrap_or_default();
                places.push(Place {
                    cursor: Cursor {
                        at: row.integer(0)?.unwrap_or_default(),
                        position: row.integer(1)?.unwrap_or_default(),
                    },
                    size: usize::try_from(size).unwrap_or_default(),
                });
                Ok(())
            })?;
        Ok(places)
    }

    /// Takes the rows at these places, in their order, until the page is full.
    fn take_all(&mut self, mut places: &[Place]) -> Result<(), DbError> {
        while !places.is_empty() && !self.page.more {
            let (now, later) = places.split_at(read_at_once(places));
            let positions = now.iter().map(|place| place.cursor.position);
            let mut rows = raw::at(self.connection, positions)?;

            rows.sort_by_key(|row| now.iter().position(|place| place.cursor == row.cursor()));
            self.take(rows)?;
            places = later;
        }
        Ok(())
    }
}

/// What a [`Place`] is read from.
const PLACES: &str = "SELECT at_unix_nano, position, octet_length(attribute_values) FROM records \
    WHERE 1 = 1";

/// How many of the places are read at once: few enough for the memory of a page, and one at least.
fn read_at_once(places: &[Place]) -> usize {
    let mut bytes = 0;
    let fitting = places.iter().take(AT_ONCE).take_while(|place| {
        bytes += place.size;
        bytes <= MAX_PAGE_BYTES
    });
    fitting.count().max(1)
}
