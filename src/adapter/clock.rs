//! The VM's clocks. A host call each, so that only one is read in a stream's callback.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, nanos};

/// The monotonic clock, and what the wall clock said when it was last set by.
pub(super) struct Clock {
    origin: Instant,
    /// Wall clock minus uptime.
    epoch: Cell<Duration>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self { origin: monotonic(), epoch: Cell::default() };
        clock.set();
        clock
    }

    /// Follows the wall clock; called at every tick, so that a clock that is set is followed within one.
    pub(super) fn set(&self) {
        self.epoch.set(wall().saturating_sub(self.uptime()));
    }

    /// Reads the monotonic clock, and derives the wall clock from it.
    pub(super) fn now(&self) -> Now {
        let uptime = self.uptime();
        Now { unix_nanos: nanos(self.epoch.get() + uptime), uptime }
    }

    fn uptime(&self) -> Duration {
        monotonic().saturating_duration_since(self.origin)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the adapter: the one place that reads clocks")]
fn monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the adapter: the one place that reads clocks")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
