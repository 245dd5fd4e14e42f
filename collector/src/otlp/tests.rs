//! Decoding of OTLP JSON, field by field.

use serde_json::json;

use super::limits::{MAX_RECORDS, MAX_REPEATED_BYTES, MAX_VALUES};
use super::*;

pub(super) fn one_record(record: &str) -> Record {
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    let mut records = decode_json(body.as_bytes()).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

pub(super) fn one_value(value: &str) -> Value {
    let record = one_record(&format!(
        r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#
    ));
    record.content.attributes["k"].clone()
}

fn error(body: &str) -> String {
    decode_json(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn all_fields_are_read() {
    let record = one_record(
        r#"{"timeUnixNano":"1783072800000000001","observedTimeUnixNano":1783072800000000002,"severityNumber":13,
            "eventName":"audit.http","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
            "body":{"stringValue":"GET /check denied"},"flags":1,"droppedAttributesCount":0,
            "attributes":[{"key":"log.record.uid","value":{"stringValue":"aud_1"}}]}"#,
    );

    let expected = Content {
        time_unix_nano: 1_783_072_800_000_000_001,
        observed_time_unix_nano: 1_783_072_800_000_000_002,
        severity_number: 13,
        event_name: "audit.http".to_owned(),
        trace_id: Some("5b8efff798038103d269b633813fc60c".to_owned()),
        span_id: Some("eee19b7ec3c1b174".to_owned()),
        body: Some("GET /check denied".to_owned()),
        attributes: Attributes::from([("log.record.uid".to_owned(), "aud_1".into())]),
    };

    assert_eq!(
        record,
        Record {
            uid: "aud_1".to_owned(),
            content: expected
        }
    );
}

#[test]
fn absent_and_null_fields_are_empty() {
    let nulls = r#"{"timeUnixNano":null,"severityNumber":null,"eventName":null,"traceId":null,"body":null,
                    "attributes":null}"#;
    for record in ["{}", nulls, r#"{"body":{}}"#] {
        assert_eq!(one_record(record).content, Content::default(), "{record}");
    }

    for body in [
        "{}",
        r#"{"resourceLogs":null}"#,
        r#"{"resourceLogs":[{"resource":null,"scopeLogs":null}]}"#,
    ] {
        assert_eq!(decode_json(body.as_bytes()), Ok(Vec::new()), "{body}");
    }
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    let body = r#"{"x":1,"resourceLogs":[{"x":{"y":[1]},"resource":{"x":1,"attributes":[]},"schemaUrl":"u",
        "scopeLogs":[{"x":1,"scope":{"name":"n","x":1},"logRecords":[{"x":[{}],"eventName":"e",
        "attributes":[{"x":1,"key":"k","value":{"x":{"y":1},"stringValue":"s"}}]}]}]}]}"#;
    let records = decode_json(body.as_bytes()).unwrap();
    assert_eq!(records[0].content.event_name, "e");
    assert_eq!(records[0].content.text("k"), Some("s"));
}

#[test]
fn every_type_of_value_is_read() {
    let cases = [
        (r#"{"stringValue":"Größe 😀"}"#, json!("Größe 😀")),
        (r#"{"boolValue":false}"#, json!(false)),
        (r#"{"intValue":"9223372036854775807"}"#, json!(i64::MAX)),
        (
            r#"{"intValue":-9007199254740993}"#,
            json!(-9_007_199_254_740_993_i64),
        ),
        (r#"{"doubleValue":0.1}"#, json!(0.1)),
        (r#"{"doubleValue":2}"#, json!(2.0)),
        (r#"{"doubleValue":"1.5"}"#, json!(1.5)),
        (r#"{"doubleValue":"NaN"}"#, json!("NaN")),
        (r#"{"doubleValue":"-Infinity"}"#, json!("-Infinity")),
        (r#"{"bytesValue":"AQI="}"#, json!("AQI=")),
        (
            r#"{"arrayValue":{"values":[{"intValue":"1"},{}]}}"#,
            json!([1, null]),
        ),
        (r#"{"arrayValue":{}}"#, json!([])),
        (
            r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}"#,
            json!({"a": true}),
        ),
        (r#"{"kvlistValue":{}}"#, json!({})),
        ("{}", json!(null)),
        ("null", json!(null)),
    ];

    for (value, expected) in cases {
        assert_eq!(one_value(value), expected, "{value}");
    }
}

#[test]
fn the_attribute_of_the_record_wins_over_that_of_the_resource() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":1}},
        {"key":"b","value":{"intValue":1}}]},
        "scopeLogs":[{"logRecords":[{"attributes":[{"key":"b","value":{"intValue":2}}]},{}]}]}]}"#;
    let records = decode_json(body.as_bytes()).unwrap();

    let numbers = |index: usize| {
        (
            records[index].content.integer("a"),
            records[index].content.integer("b"),
        )
    };

    assert_eq!(numbers(0), (Some(1), Some(2)));
    assert_eq!(numbers(1), (Some(1), Some(1)));
}

#[test]
fn the_attributes_of_a_scope_are_kept_between_those_of_resource_and_record() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":1}}]},"scopeLogs":[
        {"scope":{"attributes":[{"key":"a","value":{"intValue":2}},{"key":"b","value":{"intValue":2}}]},
         "logRecords":[{},{"attributes":[{"key":"a","value":{"intValue":3}}]}]},
        {"scope":null,"logRecords":[{}]}]}]}"#;
    let records = decode_json(body.as_bytes()).unwrap();
    let numbers = |index: usize| {
        (
            records[index].content.integer("a"),
            records[index].content.integer("b"),
        )
    };

    assert_eq!(
        (numbers(0), numbers(1), numbers(2)),
        ((Some(2), Some(2)), (Some(3), Some(2)), (Some(1), None))
    );
}

