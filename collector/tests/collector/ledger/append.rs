//! Appending: deduplicated by uid, atomic, chained, durable.

use std::sync::Arc;

use audit_collector::db::DbError;
use audit_collector::ledger::append::Appended;
use audit_collector::ledger::{AppendError, Filter, Start};
use serde_json::json;

use crate::ledger::fixture::{Fixture, blocking, entries, entry, rows, uids};
use crate::ledger::on_both;

on_both![
    what_was_appended_comes_back_and_the_chain_holds,
    a_replay_adds_nothing,
    the_way_that_a_record_took_does_not_matter,
    another_content_under_a_known_uid_is_flagged_and_the_first_stays,
    a_conflict_is_kept_once_however_often_it_comes,
    a_strict_ledger_refuses_the_whole_batch,
    a_uid_twice_in_one_batch_is_kept_once,
    a_contradiction_within_one_batch_is_a_conflict,
    a_refused_batch_leaves_its_uids_to_others,
    many_writers_make_one_dense_chain,
    two_ledgers_on_one_database_make_one_chain,
    ledgers_that_take_turns_share_a_dictionary,
    the_chain_goes_on_after_a_restart,
    hostile_text_is_kept,
    closing_makes_a_checkpoint,
    large_records_make_short_pages,
    a_foreign_lock_is_waited_for_and_then_forgotten,
];

fn stored(stored: u64, duplicates: u64) -> Appended {
    Appended {
        stored,
        duplicates,
        ..Appended::default()
    }
}

async fn what_was_appended_comes_back_and_the_chain_holds(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let sent = entries(0..5);
    assert_eq!(ledger.append(sent.clone()).await.unwrap(), stored(5, 0));

    let rows = rows(&ledger).await;
    assert_eq!(
        rows.iter().map(|row| row.entry.clone()).collect::<Vec<_>>(),
        sent
    );
    assert_eq!(
        rows.iter().map(|row| row.position).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.completeness.streams[0].received), (5, 5));
}

async fn a_replay_adds_nothing(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    for expected in [stored(3, 0), stored(0, 3), stored(0, 3)] {
        assert_eq!(ledger.append(entries(0..3)).await.unwrap(), expected);
    }
    assert_eq!(ledger.append(entries(2..4)).await.unwrap(), stored(1, 1));
    assert_eq!(rows(&ledger).await.len(), 4);
}

async fn the_way_that_a_record_took_does_not_matter(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let sent = |batch: &str| entry("aud_0", 0, &[("audit.batch.id", batch.into())]);
    let recovered = entry(
        "aud_0",
        0,
        &[
            ("audit.batch.id", "b".into()),
            ("audit.recovered", true.into()),
        ],
    );

    assert_eq!(ledger.append(vec![sent("a")]).await.unwrap(), stored(1, 0));
    assert_eq!(
        ledger.append(vec![sent("b"), recovered]).await.unwrap(),
        stored(0, 2)
    );
}

async fn another_content_under_a_known_uid_is_flagged_and_the_first_stays(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..2)).await.unwrap();

    let changed = entry("aud_0", 0, &[("audit.outcome", "denied".into())]);
    let result = ledger
        .append(vec![changed, entry("aud_2", 2, &[])])
        .await
        .unwrap();
    assert_eq!(
        (result.stored, result.conflict_count, result.refused),
        (1, 1, false)
    );
    assert_eq!(result.conflicts, ["aud_0"]);

    let rows = rows(&ledger).await;
    assert_eq!(
        rows.iter().map(|row| row.conflict).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert_eq!(rows[0].entry.outcome, None);
    assert_eq!(fixture.verify().await.completeness.conflicts, 1);
}

async fn a_conflict_is_kept_once_however_often_it_comes(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..1)).await.unwrap();

    for _ in 0..3 {
        let result = ledger
            .append(vec![entry(
                "aud_0",
                0,
                &[("audit.outcome", "denied".into())],
            )])
            .await
            .unwrap();
        assert_eq!(result.conflict_count, 1);
    }

    assert_eq!(fixture.count("SELECT COUNT(*) FROM conflicts").await, 1);
}

