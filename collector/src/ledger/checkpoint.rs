//! Signed heads of the chain, made at intervals. Kept elsewhere, they show whether the ledger was
//! rewritten.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::background::BackgroundTask;
use super::chain::{self, Head, head};
use super::damaged;
use super::signing::{Key, PublicKey};
use crate::db::{self, Cell, Connection, DbError, Row};
use crate::time::{Clock, nanos};

/// A checkpoint as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place in the chain.
    pub head: Head,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub made_at: i64,
    /// Id of the signing key, see [`PublicKey::id`].
    pub key_id: String,
    /// Ed25519, 64 bytes, over [`Checkpoint::statement`].
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// A signed checkpoint.
    pub fn sign(head: Head, made_at: i64, key: &Key) -> Self {
        let unsigned = Self {
            head,
            made_at,
            key_id: key.id().to_owned(),
            signature: Vec::new(),
        };

        let signature = key.sign(unsigned.statement().as_bytes()).to_vec();
        Self {
            signature,
            ..unsigned
        }
    }

    /// The signed text: five lines, each with its newline.
    pub fn statement(&self) -> String {
        let Head { position, hash } = self.head;
        format!(
            "audit-checkpoint-v1\n{position}\n{}\n{}\n{}\n",
            hex::encode(hash),
            self.made_at,
            self.key_id
        )
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
    pub fn list(
        connection: &mut dyn Connection,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Self>, DbError> {
        const LIST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature FROM checkpoints \
            WHERE position > $1 ORDER BY position, key_id LIMIT $2";

        read(
            connection,
            LIST,
            &[Cell::Integer(after), Cell::Integer(limit)],
        )
    }

    /// The latest checkpoints, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn latest(connection: &mut dyn Connection, limit: i64) -> Result<Vec<Self>, DbError> {
        const LATEST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature FROM checkpoints \
            ORDER BY position DESC, key_id DESC LIMIT $1";
        read(connection, LATEST, &[Cell::Integer(limit)])
    }

    /// All checkpoints, oldest first, and the positions of those that hold what no collector writes.
    pub(super) fn list_with_damaged(
        connection: &mut dyn Connection,
    ) -> Result<(Vec<Self>, Vec<i64>), DbError> {
        const ALL: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature FROM checkpoints \
            ORDER BY position, key_id";

        damaged::list(connection, ALL, Self::read)
    }

    /// Reads a row of position, hash, time, key and signature.
    fn read(row: &dyn Row) -> Result<Self, DbError> {
        Ok(Self {
            head: Head {
                position: row.integer(0)?.unwrap_or_default(),
                hash: chain::hash(row.bytes(1)?)?,
            },
            made_at: row.integer(2)?.unwrap_or_default(),
            key_id: row.text(3)?.unwrap_or_default().to_owned(),
            signature: row.bytes(4)?.unwrap_or_default().to_vec(),
        })
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

/// The checkpoints that a query returns.
fn read(
    connection: &mut dyn Connection,
    sql: &str,
    cells: &[Cell<'_>],
) -> Result<Vec<Checkpoint>, DbError> {
    let mut list = Vec::new();

    connection.query(sql, cells, &mut |row| {
        list.push(Checkpoint::read(row)?);
        Ok(())
    })?;

    Ok(list)
}

/// A checkpoint as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct Line {
    /// Position in the chain.
    pub position: i64,
    /// Hash of that row, 64 hex digits.
    pub hash: String,
    /// When it was made, in nanoseconds since the Unix epoch, as digits.
    pub made_at_unix_nano: String,
    /// Id of the signing key.
    pub key_id: String,
    /// Ed25519, 128 hex digits.
    pub signature: String,
}

impl From<&Checkpoint> for Line {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            position: checkpoint.head.position,
            hash: hex::encode(checkpoint.head.hash),
            made_at_unix_nano: checkpoint.made_at.to_string(),
            key_id: checkpoint.key_id.clone(),
            signature: hex::encode(&checkpoint.signature),
        }
    }
}

/// A field of the line does not hold the digits that it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint")]
pub struct NoCheckpoint;

impl TryFrom<Line> for Checkpoint {
    type Error = NoCheckpoint;

    fn try_from(line: Line) -> Result<Self, NoCheckpoint> {
        let bytes = |digits: &str| hex::decode(digits).map_err(|_| NoCheckpoint);
        let hash = bytes(&line.hash)?.try_into().map_err(|_| NoCheckpoint)?;

        Ok(Self {
            head: Head {
                position: line.position,
                hash,
            },
            made_at: line.made_at_unix_nano.parse().map_err(|_| NoCheckpoint)?,
            signature: bytes(&line.signature)?,
            key_id: line.key_id,
        })
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
        Self {
            records: 10_000,
            interval: Duration::from_secs(60),
        }
    }
}

/// The background task that makes checkpoints.
pub(super) struct CheckpointTask {
    key: Arc<Key>,
    schedule: Schedule,
    now: Clock,
    /// Position and time of the last one; `None` before the first step.
    last: Option<(i64, i64)>,
}

impl CheckpointTask {
    pub(super) fn new(key: Arc<Key>, schedule: Schedule, now: Clock) -> Self {
        Self {
            key,
            schedule,
            now,
            last: None,
        }
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
        if new > 0 && (new >= self.schedule.records || !(0..interval).contains(&age)) {
            self.make(connection)?;
        }
        Ok(false)
    }

    fn finish(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let (position, _) = self.last(connection)?;
        if head(connection)?.position > position {
            self.make(connection)
        } else {
            Ok(())
        }
    }
}
