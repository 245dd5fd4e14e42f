//! Durations in nanoseconds, the unit of all times here.

use std::time::Duration;

/// Nanoseconds; the largest number for durations longer than 292 years.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
