//! Signed statements about rows that retention has deleted. They bridge the holes in the chain and
//! keep the stream data of the deleted rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::chain::{self, GENESIS, Hash};
use super::damaged;
use super::signing::{Key, PublicKey};
use crate::completeness::{Stream, Streams};
use crate::db::{Cell, Connection, DbError, Row};

/// The signed statement, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Always [`Statement::KIND`].
    pub kind: String,
    /// First row that was deleted.
    pub first_position: i64,
    /// Last row that was deleted; all between them are, too.
    pub last_position: i64,
    /// Hash of the row before the first, in hex.
    pub hash_before: String,
    /// Hash of the last row, in hex.
    pub hash_after: String,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub made_at_unix_nano: i64,
    /// When the latest of the rows had been received; statements of earlier versions have no such
    /// time.
    #[serde(default)]
    pub received_until_unix_nano: Option<i64>,
    /// Id of the signing key.
    pub key_id: String,
    /// Stream data of the deleted rows.
    pub streams: BTreeMap<String, Stream>,
}

/// What a [`Statement`] has beside hashes and stream data, which can be large.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hole {
    /// See [`Statement::first_position`].
    pub first_position: i64,
    /// See [`Statement::last_position`].
    pub last_position: i64,
    /// See [`Statement::made_at_unix_nano`].
    pub made_at_unix_nano: i64,
    /// See [`Statement::received_until_unix_nano`].
    #[serde(default)]
    pub received_until_unix_nano: Option<i64>,
    /// See [`Statement::key_id`].
    pub key_id: String,
}

impl Statement {
    /// Distinguishes a cut from all other statements.
    pub const KIND: &str = "audit-cut-v1";

    /// The hash before the hole; `None` when the statement is damaged.
    pub fn before(&self) -> Option<Hash> {
        hex::decode(&self.hash_before).ok()?.try_into().ok()
    }

    /// The hash at the end of the hole; `None` when the statement is damaged.
    pub fn after(&self) -> Option<Hash> {
        hex::decode(&self.hash_after).ok()?.try_into().ok()
    }

    /// One statement for two adjacent ranges: this one and `after`. The time is the later one; the
    /// key is that of `after`.
    #[must_use]
    pub fn join(self, after: Self) -> Self {
        let mut streams = self.streams();
        streams.merge(after.streams());

        Self {
            kind: self.kind,
            first_position: self.first_position,
            last_position: after.last_position,
            hash_before: self.hash_before,
            hash_after: after.hash_after,
            made_at_unix_nano: self.made_at_unix_nano.max(after.made_at_unix_nano),
            received_until_unix_nano: self
                .received_until_unix_nano
                .max(after.received_until_unix_nano),
            key_id: after.key_id,
            streams: streams.by_id.into_iter().collect(),
        }
    }

    /// Stream data of the deleted rows.
    pub fn streams(&self) -> Streams {
        Streams {
            by_id: self.streams.clone().into_iter().collect(),
            ..Streams::default()
        }
    }
}

/// A statement as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// First row that was deleted.
    pub first_position: i64,
    /// The text that is signed.
    pub text: String,
    /// Id of the signing key.
    pub key_id: String,
    /// Ed25519, 64 bytes, over the text.
    pub signature: Vec<u8>,
}

