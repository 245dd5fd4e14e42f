//! Times in a query string.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::time::SECOND;

/// Units of a span, in seconds.
const UNITS: [(&str, i64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// The forms that [`read`] accepts, for messages.
pub(super) const FORM: &str = "a time as in RFC 3339, a date in UTC such as 2026-11-22, seconds (9 or 10 digits) or \
    nanoseconds (18 or 19 digits) since 1970, or a span back from now such as 15m, 6h or 7d";

/// Why a text is no time; continues a sentence that begins with the name of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TimeError {
    /// None of the forms.
    #[error("must be {FORM}")]
    Form,
    /// So many digits are neither seconds nor nanoseconds: milliseconds, or a date without hyphens.
    #[error("has {0} digits, but seconds have 9 or 10, and nanoseconds 18 or 19")]
    Unit(usize),
    /// As in RFC 3339, but without an offset, so that it depends on a place.
    #[error("has no offset from UTC, such as Z or +02:00")]
    Offset,
    /// A signed number of 64 bits has no room for it.
    #[error("is not between 1970 and 2262")]
    Range,
}

/// Nanoseconds since the Unix epoch. A date is its first moment.
pub(super) fn read(text: &str, now: i64) -> Result<i64, TimeError> {
    let span = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    match span {
        _ if is_number(text) => since_epoch(text),
        Some((digits, seconds)) if is_number(digits) => {
            back(digits, seconds, now).ok_or(TimeError::Range)
        }
        _ if text.len() == DATE => rfc3339(&format!("{text}T00:00:00Z")),
        _ => rfc3339(text).map_err(|error| match rfc3339(&format!("{text}Z")) {
            Err(TimeError::Form) => error,
            _ => TimeError::Offset,
        }),
    }
}

/// Characters of a date.
const DATE: usize = 10;

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The unit follows from the number of digits: with these, both are between 1973 and 2286.
fn since_epoch(digits: &str) -> Result<i64, TimeError> {
    let number = digits.parse::<i64>();
    match digits.len() {
        1 if number == Ok(0) => Ok(0),
        9 | 10 => number
            .ok()
            .and_then(|seconds| seconds.checked_mul(SECOND))
            .ok_or(TimeError::Range),
        18 | 19 => number.map_err(|_| TimeError::Range),
        other => Err(TimeError::Unit(other)),
    }
}

fn back(digits: &str, seconds: i64, now: i64) -> Option<i64> {
    let number: i64 = digits.parse().ok()?;
    now.checked_sub(number.checked_mul(seconds)?.checked_mul(SECOND)?)
}

fn rfc3339(text: &str) -> Result<i64, TimeError> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimeError::Form)?;
    i64::try_from(time.unix_timestamp_nanos()).map_err(|_| TimeError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_783_072_800 * SECOND;

    #[test]
    fn a_time_is_read_in_each_form() {
        for (text, time) in [
            ("0", 0),
            ("1783072800", NOW),
            ("999999999", 999_999_999 * SECOND),
            ("1783072800000000001", NOW + 1),
            ("15m", NOW - 900 * SECOND),
            ("6h", NOW - 6 * 3600 * SECOND),
            ("7d", NOW - 7 * 86_400 * SECOND),
            ("0s", NOW),
            ("2026-07-03", NOW - 10 * 3600 * SECOND),
            ("2026-07-03T10:00:00Z", NOW),
            ("2026-07-03T12:00:00.000000001+02:00", NOW + 1),
            ("1969-12-31T23:59:59Z", -SECOND),
        ] {
            assert_eq!(read(text, NOW), Ok(time), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "m",
            "-1",
            "+1",
            "1.5h",
            "1w",
            "h6",
            "now",
            "2026-7-3",
            "2026-13-01",
            "2026/07/03",
            "é",
            "15 m",
        ] {
            assert_eq!(read(text, NOW), Err(TimeError::Form), "{text}");
        }
    }

    #[test]
    fn a_unit_that_is_not_clear_is_refused() {
        for text in [
            "1783072800000",
            "1783072800000000",
            "20260703",
            "1",
            "00",
            "12345678901234567890",
        ] {
            assert_eq!(read(text, NOW), Err(TimeError::Unit(text.len())), "{text}");
        }
        for text in ["2026-07-03T10:00:00", "2026-07-03T10:00:00.5"] {
            assert_eq!(read(text, NOW), Err(TimeError::Offset), "{text}");
        }
        for text in [
            "9999999999",
            "9223372036854775808",
            "999999999999d",
            "2300-01-01",
            "2300-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text, NOW), Err(TimeError::Range), "{text}");
        }
    }
}
