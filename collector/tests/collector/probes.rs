//! `GET /livez`, `/readyz` and `/healthz`: a collector that only needs help from outside is not
//! ready, but lives.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use audit_collector::db::open;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::yield_now;

use crate::common::{Collector, batch, database_url, ledger, record, router, send};

/// Places for questions; one more waits.
const READERS: usize = 4;

async fn statuses(collector: &Collector) -> [u16; 3] {
    let [mut live, mut ready, mut health] = [0; 3];
    for (path, status) in [
        ("/livez", &mut live),
        ("/readyz", &mut ready),
        ("/healthz", &mut health),
    ] {
        *status = collector.get(path).await.status;
    }
    [live, ready, health]
}

#[tokio::test]
async fn a_collector_without_records_is_ready() {
    let collector = Collector::start().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = collector.get(path).await;
        assert_eq!(
            (answer.status, answer.body),
            (200, json!({"status": "ok"})),
            "{path}"
        );
    }
}

/// A disk that is full or read-only refuses the row as this trigger does.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let collector = Collector::start().await;
    let other = collector.other_connection();
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON rehearsals \
                   BEGIN SELECT RAISE(ABORT, 'inner detail'); END";
    other.execute_batch(trigger).unwrap();

    assert_eq!(statuses(&collector).await, [200, 503, 503]);
    let answer = collector.get("/readyz").await;
    let body = json!({"code": 14, "message": "the store is not available"});
    assert_eq!((answer.status, answer.body), (503, body));
    assert_eq!(collector.get("/api/records").await.status, 200);

    other.execute_batch("DROP TRIGGER refuse").unwrap();
    collector.keep(&[record("aud_1", &[])]).await;
    assert_eq!(statuses(&collector).await, [200; 3], "a batch was stored");
}

/// Where a batch found no room, the small row of a probe may.
#[tokio::test]
async fn after_a_refused_batch_there_must_be_room_for_several() {
    let collector = Collector::start().await;
    assert_eq!(statuses(&collector).await, [200; 3]);
    let other = collector.other_connection();
    let triggers = "CREATE TRIGGER full BEFORE INSERT ON records \
                    BEGIN SELECT RAISE(ABORT, 'full'); END; \
                    CREATE TRIGGER small BEFORE UPDATE ON rehearsals WHEN length(NEW.content) >= 1048576 \
                    BEGIN SELECT RAISE(ABORT, 'full'); END;";
    other.execute_batch(triggers).unwrap();

    let answer = collector.post(batch(&[record("aud_1", &[])])).await;
    assert_eq!(answer.status, 503);
    assert_eq!(statuses(&collector).await, [200, 503, 503]);
}

#[tokio::test]
async fn a_locked_database_is_not_ready() {
    let collector = Collector::start().await;
    let other = collector.other_connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = collector.get("/readyz").await;
    let body = json!({"code": 14, "message": "the store is busy"});
    assert_eq!((answer.status, answer.body), (503, body));
    assert_eq!(collector.get("/livez").await.status, 200);
}

/// The question of a probe never ends here.
#[tokio::test]
async fn a_database_that_hangs_is_not_ready() {
    let collector = Collector::start().await;
    let endless = "ALTER TABLE records RENAME TO kept; \
                   CREATE VIEW records AS WITH RECURSIVE numbers (position) AS \
                   (SELECT 1 UNION ALL SELECT position + 1 FROM numbers) \
                   SELECT position FROM numbers WHERE position < 0";
    let other = collector.other_connection();
    other.execute_batch(endless).unwrap();

    let answer = collector.get("/readyz").await;
    let body = json!({"code": 14, "message": "the store is busy"});
    assert_eq!((answer.status, answer.body), (503, body));
}

#[tokio::test]
async fn a_probe_waits_for_no_question() {
    let collector = Arc::new(Collector::start().await);
    let (entered, questions) = sync_channel(READERS);
    let mut held = Vec::new();
    for _ in 0..READERS {
        let (release, released) = sync_channel::<()>(0);
        let (ledger, entered) = (collector.ledger.clone(), entered.clone());
        let question = tokio::spawn(async move {
            let hold = ledger.read(move |_| {
                entered.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            });
            hold.await
        });
        held.push((release, question));
    }
    for _ in 0..READERS {
        while questions.try_recv().is_err() {
            yield_now().await;
        }
    }

    assert_eq!(statuses(&collector).await, [200; 3]);
    assert_eq!(
        collector.get("/api/records").await.status,
        503,
        "all are in use"
    );
    for (release, question) in held {
        drop(release);
        question.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_has_ended_is_not_live() {
    let directory = TempDir::new().unwrap();
    let opened = open(&database_url(&directory)).unwrap();
    let ledger = Arc::new(ledger(opened.database, &directory));
    let router = router(ledger.clone());
    ledger.close().await.unwrap();
    for path in ["/livez", "/readyz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status, 503, "{path}");
    }
}
