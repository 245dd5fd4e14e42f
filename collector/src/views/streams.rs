//! The view of the streams; see [`completeness`](crate::completeness).

use super::rows::save;
use crate::completeness::{Moment, Report, Streams};
use crate::db::{Cell, Column, Connection, DbError, Row, Table, select_in};
use crate::ledger::StoredEntry;
use crate::ledger::append::conflicts;
use crate::ledger::chain::head;

const STREAMS: Table = Table {
    name: "streams",
    columns: &[
        Column::text("stream_id"),
        Column::integer("last_seen_unix_nano"),
        Column::text("state"),
    ],
};

/// Folds more records of the ledger into their streams.
pub(super) fn fold(connection: &mut dyn Connection, rows: &[StoredEntry]) -> Result<(), DbError> {
    let mut ids: Vec<_> = rows
        .iter()
        .filter_map(|kept| kept.entry.stream_id.as_deref())
        .collect();
    ids.sort_unstable();
    ids.dedup();

    let mut streams = known(connection, &ids)?;
    for kept in rows {
        streams.add(&kept.entry);
    }
    keep(connection, &streams)
}

/// Adds the stream data of deleted records.
pub(super) fn merge(connection: &mut dyn Connection, others: Streams) -> Result<(), DbError> {
    let ids: Vec<_> = others.by_id.keys().map(String::as_str).collect();
    let mut streams = known(connection, &ids)?;
    streams.merge(others);
    keep(connection, &streams)
}

fn known(connection: &mut dyn Connection, ids: &[&str]) -> Result<Streams, DbError> {
    const SELECT: &str = "SELECT stream_id, state FROM streams WHERE stream_id IN";
    let mut streams = Streams::default();
    select_in(connection, (SELECT, &[]), ids, &mut |row| {
        read(row, &mut streams)
    })?;
    Ok(streams)
}

fn read(row: &dyn Row, streams: &mut Streams) -> Result<(), DbError> {
    let id = row.text(0)?.unwrap_or_default().to_owned();
    let state = serde_json::from_str(row.text(1)?.unwrap_or_default()).map_err(DbError::failed)?;
    streams.by_id.insert(id, state);
    Ok(())
}

fn keep(connection: &mut dyn Connection, streams: &Streams) -> Result<(), DbError> {
    let states = streams.by_id.iter().map(|(id, stream)| {
        let state = serde_json::to_string(stream).map_err(DbError::failed)?;
        Ok((id, stream.last_seen, state))
    });
    let states = states.collect::<Result<Vec<_>, DbError>>()?;

    let cells: Vec<_> = states
        .iter()
        .flat_map(|(id, last_seen, state)| {
            [Cell::Text(id), Cell::Integer(*last_seen), Cell::Text(state)]
        })
        .collect();

    save(connection, &STREAMS, 1, &cells)
}

/// The report on all streams at `moment`.
///
/// # Errors
///
/// Those of the database.
pub fn report(connection: &mut dyn Connection, moment: Moment) -> Result<Report, DbError> {
    let mut streams = Streams::default();
    connection.query("SELECT stream_id, state FROM streams", &[], &mut |row| {
        read(row, &mut streams)
    })?;
    let conflicts = conflicts(connection)?;
    Ok(streams.report(moment, head(connection)?.position, conflicts))
}
