//! Times and durations, all in nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

/// A second.
pub const SECOND: i64 = 1_000_000_000;

/// Reads a time, in nanoseconds since the Unix epoch.
pub type Clock = fn() -> i64;

/// The clock of the machine; 0 when it is before the Unix epoch. The only place that reads a clock
/// for stored times.
#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
pub fn now_unix_nano() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    nanos(elapsed)
}

/// Nanoseconds; the largest number for durations longer than 292 years.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// As in RFC 3339, in UTC, and always with nine digits after the point: as text it is in order, and
/// every tool reads each of a column in the same way. `unix_nano` is since the Unix epoch.
pub fn rfc3339(unix_nano: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(unix_nano.into()).ok();
    time.and_then(|time| time.format(&Iso8601::DEFAULT).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_nine_digits() {
        for (unix_nano, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_783_072_800 * SECOND, "2026-07-03T10:00:00.000000000Z"),
            (
                1_783_072_800 * SECOND + 10,
                "2026-07-03T10:00:00.000000010Z",
            ),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(rfc3339(unix_nano), text);
        }
    }
}
