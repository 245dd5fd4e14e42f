//! Times and durations, all in nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
