//! Compares two ledgers by the hashes of their rows. Each hash covers all rows before it, so a few
//! of them show where two chains part.

use std::collections::BTreeMap;

use super::chain::{self, Hash, head};
use super::cut::Cut;
use crate::db::{Cell, Connection, DbError};

/// How two ledgers relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// They end with the same row.
    Equal {
        /// Its position.
        position: i64,
    },
    /// The first is the beginning of the second.
    FirstIsPrefix {
        /// Where the first ends.
        position: i64,
        /// Rows that only the second has.
        more: i64,
    },
    /// The second is the beginning of the first.
    SecondIsPrefix {
        /// Where the second ends.
        position: i64,
        /// Rows that only the first has.
        more: i64,
    },
    /// They have different rows.
    Differ {
        /// The last row that is known to be the same; 0 when there is none.
        equal_up_to: i64,
        /// The first row that is known to differ. Retention has deleted the rows between in one of
        /// them, without a checkpoint there.
        differ_from: i64,
    },
    /// They are the same up to a row. Of the later rows of the shorter one, the other has neither
    /// hashes nor checkpoints: retention has deleted them.
    Unknown {
        /// The last row that is known to be the same; 0 when there is none.
        equal_up_to: i64,
        /// The last row of the shorter one.
        position: i64,
    },
}

/// Compares the ledgers within the transactions that both connections are in. The hashes are taken
/// as they are stored: `verify` shows whether they are those of the rows. Reads a few hashes for each
/// doubling of the rows, however many there are.
///
/// # Errors
///
/// Those of the databases.
pub fn compare(
    first: &mut dyn Connection,
    second: &mut dyn Connection,
) -> Result<Relation, DbError> {
    let mut pair = Pair {
        ends: (head(first)?.position, head(second)?.position),
        first: Side::load(first)?,
        second: Side::load(second)?,
    };

    let shorter = pair.ends.0.min(pair.ends.1);
    let Some(last) = pair.known_before(shorter + 1)? else {
        return Ok(pair.same(0, shorter));
    };
    if pair.is_same(last)? {
        return Ok(pair.same(last, shorter));
    }
    pair.parting(last)
}

/// Two ledgers, and the positions of their last rows.
struct Pair<'c> {
    ends: (i64, i64),
    first: Side<'c>,
    second: Side<'c>,
}

impl Pair<'_> {
    /// What follows when no row up to `known` differs, and none after it can be compared.
    fn same(&self, known: i64, position: i64) -> Relation {
        let (first, second) = self.ends;
        match first - second {
            _ if known < position => Relation::Unknown {
                equal_up_to: known,
                position,
            },
            0 => Relation::Equal { position },
            more @ 1.. => Relation::SecondIsPrefix { position, more },
            less => Relation::FirstIsPrefix {
                position,
                more: -less,
            },
        }
    }

    /// Where the chains part, which is not behind `differ`.
    fn parting(&mut self, mut differ: i64) -> Result<Relation, DbError> {
        let mut equal = 0;
        while let Some(middle) = self.known_between(equal, differ)? {
            if self.is_same(middle)? {
                equal = middle;
            } else {
                differ = middle;
            }
        }
        Ok(Relation::Differ {
            equal_up_to: equal,
            differ_from: differ,
        })
    }

    /// A position between these two, near the middle, whose hash both have.
    fn known_between(&mut self, low: i64, high: i64) -> Result<Option<i64>, DbError> {
        let middle = low + (high - low) / 2;
        let below = self.known_before(middle + 1)?.filter(|found| *found > low);
        if below.is_some() {
            return Ok(below);
        }
        let above = self.known_after(middle)?;
        Ok(above.filter(|found| *found < high))
    }

    /// The last position before `end` whose hash both have.
    fn known_before(&mut self, mut end: i64) -> Result<Option<i64>, DbError> {
        while end > 1 {
            let in_first = self.first.known_before(end)?;
            let in_second = self.second.known_before(end)?;
            match (in_first, in_second) {
                (Some(a), Some(b)) if a == b => return Ok(Some(a)),
                (Some(a), Some(b)) => end = a.min(b) + 1,
                _ => break,
            }
        }
        Ok(None)
    }

    /// The first position after `start` whose hash both have.
    fn known_after(&mut self, mut start: i64) -> Result<Option<i64>, DbError> {
        loop {
            let in_first = self.first.known_after(start)?;
            let in_second = self.second.known_after(start)?;
            match (in_first, in_second) {
                (Some(a), Some(b)) if a == b => return Ok(Some(a)),
                (Some(a), Some(b)) => start = a.max(b) - 1,
                _ => return Ok(None),
            }
        }
    }

    fn is_same(&mut self, position: i64) -> Result<bool, DbError> {
        Ok(self.first.hash(position)? == self.second.hash(position)?)
    }
}

