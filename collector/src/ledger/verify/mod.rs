//! Walks the whole ledger: every hash, every signature, every number of every stream.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use serde::Serialize;

use super::append::conflicts;
use super::chain::{self, Hash, Hasher, Head, head};
use super::checkpoint::Checkpoint;
use super::cut::Cut;
use super::entry::RECORDS;
use super::signing::PublicKey;
use crate::completeness::{Announced, Moment, Report, Sighting, Streams};
use crate::db::{Cell, Connection, DbError, Row};

/// Most faults that are named; all are counted.
pub const MAX_NAMED: usize = 100;

/// Rows per query; PostgreSQL sends all of them before the first can be processed.
const CHUNK: i64 = 20_000;

/// A fault of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The row does not match its hash. It was changed or moved here, or the hash of the row before
    /// it was changed.
    Row {
        /// Its position.
        position: i64,
        /// Its uid.
        uid: String,
    },
    /// Rows are missing, and no signed cut covers them.
    Missing {
        /// First position.
        first_position: i64,
        /// Last position.
        last_position: i64,
    },
    /// A cut does not match the rows around it, or is damaged.
    Cut {
        /// First position that it covers.
        first_position: i64,
    },
    /// The ledger does not end at its head.
    Head {
        /// Position of the head.
        head_position: i64,
        /// Position of the last row.
        last_position: i64,
    },
    /// The hash of a checkpoint differs from that of the row, or its position is beyond the end.
    Checkpoint {
        /// Its position.
        position: i64,
    },
    /// A checkpoint or a cut is not signed by a trusted key.
    Signature {
        /// Position of the checkpoint, or first position of the cut.
        position: i64,
        /// Id of the key that it claims.
        key_id: String,
    },
}

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
}

/// Walks the ledger within the transaction that `connection` is in.
///
/// # Errors
///
/// Those of the database; faults of the rows are part of the result.
pub fn verify(
    connection: &mut dyn Connection,
    trust: &Trust,
    moment: Moment,
) -> Result<Verification, DbError> {
    let mut walk = Walk::begin(connection, trust)?;

    loop {
        let before = walk.rows;
        let after = walk.read_up_to;
        connection.query(
            &chunk(),
            &[Cell::Integer(after), Cell::Integer(CHUNK)],
            &mut |row| walk.row(row),
        )?;
        if walk.rows == before {
            break;
        }
    }

    let head = head(connection)?;
    let conflicts = conflicts(connection)?;
    Ok(walk.end(head, moment, conflicts))
}

fn chunk() -> String {
    format!(
        "SELECT {} FROM records WHERE position > $1 ORDER BY position LIMIT $2",
        RECORDS.names()
    )
}

struct Walk {
    hasher: Hasher,
    /// Last place reached, by a row or by a cut.
    reached: Head,
    /// Position of the last row.
    read_up_to: i64,
    cuts: Peekable<IntoIter<Cut>>,
    checkpoints: BTreeMap<i64, Vec<Hash>>,
    streams: Streams,
    rows: i64,
    result: Verification,
}

impl Walk {
    fn begin(connection: &mut dyn Connection, trust: &Trust) -> Result<Self, DbError> {
        let cuts = Cut::list(connection)?;
        let mut checkpoints = Checkpoint::list(connection, 0, i64::MAX)?;
        checkpoints.extend(trust.checkpoints.iter().cloned());

        let mut walk = Self {
            hasher: Hasher::default(),
            reached: Head::START,
            read_up_to: i64::MIN,
            cuts: Vec::new().into_iter().peekable(),
            checkpoints: BTreeMap::new(),
            streams: Streams::default(),
            rows: 0,
            result: Verification {
                signatures_checked: !trust.keys.is_empty(),
                ..Verification::default()
            },
        };

        walk.check_signatures(&cuts, &checkpoints, &trust.keys);
        walk.result.checkpoints = i64::try_from(checkpoints.len()).unwrap_or(i64::MAX);

        for checkpoint in checkpoints {
            walk.checkpoints
                .entry(checkpoint.head.position)
                .or_default()
                .push(checkpoint.head.hash);
        }

        walk.cuts = cuts.into_iter().peekable();
        Ok(walk)
    }

