//! The session context of a record: a JSON object, or one in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::ledger::entry::searched;

/// Accepts the output of any encoder: with or without padding, and with any unused bits.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);

/// The fields of a context; `None` when it is not an object.
pub(super) fn read(context: &str) -> Option<Map<String, Value>> {
    let context = context.trim_ascii();
    if context.starts_with('{') {
        return serde_json::from_str(context).ok();
    }
    let standard: Vec<_> = context.bytes().map(to_standard).collect();
    serde_json::from_slice(&BASE64.decode(standard).ok()?).ok()
}

/// Maps the URL-safe alphabet to the standard one.
fn to_standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// The text of a field, at most 256 bytes. A string is taken as it is, another value as JSON; null
/// has none.
pub(super) fn field(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(searched(text)),
        other => Some(searched(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(context: &str) -> Option<String> {
        field(&read(context)?, "country")
    }

    #[test]
    fn a_context_is_read_in_every_usual_spelling() {
        let spellings = [
            r#" {"country":"é?>~DE"} "#,
            "eyJjb3VudHJ5Ijoiw6k/Pn5ERSJ9",
            "eyJjb3VudHJ5Ijoiw6k_Pn5ERSJ9",
            "eyJjb3VudHJ5Ijoiw6k/Pn5ERSIgfQ==",
            "eyJjb3VudHJ5Ijoiw6k/Pn5ERSIgfQ",
        ];

        for spelling in spellings {
            assert_eq!(country(spelling).as_deref(), Some("é?>~DE"), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for context in [
            "",
            "{",
            "[1]",
            "abc",
            "WzFd",
            "é",
            "====",
            "sha256:00",
            "\0",
        ] {
            assert_eq!(read(context), None, "{context}");
        }
    }

    #[test]
    fn a_field_is_a_short_text() {
        let long = format!(r#"{{"country":"{}"}}"#, "é".repeat(200));
        assert_eq!(country(&long), Some("é".repeat(128)));

        for (value, text) in [
            ("7", Some("7")),
            ("true", Some("true")),
            ("[1]", Some("[1]")),
            ("null", None),
            (r#""""#, Some("")),
        ] {
            assert_eq!(
                country(&format!(r#"{{"country":{value}}}"#)).as_deref(),
                text,
                "{value}"
            );
        }

        assert_eq!(
            country(r#"{"country":"a\u0000b"}"#).as_deref(),
            Some("a\u{fffd}b")
        );
    }
}
