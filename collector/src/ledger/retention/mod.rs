//! Deletes old rows, unless a tag holds them. A signed cut bridges every hole in the chain.

mod deletion;
mod progress;
mod runs;
mod sweep;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::background::BackgroundTask;
use super::export::ExportDirectory;
use super::list::{self, Filter, Start};
use super::signing::Key;
use super::tree::keep_nodes;
use crate::db::{self, Connection, DbError};
use crate::time::{Clock, nanos};
use deletion::cut;
use progress::Progress;
use runs::runs;
use sweep::sweep;

/// Rows that one transaction examines and, at most, deletes.
const SLICE: i64 = 1000;

/// Pause between two passes.
const PAUSE: Duration = Duration::from_secs(60);

/// A tag that keeps a record for as long as the hold is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Name of the tag: the attribute is `audit.tag.<name>`.
    pub tag: String,
    /// The value it must have; `None` matches any value.
    pub value: Option<String>,
}

/// Rules for deletion.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a record is kept after it was received.
    pub retain: Duration,
    /// Tags of records that are kept nevertheless.
    pub holds: Vec<Hold>,
    /// Directory to which rows are written before they are deleted.
    pub export: Option<PathBuf>,
}

/// Called at the end of a pass, with the time before which records have expired.
pub type Expire = fn(&mut dyn Connection, i64) -> Result<(), DbError>;

/// The background task that applies a [`Policy`].
pub struct Retention {
    policy: Policy,
    key: Arc<Key>,
    now: Clock,
    expire: Expire,
    /// Position up to which this pass has come; `None` between two passes.
    passed: Option<i64>,
    /// When the next pass begins.
    next: i64,
    /// Whether a dictionary may hold what no row does.
    is_swept: bool,
    progress: Progress,
}

impl Retention {
    /// The first pass begins at once. `expire` removes expired data from the views.
    ///
    /// # Errors
    ///
    /// When the directory for exports cannot be made.
    pub fn new(policy: Policy, key: Arc<Key>, now: Clock, expire: Expire) -> io::Result<Self> {
        if let Some(directory) = &policy.export {
            std::fs::create_dir_all(directory)?;
        }

        Ok(Self {
            policy,
            key,
            now,
            expire,
            passed: None,
            next: i64::MIN,
            is_swept: false,
            progress: Progress::new(Counter::default()),
        })
    }

    /// The same, with a counter of the records that it deletes.
    #[must_use]
    pub fn with_counter(self, deleted: Counter) -> Self {
        Self {
            progress: Progress::new(deleted),
            ..self
        }
    }

    /// Handles the next rows; returns whether there may be more.
    fn slice(&mut self, connection: &mut dyn Connection, passed: i64) -> Result<bool, DbError> {
        let now = (self.now)();
        let before = now.saturating_sub(nanos(self.policy.retain));

        let rows = list::list(connection, &Filter::default(), Start::After(passed), SLICE)?.rows;
        let old: Vec<_> = rows
            .iter()
            .take_while(|row| row.entry.received_at < before)
            .collect();
        let Some(last) = old.last() else {
            self.pause(connection, now, before)?;
            return Ok(false);
        };

        let runs = runs(&old, &self.policy.holds)?;
        if let Some(directory) = &self.policy.export {
            ExportDirectory::new(directory)
                .write(runs.iter().flatten().copied())
                .map_err(DbError::failed)?;
        }

        let key = &self.key;
        let deleted = runs.iter().flatten();
        let deleted: Vec<_> = deleted.map(|row| (row.position, row.hash)).collect();
        db::write(connection, |connection| {
            runs.iter()
                .try_for_each(|run| cut(connection, run, key, now))?;
            keep_nodes(connection, &deleted)
        })?;

        self.is_swept = false;
        let (rows, end) = (runs.iter().map(Vec::len).sum(), last.position);
        self.progress.add(rows, end);
        self.passed = Some(end);
        Ok(true)
    }

    fn sweep(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        if !self.is_swept {
            self.is_swept = !db::write(connection, sweep)?;
        }
        Ok(!self.is_swept)
    }

    fn pause(
        &mut self,
        connection: &mut dyn Connection,
        now: i64,
        before: i64,
    ) -> Result<(), DbError> {
        self.progress.log();
        self.passed = None;
        self.next = now.saturating_add(nanos(PAUSE));
        db::write(connection, |connection| (self.expire)(connection, before))
    }
}

impl BackgroundTask for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        match self.passed {
            None if (self.now)() < self.next => self.sweep(connection),
            None => {
                self.progress.begin();
                self.slice(connection, 0)
            }
            Some(passed) => self.slice(connection, passed),
        }
    }

    fn finish(&mut self, _: &mut dyn Connection) -> Result<(), DbError> {
        self.progress.log();
        Ok(())
    }
}
