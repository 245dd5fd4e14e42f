//! The ledger: every record once, in order of arrival. Each row's hash covers the hash of the row
//! before it.
//!
//! One thread writes; a batch that it acknowledged is durable. Queries use other connections and
//! run in parallel.

pub mod append;
mod background;
pub mod chain;
pub mod checkpoint;
pub mod compare;
pub mod conflicts;
pub mod copy;
pub mod cut;
mod damaged;
mod earlier;
pub mod entry;
pub mod export;
pub mod list;
pub mod migrate;
pub mod proof;
mod question;
mod readers;
mod rehearsal;
pub mod retention;
pub mod signing;
pub mod store;
mod stored;
pub mod tree;
pub mod verify;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub use append::Appended;
pub use background::{BackgroundTask, TaskState};
pub use list::{Cursor, FLAGS, Filter, Page, Start, StoredEntry};
pub use writer::AppendError;

use crate::db::{Connection, Database, DbError};
use crate::time::Clock;
use background::Background;
use chain::continued;
use checkpoint::{CheckpointTask, Schedule};
use entry::{Entry, Skew};
use readers::{Claim, Readers};
use rehearsal::{Rehearsed, Writable};
use signing::Key;
use store::decoder::Decoder;
use writer::{Acknowledged, Work, Writer};

/// How a ledger is kept.
#[derive(Clone)]
pub struct Settings {
    /// Whether a batch is refused when one of its records contradicts a kept one.
    pub strict: bool,
    /// How far the clock of a sender may be off before its records are flagged.
    pub skew: Skew,
    /// Key that signs checkpoints and cuts.
    pub key: Arc<Key>,
    /// When checkpoints are made.
    pub checkpoints: Schedule,
    /// How long a question may take, once it has a connection.
    pub query_timeout: Duration,
    /// Reads the time.
    pub now: Clock,
}

/// Most callers that read at the same time.
const MAX_READERS: usize = 4;

/// Most of them that may read all rows: the others stay for questions that an index answers.
const MAX_SCANS: usize = 2;

/// How long a batch waits for the database: the filter waits 5 s for an answer. The batch may be
/// stored after all; sent again, it is then a duplicate.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long probes and metrics wait for the database.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// A ledger that is open.
pub struct Ledger {
    settings: Settings,
    writer: Mutex<Option<Arc<Writer>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    /// For probes and metrics, so that long queries of other callers cannot delay them.
    aside: Arc<Readers>,
    acknowledged: Arc<Acknowledged>,
    writable: Arc<Writable>,
    tasks: Vec<TaskState>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger in `database` and starts its writer, which also runs the background tasks
    /// in `tasks`.
    ///
    /// # Errors
    ///
    /// When the database cannot be connected to.
    pub fn open(
        database: Arc<dyn Database>,
        settings: Settings,
        mut tasks: Vec<Box<dyn BackgroundTask>>,
    ) -> Result<Self, DbError> {
        let readers = Arc::new(Readers::new(database.clone(), MAX_READERS, MAX_SCANS));
        let aside = Arc::new(Readers::new(database.clone(), 1, 1));

        let checkpoints =
            CheckpointTask::new(settings.key.clone(), settings.checkpoints, settings.now);
        tasks.push(Box::new(checkpoints));

        let background = Background::new(tasks);
        let tasks = background.states();
        let acknowledged = Arc::<Acknowledged>::default();
        let writable = Arc::<Writable>::default();
        let (writer, thread) = Writer::start(Work {
            database,
            strict: settings.strict,
            acknowledged: acknowledged.clone(),
            writable: writable.clone(),
            background,
        })?;

        let writer = Mutex::new(Some(Arc::new(writer)));
        Ok(Self {
            settings,
            writer,
            thread: Mutex::new(Some(thread)),
            readers,
            aside,
            acknowledged,
            writable,
            tasks,
        })
    }

