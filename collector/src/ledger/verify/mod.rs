//! Walks the whole ledger: every hash, every signature, every node of the tree, every number of every
//! stream.

mod fault;
mod times;
mod tree;
mod walk;

use serde::Serialize;

pub use fault::Fault;

use super::append::conflicts;
use super::chain::readable_head;
use super::checkpoint::Checkpoint;
use super::signing::PublicKey;
use super::store::scan::{Scanned, Visitor, scan};
use crate::completeness::{Moment, Report};
use crate::db::{Connection, Database, DbError};
use tree::TreeWalk;
use walk::Walk;

/// Most faults that are named; all are counted.
pub const MAX_NAMED: usize = 100;

/// Trusted keys, and checkpoints from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Trusted keys; without any, signatures are not checked.
    pub keys: Vec<PublicKey>,
    /// Checkpoints that were kept elsewhere.
    pub checkpoints: Vec<Checkpoint>,
}

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Rows that were read.
    pub rows: i64,
    /// Rows that cuts cover.
    pub deleted_rows: i64,
    /// Checkpoints that were compared, including those from elsewhere.
    pub checkpoints: i64,
    /// Rows after the last of them that a trusted key has signed. No signature proves these.
    pub rows_after_last_checkpoint: i64,
    /// Rows that were received more than a minute before the row that precedes them: a clock was set
    /// back. Judgements by time, such as open and missing numbers, may be wrong around them.
    pub receipts_backwards: i64,
    /// Position of the first of them.
    pub first_receipt_backwards: Option<i64>,
    /// Whether signatures were checked against trusted keys.
    pub signatures_checked: bool,
    /// How many faults there are.
    pub fault_count: i64,
    /// The first 100 of them.
    pub faults: Vec<Fault>,
    /// Completeness of the streams.
    pub completeness: Report,
}

impl Verification {
    /// Whether there is no fault and no missing number; numbers that may still come do not count.
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0 && self.completeness.unexplained_numbers == 0
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < MAX_NAMED {
            self.faults.push(fault);
        }
    }

    fn damaged(&mut self, message: &str) {
        self.fault(Fault::File {
            message: message.to_owned(),
        });
    }
}

/// Walks the ledger within the transaction that `connection` is in, after a check of the file itself.
///
/// # Errors
///
/// Those of the database; faults of the rows and of the file are part of the result.
pub fn verify(
    connection: &mut dyn Connection,
    trust: &Trust,
    moment: Moment,
) -> Result<Verification, DbError> {
    let damage = connection.damage()?;
    with_damage(&damage, walk(connection, trust, moment))
}

/// The same with the check of the file beside the walk, on a connection of its own: it sees the file
/// as it is then, also when a collector writes.
///
/// # Errors
///
/// See [`verify`].
pub fn verify_beside(
    database: &dyn Database,
    connection: &mut dyn Connection,
    trust: &Trust,
    moment: Moment,
) -> Result<Verification, DbError> {
    std::thread::scope(|scope| {
        let check = scope.spawn(|| database.connect()?.damage());
        let walked = walk(connection, trust, moment);
        let damage = check
            .join()
            .unwrap_or_else(|_| Err(DbError::failed("the check of the file panicked")))?;
        with_damage(&damage, walked)
    })
}

/// Both together: what is wrong with the file comes first.
fn with_damage(
    damage: &[String],
    walked: Result<Verification, DbError>,
) -> Result<Verification, DbError> {
    let walked = match walked {
        // The rows cannot be read: the reason is known.
        Err(DbError::Failed(_)) if !damage.is_empty() => Verification::default(),
        walked => walked?,
    };
    if damage.is_empty() {
        return Ok(walked);
    }

    let mut found = Verification::default();
    damage.iter().for_each(|text| found.damaged(text));
    let named = MAX_NAMED.saturating_sub(found.faults.len());
    found
        .faults
        .extend(walked.faults.iter().take(named).cloned());
    Ok(Verification {
        fault_count: found.fault_count + walked.fault_count,
        faults: found.faults,
        ..walked
    })
}

fn walk(
    connection: &mut dyn Connection,
    trust: &Trust,
    moment: Moment,
) -> Result<Verification, DbError> {
    let walk = Walk::begin(connection, trust)?;
    let tree = TreeWalk::new(walk.rooted_up_to());
    let mut both = Both { walk, tree };
    scan(connection, &mut both)?;

    let Both { mut walk, mut tree } = both;
    walk.cross_last_cuts();
    tree.follow(connection, walk.take_trail(), &mut walk.result)?;
    tree.end(connection, &mut walk.result)?;

    let head = readable_head(connection)?;
    let head_position = head.map_or(0, |head| head.position);
    walk.compare_views(views_position(connection)?, head_position);
    let conflicts = conflicts(connection)?;
    Ok(walk.end(head, moment, conflicts))
}

/// Rows and tree are followed together.
struct Both {
    walk: Walk,
    tree: TreeWalk,
}

impl Visitor for Both {
    fn row(&mut self, row: &Scanned<'_>) {
        self.walk.row(row);
    }

    fn pause(&mut self, connection: &mut dyn Connection) -> Result<(), DbError> {
        let trail = self.walk.take_trail();
        self.tree.follow(connection, trail, &mut self.walk.result)
    }
}

fn views_position(connection: &mut dyn Connection) -> Result<i64, DbError> {
    let mut position = 0;
    connection.query("SELECT position FROM views", &[], &mut |row| {
        position = row.integer(0)?.unwrap_or_default();
        Ok(())
    })?;
    Ok(position)
}
