//! Delivery under failures: one acknowledgement is enough, and losses are reported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use testkit::audit::sink::{Answer, Sink};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, Record, eventually};

fn quick(patch: &serde_json::Value) -> Bootstrap {
    let retry = json!({"batch": {"max_delay": "50ms"}, "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"}});
    Bootstrap::shipped().with_plugin(&retry).with_plugin(patch)
}

fn uids(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(Record::uid).collect()
}

#[tokio::test]
async fn an_outage_loses_nothing_on_two_workers() {
    let mut mesh = Mesh::with_bootstrap(quick(&json!({})), Sink::start_down(), 2).await;
    let outage = tokio::time::sleep(Duration::from_secs(10));
    tokio::pin!(outage);

    for _ in 0..500 {
        let answer = mesh.tracked_call("unary").await.unwrap();
        assert_eq!(
            answer.grpc_status().as_deref(),
            Some("0"),
            "user traffic is untouched"
        );
    }

    // The wait is the scenario: the audit cluster is down for ten seconds.
    outage.await;
    let stats = mesh.stat_at_least("records.captured", 501).await;
    assert_eq!(stats["records.acknowledged"], 0);
    assert_eq!(stats["buffer.records"], stats["records.captured"]);

    mesh.sink.up().await;
    let records = mesh.sink.wait_for(500).await;
    assert_eq!(uids(&records).len(), 500);

    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);
    assert_eq!(stats["records.acknowledged"], stats["records.captured"]);
    assert!(
        stats["batches.failed"] > 0 && stats["batches.retried"] > 0,
        "{stats:#?}"
    );
    assert_eq!(stats["buffer.bytes"], 0);
    assert_eq!(stats["in_flight.batches"], 0);
}

#[tokio::test]
async fn three_refusals_are_four_attempts_of_one_batch() {
    let mesh = Mesh::with_bootstrap(quick(&json!({})), Sink::start().await, 1).await;
    mesh.sink
        .answer_next([503, 503, 503].map(|status| Answer::Status(status, "busy")));
    mesh.get("/check", &[]).await;
    mesh.sink.wait_for(1).await;
    let attempts = mesh.sink.attempts();
    assert_eq!(attempts.len(), 4);

    for attempt in &attempts {
        assert_eq!(attempt.body, attempts[0].body, "the same bytes");
        assert_eq!(
            attempt.header("idempotency-key"),
            attempts[0].header("idempotency-key")
        );
        assert_eq!(attempt.header("content-type"), "application/x-protobuf");
        assert_eq!(
            attempt.header("user-agent"),
            concat!("audit-filter/", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(attempt.path, "/v1/logs");
    }

    let stats = mesh.stat_at_least("records.acknowledged", 2).await;
    Mesh::assert_conserved(&stats);
    assert_eq!(
        (
            stats["batches.dispatched"],
            stats["batches.retried"],
            stats["batches.failed"]
        ),
        (4, 3, 3)
    );
    assert_eq!(stats["batches.acknowledged"], 1);
}

#[tokio::test]
async fn a_hanging_audit_cluster_is_timed_out_and_tried_again() {
    let mesh = Mesh::with_bootstrap(
        quick(&json!({"audit_cluster": {"timeout": "1s"}})),
        Sink::start().await,
        1,
    )
    .await;
    mesh.sink.answer_next([Answer::Hang]);
    mesh.get("/check", &[]).await;
    mesh.sink.wait_for(1).await;

    let attempts = mesh.sink.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].body, attempts[1].body);

    let log = eventually("the filter notes the answer", || {
        Some(mesh.envoy.log()).filter(|log| log.contains("answers again"))
    })
    .await;
    assert!(log.contains("audit cluster does not acknowledge"), "{log}");
}

#[tokio::test]
async fn a_full_buffer_drops_and_reports_the_newest() {
    let patch = json!({"buffer": {"max_records": 100, "immediate_reserve_percent": 0}});
    let mut mesh = Mesh::with_bootstrap(quick(&patch), Sink::start_down(), 1).await;
    for _ in 0..300 {
        mesh.get("/check", &[]).await;
    }

    let stats = mesh.stat_at_least("records.dropped.buffer_full", 200).await;
    assert_eq!(stats["records.dropped.buffer_full"], 200);
    Mesh::assert_conserved(&stats);

    mesh.sink.up().await;
    let records = mesh.sink.wait_for(100).await;
    assert_eq!(uids(&records).len(), 100);

    let losses = mesh.sink.wait_for_losses(200).await;
    let mut numbers: Vec<u64> = mesh
        .sink
        .records()
        .iter()
        .map(|record| record.int("audit.sequence.number"))
        .collect();

    for loss in &losses {
        assert_eq!(loss.text("audit.loss.reason"), "buffer_full");
        numbers.extend(loss.int("audit.loss.first_number")..=loss.int("audit.loss.last_number"));
    }

    numbers.sort_unstable();
    let dense: Vec<u64> = (0..numbers.len() as u64).collect();
    assert_eq!(
        numbers, dense,
        "every number is delivered or reported, none twice"
    );

    let log = mesh.envoy.log();
    assert!(log.matches("records dropped").count() <= 2, "{log}");
}

