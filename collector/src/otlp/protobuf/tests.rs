//! Decoding of OTLP in protobuf: equal to that of its JSON.

use opentelemetry_proto::tonic::common::v1::{
    ArrayValue, EntityRef, InstrumentationScope, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::json;

use super::super::Format;
use super::super::limits::{MAX_RECORDS, MAX_REPEATED_BYTES, MAX_VALUES};
use super::*;

fn read(body: &[u8]) -> Result<Vec<Record>, DecodeError> {
    Format::Protobuf.check(&mut body.to_vec())?.decode()
}

fn group(log_records: Vec<LogRecord>) -> ResourceLogs {
    ResourceLogs {
        scope_logs: vec![ScopeLogs {
            log_records,
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    }
}

fn request(groups: Vec<ResourceLogs>) -> Vec<u8> {
    ExportLogsServiceRequest {
        resource_logs: groups,
    }
    .encode_to_vec()
}

fn one(log: LogRecord) -> Content {
    let mut records = read(&request(vec![group(vec![log])])).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0).content
}

fn attribute(key: &str, value: Typed) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn one_value(value: Option<Typed>) -> Value {
    let attribute = KeyValue {
        key: "k".to_owned(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    };

    one(LogRecord {
        attributes: vec![attribute],
        ..LogRecord::default()
    })
    .attributes["k"]
        .clone()
}

/// A field of this number with these bytes.
fn delimited(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![field << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut all);
    all.extend_from_slice(bytes);
    all
}

fn too_large<T>(message: &str) -> Result<T, DecodeError> {
    Err(DecodeError::TooLarge(message.to_owned()))
}

#[test]
fn all_fields_are_read() {
    let log = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 13,
        event_name: "audit.http".to_owned(),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        body: Some(AnyValue {
            value: Some(Typed::StringValue("b".to_owned())),
        }),
        attributes: vec![attribute(
            "log.record.uid",
            Typed::StringValue("aud_1".to_owned()),
        )],
        ..LogRecord::default()
    };

    let expected = Content {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 13,
        event_name: "audit.http".to_owned(),
        trace_id: Some("ab".repeat(16)),
        span_id: Some("cd".repeat(8)),
        body: Some("b".to_owned()),
        attributes: Attributes::from([("log.record.uid".to_owned(), "aud_1".into())]),
    };

    assert_eq!(one(log), expected);
    assert_eq!(one(LogRecord::default()), Content::default());
}

#[test]
fn every_type_of_value_is_the_same_as_in_json() {
    let array = ArrayValue {
        values: vec![
            AnyValue {
                value: Some(Typed::IntValue(1)),
            },
            AnyValue::default(),
        ],
    };
    let list = KeyValueList {
        values: vec![
            attribute("b", Typed::BoolValue(true)),
            attribute("a", Typed::IntValue(1)),
        ],
    };

    let cases = [
        (Typed::StringValue("Größe 😀".to_owned()), json!("Größe 😀")),
        (Typed::BoolValue(false), json!(false)),
        (Typed::IntValue(i64::MIN), json!(i64::MIN)),
        (Typed::DoubleValue(2.0), json!(2.0)),
        (Typed::DoubleValue(f64::NAN), json!("NaN")),
        (Typed::DoubleValue(f64::NEG_INFINITY), json!("-Infinity")),
        (Typed::BytesValue(vec![1, 2]), json!("AQI=")),
        (Typed::ArrayValue(array), json!([1, null])),
        (Typed::KvlistValue(list), json!({"a": 1, "b": true})),
        (Typed::StringValueStrindex(7), json!(null)),
    ];

    for (value, expected) in cases {
        assert_eq!(one_value(Some(value)), expected);
    }
    assert_eq!(one_value(None), Value::Null);
}

#[test]
fn an_id_of_the_wrong_length_or_of_zeros_is_no_id() {
    for bytes in [0, 7, 9, 15, 17, 1000] {
        let log = LogRecord {
            trace_id: vec![1; bytes],
            span_id: vec![1; bytes],
            ..LogRecord::default()
        };
        assert_eq!(one(log), Content::default(), "{bytes}");
    }

    let zeros = LogRecord {
        trace_id: vec![0; 16],
        span_id: vec![0; 8],
        ..LogRecord::default()
    };
    assert_eq!(one(zeros), Content::default());
}

#[test]
fn a_time_beyond_the_year_2262_is_the_last_one() {
    for time in [i64::MAX as u64 + 1, u64::MAX] {
        let content = one(LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            ..LogRecord::default()
        });
        assert_eq!(
            (content.time_unix_nano, content.observed_time_unix_nano),
            (i64::MAX, i64::MAX)
        );
    }
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    let unknown = [delimited(15, b"\xff not UTF-8"), vec![14 << 3, 7]].concat();
    let with = |known: &[u8]| [known, &unknown].concat();

    let value = with(&delimited(1, b"v"));
    let attribute = with(&[delimited(1, b"k"), delimited(2, &value)].concat());
    let log = with(&delimited(6, &attribute));
    let scope = with(&delimited(2, &log));
    let group = with(&[delimited(1, &unknown), delimited(2, &scope)].concat());
    let records = read(&with(&delimited(1, &group))).unwrap();
    assert_eq!(
        records[0].content.attributes,
        Attributes::from([("k".to_owned(), "v".into())])
    );
}

#[test]
fn the_attribute_of_the_record_wins_over_that_of_the_resource() {
    let log = LogRecord {
        attributes: vec![attribute("b", Typed::IntValue(2))],
        ..LogRecord::default()
    };

    let attributes = vec![
        attribute("a", Typed::IntValue(1)),
        attribute("b", Typed::IntValue(1)),
    ];
    let resource = Some(Resource {
        attributes,
        ..Resource::default()
    });

    let records = read(&request(vec![ResourceLogs {
        resource,
        ..group(vec![log])
    }]))
    .unwrap();
    assert_eq!(
        (
            records[0].content.integer("a"),
            records[0].content.integer("b")
        ),
        (Some(1), Some(2))
    );
}

#[test]
fn the_attributes_of_a_scope_are_kept_between_those_of_resource_and_record() {
    let resource = Resource {
        attributes: vec![attribute("a", Typed::IntValue(1))],
        ..Resource::default()
    };
    let log = LogRecord {
        attributes: vec![attribute("c", Typed::IntValue(3))],
        ..LogRecord::default()
    };
    let attributes = ["a", "b", "c"]
        .map(|name| attribute(name, Typed::IntValue(2)))
        .to_vec();

    let mut group = ResourceLogs {
        resource: Some(resource),
        ..group(vec![log])
    };
    group.scope_logs[0].scope = Some(InstrumentationScope {
        attributes,
        ..InstrumentationScope::default()
    });

    let records = read(&request(vec![group])).unwrap();
    let numbers = ["a", "b", "c"].map(|name| records[0].content.integer(name));
    assert_eq!(numbers, [Some(2), Some(2), Some(3)]);
}

#[test]
fn what_is_not_protobuf_is_refused() {
    let cut = request(vec![group(vec![LogRecord {
        event_name: "e".to_owned(),
        ..LogRecord::default()
    }])]);
    let not_text = delimited(1, &delimited(2, &delimited(2, &delimited(12, b"\xff"))));
    let wrong_type = delimited(1, &delimited(2, &delimited(2, &delimited(1, b"12345678"))));

    for body in [
        &cut[..cut.len() - 1],
        &not_text,
        &wrong_type,
        b"{}",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let message = read(body).unwrap_err().to_string();
        assert!(
            message.starts_with("body is not an OTLP logs request in protobuf: "),
            "{body:?}: {message}"
        );
        assert!(message.chars().count() < 300, "{message}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut value = Vec::new();
    while value.len() < 60_000 {
        value = delimited(5, &delimited(1, &value));
    }
    let body = delimited(1, &delimited(2, &delimited(2, &delimited(5, &value))));
    let message = read(&body).unwrap_err().to_string();
    assert!(message.contains("nested too deep"), "{message}");
}

#[test]
fn the_number_of_records_is_bounded_before_they_are_made() {
    assert_eq!(
        read(&request(vec![group(vec![
            LogRecord::default();
            MAX_RECORDS
        ])]))
        .unwrap()
        .len(),
        MAX_RECORDS
    );

    let half = || group(vec![LogRecord::default(); MAX_RECORDS / 2 + 1]);
    let body = request(vec![half(), half()]);
    assert_eq!(
        Format::Protobuf.check(&mut body.clone()).map(|_| ()),
        too_large("body has more than 20000 records")
    );
}

#[test]
fn the_number_of_messages_is_bounded_before_they_are_made() {
    let message = "body has more than 1000000 values";
    let groups = |number| request(vec![ResourceLogs::default(); number]);

    assert_eq!(
        Format::Protobuf
            .check(&mut groups(MAX_VALUES))
            .unwrap()
            .values(),
        MAX_VALUES
    );
    assert_eq!(
        Format::Protobuf
            .check(&mut groups(MAX_VALUES + 1))
            .map(|_| ()),
        too_large(message)
    );

    let texts = EntityRef {
        id_keys: vec![String::new(); MAX_VALUES],
        ..EntityRef::default()
    };
    let resource = Some(Resource {
        entity_refs: vec![texts],
        ..Resource::default()
    });
    let body = request(vec![ResourceLogs {
        resource,
        ..ResourceLogs::default()
    }]);
    assert_eq!(
        Format::Protobuf.check(&mut body.clone()).map(|_| ()),
        too_large(message)
    );
}

#[test]
fn the_copies_of_resource_attributes_are_bounded() {
    let body = |bytes| {
        let attributes = vec![attribute("k", Typed::StringValue("x".repeat(bytes)))];
        let resource = Some(Resource {
            attributes,
            ..Resource::default()
        });
        request(vec![ResourceLogs {
            resource,
            ..group(vec![LogRecord::default(); 4])
        }])
    };

    // Name and quotes count, too; the first of the 4 records is not a copy.
    let largest = MAX_REPEATED_BYTES / 3 - 3;
    assert_eq!(read(&body(largest)).unwrap().len(), 4);
    let message = "attributes of resource and scope are too large for that many records, together more than 16777216 bytes";
    assert_eq!(read(&body(largest + 1)), too_large(message));
}
