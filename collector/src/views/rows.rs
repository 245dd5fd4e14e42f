//! Writing many rows of a view with few statements.

use crate::db::{Cell, Connection, DbError, Table, parameters};

/// Most rows per statement; their number is a power of two, so that few statements have to be
/// prepared.
const MAX_ROWS: usize = 64;

/// Writes rows, one after the other in `cells`, and replaces those with the same key: the first
/// `key` columns. No key may occur twice.
pub(super) fn save(
    connection: &mut dyn Connection,
    table: &Table,
    key: usize,
    cells: &[Cell<'_>],
) -> Result<(), DbError> {
    upsert(connection, (table, key, ""), cells)
}

/// The same, but a known row is replaced only under a condition: an SQL fragment on it and on
/// `excluded`, the new one.
pub(super) fn upsert(
    connection: &mut dyn Connection,
    (table, key, condition): (&Table, usize, &str),
    cells: &[Cell<'_>],
) -> Result<(), DbError> {
    let width = table.columns.len();
    let mut left = cells;

    while !left.is_empty() {
        let rows = (left.len() / width).min(MAX_ROWS);
        let rows = 1 << rows.checked_ilog2().unwrap_or_default();
        let (now, later) = left
            .split_at_checked(rows * width)
            .ok_or_else(|| DbError::failed("a row is not whole"))?;

        let text = save_text(table, key, rows);
        connection.execute(&format!("{text}{condition}"), now)?;
        left = later;
    }
    Ok(())
}

fn save_text(table: &Table, key: usize, rows: usize) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
    let width = names.len();
    let values: Vec<_> = (0..rows)
        .map(|row| parameters(row * width + 1, width))
        .collect();

    let keys: Vec<_> = names.iter().take(key).copied().collect();
    let others: Vec<_> = names
        .iter()
        .skip(key)
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();

    format!(
        "INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {}",
        table.name,
        table.names(),
        values.join(", "),
        keys.join(", "),
        others.join(", ")
    )
}
