//! What `verify` finds beside changed rows: damage of the file, views ahead of the ledger, numbers
//! that occur twice, clocks that were set back, and rows that no signature proves.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use audit_collector::db::Cell;
use audit_collector::ledger::cut::{Cut, Statement};
use audit_collector::ledger::tree::{TREE, join, leaf};
use audit_collector::ledger::verify::Fault;

use crate::ledger::fixture::{Fixture, NOW, SECOND, entries, entry, entry_at, rows};
use crate::ledger::on_both;

const DAY: i64 = 24 * 3600 * SECOND;

/// SQLite's default.
const PAGE: u64 = 4096;

on_both![
    rows_after_the_last_checkpoint_are_counted,
    a_checkpoint_of_another_key_proves_no_row,
    views_ahead_of_the_ledger_are_a_fault,
    a_number_that_occurs_twice_is_a_fault,
    receipts_that_run_backwards_are_counted,
    a_gap_that_is_known_since_a_time_to_come_is_a_gap,
    what_no_collector_writes_is_a_fault_and_no_failure,
    a_row_within_a_cut_is_a_fault,
];

async fn filled(fixture: &Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    ledger.close().await.unwrap();
}

async fn rows_after_the_last_checkpoint_are_counted(fixture: Fixture) {
    filled(&fixture).await;
    let ledger = fixture.ledger().await;
    ledger.append(entries(10..13)).await.unwrap();
    assert_eq!(fixture.verify().await.rows_after_last_checkpoint, 3);

    ledger.close().await.unwrap();
    assert_eq!(fixture.verify().await.rows_after_last_checkpoint, 0);
    fixture.change("DELETE FROM checkpoints").await;
    let found = fixture.verify().await;
    assert_eq!(
        (found.checkpoints, found.rows_after_last_checkpoint),
        (0, 13)
    );
}

async fn a_checkpoint_of_another_key_proves_no_row(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("UPDATE checkpoints SET key_id = 'another'")
        .await;
    assert_eq!(fixture.verify().await.rows_after_last_checkpoint, 10);
}

async fn views_ahead_of_the_ledger_are_a_fault(fixture: Fixture) {
    filled(&fixture).await;
    fixture
        .change("INSERT INTO views (id, position) VALUES (1, 11)")
        .await;
    let ahead = Fault::Views {
        views_position: 11,
        head_position: 10,
    };
    assert_eq!(fixture.verify().await.faults, [ahead]);
    fixture.change("UPDATE views SET position = 10").await;
    assert!(fixture.verify().await.is_sound());
}

async fn a_number_that_occurs_twice_is_a_fault(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();
    ledger.append(vec![entry("copy", 1, &[])]).await.unwrap();
    ledger.close().await.unwrap();

    let found = fixture.verify().await;
    let twice = Fault::Number {
        position: 4,
        stream_id: "s".to_owned(),
        number: 1,
    };
    assert_eq!(
        (found.faults.as_slice(), found.is_sound()),
        (&[twice][..], false)
    );
}

async fn receipts_that_run_backwards_are_counted(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let times = [NOW, NOW + DAY, NOW + DAY - 30 * SECOND, NOW, NOW + SECOND];
    for (number, time) in (0..).zip(times) {
        let entry = entry_at(time, &format!("aud_{number}"), number, &[]);
        ledger.append(vec![entry]).await.unwrap();
    }
    ledger.close().await.unwrap();

    let found = fixture.verify().await;
    let steps = (found.receipts_backwards, found.first_receipt_backwards);
    assert_eq!(steps, (1, Some(4)));
    assert!(found.is_sound(), "a clock that was corrected is no fault");
}

async fn a_gap_that_is_known_since_a_time_to_come_is_a_gap(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    for number in [0, 3] {
        let early = entry_at(NOW + 2 * DAY, &format!("aud_{number}"), number, &[]);
        ledger.append(vec![early]).await.unwrap();
    }
    ledger.close().await.unwrap();
    assert_eq!(fixture.verify().await.completeness.unexplained_numbers, 2);
}

async fn what_no_collector_writes_is_a_fault_and_no_failure(fixture: Fixture) {
    filled(&fixture).await;
    let checkpoint = |position| Fault::Checkpoint { position };
    fixture.change("UPDATE checkpoints SET position = 0").await;
    let faults = fixture.verify().await.faults;
    assert!(faults.contains(&checkpoint(0)), "{faults:?}");

    fixture.change("UPDATE checkpoints SET position = 10").await;
    for shorten in [
        "UPDATE checkpoints SET hash = $1",
        "UPDATE head SET hash = $1",
    ] {
        fixture
            .with(move |connection| connection.execute(shorten, &[Cell::Bytes(&[0])]))
            .await;
    }
    let head = Fault::Head {
        head_position: 0,
        last_position: 10,
    };
    assert_eq!(fixture.verify().await.faults, [checkpoint(10), head]);
}

