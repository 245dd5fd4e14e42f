//! Bad requests: one clear sentence each, none of their records is stored, and the next good
//! request is.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};

use crate::common::{Answer, Collector, MAX_BODY_BYTES, batch, gzip, record, uids};

const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Sends one bad request and then a good one, and checks that only the good one is stored. Returns
/// the first answer.
async fn refused(headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let collector = Collector::start().await;
    let answer = collector.post_with(headers, body).await;
    assert_eq!(collector.records().await, [Value::Null; 0]);

    assert_eq!(
        collector
            .post(batch(&[record("aud_good", &[])]))
            .await
            .status,
        200
    );
    assert_eq!(uids(&collector.records().await), ["aud_good"]);
    assert_eq!(answer.headers["content-type"], "application/json");

    answer
}

fn status(answer: &Answer) -> (u16, i64, &str) {
    (
        answer.status,
        answer.body["code"].as_i64().unwrap(),
        answer.body["message"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    for body in ["", "oops", "{", "{} x"] {
        let answer = refused(&[JSON], body).await;
        let (http, code, message) = status(&answer);
        assert_eq!((http, code), (400, 3), "{body}");
        assert!(
            message.starts_with("body is not valid JSON: ")
                && message.contains(" at line 1 column "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_wrong_shape_is_refused() {
    let scopes_as_object = r#"{"resourceLogs":[{"scopeLogs":{}}]}"#;
    for body in ["[]", "\"text\"", r#"{"resourceLogs":7}"#, scopes_as_object] {
        let answer = refused(&[JSON], body).await;
        let (http, code, message) = status(&answer);
        assert_eq!((http, code), (400, 3), "{body}");
        assert!(
            message.starts_with("body is not an OTLP logs request: "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn one_bad_record_keeps_the_good_ones_of_its_request_out() {
    let mut bad = record("aud_bad", &[]);
    bad["timeUnixNano"] = json!("yesterday");
    let answer = refused(
        &[JSON],
        batch(&[record("aud_1", &[]), bad, record("aud_2", &[])]),
    )
    .await;
    assert_eq!(status(&answer).0, 400);
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let sent = batch(&[record("aud_1", &[])]);
    let sentence =
        "content-type must be application/json, application/x-protobuf or application/x-ndjson";

    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/grpc")],
    ] {
        let answer = refused(headers, sent.clone()).await;
        assert_eq!(status(&answer), (415, 3, sentence), "{headers:?}");
    }
}

#[tokio::test]
async fn another_content_encoding_is_refused() {
    for encoding in ["br", "deflate", "gzip, gzip", "zstd", ""] {
        let answer = refused(
            &[JSON, ("content-encoding", encoding)],
            batch(&[record("aud_1", &[])]),
        )
        .await;
        let expected = (415, 3, "content-encoding must be gzip, identity or absent");
        assert_eq!(status(&answer), expected, "{encoding}");
    }
}

#[tokio::test]
async fn broken_gzip_is_refused() {
    let whole = gzip(batch(&[record("aud_1", &[])]).as_bytes());
    let cut = whole[..whole.len() / 2].to_vec();
    let trailing = [&whole[..], b"junk"].concat();
    let mut damaged = whole.clone();
    let middle = damaged.len() - 6;
    damaged[middle] ^= 0xff;

    for body in [b"{}".to_vec(), Vec::new(), cut, trailing, damaged] {
        let answer = refused(&[JSON, GZIP], body).await;
        assert_eq!(status(&answer), (400, 3, "body is not valid gzip"));
    }
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let answer = refused(&[JSON], " ".repeat(MAX_BODY_BYTES + 1)).await;
    assert_eq!(status(&answer), (413, 8, "body is larger than 65536 bytes"));
}

#[tokio::test]
async fn an_endless_body_is_refused_without_reading_to_its_end() {
    let answer = refused(&[JSON], endless()).await;
    assert_eq!(status(&answer), (413, 8, "body is larger than 65536 bytes"));
}

fn endless() -> Body {
    let chunk = Ok::<_, Infallible>(Bytes::from(vec![b' '; 1000]));
    Body::from_stream(stream::repeat(chunk))
}

#[tokio::test]
async fn a_gzip_bomb_is_refused() {
    let bomb = gzip(&vec![b' '; 50 * MAX_BODY_BYTES]);
    assert!(
        bomb.len() < MAX_BODY_BYTES,
        "the compressed size is within the limit"
    );

    let answer = refused(&[JSON, GZIP], bomb).await;
    assert_eq!(
        status(&answer),
        (
            413,
            8,
            "body is larger than 65536 bytes after decompression"
        )
    );
}

#[tokio::test]
async fn a_gzip_bomb_is_not_inflated_to_its_end() {
    let mut bomb = gzip(&vec![b' '; 50 * MAX_BODY_BYTES]);
    // The damage shows only when the body is read to its end.
    bomb.truncate(bomb.len() - 8);
    let answer = refused(&[JSON, GZIP], bomb).await;
    assert_eq!(status(&answer).0, 413);
}

#[tokio::test]
async fn too_many_records_are_refused() {
    let sent = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        vec!["{}"; 20_001].join(",")
    );
    let answer = refused(&[JSON], sent).await;
    assert_eq!(
        status(&answer),
        (413, 8, "body has more than 20000 records")
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let collector = Collector::start().await;
    assert_eq!(collector.get("/v1/traces").await.status, 404);
    assert_eq!(collector.get("/v1/logs").await.status, 405);
}
