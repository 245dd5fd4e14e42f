//! How many records of a batch an OTLP receiver did not accept, from the body of its 2xx answer.
//!
//! Some receivers answer JSON with protobuf, or either under the wrong media type, so the bytes
//! decide. No body can be read as both. In a protobuf message the key of the count is the byte
//! 0x08, or ends in 0x00 in an overlong encoding. No JSON text has such bytes (RFC 8259 section 7).

use prost::Message as _;
use serde_json::Value;

use crate::json::without_bom;

/// Length of the shortest message with a count, in bytes: two keys, a length and a varint.
const SHORTEST_COUNT: usize = 4;

/// The rejected records that the answer reports; 0 if the count is absent, negative or unreadable.
pub(super) fn rejected(body: &[u8]) -> u64 {
    // An empty message, by far the most frequent answer: `{}` or nothing.
    if body.len() < SHORTEST_COUNT {
        return 0;
    }

    let count = match serde_json::from_slice(without_bom(body)) {
        Ok(answer) => in_json(&answer),
        Err(_) => in_protobuf(body),
    };
    count
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or_default()
}

/// ProtoJSON accepts the name of a field in lowerCamelCase and as the .proto file has it, and a
/// null for an absent one.
fn in_json(answer: &Value) -> Option<i64> {
    let partial_success = member(answer, ["partialSuccess", "partial_success"])?;
    int64(member(
        partial_success,
        ["rejectedLogRecords", "rejected_log_records"],
    )?)
}

fn member<'a>(object: &'a Value, names: [&str; 2]) -> Option<&'a Value> {
    names
        .into_iter()
        .filter_map(|name| object.get(name))
        .find(|value| !value.is_null())
}

/// ProtoJSON writes an int64 as a string, and accepts a number, too; both may have a fraction of
/// zero, or an exponent.
fn int64(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => match serde_json::from_slice(text.as_bytes()) {
            Ok(number @ Value::Number(_)) => int64(&number),
            _ => None,
        },
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be a whole number in range"
)]
fn whole(number: f64) -> Option<i64> {
    /// 2^63, one more than the largest int64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && number.abs() < LIMIT).then_some(number as i64)
}

