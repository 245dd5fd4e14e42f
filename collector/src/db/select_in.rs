//! Rows by their keys, with few statements.

use super::{Cell, Connection, DbError, EachRow};

/// Most keys per query; SQLite allows 32766 parameters, PostgreSQL 65535.
const MAX_KEYS: usize = 1024;

/// Runs `select` for the rows that have one of `keys`. `select` ends where the list of keys begins;
/// `fixed` are its earlier parameters.
///
/// The number of keys in a query is rounded up to a power of two, so that few statements have to be
/// prepared. The last key fills the surplus.
///
/// # Errors
///
/// Those of the database.
pub(crate) fn select_in<'k, K: Copy + Into<Cell<'k>>>(
    connection: &mut dyn Connection,
    (select, fixed): (&str, &[Cell<'k>]),
    keys: &[K],
    each: EachRow<'_>,
) -> Result<(), DbError> {
    for keys in keys.chunks(MAX_KEYS) {
        let number = keys.len().next_power_of_two();
        let Some(last) = keys.last().copied() else {
            return Ok(());
        };
        let padded = keys.iter().copied().chain(std::iter::repeat(last));

        let cells: Vec<_> = fixed
            .iter()
            .copied()
            .chain(padded.take(number).map(Into::into))
            .collect();
        let text = format!("{select} {}", parameters(fixed.len() + 1, number));
        connection.query(&text, &cells, each)?;
    }
    Ok(())
}

/// `($first, ...)` with `number` parameters.
pub(crate) fn parameters(first: usize, number: usize) -> String {
    let list: Vec<_> = (first..first + number)
        .map(|place| format!("${place}"))
        .collect();
    format!("({})", list.join(", "))
}
