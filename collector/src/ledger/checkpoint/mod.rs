//! Signed heads of the chain, made at intervals. Kept elsewhere, they show whether the ledger was
//! rewritten.

mod line;
mod task;

pub use line::{Line, NoCheckpoint};
pub(super) use task::CheckpointTask;
pub use task::Schedule;

use super::chain::{self, Hash, Head};
use super::damaged;
use super::signing::{Key, PublicKey};
use crate::db::{Cell, Connection, DbError, Row};

/// A checkpoint as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place in the chain.
    pub head: Head,
    /// Root of the tree of all rows up to that place. None is signed while rows are missing that no
    /// cut covers; then only the chain proves what is before the place.
    pub root: Option<Hash>,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub made_at: i64,
    /// Id of the signing key, see [`PublicKey::id`].
    pub key_id: String,
    /// Ed25519, 64 bytes, over [`Checkpoint::statement`].
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// A signed checkpoint.
    pub fn sign(head: Head, root: Option<Hash>, made_at: i64, key: &Key) -> Self {
        let unsigned = Self {
            head,
            root,
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

    /// The signed text: five lines, or six with a root, each with its newline.
    pub fn statement(&self) -> String {
        let Head { position, hash } = self.head;
        let (version, root) = match &self.root {
            Some(root) => ("v2", format!("{}\n", hex::encode(root))),
            None => ("v1", String::new()),
        };

        format!(
            "audit-checkpoint-{version}\n{position}\n{}\n{root}{}\n{}\n",
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
        const LIST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature, root FROM checkpoints \
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
        const LATEST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature, root FROM checkpoints \
            ORDER BY position DESC, key_id DESC LIMIT $1";
        read(connection, LATEST, &[Cell::Integer(limit)])
    }

    /// All checkpoints, oldest first, and the positions of those that hold what no collector writes.
    pub(super) fn list_with_damaged(
        connection: &mut dyn Connection,
    ) -> Result<(Vec<Self>, Vec<i64>), DbError> {
        const ALL: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature, root FROM checkpoints \
            ORDER BY position, key_id";

        damaged::list(connection, ALL, Self::read)
    }

    /// The last one with a root that this key has signed.
    fn last_root(connection: &mut dyn Connection, key: &Key) -> Result<Option<Self>, DbError> {
        const LAST: &str = "SELECT position, hash, made_at_unix_nano, key_id, signature, root FROM checkpoints \
            WHERE key_id = $1 AND root IS NOT NULL ORDER BY position DESC LIMIT 1";

        let last = read(connection, LAST, &[Cell::Text(key.id())])?.pop();
        Ok(last.filter(|checkpoint| checkpoint.is_signed_by(&key.public())))
    }

    /// Reads a row of position, hash, time, key, signature and root.
    fn read(row: &dyn Row) -> Result<Self, DbError> {
        Ok(Self {
            head: Head {
                position: row.integer(0)?.unwrap_or_default(),
                hash: chain::hash(row.bytes(1)?)?,
            },
            made_at: row.integer(2)?.unwrap_or_default(),
            key_id: row.text(3)?.unwrap_or_default().to_owned(),
            signature: row.bytes(4)?.unwrap_or_default().to_vec(),
            root: match row.bytes(5)? {
                None => None,
                bytes => Some(chain::hash(bytes)?),
            },
        })
    }

    fn keep(&self, connection: &mut dyn Connection) -> Result<(), DbError> {
        const KEEP: &str = "INSERT INTO checkpoints (position, key_id, hash, made_at_unix_nano, signature, root) \
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (position, key_id) DO NOTHING";

        connection.execute(
            KEEP,
            &[
                Cell::Integer(self.head.position),
                Cell::Text(&self.key_id),
                Cell::Bytes(&self.head.hash),
                Cell::Integer(self.made_at),
                Cell::Bytes(&self.signature),
                self.root.as_ref().map(Hash::as_slice).into(),
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
