//! An attacker with write access to the database changes rows: `verify` detects it and names the
//! row.

use audit_collector::db::{Cell, Kind};
use audit_collector::ledger::chain::Hasher;
use audit_collector::ledger::checkpoint::Checkpoint;
use audit_collector::ledger::entry::Entry;
use audit_collector::ledger::list::list;
use audit_collector::ledger::store::table::RECORDS;
use audit_collector::ledger::verify::{Fault, verify};
use audit_collector::ledger::{Filter, Start};

use crate::ledger::fixture::{Fixture, LATER, entries, rows};
use crate::ledger::on_both;

on_both![
    every_column_counts,
    a_change_in_the_dictionary_is_found_in_its_rows,
    a_wrong_time_of_a_segment_is_found,
    a_removed_row_is_missing,
    removed_rows_at_the_end_contradict_the_head,
    rows_that_are_exchanged_are_both_named,
    an_inserted_row_is_found,
    a_changed_hash_is_found,
    a_hash_of_another_length_is_found_and_the_walk_goes_on,
    a_row_before_the_first_is_found,
    a_damaged_row_is_listed_and_flagged,
    a_rewritten_end_contradicts_a_checkpoint_from_elsewhere,
    a_shortened_ledger_contradicts_a_checkpoint_from_elsewhere,
    a_forged_checkpoint_is_found,
    a_gap_that_was_made_by_deletion_is_no_gap_that_passes,
];

/// Ten rows and a checkpoint.
async fn filled(fixture: &Fixture) -> Vec<Checkpoint> {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    ledger.close().await.unwrap();
    assert!(fixture.verify().await.is_sound());
    fixture.checkpoints().await
}

fn row(position: i64) -> Fault {
    Fault::Row {
        position,
        uid: format!("aud_{}", position - 1),
    }
}

async fn every_column_counts(fixture: Fixture) {
    filled(&fixture).await;
    let trust = fixture.trust(Vec::new());

    fixture
        .with(move |connection| {
            for column in RECORDS
                .columns
                .iter()
                .filter(|column| !PLACE.contains(&column.name))
            {
                let change = format!("UPDATE records SET {} = $1 WHERE position = 4", column.name);
                connection.begin_write()?;
                assert_eq!(connection.execute(&change, &[forged(column.kind)])?, 1);

                let found = verify(connection, &trust, LATER)?;
                connection.rollback();
                let named = |fault: &Fault| matches!(fault, Fault::Row { position: 4, .. });
                assert!(
                    found.fault_count == 1 && found.faults.iter().all(named),
                    "{}: {found:?}",
                    column.name
                );
            }

            Ok(())
        })
        .await;

    assert!(
        fixture.verify().await.is_sound(),
        "nothing of it has stayed"
    );
}

/// Columns that other tests change.
const PLACE: [&str; 2] = ["position", "hash"];

fn forged(kind: Kind) -> Cell<'static> {
    match kind {
        Kind::Integer | Kind::Small => Cell::Integer(7777),
        Kind::Text => Cell::Text("forged"),
        Kind::Bytes => Cell::Bytes(b"\0forged"),
    }
}

/// Changes to the dictionary, each of which all ten rows feel.
const DICTIONARY: [&str; 9] = [
    "UPDATE texts SET text = '\"forged\"'",
    "UPDATE texts SET id = id + 1000",
    "DELETE FROM texts",
    "DELETE FROM shapes",
    "UPDATE shapes SET event_name = 'forged'",
    "UPDATE shapes SET severity_number = 1",
    "UPDATE shapes SET action = 'forged'",
    "UPDATE shapes SET template = replace(template, 'GET', 'PUT')",
    "UPDATE shapes SET template = substr(template, 1, 40)",
];

async fn a_change_in_the_dictionary_is_found_in_its_rows(fixture: Fixture) {
    filled(&fixture).await;
    let trust = fixture.trust(Vec::new());

    fixture
        .with(move |connection| {
            for change in DICTIONARY {
                connection.begin_write()?;
                assert!(connection.execute(change, &[])? > 0, "{change}");
                let found = verify(connection, &trust, LATER)?;
                let listed = list(connection, &Filter::default(), Start::After(0), 100)?;
                connection.rollback();

                // The first rows with a text hold it themselves.
                assert!(found.fault_count >= 8, "{change}: {found:?}");
                let is_row = |fault: &Fault| matches!(fault, Fault::Row { .. });
                assert!(found.faults.iter().all(is_row), "{change}: {found:?}");
                assert_eq!(listed.rows.len(), 10, "{change}");
            }
            Ok(())
        })
        .await;
}

