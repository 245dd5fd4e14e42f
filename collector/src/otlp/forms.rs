//! What protobuf's JSON mapping allows to be written in several forms.

use serde_json::json;

use super::decode_json;
use super::tests::{one_record, one_value};

#[test]
fn whole_numbers_are_read_in_every_form_of_protobufs_json() {
    for (number, expected) in [
        ("5.0", 5),
        ("1e3", 1000),
        ("-12.50E1", -125),
        ("5000e-3", 5),
        ("-0", 0),
        ("0e999999999999", 0),
        ("9007199254740992e0", 1 << 53),
        ("-9223372036854775808", i64::MIN),
    ] {
        for number in [number.to_owned(), format!("\"{number}\"")] {
            let value = one_value(&format!(r#"{{"intValue":{number}}}"#));
            assert_eq!(value, json!(expected), "{number}");
        }
    }

    let largest = one_value(r#"{"intValue":"9.223372036854775807e18"}"#);
    assert_eq!(largest, json!(i64::MAX));

    for time in ["1.795327495874873001e18", "1795327495874873001.0"] {
        let record = one_record(&format!(r#"{{"timeUnixNano":"{time}"}}"#));
        let nanoseconds = record.content.time_unix_nano;
        assert_eq!(nanoseconds, 1_795_327_495_874_873_001, "{time}");
    }
}

/// A bare number with an exponent is a double, so it has 53 bits.
#[test]
fn a_number_that_is_not_whole_or_too_large_is_refused() {
    for number in ["0.5", "1e30", "\"0.5\"", "\"1e30\"", "\"\"", "true"] {
        let body = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":{number}}}]}}]}}]}}"#
        );
        assert!(decode_json(body.as_bytes()).is_err(), "{number}");
    }
}

/// With its feature `raw_value`, serde_json reads this key as the text of another value.
#[test]
fn no_key_has_a_meaning_for_the_reader_of_json() {
    const KEY: &str = "$serde_json::private::RawValue";
    let value = one_value(&format!(
        r#"{{"kvlistValue":{{"values":[{{"key":"{KEY}","value":{{"stringValue":"no json"}}}}]}}}}"#
    ));
    assert_eq!(value, json!({KEY: "no json"}));

    let stored = value.to_string();
    let read: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, value);
}

#[test]
fn a_severity_is_read_by_number_and_by_name() {
    for severity in ["9", "9.0", "\"9\"", "\"SEVERITY_NUMBER_INFO\""] {
        let record = one_record(&format!(r#"{{"severityNumber":{severity}}}"#));
        assert_eq!(record.content.severity_number, 9, "{severity}");
    }
}

#[test]
fn fields_are_read_by_their_names_in_the_proto_files_too() {
    let camel = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":1}}]},
        "scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1","observedTimeUnixNano":"2",
        "severityNumber":9,"eventName":"e","traceId":"5b8efff798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","body":{"stringValue":"b"},"attributes":[
        {"key":"b","value":{"boolValue":true}},{"key":"c","value":{"doubleValue":0.5}},
        {"key":"d","value":{"bytesValue":"aaaa"}},
        {"key":"e","value":{"arrayValue":{"values":[{"stringValue":"s"}]}}},
        {"key":"f","value":{"kvlistValue":{"values":[{"key":"g","value":{"intValue":"2"}}]}}}]}]}]}]}"#;
    let snake: String = camel
        .split('"')
        .map(|text| match text.find(char::is_uppercase) {
            Some(_) => text.chars().fold(String::new(), |text, letter| {
                let word = if letter.is_uppercase() { "_" } else { "" };
                text + word + &letter.to_lowercase().to_string()
            }),
            None => text.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\"");
    assert!(snake.contains("observed_time_unix_nano") && !snake.contains("Value"));

    let records = decode_json(camel.as_bytes()).unwrap();
    assert_eq!((records.len(), records[0].content.attributes.len()), (1, 6));
    assert_eq!(decode_json(snake.as_bytes()).unwrap(), records);
}

#[test]
fn bytes_are_kept_in_one_alphabet_with_padding() {
    for (sent, kept) in [
        ("-_8", "+/8="),
        ("+/8=", "+/8="),
        ("-_8=", "+/8="),
        ("", ""),
        ("not base64!", "not base64!"),
    ] {
        let value = one_value(&format!(r#"{{"bytesValue":"{sent}"}}"#));
        assert_eq!(value, json!(kept), "{sent}");
    }
}
