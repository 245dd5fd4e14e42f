//! Removes from the dictionaries what no row holds any more: it can be a name or an address.

use std::collections::BTreeSet;

use crate::db::{Cell, Connection, DbError, select_in};
use crate::ledger::chain::head;
use crate::ledger::store::{SEGMENT_ROWS, referenced_texts, segment_of};

/// Rows of these segments were deleted.
pub(super) fn mark(connection: &mut dyn Connection, first: i64, last: i64) -> Result<(), DbError> {
    connection.execute(
        "UPDATE segments SET is_swept = 0 WHERE segment >= $1 AND segment <= $2",
        &[Cell::Integer(first), Cell::Integer(last)],
    )?;
    Ok(())
}

/// Sweeps one of the segments from which rows were deleted; returns whether there was one. The rows
/// of a segment are read within the transaction: 65536 at most.
pub(super) fn sweep(connection: &mut dyn Connection) -> Result<bool, DbError> {
    let Some(segment) = marked(connection)? else {
        return Ok(false);
    };

    let used = Used::read(connection, segment)?;
    remove(connection, "shapes", segment, &used.shapes)?;
    remove(connection, "texts", segment, &used.texts)?;

    let is_over = segment < segment_of(head(connection)?.position);
    let end = if used.shapes.is_empty() && is_over {
        "DELETE FROM segments WHERE segment = $1"
    } else {
        "UPDATE segments SET is_swept = 1, generation = generation + 1 WHERE segment = $1"
    };
    connection.execute(end, &[Cell::Integer(segment)])?;
    Ok(true)
}

fn marked(connection: &mut dyn Connection) -> Result<Option<i64>, DbError> {
    let mut segment = None;
    connection.query(
        "SELECT segment FROM segments WHERE is_swept = 0 ORDER BY segment LIMIT 1",
        &[],
        &mut |row| {
            segment = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(segment)
}

/// What the rows of a segment hold.
#[derive(Default)]
struct Used {
    shapes: BTreeSet<i64>,
    texts: BTreeSet<i64>,
}

impl Used {
    fn read(connection: &mut dyn Connection, segment: i64) -> Result<Self, DbError> {
        const ROWS: &str = "SELECT shape_id, attribute_values FROM records \
            WHERE position >= $1 AND position < $2";

        let first = segment * SEGMENT_ROWS;
        let range = [Cell::Integer(first), Cell::Integer(first + SEGMENT_ROWS)];
        let mut used = Self::default();
        connection.query(ROWS, &range, &mut |row| {
            used.shapes.extend(row.integer(0)?);
            used.texts
                .extend(referenced_texts(row.text(1)?.unwrap_or_default()));
            Ok(())
        })?;
        Ok(used)
    }
}

/// Removes all entries of a segment but these.
fn remove(
    connection: &mut dyn Connection,
    table: &str,
    segment: i64,
    used: &BTreeSet<i64>,
) -> Result<(), DbError> {
    let of_segment = [Cell::Integer(segment)];
    let mut unused = Vec::new();
    let select = format!("SELECT id FROM {table} WHERE segment = $1");
    connection.query(&select, &of_segment, &mut |row| {
        unused.extend(row.integer(0)?.filter(|id| !used.contains(id)));
        Ok(())
    })?;

    let delete = format!("DELETE FROM {table} WHERE segment = $1 AND id IN");
    select_in(connection, (&delete, &of_segment), &unused, &mut |_| Ok(()))
}