async fn a_wrong_time_of_a_segment_is_found(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("UPDATE segments SET first_at_unix_nano = last_at_unix_nano + 1")
        .await;
    let found = fixture.verify().await;
    assert_eq!(found.fault_count, 10, "{found:?}");
}

async fn a_removed_row_is_missing(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("DELETE FROM records WHERE position IN (4, 5, 8)")
        .await;

    let found = fixture.verify().await;
    let missing = |first_position, last_position| Fault::Missing {
        first_position,
        last_position,
    };
    assert_eq!(found.faults, [missing(4, 5), missing(8, 8)]);
    assert_eq!(
        found.completeness.unexplained_numbers, 3,
        "the stream misses the numbers, too"
    );
}

async fn removed_rows_at_the_end_contradict_the_head(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("DELETE FROM records WHERE position > 7")
        .await;

    let found = fixture.verify().await;
    assert_eq!(
        found.faults,
        [
            Fault::Head {
                head_position: 10,
                last_position: 7
            },
            Fault::Checkpoint { position: 10 }
        ]
    );
}

async fn rows_that_are_exchanged_are_both_named(fixture: Fixture) {
    filled(&fixture).await;
    for change in [
        "UPDATE records SET position = 100 WHERE position = 3",
        "UPDATE records SET position = 3 WHERE position = 6",
        "UPDATE records SET position = 6 WHERE position = 100",
    ] {
        fixture.change(change).await;
    }

    let found = fixture.verify().await;
    let uids: Vec<_> = found
        .faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Row { position, uid } => Some((*position, uid.as_str())),
            _ => None,
        })
        .collect();
    assert!(
        uids.contains(&(3, "aud_5")) && uids.contains(&(6, "aud_2")),
        "{found:?}"
    );
}

/// All columns but those that must be unique.
fn other_columns() -> String {
    let names = RECORDS.columns.iter().map(|column| column.name);
    let others: Vec<_> = names
        .filter(|name| !["position", "uid"].contains(name))
        .collect();
    others.join(", ")
}

async fn an_inserted_row_is_found(fixture: Fixture) {
    filled(&fixture).await;
    let names = other_columns();
    let insert = format!(
        "INSERT INTO records (position, uid, {names}) SELECT 11, $1, {names} FROM records WHERE position = 10"
    );
    fixture
        .with(move |connection| connection.execute(&insert, &[Cell::Bytes(b"\0aud_x")]))
        .await;

    let found = fixture.verify().await;
    assert!(
        found.faults.contains(&Fault::Row {
            position: 11,
            uid: "aud_x".to_owned()
        }),
        "{found:?}"
    );

    assert!(
        found.faults.contains(&Fault::Head {
            head_position: 10,
            last_position: 11
        }),
        "{found:?}"
    );
}

async fn a_changed_hash_is_found(fixture: Fixture) {
    filled(&fixture).await;
    fixture.change("UPDATE records SET hash = (SELECT hash FROM records WHERE position = 1) WHERE position = 5").await;
    let found = fixture.verify().await;
    let root = Fault::Root { position: 10 };
    assert_eq!(found.faults, [row(5), row(6), root]);
}

/// Rewrites the ledger from a row on with a valid chain: possible with write access alone, without
/// the key.
async fn rewrite(fixture: &Fixture, from: i64) {
    let ledger = fixture.ledger().await;
    let rows = rows(&ledger).await;
    ledger.close().await.unwrap();

    fixture
        .with(move |connection| {
            let (mut hasher, mut previous) = (
                Hasher::default(),
                rows[usize::try_from(from).unwrap() - 2].hash,
            );

            for row in rows.into_iter().filter(|row| row.position >= from) {
                let entry = Entry {
                    observed_time: 7,
                    ..row.entry
                };
                previous = hasher.row(&previous, row.position, entry.cells());
                let cells = [Cell::Bytes(&previous), Cell::Integer(row.position)];
                connection.execute(
                    "UPDATE records SET observed_time_unix_nano = 7, hash = $1 WHERE position = $2",
                    &cells,
                )?;
            }

            connection.execute("UPDATE head SET hash = $1", &[Cell::Bytes(&previous)])
        })
        .await;
}

