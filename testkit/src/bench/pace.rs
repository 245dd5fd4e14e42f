//! Arrivals of requests at a steady mean rate, at random: an open loop.
//!
//! In a closed loop the next request comes as soon as Envoy has answered. Whatever Envoy does behind
//! an answer would then delay the next one, always. Requests at fixed distances would never meet it.
//! Those of many independent clients meet it as often as Envoy is busy with it.

use std::time::Duration;

use crate::bench::load::CONNECTIONS;

/// Requests a second on all connections. A worker that needs 100 us for each is busy for less than
/// half of the time.
pub const RATE: u32 = 4000;

/// The arrivals on one connection: a Poisson process, the same for every row.
pub(crate) struct Arrivals(fastrand::Rng);

impl Arrivals {
    pub(crate) fn of_connection(index: u64) -> Self {
        Self(fastrand::Rng::with_seed(index))
    }

    /// The time from one arrival to the next.
    pub(crate) fn gap(&mut self) -> Duration {
        let mean = CONNECTIONS as f64 / f64::from(RATE);
        Duration::from_secs_f64(-mean * (1.0 - self.0.f64()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_their_mean_and_repeat() {
        let gaps = |index| {
            let mut arrivals = Arrivals::of_connection(index);
            (0..10_000).map(|_| arrivals.gap()).collect::<Vec<_>>()
        };
        let total: Duration = gaps(0).iter().sum();
        let expected = 10_000.0 * CONNECTIONS as f64 / f64::from(RATE);
        assert!((0.97..1.03).contains(&(total.as_secs_f64() / expected)));

        assert_eq!(gaps(1), gaps(1));
        assert_ne!(gaps(1), gaps(2));
    }
}