/// What is known of the chain of one ledger: rows, the ends of its cuts, and checkpoints, which stay
/// when rows are deleted.
struct Side<'c> {
    connection: &'c mut dyn Connection,
    /// Hashes at the ends of cuts.
    cuts: BTreeMap<i64, Hash>,
}

impl<'c> Side<'c> {
    fn load(connection: &'c mut dyn Connection) -> Result<Self, DbError> {
        let statements = Cut::list(connection)?.into_iter();
        let statements = statements.filter_map(|cut| cut.statement());
        let cuts = statements
            .filter_map(|cut| Some((cut.last_position, cut.after()?)))
            .collect();
        Ok(Self { connection, cuts })
    }

    /// The last position before `end` whose hash is known.
    fn known_before(&mut self, end: i64) -> Result<Option<i64>, DbError> {
        const ROW: &str = "SELECT MAX(position) FROM records WHERE position < $1";
        const CHECKPOINT: &str = "SELECT MAX(position) FROM checkpoints WHERE position < $1";

        let rows = [self.number(ROW, end)?, self.number(CHECKPOINT, end)?];
        let cut = self.cuts.range(..end).next_back();
        Ok(rows
            .into_iter()
            .flatten()
            .chain(cut.map(|(last, _)| *last))
            .max())
    }

    /// The first position after `start` whose hash is known.
    fn known_after(&mut self, start: i64) -> Result<Option<i64>, DbError> {
        const ROW: &str = "SELECT MIN(position) FROM records WHERE position > $1";
        const CHECKPOINT: &str = "SELECT MIN(position) FROM checkpoints WHERE position > $1";

        let rows = [self.number(ROW, start)?, self.number(CHECKPOINT, start)?];
        let cut = self.cuts.range(start.saturating_add(1)..).next();
        Ok(rows
            .into_iter()
            .flatten()
            .chain(cut.map(|(last, _)| *last))
            .min())
    }

    fn number(&mut self, select: &str, than: i64) -> Result<Option<i64>, DbError> {
        let mut number = None;
        self.connection
            .query(select, &[Cell::Integer(than)], &mut |row| {
                number = row.integer(0)?;
                Ok(())
            })?;
        Ok(number)
    }

    /// The hash at a position that is known.
    fn hash(&mut self, position: i64) -> Result<Option<Hash>, DbError> {
        const ROW: &str = "SELECT hash FROM records WHERE position = $1";
        const CHECKPOINT: &str = "SELECT hash FROM checkpoints WHERE position = $1";

        let row = self.bytes(ROW, position)?;
        if row.is_some() {
            return Ok(row);
        }
        match self.cuts.get(&position) {
            Some(hash) => Ok(Some(*hash)),
            None => self.bytes(CHECKPOINT, position),
        }
    }

    fn bytes(&mut self, select: &str, position: i64) -> Result<Option<Hash>, DbError> {
        let mut hash = None;
        self.connection
            .query(select, &[Cell::Integer(position)], &mut |row| {
                hash = Some(chain::hash(row.bytes(0)?)?);
                Ok(())
            })?;
        Ok(hash)
    }
}