impl Cut {
    /// Signs a statement.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn sign(statement: &Statement, key: &Key) -> Result<Self, DbError> {
        let text = serde_json::to_string(statement).map_err(DbError::failed)?;
        let signature = key.sign(text.as_bytes()).to_vec();
        Ok(Self {
            first_position: statement.first_position,
            text,
            key_id: key.id().to_owned(),
            signature,
        })
    }

    /// Whether the signature is that of `key`.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.key_id == key.id() && key.verifies(self.text.as_bytes(), &self.signature)
    }

    /// The parsed statement; `None` when it is damaged or about another position.
    pub fn statement(&self) -> Option<Statement> {
        let statement: Statement = serde_json::from_str(&self.text).ok()?;
        let sound = statement.kind == Statement::KIND
            && statement.first_position == self.first_position
            && (1..=statement.last_position).contains(&statement.first_position);
        sound.then_some(statement)
    }

    /// All cuts, in the order of the chain.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn list(connection: &mut dyn Connection) -> Result<Vec<Self>, DbError> {
        Self::list_where(
            connection,
            "first_position >= $1 ORDER BY first_position",
            &[Cell::Integer(i64::MIN)],
        )
    }

    /// All cuts in the order of the chain, and the first positions of those that hold what no
    /// collector writes.
    pub(super) fn list_with_damaged(
        connection: &mut dyn Connection,
    ) -> Result<(Vec<Self>, Vec<i64>), DbError> {
        const ALL: &str = "SELECT first_position, statement, key_id, signature FROM cuts \
            ORDER BY first_position";

        damaged::list(connection, ALL, Self::read)
    }

    /// Reads a row of first position, statement, key and signature.
    fn read(row: &dyn Row) -> Result<Self, DbError> {
        Ok(Self {
            first_position: row.integer(0)?.unwrap_or_default(),
            text: row.text(1)?.unwrap_or_default().to_owned(),
            key_id: row.text(2)?.unwrap_or_default().to_owned(),
            signature: row.bytes(3)?.unwrap_or_default().to_vec(),
        })
    }

    /// What the cuts that begin before a position are about, the last of them first, at most `limit`.
    /// Damaged ones are left out; `verify` finds them.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn holes(
        connection: &mut dyn Connection,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Hole>, DbError> {
        const SELECT: &str = "SELECT statement FROM cuts WHERE first_position < $1 \
            ORDER BY first_position DESC LIMIT $2";

        let mut holes = Vec::new();
        let cells = [Cell::Integer(before), Cell::Integer(limit)];
        connection.query(SELECT, &cells, &mut |row| {
            let text = row.text(0)?.unwrap_or_default();
            holes.extend(serde_json::from_str::<Hole>(text).ok());
            Ok(())
        })?;
        Ok(holes)
    }

    /// The last cut that begins before a position.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(super) fn before(
        connection: &mut dyn Connection,
        position: i64,
    ) -> Result<Option<Self>, DbError> {
        const BEFORE: &str = "first_position < $1 ORDER BY first_position DESC LIMIT 1";
        Ok(Self::list_where(connection, BEFORE, &[Cell::Integer(position)])?.pop())
    }

    /// The first cut that begins at a position or after it.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(super) fn from(
        connection: &mut dyn Connection,
        position: i64,
    ) -> Result<Option<Self>, DbError> {
        const FROM: &str = "first_position >= $1 ORDER BY first_position LIMIT 1";
        Ok(Self::list_where(connection, FROM, &[Cell::Integer(position)])?.pop())
    }

    /// The cuts that match `conditions`, an SQL fragment.
    fn list_where(
        connection: &mut dyn Connection,
        conditions: &str,
        cells: &[Cell<'_>],
    ) -> Result<Vec<Self>, DbError> {
        let text = format!(
            "SELECT first_position, statement, key_id, signature FROM cuts WHERE {conditions}"
        );

        let mut list = Vec::new();
        connection.query(&text, cells, &mut |row| {
            list.push(Self::read(row)?);
            Ok(())
        })?;

        Ok(list)
    }

    /// Stores the cut; replaces one that begins at the same position.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn keep(&self, connection: &mut dyn Connection) -> Result<(), DbError> {
        const KEEP: &str = "INSERT INTO cuts (first_position, statement, key_id, signature) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (first_position) DO UPDATE SET statement = excluded.statement, key_id = excluded.key_id, \
            signature = excluded.signature";

        connection.execute(
            KEEP,
            &[
                Cell::Integer(self.first_position),
                Cell::Text(&self.text),
                Cell::Text(&self.key_id),
                Cell::Bytes(&self.signature),
            ],
        )?;
        Ok(())
    }
}

/// The hash before a position: of the row before it, of the end of a cut, or [`GENESIS`]; `None`
/// when the row is missing.
pub(super) fn hash_before(
    connection: &mut dyn Connection,
    position: i64,
) -> Result<Option<Hash>, DbError> {
    const ROW: &str = "SELECT hash FROM records WHERE position = $1";

    if position == 1 {
        return Ok(Some(GENESIS));
    }

    let mut before = None;
    connection.query(ROW, &[Cell::Integer(position - 1)], &mut |row| {
        before = Some(chain::hash(row.bytes(0)?)?);
        Ok(())
    })?;
    if before.is_some() {
        return Ok(before);
    }

    let cut = Cut::before(connection, position)?.and_then(|cut| cut.statement());
    let statement = cut.filter(|statement| statement.last_position == position - 1);
    Ok(statement.and_then(|statement| statement.after()))
}
