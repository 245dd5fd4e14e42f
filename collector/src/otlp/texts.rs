//! Half surrogates in the texts of a protobuf request. A sender in JavaScript may encode a text that
//! was cut within an emoji as if its half were a character. Protobuf requires UTF-8, so its reader
//! would refuse the body with all its records.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::scan::{Kind, MAX_DEPTH};
use super::surrogates::{may_have_encoded, replace_encoded};

/// Replaces them by U+FFFD, in place: it has as many bytes. A body that cannot be parsed is left as
/// it is from there on.
pub(super) fn replace_halves(body: &mut [u8]) {
    if may_have_encoded(body) {
        // `None` means that the rest cannot be parsed, which the decoder reports.
        let _ = replace_in(Kind::Logs, body, MAX_DEPTH);
    }
}

fn replace_in(kind: Kind, mut rest: &mut [u8], depth: usize) -> Option<()> {
    let inner_depth = depth.checked_sub(1)?;

    while !rest.is_empty() {
        let mut view = &*rest;
        let (tag, wire_type) = decode_key(&mut view).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut view, DecodeContext::default()).ok()?;
            let behind = rest.len() - view.len();
            rest = rest.get_mut(behind..)?;
            continue;
        }

        let length = usize::try_from(decode_varint(&mut view).ok()?).ok()?;
        let begin = rest.len() - view.len();
        let (content, behind) = rest.get_mut(begin..)?.split_at_mut_checked(length)?;
        if kind.has_text(tag) {
            replace_encoded(content);
        } else if let Some(inner) = kind.of_field(tag) {
            replace_in(inner, content, inner_depth)?;
        }
        rest = behind;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message as _;

    use super::*;

    /// Three bytes that a test replaces by an encoded half, wherever they are.
    const MARK: &str = "~~~";
    const HALF: &[u8] = b"\xed\xa0\xbd";

    /// A request with these three bytes in its texts, as the value of bytes, and in a number.
    fn request(text: &str, raw: &[u8; 3]) -> Vec<u8> {
        let [first, second, third] = *raw;
        let value = |value| Some(AnyValue { value: Some(value) });
        let attribute = |key: &str, value| KeyValue {
            key: key.to_owned(),
            value,
            ..KeyValue::default()
        };
        let log = LogRecord {
            time_unix_nano: u64::from_le_bytes([first, second, third, 0, 0, 0, 0, 0]),
            event_name: text.to_owned(),
            severity_text: text.to_owned(),
            body: value(Value::StringValue(text.to_owned())),
            attributes: vec![
                attribute(text, value(Value::StringValue(text.to_owned()))),
                attribute("raw", value(Value::BytesValue(raw.to_vec()))),
            ],
            ..LogRecord::default()
        };
        let scope = ScopeLogs {
            log_records: vec![log],
            schema_url: text.to_owned(),
            ..ScopeLogs::default()
        };
        let group = ResourceLogs {
            scope_logs: vec![scope],
            ..ResourceLogs::default()
        };
        ExportLogsServiceRequest {
            resource_logs: vec![group],
        }
        .encode_to_vec()
    }

    #[test]
    fn halves_in_texts_are_replaced_and_equal_bytes_elsewhere_are_not() {
        let raw = HALF.first_chunk().unwrap();
        let mut body = request(MARK, raw);
        while let Some(at) = body.windows(3).position(|part| part == MARK.as_bytes()) {
            body[at..at + 3].copy_from_slice(HALF);
        }
        replace_halves(&mut body);
        assert_eq!(body, request("\u{fffd}", raw));
    }

    #[test]
    fn what_cannot_be_parsed_is_left() {
        for body in [
            &b"\xed\xa0\xbd"[..],
            b"\x0a\x7f\xed\xa0\xbd",
            b"\x0a\x05\x12\xed\xa0\xbd",
        ] {
            let mut mended = body.to_vec();
            replace_halves(&mut mended);
            assert_eq!(mended, body);
        }
    }
}
