//! How long to wait before the next attempt: exponential, with full jitter.

use std::time::Duration;

use super::settings::RetryPolicy;

/// Longest `Retry-After` that is honoured; a longer one is cut to this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The delay after `failures` failed attempts in a row, with `random` uniform in `[0, 1)`.
///
/// Full jitter: uniform from zero to the doubling bound, so that workers spread out. An answer's
/// `retry_after` is a lower bound.
#[must_use]
pub fn delay(
    policy: &RetryPolicy,
    failures: u32,
    retry_after: Option<Duration>,
    random: f64,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
    let bound = policy
        .initial_backoff
        .saturating_mul(1 << doublings)
        .min(policy.max_backoff);
    let minimum = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);

    bound.mul_f64(random.clamp(0.0, 1.0)).max(minimum)
}

/// 2^20 times the smallest backoff of one millisecond is longer than any `max_backoff`.
const MAX_DOUBLINGS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(initial_ms: u64, max_ms: u64) -> RetryPolicy {
        RetryPolicy {
            initial_backoff: Duration::from_millis(initial_ms),
            max_backoff: Duration::from_millis(max_ms),
            max_attempts: None,
            max_age: None,
        }
    }

    proptest! {
        #[test]
        fn within_the_doubling_bound(initial in 1..5000_u64, factor in 1..100_u64, failures in 1..u32::MAX, random in 0.0..1.0_f64) {
            let policy = policy(initial, initial * factor);
            let bound = u128::from(initial) << (failures - 1).min(60);
            let delay = delay(&policy, failures, None, random).as_millis();
            prop_assert!(delay <= bound && delay <= u128::from(initial * factor));
        }

        #[test]
        fn retry_after_is_a_capped_lower_end(seconds in 0..1000_u64, random in 0.0..1.0_f64) {
            let minimum = Duration::from_secs(seconds);
            let delay = delay(&policy(1, 1), 1, Some(minimum), random);
            prop_assert!(delay >= minimum.min(MAX_RETRY_AFTER));
            prop_assert!(delay <= MAX_RETRY_AFTER);
        }
    }

    #[test]
    fn jitter_spreads_over_the_whole_range() {
        let policy = policy(100, 10_000);
        assert_eq!(delay(&policy, 3, None, 0.0), Duration::ZERO);
        assert_eq!(delay(&policy, 3, None, 0.5), Duration::from_millis(200));
        assert_eq!(delay(&policy, 30, None, 0.5), Duration::from_secs(5));
    }
}
