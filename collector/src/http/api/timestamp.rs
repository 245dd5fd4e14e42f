//! Times in a query string.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::time::SECOND;

/// Units of a span, in seconds.
const UNITS: [(&str, i64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// The forms that [`read`] accepts, for messages.
pub(super) const FORM: &str =
    "a time as in RFC 3339, nanoseconds since 1970, or a span back from now such as 15m, 6h or 7d";

/// Nanoseconds since the Unix epoch; `None` when `text` is not a time, or is beyond the year 2262.
pub(super) fn read(text: &str, now: i64) -> Option<i64> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return i64::try_from(time.unix_timestamp_nanos()).ok();
    }

    let span = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let digits = span.map_or(text, |(digits, _)| digits);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }

    let number: i64 = digits.parse().ok()?;
    match span {
        None => Some(number),
        Some((_, seconds)) => now.checked_sub(number.checked_mul(*seconds)?.checked_mul(SECOND)?),
    }
}

/// As in RFC 3339, in UTC.
pub(super) fn text(unix_nano: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(unix_nano.into()).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_783_072_800 * SECOND;

    #[test]
    fn a_time_is_read_in_three_forms() {
        for (text, time) in [
            ("0", 0),
            ("1783072800000000001", NOW + 1),
            ("15m", NOW - 900 * SECOND),
            ("6h", NOW - 6 * 3600 * SECOND),
            ("7d", NOW - 7 * 86_400 * SECOND),
            ("0s", NOW),
            ("2026-07-03T10:00:00Z", NOW),
            ("2026-07-03T12:00:00.000000001+02:00", NOW + 1),
            ("1969-12-31T23:59:59Z", -SECOND),
        ] {
            assert_eq!(read(text, NOW), Some(time), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        let texts = [
            "",
            "m",
            "-1",
            "+1",
            "1.5h",
            "1w",
            "h6",
            "now",
            "2026-07-03",
            "2026-07-03T10:00:00",
            "é",
            "15 m",
        ];

        for text in texts.into_iter().chain([
            "9223372036854775808",
            "999999999999d",
            "2300-01-01T00:00:00Z",
        ]) {
            assert_eq!(read(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_with_all_its_digits() {
        assert_eq!(text(NOW + 1), "2026-07-03T10:00:00.000000001Z");
    }
}
