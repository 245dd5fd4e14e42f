//! Whether the indexes of the records hold what the rows do. SQLite's own check looks each row up in
//! each index, which takes ten times as long.
//!
//! Both are read in their own order, and the sums of a keyed hash over all entries are compared. The
//! key is new in each run, so that entries with the same sum cannot be chosen.

use std::hash::{BuildHasher as _, RandomState};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row};

/// The segment of a row, as the indexes have it.
const SEGMENT: &str = "CAST(position / 65536 AS INTEGER)";

/// Indexes of the table, and the column that each of them has. The first two have rows of all
/// segments in one order.
const INDEXES: [(&str, &str); 9] = [
    ("sqlite_autoindex_records_1", "uid"),
    ("records_by_time", "at_unix_nano"),
    ("records_by_shape", "shape_id"),
    ("records_by_user", "user_key"),
    ("records_by_name", "name_key"),
    ("records_by_email", "email_key"),
    ("records_by_session", "session_key"),
    ("records_by_token", "token_key"),
    ("records_by_stream", "stream_key"),
];

/// How many of [`INDEXES`] have no segment.
const WHOLE: usize = 2;

/// Entries of an index: how many, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    entries: u64,
    hashes: u64,
}

impl Sum {
    fn add(&mut self, hash: u64) {
        self.entries += 1;
        self.hashes = self.hashes.wrapping_add(hash);
    }
}

/// A sentence for each index that does not hold what the rows do.
pub(super) fn damaged(connection: &Connection) -> Result<Vec<String>> {
    let hashes = RandomState::new();
    let of_rows = rows(connection, &hashes)?;

    let mut damaged = Vec::new();
    for (place, ((name, column), of_rows)) in INDEXES.into_iter().zip(of_rows).enumerate() {
        if index(connection, &hashes, place, name, column)? != of_rows {
            damaged.push(format!("index {name} does not hold what the rows do"));
        }
    }
    Ok(damaged)
}

/// The entries that each index must have.
fn rows(connection: &Connection, hashes: &RandomState) -> Result<[Sum; INDEXES.len()]> {
    let columns = INDEXES.map(|(_, column)| column).join(", ");
    let select = format!("SELECT {SEGMENT}, position, {columns} FROM records NOT INDEXED");

    let mut sums = [Sum::default(); INDEXES.len()];
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (place, sum) in sums.iter_mut().enumerate() {
            add(sum, hashes, place, row, place + 2)?;
        }
    }
    Ok(sums)
}

/// The entries that an index has.
fn index(
    connection: &Connection,
    hashes: &RandomState,
    place: usize,
    name: &str,
    column: &str,
) -> Result<Sum> {
    let condition = match place {
        0 | 1 => String::new(),
        2 => format!(" WHERE {SEGMENT} IS NOT NULL"),
        _ => format!(" WHERE {column} IS NOT NULL"),
    };
    let select = format!(
        "SELECT {SEGMENT}, position, {column} FROM records INDEXED BY {name}{condition} ORDER BY {}",
        if place < WHOLE { column } else { SEGMENT }
    );

    let mut sum = Sum::default();
    let mut statement = connection.prepare(&select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        add(&mut sum, hashes, place, row, 2)?;
    }
    Ok(sum)
}

/// Adds the entry of a row, which begins with its segment and its position; NULL has none.
fn add(
    sum: &mut Sum,
    hashes: &RandomState,
    place: usize,
    row: &Row<'_>,
    column: usize,
) -> Result<()> {
    let segment = if place < WHOLE {
        None
    } else {
        Some(row.get::<_, i64>(0)?)
    };
    let position: i64 = row.get(1)?;
    match row.get_ref(column)? {
        ValueRef::Null => {}
        ValueRef::Integer(number) => sum.add(hashes.hash_one((segment, position, number))),
        ValueRef::Blob(bytes) => sum.add(hashes.hash_one((segment, position, bytes))),
        other => sum.add(hashes.hash_one((segment, position, format!("{other:?}")))),
    }
    Ok(())
}
