//! Signed heads of the chain: made now and then, to be kept elsewhere, so that a rewritten ledger can be told from the
//! one that was.

use std::sync::Arc;
use std::time::Duration;

use super::append::head;
use super::chain::{self, Head};
use super::signing::{Key, PublicKey};
use super::writer::Chore;
use crate::db::{self, Cell, Connection, DbError};

/// A checkpoint as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place in the chain.
    pub head: Head,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub made_at: i64,
    /// Whose signature it has, see [`PublicKey::id`].
    pub key_id: String,
    /// Ed25519, 64 bytes, over [`Checkpoint::statement`].
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// A signed checkpoint.
    pub fn sign(head: Head, made_at: i64, key: &Key) -> Self {
        let unsigned = Self { head, made_at, key_id: key.id().to_owned(), signature: Vec::new() };
        let signature = key.sign(unsigned.statement().as_bytes()).to_vec();
        Self { signature, ..unsigned }
    }

    /// What is signed: five lines of text, each with its end.
    pub fn statement(&self) -> String {
        let Head { position, hash } = self.head;
        format!("audit-checkpoint-v1\n{position}\n{}\n{}\n{}\n", hex::encode(hash), self.made_at, self.key_id)
    }

    /// Whether the signature is that of `key`.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.key_id == key.id() && key.verifies(self.statement().as_bytes(), &self.signature)
    }

    /// All checkpoints after `position`, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn list(connection: &mut dyn Connection, after: i64, limit: i64) -> Result<Vec<Self>, DbError> {
        const LIST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature FROM checkpoints \
            WHERE position > $1 ORDER BY position, key_id LIMIT $2";
        let mut list = Vec::new();
        connection.query(LIST, &[Cell::Integer(after), Cell::Integer(limit)], &mut |row| {
            list.push(Self {
                head: Head { position: row.integer(0)?.unwrap_or_default(), hash: chain::hash(row.bytes(1)?)? },
                made_at: row.integer(2)?.unwrap_or_default(),
                key_id: row.text(3)?.unwrap_or_default().to_owned(),
                signature: row.bytes(4)?.unwrap_or_default().to_vec(),
            });
            Ok(())
        })?;
        Ok(list)
    }

    fn keep(&self, connection: &mut dyn Connection) -> Result<(), DbError> {
        const KEEP: &str = "INSERT INTO checkpoints (position, key_id, hash, made_at_unix_nano, signature) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (position, key_id) DO NOTHING";
        connection.execute(
            KEEP,
            &[
                Cell::Integer(self.head.position),
                Cell::Text(&self.key_id),
                Cell::Bytes(&self.head.hash),
                Cell::Integer(self.made_at),
                Cell::Bytes(&self.signature),
            ],
        )?;
        Ok(())
    }
}

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
        Self { records: 10_000, interval: Duration::from_secs(60) }
    }
}

/// Makes the checkpoints.
pub(super) struct Checkpoints {
    key: Arc<Key>,
    schedule: Schedule,
    now: fn() -> i64,
    /// Position and time of the last one; `None` before the first step.
    last: Option<(i64, i64)>,
}

impl Checkpoints {
    pub(super) fn new(key: Arc<Key>, schedule: Schedule, now: fn() -> i64) -> Self {
        Self { key, schedule, now, last: None }
    }

    fn make(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let (key, now) = (self.key.clone(), (self.now)());
        let position = db::write(connection, |connection| {
            let checkpoint = Checkpoint::sign(head(connection)?, now, &key);
            checkpoint.keep(connection)?;
            Ok::<_, DbError>(checkpoint.head.position)
        })?;
        self.last = Some((position, now));
        Ok(())
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
            last = (row.integer(0)?.unwrap_or_default(), row.integer(1)?.unwrap_or_default());
            Ok(())
        })?;
        self.last = Some(last);
        Ok(last)
    }
}

impl Chore for Checkpoints {
    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        let (position, made_at) = self.last(connection)?;
        let new = head(connection)?.position - position;
        let age = (self.now)().saturating_sub(made_at);
        let interval = i64::try_from(self.schedule.interval.as_nanos()).unwrap_or(i64::MAX);
        if new > 0 && (new >= self.schedule.records || age >= interval) {
            self.make(connection)?;
        }
        Ok(false)
    }

    fn finish(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let (position, _) = self.last(connection)?;
        if head(connection)?.position > position { self.make(connection) } else { Ok(()) }
    }
}
