//! One transaction: sorts records into new, known and conflicting ones, and extends the chain by
//! the new ones.

use std::collections::HashMap;

use super::chain::{self, Hash, Hasher, Head};
use super::entry::{Entry, HASHED, RECORDS, UNHASHED};
use crate::db::{Cell, Connection, DbError, select_in};
use crate::record::is_of_transport;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

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

/// Appends all `batches` within the transaction that `connection` is in. With `strict`, a batch
/// with a conflict is refused as a whole. Returns the result of each batch, in the same order.
///
/// # Errors
///
/// Those of the database; the transaction must then be rolled back.
pub(super) fn append(
    connection: &mut dyn Connection,
    batches: &[&[Entry]],
    strict: bool,
) -> Result<Vec<Appended>, DbError> {
    let known = Known::load(connection, batches)?;
    let mut plan = Plan {
        known,
        new: Vec::new(),
        conflicts: Vec::new(),
    };

    let results = batches
        .iter()
        .map(|batch| plan.add(batch, strict))
        .collect::<Result<Vec<_>, _>>()?;

    let head = head(connection)?;
    let rows = Rows::follow(head, &plan.new);
    if !plan.new.is_empty() {
        connection.insert(&RECORDS, &rows.cells())?;
        set_head(connection, rows.head)?;
    }

    for conflict in &plan.conflicts {
        keep_conflict(connection, conflict, &rows)?;
    }

    Ok(results)
}

/// The end of the chain.
///
/// # Errors
///
/// Those of the database.
pub fn head(connection: &mut dyn Connection) -> Result<Head, DbError> {
    let mut head = Head::START;
    connection.query("SELECT position, hash FROM head", &[], &mut |row| {
        head = Head {
            position: row.integer(0)?.unwrap_or_default(),
            hash: chain::hash(row.bytes(1)?)?,
        };
        Ok(())
    })?;
    Ok(head)
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

fn set_head(connection: &mut dyn Connection, head: Head) -> Result<(), DbError> {
    const SET: &str = "INSERT INTO head (id, position, hash) VALUES (1, $1, $2) \
        ON CONFLICT (id) DO UPDATE SET position = excluded.position, hash = excluded.hash";
    connection.execute(
        SET,
        &[Cell::Integer(head.position), Cell::Bytes(&head.hash)],
    )?;
    Ok(())
}

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

        let columns = RECORDS.columns.iter().skip(UNHASHED);
        let names: Vec<_> = columns.map(|column| column.name).collect();
        let select = format!(
            "SELECT position, {} FROM records WHERE uid IN",
            names.join(", ")
        );

        let mut kept = HashMap::new();
        select_in(connection, (&select, &[]), &uids, &mut |row| {
            let entry = Entry::read(row, 1)?;
            let position = row.integer(0)?.unwrap_or_default();
            kept.insert(entry.uid.clone(), (position, entry));
            Ok(())
        })?;

        Ok(Self {
            kept,
            new: HashMap::new(),
        })
    }
}

/// The changes that the transaction will make.
struct Plan<'b> {
    known: Known<'b>,
    new: Vec<&'b Entry>,
    conflicts: Vec<Conflict<'b>>,
}

/// A record that differs from the one with the same uid.
struct Conflict<'b> {
    with: Original,
    entry: &'b Entry,
}

#[derive(Clone, Copy)]
enum Original {
    Kept(i64),
    New(usize),
}

/// Relation of a record to the known ones.
enum Relation {
    New,
    Same,
    Differs(Original),
}

impl<'b> Plan<'b> {
    fn add(&mut self, batch: &'b [Entry], strict: bool) -> Result<Appended, DbError> {
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

/// Whether two records have the same content; attributes of the transport do not count.
fn same(kept: &Entry, sent: &Entry) -> Result<bool, DbError> {
    if fields(kept) != fields(sent) {
        return Ok(false);
    }
    Ok(kept.attributes == sent.attributes || content(kept)? == content(sent)?)
}

/// The fields of a record beside its attributes.
fn fields(entry: &Entry) -> impl PartialEq {
    (
        &entry.time,
        &entry.observed_time,
        &entry.severity,
        &entry.event_name,
        &entry.trace_id,
        &entry.span_id,
        &entry.body,
    )
}

/// The attributes without those that describe how the record was delivered.
fn content(entry: &Entry) -> Result<Map<String, Value>, DbError> {
    let of_transport = |name: &str| is_of_transport(name, &entry.event_name);
    Ok(entry
        .attributes()?
        .into_iter()
        .filter(|(name, _)| !of_transport(name))
        .collect())
}

/// The new rows with their places in the chain.
struct Rows<'b> {
    placed: Vec<(Head, &'b Entry)>,
    head: Head,
}

impl<'b> Rows<'b> {
    fn follow(mut head: Head, new: &[&'b Entry]) -> Self {
        let mut hasher = Hasher::default();
        let mut placed = Vec::with_capacity(new.len());

        for entry in new {
            let position = head.position + 1;
            head = Head {
                position,
                hash: hasher.row(&head.hash, position, entry.cells()),
            };
            placed.push((head, *entry));
        }

        Self { placed, head }
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::with_capacity(self.placed.len() * (UNHASHED + HASHED));
        for (place, entry) in &self.placed {
            cells.push(Cell::Integer(place.position));
            cells.push(Cell::Bytes(&place.hash));
            cells.extend(entry.cells());
        }
        cells
    }

    fn position(&self, original: Original) -> i64 {
        match original {
            Original::Kept(position) => position,
            Original::New(index) => self
                .placed
                .get(index)
                .map_or(0, |(place, _)| place.position),
        }
    }
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
