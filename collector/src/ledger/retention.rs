//! Deletes old rows, unless a tag holds them. A signed cut bridges every hole in the chain.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{self, GENESIS, Hash, Hasher};
use super::cut::{Cut, Statement};
use super::export::ExportDirectory;
use super::list::{self, Filter, Start, StoredEntry};
use super::signing::{Key, PublicKey};
use super::writer::BackgroundTask;
use crate::completeness::Streams;
use crate::db::{self, Cell, Connection, DbError};
use crate::time::{Clock, nanos};

/// Rows that one transaction examines and, at most, deletes.
const SLICE: i64 = 1000;

/// Pause between two passes.
const PAUSE: Duration = Duration::from_secs(60);

/// A tag that keeps a record for as long as the hold is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Name of the tag: the attribute is `audit.tag.<name>`.
    pub tag: String,
    /// The value it must have; `None` matches any value.
    pub value: Option<String>,
}

/// Rules for deletion.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long a record is kept after it was received.
    pub retain: Duration,
    /// Tags of records that are kept nevertheless.
    pub holds: Vec<Hold>,
    /// Directory to which rows are written before they are deleted.
    pub export: Option<PathBuf>,
}

/// Called at the end of a pass, with the time before which records have expired.
pub type Expire = fn(&mut dyn Connection, i64) -> Result<(), DbError>;

/// The background task that applies a [`Policy`].
pub struct Retention {
    policy: Policy,
    key: Arc<Key>,
    now: Clock,
    expire: Expire,
    /// Position up to which this pass has come; `None` between two passes.
    passed: Option<i64>,
    /// When the next pass begins.
    next: i64,
}

impl Retention {
    /// The first pass begins at once. `expire` removes expired data from the views.
    ///
    /// # Errors
    ///
    /// When the directory for exports cannot be made.
    pub fn new(policy: Policy, key: Arc<Key>, now: Clock, expire: Expire) -> io::Result<Self> {
        if let Some(directory) = &policy.export {
            std::fs::create_dir_all(directory)?;
        }

        Ok(Self {
            policy,
            key,
            now,
            expire,
            passed: None,
            next: i64::MIN,
        })
    }

    /// Handles the next rows; returns whether there may be more.
    fn slice(&mut self, connection: &mut dyn Connection, passed: i64) -> Result<bool, DbError> {
        let now = (self.now)();
        let before = now.saturating_sub(nanos(self.policy.retain));

        let rows = list::list(connection, &Filter::default(), Start::After(passed), SLICE)?.rows;
        let old: Vec<_> = rows
            .iter()
            .take_while(|row| row.entry.received_at < before)
            .collect();
        let Some(last) = old.last() else {
            self.pause(connection, now, before)?;
            return Ok(false);
        };

        let runs = runs(&old, &self.policy.holds)?;
        if let Some(directory) = &self.policy.export {
            ExportDirectory::new(directory)
                .write(runs.iter().flatten().copied())
                .map_err(DbError::failed)?;
        }

        let key = &self.key;
        db::write(connection, |connection| {
            runs.iter()
                .try_for_each(|run| cut(connection, run, key, now))
        })?;

        self.passed = Some(last.position);
        Ok(true)
    }

    fn pause(
        &mut self,
        connection: &mut dyn Connection,
        now: i64,
        before: i64,
    ) -> Result<(), DbError> {
        self.passed = None;
        self.next = now.saturating_add(nanos(PAUSE));
        db::write(connection, |connection| (self.expire)(connection, before))
    }
}

impl BackgroundTask for Retention {
    fn step(&mut self, connection: &mut dyn Connection) -> Result<bool, DbError> {
        match self.passed {
            None if (self.now)() < self.next => Ok(false),
            None => self.slice(connection, 0),
            Some(passed) => self.slice(connection, passed),
        }
    }
}

/// The rows that may be deleted, in runs of consecutive positions.
fn runs<'r>(
    rows: &[&'r StoredEntry],
    holds: &[Hold],
) -> Result<Vec<Vec<&'r StoredEntry>>, DbError> {
    let mut runs: Vec<Vec<&StoredEntry>> = Vec::new();
    for row in rows {
        if is_held(row, holds)? {
            continue;
        }

        match runs.last_mut() {
            Some(run)
                if run
                    .last()
                    .is_some_and(|last| last.position + 1 == row.position) =>
            {
                run.push(row)
            }
            _ => runs.push(vec![row]),
        }
    }

    Ok(runs)
}

fn is_held(row: &StoredEntry, holds: &[Hold]) -> Result<bool, DbError> {
    if holds.is_empty() || !row.entry.attributes.contains("audit.tag.") {
        return Ok(false);
    }

    let attributes = row.entry.attributes()?;
    Ok(holds.iter().any(|hold| {
        let value = attributes.get(&format!("audit.tag.{}", hold.tag));
        value.is_some_and(|value| {
            hold.value
                .as_ref()
                .is_none_or(|held| value.as_str() == Some(held))
        })
    }))
}

/// Deletes a run of rows and stores a cut for it, joined with the cuts right before and after it.
fn cut(
    connection: &mut dyn Connection,
    run: &[&StoredEntry],
    key: &Key,
    now: i64,
) -> Result<(), DbError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };

    let before = hash_before(connection, first.position)?;
    check(before, run)?;

    let mut streams = Streams::default();
    for row in run {
        streams.add(&row.entry);
    }

    let statement = Statement {
        kind: Statement::KIND.to_owned(),
        first_position: first.position,
        last_position: last.position,
        hash_before: hex::encode(before),
        hash_after: hex::encode(last.hash),
        made_at_unix_nano: now,
        key_id: key.id().to_owned(),
        streams: streams.by_id.into_iter().collect(),
    };

    let statement = joined(connection, statement, &key.public())?;
    Cut::sign(&statement, key)?.keep(connection)?;
    delete(connection, run)
}

