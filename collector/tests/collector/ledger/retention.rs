//! Retention: the chain stays verifiable, records on hold stay, and rows that were tampered with
//! are not deleted.

use std::fs;
use std::time::Duration;

use audit_collector::ledger::Ledger;
use audit_collector::ledger::retention::{Hold, Policy};
use audit_collector::ledger::verify::Fault;
use serde_json::{Value, json};

use crate::ledger::fixture::{
    Clock, Fixture, NOW, SECOND, entries, entry_at, eventually, rows, uids,
};
use crate::ledger::on_both;

on_both![
    old_rows_go_and_the_chain_can_still_be_followed,
    everything_can_go,
    what_no_row_holds_any_more_is_forgotten,
    a_held_row_stays_until_the_hold_is_lifted,
    rows_are_exported_before_they_go,
    a_row_that_was_changed_is_not_deleted,
    a_forged_cut_is_found,
    a_cut_that_was_removed_leaves_missing_rows,
    what_was_missing_is_still_missing_after_the_rows_around_it_are_gone,
];

const HOUR: Duration = Duration::from_secs(3600);

fn policy() -> Policy {
    Policy {
        retain: HOUR,
        holds: Vec::new(),
        export: None,
    }
}

/// Two hours after the records of [`entries`].
fn later() -> i64 {
    NOW + 7200 * SECOND
}

/// Waits until this number of rows is left.
async fn left(ledger: &Ledger, number: usize) {
    eventually(async || rows(ledger).await.len() == number).await;
}

/// Appends `old` to a ledger that keeps all records, then opens one with retention.
async fn expire(
    fixture: &Fixture,
    old: Vec<audit_collector::ledger::entry::Entry>,
    policy: Policy,
) -> Ledger {
    let ledger = fixture.ledger().await;
    ledger.append(old).await.unwrap();
    ledger.close().await.unwrap();
    fixture.ledger_with_retention(policy, later).await
}

async fn old_rows_go_and_the_chain_can_still_be_followed(fixture: Fixture) {
    static CLOCK: Clock = Clock::new();
    let _turn = CLOCK.turn().await;
    let ledger = fixture
        .ledger_with_retention(policy(), || CLOCK.read())
        .await;
    let batch = |first: i64| {
        (first..first + 5)
            .map(|number| entry_at(CLOCK.read(), &format!("aud_{number}"), number, &[]))
            .collect()
    };

    for first in [0, 5, 10] {
        ledger.append(batch(first)).await.unwrap();
        CLOCK.advance(1800 * SECOND);
    }

    // Now the first five are more than 90 minutes old, the next five more than an hour. The
    // deletion's pause after a run without work is over too; it may have started a moment ago.
    CLOCK.advance(61 * SECOND);
    left(&ledger, 5).await;
    CLOCK.advance(61 * SECOND);
    ledger.append(batch(15)).await.unwrap();

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(
        (
            found.rows,
            found.deleted_rows,
            found.completeness.streams[0].received
        ),
        (10, 10, 20)
    );

    assert_eq!(
        fixture.count("SELECT COUNT(*) FROM cuts").await,
        1,
        "cuts that touch are joined"
    );
}

async fn what_no_row_holds_any_more_is_forgotten(fixture: Fixture) {
    const FORGOTTEN: &str = "SELECT COUNT(*) FROM texts WHERE text LIKE '%Forgotten%'";
    static CLOCK: Clock = Clock::new();
    let _turn = CLOCK.turn().await;
    let ledger = fixture
        .ledger_with_retention(policy(), || CLOCK.read())
        .await;
    let named = |numbers: std::ops::Range<i64>, name: &str| {
        let name = [("user.name", json!(name))];
        let entry = |number| entry_at(CLOCK.read(), &format!("aud_{number}"), number, &name);
        numbers.map(entry).collect()
    };

    ledger.append(named(0..4, "Mrs Forgotten")).await.unwrap();
    assert_eq!(fixture.count(FORGOTTEN).await, 1);
    CLOCK.advance(7200 * SECOND);
    ledger.append(named(4..8, "Mr Remembered")).await.unwrap();
    eventually(async || fixture.count(FORGOTTEN).await == 0).await;

    // The ledger still had the text at hand.
    ledger.append(named(8..10, "Mrs Forgotten")).await.unwrap();
    let left = rows(&ledger).await;
    let names: Vec<_> = left
        .iter()
        .map(|row| row.entry.user_name.as_deref().unwrap())
        .collect();
    assert_eq!(
        names,
        [["Mr Remembered"; 4].as_slice(), &["Mrs Forgotten"; 2]].concat()
    );

    ledger.close().await.unwrap();
    assert!(fixture.verify().await.is_sound());
}

async fn everything_can_go(fixture: Fixture) {
    let ledger = expire(&fixture, entries(0..2500), policy()).await;
    left(&ledger, 0).await;

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(
        (
            found.rows,
            found.deleted_rows,
            found.completeness.streams[0].received
        ),
        (0, 2500, 2500)
    );

    let fresh = entry_at(later(), "aud_new", 2500, &[]);
    ledger.append(vec![fresh]).await.unwrap();
    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(rows(&ledger).await[0].position, 2501);
}

