//! The view of the streams; see [`completeness`](crate::completeness).

mod list;
mod row;
mod summary;
mod sums;

pub use list::{StreamQuery, StreamStatus, list};
pub use summary::{EndedStreams, Summary, summary};

use crate::completeness::Streams;
use crate::db::{Connection, DbError};
use crate::ledger::StoredEntry;
use sums::Sums;

/// Folds more records of the ledger into their streams.
pub(super) fn fold(connection: &mut dyn Connection, rows: &[StoredEntry]) -> Result<(), DbError> {
    let mut ids: Vec<_> = rows
        .iter()
        .filter_map(|kept| kept.entry.stream_id.as_deref())
        .collect();
    ids.sort_unstable();
    ids.dedup();

    let mut streams = row::known(connection, &ids)?;
    let before = Sums::of(&streams);
    for kept in rows {
        streams.add(&kept.entry);
    }
    keep(connection, before, &streams)
}

/// Adds the stream data of deleted records.
pub(super) fn merge(connection: &mut dyn Connection, others: Streams) -> Result<(), DbError> {
    let ids: Vec<_> = others.by_id.keys().map(String::as_str).collect();
    let mut streams = row::known(connection, &ids)?;
    let before = Sums::of(&streams);
    streams.merge(others);
    keep(connection, before, &streams)
}

/// Empties the view.
pub(super) fn clear(connection: &mut dyn Connection) -> Result<(), DbError> {
    for table in ["streams", "stream_sums"] {
        connection.execute(&format!("DELETE FROM {table}"), &[])?;
    }
    Ok(())
}

fn keep(
    connection: &mut dyn Connection,
    before: [Sums; 2],
    streams: &Streams,
) -> Result<(), DbError> {
    row::save_all(connection, streams)?;
    for (settled, (before, after)) in (0..).zip(before.into_iter().zip(Sums::of(streams))) {
        after.without(before).add(connection, settled)?;
    }
    Ok(())
}
