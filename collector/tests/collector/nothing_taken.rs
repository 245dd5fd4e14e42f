//! Bodies without records: refused when their content is unknown, since 2xx would acknowledge it.

use serde_json::Value;

use crate::common::Collector;
use crate::encodings::{NDJSON, PROTOBUF, golden, status};

#[tokio::test]
async fn a_body_of_which_nothing_is_taken_is_refused() {
    let collector = Collector::start().await;
    let line = String::from_utf8(golden()[2].1.clone()).unwrap();
    let first = line.lines().next().unwrap();
    for body in [
        r#"{"resourceSpans":[{}]}"#,
        r#"{"resourceLogs":[],"resourceMetrics":[]}"#,
        r#"{"resourceLogs":[{"instrumentationLibraryLogs":[{"logRecords":[{"name":"n"}]}]}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"log_record":[{}]}]}]}"#,
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a"}]},"scopeLogs":[{"logRecords":[{"msg":"m"}]}]}]}"#,
        first,
    ] {
        let answer = collector.post(body.to_owned()).await;
        let message = answer.body["message"].as_str().unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            message.starts_with("body has nothing to store: "),
            "{message}"
        );
        assert!(message.contains(" has no field `"), "{message}");
    }

    // Field 2 of a request; field 1000 of a group, where SDKs had the records before 2022; field 13
    // of a record.
    for body in ["1200", "0a05c23e020a00", "0a0612041202680a"] {
        let body = hex::decode(body).unwrap();
        let answer = collector.post_with(&[PROTOBUF], body).await;
        let (http, _, message) = status(&answer);
        assert_eq!(http, 400, "{message}");
        assert!(
            message.starts_with("body has nothing to store: "),
            "{message}"
        );
    }

    let answer = collector
        .post_with(&[NDJSON], r#"{"resourceLogs":[]}"#)
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(collector.records().await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_body_without_records_but_of_known_fields_is_good() {
    let collector = Collector::start().await;
    for body in [
        r#"{"resourceLogs":[]}"#,
        r#"{"resource_logs":[{"resource":null,"schema_url":"u","scope_logs":[{"scope":{"name":"n"}}]}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"INFO","flags":1}]}]}]}"#,
    ] {
        assert_eq!(collector.post(body.to_owned()).await.status, 200, "{body}");
    }
    let schema = hex::decode("0a031a0175").unwrap();
    let answer = collector.post_with(&[PROTOBUF], schema).await;
    assert_eq!(answer.status, 200);
}
