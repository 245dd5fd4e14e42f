//! The status of a call: number, name, source, and message.

use std::borrow::Cow;

use crate::recorder::bounds::clipped;
use crate::recorder::uri::escapes::escape;

/// A call's status; `None` for a missing or unreadable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(Option<u32>);

/// Names of the codes 0 to 16 (gRPC core, `doc/statuscodes.md`).
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Status {
    /// No status was sent.
    pub const MISSING: Self = Self(None);
    /// Code 0.
    pub const OK: Self = Self(Some(0));
    /// Code 2.
    pub const UNKNOWN: Self = Self(Some(2));
    /// Code 7.
    pub const PERMISSION_DENIED: Self = Self(Some(7));
    /// Code 16.
    pub const UNAUTHENTICATED: Self = Self(Some(16));

    /// Reads the value of `grpc-status`.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let digits = value.iter().all(u8::is_ascii_digit);
        Self(
            std::str::from_utf8(value)
                .ok()
                .filter(|_| digits)
                .and_then(|text| text.parse().ok()),
        )
    }

    /// Parses a code of the Connect protocol ("Error Codes"): the gRPC names in lower case,
    /// `canceled` with one `l`. `None` for any other word.
    #[must_use]
    pub fn of_connect(code: &[u8]) -> Option<Self> {
        if code == b"canceled" {
            return Some(Self(Some(1)));
        }
        let is_lower = !code.iter().any(u8::is_ascii_uppercase);
        let status = Self::of_name(&code.to_ascii_uppercase())?;
        (is_lower && status != Self::OK && status.0 != Some(1)).then_some(status)
    }

    /// Parses a name such as `PERMISSION_DENIED`.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let index = NAMES.iter().position(|known| known.as_bytes() == name)?;
        Some(Self(u32::try_from(index).ok()))
    }

    /// The status that a client derives from the HTTP status if `grpc-status` is missing (gRPC
    /// core, `doc/http-grpc-status-mapping.md`).
    #[must_use]
    pub fn from_http(status: u16) -> Self {
        Self(Some(match status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        }))
    }

    /// The name on the wire: `PERMISSION_DENIED`, `CODE(17)` for a number without a name, else
    /// `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        let Some(code) = self.0 else {
            return Cow::Borrowed("UNKNOWN");
        };
        let known = usize::try_from(code)
            .ok()
            .and_then(|index| NAMES.get(index));

        known.map_or_else(
            || Cow::Owned(format!("CODE({code})")),
            |name| Cow::Borrowed(*name),
        )
    }
}

/// Longest `error.message` in bytes, after decoding.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Decodes a percent-encoded `grpc-message` (gRPC over HTTP/2, "Percent-Encoded"); bytes outside
/// valid escapes stay.
#[must_use]
pub fn decode_message(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len().min(MAX_MESSAGE_BYTES + 1));
    let mut rest = value;
    while let (Some((&byte, tail)), true) = (rest.split_first(), out.len() <= MAX_MESSAGE_BYTES) {
        let decoded = escape(rest);
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() {
            rest.get(3..).unwrap_or_default()
        } else {
            tail
        };
    }

    out.truncate(clipped(&out, MAX_MESSAGE_BYTES).len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_names() {
        for (value, expected) in [
            ("0", "OK"),
            ("7", "PERMISSION_DENIED"),
            ("16", "UNAUTHENTICATED"),
            ("17", "CODE(17)"),
            ("4294967295", "CODE(4294967295)"),
            ("99999999999", "UNKNOWN"),
            ("+7", "UNKNOWN"),
            ("-1", "UNKNOWN"),
            ("x", "UNKNOWN"),
            ("", "UNKNOWN"),
        ] {
            assert_eq!(Status::parse(value.as_bytes()).name(), expected, "{value}");
        }

        assert_eq!(Status::MISSING.name(), "UNKNOWN");
        assert_eq!(Status::from_http(403), Status::PERMISSION_DENIED);
        assert_eq!(Status::from_http(418).name(), "UNKNOWN");
    }

    #[test]
    fn connect_has_its_own_spelling() {
        for (code, expected) in [
            ("permission_denied", Some("PERMISSION_DENIED")),
            ("canceled", Some("CANCELLED")),
            ("unauthenticated", Some("UNAUTHENTICATED")),
            ("ok", None),
            ("PERMISSION_DENIED", None),
            ("x", None),
            ("", None),
        ] {
            let found = Status::of_connect(code.as_bytes()).map(Status::name);
            assert_eq!(found.as_deref(), expected, "{code}");
        }
    }

    #[test]
    fn messages_are_decoded_and_bounded() {
        assert_eq!(
            decode_message(b"bad t%C3%B6k%C3%A9n 100%25"),
            "bad t\u{f6}k\u{e9}n 100%".as_bytes()
        );
        assert_eq!(decode_message(b"50% off %zz"), b"50% off %zz");
        assert_eq!(decode_message(&[b'x'; 9000]).len(), MAX_MESSAGE_BYTES);
        assert_eq!(
            decode_message("%E2%82%AC".repeat(300).as_bytes()),
            "\u{20ac}".repeat(170).as_bytes()
        );
    }
}