    fn check_signatures(&mut self, cuts: &[Cut], checkpoints: &[Checkpoint], keys: &[PublicKey]) {
        if keys.is_empty() {
            return;
        }

        for cut in cuts
            .iter()
            .filter(|cut| !keys.iter().any(|key| cut.is_signed_by(key)))
        {
            self.fault(Fault::Signature {
                position: cut.first_position,
                key_id: cut.key_id.clone(),
            });
        }

        for point in checkpoints
            .iter()
            .filter(|point| !keys.iter().any(|key| point.is_signed_by(key)))
        {
            self.fault(Fault::Signature {
                position: point.head.position,
                key_id: point.key_id.clone(),
            });
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.result.fault_count += 1;
        if self.result.faults.len() < MAX_NAMED {
            self.result.faults.push(fault);
        }
    }

    /// Processes the next row in the order of positions; its columns are those of [`RECORDS`].
    fn row(&mut self, row: &dyn Row) -> Result<(), DbError> {
        let position = row.integer(0)?.unwrap_or_default();
        self.rows += 1;
        self.read_up_to = position;

        if position <= 0 {
            // Positions of a chain begin at 1.
            self.row_fault(position, row);
            return Ok(());
        }

        self.cross_cuts(position);
        let next = self.reached.position.saturating_add(1);
        // A column of another type counts as a change.
        let kept = row.bytes(1).and_then(chain::hash).ok();

        if position > next {
            self.fault(Fault::Missing {
                first_position: next,
                last_position: position - 1,
            });
        } else if kept.is_none()
            || self.hasher.kept_row(&self.reached.hash, position, row).ok() != kept
        {
            self.row_fault(position, row);
        }

        self.reach(Head {
            position,
            hash: kept.unwrap_or_default(),
        });

        // Fails for a column of another type; the row is a fault already.
        let _ = self.see(row);
        Ok(())
    }

    fn row_fault(&mut self, position: i64, row: &dyn Row) {
        let uid = row.text(UID).ok().flatten().unwrap_or_default().to_owned();
        self.fault(Fault::Row { position, uid });
    }

    /// Follows the cuts that lie before the row at `position`.
    fn cross_cuts(&mut self, position: i64) {
        while let Some(cut) = self.cuts.next_if(|cut| cut.first_position < position) {
            self.cross(&cut);
        }
    }

    fn cross(&mut self, cut: &Cut) {
        let statement = cut.statement();
        let after = statement.as_ref().and_then(super::cut::Statement::after);
        let (Some(statement), Some(after)) = (statement, after) else {
            return self.fault(Fault::Cut {
                first_position: cut.first_position,
            });
        };

        let next = self.reached.position.saturating_add(1);
        if cut.first_position > next {
            self.fault(Fault::Missing {
                first_position: next,
                last_position: cut.first_position - 1,
            });
        } else if cut.first_position < next || statement.before() != Some(self.reached.hash) {
            self.fault(Fault::Cut {
                first_position: cut.first_position,
            });
        }

        let deleted = statement
            .last_position
            .saturating_sub(statement.first_position)
            .saturating_add(1);
        self.result.deleted_rows = self.result.deleted_rows.saturating_add(deleted);
        self.streams.merge(statement.streams());

        self.reach(Head {
            position: statement.last_position,
            hash: after,
        });
    }

    /// Moves on and compares the checkpoints on the way. Those within a cut cannot be compared any
    /// more.
    fn reach(&mut self, head: Head) {
        self.reached = head;

        while let Some(entry) = self.checkpoints.first_entry() {
            if *entry.key() > head.position {
                return;
            }
            let (position, hashes) = entry.remove_entry();
            if position == head.position && hashes.iter().any(|hash| *hash != head.hash) {
                self.fault(Fault::Checkpoint { position });
            }
        }
    }

    fn see(&mut self, row: &dyn Row) -> Result<(), DbError> {
        let (Some(stream), Some(number)) = (row.text(STREAM)?, row.integer(NUMBER)?) else {
            return Ok(());
        };

        let received_at = row.integer(RECEIVED_AT)?.unwrap_or_default();
        let observed_at = row.integer(OBSERVED_AT)?.unwrap_or_default();
        let event_name = row.text(EVENT_NAME)?.unwrap_or_default();
        let announced = Announced::read(
            event_name,
            row.text(ATTRIBUTES)?.unwrap_or_default(),
            received_at,
        );

        self.streams.see(
            stream,
            Sighting {
                service: row.text(SERVICE)?,
                number,
                received_at,
                observed_at,
                announced,
            },
        );

        Ok(())
    }

    fn end(mut self, head: Head, moment: Moment, conflicts: i64) -> Verification {
        self.cross_cuts(i64::MAX);
        if self.reached != head {
            self.fault(Fault::Head {
                head_position: head.position,
                last_position: self.reached.position,
            });
        }

        for position in std::mem::take(&mut self.checkpoints).into_keys() {
            self.fault(Fault::Checkpoint { position });
        }

        self.result.rows = self.rows;
        self.result.completeness = self.streams.report(
            moment,
            self.rows.saturating_add(self.result.deleted_rows),
            conflicts,
        );

        self.result
    }
}

/// Columns of [`RECORDS`].
const UID: usize = 2;
const RECEIVED_AT: usize = 3;
const OBSERVED_AT: usize = 6;
const EVENT_NAME: usize = 9;
const STREAM: usize = 10;
const NUMBER: usize = 11;
const SERVICE: usize = 12;
const ATTRIBUTES: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_where_they_are_looked_for() {
        let names = [
            (UID, "uid"),
            (RECEIVED_AT, "received_at_unix_nano"),
            (OBSERVED_AT, "observed_time_unix_nano"),
            (EVENT_NAME, "event_name"),
            (STREAM, "stream_id"),
            (NUMBER, "sequence_number"),
            (SERVICE, "service_name"),
            (ATTRIBUTES, "attributes"),
        ];

        for (index, name) in names {
            assert_eq!(RECORDS.columns[index].name, name);
        }
    }
}
