//! The one writing thread: it stores all waiting batches in one transaction, and runs background
//! tasks in between.

use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::append::{Appended, append};
use super::background::Background;
use super::chain::{Head, continued};
use super::entry::Entry;
use super::rehearsal::{Rehearsed, Writable, rehearse};
use super::store::encoder::Encoder;
use crate::db::{self, Connection, Database, DbError};
use crate::logs::Outage;

/// Most batches that wait for the writer. Their memory is bounded where requests are admitted.
const QUEUE: usize = 1024;

/// A transaction takes no further batch once it has this many records: others wait for it.
const GROUP_RECORDS: usize = 5000;

/// How often background tasks run while no batch arrives.
const IDLE: Duration = Duration::from_millis(250);

/// How soon background tasks run after a transaction. Senders need a moment to send again after an
/// answer; a task that began at once would delay them.
const POST_COMMIT_IDLE: Duration = Duration::from_millis(20);

/// Under load, background tasks get one step per this many transactions: they fall behind but do
/// not stop.
const LOADED_GROUPS: u32 = 32;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Too many batches wait already.
    #[error("too many batches wait for the database")]
    Full,
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Closed,
    /// The database did not take it.
    #[error(transparent)]
    Database(Arc<DbError>),
}

enum Job {
    Append(Batch),
    Rehearse(oneshot::Sender<Rehearsed>),
}

struct Batch {
    entries: Vec<Entry>,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Handle of the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Job>,
}

/// The end of the chain after the last batch that was stored; the start before the first one.
#[derive(Debug)]
pub(super) struct Acknowledged(Mutex<Head>);

impl Default for Acknowledged {
    fn default() -> Self {
        Self(Mutex::new(Head::START))
    }
}

impl Acknowledged {
    pub(super) fn read(&self) -> Head {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, head: Head) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// Inputs of the thread.
pub(super) struct Work {
    pub(super) database: Arc<dyn Database>,
    pub(super) strict: bool,
    pub(super) acknowledged: Arc<Acknowledged>,
    pub(super) writable: Arc<Writable>,
    pub(super) background: Background,
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped and all waiting batches are done.
    pub(super) fn start(work: Work) -> Result<(Self, JoinHandle<()>), DbError> {
        let connection = work.database.connect()?;
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("ledger".to_owned());
        let mut run = Run {
            connection,
            work,
            jobs,
            groups: 0,
            outage: Outage::default(),
            encoder: Encoder::default(),
            next: None,
            in_place: true,
        };

        let handle = thread.spawn(move || run.serve()).map_err(DbError::failed)?;
        Ok((Self { queue }, handle))
    }

    /// Queues `entries`. The receiver gets the result once all of them are durable, or none is.
    pub(super) fn append(
        &self,
        entries: Vec<Entry>,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Append(Batch { entries, reply }))?;
        Ok(answer)
    }

    /// Queues a rehearsal. The receiver gets its result.
    pub(super) fn rehearse(&self) -> Result<oneshot::Receiver<Rehearsed>, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Rehearse(reply))?;
        Ok(answer)
    }

    fn send(&self, job: Job) -> Result<(), AppendError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::Full,
            TrySendError::Disconnected(_) => AppendError::Closed,
        })
    }
}

struct Run {
    connection: Box<dyn Connection>,
    work: Work,
    jobs: Receiver<Job>,
    groups: u32,
    /// Attempts to replace a lost connection.
    outage: Outage,
    encoder: Encoder,
    /// What came while background tasks ran, or behind the batches of a group.
    next: Option<Job>,
    /// Whether the last step found the database in its place.
    in_place: bool,
}

