//! The VM's clocks. Each reading is a host call, so a stream's callback reads only one.

use std::cell::Cell;
use std::time::Duration;

use super::wasi::{self, ClockId};
use crate::time::Now;

/// The monotonic clock, and its difference to the wall clock at the last update.
pub(super) struct Clock {
    /// Wall clock minus monotonic clock, in nanoseconds, modulo 2^64.
    difference: Cell<u64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self {
            difference: Cell::default(),
        };
        clock.set();
        clock
    }

    /// Updates the difference. Called at every tick, so that a clock change counts from the next
    /// tick.
    pub(super) fn set(&self) {
        let (wall, monotonic) = (
            wasi::clock(ClockId::Realtime),
            wasi::clock(ClockId::Monotonic),
        );
        self.difference.set(wall.wrapping_sub(monotonic));
    }

    /// Reads the monotonic clock, and derives the wall clock from it.
    pub(super) fn now(&self) -> Now {
        let monotonic = wasi::clock(ClockId::Monotonic);
        Now {
            unix_nanos: monotonic.wrapping_add(self.difference.get()),
            uptime: Duration::from_nanos(monotonic),
        }
    }
}
