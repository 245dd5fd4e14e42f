//! Extends the stored tree by new rows, when a checkpoint is made.

use super::feed::{FeedError, Observer, pieces};
use super::nodes::{extended, nodes, remove_low, store};
use super::{BLOCK, BLOCK_LEVEL, Join, Node, Peaks, is_complete};
use crate::db::{Connection, DbError};
use crate::ledger::chain::Hash;

/// Most rows by which one call extends the tree: less than a second, for which batches wait.
const MOST: i64 = 1024 * BLOCK;

/// Result of extending the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Growth {
    /// The root of the tree of all rows.
    Root(Hash),
    /// More rows are new than one call reads; another call goes on.
    Unfinished,
    /// No root is signed over what was damaged.
    Broken(Broken),
}

/// Why there is no root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::ledger) enum Broken {
    /// This row is missing, and no node covers it.
    #[error("row {0} is missing, and the tree has no node of it")]
    Missing(i64),
    /// The root at this row is not the one that was signed.
    #[error("the tree up to row {0} is not the one that was signed")]
    Differs(i64),
}

/// A size and the root that was signed for it.
pub(in crate::ledger) type Signed = (i64, Hash);

/// Extends the stored tree to `size` rows, which are all of the ledger, within the transaction that
/// `connection` is in. The tree must lead to the root that was `signed` last, as far as the rows
/// around that place are still there. Nothing is stored of a tree that is broken.
///
/// Reads new rows, and at most 255 nodes of each level, however many rows there are.
///
/// # Errors
///
/// Those of the database.
pub(in crate::ledger) fn grow(
    connection: &mut dyn Connection,
    size: i64,
    signed: Option<Signed>,
) -> Result<Growth, DbError> {
    let known = extended(connection)?;
    let to = size.min(known.saturating_add(MOST));
    let mut growing = Growing {
        known,
        signed,
        differs: None,
        new: Vec::new(),
    };

    let mut peaks = Peaks::default();
    for piece in pieces(to, known, None) {
        match piece.feed(connection, &mut peaks, &mut growing) {
            Ok(()) => {}
            Err(FeedError::Missing(row)) => return Ok(Growth::Broken(Broken::Missing(row))),
            Err(FeedError::Database(error)) => return Err(error),
        }
    }
    if let Some(position) = growing.differs {
        return Ok(Growth::Broken(Broken::Differs(position)));
    }

    for node in &growing.new {
        store(connection, node)?;
    }
    remove_superseded(connection, known, to)?;
    let root = peaks.root().filter(|_| to == size);
    Ok(root.map_or(Growth::Unfinished, Growth::Root))
}

/// Removes what was kept of blocks without any row: their own nodes are enough.
fn remove_superseded(connection: &mut dyn Connection, from: i64, to: i64) -> Result<(), DbError> {
    let halves = nodes(connection, BLOCK_LEVEL - 1, from, to - to % BLOCK)?;
    for pair in halves.windows(2) {
        if let [left, right] = pair
            && right.last % BLOCK == 0
            && left.last + BLOCK / 2 == right.last
        {
            remove_low(connection, right.last)?;
        }
    }
    Ok(())
}

/// What is new of a tree.
struct Growing {
    /// Up to which row nodes are stored.
    known: i64,
    signed: Option<Signed>,
    /// Where the root is not the one that was signed.
    differs: Option<i64>,
    new: Vec<Node>,
}

impl Observer for Growing {
    fn joined(&mut self, Join { parent, .. }: &Join) {
        if is_complete(parent.level) && parent.last > self.known {
            self.new.push(*parent);
        }
    }

    fn grown(&mut self, peaks: &Peaks) {
        if let Some((size, root)) = self.signed
            && peaks.size() == size
            && peaks.root() != Some(root)
        {
            self.differs = Some(size);
        }
    }
}
