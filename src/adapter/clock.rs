//! The VM's clocks. A host call each, so that only one is read in a stream's callback.

use std::cell::Cell;
use std::time::Duration;

use super::abi::ClockId;
use super::imports;
use crate::time::Now;

/// The monotonic clock, and what the wall clock said when it was last set by.
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

    /// Follows the wall clock; called at every tick, so that a clock that is set is followed within one.
    pub(super) fn set(&self) {
        let (wall, monotonic) = (
            imports::clock(ClockId::Realtime),
            imports::clock(ClockId::Monotonic),
        );
        self.difference.set(wall.wrapping_sub(monotonic));
    }

    /// Reads the monotonic clock, and derives the wall clock from it.
    pub(super) fn now(&self) -> Now {
        let monotonic = imports::clock(ClockId::Monotonic);
        Now {
            unix_nanos: monotonic.wrapping_add(self.difference.get()),
            uptime: Duration::from_nanos(monotonic),
        }
    }
}
