//! The interface to a database: statements in, rows out, one transaction at a time.
//!
//! All SQL of the collector is written once, for both databases. Parameters are `$1`, `$2`, ... in
//! the order of their first use, and numbers are `BIGINT` or `INTEGER`. Text never holds NUL, which PostgreSQL
//! refuses.

use std::error::Error;
use std::time::Duration;

mod migrations;
mod opening;
pub mod postgres;
mod select_in;
pub mod sqlite;

pub use opening::{OpenError, Opened, file, open, open_earlier, open_existing, open_to_read};
pub(crate) use select_in::{parameters, select_in};

/// A value given to a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// `BIGINT`.
    Integer(i64),
    /// `TEXT`, without NUL.
    Text(&'a str),
    /// `BLOB`, `BYTEA`.
    Bytes(&'a [u8]),
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Option<i64>> for Cell<'_> {
    /// NULL for `None`.
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Integer)
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    /// NULL for `None`.
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<Option<&'a [u8]>> for Cell<'a> {
    /// NULL for `None`.
    fn from(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Bytes)
    }
}

/// A row of a result; columns count from 0. A getter fails when the column holds another type.
pub trait Row {
    /// The number in a column, `None` for NULL.
    fn integer(&self, column: usize) -> Result<Option<i64>, DbError>;
    /// The text in a column, `None` for NULL.
    fn text(&self, column: usize) -> Result<Option<&str>, DbError>;
    /// The bytes in a column, `None` for NULL.
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError>;
}

/// Called for each row of a result; an error ends the statement.
pub type EachRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), DbError>;

/// A table into which many rows are inserted at once.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns in the order of the cells.
    pub columns: &'static [Column],
}

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Type of its values beside NULL.
    pub kind: Kind,
}

impl Column {
    /// A column of numbers.
    pub const fn integer(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Integer,
        }
    }

    /// A column of numbers of 32 bits.
    pub const fn small(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Small,
        }
    }

    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }

    /// A column of bytes.
    pub const fn bytes(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Bytes,
        }
    }
}

impl Table {
    /// The names of its columns, with commas between them.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }
}

/// Type of a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Cell::Integer`].
    Integer,
    /// [`Cell::Integer`] within 32 bits, with a sign.
    Small,
    /// [`Cell::Text`].
    Text,
    /// [`Cell::Bytes`].
    Bytes,
}

/// Ends the statement that runs on a connection, from another thread; has no effect when none runs.
/// May block. The connection is then of no further use.
pub type Interrupter = Box<dyn Fn() + Send + Sync>;

/// One connection. Its calls block; none waits for a lock longer than its database allows.
pub trait Connection: Send {
    /// Runs a statement and returns how many rows it changed.
    fn execute(&mut self, sql: &str, cells: &[Cell<'_>]) -> Result<u64, DbError>;
    /// Runs a query; `each` is called for every row as it arrives.
    fn query(&mut self, sql: &str, cells: &[Cell<'_>], each: EachRow<'_>) -> Result<(), DbError>;
    /// Inserts all rows of `cells`: `table.columns.len()` cells each, one row after the other.
    fn insert(&mut self, table: &Table, cells: &[Cell<'_>]) -> Result<(), DbError>;
    /// Begins a transaction that writes: the only one at a time, over all connections.
    fn begin_write(&mut self) -> Result<(), DbError>;
    /// Begins a transaction that sees one state of the database in all its queries.
    fn begin_read(&mut self) -> Result<(), DbError>;
    /// Ends the transaction; its changes are durable when this returns `Ok`.
    fn commit(&mut self) -> Result<(), DbError>;
    /// Undoes the transaction. Fails silently: a lost connection rolls back by itself.
    fn rollback(&mut self);
    /// Whether the connection is lost and another one is needed.
    fn is_lost(&self) -> bool;

    /// Ends statements of this connection. Without one of its own, they run to their end.
    fn interrupter(&self) -> Interrupter {
        Box::new(|| {})
    }

    /// What is damaged in the file itself, a sentence each, at most 100; nothing for a server, which
    /// checks its files by its own tools. Reads the whole file.
    ///
    /// # Errors
    ///
    /// When the check itself cannot run.
    fn damage(&mut self) -> Result<Vec<String>, DbError> {
        Ok(Vec::new())
    }

    /// Succeeds while the name of the database leads to what this connection uses. Beginning and
    /// ending a transaction includes it. A server keeps its connections to one database.
    ///
    /// # Errors
    ///
    /// When a file was removed, moved or replaced.
    fn check_place(&self) -> Result<(), DbError> {
        Ok(())
    }
}

/// A database that can be connected to.
pub trait Database: Send + Sync {
    /// Opens one more connection.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or is not the one of earlier connections. Never creates
    /// it.
    fn connect(&self) -> Result<Box<dyn Connection>, DbError>;

    /// The same at the start; creates a missing file.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or created.
    fn create(&self) -> Result<Box<dyn Connection>, DbError> {
        self.connect()
    }
}

/// Cause of a failed call, as the database words it; for logs, never for clients.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Another connection held a lock for longer than the database waits; the same call may succeed
    /// later.
    #[error("the database is busy: {0}")]
    Busy(Cause),
    /// A question took longer than this, and was ended.
    #[error("the question took longer than {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// Anything else, such as a full disk or a lost connection.
    #[error("the database failed: {0}")]
    Failed(Cause),
}

impl DbError {
    /// A failure that the collector itself detected.
    pub(crate) fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(cause.into())
    }
}

/// Runs `work` in a transaction that writes. Its changes are durable when this returns `Ok`, and
/// undone otherwise.
///
/// # Errors
///
/// Those of `work`, of the beginning and of the end of the transaction.
pub fn write<T, E: From<DbError>>(
    connection: &mut dyn Connection,
    work: impl FnOnce(&mut dyn Connection) -> Result<T, E>,
) -> Result<T, E> {
    let begun = connection.begin_write().map_err(E::from);
    let result = begun
        .and_then(|()| work(connection))
        .and_then(|value| Ok(connection.commit().map(|()| value)?));

    // Also when the lock was not obtained: the transaction may have begun.
    if result.is_err() {
        connection.rollback();
    }
    result
}
