//! One SQLite file, with a write-ahead log and a sync to disk for every commit.

mod files;
mod foreign_log;
mod indexes;
mod read_only;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, params_from_iter};

use files::{Files, Known, check_log};
pub(super) use files::{log_of, orphaned_log};
pub(super) use foreign_log::has_foreign_log;

use super::{
    Cell, Connection, Database, DbError, EachRow, Interrupter, OpenError, Row, Table, parameters,
};

/// How long a call waits for a lock by default. Together with the wait for the writer, it is short
/// enough to answer before a sender's usual timeout of 5 s.
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Prepared statements per connection; more than the collector has.
const PREPARED: usize = 128;

/// Journal and durability: a commit is synced before it returns. A cache of 24 MiB keeps what
/// the newest segment changes, and the upper levels of the indexes; a ledger has five connections.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -24576; \
    PRAGMA journal_size_limit = 67108864; \
    PRAGMA temp_store = MEMORY";

/// The first read of a connection opens the write-ahead log.
const FIRST_READ: &str = "SELECT COUNT(*) FROM sqlite_master";

/// Each connection is used by one thread at a time.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// A [`Database`] in one SQLite file.
#[derive(Debug)]
pub struct SqliteDatabase {
    file: PathBuf,
    busy_timeout: Duration,
    is_read_only: bool,
    known: Mutex<Known>,
}

impl SqliteDatabase {
    /// The file in `url`, `sqlite://FILE`. Parameters after a `?` are refused: the collector sets
    /// what it needs.
    ///
    /// # Errors
    ///
    /// [`OpenError::InMemory`] when `url` names no file, [`OpenError::Url`] when it cannot be read.
    pub fn new(url: &str) -> Result<Self, OpenError> {
        let rest = url.strip_prefix("sqlite:").unwrap_or(url);
        let file = rest.strip_prefix("//").unwrap_or(rest);
        if file.is_empty() || file.contains(":memory:") || file.contains("mode=memory") {
            return Err(OpenError::InMemory);
        }
        if file.contains('?') {
            return Err(OpenError::Url("a SQLite URL takes no parameters".into()));
        }

        Ok(Self {
            file: PathBuf::from(file),
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
            is_read_only: false,
            known: Mutex::default(),
        })
    }

    /// The same with another timeout for locks.
    #[must_use]
    pub fn with_busy_timeout(self, busy_timeout: Duration) -> Self {
        Self {
            busy_timeout,
            ..self
        }
    }

    /// The same for reading only: needs no right to write to the file or to its directory.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self {
            is_read_only: true,
            ..self
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl SqliteDatabase {
    fn open(&self, flags: OpenFlags) -> Result<Box<dyn Connection>, DbError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.check()?;
        check_log(&self.file)?;
        let connection = if self.is_read_only {
            read_only::open(&self.file, self.busy_timeout)?
        } else {
            let connection = rusqlite::Connection::open_with_flags(&self.file, flags)?;
            // Nothing is read yet, so the log is untouched.
            known.check()?;
            check_log(&self.file)?;
            prepare(connection, self.busy_timeout, PRAGMAS)?
        };

        Ok(Box::new(SqliteConnection {
            files: known.share(&self.file)?,
            connection,
        }))
    }
}

