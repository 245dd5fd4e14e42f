//! Questions end at their deadline, and when nothing waits for their answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audit_collector::db::{Connection, DbError};
use audit_collector::ledger::Ledger;
use tokio::time::Instant;

use super::fixture::{Fixture, eventually};
use super::on_both;

/// As many as the ledger has readers.
const READERS: usize = 4;

/// Far longer than a test takes.
const FOREVER: Duration = Duration::from_secs(3600);

on_both! {
    a_question_ends_at_its_deadline,
    an_abandoned_question_frees_its_reader,
}

/// A statement that reads nothing and does not end by itself.
fn endless(connection: &mut dyn Connection) -> Result<(), DbError> {
    const ENDLESS: &str = "WITH RECURSIVE numbers(number) AS \
        (SELECT CAST(1 AS BIGINT) UNION ALL SELECT number + 1 FROM numbers) SELECT COUNT(*) FROM numbers";
    connection.query(ENDLESS, &[], &mut |_| Ok(()))
}

/// How long a question waits for a reader.
async fn wait_of_a_question(ledger: &Ledger) -> Duration {
    let begin = Instant::now();
    ledger.read(|_| Ok(())).await.unwrap();
    begin.elapsed()
}

async fn a_question_ends_at_its_deadline(fixture: Fixture) {
    let limit = Duration::from_millis(300);
    let ledger = Arc::new(fixture.ledger_with_timeout(limit).await);
    let questions: Vec<_> = (0..READERS)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.read(endless).await })
        })
        .collect();

    for question in questions {
        let result = question.await.unwrap();
        assert!(
            matches!(result, Err(DbError::Late(late)) if late == limit),
            "{result:?}"
        );
    }
    println!(
        "a reader is free {:?} after the deadline of all",
        wait_of_a_question(&ledger).await
    );
}

async fn an_abandoned_question_frees_its_reader(fixture: Fixture) {
    let ledger = Arc::new(fixture.ledger_with_timeout(FOREVER).await);
    let running = Arc::<AtomicUsize>::default();
    let questions: Vec<_> = (0..READERS)
        .map(|_| {
            let (ledger, running) = (ledger.clone(), running.clone());
            tokio::spawn(async move {
                let question = move |connection: &mut dyn Connection| {
                    running.fetch_add(1, Ordering::SeqCst);
                    endless(connection)
                };
                ledger.read(question).await
            })
        })
        .collect();
    eventually(async || running.load(Ordering::SeqCst) == READERS).await;

    for question in &questions {
        question.abort();
    }
    println!(
        "a reader is free {:?} after its question was abandoned",
        wait_of_a_question(&ledger).await
    );
}
