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
    const PER_SECOND: u64 = 1_000_000_000;
    let (seconds, nanos) = (duration.as_secs(), u64::from(duration.subsec_nanos()));
    // `saturating_mul` multiplies in 128 bits.
    if seconds > u64::MAX / PER_SECOND {
        return u64::MAX;
    }
    (seconds * PER_SECOND).saturating_add(nanos)
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
