//! The proof of one record for a reader that has nothing else of the ledger: the record, and the
//! hashes that lead from it to the root that a checkpoint signs.

use serde::Serialize;

use super::chain::{Hash, Hasher};
use super::checkpoint::{Checkpoint, Line};
use super::cut::{Cut, hash_before};
use super::export::whole_line;
use super::list::StoredEntry;
use super::store::rows_of_uids;
use super::tree::{self, PathError, leaf, root_of_path};
use crate::db::{Connection, DbError};

/// Checkpoints that are read at once.
const PAGE: i64 = 100;

/// Holes that an error names.
const NAMED: i64 = 3;

/// A proof as JSON; `docs/ledger.md` has its format.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// Always [`Proof::KIND`].
    pub kind: &'static str,
    /// The line of the record as in an export. A text, since its bytes count.
    pub record: String,
    /// Position of the record.
    pub position: i64,
    /// Hash of the row before it, 64 hex digits.
    pub hash_before: String,
    /// The hashes that lead from the record to the root, 64 hex digits each.
    pub path: Vec<String>,
    /// The checkpoint, whose signature is over the root.
    pub checkpoint: Line,
}

impl Proof {
    /// Distinguishes a proof from other documents.
    pub const KIND: &str = "audit-proof-v1";
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// No record has the uid. It is not known which uids deleted rows had.
    #[error("no record has the uid {uid:?}{deleted}")]
    Unknown {
        /// The uid.
        uid: String,
        /// Which rows retention has deleted, in words.
        deleted: String,
    },
    /// No checkpoint with a root covers the record.
    #[error("the record is row {0}, and no checkpoint with a root covers it yet")]
    NotYet(i64),
    /// There is no such checkpoint.
    #[error("there is no checkpoint at row {0}")]
    NoCheckpoint(i64),
    /// The checkpoint is one of the chain only.
    #[error("the checkpoint at row {0} has no root")]
    NoRoot(i64),
    /// The checkpoint is too early.
    #[error("the record is row {position}, behind the checkpoint at row {checkpoint}")]
    Behind {
        /// Position of the record.
        position: i64,
        /// Position of the checkpoint.
        checkpoint: i64,
    },
    /// Retention has deleted rows at the place of the checkpoint.
    #[error(
        "the root at row {checkpoint} cannot be computed any more: retention has deleted rows {first_position} to {last_position}"
    )]
    Cut {
        /// Position of the checkpoint.
        checkpoint: i64,
        /// First row of the cut.
        first_position: i64,
        /// Last row of the cut.
        last_position: i64,
    },
    /// The line of an export does not show the row as it is stored.
    #[error(
        "row {0} cannot be proved by its line: an attribute has the name of a field or holds NUL, or its uid was too long"
    )]
    NotALine(i64),
    /// What is stored does not lead to the root.
    #[error("row {position} does not lead to the root at row {checkpoint}: verify the ledger")]
    Damaged {
        /// Position of the record.
        position: i64,
        /// Position of the checkpoint.
        checkpoint: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Proves the record with `uid`, within the transaction that `connection` is in, by the checkpoint at
/// row `at`, or else by the first one that covers the record.
///
/// # Errors
///
/// See [`ProofError`]. A proof that is returned has been checked, but for signatures.
pub fn prove(
    connection: &mut dyn Connection,
    uid: &str,
    at: Option<i64>,
) -> Result<Proof, ProofError> {
    let row = stored(connection, uid)?;
    let record = whole_line(&row).ok_or(ProofError::NotALine(row.position))?;
    let before = hash_before(connection, row.position)?.unwrap_or_default();

    let (checkpoint, path) = match at {
        Some(at) => at_checkpoint(connection, &row, at)?,
        None => at_first_checkpoint(connection, &row)?,
    };

    let hash = Hasher::default().row(&before, row.position, row.entry.cells());
    let size = checkpoint.head.position;
    let root = root_of_path(row.position, size, leaf(&hash), &path);
    if root.is_none() || root != checkpoint.root {
        return Err(damaged(&row, &checkpoint));
    }

    Ok(Proof {
        kind: Proof::KIND,
        record,
        position: row.position,
        hash_before: hex::encode(before),
        path: path.iter().map(hex::encode).collect(),
        checkpoint: Line::from(&checkpoint),
    })
}

fn damaged(row: &StoredEntry, checkpoint: &Checkpoint) -> ProofError {
    ProofError::Damaged {
        position: row.position,
        checkpoint: checkpoint.head.position,
    }
}

fn stored(connection: &mut dyn Connection, uid: &str) -> Result<StoredEntry, ProofError> {
    if let Some(row) = rows_of_uids(connection, &[uid])?.into_iter().next() {
        return Ok(row);
    }

    let holes = Cut::holes(connection, i64::MAX, NAMED)?;
    let holes: Vec<_> = holes
        .iter()
        .map(|hole| format!("{} to {}", hole.first_position, hole.last_position))
        .collect();
    let deleted = match holes.as_slice() {
        [] => String::new(),
        some => format!(
            "; retention has deleted rows, the latest {}, and their uids with them",
            some.join(", ")
        ),
    };
    let uid = uid.to_owned();
    Err(ProofError::Unknown { uid, deleted })
}

type Way = (Checkpoint, Vec<Hash>);

/// The path to the root of the checkpoint at `at`.
fn at_checkpoint(
    connection: &mut dyn Connection,
    row: &StoredEntry,
    at: i64,
) -> Result<Way, ProofError> {
    let mut found = Checkpoint::list(connection, at.saturating_sub(1), PAGE)?;
    found.retain(|found| found.head.position == at);
    if found.is_empty() {
        return Err(ProofError::NoCheckpoint(at));
    }

    // Collectors with several keys can sign the same place.
    let rooted = found.into_iter().find(|found| found.root.is_some());
    let checkpoint = rooted.ok_or(ProofError::NoRoot(at))?;
    if at < row.position {
        return Err(ProofError::Behind {
            position: row.position,
            checkpoint: at,
        });
    }
    lead(connection, row, checkpoint)
}

/// The first checkpoint that covers the row and whose root can still be computed.
fn at_first_checkpoint(
    connection: &mut dyn Connection,
    row: &StoredEntry,
) -> Result<Way, ProofError> {
    let mut after = row.position - 1;
    loop {
        let page = Checkpoint::list(connection, after, PAGE)?;
        let Some(end) = page.last().map(|last| last.head.position) else {
            return Err(ProofError::NotYet(row.position));
        };

        for checkpoint in page {
            if checkpoint.head.position <= after || checkpoint.root.is_none() {
                continue;
            }
            match lead(connection, row, checkpoint) {
                // No other root within the hole can be computed.
                Err(ProofError::Cut { last_position, .. }) => after = last_position - 1,
                found => return found,
            }
        }
        after = after.max(end);
    }
}

/// The path from the row to the root of the checkpoint.
fn lead(
    connection: &mut dyn Connection,
    row: &StoredEntry,
    checkpoint: Checkpoint,
) -> Result<Way, ProofError> {
    let size = checkpoint.head.position;
    let position = match tree::path(connection, row.position, size) {
        Ok(path) => return Ok((checkpoint, path)),
        Err(PathError::Database(error)) => return Err(error.into()),
        Err(PathError::Missing(position)) => position,
    };

    let hole = hole_around(connection, position)?.filter(|(_, last)| *last >= size);
    let (first_position, last_position) = hole.ok_or_else(|| damaged(row, &checkpoint))?;
    Err(ProofError::Cut {
        checkpoint: size,
        first_position,
        last_position,
    })
}

/// The rows of the cut that covers `position`, and of cuts right behind it: nodes can cover rows of
/// several.
fn hole_around(
    connection: &mut dyn Connection,
    position: i64,
) -> Result<Option<(i64, i64)>, DbError> {
    let range = |cut: Option<Cut>| {
        let statement = cut.and_then(|cut| cut.statement())?;
        Some((statement.first_position, statement.last_position))
    };

    let covering = range(Cut::before(connection, position + 1)?);
    let Some((first, mut last)) = covering.filter(|(_, last)| *last >= position) else {
        return Ok(None);
    };
    while let Some((next, end)) = range(Cut::from(connection, last + 1)?) {
        if next != last + 1 {
            break;
        }
        last = end;
    }
    Ok(Some((first, last)))
}
