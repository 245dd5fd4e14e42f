//! One transaction: extends the chain by the new records of its batches, and keeps the conflicts.

mod content;
mod plan;
mod rows;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::chain::{Hash, Head, set_head};
use super::entry::Entry;
use super::store::encoder::Encoder;
use crate::db::{Cell, Connection, DbError};
use plan::{Conflict, Plan};
use rows::Rows;

/// Result of appending one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Records that were new.
    pub stored: u64,
    /// Records that were known already, with the same content.
    pub duplicates: u64,
    /// Uids of records that are known with another content, at most [`MAX_NAMED`] of them.
    pub conflicts: Vec<String>,
    /// Number of conflicts, named or not.
    pub conflict_count: u64,
    /// The batch was refused for its conflicts: nothing of it was stored.
    pub refused: bool,
}

/// Most uids that an answer names.
pub const MAX_NAMED: usize = 10;

/// Appends all `batches` behind `head` within the transaction that `connection` is in. With
/// `strict`, a batch with a conflict is refused as a whole. Returns the result of each batch, in the
/// same order, and the new end of the chain.
///
/// # Errors
///
/// Those of the database; the transaction must then be rolled back.
pub(super) fn append(
    connection: &mut dyn Connection,
    encoder: &mut Encoder,
    head: Head,
    batches: &[&[Entry]],
    strict: bool,
) -> Result<(Vec<Appended>, Head), DbError> {
    let mut plan = Plan::begin(connection, batches)?;
    let results = batches
        .iter()
        .map(|batch| plan.add(batch, strict))
        .collect::<Result<Vec<_>, _>>()?;

    let rows = Rows::follow(head, &plan.new);
    if !plan.new.is_empty() {
        encoder.store(connection, head, &rows.placed)?;
        set_head(connection, rows.head)?;
    }

    for conflict in &plan.conflicts {
        keep_conflict(connection, conflict, &rows)?;
    }

    Ok((results, rows.head))
}

/// How many records came with the uid of another record.
///
/// # Errors
///
/// Those of the database.
pub fn conflicts(connection: &mut dyn Connection) -> Result<i64, DbError> {
    let mut count = 0;
    connection.query("SELECT COUNT(*) FROM conflicts", &[], &mut |row| {
        count = row.integer(0)?.unwrap_or_default();
        Ok(())
    })?;
    Ok(count)
}

/// Stores a conflict once, however often it is sent.
fn keep_conflict(
    connection: &mut dyn Connection,
    conflict: &Conflict<'_>,
    rows: &Rows<'_>,
) -> Result<(), DbError> {
    const KEEP: &str = "INSERT INTO conflicts (position, digest, uid, received_at_unix_nano, content) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (position, digest) DO NOTHING";

    let entry = conflict.entry;
    let content = Value::Object(entry.flat()).to_string();
    let digest: Hash = Sha256::digest(&content).into();

    connection.execute(
        KEEP,
        &[
            Cell::Integer(rows.position(conflict.with)),
            Cell::Text(&hex::encode(digest)),
            Cell::Text(&entry.uid),
            Cell::Integer(entry.received_at),
            Cell::Text(&content),
        ],
    )?;
    Ok(())
}
