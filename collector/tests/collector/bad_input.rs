//! Bad input of each kind in each format: refused or bounded as documented, nothing is stored in
//! part, and the collector keeps serving.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use serde_json::{Value, json};

use crate::common::{Answer, Collector, MAX_BODY_BYTES, batch, gzip, protobuf, record, uids};
use crate::encodings::{JSON, NDJSON, PROTOBUF, golden};

const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Sends one bad request and then a good one, and checks that only the good one is stored.
async fn refused(headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let collector = Collector::start().await;
    let answer = collector.post_with(headers, body).await;
    assert_eq!(collector.records().await, [Value::Null; 0], "{headers:?}");
    assert_eq!(
        collector
            .post(batch(&[record("aud_good", &[])]))
            .await
            .status,
        200
    );
    assert_eq!(uids(&collector.records().await), ["aud_good"]);

    answer
}

/// The records that one good request stores.
async fn stored(format: (&str, &str), body: impl Into<Vec<u8>>) -> Vec<Value> {
    let collector = Collector::start().await;
    let answer = collector.post_with(&[format], body.into()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    collector.records().await
}

fn otlp(log: &Value) -> Vec<u8> {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn truncated_gzip_is_refused_in_all_formats() {
    for (format, body) in golden() {
        let whole = gzip(&body);
        for length in [
            0,
            1,
            9,
            10,
            whole.len() / 2,
            whole.len() - 8,
            whole.len() - 1,
        ] {
            let answer = refused(&[format, GZIP], whole[..length].to_vec()).await;
            assert_eq!(answer.status, 400, "{format:?} {length}");
        }
    }
}

#[tokio::test]
async fn a_gzip_bomb_of_many_members_is_refused_in_all_formats() {
    let member = gzip(&vec![b'\n'; MAX_BODY_BYTES]);
    assert!(MAX_BODY_BYTES / member.len() > 500, "{}", member.len());

    for (format, _) in golden() {
        let answer = refused(
            &[format, GZIP],
            member.repeat(MAX_BODY_BYTES / member.len()),
        )
        .await;
        assert_eq!(answer.status, 413, "{format:?}");
    }
}

#[tokio::test]
async fn empty_gzip_members_are_good() {
    let collector = Collector::start().await;
    let sent = [
        gzip(b""),
        gzip(batch(&[record("aud_1", &[])]).as_bytes()),
        gzip(b""),
    ]
    .concat();
    assert_eq!(collector.post_with(&[JSON, GZIP], sent).await.status, 200);
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

#[tokio::test]
async fn deep_json_is_refused() {
    let deep = format!(r#"{{"resourceLogs":{}"#, "[".repeat(60_000));
    assert_eq!(refused(&[JSON], deep.into_bytes()).await.status, 400);

    let deep = r#"{"arrayValue":{"values":["#.repeat(2000);
    let in_body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    assert_eq!(refused(&[JSON], in_body.into_bytes()).await.status, 400);

    assert_eq!(
        refused(
            &[NDJSON],
            format!("{{\"a\":{}", r#"{"b":"#.repeat(12_000)).into_bytes()
        )
        .await
        .status,
        400
    );
}

#[tokio::test]
async fn deep_protobuf_is_refused() {
    let delimited = |field: u8, inner: &[u8]| {
        let mut all = vec![field << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut all);
        [all.as_slice(), inner].concat()
    };
    let mut value = Vec::new();
    while value.len() < 60_000 {
        value = delimited(6, &delimited(1, &delimited(2, &value)));
    }

    let body = delimited(1, &delimited(2, &delimited(2, &delimited(5, &value))));
    assert_eq!(refused(&[PROTOBUF], body).await.status, 400);
    // As groups, which OTLP messages do not use.
    assert_eq!(
        refused(&[PROTOBUF], vec![15 << 3 | 3; 60_000]).await.status,
        400
    );
}

#[tokio::test]
async fn too_many_records_are_refused_in_all_formats() {
    let scope = ScopeLogs {
        log_records: vec![LogRecord::default(); 20_001],
        ..ScopeLogs::default()
    };
    let group = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    let protobuf = ExportLogsServiceRequest {
        resource_logs: vec![group],
    }
    .encode_to_vec();

    assert!(
        protobuf.len() < 3 * 20_001 + 10,
        "two bytes stand for a record"
    );
    assert_eq!(refused(&[PROTOBUF], protobuf).await.status, 413);
    assert_eq!(
        refused(&[NDJSON], "{}\n".repeat(20_001).into_bytes())
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn numbers_of_64_bits_are_exact_as_numbers_and_as_strings() {
    for number in [
        json!(i64::MAX),
        json!(i64::MAX.to_string()),
        json!(i64::MIN),
        json!(i64::MIN.to_string()),
    ] {
        let exact: i64 = number
            .as_str()
            .map_or_else(|| number.as_i64().unwrap(), |text| text.parse().unwrap());
        let attribute = json!({"key": "n", "value": {"intValue": number}});
        let body =
            otlp(&json!({"timeUnixNano": 9_007_199_254_740_993_i64, "attributes": [attribute]}));

        for (format, body) in [(PROTOBUF, protobuf(&body)), (JSON, body)] {
            let records = stored(format, body).await;
            assert_eq!(
                (&records[0]["n"], &records[0]["time_unix_nano"]),
                (&json!(exact), &json!("9007199254740993"))
            );
        }

        let line = format!(r#"{{"n":{exact},"time_unix_nano":"9007199254740993"}}"#);
        let records = stored(NDJSON, line).await;
        assert_eq!(
            (&records[0]["n"], &records[0]["time_unix_nano"]),
            (&json!(exact), &json!("9007199254740993"))
        );
    }
}

#[tokio::test]
async fn ids_of_the_wrong_length_are_no_ids() {
    for (trace, span) in [
        ("ab", "cd"),
        ("", ""),
        (&"ab".repeat(17), &"cd".repeat(9)),
        (&"zz".repeat(16), "é"),
    ] {
        let body = otlp(&json!({"traceId": trace, "spanId": span}));
        let line = json!({"trace_id": trace, "span_id": span}).to_string();
        for (format, body) in [(JSON, body), (NDJSON, line.into_bytes())] {
            let records = stored(format, body).await;
            assert_eq!(
                (&records[0]["trace_id"], &records[0]["span_id"]),
                (&Value::Null, &Value::Null),
                "{trace}"
            );
        }
    }

    let log = LogRecord {
        trace_id: vec![1; 17],
        span_id: vec![1; 7],
        ..LogRecord::default()
    };
    let scope = ScopeLogs {
        log_records: vec![log],
        ..ScopeLogs::default()
    };
    let group = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };

    let records = stored(
        PROTOBUF,
        ExportLogsServiceRequest {
            resource_logs: vec![group],
        }
        .encode_to_vec(),
    )
    .await;
    assert_eq!(
        (&records[0]["trace_id"], &records[0]["span_id"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let log = json!({"eventName": "e", "later": {"x": [1, {}]}, "attributes": [{"key": "k", "value": {"later": 1}}]});
    let records = stored(JSON, otlp(&log)).await;
    assert_eq!(
        (&records[0]["event_name"], &records[0]["k"]),
        (&json!("e"), &Value::Null)
    );

    let unknown = [
        &[15 << 3 | 2, 3][..],
        b"\xff\x00\xff",
        &[14 << 3 | 1],
        &[7; 8],
        &[0xf8, 0x7f, 1],
    ]
    .concat();
    let known = protobuf(batch(&[record("aud_1", &[])]).as_bytes());
    let records = stored(PROTOBUF, [unknown.clone(), known, unknown].concat()).await;
    assert_eq!(uids(&records), ["aud_1"]);
}

#[tokio::test]
async fn a_uid_twice_in_one_batch_is_kept_once_in_all_formats() {
    let twice = batch(&[
        record("aud_1", &[]),
        record("aud_1", &[]),
        record("aud_2", &[]),
    ]);
    let lines = r#"{"log.record.uid":"aud_1"}"#.to_owned() + "\n" + r#"{"log.record.uid":"aud_1"}"#;

    assert_eq!(
        uids(&stored(PROTOBUF, protobuf(twice.as_bytes())).await),
        ["aud_2", "aud_1"]
    );
    assert_eq!(uids(&stored(JSON, twice).await), ["aud_2", "aud_1"]);
    assert_eq!(uids(&stored(NDJSON, lines).await), ["aud_1"]);
}

#[tokio::test]
async fn times_of_the_far_future_and_past_are_stored() {
    let cases = [
        ("0", "0"),
        ("1", "1"),
        ("18446744073709551615", "9223372036854775807"),
    ];

    for (time, kept) in cases {
        let body = otlp(&json!({"timeUnixNano": time, "observedTimeUnixNano": time}));
        let line = format!(r#"{{"time_unix_nano":{time},"observed_time_unix_nano":"{time}"}}"#);

        for (format, body) in [
            (PROTOBUF, protobuf(&body)),
            (JSON, body),
            (NDJSON, line.into_bytes()),
        ] {
            let records = stored(format, body).await;
            let times = (
                &records[0]["time_unix_nano"],
                &records[0]["observed_time_unix_nano"],
            );
            assert_eq!(times, (&json!(kept), &json!(kept)), "{format:?}");
        }
    }

    let negative = otlp(&json!({"timeUnixNano": "-1"}));
    assert_eq!(refused(&[JSON], negative).await.status, 400);
    assert_eq!(
        refused(&[NDJSON], br#"{"time_unix_nano":-1}"#.to_vec())
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_in_all_formats() {
    for (format, body) in golden() {
        // The action of a record, a string in each format.
        let place = body
            .windows(10)
            .position(|part| part == b"GET /check")
            .unwrap();
        let mut damaged = body;
        damaged[place] = 0xff;
        assert_eq!(refused(&[format], damaged).await.status, 400, "{format:?}");
    }
}

/// Half of an emoji, encoded as if it were a character.
#[tokio::test]
async fn half_surrogates_are_replaced_in_all_formats() {
    for (format, mut body) in golden() {
        let place = body
            .windows(10)
            .position(|part| part == b"GET /check")
            .unwrap();
        body[place + 5..place + 8].copy_from_slice(b"\xed\xa0\xbd");

        let collector = Collector::start().await;
        assert_eq!(collector.post_with(&[format], body).await.status, 200);
        let records = collector.records().await;
        let is_replaced = |record: &Value| record.to_string().contains("GET /\u{fffd}ck");
        assert!(records.iter().any(is_replaced), "{format:?}: {records:?}");
    }
}

#[tokio::test]
async fn a_body_cut_anywhere_is_refused_or_lacks_whole_records_only() {
    let [_, (_, body), _] = golden();
    let collector = Collector::start().await;
    for length in (0..body.len()).step_by(97) {
        let answer = collector
            .post_with(&[PROTOBUF], body[..length].to_vec())
            .await;
        assert_eq!(
            answer.status,
            if length == 0 { 200 } else { 400 },
            "{length}"
        );
    }

    assert_eq!(collector.records().await, [Value::Null; 0]);
}