/// `ExportLogsServiceResponse` (opentelemetry/proto/collector/logs/v1/logs_service.proto) has a
/// message in field 1, which has the count, an int64, in its field 1. `google.protobuf.BytesValue`
/// and `Int64Value`, for which these two types stand, have the same layout, and skip all other
/// fields.
fn in_protobuf(body: &[u8]) -> Option<i64> {
    let partial_success = Vec::<u8>::decode(body).ok()?;
    i64::decode(partial_success.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: impl AsRef<[u8]>, expected: u64) {
        let body = body.as_ref();
        assert_eq!(
            rejected(body),
            expected,
            "{body:?} {}",
            String::from_utf8_lossy(body)
        );
    }

    /// An answer with this text as its count.
    fn json(count: &str) -> String {
        format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{count},"errorMessage":"why"}}}}"#)
    }

    #[test]
    fn every_number_of_proto_json_is_read() {
        for (count, expected) in [
            ("3", 3),
            (r#""3""#, 3),
            ("3.0", 3),
            (r#""3.0""#, 3),
            ("3e0", 3),
            (r#""3e0""#, 3),
            ("30E-1", 3),
            ("0.3e1", 3),
            ("9223372036854775807", i64::MAX.unsigned_abs()),
            (r#""9223372036854775807""#, i64::MAX.unsigned_abs()),
            ("0", 0),
            (r#""0""#, 0),
            ("-0", 0),
            ("null", 0),
        ] {
            check(json(count), expected);
        }
    }

    #[test]
    fn what_is_no_count_is_none() {
        for count in [
            "-3",
            r#""-3""#,
            "-3.0",
            "3.5",
            r#""3.5""#,
            "9223372036854775808",
            r#""9223372036854775808""#,
            "1e300",
            r#""1e999""#,
            r#""""#,
            r#""three""#,
            r#""NaN""#,
            r#""\"3\"""#,
            r#""[3]""#,
            "true",
            "[3]",
            "{}",
        ] {
            check(json(count), 0);
        }
    }

    #[test]
    fn both_names_of_a_field_are_read() {
        for partial in ["partialSuccess", "partial_success"] {
            for count in ["rejectedLogRecords", "rejected_log_records"] {
                check(format!(r#"{{"{partial}":{{"{count}":"3"}}}}"#), 3);
                check(
                    format!(r#"{{"x":1,"{partial}":{{"{count}":null,"x":[]}}}}"#),
                    0,
                );
            }

            check(format!(r#"{{"{partial}":null}}"#), 0);
            check(format!(r#"{{"{partial}":[3]}}"#), 0);
        }

        check(
            r#"{"partialSuccess":null,"partial_success":{"rejectedLogRecords":null,"rejected_log_records":3}}"#,
            3,
        );
    }

    #[test]
    fn a_json_answer_may_have_space_and_a_byte_order_mark_before_it() {
        check(["\r\n\t ", &json("3"), "\n"].concat(), 3);
        check(["\u{feff}", &json("3")].concat(), 3);
        check([&json("3"), "x"].concat(), 0);
        // A protobuf decoder could read the length of a message after the line feed.
        check(format!("\n{:<123}", json("3")), 3);
    }

    #[test]
    fn a_protobuf_answer_is_read() {
        for (body, expected) in [
            (&[0x0a, 2, 0x08, 1][..], 1),
            (&[0x0a, 3, 0x08, 0xac, 0x02], 300),
            // The error message, before and after the count.
            (&[0x0a, 7, 0x08, 3, 0x12, 3, b'w', b'h', b'y'], 3),
            (&[0x0a, 7, 0x12, 3, b'w', b'h', b'y', 0x08, 3], 3),
            // Fields that this version does not have, of every wire type.
            (
                &[
                    0x10, 9, 0x1a, 1, 0, 0x0a, 2, 0x08, 3, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5,
                    6, 7, 8,
                ],
                3,
            ),
            (&[0x0a, 8, 0x1b, 0x08, 9, 0x1c, 0x08, 3, 0x30, 1], 3),
            // Keys and lengths that take more bytes than they need.
            (&[0x8a, 0, 0x84, 0, 0x88, 0, 0x83, 0], 3),
            // The last of two counts.
            (&[0x0a, 4, 0x08, 9, 0x08, 3], 3),
            (&[0x0a, 0], 0),
            (&[0x0a, 2, 0x08, 0], 0),
            (&[], 0),
        ] {
            check(body, expected);
        }
    }

    #[test]
    fn a_protobuf_answer_that_lies_is_none() {
        let minus_one = [
            0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ];
        for body in [
            &minus_one[..],
            // Cut off, or longer than its length field.
            &[0x0a],
            &[0x0a, 2],
            &[0x0a, 2, 0x08],
            &[0x0a, 3, 0x08, 1],
            &[0x0a, 1, 0x08, 1],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x08, 1],
            &[
                0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            // Of another type than the field is.
            &[0x08, 1],
            &[0x0a, 3, 0x0a, 1, 8],
            // A group without an end, a field without a value, and field 0.
            &[0x0a, 3, 0x1b, 0x08, 1],
            &[0x0a, 3, 0x08, 1, 0x30],
            &[0x02, 0, 0x0a, 2, 0x08, 1],
        ] {
            check(body, 0);
        }

        check("ok\n", 0);
        check("<html>\n\n</html>", 0);
    }

    proptest! {
        #[test]
        fn what_a_receiver_counts_is_read(count: i64, message in "\\PC{0,40}") {
            let expected = u64::try_from(count).unwrap_or_default();
            let partial = serde_json::json!({"rejectedLogRecords": count.to_string(), "errorMessage": message});
            prop_assert_eq!(rejected(serde_json::json!({"partialSuccess": partial}).to_string().as_bytes()), expected);

            let mut partial = count.encode_to_vec();
            prost::encoding::string::encode(2, &message, &mut partial);
            prop_assert_eq!(rejected(&partial.encode_to_vec()), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            rejected(&bytes);
            rejected(&[b"\n", bytes.as_slice()].concat());
        }

        #[test]
        fn a_protobuf_answer_that_counts_is_no_json(count in 1..i64::MAX, junk in prop::collection::vec(any::<u8>(), 0..20)) {
            let partial = [count.encode_to_vec(), junk].concat();
            prop_assert!(serde_json::from_slice::<Value>(&partial.encode_to_vec()).is_err());
        }
    }
}
