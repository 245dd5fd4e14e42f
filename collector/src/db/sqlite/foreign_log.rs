//! A write-ahead log beside a database that it does not belong to: after a restore of the database
//! alone, or a mistaken name. SQLite would apply it without a word, and destroy the database.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Result};

use super::files::has_log;
use super::read_only::open_alone;

/// Whether the log does not continue the database. The database and its log are only read: neither
/// is changed, whatever the answer.
pub(in crate::db) fn has_foreign_log(file: &Path, busy_timeout: Duration) -> bool {
    if !has_log(file) {
        return false;
    }

    // Without its log, a database of which a part was written when its process was killed may be
    // unreadable; then nothing is known.
    let Ok(last) = open_alone(file, busy_timeout).and_then(|alone| last_row(&alone)) else {
        return false;
    };
    match continues(file, busy_timeout, last) {
        Ok(continues) => !continues,
        Err(error) => is_of_content(&error),
    }
}

/// Position and hash of a row.
type Place = (i64, Vec<u8>);

fn last_row(connection: &Connection) -> Result<Option<Place>> {
    const LAST: &str = "SELECT position, hash FROM records ORDER BY position DESC LIMIT 1";
    connection
        .query_row(LAST, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Whether the database with its log has the last row of the database alone, and all rows from there
/// to the end of the chain, but for those that retention has deleted.
fn continues(file: &Path, busy_timeout: Duration, last: Option<Place>) -> Result<bool> {
    const HEAD: &str = "SELECT COALESCE(MAX(position), 0) FROM head";
    const BEHIND: &str = "SELECT COUNT(*) FROM records WHERE position > ?1";
    const CUT_BEHIND: &str = "SELECT COALESCE(SUM(json_extract(statement, '$.last_position') - MAX(first_position - 1, ?1)), 0) \
        FROM cuts WHERE json_extract(statement, '$.last_position') > ?1";

    let connection = open_with_log(file, busy_timeout)?;
    let reading = connection.unchecked_transaction()?;
    if !has_row(&reading, last.as_ref())? {
        return Ok(false);
    }

    let position = last.map_or(0, |(position, _)| position);
    let number = |sql: &str| reading.query_row(sql, [position], |row| row.get::<_, i64>(0));
    let head: i64 = reading.query_row(HEAD, [], |row| row.get(0))?;
    Ok(number(BEHIND)? + number(CUT_BEHIND)? == head - position)
}

/// Whether this row is in the database, or was deleted by retention.
fn has_row(connection: &Connection, place: Option<&Place>) -> Result<bool> {
    const HASH: &str = "SELECT hash FROM records WHERE position = ?1";
    const IS_CUT: &str = "SELECT EXISTS (SELECT 1 FROM cuts WHERE first_position <= ?1 \
        AND json_extract(statement, '$.last_position') >= ?1)";

    let Some((position, hash)) = place else {
        return Ok(true);
    };
    let found = connection.query_row(HASH, [position], |row| row.get::<_, Vec<u8>>(0));
    match found.optional()? {
        Some(found) => Ok(found == *hash),
        None => connection.query_row(IS_CUT, [position], |row| row.get(0)),
    }
}

/// The last connection would move the log into the database when it ends.
fn open_with_log(file: &Path, busy_timeout: Duration) -> Result<Connection> {
    let connection = Connection::open_with_flags(file, super::FLAGS)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(busy_timeout)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// Whether the error is about what is in the files, such as pages of different databases.
fn is_of_content(error: &rusqlite::Error) -> bool {
    let codes = [
        ErrorCode::DatabaseCorrupt,
        ErrorCode::NotADatabase,
        // No such table.
        ErrorCode::Unknown,
    ];
    error
        .sqlite_error_code()
        .is_none_or(|code| codes.contains(&code))
}
