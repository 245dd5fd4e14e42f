//! One line of a file in which a pipeline keeps records: a flat record, or a whole OTLP request, as
//! the file exporter of the OpenTelemetry Collector writes it. Rotel's Kafka exporter writes the
//! list of a request's resources alone.

use super::{json, ndjson, surrogates};
use crate::record::Content;

/// Names of the only field that a request of logs has (`logs_service.proto`).
const OTLP_REQUEST: [&str; 2] = ["\"resourceLogs\"", "\"resource_logs\""];

/// Decodes a line, and calls `each` for every record of it. Records of a request are made one after
/// the other, so a line takes a small multiple of its own length whatever its attributes are. Half
/// surrogates become U+FFFD.
///
/// # Errors
///
/// When the line is no record and no request. The text completes the sentence "line 1 is", and
/// names the column.
pub fn decode_line(line: &mut [u8], mut each: impl FnMut(Content)) -> Result<(), String> {
    surrogates::replace_halves(line);
    if !is_request(line) {
        return ndjson::content(line).map(each);
    }

    let text = str::from_utf8(line).map_err(|error| format!("not valid UTF-8: {error}"))?;
    json::for_each(text, &mut each)
        .map_err(|error| ndjson::reason(&error, "not an OTLP logs request"))
}

fn is_request(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let Some(fields) = line.strip_prefix(b"{") else {
        return line.starts_with(b"[");
    };
    let first = fields.trim_ascii_start();
    OTLP_REQUEST
        .iter()
        .any(|name| first.starts_with(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(line: &str) -> Result<Vec<Content>, String> {
        let mut contents = Vec::new();
        decode_line(&mut line.as_bytes().to_vec(), |content| {
            contents.push(content);
        })?;
        Ok(contents)
    }

    #[test]
    fn a_request_on_a_line_gives_the_records_of_the_same_body() {
        let request = include_str!("../../../tests/fixtures/otlp-batch.json");
        let records = super::super::decode_json(request.as_bytes()).unwrap();
        let contents: Vec<_> = records.into_iter().map(|record| record.content).collect();
        assert_eq!(decode(request).unwrap(), contents);

        let parsed: serde_json::Value = serde_json::from_str(request).unwrap();
        let resources = parsed["resourceLogs"].to_string();
        assert_eq!(decode(&resources).unwrap(), contents);
    }

    #[test]
    fn a_request_may_repeat_more_than_a_body_may() {
        let long = "x".repeat(900);
        let records = vec!["{}"; 20_001].join(",");
        let line = format!(
            r#" {{ "resource_logs":[{{"resource":{{"attributes":[{{"key":"host.name","value":{{"stringValue":"{long}"}}}}]}},"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#
        );

        let mut count = 0;
        decode_line(&mut line.clone().into_bytes(), |content| {
            assert_eq!(content.text("host.name"), Some(long.as_str()));
            count += 1;
        })
        .unwrap();
        assert_eq!(count, 20_001);
        assert!(super::super::decode_json(line.as_bytes()).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named_with_its_column() {
        for (line, expected) in [
            (
                "7",
                "not a record: invalid type: integer `7`, expected an object at column 1",
            ),
            (
                "[7]",
                "not an OTLP logs request: invalid type: integer `7`, expected an object at column 2",
            ),
            (
                r#"{"a":1"#,
                "not valid JSON: EOF while parsing an object at column 6",
            ),
            (
                r#"{"resourceLogs":7}"#,
                "not an OTLP logs request: invalid type: integer `7`, expected a sequence at column 17",
            ),
            (
                r#"{"resourceSpans":[]}"#,
                "not a record: it is a request of OTLP",
            ),
        ] {
            let why = decode(line).expect_err(line);
            assert!(why.starts_with(expected), "{line}: {why}");
        }
    }
}
