//! Sorts the records of a transaction into new, known and conflicting ones.

use std::collections::HashMap;

use super::content::same;
use super::{Appended, MAX_NAMED};
use crate::db::{Connection, DbError};
use crate::ledger::entry::Entry;
use crate::ledger::store::rows_of_uids;

/// Records that are kept, or new in this transaction, by uid.
#[derive(Default)]
struct Known<'b> {
    kept: HashMap<String, (i64, Entry)>,
    new: HashMap<&'b str, usize>,
}

impl Known<'_> {
    fn load(connection: &mut dyn Connection, batches: &[&[Entry]]) -> Result<Self, DbError> {
        let uids: Vec<_> = batches
            .iter()
            .flat_map(|batch| batch.iter())
            .map(|entry| entry.uid.as_str())
            .collect();

        let kept = rows_of_uids(connection, &uids)?
            .into_iter()
            .map(|row| (row.entry.uid.clone(), (row.position, row.entry)))
            .collect();

        Ok(Self {
            kept,
            new: HashMap::new(),
        })
    }
}

/// The changes that the transaction will make.
pub(super) struct Plan<'b> {
    known: Known<'b>,
    pub(super) new: Vec<&'b Entry>,
    pub(super) conflicts: Vec<Conflict<'b>>,
}

/// A record that differs from the one with the same uid.
pub(super) struct Conflict<'b> {
    pub(super) with: Original,
    pub(super) entry: &'b Entry,
}

/// The record that had the uid first.
#[derive(Clone, Copy)]
pub(super) enum Original {
    /// It is in the ledger, at this position.
    Kept(i64),
    /// It is new, and has this place among the new ones.
    New(usize),
}

/// Relation of a record to the known ones.
enum Relation {
    New,
    Same,
    Differs(Original),
}

impl<'b> Plan<'b> {
    /// Loads the records of the ledger that have a uid of `batches`.
    pub(super) fn begin(
        connection: &mut dyn Connection,
        batches: &[&[Entry]],
    ) -> Result<Self, DbError> {
        Ok(Self {
            known: Known::load(connection, batches)?,
            new: Vec::new(),
            conflicts: Vec::new(),
        })
    }

    /// Adds a batch; with `strict`, one with a conflict changes nothing.
    pub(super) fn add(&mut self, batch: &'b [Entry], strict: bool) -> Result<Appended, DbError> {
        let (rows_before, conflicts_before) = (self.new.len(), self.conflicts.len());
        let mut result = Appended::default();

        for entry in batch {
            match self.relation(entry)? {
                Relation::New => {
                    self.known.new.insert(&entry.uid, self.new.len());
                    self.new.push(entry);
                    result.stored += 1;
                }
                Relation::Same => result.duplicates += 1,
                Relation::Differs(with) => {
                    self.conflicts.push(Conflict { with, entry });
                    result.conflict_count += 1;
                    if result.conflicts.len() < MAX_NAMED {
                        result.conflicts.push(entry.uid.clone());
                    }
                }
            }
        }

        if strict && result.conflict_count > 0 {
            self.forget(rows_before, conflicts_before);
            result = Appended {
                stored: 0,
                duplicates: 0,
                refused: true,
                ..result
            };
        }

        Ok(result)
    }

    /// Undoes what a refused batch added to the plan.
    fn forget(&mut self, rows: usize, conflicts: usize) {
        for entry in self.new.drain(rows..) {
            self.known.new.remove(entry.uid.as_str());
        }
        self.conflicts.truncate(conflicts);
    }

    fn relation(&self, entry: &Entry) -> Result<Relation, DbError> {
        if let Some((position, kept)) = self.known.kept.get(&entry.uid) {
            return Ok(if same(kept, entry)? {
                Relation::Same
            } else {
                Relation::Differs(Original::Kept(*position))
            });
        }

        let Some(&index) = self.known.new.get(entry.uid.as_str()) else {
            return Ok(Relation::New);
        };
        let Some(first) = self.new.get(index) else {
            return Ok(Relation::New);
        };

        Ok(if same(first, entry)? {
            Relation::Same
        } else {
            Relation::Differs(Original::New(index))
        })
    }
}
