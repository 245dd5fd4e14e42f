//! What all configurations of a plugin hold together in one worker: an old one that drains beside its successor takes from
//! the same limits.

use std::cell::Cell;

use super::lane::{Lane, PerLane};
use super::settings::Share;

/// Places that are taken, in each lane.
#[derive(Debug, Default)]
pub struct Account {
    used: Cell<PerLane<Share>>,
}

impl Account {
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
