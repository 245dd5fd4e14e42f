//! A moment, read by the adapter and passed in: no other part of the crate reads a clock.

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
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_exact_up_to_the_largest() {
        for duration in [
            Duration::ZERO,
            Duration::new(1, 1),
            Duration::from_nanos(u64::MAX),
            Duration::from_nanos(u64::MAX) + Duration::from_nanos(1),
            Duration::MAX,
        ] {
            assert_eq!(
                nanos(duration),
                u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
                "{duration:?}"
            );
        }
    }
}