async fn a_row_within_a_cut_is_a_fault(fixture: Fixture) {
    filled(&fixture).await;
    let ledger = fixture.ledger().await;
    let rows = rows(&ledger).await;
    ledger.close().await.unwrap();
    let hash = rows[2].hash;
    fixture
        .change("DELETE FROM records WHERE position <= 3")
        .await;

    let pair = join(&leaf(&rows[0].hash), &leaf(&rows[1].hash));
    for (level, last, node) in [(1, 2, pair), (0, 3, leaf(&hash))] {
        fixture
            .with(move |connection| {
                let place = [Cell::Integer(level), Cell::Integer(last)];
                connection.insert(&TREE, &[&place[..], &[Cell::Bytes(&node)]].concat())
            })
            .await;
    }

    // A correct cut of rows 1 to 3, and one of the same hash that also covers row 4.
    for (last_position, fault) in [(3, None), (4, Some(4))] {
        let statement = Statement {
            kind: Statement::KIND.to_owned(),
            first_position: 1,
            last_position,
            hash_before: "00".repeat(32),
            hash_after: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            made_at_unix_nano: NOW,
            received_until_unix_nano: None,
            key_id: fixture.key().id().to_owned(),
            streams: BTreeMap::new(),
        };
        let cut = Cut::sign(&statement, &fixture.key()).unwrap();
        fixture.with(move |connection| cut.keep(connection)).await;

        let faults = fault.map(|position| {
            let row = Fault::Row {
                position,
                uid: format!("aud_{}", position - 1),
            };
            let node = Fault::Tree {
                first_position: position,
                last_position: position,
            };
            [row, node]
        });
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        assert_eq!(fixture.verify().await.faults, faults);
    }
}

/// Overwrites the first page of a table or an index, behind the back of SQLite.
async fn overwrite(fixture: &Fixture, root: &'static str) {
    let page = u64::try_from(fixture.count(root).await).unwrap();
    let file = fixture.opened().await.file.unwrap();
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0xa5; 3000], (page - 1) * PAGE + 1096)
        .unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_a_fault_and_no_failure() {
    for root in [
        "SELECT rootpage FROM sqlite_master WHERE name = 'records_by_user'",
        "SELECT rootpage FROM sqlite_master WHERE name = 'records'",
        "SELECT rootpage FROM sqlite_master WHERE name = 'checkpoints'",
    ] {
        let fixture = Fixture::sqlite();
        let ledger = fixture.ledger().await;
        ledger.append(entries(0..200)).await.unwrap();
        ledger.close().await.unwrap();
        assert!(fixture.verify().await.is_sound());

        overwrite(&fixture, root).await;
        let found = fixture.verify().await;
        let is_file = |fault: &Fault| matches!(fault, Fault::File { .. });
        assert!(found.faults.iter().any(is_file), "{root}: {found:?}");
        assert!(!found.is_sound(), "{root}");
    }
}

/// An index whose entries were made for other rows: a search would miss those that are there.
#[tokio::test]
async fn an_index_that_does_not_hold_what_the_rows_do_is_found() {
    for (index, expression) in [
        ("records_by_user", "user_key + 1"),
        ("records_by_shape", "shape_id + 1"),
        ("records_by_time", "at_unix_nano + 1"),
    ] {
        let fixture = Fixture::sqlite();
        let ledger = fixture.ledger().await;
        ledger.append(entries(0..10)).await.unwrap();
        ledger.close().await.unwrap();

        let file = fixture.directory.path().join("audit.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        let select = "SELECT sql FROM sqlite_master WHERE name = ?1";
        let sql: String = connection
            .query_row(select, [index], |row| row.get(0))
            .unwrap();
        let column = expression.split(' ').next().unwrap();
        let forged = sql.replacen(&format!("{column})"), &format!("{expression})"), 1);
        assert_ne!(forged, sql);

        connection
            .execute_batch(&format!(
                "DROP INDEX {index}; {forged}; PRAGMA writable_schema = ON"
            ))
            .unwrap();
        let restore = "UPDATE sqlite_master SET sql = ?1 WHERE name = ?2";
        assert_eq!(connection.execute(restore, [&sql, index]).unwrap(), 1);
        drop(connection);

        let found = fixture.verify().await;
        let message = format!("index {index} does not hold what the rows do");
        assert_eq!(found.faults, [Fault::File { message }]);
    }
}
