//! A store that is busy, broken or closed: 503, nothing is stored in part, and no database text in
//! the answer.

use std::sync::Arc;
use std::time::Duration;

use audit_collector::db::sqlite::SqliteDatabase;
use audit_collector::db::{OpenError, open};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::common::{Answer, Collector, batch, database_url, ledger, record, router, send, uids};

fn assert_unavailable(answer: &Answer, message: &str) {
    assert_eq!(
        (answer.status, &answer.body),
        (503, &json!({"code": 14, "message": message}))
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_locked_store_is_503_and_the_same_request_succeeds_later() {
    let collector = Collector::start().await;
    let sent = batch(&[record("aud_1", &[])]);
    let other = collector.other_connection();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_unavailable(&collector.post(sent.clone()).await, "the store is busy");
    assert_eq!(
        collector.records().await.len(),
        0,
        "reading goes on while another connection writes"
    );

    other.execute_batch("COMMIT").unwrap();
    assert_eq!(collector.post(sent).await.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

async fn post(router: &Router, body: String) -> Answer {
    let request = Request::post("/v1/logs").header("content-type", "application/json");
    send(router, request.body(Body::from(body)).unwrap()).await
}

/// The filter waits 5 s for an answer. The database itself waits much longer here.
#[tokio::test]
async fn a_store_that_hangs_is_answered_before_the_sender_gives_up() {
    let directory = TempDir::new().unwrap();
    let url = database_url(&directory);
    open(&url).unwrap();
    let hanging = SqliteDatabase::new(&url).unwrap();
    let hanging = hanging.with_busy_timeout(Duration::from_secs(60));
    let router = router(Arc::new(ledger(Arc::new(hanging), &directory)));
    let other = rusqlite::Connection::open(directory.path().join("audit.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let sent = batch(&[record("aud_1", &[])]);
    let sending = timeout(Duration::from_secs(5), post(&router, sent.clone()));
    assert_unavailable(&sending.await.unwrap(), "the store is busy");

    // The first attempt comes through after all; the second one is its duplicate.
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(post(&router, sent).await.status, 200);
    let request = Request::get("/api/records").body(Body::empty()).unwrap();
    let records = send(&router, request).await.body["records"].clone();
    assert_eq!(uids(records.as_array().unwrap()), ["aud_1"]);
}

#[tokio::test]
async fn a_failure_halfway_stores_nothing_and_reveals_no_detail() {
    let collector = Collector::start().await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.uid = x'006175645f32' \
                   BEGIN SELECT RAISE(ABORT, 'inner detail'); END";
    let other = collector.other_connection();
    other.execute_batch(trigger).unwrap();

    let sent = batch(&[
        record("aud_1", &[]),
        record("aud_2", &[]),
        record("aud_3", &[]),
    ]);
    assert_unavailable(
        &collector.post(sent.clone()).await,
        "the store is not available",
    );
    assert_eq!(collector.records().await.len(), 0);

    other.execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(collector.post(sent).await.status, 200);
    assert_eq!(collector.records().await.len(), 3);
}

#[tokio::test]
async fn a_closed_store_is_503_everywhere() {
    let directory = TempDir::new().unwrap();
    let opened = open(&database_url(&directory)).unwrap();
    let ledger = Arc::new(ledger(opened.database, &directory));
    let router = router(ledger.clone());
    ledger.close().await.unwrap();
    for path in ["/healthz", "/api/records"] {
        let answer = send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_unavailable(&answer, "the store is not available");
    }
}

#[tokio::test]
async fn a_lost_table_is_seen_by_the_health_check() {
    let collector = Collector::start().await;
    let other = collector.other_connection();
    other.execute_batch("DROP TABLE records").unwrap();
    assert_unavailable(
        &collector.get("/healthz").await,
        "the store is not available",
    );
}

#[test]
fn what_is_no_sqlite_file_is_refused_at_start() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("audit.db"), "x".repeat(10_000)).unwrap();
    assert!(matches!(
        open(&database_url(&directory)).err(),
        Some(OpenError::Failed(_))
    ));
}