#[test]
fn the_copies_of_scope_attributes_are_bounded() {
    let body = |bytes: usize| {
        let attribute = format!(
            r#"{{"key":"k","value":{{"stringValue":"{}"}}}}"#,
            "x".repeat(bytes)
        );
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{{"attributes":[{attribute}]}},"logRecords":[{{}},{{}},{{}}]}}]}}]}}"#
        )
    };

    let largest = MAX_REPEATED_BYTES / 2 - 3;
    assert_eq!(decode_json(body(largest).as_bytes()).unwrap().len(), 3);
    let message = "attributes of resource and scope are too large for that many records, together more than 16777216 bytes";
    assert_too_large(&body(largest + 1), message);
}

#[test]
fn an_invalid_trace_id_is_no_trace_id() {
    for id in [
        "",
        "W47/95gDgQPSabYzgT/GDA==",
        "00000000000000000000000000000000",
        "5b8efff798038103d269b633813fc6",
    ] {
        assert_eq!(
            one_record(&format!(r#"{{"traceId":"{id}"}}"#))
                .content
                .trace_id,
            None,
            "{id}"
        );
    }
}

#[test]
fn a_body_that_is_no_string_is_kept_as_json_text() {
    let record =
        one_record(r#"{"body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}}"#);
    assert_eq!(record.content.body.as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn a_derived_uid_does_not_depend_on_the_order_of_attributes() {
    let a = r#"{"key":"a","value":{"kvlistValue":{"values":[{"key":"x"},{"key":"y"}]}}}"#;
    let a_turned = r#"{"key":"a","value":{"kvlistValue":{"values":[{"key":"y"},{"key":"x"}]}}}"#;
    let b = r#"{"key":"b","value":{"boolValue":true}}"#;
    let first = one_record(&format!(r#"{{"attributes":[{a},{b}]}}"#));
    let turned = one_record(&format!(r#"{{"attributes":[{b},{a_turned}]}}"#));
    assert_eq!(first.uid, turned.uid);
}

#[test]
fn a_time_beyond_the_year_2262_is_the_last_one() {
    for time in [
        "\"9223372036854775808\"",
        "9223372036854775808",
        "\"18446744073709551615\"",
        "18446744073709551615",
    ] {
        let content = one_record(&format!(
            r#"{{"timeUnixNano":{time},"observedTimeUnixNano":{time}}}"#
        ))
        .content;
        assert_eq!(
            (content.time_unix_nano, content.observed_time_unix_nano),
            (i64::MAX, i64::MAX),
            "{time}"
        );
    }

    assert_eq!(
        one_record(r#"{"timeUnixNano":"9223372036854775806"}"#)
            .content
            .time_unix_nano,
        i64::MAX - 1
    );
}

#[test]
fn wrong_shapes_are_refused_with_their_place() {
    let record = |record: &str| {
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#)
    };
    let value = |value: &str| {
        record(&format!(
            r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#
        ))
    };

    let cases = [
        "[]".to_owned(),
        "7".to_owned(),
        "null".to_owned(),
        r#"{"resourceLogs":{}}"#.to_owned(),
        r#"{"resourceLogs":[[]]}"#.to_owned(),
        record(r#"["1"]"#),
        record("null"),
        record(r#"{"timeUnixNano":"soon"}"#),
        record(r#"{"timeUnixNano":"-1"}"#),
        record(r#"{"timeUnixNano":-1}"#),
        record(r#"{"timeUnixNano":1.5}"#),
        record(r#"{"timeUnixNano":"18446744073709551616"}"#),
        record(r#"{"timeUnixNano":"1.5"}"#),
        record(r#"{"timeUnixNano":1e-3}"#),
        record(r#"{"timeUnixNano":"1e400"}"#),
        record(r#"{"timeUnixNano":"0x10"}"#),
        record(r#"{"timeUnixNano":"1e"}"#),
        record(r#"{"timeUnixNano":"1."}"#),
        record(r#"{"timeUnixNano":[1]}"#),
        record(r#"{"severityNumber":"INFO"}"#),
        record(r#"{"severityNumber":2147483648}"#),
        record(r#"{"attributes":{"k":"v"}}"#),
        value(r#""bare""#),
        value(r#"{"intValue":"1.5"}"#),
        value(r#"{"intValue":1.5}"#),
        value(r#"{"intValue":9223372036854775808}"#),
        value(r#"{"intValue":true}"#),
        value(r#"{"doubleValue":"much"}"#),
        value(r#"{"stringValue":7}"#),
        value(r#"{"stringValue":"s","intValue":"1"}"#),
    ];

    for body in cases {
        let message = error(&body);
        assert!(
            message.starts_with("body is not an OTLP logs request: "),
            "{body}: {message}"
        );
        assert!(message.contains(" at line 1 column "), "{body}: {message}");
        assert!(!message.contains("line 0"), "{body}: {message}");
    }
}

#[test]
fn text_that_is_not_json_is_refused_with_its_place() {
    for body in [
        "",
        "{",
        "{} {}",
        "{\"a\":\"\u{1}\"}",
        "<xml/>",
        r#"{"resourceLogs":[{"resource":"#,
    ] {
        let message = error(body);
        assert!(
            message.starts_with("body is not valid JSON: "),
            "{body}: {message}"
        );
        assert!(message.contains(" at line 1 column "), "{body}: {message}");
    }

    assert!(error("{\n\n  oops}").ends_with(" at line 3 column 3"));
    let message = decode_json(b"{\"a\":\"\xff\"}").unwrap_err().to_string();
    assert_eq!(
        message,
        "body is not valid UTF-8: invalid utf-8 sequence of 1 bytes from index 6"
    );
}

#[test]
fn deep_nesting_is_refused_and_a_long_text_is_not_repeated() {
    let deep = r#"{"arrayValue":{"values":["#.repeat(10_000);
    let message = error(&format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#
    ));
    assert!(message.contains("recursion limit"), "{message}");

    let long = format!(r#"{{"resourceLogs":"{}"}}"#, "é".repeat(100_000));
    let message = error(&long);
    assert!(
        message.chars().count() < MAX_MESSAGE_CHARS + 100,
        "{message}"
    );
    assert!(message.contains(" at line 1 column "), "{message}");
}

/// A request with one resource attribute of this many bytes, and with this many empty records in
/// each of two scopes.
fn request(attribute_bytes: usize, records_per_scope: usize) -> String {
    let text = "x".repeat(attribute_bytes);
    let records = vec!["{}"; records_per_scope].join(",");
    let scope = format!(r#"{{"logRecords":[{records}]}}"#);
    let attribute = format!(r#"{{"key":"k","value":{{"stringValue":"{text}"}}}}"#);
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{attribute}]}},"scopeLogs":[{scope},{scope}]}}]}}"#
    )
}

fn assert_too_large(body: &str, message: &str) {
    let error = decode_json(body.as_bytes()).unwrap_err();
    assert_eq!(error, DecodeError::TooLarge(message.to_owned()));
}

#[test]
fn the_number_of_records_is_bounded() {
    assert_eq!(
        decode_json(request(1, MAX_RECORDS / 2).as_bytes())
            .unwrap()
            .len(),
        MAX_RECORDS
    );

    assert_too_large(
        &request(1, MAX_RECORDS / 2 + 1),
        "body has more than 20000 records",
    );
}

#[test]
fn the_number_of_objects_is_bounded_before_they_are_read() {
    let objects = |number| format!(r#"{{"resourceLogs":[{}]}}"#, vec!["{}"; number].join(","));
    assert_eq!(
        decode_json(objects(MAX_VALUES - 1).as_bytes()),
        Ok(Vec::new())
    );
    assert_too_large(
        &objects(MAX_VALUES),
        "body has more than 1000000 opening braces",
    );
}

#[test]
fn the_copies_of_resource_attributes_are_bounded() {
    // Name and quotes count, too; the first of the 4 records is not a copy.
    let largest = MAX_REPEATED_BYTES / 3 - 3;
    assert_eq!(
        decode_json(request(largest, 2).as_bytes()).unwrap().len(),
        4
    );
    let message = "attributes of resource and scope are too large for that many records, together more than 16777216 bytes";
    assert_too_large(&request(largest + 1, 2), message);
}
