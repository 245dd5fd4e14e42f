//! Limits that all configurations of a plugin share in one worker. An old configuration that drains
//! beside its successor uses the same limits.

use std::cell::Cell;
use std::rc::Rc;

use super::lane::{Lane, PerLane};
use super::settings::Share;
use crate::quota::{Lease, Quota};

/// Memory in use in each lane, and the reservations among it.
#[derive(Debug)]
pub struct Account {
    used: Cell<PerLane<Share>>,
    reservations: Rc<Quota>,
}

/// Nothing is in use.
impl Default for Account {
    fn default() -> Self {
        // No common limit here: each configuration passes its limit to `lease`.
        Self {
            used: Cell::default(),
            reservations: Quota::new(usize::MAX),
        }
    }
}

impl Account {
    /// A lease for a reservation of a request on `connection`, within `limit` bytes.
    pub(super) fn lease(&self, limit: usize, connection: Option<u64>) -> Lease {
        self.reservations.lease_within(limit, connection)
    }

    /// Memory in use by all configurations.
    pub(super) fn used(&self) -> PerLane<Share> {
        self.used.get()
    }

    /// Adds to the memory in use.
    pub(super) fn add(&self, lane: Lane, share: Share) {
        self.change(lane, |used| {
            used.records += share.records;
            used.bytes += share.bytes;
        });
    }

    /// Subtracts from the memory in use.
    pub(super) fn take(&self, lane: Lane, share: Share) {
        self.change(lane, |used| {
            used.records = used.records.saturating_sub(share.records);
            used.bytes = used.bytes.saturating_sub(share.bytes);
        });
    }

    fn change(&self, lane: Lane, change: impl FnOnce(&mut Share)) {
        let mut used = self.used.get();
        change(used.of_mut(lane));
        self.used.set(used);
    }
}
