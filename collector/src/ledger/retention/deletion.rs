//! Deletes a run of rows, and leaves a signed cut.

use crate::completeness::Streams;
use crate::db::{Cell, Connection, DbError};
use crate::ledger::StoredEntry;
use crate::ledger::chain::{Hash, Hasher};
use crate::ledger::cut::{Cut, Statement, hash_before};
use crate::ledger::signing::{Key, PublicKey};
use crate::ledger::store::segment_of;

use super::sweep::mark;

/// Deletes a run of rows and stores a cut for it, joined with the cuts right before and after it.
pub(super) fn cut(
    connection: &mut dyn Connection,
    run: &[&StoredEntry],
    key: &Key,
    now: i64,
) -> Result<(), DbError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };

    let before = hash_before(connection, first.position)?.ok_or_else(|| {
        let position = first.position;
        DbError::failed(format!(
            "the row before row {position} is missing, and nothing is deleted from there on"
        ))
    })?;
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
        received_until_unix_nano: run.iter().map(|row| row.entry.received_at).max(),
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
        let hash = hasher.row(&before, row.position, row.entry.cells());
        if hash != row.hash || row.is_damaged {
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
    mark(
        connection,
        segment_of(first.position),
        segment_of(last.position),
    )?;

    if usize::try_from(deleted) == Ok(run.len()) {
        return Ok(());
    }
    Err(DbError::Busy(
        "another collector deletes the same rows".into(),
    ))
}

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

    let before = signed(Cut::before(connection, cut.first_position)?);
    let cut = match before {
        Some(before) if before.last_position + 1 == cut.first_position => before.join(cut),
        _ => cut,
    };

    let after = signed(Cut::from(connection, cut.last_position + 1)?);
    match after {
        Some(after) if after.first_position == cut.last_position + 1 => {
            let place = [Cell::Integer(after.first_position)];
            connection.execute("DELETE FROM cuts WHERE first_position = $1", &place)?;
            Ok(cut.join(after))
        }
        _ => Ok(cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;
    use crate::ledger::append::append;
    use crate::ledger::chain::Head;
    use crate::ledger::entry::{Entry, Skew};
    use crate::ledger::list::{self, Filter, Start};
    use crate::ledger::store::encoder::Encoder;
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
            append(
                connection,
                &mut Encoder::default(),
                Head::START,
                &[&entries],
                false,
            )
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
