//! The walk over the ledger: every hash, every signature, every number of every stream.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::tree::Step;
use super::{Fault, Trust, Verification};
use crate::completeness::{Announced, Moment, Sighting, Streams};
use crate::db::{Connection, DbError, Row};
use crate::ledger::chain::{self, Hash, Hasher, Head};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::cut::{Cut, Statement};
use crate::ledger::signing::PublicKey;

/// Position of the first row of a chain.
const FIRST: i64 = 1;

/// A walk over the ledger, row by row.
pub(super) struct Walk {
    hasher: Hasher,
    /// Last place reached, by a row or by a cut.
    reached: Head,
    /// Position of the last row.
    pub(super) read_up_to: i64,
    cuts: Peekable<IntoIter<Cut>>,
    checkpoints: BTreeMap<i64, Vec<(Hash, Option<Hash>)>>,
    /// What the tree is made of, since it was taken last.
    trail: Vec<Step>,
    /// Position of the last checkpoint with a root.
    rooted_up_to: i64,
    streams: Streams,
    /// Rows that were read.
    pub(super) rows: i64,
    /// Position of the last checkpoint that a trusted key has signed.
    signed_up_to: i64,
    /// When the row before was received.
    last_receipt: i64,
    pub(super) result: Verification,
}

/// A step back of the times of receipt that needs no wrong clock: a request gets its time before it
/// is decoded and waits for its transaction, for at most some ten seconds.
const STEP_BACK: i64 = 60_000_000_000;

impl Walk {
    /// Loads cuts and checkpoints, and checks their signatures.
    pub(super) fn begin(connection: &mut dyn Connection, trust: &Trust) -> Result<Self, DbError> {
        let (cuts, damaged_cuts) = Cut::list_with_damaged(connection)?;
        let (mut checkpoints, damaged_checkpoints) = Checkpoint::list_with_damaged(connection)?;
        checkpoints.extend(trust.checkpoints.iter().cloned());

        let mut walk = Self {
            hasher: Hasher::default(),
            reached: Head::START,
            read_up_to: i64::MIN,
            cuts: Vec::new().into_iter().peekable(),
            checkpoints: BTreeMap::new(),
            trail: Vec::new(),
            rooted_up_to: 0,
            streams: Streams::default(),
            rows: 0,
            signed_up_to: signed_up_to(&checkpoints, &trust.keys),
            last_receipt: i64::MIN,
            result: Verification {
                signatures_checked: !trust.keys.is_empty(),
                ..Verification::default()
            },
        };

        for first_position in damaged_cuts {
            walk.fault(Fault::Cut { first_position });
        }
        for position in damaged_checkpoints {
            walk.fault(Fault::Checkpoint { position });
        }
        walk.check_signatures(&cuts, &checkpoints, &trust.keys);
        walk.result.checkpoints = i64::try_from(checkpoints.len()).unwrap_or(i64::MAX);

        for Checkpoint { head, root, .. } in checkpoints {
            if head.position < FIRST {
                walk.fault(Fault::Checkpoint {
                    position: head.position,
                });
            }
            let hashes = walk.checkpoints.entry(head.position).or_default();
            hashes.push((head.hash, root));
            if root.is_some() {
                walk.rooted_up_to = walk.rooted_up_to.max(head.position);
            }
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
        self.result.fault(fault);
    }

    /// Processes the next row in the order of positions; its columns are those of the table.
    pub(super) fn row(&mut self, row: &dyn Row) -> Result<(), DbError> {
        let position = row.integer(0)?.unwrap_or_default();
        self.rows += 1;
        self.read_up_to = position;
        if position > self.signed_up_to {
            self.result.rows_after_last_checkpoint += 1;
        }

        if position < FIRST {
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
        } else if position < next
            || kept.is_none()
            || self.hasher.kept_row(&self.reached.hash, position, row).ok() != kept
        {
            self.row_fault(position, row);
        }

        self.trail.push(Step::Row(position, kept));
        self.reach(Head {
            position,
            hash: kept.unwrap_or_default(),
        });

        // Fails for a column of another type; the row is a fault already.
        let _ = self.see(position, row);
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
        let after = statement.as_ref().and_then(Statement::after);
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

        self.trail.push(Step::Hole {
            first: cut.first_position,
            last: statement.last_position,
        });
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
            if position != head.position {
                continue;
            }

            // With another hash, the root is that of other rows, too.
            if hashes.iter().any(|(hash, _)| *hash != head.hash) {
                self.fault(Fault::Checkpoint { position });
                continue;
            }
            let roots = hashes.into_iter().filter_map(|(_, root)| root);
            self.trail
                .extend(roots.map(|root| Step::Root(position, root)));
        }
    }

    /// Follows the cuts after the last row.
    pub(super) fn cross_last_cuts(&mut self) {
        self.cross_cuts(i64::MAX);
    }

    /// What the tree is made of, since the last call.
    pub(super) fn take_trail(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.trail)
    }

    /// Position of the last checkpoint with a root.
    pub(super) fn rooted_up_to(&self) -> i64 {
        self.rooted_up_to
    }

    fn see(&mut self, position: i64, row: &dyn Row) -> Result<(), DbError> {
        self.follow_clock(position, row.integer(RECEIVED_AT)?.unwrap_or_default());
        let (Some(stream), Some(number)) = (row.text(STREAM)?, row.integer(NUMBER)?) else {
            return Ok(());
        };

        if self.streams.has_received(stream, number) {
            self.result.fault(Fault::Number {
                position,
                stream_id: stream.to_owned(),
                number,
            });
        }

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

    fn follow_clock(&mut self, position: i64, received_at: i64) {
        if received_at < self.last_receipt.saturating_sub(STEP_BACK) {
            self.result.receipts_backwards += 1;
            self.result.first_receipt_backwards.get_or_insert(position);
        }
        self.last_receipt = received_at;
    }

    /// Views are made of rows, so they cannot be ahead of them.
    pub(super) fn compare_views(&mut self, views_position: i64, head_position: i64) {
        if views_position > head_position {
            self.fault(Fault::Views {
                views_position,
                head_position,
            });
        }
    }

    /// The result, once all rows and cuts are processed.
    pub(super) fn end(
        mut self,
        head: Option<Head>,
        moment: Moment,
        conflicts: i64,
    ) -> Verification {
        if head != Some(self.reached) {
            self.fault(Fault::Head {
                head_position: head.map_or(0, |head| head.position),
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

/// Without keys, every checkpoint counts.
fn signed_up_to(checkpoints: &[Checkpoint], keys: &[PublicKey]) -> i64 {
    let signed = checkpoints.iter().filter(|checkpoint| {
        keys.is_empty() || keys.iter().any(|key| checkpoint.is_signed_by(key))
    });
    signed
        .map(|checkpoint| checkpoint.head.position)
        .max()
        .unwrap_or_default()
}

/// Columns of [`RECORDS`](crate::ledger::entry::RECORDS).
const UID: usize = 2;
const RECEIVED_AT: usize = 3;
const OBSERVED_AT: usize = 6;
const EVENT_NAME: usize = 9;
const STREAM: usize = 10;
const NUMBER: usize = 11;
const SERVICE: usize = 12;
const ATTRIBUTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::RECORDS;

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