async fn a_strict_ledger_refuses_the_whole_batch(fixture: Fixture) {
    let ledger = fixture.strict_ledger().await;
    ledger.append(entries(0..1)).await.unwrap();

    let changed = entry("aud_0", 0, &[("audit.outcome", "denied".into())]);
    let result = ledger
        .append(vec![entry("aud_1", 1, &[]), changed])
        .await
        .unwrap();
    assert_eq!((result.stored, result.refused), (0, true));
    assert_eq!(uids(&rows(&ledger).await), ["aud_0"]);
    assert_eq!(ledger.append(entries(0..2)).await.unwrap(), stored(1, 1));
}

async fn a_uid_twice_in_one_batch_is_kept_once(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let twice = vec![
        entry("aud_0", 0, &[]),
        entry("aud_1", 1, &[]),
        entry("aud_0", 0, &[]),
    ];
    assert_eq!(ledger.append(twice).await.unwrap(), stored(2, 1));
    assert_eq!(uids(&rows(&ledger).await), ["aud_0", "aud_1"]);
}

async fn a_contradiction_within_one_batch_is_a_conflict(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let batch = vec![
        entry("aud_0", 0, &[]),
        entry("aud_0", 0, &[("audit.outcome", "denied".into())]),
    ];
    let result = ledger.append(batch).await.unwrap();
    assert_eq!((result.stored, result.conflict_count), (1, 1));
    assert!(rows(&ledger).await[0].conflict);
}

async fn a_refused_batch_leaves_its_uids_to_others(fixture: Fixture) {
    let ledger = Arc::new(fixture.strict_ledger().await);
    ledger.append(entries(0..1)).await.unwrap();

    let bad = || {
        vec![
            entry("aud_1", 1, &[]),
            entry("aud_0", 0, &[("audit.outcome", "denied".into())]),
        ]
    };
    // Concurrent, so that both may share a transaction.
    let (first, second) = tokio::join!(ledger.append(bad()), ledger.append(entries(1..2)));
    assert!(first.unwrap().refused);
    assert_eq!(second.unwrap(), stored(1, 0));
    assert_eq!(uids(&rows(&ledger).await), ["aud_0", "aud_1"]);
}

async fn many_writers_make_one_dense_chain(fixture: Fixture) {
    let ledger = Arc::new(fixture.ledger().await);
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for batch in 0..20 {
                    let first = (writer * 20 + batch) * 10;
                    assert_eq!(
                        ledger.append(entries(first..first + 10)).await.unwrap(),
                        stored(10, 0)
                    );
                }
            })
        })
        .collect();

    for task in tasks {
        task.await.unwrap();
    }

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(
        (found.rows, found.completeness.streams[0].received),
        (1600, 1600)
    );
}

async fn two_ledgers_on_one_database_make_one_chain(fixture: Fixture) {
    let (one, other) = (fixture.ledger().await, fixture.ledger().await);
    for batch in 0..20 {
        let first = batch * 20;
        let (left, right) = tokio::join!(
            one.append(entries(first..first + 15)),
            other.append(entries(first + 5..first + 20))
        );
        let (left, right) = (left.unwrap(), right.unwrap());
        assert_eq!(
            (
                left.stored + right.stored,
                left.duplicates + right.duplicates
            ),
            (20, 10)
        );
    }

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.rows, 400);
}

