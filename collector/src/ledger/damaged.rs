//! Rows of a table in which some may hold what no collector writes.

use crate::db::{Connection, DbError, Row};

/// All rows of a query that `read` understands, and the numbers in the first column of the others.
///
/// # Errors
///
/// Those of the database; not those of `read`.
pub(super) fn list<T>(
    connection: &mut dyn Connection,
    sql: &str,
    read: fn(&dyn Row) -> Result<T, DbError>,
) -> Result<(Vec<T>, Vec<i64>), DbError> {
    let (mut list, mut damaged) = (Vec::new(), Vec::new());
    connection.query(sql, &[], &mut |row| {
        match read(row) {
            Ok(found) => list.push(found),
            Err(_) => damaged.push(row.integer(0).ok().flatten().unwrap_or_default()),
        }
        Ok(())
    })?;

    Ok((list, damaged))
}
