//! What all configurations of a plugin hold together in one worker: an old one that drains beside its successor takes from
//! the same limits.

use std::cell::Cell;
use std::rc::Rc;

use super::lane::{Lane, PerLane};
use super::settings::Share;
use crate::quota::{Lease, Quota};

/// Places that are taken, in each lane, and those among them that are kept free for requests that are going on.
#[derive(Debug)]
pub struct Account {
    used: Cell<PerLane<Share>>,
    places: Rc<Quota>,
}

/// Nothing is taken.
impl Default for Account {
    fn default() -> Self {
        // Each configuration has a limit of its own.
        Self {
            used: Cell::default(),
            places: Quota::new(usize::MAX),
        }
    }
}

impl Account {
    /// A place for a request of a connection, of a configuration that may have places of so many bytes.
    pub(super) fn place(&self, limit: usize, connection: Option<u64>) -> Lease {
        self.places.lease_within(limit, connection)
    }

    /// What is taken by all.
    pub(super) fn used(&self) -> PerLane<Share> {
        self.used.get()
    }

    /// Takes places.
    pub(super) fn add(&self, lane: Lane, share: Share) {
        self.change(lane, |used| {
            used.records += share.records;
            used.bytes += share.bytes;
        });
    }

    /// Gives places back that were taken.
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
