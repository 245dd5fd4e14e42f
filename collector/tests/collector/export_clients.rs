//! Clients that begin an export and read nothing of it.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::json;

use crate::common::{Collector, batch, record_at, uids};

pub(crate) const FORMATS: [&str; 5] = ["ndjson", "csv", "parquet", "ocsf", "ecs"];

/// Large records: together they fill the buffers of any socket.
pub(crate) fn records(number: i64) -> Vec<serde_json::Value> {
    let filler = "x".repeat(20_000);
    (0..number)
        .map(|it| record_at(&format!("aud_{it}"), 1, &json!({"filler": filler})))
        .collect()
}

/// Three for each format, which is more than the connections that the ledger reads with.
#[tokio::test]
async fn exports_that_wait_for_their_clients_hold_up_no_other() {
    let collector = Collector::start().await;
    for some in records(900).chunks(3) {
        assert_eq!(collector.post(batch(some)).await.status, 200);
    }

    let mut waiting = Vec::new();
    for format in FORMATS.iter().cycle().take(15) {
        let request = Request::get(format!("/api/records?format={format}"));
        let answer = collector.answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200, "{format}");
        waiting.push(answer);
    }

    let late = record_at("late", 1, &json!({}));
    assert_eq!(collector.post(batch(&[late])).await.status, 200);
    assert_eq!(uids(&collector.list("limit=1").await), ["late"]);

    for answer in waiting {
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert!(body.len() > 20_000, "each is written to its end");
    }
}
