//! The work of the writer beside appending: views, checkpoints, retention.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::db::{Connection, DbError};
use crate::logs::Outage;

/// Steps for which a task is skipped after a failure: some ten seconds while no batch arrives.
const FAILED_PAUSE: u32 = 40;

/// A background task of the writer.
pub trait BackgroundTask: Send {
    /// Its name in log lines.
    fn name(&self) -> &'static str;

    /// Does a small part of the due work in a separate transaction. Returns whether more is due at
    /// once.
    ///
    /// # Errors
    ///
    /// Those of the database; it is called again later.
    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError>;

    /// Does the work that must be done before the ledger is closed.
    ///
    /// # Errors
    ///
    /// Those of the database.
    fn finish(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let _ = connection;
        Ok(())
    }
}

/// A background task as monitoring shows it.
#[derive(Clone, Debug)]
pub struct TaskState {
    /// See [`BackgroundTask::name`].
    pub name: &'static str,
    is_failing: Arc<AtomicBool>,
}

impl TaskState {
    /// Whether its last step failed. Steps follow one another in ten seconds at most, unless the
    /// writer is loaded or has lost its database.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    fn set_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }
}

/// The tasks of a ledger, and their failures.
pub(super) struct Background(Vec<Scheduled>);

struct Scheduled {
    task: Box<dyn BackgroundTask>,
    /// Steps for which it is still skipped.
    pause: u32,
    outage: Outage,
    state: TaskState,
}

impl Background {
    pub(super) fn new(tasks: Vec<Box<dyn BackgroundTask>>) -> Self {
        let scheduled = |task: Box<dyn BackgroundTask>| Scheduled {
            state: TaskState {
                name: task.name(),
                is_failing: Arc::default(),
            },
            task,
            pause: 0,
            outage: Outage::default(),
        };
        Self(tasks.into_iter().map(scheduled).collect())
    }

    /// The state of each task, now and later.
    pub(super) fn states(&self) -> Vec<TaskState> {
        self.0.iter().map(|one| one.state.clone()).collect()
    }

    /// One step of each task; returns whether one of them has more to do. Ends early when the
    /// connection is lost, which is no failure of a task.
    pub(super) fn step(&mut self, connection: &mut dyn Connection) -> bool {
        let mut more = false;
        for scheduled in &mut self.0 {
            more |= scheduled.step(connection);
            if connection.is_lost() {
                return false;
            }
        }
        more
    }

    /// The last work of each task.
    pub(super) fn finish(&mut self, connection: &mut dyn Connection) {
        for Scheduled { task, .. } in &mut self.0 {
            if let Err(error) = task.finish(connection) {
                let task = task.name();
                error!(task, "ledger maintenance failed at the end: {error}");
            }
        }
    }
}

impl Scheduled {
    fn step(&mut self, connection: &mut dyn Connection) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }

        let task = self.task.name();
        match self.task.step(connection) {
            Ok(more) => {
                self.state.set_failing(false);
                if self.outage.succeeded() {
                    info!(task, "ledger maintenance goes on");
                }
                more
            }
            Err(_) if connection.is_lost() => false,
            Err(error) => {
                self.pause = FAILED_PAUSE;
                self.state.set_failing(true);
                if let Some(count) = self.outage.failed(Instant::now()) {
                    warn!(task, count, "ledger maintenance failed: {error}");
                }
                false
            }
        }
    }
}