fn tagged(number: i64, value: &str) -> audit_collector::ledger::entry::Entry {
    entry_at(
        NOW,
        &format!("aud_{number}"),
        number,
        &[("audit.tag.case", value.into())],
    )
}

async fn a_held_row_stays_until_the_hold_is_lifted(fixture: Fixture) {
    let old = (0..9)
        .map(|number| tagged(number, if number % 3 == 1 { "4711" } else { "other" }))
        .collect();
    let hold = Hold {
        tag: "case".to_owned(),
        value: Some("4711".to_owned()),
    };

    let ledger = expire(
        &fixture,
        old,
        Policy {
            holds: vec![hold],
            ..policy()
        },
    )
    .await;
    left(&ledger, 3).await;
    assert_eq!(uids(&rows(&ledger).await), ["aud_1", "aud_4", "aud_7"]);

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.completeness.streams[0].received, 9);

    ledger.close().await.unwrap();
    let ledger = fixture.ledger_with_retention(policy(), later).await;
    left(&ledger, 0).await;
    assert!(fixture.verify().await.is_sound());
    assert_eq!(fixture.count("SELECT COUNT(*) FROM cuts").await, 1);
}

async fn rows_are_exported_before_they_go(fixture: Fixture) {
    let directory = fixture.directory.path().join("export/deep");
    let ledger = expire(
        &fixture,
        entries(0..1200),
        Policy {
            export: Some(directory.clone()),
            ..policy()
        },
    )
    .await;
    left(&ledger, 0).await;

    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();

    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let positions: Vec<_> = lines
        .iter()
        .map(|line| line["position"].as_i64().unwrap())
        .collect();
    assert_eq!(positions, (1..=1200).collect::<Vec<_>>());

    assert_eq!(lines[7]["log.record.uid"], json!("aud_7"));
    assert!(
        lines[7]["hash"]
            .as_str()
            .is_some_and(|hash| hash.len() == 64)
    );
}

async fn a_row_that_was_changed_is_not_deleted(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..5)).await.unwrap();
    ledger.close().await.unwrap();
    fixture
        .change("UPDATE records SET user_key = 7777 WHERE position = 3")
        .await;

    let directory = fixture.directory.path().join("export");
    let policy = Policy {
        export: Some(directory.clone()),
        ..policy()
    };
    let ledger = fixture.ledger_with_retention(policy, later).await;

    // Rows are exported immediately before their deletion.
    eventually(async || fs::read_dir(&directory).unwrap().count() > 0).await;
    let failing = |ledger: &Ledger| -> Vec<_> {
        let tasks = ledger.tasks().iter();
        tasks
            .filter(|task| task.is_failing())
            .map(|task| task.name)
            .collect()
    };
    eventually(async || failing(&ledger) == ["retention"]).await;
    ledger
        .append(vec![entry_at(later(), "aud_5", 5, &[])])
        .await
        .unwrap();
    ledger.close().await.unwrap();

    let found = fixture.verify().await;
    assert_eq!((found.rows, found.deleted_rows), (6, 0));
    assert_eq!(
        found.faults,
        [Fault::Row {
            position: 3,
            uid: "aud_2".to_owned()
        }]
    );
}

async fn a_forged_cut_is_found(fixture: Fixture) {
    let ledger = expire(&fixture, entries(0..5), policy()).await;
    left(&ledger, 0).await;
    ledger
        .append(
            (5..8)
                .map(|number| entry_at(later(), &format!("aud_{number}"), number, &[]))
                .collect(),
        )
        .await
        .unwrap();
    ledger.close().await.unwrap();

    let key_id = fixture.key().id().to_owned();
    fixture
        .change("UPDATE cuts SET statement = REPLACE(statement, '\"last_position\":5', '\"last_position\":6')")
        .await;
    fixture
        .change("DELETE FROM records WHERE position = 6")
        .await;

    let found = fixture.verify().await;
    assert!(
        found.faults.contains(&Fault::Signature {
            position: 1,
            key_id
        }),
        "{found:?}"
    );
}

async fn a_cut_that_was_removed_leaves_missing_rows(fixture: Fixture) {
    let ledger = expire(&fixture, entries(0..5), policy()).await;
    left(&ledger, 0).await;
    ledger
        .append(vec![entry_at(later(), "aud_5", 5, &[])])
        .await
        .unwrap();
    ledger.close().await.unwrap();
    fixture.change("DELETE FROM cuts").await;

    let found = fixture.verify().await;
    assert_eq!(
        found.faults,
        [Fault::Missing {
            first_position: 1,
            last_position: 5
        }]
    );
}

async fn what_was_missing_is_still_missing_after_the_rows_around_it_are_gone(fixture: Fixture) {
    let old = entries(0..10)
        .into_iter()
        .filter(|entry| entry.sequence_number != Some(4))
        .collect();
    let ledger = expire(&fixture, old, policy()).await;
    left(&ledger, 0).await;

    let found = fixture.verify().await;
    assert_eq!(
        (found.fault_count, found.completeness.unexplained_numbers),
        (0, 1)
    );
    assert!(!found.is_sound());
}
