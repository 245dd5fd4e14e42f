//! The seam between the collector and a database.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::record::Record;

pub mod sqlite;

use sqlite::SqliteStore;

/// A database that keeps records.
///
/// Implementations are shared by all requests and wait for a lock only for a bounded time.
pub trait Store: Send + Sync {
    /// Keeps all of `records` in one transaction, and returns how many of them were new.
    ///
    /// A record whose uid is already kept is left as it is. When this returns `Ok`, the records are durable; when it
    /// returns an error, none of those that were new is kept.
    fn insert<'a>(&'a self, records: &'a [Record], received_at_unix_nano: i64) -> StoreFuture<'a, u64>;

    /// The newest records that `filter` lets through, newest first.
    fn list<'a>(&'a self, filter: &'a Filter) -> StoreFuture<'a, Vec<Kept>>;

    /// Succeeds when the database answers a query on the records.
    fn check(&self) -> StoreFuture<'_, ()>;

    /// Waits for running calls and closes the database; later calls fail.
    fn close(&self) -> StoreFuture<'_, ()>;
}

/// What the methods of a [`Store`] return; boxed so that the program can choose the store at start.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Which records to list. All given conditions must hold, each is an exact match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Most records to return.
    pub limit: u16,
    /// Value of `audit.action`.
    pub action: Option<String>,
    /// Value of `user.id`.
    pub user_id: Option<String>,
    /// Value of `session.id`.
    pub session_id: Option<String>,
}

/// A record as it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The record.
    pub record: Record,
    /// When the collector received it, in nanoseconds since the Unix epoch.
    pub received_at_unix_nano: i64,
}

/// Cause of a failed call, in the words of the database; for logs, never for clients.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer held the database for longer than the store waits; the same call may succeed later.
    #[error("the store is busy: {0}")]
    Busy(Cause),
    /// Anything else, such as a full disk or a damaged file.
    #[error("the store failed: {0}")]
    Failed(Cause),
}

/// Why no store could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The scheme of the URL belongs to no database that the collector knows. The URL itself may hold a password.
    #[error("unknown database scheme \"{0}\", expected sqlite://FILE")]
    UnknownScheme(String),
    /// The scheme is known, but there is no store for it.
    #[error("a {0} database is not supported yet, use sqlite://FILE")]
    NotSupportedYet(&'static str),
    /// An in-memory database would break the promise that a 2xx answer makes.
    #[error("an in-memory database keeps nothing, use sqlite://FILE")]
    InMemory,
    /// The database could not be opened or its schema could not be brought up to date.
    #[error("the database could not be opened: {0}")]
    Failed(Cause),
}

/// Opens the store that `url` names, creates it when it is missing, and brings its schema up to date.
///
/// # Errors
///
/// See [`OpenError`]; no variant repeats the URL beyond its scheme.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    match url.split_once(':').map_or("", |(scheme, _)| scheme) {
        "sqlite" => Ok(Arc::new(SqliteStore::open(url, sqlite::DEFAULT_BUSY_TIMEOUT).await?)),
        "postgres" | "postgresql" => Err(OpenError::NotSupportedYet("PostgreSQL")),
        other => Err(OpenError::UnknownScheme(other.to_owned())),
    }
}
