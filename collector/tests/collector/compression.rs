//! Answers and exports are compressed for clients that accept it, and for no others.

use std::io::Read as _;

use axum::body::Body;
use axum::http::Request;
use flate2::read::MultiGzDecoder;

use crate::common::{Answer, Collector, batch, record};

async fn get(collector: &Collector, path: &str, accepted: &str) -> Answer {
    let request = Request::get(path).header("accept-encoding", accepted);
    collector.send(request.body(Body::empty()).unwrap()).await
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// More records than an export reads at once.
async fn with_records() -> Collector {
    let collector = Collector::start().await;
    // Three pages of an export.
    let records: Vec<_> = (0..2400)
        .map(|index| record(&format!("aud_{index}"), &[("user.id", "ann")]))
        .collect();
    for some in records.chunks(300) {
        assert_eq!(collector.post(batch(some)).await.status, 200);
    }
    collector
}

#[tokio::test]
async fn answers_and_exports_are_compressed_when_that_is_accepted() {
    let collector = with_records().await;
    for path in [
        "/api/records",
        "/api/records?format=ndjson",
        "/api/records?format=csv",
        "/api/records?limit=many",
        "/openapi.json",
        "/metrics",
        "/",
    ] {
        let plain = collector.get(path).await;
        let compressed = get(&collector, path, "deflate, gzip;q=0.5").await;
        assert_eq!(compressed.status, plain.status, "{path}");
        assert_eq!(compressed.headers["content-encoding"], "gzip", "{path}");
        assert_eq!(compressed.headers["vary"], "accept-encoding", "{path}");
        if path != "/metrics" {
            assert_eq!(gunzip(&compressed.bytes), plain.bytes, "{path}");
        }
    }

    let path = "/api/records?format=ndjson";
    let plain = collector.get(path).await.bytes.len();
    let compressed = get(&collector, path, "gzip").await.bytes.len();
    assert!(compressed * 4 < plain, "{compressed} of {plain} bytes");
}

#[tokio::test]
async fn nothing_is_compressed_when_that_is_not_accepted() {
    let collector = with_records().await;
    let path = "/api/records?format=ndjson";
    let plain = collector.get(path).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let parquet = get(&collector, "/api/records?format=parquet", "gzip").await;
    assert!(!parquet.headers.contains_key("content-encoding"));
    for accepted in ["identity", "gzip;q=0", "br"] {
        let answer = get(&collector, path, accepted).await;
        assert!(!answer.headers.contains_key("content-encoding"));
        assert_eq!(answer.bytes, plain.bytes, "{accepted}");
    }
}

/// A stream that is whole as gzip could be taken for a complete export.
#[tokio::test]
async fn a_compressed_answer_that_fails_is_broken_off() {
    let collector = with_records().await;
    let request = Request::get("/api/records?format=ndjson").header("accept-encoding", "gzip");
    let request = request.body(Body::empty()).unwrap();
    let answer = collector.answer(request).await;
    assert_eq!(answer.status(), 200);

    let connection = collector.other_connection();
    connection
        .execute_batch("alter table records rename to other")
        .unwrap();
    axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .unwrap_err();
}