#[tokio::test]
async fn a_full_batch_leaves_at_once() {
    let patch = json!({"batch": {"max_records": 10, "max_delay": "1h"}});
    let mesh = Mesh::with_bootstrap(quick(&patch), Sink::start().await, 1).await;
    for _ in 0..29 {
        mesh.get("/check", &[]).await;
    }
    let records = mesh.sink.wait_for(29).await;
    assert_eq!(records.len(), 29);

    let attempts = mesh.sink.attempts();
    assert_eq!(
        attempts.len(),
        3,
        "with the announcement of the stream: three times ten"
    );

    let stats = mesh.stat_at_least("records.acknowledged", 30).await;
    assert_eq!(stats["records.captured"], 30);
}

#[tokio::test]
async fn a_poisoned_batch_is_halved_and_the_good_records_arrive_once() {
    let patch = json!({"batch": {"max_records": 8, "max_delay": "1h"}});
    let mesh = Mesh::with_bootstrap(quick(&patch), Sink::start().await, 1).await;
    mesh.sink.refuse_what_contains("poison");

    for index in 0..7 {
        let agent = if index == 4 { "poison" } else { "good" };
        mesh.get("/check", &[("user-agent", agent)]).await;
    }

    let is_settled = |stats: &BTreeMap<String, u64>| {
        stats["records.captured"] >= 8 && stats["buffer.records"] == 0
    };
    let stats = mesh.stats_when("an empty buffer", is_settled).await;
    Mesh::assert_conserved(&stats);
    assert_eq!((stats["records.rejected"], stats["batches.split"]), (1, 3));

    let arrived = mesh.sink.exchanges();
    assert_eq!(
        (arrived.len(), uids(&arrived).len()),
        (6, 6),
        "each good record arrives once"
    );
}

#[tokio::test]
async fn a_partial_success_is_understood_in_every_form() {
    let mesh = Mesh::with_bootstrap(quick(&json!({})), Sink::start().await, 1).await;
    let forms = [
        Answer::Status(
            200,
            r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"why"}}"#,
        ),
        Answer::Status(200, r#"{"partialSuccess":{"rejectedLogRecords":1e0}}"#),
        Answer::Status(
            202,
            r#"{"partial_success":{"error_message":null,"rejected_log_records":"1.0"}}"#,
        ),
        Answer::Protobuf(b"\n\x07\x08\x01\x12\x03why"),
        // Protobuf under the media type of the request.
        Answer::Status(200, "\n\x02\x08\x01"),
    ];

    for (form, count) in forms.iter().zip(1..) {
        mesh.sink.answer_next([form.clone()]);
        mesh.get("/check", &[]).await;
        let losses = eventually(format!("the loss by {form:?} is reported"), || {
            Some(mesh.sink.events("audit.loss")).filter(|found| found.len() == count)
        })
        .await;
        let loss = losses.last().unwrap();

        assert_eq!(
            (
                loss.text("audit.loss.reason").as_str(),
                loss.int("audit.loss.count")
            ),
            ("rejected", 1),
            "{form:?}"
        );
    }

    let settled =
        |stats: &BTreeMap<String, u64>| stats["buffer.records"] == 0 && Mesh::is_conserved(stats);
    let stats = mesh.stats_when("an empty buffer", settled).await;
    assert_eq!(stats["records.rejected"], forms.len() as u64);
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let mesh = Mesh::with_bootstrap(quick(&json!({})), Sink::start().await, 1).await;
    mesh.sink.answer_next([Answer::RetryAfter(429, "1")]);
    mesh.get("/check", &[]).await;
    mesh.sink.wait_for(1).await;
    let attempts = mesh.sink.attempts();
    assert_eq!(attempts.len(), 2);
    let waited = attempts[1].at - attempts[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}
