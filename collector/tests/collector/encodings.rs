//! The three formats of `POST /v1/logs`: equal records, and answers in the encoding of the request.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use serde_json::{Value, json};

use crate::common::{
    Answer, Collector, MAX_BODY_BYTES, RECEIVED_AT, batch, gzip, protobuf, record, uids,
};

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// Records in the batch of [`golden`].
pub(crate) const GOLDEN_RECORDS: usize = 14;

/// The golden batch of the filter, in each format.
pub(crate) fn golden() -> [((&'static str, &'static str), Vec<u8>); 3] {
    let file = |name: &str| {
        std::fs::read(format!(
            "{}/../tests/fixtures/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    let json = file("otlp-batch.json");
    let protobuf = protobuf(&json);

    [
        (JSON, json),
        (PROTOBUF, protobuf),
        (NDJSON, file("batch.ndjson")),
    ]
}

/// HTTP status, `google.rpc.Status` code and message of a protobuf answer.
pub(crate) fn status(answer: &Answer) -> (u16, i32, String) {
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    let status = Status::decode(answer.bytes.as_slice()).unwrap();
    (answer.status, status.code, status.message)
}

#[tokio::test]
async fn the_filters_batch_gives_equal_records_in_all_formats() {
    let mut stored = Vec::new();
    for (format, body) in golden() {
        let collector = Collector::start().await;
        assert_eq!(
            collector.post_with(&[format], body).await.status,
            200,
            "{format:?}"
        );
        stored.push(collector.records().await);
    }

    assert_eq!(stored[0].len(), GOLDEN_RECORDS);
    assert_eq!(stored[1], stored[0], "protobuf");
    assert_eq!(stored[2], stored[0], "ndjson");
}

#[tokio::test]
async fn a_batch_sent_again_in_another_format_adds_nothing() {
    let collector = Collector::start().await;
    for (format, body) in golden() {
        assert_eq!(collector.post_with(&[format], body).await.status, 200);
        assert_eq!(
            collector.records().await.len(),
            GOLDEN_RECORDS,
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn records_without_a_uid_are_kept_once_over_all_formats() {
    let collector = Collector::start().await;
    let mut sent = record("", &[("a", "1")]);
    sent["attributes"].as_array_mut().unwrap().remove(0);

    let otlp = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [sent]}]}]}).to_string();
    let line =
        r#"{"a":"1","time_unix_nano":1783072800000000001,"event_name":"audit.http","body":null}"#;
    collector
        .post_with(&[PROTOBUF], protobuf(otlp.as_bytes()))
        .await;
    collector.post_with(&[JSON], otlp).await;
    assert_eq!(collector.records().await.len(), 1);

    // The event is one of the filter's, so its body is added to this line.
    collector.post_with(&[NDJSON], line).await;
    assert_eq!(collector.records().await.len(), 2);

    let line = line.replace("audit.http", "other");
    collector.post_with(&[NDJSON], line.clone()).await;
    collector.post_with(&[NDJSON], line).await;
    assert_eq!(collector.records().await.len(), 3);
}