/// A changed row must stay for `verify` to find; a new signature would hide the change.
fn check(mut before: Hash, run: &[&StoredEntry]) -> Result<(), DbError> {
    let mut hasher = Hasher::default();

    for row in run {
        if hasher.row(&before, row.position, row.entry.cells()) != row.hash {
            let position = row.position;
            return Err(DbError::failed(format!(
                "row {position} does not match its hash and is not deleted"
            )));
        }
        before = row.hash;
    }

    Ok(())
}

/// Fails when another collector has deleted some of the rows since they were read: its cut must not
/// be replaced.
fn delete(connection: &mut dyn Connection, run: &[&StoredEntry]) -> Result<(), DbError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };

    let range = [Cell::Integer(first.position), Cell::Integer(last.position)];
    connection.execute(
        "DELETE FROM conflicts WHERE position >= $1 AND position <= $2",
        &range,
    )?;
    let deleted = connection.execute(
        "DELETE FROM records WHERE position >= $1 AND position <= $2",
        &range,
    )?;

    if usize::try_from(deleted) == Ok(run.len()) {
        return Ok(());
    }
    Err(DbError::Busy(
        "another collector deletes the same rows".into(),
    ))
}

/// The hash before a position: of the row before it, of the end of a cut, or [`GENESIS`].
fn hash_before(connection: &mut dyn Connection, position: i64) -> Result<Hash, DbError> {
    const ROW: &str = "SELECT hash FROM records WHERE position = $1";

    if position == 1 {
        return Ok(GENESIS);
    }

    let mut before = None;
    connection.query(ROW, &[Cell::Integer(position - 1)], &mut |row| {
        before = Some(chain::hash(row.bytes(0)?)?);
        Ok(())
    })?;
    if let Some(hash) = before {
        return Ok(hash);
    }

    let cut = neighbour(connection, BEFORE, position)?.and_then(|cut| cut.statement());
    let statement = cut.filter(|statement| statement.last_position == position - 1);
    statement
        .and_then(|statement| statement.after())
        .ok_or_else(|| {
            DbError::failed(format!(
                "the row before row {position} is missing, and nothing is deleted from there on"
            ))
        })
}

const BEFORE: &str = "first_position < $1 ORDER BY first_position DESC";
const FROM: &str = "first_position >= $1 ORDER BY first_position";

/// Joins a cut with adjacent ones, so that their number does not grow with time. A cut that is not
/// signed by `key` stays separate: joining it would give it a valid signature.
fn joined(
    connection: &mut dyn Connection,
    cut: Statement,
    key: &PublicKey,
) -> Result<Statement, DbError> {
    let signed = |cut: Option<Cut>| {
        cut.filter(|cut| cut.is_signed_by(key))
            .and_then(|cut| cut.statement())
    };

    let before = signed(neighbour(connection, BEFORE, cut.first_position)?);
    let cut = match before {
        Some(before) if before.last_position + 1 == cut.first_position => before.join(cut),
        _ => cut,
    };

    let after = signed(neighbour(connection, FROM, cut.last_position + 1)?);
    match after {
        Some(after) if after.first_position == cut.last_position + 1 => {
            let place = [Cell::Integer(after.first_position)];
            connection.execute("DELETE FROM cuts WHERE first_position = $1", &place)?;
            Ok(cut.join(after))
        }
        _ => Ok(cut),
    }
}

fn neighbour(
    connection: &mut dyn Connection,
    place: &str,
    position: i64,
) -> Result<Option<Cut>, DbError> {
    Ok(
        Cut::list_where(connection, place, &[Cell::Integer(position)])?
            .into_iter()
            .next(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::append::append;
    use super::super::entry::{Entry, Skew};
    use super::*;
    use crate::record::{Attributes, Content, Record, UID};

    fn entry(number: i64) -> Entry {
        let attributes = Attributes::from([(UID.to_owned(), format!("aud_{number}").into())]);
        Entry::new(
            Record::from(Content {
                attributes,
                ..Content::default()
            }),
            1,
            Skew::default(),
        )
    }

    #[test]
    fn rows_that_another_collector_has_deleted_meanwhile_are_not_cut_again() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("audit.db").display());
        let key = Key::load_or_create(&directory.path().join("key")).unwrap();
        let connection = &mut *db::open(&url).unwrap().database.connect().unwrap();

        let entries: Vec<_> = (0..4).map(entry).collect();
        db::write(connection, |connection| {
            append(connection, &[&entries], false)
        })
        .unwrap();

        let rows = list::list(connection, &Filter::default(), Start::After(0), 10)
            .unwrap()
            .rows;
        let rows: Vec<_> = rows.iter().collect();

        let (early, late) = rows.split_at(2);
        for run in [early, late] {
            db::write(connection, |connection| cut(connection, run, &key, 1)).unwrap();
        }

        let again = db::write(connection, |connection| cut(connection, early, &key, 2));
        assert!(matches!(again, Err(DbError::Busy(_))), "{again:?}");

        let cuts = Cut::list(connection).unwrap();
        assert_eq!(
            cuts.iter()
                .map(|cut| cut.statement().unwrap().last_position)
                .collect::<Vec<_>>(),
            [4]
        );
    }
}
