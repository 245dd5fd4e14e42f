//! Decoding of lines, and refusals with the number of the line.

use serde_json::json;

use super::super::limits::{MAX_RECORDS, MAX_VALUES};
use super::super::{Format, MAX_MESSAGE_CHARS};
use super::*;
use crate::record::Attributes;

fn read(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    Format::Ndjson.check(&mut body.to_vec())?.decode()
}

fn one(line: &str) -> Content {
    let mut records = read(line.as_bytes()).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0).content
}

fn error(body: impl AsRef<[u8]>) -> String {
    read(body.as_ref()).unwrap_err().to_string()
}

#[test]
fn fields_and_attributes_are_told_apart() {
    let content = one(
        r#"{"time_unix_nano":1,"observed_time_unix_nano":"2","event_name":"e","severity_number":13,
        "trace_id":"5B8EFFF798038103D269B633813FC60C","span_id":"eee19b7ec3c1b174","body":"b",
        "log.record.uid":"aud_1","audit.sequence.number":9007199254740993,"audit.duration_ms":1.250,"x":[{"b":1,"a":null}]}"#
            .replace('\n', "")
            .as_str(),
    );

    let attributes = [
        ("log.record.uid", json!("aud_1")),
        ("audit.sequence.number", json!(9_007_199_254_740_993_i64)),
        ("audit.duration_ms", json!(1.25)),
        ("x", json!([{"a": null, "b": 1}])),
    ];
    let expected = Content {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 13,
        event_name: "e".to_owned(),
        trace_id: Some("5b8efff798038103d269b633813fc60c".to_owned()),
        span_id: Some("eee19b7ec3c1b174".to_owned()),
        body: Some("b".to_owned()),
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
    };

    assert_eq!(content, expected);
}

#[test]
fn absent_and_null_fields_are_empty() {
    let nulls = r#"{"time_unix_nano":null,"severity_number":null,"event_name":null,"trace_id":null,"body":null}"#;
    for line in [
        "{}",
        nulls,
        r#"{"trace_id":"ab","span_id":"0000000000000000"}"#,
    ] {
        assert_eq!(one(line), Content::default(), "{line}");
    }
}

#[test]
fn blank_lines_and_a_missing_last_newline_do_not_count() {
    for body in ["{}\n{}\n", "{}\n{}", "\n{}\r\n \t\n{}\r\n\n"] {
        assert_eq!(read(body.as_bytes()).unwrap().len(), 2, "{body:?}");
    }
    assert_eq!(read(b""), Ok(Vec::new()));
}

#[test]
fn a_line_of_the_filter_gets_the_body_that_the_filter_writes_in_otlp() {
    let cases = [
        (
            r#"{"event_name":"audit.http","audit.action":"GET /check","audit.outcome":"success"}"#,
            Some("GET /check success"),
        ),
        (
            r#"{"event_name":"audit.rpc","audit.action":"a","audit.stage":"received"}"#,
            Some("a received"),
        ),
        (
            r#"{"event_name":"audit.loss","audit.loss.count":3}"#,
            Some("audit.loss"),
        ),
        (
            r#"{"event_name":"audit.http","audit.action":"a","body":"given"}"#,
            Some("given"),
        ),
        (
            r#"{"event_name":"other","audit.action":"a","audit.outcome":"success"}"#,
            None,
        ),
    ];

    for (line, body) in cases {
        assert_eq!(one(line).body.as_deref(), body, "{line}");
    }
}

#[test]
fn a_body_that_is_no_string_is_kept_as_json_text() {
    assert_eq!(
        one(r#"{"body":{"b":1,"a":[true]}}"#).body.as_deref(),
        Some(r#"{"a":[true],"b":1}"#)
    );
}

#[test]
fn a_time_beyond_the_year_2262_is_the_last_one() {
    let content = one(
        r#"{"time_unix_nano":9223372036854775808,"observed_time_unix_nano":"18446744073709551615"}"#,
    );
    assert_eq!(
        (content.time_unix_nano, content.observed_time_unix_nano),
        (i64::MAX, i64::MAX)
    );
}

#[test]
fn a_wrong_line_is_refused_with_its_number() {
    let not_json = ["oops", "{", "{} {}", "{\"a\":NaN}"];
    for line in not_json {
        let message = error(format!("{{}}\n\n{line}\n{{}}\n"));
        assert!(
            message.starts_with("line 3 is not valid JSON: ") && message.contains(" at column "),
            "{line}: {message}"
        );
    }

    let no_record = [
        "[]",
        "7",
        "null",
        r#"{"time_unix_nano":-1}"#,
        r#"{"time_unix_nano":"soon"}"#,
        r#"{"time_unix_nano":1.5}"#,
        r#"{"severity_number":"INFO"}"#,
        r#"{"event_name":7}"#,
        r#"{"trace_id":7}"#,
    ];
    for line in no_record {
        let message = error(format!("{{}}\n{line}"));
        assert!(
            message.starts_with("line 2 is not a record: ") && message.contains(" at column "),
            "{line}: {message}"
        );
        assert!(!message.contains("line 1"), "{line}: {message}");
    }

    assert!(error(b"{}\n{\"a\":\"\xff\"}").starts_with("line 2 is not valid UTF-8: "));
}

#[test]
fn deep_nesting_is_refused_and_a_long_text_is_not_repeated() {
    assert!(error(format!("{{\"a\":{}", "[".repeat(10_000))).contains("recursion limit"));
    let message = error(format!(r#"{{"time_unix_nano":"{}"}}"#, "é".repeat(100_000)));
    assert!(
        message.chars().count() < MAX_MESSAGE_CHARS + 100,
        "{message}"
    );
}

#[test]
fn the_number_of_records_and_of_values_is_bounded_before_they_are_read() {
    let body = "{}\n".repeat(MAX_RECORDS);
    assert_eq!(read(body.as_bytes()).unwrap().len(), MAX_RECORDS);

    // Not JSON: parsing this line would give another error.
    let too_large = |message: &str| Err(DecodeError::TooLarge(message.to_owned()));
    assert_eq!(
        read((body + "oops").as_bytes()),
        too_large("body has more than 20000 records")
    );

    let values = |number: usize| format!(r#"{{"a":[0{}"#, ",0".repeat(number - 2));
    assert!(error(values(MAX_VALUES)).starts_with("line 1 is not valid JSON"));
    assert_eq!(
        read(values(MAX_VALUES + 1).as_bytes()),
        too_large("body has more than 1000000 values")
    );
}

#[test]
fn an_attribute_given_twice_is_the_last_one() {
    let attributes = Attributes::from([("a".to_owned(), json!(2))]);
    assert_eq!(
        one(r#"{"a":1,"a":2}"#),
        Content {
            attributes,
            ..Content::default()
        }
    );
}
