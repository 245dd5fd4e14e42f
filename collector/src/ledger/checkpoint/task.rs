//! Makes checkpoints at intervals.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Checkpoint;
use crate::db::{self, Cell, Connection, DbError};
use crate::ledger::background::BackgroundTask;
use crate::ledger::chain::head;
use crate::ledger::signing::Key;
use crate::ledger::tree::{self, Broken, Growth};
use crate::time::{Clock, nanos};

/// When a checkpoint is due; whichever comes first. None is made while nothing is appended.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// After this many records.
    pub records: i64,
    /// After this time.
    pub interval: Duration,
}

impl Default for Schedule {
    /// 10,000 records or one minute.
    fn default() -> Self {
        Self {
            records: 10_000,
            interval: Duration::from_secs(60),
        }
    }
}

/// The background task that makes checkpoints.
pub(in crate::ledger) struct CheckpointTask {
    key: Arc<Key>,
    schedule: Schedule,
    now: Clock,
    /// Position and time of the last one; `None` before the first step.
    last: Option<(i64, i64)>,
    /// Why the last one has no root.
    broken: Option<Broken>,
}

impl CheckpointTask {
    pub(in crate::ledger) fn new(key: Arc<Key>, schedule: Schedule, now: Clock) -> Self {
        Self {
            key,
            schedule,
            now,
            last: None,
            broken: None,
        }
    }

    /// Makes a checkpoint, once the tree has all rows. Returns whether more is to be done for that.
    fn make(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        let (key, now) = (self.key.clone(), (self.now)());
        let made = db::write(connection, |connection| {
            let head = head(connection)?;
            let signed = Checkpoint::last_root(connection, &key)?;
            let signed = signed.and_then(|last| Some((last.head.position, last.root?)));
            let root = match tree::grow(connection, head.position, signed)? {
                Growth::Unfinished => return Ok(None),
                Growth::Root(root) => Ok(root),
                Growth::Broken(broken) => Err(broken),
            };

            Checkpoint::sign(head, root.ok(), now, &key).keep(connection)?;
            Ok::<_, DbError>(Some((head.position, root)))
        })?;

        let Some((position, root)) = made else {
            return Ok(true);
        };
        self.report(root.err());
        self.last = Some((position, now));
        Ok(false)
    }

    /// Logs when checkpoints lose their root, or have one again.
    fn report(&mut self, broken: Option<Broken>) {
        match broken {
            Some(broken) if self.broken != Some(broken) => {
                warn!("checkpoints have no root: {broken}; verify the ledger");
            }
            None if self.broken.is_some() => info!("checkpoints have a root again"),
            _ => {}
        }
        self.broken = broken;
    }

    fn last(&mut self, connection: &mut dyn Connection) -> Result<(i64, i64), DbError> {
        const LAST: &str = "SELECT position, made_at_unix_nano FROM checkpoints WHERE key_id = $1 \
            ORDER BY position DESC LIMIT 1";

        if let Some(last) = self.last {
            return Ok(last);
        }

        // Without any, the first is due one interval from now.
        let mut last = (0, (self.now)());
        connection.query(LAST, &[Cell::Text(self.key.id())], &mut |row| {
            last = (
                row.integer(0)?.unwrap_or_default(),
                row.integer(1)?.unwrap_or_default(),
            );
            Ok(())
        })?;

        self.last = Some(last);
        Ok(last)
    }
}

impl BackgroundTask for CheckpointTask {
    fn name(&self) -> &'static str {
        "checkpoints"
    }

    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        let (position, made_at) = self.last(connection)?;
        let new = head(connection)?.position - position;
        let age = (self.now)().saturating_sub(made_at);
        let interval = nanos(self.schedule.interval);
        let is_due = new >= self.schedule.records || !(0..interval).contains(&age);
        if new > 0 && is_due {
            self.make(connection)
        } else {
            Ok(false)
        }
    }

    fn finish(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let (position, _) = self.last(connection)?;
        if head(connection)?.position > position {
            while self.make(connection)? {}
        }
        Ok(())
    }
}
