//! Immediate records: alone in a batch, without delay, not blocked by full buffers or retries of
//! others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::audit::records;
use testkit::audit::sink::{Answer, Attempt, Sink};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, Record, eventually, now};

/// All requests are recorded. Denied, failed and aborted ones are immediate.
fn rules() -> Value {
    json!([{"name": "all", "immediate_on": ["failure", "denied", "aborted"]}])
}

/// One worker with a delay of an hour for bulk records.
async fn mesh_with(patch: &Value, sink: Sink) -> Mesh {
    let patient = json!({"batch": {"max_delay": "1h"}, "rules": rules()});
    Mesh::with_bootstrap(
        Bootstrap::shipped()
            .with_plugin(&patient)
            .with_plugin(patch),
        sink,
        1,
    )
    .await
}

async fn mesh() -> Mesh {
    mesh_with(&json!({}), Sink::start().await).await
}

/// Requests an answer with this status.
async fn answered(mesh: &Mesh, path: &str, status: &str) {
    assert_eq!(
        mesh.get(path, &[("x-demo-status", status)])
            .await
            .status
            .to_string(),
        status
    );
}

fn paths(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .filter(|record| record.is_exchange())
        .map(|record| record.text("url.path"))
        .collect()
}

fn contents(attempt: &Attempt) -> Vec<String> {
    paths(&records::parse(&attempt.body))
}

#[tokio::test]
async fn they_leave_alone_while_the_others_wait() {
    let mesh = mesh().await;
    answered(&mesh, "/bulk", "200").await;
    answered(&mesh, "/denied", "403").await;
    mesh.sink.wait_for(1).await;
    answered(&mesh, "/bulk", "200").await;
    answered(&mesh, "/failure", "500").await;

    let records = mesh.sink.wait_for(2).await;
    assert_eq!(paths(&records), ["/denied", "/failure"]);
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.priority") == "immediate")
    );
    assert_eq!(mesh.sink.attempts().len(), 2, "one batch each");

    let stats = mesh.stat_at_least("records.acknowledged", 3).await;
    assert_eq!(stats["buffer.records"], 2, "the others wait: {stats:#?}");
    Mesh::assert_conserved(&stats);
}

#[tokio::test]
async fn a_call_that_was_denied_or_cut_off_does_not_wait() {
    let mesh = mesh().await;
    mesh.tracked_call("unary").await.unwrap();
    mesh.tracked_call("status:7:no").await.unwrap();
    mesh.sink.wait_for(1).await;
    mesh.tracked_call("trailers-only:16:who").await.unwrap();
    mesh.sink.wait_for(2).await;

    let _ = mesh.tracked_call("reset").await;
    let records = mesh.sink.wait_for(3).await;
    let outcomes: Vec<_> = records
        .iter()
        .map(|record| record.text("audit.outcome"))
        .collect();
    assert_eq!(outcomes, ["denied", "denied", "aborted"]);

    assert_eq!(
        records[0].text("rpc.response.status_code"),
        "PERMISSION_DENIED"
    );
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.priority") == "immediate")
    );
}

/// Time of the record, at the end of the stream, by the wall clock that filter and sink share.
fn made(attempt: &Attempt) -> Duration {
    let record = records::parse(&attempt.body).pop().unwrap();
    Duration::from_nanos(
        record.raw["observedTimeUnixNano"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
    )
}

/// The sink runs on a separate thread here, so that the scenario does not delay the measurement.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(
    clippy::disallowed_methods,
    reason = "what the filter writes is wall time"
)]
async fn they_arrive_within_ten_milliseconds() {
    let mesh = mesh().await;
    for count in 1..=50 {
        answered(&mesh, "/denied", "403").await;
        mesh.sink.wait_for(count).await;
    }

    let (wall, instant) = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap(), now());
    let attempts = mesh.sink.attempts();
    let arrived = |attempt: &Attempt| wall - instant.duration_since(attempt.at);
    let mut delays: Vec<_> = attempts
        .iter()
        .map(|attempt| arrived(attempt).saturating_sub(made(attempt)))
        .collect();
    delays.sort_unstable();

    let (shortest, median, longest) = (
        delays[0],
        delays[delays.len() / 2],
        delays[delays.len() - 1],
    );
    eprintln!(
        "from the end of the stream to the arrival: {shortest:?}, median {median:?}, longest {longest:?}"
    );

    // A busy machine delays most of them. Records that waited for a tick would have a median of 125
    // ms.
    assert!(
        delays[delays.len() / 10] < Duration::from_millis(10),
        "{delays:?}"
    );
    assert!(median < Duration::from_millis(60), "{delays:?}");
}