impl Run {
    fn serve(&mut self) {
        let mut patience = IDLE;
        loop {
            let waiting = self
                .next
                .take()
                .map_or_else(|| self.jobs.recv_timeout(patience), Ok);

            match waiting {
                Ok(Job::Append(first)) => {
                    self.group(first);
                    patience = POST_COMMIT_IDLE;
                }
                Ok(Job::Rehearse(reply)) => {
                    // The probe may be gone.
                    let _ = reply.send(self.rehearse());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.tasks();
                    patience = IDLE;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }

        self.finish();
    }

    fn group(&mut self, first: Batch) {
        let mut records = first.entries.len();
        let mut group = vec![first];
        while records < GROUP_RECORDS {
            match self.jobs.try_recv() {
                Ok(Job::Append(batch)) => {
                    records += batch.entries.len();
                    group.push(batch);
                }
                other => {
                    self.next = other.ok();
                    break;
                }
            }
        }

        self.store(group);
        self.groups = self.groups.wrapping_add(1);
        if self.groups.is_multiple_of(LOADED_GROUPS) {
            self.step();
        }
    }

    /// One bad batch must not fail the others: when the group fails, each batch is tried alone.
    fn store(&mut self, group: Vec<Batch>) {
        self.reconnect();
        let batches: Vec<_> = group.iter().map(|batch| batch.entries.as_slice()).collect();

        match self.transaction(&batches) {
            Ok(results) => {
                if results.iter().any(|result| result.stored > 0) {
                    self.work.writable.stored();
                }
                for (batch, result) in group.into_iter().zip(results) {
                    // The sender may be gone.
                    let _ = batch.reply.send(Ok(result));
                }
            }
            Err(error) if group.len() == 1 || self.is_hopeless(&error) => {
                self.work.writable.refused();
                refuse(group, error);
            }
            Err(_) => group.into_iter().for_each(|batch| self.store(vec![batch])),
        }
    }

    /// Whether the error is unrelated to the records.
    fn is_hopeless(&self, error: &DbError) -> bool {
        matches!(error, DbError::Busy(_)) || self.connection.is_lost()
    }

    fn transaction(&mut self, batches: &[&[Entry]]) -> Result<Vec<Appended>, DbError> {
        let strict = self.work.strict;
        let known = self.work.acknowledged.read();
        let encoder = &mut self.encoder;
        let (results, head) = db::write(&mut *self.connection, |connection| {
            let head = continued(connection, known)?;
            append(connection, encoder, head, batches, strict)
        })?;
        self.work.acknowledged.reach(head);
        Ok(results)
    }

    /// Writes a row that nothing reads, unless the latest writes show whether that succeeds.
    fn rehearse(&mut self) -> Rehearsed {
        if let Some(known) = self.work.writable.known() {
            return known;
        }

        self.reconnect();
        let known = self.work.acknowledged.read();
        let content = self.work.writable.content();
        let result = db::write(&mut *self.connection, |connection| {
            continued(connection, known)?;
            rehearse(connection, &content)
        });
        self.work.writable.rehearsed(result)
    }

    /// Replaces a lost connection. When that fails, the next call returns the error.
    fn reconnect(&mut self) {
        if !self.connection.is_lost() {
            return;
        }

        match self.work.database.connect() {
            Ok(connection) => {
                self.connection = connection;
                if self.outage.succeeded() {
                    info!("connected to the database again");
                }
            }
            Err(error) => {
                if let Some(count) = self.outage.failed(Instant::now()) {
                    warn!(count, "cannot reconnect to the database: {error}");
                }
            }
        }
    }

    /// Runs background tasks until a batch comes or nothing is due.
    fn tasks(&mut self) {
        while self.next.is_none() {
            match self.jobs.try_recv() {
                Ok(job) => self.next = Some(job),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    if !self.step() {
                        return;
                    }
                }
            }
        }
    }

    /// One step of each task; returns whether one of them has more to do.
    fn step(&mut self) -> bool {
        self.reconnect();
        if self.connection.is_lost() || !self.is_in_place() {
            return false;
        }
        self.work.background.step(&mut *self.connection)
    }

    /// Whether the database is in its place; logs when that changes.
    fn is_in_place(&mut self) -> bool {
        let found = self.connection.check_place();
        let is_in_place = found.is_ok();
        let was_in_place = std::mem::replace(&mut self.in_place, is_in_place);

        match found {
            Err(error) if was_in_place => error!("nothing is stored any more: {error}"),
            Ok(()) if !was_in_place => info!("the database is in its place again"),
            _ => {}
        }
        is_in_place
    }

    fn finish(&mut self) {
        if !self.is_in_place() {
            return;
        }
        self.work.background.finish(&mut *self.connection);
    }
}

fn refuse(group: Vec<Batch>, error: DbError) {
    let error = Arc::new(error);
    for batch in group {
        let _ = batch.reply.send(Err(AppendError::Database(error.clone())));
    }
}
