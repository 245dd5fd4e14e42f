//! Records in a SQLite file, with a write-ahead log and a sync to disk for every commit.

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Cause, Filter, Kept, OpenError, Store, StoreError, StoreFuture};
use crate::record::{Content, Record};

/// How long a call waits for a lock by default: short enough that the answer is out before a sender's usual timeout
/// of 5 s, with the wait for the writer included.
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Readers do not block the writer in WAL mode; a handful is enough for listing and health checks.
const MAX_READERS: u32 = 4;

/// Primary result codes of SQLite for a lock that could not be had; extended codes carry them in the low byte.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;

const INSERT: &str = "INSERT INTO records (uid, received_at_unix_nano, time_unix_nano, observed_time_unix_nano, \
    severity_number, event_name, stream_id, batch_id, sequence_number, service_name, rule, action, outcome, user_id, \
    session_id, trace_id, span_id, body, attributes) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING";

const SELECT: &str = "SELECT uid, received_at_unix_nano, time_unix_nano, observed_time_unix_nano, severity_number, \
    event_name, trace_id, span_id, body, attributes FROM records WHERE TRUE";

/// A [`Store`] in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    // Invariant: one connection. SQLite has one writer; queueing here is fair, waiting for its lock is not.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file that `url` names, creates it when it is missing, and brings its schema up to date.
    ///
    /// A later call waits at most `busy_timeout` for its turn and again at most `busy_timeout` for a lock.
    ///
    /// # Errors
    ///
    /// [`OpenError::InMemory`] when `url` names no file, [`OpenError::Failed`] when the file cannot be used.
    pub async fn open(url: &str, busy_timeout: Duration) -> Result<Self, OpenError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(OpenError::InMemory);
        }
        Self::connect(url, busy_timeout).await.map_err(|error| OpenError::Failed(error.into()))
    }

    async fn connect(url: &str, busy_timeout: Duration) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(busy_timeout);
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = pool(MAX_READERS).connect_with(options).await?;
        Ok(Self { writer, readers })
    }

    async fn insert_all(&self, records: &[Record], received_at_unix_nano: i64) -> Result<u64, StoreError> {
        // Taking the write lock at once means waiting for it here, not failing halfway.
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut inserted = 0;
        for record in records {
            let done = insert_statement(record, received_at_unix_nano).execute(&mut *transaction).await?;
            inserted += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(inserted)
    }

    async fn list_newest(&self, filter: &Filter) -> Result<Vec<Kept>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        let conditions = [
            (" AND action = ", &filter.action),
            (" AND user_id = ", &filter.user_id),
            (" AND session_id = ", &filter.session_id),
        ];
        for (condition, value) in conditions {
            if let Some(value) = value {
                query.push(condition).push_bind(value);
            }
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(filter.limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        rows.iter().map(kept).collect()
    }
}

impl Store for SqliteStore {
    fn insert<'a>(&'a self, records: &'a [Record], received_at_unix_nano: i64) -> StoreFuture<'a, u64> {
        Box::pin(self.insert_all(records, received_at_unix_nano))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> StoreFuture<'a, Vec<Kept>> {
        Box::pin(self.list_newest(filter))
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            // Unlike a bare `SELECT 1`, this reads the file.
            sqlx::query("SELECT 1 FROM records LIMIT 1").fetch_optional(&self.readers).await?;
            Ok(())
        })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            // The writer goes last: the last connection to close folds the write-ahead log into the file.
            self.readers.close().await;
            self.writer.close().await;
            Ok(())
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) { Self::Busy(error.into()) } else { Self::Failed(error.into()) }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        // Other requests kept the connections for the whole wait.
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(cause) => {
            let code = cause.code().and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED))
        }
        _ => false,
    }
}

fn insert_statement(record: &Record, received_at_unix_nano: i64) -> sqlx::query::Query<'_, Sqlite, SqliteArguments> {
    let content = &record.content;
    sqlx::query(INSERT)
        .bind(&record.uid)
        .bind(received_at_unix_nano)
        .bind(content.time_unix_nano)
        .bind(content.observed_time_unix_nano)
        .bind(content.severity_number)
        .bind(&content.event_name)
        .bind(content.text("audit.stream.id"))
        .bind(content.text("audit.batch.id"))
        .bind(content.integer("audit.sequence.number"))
        .bind(content.text("service.name"))
        .bind(content.text("audit.rule"))
        .bind(content.text("audit.action"))
        .bind(content.text("audit.outcome"))
        .bind(content.text("user.id"))
        .bind(content.text("session.id"))
        .bind(content.trace_id.as_deref())
        .bind(content.span_id.as_deref())
        .bind(content.body.as_deref())
        .bind(attributes_json(content))
}

fn attributes_json(content: &Content) -> String {
    serde_json::Value::Object(content.attributes.clone().into_iter().collect()).to_string()
}

fn kept(row: &SqliteRow) -> Result<Kept, StoreError> {
    let attributes: String = row.try_get("attributes")?;
    let content = Content {
        time_unix_nano: row.try_get("time_unix_nano")?,
        observed_time_unix_nano: row.try_get("observed_time_unix_nano")?,
        severity_number: row.try_get("severity_number")?,
        event_name: row.try_get("event_name")?,
        trace_id: row.try_get("trace_id")?,
        span_id: row.try_get("span_id")?,
        body: row.try_get("body")?,
        attributes: serde_json::from_str(&attributes).map_err(|error| StoreError::Failed(Cause::from(error)))?,
    };
    let record = Record { uid: row.try_get("uid")?, content };
    Ok(Kept { record, received_at_unix_nano: row.try_get("received_at_unix_nano")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(pool: &SqlitePool, query: &'static str) -> String {
        let row = sqlx::query(query).fetch_one(pool).await.unwrap();
        row.try_get::<String, _>(0).or_else(|_| row.try_get::<i64, _>(0).map(|number| number.to_string())).unwrap()
    }

    #[tokio::test]
    async fn every_commit_is_synced_to_disk() {
        const FULL: &str = "2";
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        let store = SqliteStore::open(&url, DEFAULT_BUSY_TIMEOUT).await.unwrap();
        assert_eq!(pragma(&store.writer, "PRAGMA journal_mode").await, "wal");
        assert_eq!(pragma(&store.writer, "PRAGMA synchronous").await, FULL);
    }

    #[tokio::test]
    async fn an_in_memory_database_is_refused() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://audit?mode=memory"] {
            let error = SqliteStore::open(url, DEFAULT_BUSY_TIMEOUT).await.unwrap_err();
            assert!(matches!(error, OpenError::InMemory), "{url}: {error}");
        }
    }
}