async fn a_rewritten_end_contradicts_a_checkpoint_from_elsewhere(fixture: Fixture) {
    let elsewhere = filled(&fixture).await;
    rewrite(&fixture, 6).await;
    assert_eq!(
        fixture.verify().await.faults,
        [Fault::Checkpoint { position: 10 }]
    );

    fixture.change("DELETE FROM checkpoints").await;
    assert_eq!(
        fixture.verify().await.fault_count,
        0,
        "by itself the ledger cannot know"
    );
    assert_eq!(
        fixture.verify_with(elsewhere).await.faults,
        [Fault::Checkpoint { position: 10 }]
    );
}

async fn a_shortened_ledger_contradicts_a_checkpoint_from_elsewhere(fixture: Fixture) {
    let elsewhere = filled(&fixture).await;
    for change in [
        "DELETE FROM records WHERE position > 7",
        "UPDATE head SET position = 7, hash = (SELECT hash FROM records WHERE position = 7)",
        "DELETE FROM checkpoints",
    ] {
        fixture.change(change).await;
    }

    assert!(
        fixture.verify().await.is_sound(),
        "by itself the ledger cannot know"
    );
    assert_eq!(
        fixture.verify_with(elsewhere).await.faults,
        [Fault::Checkpoint { position: 10 }]
    );
}

async fn a_forged_checkpoint_is_found(fixture: Fixture) {
    filled(&fixture).await;
    rewrite(&fixture, 6).await;
    fixture
        .change("UPDATE checkpoints SET hash = (SELECT hash FROM records WHERE position = 10) WHERE position = 10")
        .await;

    let found = fixture.verify().await;
    let key_id = fixture.key().id().to_owned();
    let signature = Fault::Signature {
        position: 10,
        key_id,
    };
    let root = Fault::Root { position: 10 };
    assert_eq!(found.faults, [signature, root]);
}

async fn a_gap_that_was_made_by_deletion_is_no_gap_that_passes(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("DELETE FROM records WHERE position = 1")
        .await;

    let found = fixture.verify().await;
    assert_eq!(
        found.faults,
        [Fault::Missing {
            first_position: 1,
            last_position: 1
        }]
    );
    assert!(!found.is_sound());
}

async fn a_hash_of_another_length_is_found_and_the_walk_goes_on(fixture: Fixture) {
    filled(&fixture).await;
    let shorten = "UPDATE records SET hash = $1 WHERE position = 5";
    fixture
        .with(move |connection| connection.execute(shorten, &[Cell::Bytes(&[0])]))
        .await;
    fixture
        .change("DELETE FROM records WHERE position = 9")
        .await;

    let missing = Fault::Missing {
        first_position: 9,
        last_position: 9,
    };
    assert_eq!(fixture.verify().await.faults, [row(5), row(6), missing]);
}

async fn a_row_before_the_first_is_found(fixture: Fixture) {
    filled(&fixture).await;
    let allow = match fixture.url.starts_with("postgres") {
        true => "ALTER TABLE records DROP CONSTRAINT records_position_check",
        false => "PRAGMA ignore_check_constraints = ON",
    };

    let names = other_columns();
    let insert = format!(
        "INSERT INTO records (position, uid, {names}) SELECT -1, $1, {names} FROM records WHERE position = 1"
    );

    fixture
        .with(move |connection| {
            // For SQLite, one of them is a query.
            connection.query(allow, &[], &mut |_| Ok(()))?;
            connection.execute(&insert, &[Cell::Bytes(b"\0aud_x")])
        })
        .await;

    let mut found = fixture.verify().await.faults;
    // SQLite finds the broken constraint, too.
    found.retain(|fault| !matches!(fault, Fault::File { .. }));
    assert_eq!(
        found,
        [Fault::Row {
            position: -1,
            uid: "aud_x".to_owned()
        }]
    );
}

async fn a_damaged_row_is_listed_and_flagged(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("UPDATE records SET attribute_values = '[]' WHERE position = 4")
        .await;

    let ledger = fixture.ledger().await;
    let rows = rows(&ledger).await;
    let flags: Vec<_> = rows.iter().map(|row| row.flags()).collect();
    assert_eq!(
        (flags[2].as_slice(), flags[3].as_slice(), rows.len()),
        (&[][..], &["damaged"][..], 10)
    );
    assert_eq!(rows[3].flat()["log.record.uid"], "aud_3");
}
