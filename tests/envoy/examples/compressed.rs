//! `compressed.yaml`: Envoy compresses the batches on their way to the audit cluster.

use std::collections::HashSet;

use serde_json::json;
use testkit::audit::sink::{Answer, Attempt};

use super::{example, example_with, texts};

const NAME: &str = "compressed";
const TRACK: (&str, &str) = ("x-session-track", "true");
/// Records of one full batch.
const BATCH: usize = 100;
/// Bytes of a tracked record as OTLP/JSON.
const RECORD_BYTES_IN_JSON: usize = 1499;

fn is_compressed(attempt: &Attempt) -> bool {
    attempt.header("content-encoding") == "gzip"
}

#[tokio::test]
async fn a_full_batch_is_compressed_to_a_tenth() {
    // No batch leaves before it is full, however slow the requests are.
    let mesh = example_with(NAME, &json!({"batch": {"max_delay": "60s"}})).await;
    for number in 0..BATCH {
        let context = format!("Y3R4{number:06}");
        let path = format!("/orders/{number}");
        mesh.get(&path, &[TRACK, ("x-session-context", &context)])
            .await;
    }

    let records = mesh.sink.wait_for(BATCH - 1).await;
    let paths: HashSet<_> = texts(&records, "url.path").into_iter().collect();
    assert_eq!(paths.len(), BATCH - 1, "the first record is the stream's");

    let attempts = mesh.sink.attempts();
    let [batch] = attempts.as_slice() else {
        panic!("not one batch: {attempts:#?}");
    };
    println!("bytes a record: {}", batch.coded_bytes / BATCH);
    assert!(is_compressed(batch), "{batch:?}");
    assert!(batch.coded_bytes * 10 < BATCH * RECORD_BYTES_IN_JSON);
}

#[tokio::test]
async fn a_compressed_batch_is_the_same_in_each_attempt() {
    let mesh = example(NAME).await;
    mesh.sink
        .answer_next([Answer::Status(503, ""), Answer::Status(429, "")]);
    let context = "c".repeat(4096);
    mesh.get("/other", &[TRACK, ("x-session-context", &context)])
        .await;

    mesh.settled(1).await;
    let attempts = mesh.sink.attempts();
    let [first, rest @ ..] = attempts.as_slice() else {
        panic!("no attempt");
    };
    assert_eq!(rest.len(), 2);
    for attempt in rest {
        assert_eq!(attempt.body, first.body);
        assert_eq!(
            attempt.header("idempotency-key"),
            first.header("idempotency-key")
        );
    }
    assert!(attempts.iter().all(is_compressed));
}
