//! The only place that reads a clock for stored times.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch; 0 when the clock is before it.
#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
pub(crate) fn now_unix_nano() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}
