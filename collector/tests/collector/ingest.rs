//! Effects of a valid `POST /v1/logs` on the store.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::common::{
    Collector, MAX_BODY_BYTES, RECEIVED_AT, batch, gzip, record, uids, without_place,
};

#[tokio::test]
async fn an_empty_request_is_good() {
    let collector = Collector::start().await;
    let answer = collector.post("{}").await;
    assert_eq!((answer.status, answer.body), (200, json!({})));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(collector.records().await.is_empty());
}

#[tokio::test]
async fn a_record_comes_back_with_all_it_had() {
    let collector = Collector::start().await;
    let sent = json!({
        "timeUnixNano": "1783072800000000001",
        "observedTimeUnixNano": "1783072800000000002",
        "severityNumber": 9,
        "eventName": "audit.http",
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "body": {"stringValue": "Paßwort ändern ✓ success"},
        "attributes": [
            {"key": "log.record.uid", "value": {"stringValue": "aud_1"}},
            {"key": "audit.action", "value": {"stringValue": "Paßwort ändern ✓"}},
            {"key": "audit.sequence.number", "value": {"intValue": "9007199254740993"}},
            {"key": "audit.correlation.number", "value": {"intValue": 9007199254740995_i64}},
            {"key": "audit.duration_ms", "value": {"doubleValue": 0.1}},
            {"key": "audit.header_conflict", "value": {"boolValue": true}},
        ],
    });
    let answer = collector.post(batch(&[sent])).await;
    assert_eq!((answer.status, answer.body), (200, json!({})));

    let expected = json!({
        "time_unix_nano": "1783072800000000001",
        "observed_time_unix_nano": "1783072800000000002",
        "severity_number": 9,
        "event_name": "audit.http",
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174",
        "body": "Paßwort ändern ✓ success",
        "service.name": "shop",
        "audit.stream.id": "stream-1",
        "audit.batch.id": "batch-1",
        "log.record.uid": "aud_1",
        "audit.action": "Paßwort ändern ✓",
        "audit.sequence.number": 9_007_199_254_740_993_i64,
        "audit.correlation.number": 9_007_199_254_740_995_i64,
        "audit.duration_ms": 0.1,
        "audit.header_conflict": true,
    });

    let mut records = collector.records().await;
    assert_eq!(records[0]["received_at_unix_nano"], RECEIVED_AT.to_string());
    assert_eq!(
        (&records[0]["position"], &records[0]["flags"]),
        (&json!(1), &json!([]))
    );

    without_place(&mut records[0]);
    assert_eq!(records, [expected]);
}

#[tokio::test]
async fn the_columns_hold_what_is_searched_for() {
    let collector = Collector::start().await;
    let attributes = [
        ("audit.rule", "check"),
        ("audit.action", "login"),
        ("audit.outcome", "denied"),
        ("user.id", "u1"),
        ("session.id", "s1"),
    ];
    let mut sent = record("aud_1", &attributes);
    let number = json!({"key": "audit.sequence.number", "value": {"intValue": "9007199254740993"}});
    sent["attributes"].as_array_mut().unwrap().push(number);
    assert_eq!(collector.post(batch(&[sent])).await.status, 200);

    let columns = "stream_id, service_name, rule, action, outcome, user_id, session_id";
    let found: (String, i64) = collector
        .other_connection()
        .query_row(
            &format!("SELECT concat_ws('|', {columns}), sequence_number FROM records_view"),
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();

    assert_eq!(
        found,
        (
            "stream-1|shop|check|login|denied|u1|s1".to_owned(),
            9_007_199_254_740_993
        )
    );
}

#[tokio::test]
async fn a_replayed_batch_adds_nothing() {
    let collector = Collector::start().await;
    let sent = batch(&[record("aud_1", &[]), record("aud_2", &[])]);
    for _ in 0..3 {
        let answer = collector.post(sent.clone()).await;
        assert_eq!((answer.status, answer.body), (200, json!({})));
    }
    assert_eq!(uids(&collector.records().await), ["aud_2", "aud_1"]);
}

#[tokio::test]
async fn a_uid_in_two_batches_is_kept_once_as_it_came_first() {
    let collector = Collector::start().await;
    collector
        .post(batch(&[record("aud_1", &[("audit.action", "first")])]))
        .await;

    let again = record("aud_1", &[("audit.action", "second")]);
    let answer = collector.post(batch(&[again, record("aud_2", &[])])).await;
    assert_eq!(answer.status, 200);

    let records = collector.records().await;
    assert_eq!(uids(&records), ["aud_2", "aud_1"]);
    assert_eq!(records[1]["audit.action"], "first");
}

#[tokio::test]
async fn a_uid_twice_in_one_batch_is_kept_once() {
    let collector = Collector::start().await;
    let answer = collector
        .post(batch(&[record("aud_1", &[]), record("aud_1", &[])]))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

#[tokio::test]
async fn records_without_a_uid_are_kept_once_over_a_replay() {
    let collector = Collector::start().await;
    let sent = batch(&[json!({"timeUnixNano": "1"}), json!({"timeUnixNano": "2"})]);
    for _ in 0..2 {
        assert_eq!(collector.post(sent.clone()).await.status, 200);
    }
    let records = collector.records().await;
    assert_eq!(records.len(), 2);
    assert!(uids(&records).iter().all(|uid| uid.starts_with("sha256:")));
}

#[tokio::test]
async fn the_usual_spellings_of_content_type_and_encoding_are_good() {
    let collector = Collector::start().await;
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json ;v=1",
    ] {
        let answer = collector
            .post_with(&[("content-type", content_type)], "{}")
            .await;
        assert_eq!(answer.status, 200, "{content_type}");
    }

    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "identity"),
    ];
    assert_eq!(collector.post_with(&headers, "{}").await.status, 200);
}

#[tokio::test]
async fn a_gzip_request_is_stored() {
    let collector = Collector::start().await;
    let sent = gzip(batch(&[record("aud_1", &[("user.name", "Zoë")])]).as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "GZIP"),
    ];
    assert_eq!(collector.post_with(&headers, sent).await.status, 200);
    assert_eq!(collector.records().await[0]["user.name"], "Zoë");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_good() {
    let collector = Collector::start().await;
    let mut sent = batch(&[record("aud_1", &[])]);
    sent.push_str(&" ".repeat(MAX_BODY_BYTES - sent.len()));
    assert_eq!(collector.post(sent.clone()).await.status, 200);

    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(
        collector
            .post_with(&headers, gzip(sent.as_bytes()))
            .await
            .status,
        200
    );
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_the_same_time_are_all_stored_and_a_shared_uid_once() {
    let collector = Arc::new(Collector::start().await);
    let mut requests = JoinSet::new();
    for number in 0..8 {
        let collector = Arc::clone(&collector);
        let sent = batch(&[
            record("aud_shared", &[]),
            record(&format!("aud_{number}"), &[]),
        ]);
        requests.spawn(async move { collector.post(sent).await.status });
    }
    assert_eq!(requests.join_all().await, [200; 8]);

    let records = collector.records().await;
    let mut stored = uids(&records);
    stored.sort_unstable();

    let expected = [
        "aud_0",
        "aud_1",
        "aud_2",
        "aud_3",
        "aud_4",
        "aud_5",
        "aud_6",
        "aud_7",
        "aud_shared",
    ];
    assert_eq!(stored, expected);
}
