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

/// A body of so many bytes that never ends.
fn unfinished(bytes: usize) -> Body {
    let sent = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; bytes]))]);
    Body::from_stream(sent.chain(stream::pending()))
}

/// Sends a request that holds so many bytes until the task is aborted.
async fn hold(collector: &Arc<Collector>, bytes: usize) -> JoinHandle<Answer> {
    let before = collector.admission.bytes();
    let task = tokio::spawn({
        let collector = Arc::clone(collector);
        async move { collector.post(unfinished(bytes)).await }
    });
    until(|| collector.admission.bytes() == before + bytes).await;
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

/// Two requests while the ledger is locked, and their answers.
async fn two_at_once(collector: &Arc<Collector>, second: (&str, &str)) -> [Answer; 2] {
    let lock = collector.other_connection();
    lock.execute_batch("begin immediate").unwrap();
    let held = tokio::spawn({
        let collector = Arc::clone(collector);
        async move { collector.post(batch(&[record("aud_1", &[])])).await }
    });
    until(|| collector.admission.requests() == 1).await;

    let answer = collector.post_with(&[second], Vec::new()).await;
    assert_eq!(
        collector.get("/livez").await.status,
        200,
        "others are not counted"
    );
    lock.execute_batch("rollback").unwrap();
    [held.await.unwrap(), answer]
}

#[tokio::test]
async fn too_many_requests_at_once_are_429_and_succeed_later() {
    let limits = Limits {
        max_requests: 1,
        ..LIMITS
    };
    let collector = start(limits).await;
    let [_, answer] = two_at_once(&collector, JSON).await;
    let body = json!({"code": 8, "message": "too many requests at once"});
    assert_eq!((answer.status, &answer.body), (429, &body));
    assert_eq!(answer.headers["retry-after"], "1");

    let [_, answer] = two_at_once(&collector, PROTOBUF).await;
    assert_eq!(
        status(&answer),
        (429, 8, "too many requests at once".to_owned())
    );

    let sent = batch(&[record("aud_1", &[])]);
    assert_eq!(collector.post(sent).await.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

/// One byte each, and the announcement of many: what does not arrive costs nothing.
#[tokio::test]
async fn senders_of_unfinished_bodies_take_no_place_of_others() {
    let limits = Limits {
        max_requests: 1,
        max_inflight_bytes: MAX_BODY_BYTES,
        ..LIMITS
    };
    let collector = start(limits).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(hold(&collector, 1).await);
    }
    assert_eq!(collector.admission.requests(), 0);

    let sent = batch(&[record("aud_1", &[])]);
    assert_eq!(collector.post(sent).await.status, 200);
    for task in slow {
        task.abort();
    }
    until(|| collector.admission.bytes() == 0).await;
}

#[tokio::test]
async fn a_slow_sender_loses_its_memory_to_one_that_needs_it() {
    let limits = Limits {
        max_inflight_bytes: MAX_BODY_BYTES,
        pace: Duration::ZERO,
        ..LIMITS
    };
    let collector = start(limits).await;
    let slow = hold(&collector, MAX_BODY_BYTES - 1).await;
    let sent = batch(&[record("aud_1", &[])]);
    assert_eq!(collector.post(sent).await.status, 200);

    let answer = slow.await.unwrap();
    let message = "body arrives too slowly while memory is short";
    assert_eq!(
        (answer.status, answer.body),
        (408, json!({"code": 4, "message": message}))
    );
    assert_eq!(collector.admission.bytes(), 0);
}

#[tokio::test]
async fn too_many_bytes_at_once_are_503_and_succeed_later() {
    let collector = start(Limits {
        max_inflight_bytes: MAX_BODY_BYTES,
        pace: DEADLINE,
        ..LIMITS
    })
    .await;
    let held = hold(&collector, MAX_BODY_BYTES - 100).await;
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
async fn inflated_bytes_that_never_have_room_are_413() {
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
    let message = "body takes more memory than all requests together may, 65536 bytes";
    assert_eq!(
        (answer.status, answer.body),
        (413, json!({"code": 8, "message": message})),
        "compressed and inflated together"
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
        413,
        "its 5800 objects count 32 bytes each"
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_408() {
    let time = Duration::from_millis(50);
    for limits in [
        Limits {
            body_timeout: time,
            ..LIMITS
        },
        Limits {
            body_pause: time,
            ..LIMITS
        },
    ] {
        let collector = start(limits).await;
        let answer = collector.post(unfinished(1)).await;
        let body = json!({"code": 4, "message": "body was not sent within 0.05 s"});
        assert_eq!((answer.status, answer.body), (408, body));
        assert_eq!(
            (collector.admission.requests(), collector.admission.bytes()),
            (0, 0)
        );
    }
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