async fn ledgers_that_take_turns_share_a_dictionary(fixture: Fixture) {
    const REPEATED: &str = "SELECT COUNT(*) - COUNT(DISTINCT text) FROM texts";
    let ledgers = [fixture.ledger().await, fixture.ledger().await];
    let name = |number: i64| format!("Person of number {}", number / 4);
    for turn in 0..6 {
        // Two of them have a text that the other ledger has added.
        let numbers = turn * 4 - 2..turn * 4 + 2;
        let batch = numbers
            .filter(|number| *number >= 0)
            .map(|number| {
                entry(
                    &format!("aud_{number}"),
                    number,
                    &[("user.name", json!(name(number)))],
                )
            })
            .collect();
        let ledger = &ledgers[usize::try_from(turn % 2).unwrap()];
        ledger.append(batch).await.unwrap();
    }

    let kept = rows(&ledgers[0]).await;
    assert_eq!(kept.len(), 22);
    for row in kept {
        let number = row.entry.sequence_number.unwrap();
        assert_eq!(row.entry.user_name, Some(name(number)), "{number}");
    }
    assert_eq!(fixture.count(REPEATED).await, 0);
    assert!(fixture.verify().await.is_sound());
}

async fn the_chain_goes_on_after_a_restart(fixture: Fixture) {
    for round in 0..3 {
        let ledger = fixture.ledger().await;
        ledger
            .append(entries(round * 5..round * 5 + 5))
            .await
            .unwrap();
        ledger.close().await.unwrap();
    }

    let found = fixture.verify().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.checkpoints), (15, 3));
}

async fn hostile_text_is_kept(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let attributes = [
        ("audit.action", json!("a\0b\u{1f}'; DROP TABLE records; --")),
        ("user.id", json!("\u{feff}\u{202e}😀\\")),
        ("session.id", json!("x".repeat(100_000))),
        ("audit.rule", json!({"a": ["\0", null, 1e300]})),
    ];
    let sent = entry(&"u".repeat(200), 0, &attributes);

    assert_eq!(
        ledger.append(vec![sent.clone()]).await.unwrap(),
        stored(1, 0)
    );
    assert_eq!(rows(&ledger).await[0].entry, sent);
    assert_eq!(ledger.append(vec![sent]).await.unwrap(), stored(0, 1));
    assert!(fixture.verify().await.is_sound());
}

async fn closing_makes_a_checkpoint(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();
    let head = rows(&ledger).await[2].hash;
    ledger.close().await.unwrap();

    let checkpoints = fixture.checkpoints().await;
    assert_eq!(checkpoints.len(), 1);
    assert_eq!(
        (checkpoints[0].head.position, checkpoints[0].head.hash),
        (3, head)
    );
    assert!(checkpoints[0].is_signed_by(&fixture.key().public()));
    assert!(ledger.append(entries(3..4)).await.is_err());
}

async fn a_foreign_lock_is_waited_for_and_then_forgotten(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let opened = fixture.opened().await;
    let mut other = blocking(move || {
        let mut other = opened.database.connect().unwrap();
        other.begin_write().unwrap();
        other
    })
    .await;

    let refused = ledger.append(entries(0..1)).await;
    assert!(
        matches!(&refused, Err(AppendError::Database(error)) if matches!(**error, DbError::Busy(_))),
        "{refused:?}"
    );

    blocking(move || other.rollback()).await;
    assert_eq!(ledger.append(entries(0..1)).await.unwrap(), stored(1, 0));
}

async fn large_records_make_short_pages(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    let large = |number| {
        entry(
            &format!("aud_{number}"),
            number,
            &[("k", "x".repeat(3_000_000).into())],
        )
    };
    ledger.append((0..10).map(large).collect()).await.unwrap();

    let first = ledger
        .list(Filter::default(), Start::After(0), 100)
        .await
        .unwrap();
    assert_eq!(
        (first.rows.len(), first.more),
        (6, true),
        "16 MiB and the record that crosses them"
    );

    let rest = ledger
        .list(Filter::default(), Start::After(6), 100)
        .await
        .unwrap();
    assert_eq!(
        (uids(&rest.rows), rest.more),
        (vec!["aud_6", "aud_7", "aud_8", "aud_9"], false)
    );
}