fn prepare(
    connection: rusqlite::Connection,
    busy_timeout: Duration,
    pragmas: &str,
) -> Result<rusqlite::Connection, rusqlite::Error> {
    connection.busy_timeout(busy_timeout)?;
    connection.execute_batch(pragmas)?;
    connection.query_row(FIRST_READ, [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

impl Database for SqliteDatabase {
    fn connect(&self) -> Result<Box<dyn Connection>, DbError> {
        self.open(FLAGS)
    }

    fn create(&self) -> Result<Box<dyn Connection>, DbError> {
        self.open(FLAGS | OpenFlags::SQLITE_OPEN_CREATE)
    }
}

struct SqliteConnection {
    /// Dropped before the connection, which may remove the log when it is the last one.
    files: Arc<Files>,
    connection: rusqlite::Connection,
}

impl Drop for SqliteConnection {
    /// The last connection moves the log into the database and deletes it: not into another one.
    fn drop(&mut self) {
        if self.check_place().is_err() {
            let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            // Fails for an unknown option only.
            let _ = self.connection.set_db_config(keep_log, true);
        }
    }
}

impl Connection for SqliteConnection {
    fn execute(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<u64, DbError> {
        let changed = self
            .connection
            .prepare_cached(sql)?
            .execute(params_from_iter(cells))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn query(&mut self, sql: &str, cells: &[Cell<'_>], each: EachRow<'_>) -> Result<(), DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(cells))?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    fn insert(&mut self, table: &Table, cells: &[Cell<'_>]) -> Result<(), DbError> {
        let mut statement = self.connection.prepare_cached(&insert_text(table))?;
        for row in cells.chunks(table.columns.len()) {
            statement.execute(params_from_iter(row))?;
        }
        Ok(())
    }

    fn begin_write(&mut self) -> Result<(), DbError> {
        self.check_place()?;
        // Takes the write lock at once, to wait for it here instead of failing halfway.
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn begin_read(&mut self) -> Result<(), DbError> {
        self.check_place()?;
        Ok(self.connection.execute_batch("BEGIN")?)
    }

    fn commit(&mut self) -> Result<(), DbError> {
        self.check_place()?;
        self.connection.execute_batch("COMMIT")?;
        // A file that was moved meanwhile has the changes, but a restart would not find them.
        self.check_place()
    }

    fn rollback(&mut self) {
        // A failed statement may have ended the transaction already.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn interrupter(&self) -> Interrupter {
        let handle = self.connection.get_interrupt_handle();
        Box::new(move || handle.interrupt())
    }

    fn damage(&mut self) -> Result<Vec<String>, DbError> {
        let mut found = Vec::new();
        let checked = self.check_pages(&mut found).and_then(|()| {
            found.extend(indexes::damaged(&self.connection)?);
            Ok(())
        });

        match checked {
            Err(DbError::Failed(cause)) => found.push(cause.to_string()),
            checked => checked?,
        }
        Ok(found)
    }

    fn check_place(&self) -> Result<(), DbError> {
        self.files.check()
    }
}

impl SqliteConnection {
    /// Adds what is wrong with pages, and with the indexes of all tables but the records.
    fn check_pages(&mut self, found: &mut Vec<String>) -> Result<(), DbError> {
        const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' \
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'records'";

        let mut checks = vec!["PRAGMA quick_check(100)".to_owned()];
        self.query(TABLES, &[], &mut |row| {
            let table = row.text(0)?.unwrap_or_default();
            checks.push(format!("PRAGMA integrity_check('{table}')"));
            Ok(())
        })?;

        for check in checks {
            self.query(&check, &[], &mut |row| {
                let text = row.text(0)?.filter(|text| *text != "ok");
                found.extend(text.map(ToOwned::to_owned));
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// `INSERT INTO table (a, b) VALUES ($1, $2)`.
pub fn insert_text(table: &Table) -> String {
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        table.names(),
        parameters(1, table.columns.len())
    )
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn integer(&self, column: usize) -> Result<Option<i64>, DbError> {
        self.get_ref(column)?
            .as_i64_or_null()
            .map_err(DbError::failed)
    }

    fn text(&self, column: usize) -> Result<Option<&str>, DbError> {
        self.get_ref(column)?
            .as_str_or_null()
            .map_err(DbError::failed)
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        self.get_ref(column)?
            .as_blob_or_null()
            .map_err(DbError::failed)
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_synced_to_disk() {
        const FULL: i64 = 2;
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        let mut connection = SqliteDatabase::new(&url).unwrap().create().unwrap();

        let mut seen = Vec::new();
        connection
            .query(
                "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous",
                &[],
                &mut |row| {
                    seen.push((row.text(0)?.map(ToOwned::to_owned), row.integer(1)?));
                    Ok(())
                },
            )
            .unwrap();

        assert_eq!(seen, [(Some("wal".to_owned()), Some(FULL))]);
    }

    #[test]
    fn an_in_memory_database_is_refused() {
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://audit?mode=memory",
            "sqlite://",
        ] {
            assert!(
                matches!(SqliteDatabase::new(url), Err(OpenError::InMemory)),
                "{url}"
            );
        }

        assert!(matches!(
            SqliteDatabase::new("sqlite://audit.db?cache=shared"),
            Err(OpenError::Url(_))
        ));
    }
}
