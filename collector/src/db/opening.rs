//! From a URL to a database: to serve, to change, or to read only.

use std::path::PathBuf;
use std::sync::Arc;

use super::migrations::{self, Scripts};
use super::postgres::PostgresDatabase;
use super::sqlite::{self, SqliteDatabase};
use super::{Cause, Database, DbError};

/// Why no database could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The scheme of the URL belongs to no supported database. The URL itself may hold a password.
    #[error("unknown database scheme \"{0}\", expected sqlite://FILE or postgres://...")]
    UnknownScheme(String),
    /// An in-memory database would break the promise of a 2xx answer.
    #[error("an in-memory database keeps nothing, use sqlite://FILE")]
    InMemory,
    /// The URL cannot be read.
    #[error("the URL cannot be used: {0}")]
    Url(Cause),
    /// The file belongs to another program, or to a version that kept no chain.
    #[error("the database holds tables that this version did not make: {0}")]
    Foreign(String),
    /// The database is of the format before.
    #[error(
        "the database has an earlier format: carry it over to a new one with `audit-collector migrate \
            --database OLD --to NEW`"
    )]
    Earlier,
    /// There is no such file.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// The file was moved or removed, but its write-ahead log was left.
    #[error("{} holds changes, but its database is gone: put the database back, or move the log away", .0.display())]
    OrphanedLog(PathBuf),
    /// The database was restored or replaced, but the write-ahead log of another one was left.
    #[error("{} does not belong to its database: put the right database back, or move the log away", .0.display())]
    ForeignLog(PathBuf),
    /// The database could not be opened or its schema could not be brought up to date.
    #[error("the database could not be opened: {0}")]
    Failed(#[from] DbError),
}

/// An opened database.
#[derive(Clone)]
pub struct Opened {
    /// The database, its schema up to date.
    pub database: Arc<dyn Database>,
    /// The file, when it is one.
    pub file: Option<PathBuf>,
    /// Whether it was empty before it was opened.
    pub is_new: bool,
}

/// Opens the database at `url`, creates a missing SQLite file, and brings the schema up to date.
///
/// # Errors
///
/// See [`OpenError`]; no variant repeats the URL beyond its scheme.
pub fn open(url: &str) -> Result<Opened, OpenError> {
    let (mut opened, scripts) = named(url, Rights::Write)?;
    check_log(&opened)?;
    opened.is_new = migrations::run(&mut *opened.database.create()?, scripts)?;
    Ok(opened)
}

/// The file of a database, when it is one, without opening it.
///
/// # Errors
///
/// See [`OpenError`].
pub fn file(url: &str) -> Result<Option<PathBuf>, OpenError> {
    Ok(named(url, Rights::Read)?.0.file)
}

/// What a database is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    Read,
    Write,
}

fn named(url: &str, rights: Rights) -> Result<(Opened, &'static Scripts), OpenError> {
    let (database, file, scripts): (Arc<dyn Database>, _, _) =
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "sqlite" => {
                let mut database = SqliteDatabase::new(url)?;
                let file = Some(database.file().to_owned());
                if rights == Rights::Read {
                    database = database.read_only();
                }
                (Arc::new(database), file, migrations::SQLITE)
            }
            "postgres" | "postgresql" => {
                let database = PostgresDatabase::new(url)?;
                (Arc::new(database), None, migrations::POSTGRES)
            }
            other => return Err(OpenError::UnknownScheme(other.to_owned())),
        };

    let opened = Opened {
        database,
        file,
        is_new: false,
    };
    Ok((opened, scripts))
}

/// A log without its database would be deleted by the next connection, and that of another database
/// would be applied to this one.
fn check_log(opened: &Opened) -> Result<(), OpenError> {
    let Some(file) = opened.file.as_deref() else {
        return Ok(());
    };
    if let Some(log) = sqlite::orphaned_log(file) {
        return Err(OpenError::OrphanedLog(log));
    }
    if sqlite::has_foreign_log(file, sqlite::DEFAULT_BUSY_TIMEOUT) {
        return Err(OpenError::ForeignLog(sqlite::log_of(file)));
    }
    Ok(())
}

/// Opens a database that a collector has made, without changing it.
///
/// # Errors
///
/// See [`OpenError`]; also when its schema is not that of this version.
pub fn open_existing(url: &str) -> Result<Opened, OpenError> {
    existing(url, Rights::Write)
}

/// The same for reading only, which needs no right to write.
///
/// # Errors
///
/// See [`open_existing`].
pub fn open_to_read(url: &str) -> Result<Opened, OpenError> {
    existing(url, Rights::Read)
}

/// Opens a database of the format before, for reading only.
///
/// # Errors
///
/// See [`OpenError`]; also when it has another format.
pub fn open_earlier(url: &str) -> Result<Opened, OpenError> {
    let (opened, scripts) = named(url, Rights::Read)?;
    if let Some(file) = opened.file.as_ref().filter(|file| !file.exists()) {
        return Err(OpenError::Missing(file.clone()));
    }
    check_log(&opened)?;
    migrations::check_earlier(&mut *opened.database.connect()?, scripts)?;
    Ok(opened)
}

fn existing(url: &str, rights: Rights) -> Result<Opened, OpenError> {
    let (opened, scripts) = named(url, rights)?;
    if let Some(file) = opened.file.as_ref().filter(|file| !file.exists()) {
        return Err(OpenError::Missing(file.clone()));
    }
    check_log(&opened)?;
    migrations::check(&mut *opened.database.connect()?, scripts)?;
    Ok(opened)
}
