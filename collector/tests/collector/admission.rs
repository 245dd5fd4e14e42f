//! Bounds on what all requests together hold: refused before memory grows, and released afterwards.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use audit_collector::http::admission::Limits;
use audit_collector::http::auth::Access;
use axum::body::{Body, Bytes};
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::common::{Answer, Collector, LIMITS, MAX_BODY_BYTES, batch, gzip, record, uids};
use crate::encodings::{JSON, PROTOBUF, status};

const GZIP: (&str, &str) = ("content-encoding", "gzip");
const DEADLINE: Duration = Duration::from_secs(30);

async fn start(limits: Limits) -> Arc<Collector> {
    Arc::new(Collector::start_with(limits, Access::default()).await)
}

/// A body that starts and never ends.
fn unfinished() -> Body {
    Body::from_stream(
        stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]).chain(stream::pending()),
    )
}

/// Sends a request that holds its share of the limit until the task is aborted.
async fn hold(collector: &Arc<Collector>) -> JoinHandle<Answer> {
    let before = collector.admission.requests();
    let task = tokio::spawn({
        let collector = Arc::clone(collector);
        async move { collector.post(unfinished()).await }
    });
    until(|| collector.admission.requests() > before && collector.admission.bytes() > 0).await;
    task
}

async fn until(is_so: impl Fn() -> bool) {
    let poll = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll).await.unwrap();
}

async fn release(collector: &Collector, task: JoinHandle<Answer>) {
    task.abort();
    until(|| collector.admission.requests() == 0 && collector.admission.bytes() == 0).await;
}

#[tokio::test]
async fn too_many_requests_at_once_are_429_and_succeed_later() {
    let collector = start(Limits {
        max_requests: 1,
        ..LIMITS
    })
    .await;
    let sent = batch(&[record("aud_1", &[])]);
    let held = hold(&collector).await;
    let answer = collector.post(sent.clone()).await;
    let body = json!({"code": 8, "message": "too many requests at once"});
    assert_eq!((answer.status, &answer.body), (429, &body));
    assert_eq!(answer.headers["retry-after"], "1");

    let answer = collector.post_with(&[PROTOBUF], Vec::new()).await;
    assert_eq!(
        status(&answer),
        (429, 8, "too many requests at once".to_owned())
    );
    assert_eq!(
        collector.get("/healthz").await.status,
        200,
        "others are not counted"
    );

    release(&collector, held).await;
    assert_eq!(collector.post(sent).await.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

#[tokio::test]
async fn too_many_bytes_at_once_are_503_and_succeed_later() {
    let collector = start(Limits {
        max_inflight_bytes: MAX_BODY_BYTES + 100,
        ..LIMITS
    })
    .await;
    // Its length is unknown, so it counts as the largest body.
    let held = hold(&collector).await;
    assert_eq!(collector.admission.bytes(), MAX_BODY_BYTES);

    let sent = batch(&[record("aud_1", &[])]);
    assert!(sent.len() > 100);

    let answer = collector.post(sent.clone()).await;
    let body = json!({"code": 14, "message": "too many bytes in requests at once"});
    assert_eq!((answer.status, &answer.body), (503, &body));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(
        collector.post("{}").await.status,
        200,
        "a small one has room"
    );

    release(&collector, held).await;
    assert_eq!(collector.post(sent).await.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
    assert_eq!(collector.admission.bytes(), 0);
}

#[tokio::test]
async fn inflated_bytes_need_room_too() {
    let collector = start(Limits {
        max_inflight_bytes: MAX_BODY_BYTES,
        ..LIMITS
    })
    .await;
    let mut sent = batch(&[record("aud_1", &[])]);
    sent.push_str(&" ".repeat(MAX_BODY_BYTES - 10 - sent.len()));

    let answer = collector
        .post_with(&[JSON, GZIP], gzip(sent.as_bytes()))
        .await;
    assert_eq!(
        answer.status, 503,
        "compressed and inflated are more together than there is room for"
    );

    let answer = collector.post_with(&[JSON], sent).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (collector.admission.requests(), collector.admission.bytes()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_body_made_to_cost_memory_counts_for_more_than_its_length() {
    let collector = start(Limits {
        max_inflight_bytes: 200_000,
        ..LIMITS
    })
    .await;

    let empty = r#"{"key":"","value":{}},"#;
    let attributes = |number| format!("{}{{}}", empty.repeat(number));
    let body = |number| {
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{}]}}]}}]}}]}}"#,
            attributes(number)
        )
    };
    assert!(body(2900).len() < MAX_BODY_BYTES);
    assert_eq!(collector.post(body(2900)).await.status, 200);

    let small = start(Limits {
        max_inflight_bytes: 100_000,
        ..LIMITS
    })
    .await;
    assert_eq!(
        small.post(body(2900)).await.status,
        503,
        "its 5800 objects count 32 bytes each"
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_408() {
    let collector = start(Limits {
        body_timeout: Duration::from_millis(50),
        ..LIMITS
    })
    .await;
    let answer = collector.post(unfinished()).await;

    assert_eq!(
        (answer.status, &answer.body),
        (
            408,
            &json!({"code": 4, "message": "body was not sent within 0.05 s"})
        )
    );
    assert_eq!(
        (collector.admission.requests(), collector.admission.bytes()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_refused_request_holds_nothing() {
    let collector = start(LIMITS).await;
    for body in ["oops".to_owned(), " ".repeat(MAX_BODY_BYTES + 1)] {
        assert!(collector.post(body).await.status >= 400);
        assert_eq!(
            (collector.admission.requests(), collector.admission.bytes()),
            (0, 0)
        );
    }
}