#[tokio::test]
async fn gzip_is_read_in_all_formats() {
    for (format, body) in golden() {
        let collector = Collector::start().await;
        assert_eq!(
            collector
                .post_with(&[format, GZIP], gzip(&body))
                .await
                .status,
            200,
            "{format:?}"
        );

        assert_eq!(
            collector.records().await.len(),
            GOLDEN_RECORDS,
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn other_names_of_formats_and_of_gzip_are_read() {
    let [(_, json), (_, protobuf), (_, lines)] = golden();
    for (format, body) in [
        ("Application/JSON; charset=utf-8", &json),
        ("application/protobuf", &protobuf),
        ("application/ndjson", &lines),
        ("application/jsonl", &lines),
    ] {
        let collector = Collector::start().await;
        let headers = [("content-type", format), ("content-encoding", "x-gzip")];
        let answer = collector.post_with(&headers, gzip(body)).await;
        assert_eq!(answer.status, 200, "{format}");
        assert_eq!(collector.records().await.len(), GOLDEN_RECORDS, "{format}");
    }
}

#[tokio::test]
async fn a_good_answer_is_in_the_encoding_of_the_request() {
    let collector = Collector::start().await;
    for (format, body) in golden() {
        let answer = collector.post_with(&[format], body).await;
        assert_eq!(answer.status, 200);

        if format == PROTOBUF {
            assert_eq!(answer.headers["content-type"], PROTOBUF.1);
            let empty = ExportLogsServiceResponse::default();
            assert_eq!(
                ExportLogsServiceResponse::decode(answer.bytes.as_slice()),
                Ok(empty)
            );
        } else {
            assert_eq!(answer.headers["content-type"], JSON.1);
            assert_eq!(answer.body, json!({}));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_in_the_encoding_of_the_request() {
    let collector = Collector::start().await;
    let answer = collector.post_with(&[PROTOBUF], "{}").await;
    let (http, code, message) = status(&answer);
    assert_eq!((http, code), (400, 3));
    assert!(
        message.starts_with("body is not an OTLP logs request in protobuf: "),
        "{message}"
    );

    let answer = collector
        .post_with(&[PROTOBUF, ("content-encoding", "br")], Vec::new())
        .await;
    assert_eq!(
        status(&answer),
        (
            415,
            3,
            "content-encoding must be gzip, identity or absent".to_owned()
        )
    );

    let answer = collector
        .post_with(&[PROTOBUF], vec![0; MAX_BODY_BYTES + 1])
        .await;
    assert_eq!(
        status(&answer),
        (413, 8, "body is larger than 65536 bytes".to_owned())
    );

    let answer = collector.post_with(&[NDJSON], "oops").await;
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!(3)));
    assert_eq!(collector.records().await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_empty_request_is_good_in_all_formats() {
    let collector = Collector::start().await;
    for (format, body) in [(JSON, "{}"), (PROTOBUF, ""), (NDJSON, ""), (NDJSON, "\n\n")] {
        assert_eq!(
            collector.post_with(&[format], body).await.status,
            200,
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn equal_records_of_one_request_are_kept_and_a_replay_adds_nothing() {
    let log =
        json!({"timeUnixNano": "1783072800000000000", "body": {"stringValue": "login failed"}});
    let otlp = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log, log, log]}]}]});
    let otlp = otlp.to_string();
    let line = r#"{"time_unix_nano":1783072800000000000,"body":"login failed"}"#;

    let collector = Collector::start().await;
    for (format, body) in [
        (JSON, otlp.clone().into_bytes()),
        (JSON, otlp.clone().into_bytes()),
        (PROTOBUF, protobuf(otlp.as_bytes())),
        (NDJSON, [line; 3].join("\n").into_bytes()),
        (NDJSON, [line; 2].join("\n").into_bytes()),
    ] {
        assert_eq!(collector.post_with(&[format], body).await.status, 200);
        assert_eq!(collector.records().await.len(), 3, "{format:?}");
    }
}

#[tokio::test]
async fn a_record_with_an_observed_time_only_is_found_by_it() {
    let observed = RECEIVED_AT - 3_600_000_000_000;
    let log = json!({"observedTimeUnixNano": observed.to_string()});
    let otlp = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]});
    let otlp = otlp.to_string();
    let line = format!(r#"{{"observed_time_unix_nano":{observed}}}"#);

    for (format, body) in [
        (JSON, otlp.clone().into_bytes()),
        (PROTOBUF, protobuf(otlp.as_bytes())),
        (NDJSON, line.into_bytes()),
    ] {
        let collector = Collector::start().await;
        assert_eq!(collector.post_with(&[format], body).await.status, 200);

        let query = format!("from={observed}&to={}", observed + 1);
        let found = collector.list(&query).await;
        assert_eq!(found.len(), 1, "{format:?}");
        assert_eq!(found[0]["time_unix_nano"], observed.to_string());
        assert_eq!(found[0]["flags"], json!([]));
    }
}

/// JavaScript cuts a text between the halves of a pair.
#[tokio::test]
async fn a_cut_emoji_does_not_keep_its_batch_out() {
    for (format, body) in [
        (
            JSON,
            batch(&[
                record("aud_1", &[("user.name", "Zo?")]),
                record("aud_2", &[]),
            ]),
        ),
        (
            NDJSON,
            r#"{"log.record.uid":"aud_1","user.name":"Zo?"}"#.to_owned(),
        ),
    ] {
        let collector = Collector::start().await;
        let body = body.replace("Zo?", r"Zo\ud83d");
        assert_eq!(collector.post_with(&[format], body).await.status, 200);
        let records = collector.records().await;
        let kept = records
            .iter()
            .find(|record| record["log.record.uid"] == "aud_1");
        assert_eq!(kept.unwrap()["user.name"], "Zo\u{fffd}", "{format:?}");
    }
}

#[tokio::test]
async fn a_wrong_line_is_refused_with_its_number_and_keeps_the_others_out() {
    let collector = Collector::start().await;
    let line = |uid: &str| format!("{{\"log.record.uid\":\"{uid}\"}}\n");
    let sent = line("aud_1") + &line("aud_2") + "{\"log.record.uid\":\n" + &line("aud_3");
    let answer = collector.post_with(&[NDJSON], sent).await;
    let message = "line 3 is not valid JSON: EOF while parsing a value at column 18";
    assert_eq!(
        (answer.status, answer.body),
        (400, json!({"code": 3, "message": message}))
    );
    assert_eq!(collector.records().await, [Value::Null; 0]);

    collector.post(batch(&[record("aud_good", &[])])).await;
    assert_eq!(uids(&collector.records().await), ["aud_good"]);
}