#[tokio::test]
async fn the_reserve_is_theirs_when_the_others_have_filled_the_rest() {
    let patch = json!({"buffer": {"max_records": 20, "immediate_reserve_percent": 50},
        "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"}});
    let mut mesh = mesh_with(&patch, Sink::start_down()).await;
    for _ in 0..15 {
        answered(&mesh, "/bulk", "200").await;
    }
    let stats = mesh.stat_at_least("records.dropped.buffer_full", 5).await;
    assert_eq!(stats["records.dropped.buffer_full"], 5);

    for _ in 0..12 {
        answered(&mesh, "/denied", "403").await;
    }

    let stats = mesh.stat_at_least("records.dropped.buffer_full", 7).await;
    assert_eq!(
        stats["records.dropped.buffer_full"],
        5 + 2,
        "ten of twelve fit into the reserve"
    );
    Mesh::assert_conserved(&stats);

    mesh.sink.up().await;
    let records = mesh.sink.wait_for(10).await;
    assert_eq!(paths(&records), ["/denied"; 10]);

    let stats = mesh
        .stats_when("that only the others are left", |stats| {
            stats["buffer.records"] == 10
        })
        .await;
    Mesh::assert_conserved(&stats);
}

#[tokio::test]
async fn they_pass_a_batch_with_retry_after() {
    let mesh = mesh_with(&json!({"batch": {"max_records": 3}}), Sink::start().await).await;
    mesh.sink.answer_next([Answer::RetryAfter(429, "60")]);
    answered(&mesh, "/bulk", "200").await;
    answered(&mesh, "/bulk", "200").await;
    eventually("the other batch is refused", || mesh.sink.attempts().pop()).await;
    mesh.stat_at_least("batches.failed", 1).await;
    answered(&mesh, "/denied", "403").await;
    assert_eq!(paths(&mesh.sink.wait_for(1).await), ["/denied"]);

    let contents: Vec<_> = mesh.sink.attempts().iter().map(contents).collect();
    assert_eq!(contents, [vec!["/bulk", "/bulk"], vec!["/denied"]]);

    let stats = mesh.stat_at_least("records.acknowledged", 1).await;
    assert_eq!(
        stats["buffer.records"], 3,
        "the stream's start and the two others: {stats:#?}"
    );
}

#[tokio::test]
async fn they_are_sent_again_with_the_same_bytes() {
    let patch = json!({"retry": {"initial_backoff": "50ms", "max_backoff": "200ms"}});
    let mesh = mesh_with(&patch, Sink::start().await).await;
    mesh.sink
        .answer_next([Answer::Status(503, "busy"), Answer::Status(503, "busy")]);
    answered(&mesh, "/denied", "403").await;
    mesh.sink.wait_for(1).await;
    let attempts = mesh.sink.attempts();
    assert_eq!(attempts.len(), 3);

    for attempt in &attempts {
        assert_eq!(attempt.body, attempts[0].body);
        assert_eq!(
            attempt.header("idempotency-key"),
            attempts[0].header("idempotency-key")
        );
    }

    let stats = mesh.stat_at_least("records.acknowledged", 2).await;
    assert_eq!(
        (
            stats["batches.failed"],
            stats["batches.retried"],
            stats["buffer.records"]
        ),
        (2, 2, 0)
    );
}