    /// How it is kept.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Waits until all new records of `entries` are durable, or refused as a whole.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; the call may be repeated. None of the new records is then kept. The
    /// exception is a database that did not answer for four seconds: the outcome is then unknown.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        let answer = self.writer()?.append(entries)?;
        timeout(PATIENCE, answer)
            .await
            .map_err(|_| late())?
            .map_err(|_| AppendError::Closed)?
    }

    fn writer(&self) -> Result<Arc<Writer>, AppendError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.clone().ok_or(AppendError::Closed)
    }

    /// The records that match `filter`, see [`list::list`].
    ///
    /// # Errors
    ///
    /// See [`Ledger::read`].
    pub async fn list(&self, filter: Filter, start: Start, limit: i64) -> Result<Page, DbError> {
        let claim = Claim {
            scans: filter.scans(start.by_position()),
            ..self.claim()
        };
        let list =
            move |connection: &mut dyn Connection| list::list(connection, &filter, start, limit);
        self.readers.read(claim, list).await
    }

    /// The same without a deadline: an export takes as long as its client waits. The decoder is given
    /// from page to page.
    ///
    /// # Errors
    ///
    /// See [`Ledger::read`].
    pub async fn list_for_export(
        &self,
        mut decoder: Decoder,
        filter: Filter,
        start: Start,
        limit: i64,
    ) -> Result<(Page, Decoder), DbError> {
        let claim = Claim {
            scans: filter.scans(start.by_position()),
            limit: None,
        };
        let list = move |connection: &mut dyn Connection| {
            let page = list::list_with(connection, &mut decoder, &filter, start, limit)?;
            Ok((page, decoder))
        };
        self.readers.read(claim, list).await
    }

    /// Runs queries on a connection for reading; all of them see one state of the database. A
    /// statement is interrupted when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of the queries, [`DbError::Busy`] when no connection is available, and
    /// [`DbError::Late`] after [`Settings::query_timeout`].
    pub async fn read<T: Send + 'static>(
        &self,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.readers.read(self.claim(), queries).await
    }

    /// That of a question which an index answers.
    fn claim(&self) -> Claim {
        Claim {
            scans: false,
            limit: Some(self.settings.query_timeout),
        }
    }

    /// The same on a connection that [`Self::read`] does not use, for short queries of monitoring.
    ///
    /// # Errors
    ///
    /// See [`Ledger::read`]; it is late after two seconds.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        queries: impl FnOnce(&mut dyn Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let claim = Claim {
            limit: Some(PROBE_PATIENCE),
            ..self.claim()
        };
        self.aside.read(claim, queries).await
    }

    /// The background tasks.
    pub fn tasks(&self) -> &[TaskState] {
        &self.tasks
    }

    /// Whether the writer thread runs; without it, only a restart helps.
    pub fn is_alive(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Succeeds when a batch could be stored and a question answered: the database has the last
    /// record that was acknowledged, and takes writes. Where nothing was written for five seconds,
    /// or a batch was refused since, a row is written that nothing reads.
    ///
    /// # Errors
    ///
    /// See [`AppendError`].
    pub async fn check(&self) -> Result<(), AppendError> {
        if !self.is_alive() {
            return Err(AppendError::Closed);
        }
        let (answers, takes) = tokio::join!(self.check_answers(), self.check_writes());
        answers?;
        takes
    }

    async fn check_answers(&self) -> Result<(), AppendError> {
        // Read before the query's state of the database, which then includes it.
        let known = self.acknowledged.read();
        let query = move |connection: &mut dyn Connection| {
            continued(connection, known)?;
            connection.query("SELECT position FROM records LIMIT 1", &[], &mut |_| Ok(()))
        };
        let answered = self.read_aside(query).await;
        answered.map_err(|error| match error {
            // No filter makes the question of a probe shorter.
            DbError::Late(_) => late(),
            error => AppendError::Database(Arc::new(error)),
        })
    }

    async fn check_writes(&self) -> Result<(), AppendError> {
        let rehearsed: Rehearsed = match self.writable.known() {
            Some(known) => known,
            None => timeout(PROBE_PATIENCE, self.writer()?.rehearse()?)
                .await
                .map_err(|_| late())?
                .map_err(|_| AppendError::Closed)?,
        };
        rehearsed.map_err(AppendError::Database)
    }

    /// Waits for all accepted batches and for the background tasks; later calls fail.
    ///
    /// # Errors
    ///
    /// When the writer thread panicked.
    pub async fn close(&self) -> Result<(), DbError> {
        self.readers.close();
        self.aside.close();

        drop(
            self.writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );

        let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return Ok(());
        };

        let joined = spawn_blocking(move || thread.join())
            .await
            .map_err(DbError::failed)?;
        joined.map_err(|_| DbError::failed("the writer of the ledger panicked"))
    }
}

/// The database does not answer; the outcome is unknown.
fn late() -> AppendError {
    AppendError::Database(Arc::new(DbError::Busy("it does not answer in time".into())))
}
