//! A moment, read by the adapter and handed in: no other part of the crate reads a clock.

use std::time::Duration;

/// Wall clock and monotonic clock, read together once per callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since the Unix epoch. May jump when the machine's clock is set.
    pub unix_nanos: u64,
    /// Time since an arbitrary origin. Never goes back.
    pub uptime: Duration,
}

/// A duration in whole nanoseconds; 584 years at most, longer ones are cut there.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
