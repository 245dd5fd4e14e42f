//! The row of a stream: its state as JSON, and its outlook as columns.

use crate::completeness::{Outlook, Stream, Streams};
use crate::db::{Cell, Column, Connection, DbError, Row, Table, select_in};
use crate::views::rows::save;

const STREAMS: Table = Table {
    name: "streams",
    columns: &[
        Column::text("stream_id"),
        Column::integer("last_seen_unix_nano"),
        Column::integer("is_settled"),
        Column::integer("missing"),
        Column::integer("missing_since_unix_nano"),
        Column::integer("missing_until_unix_nano"),
        Column::integer("silent_after_unix_nano"),
        Column::text("state"),
    ],
};

/// The streams with these ids, as far as they are known.
pub(super) fn known(connection: &mut dyn Connection, ids: &[&str]) -> Result<Streams, DbError> {
    const SELECT: &str = "SELECT stream_id, state FROM streams WHERE stream_id IN";
    let mut streams = Streams::default();
    select_in(connection, (SELECT, &[]), ids, &mut |row| {
        let (id, stream) = read(row)?;
        streams.by_id.insert(id, stream);
        Ok(())
    })?;
    Ok(streams)
}

/// Reads a row of `stream_id` and `state`.
pub(super) fn read(row: &dyn Row) -> Result<(String, Stream), DbError> {
    let id = row.text(0)?.unwrap_or_default().to_owned();
    let state = serde_json::from_str(row.text(1)?.unwrap_or_default()).map_err(DbError::failed)?;
    Ok((id, state))
}

/// Writes the rows of all streams.
pub(super) fn save_all(connection: &mut dyn Connection, streams: &Streams) -> Result<(), DbError> {
    let states = streams.by_id.iter().map(|(id, stream)| {
        let state = serde_json::to_string(stream).map_err(DbError::failed)?;
        Ok((id, stream, state))
    });
    let states = states.collect::<Result<Vec<_>, DbError>>()?;

    let cells: Vec<_> = states
        .iter()
        .flat_map(|(id, stream, state)| cells(id, stream, state))
        .collect();
    save(connection, &STREAMS, 1, &cells)
}

fn cells<'s>(id: &'s str, stream: &Stream, state: &'s str) -> [Cell<'s>; STREAMS.columns.len()] {
    let Outlook {
        is_settled,
        missing,
        missing_since,
        silent_after,
        ..
    } = stream.outlook();
    let (since, until) = missing_since.unzip();

    [
        Cell::Text(id),
        Cell::Integer(stream.last_seen),
        Cell::Integer(is_settled.into()),
        Cell::Integer(missing),
        since.into(),
        until.into(),
        silent_after.into(),
        Cell::Text(state),
    ]
}
