//! Watch for VMs that ended silently, and for other VMs that take over. A VM that lives changes its
//! slots; slots without a change for long are claimed. So nothing is left behind where Envoy ends a
//! VM, or loads another module in the place of a crashed one.

use std::time::Duration;

use super::journal::{Entry, Slot};
use crate::time::Now;

/// Least time between two scans of the directory. A process that stood still makes one scan, so it
/// does not find the others silent.
pub(super) const SCAN_INTERVAL: Duration = Duration::from_millis(250);

/// Heartbeat of a VM; one that ends writes it at each tick.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// After this long without a tick, a draining VM first checks whether another one has taken over:
/// half of [`SILENT_SCANS_ENDED`].
const PAUSE_OF_ENDED: Duration = Duration::from_secs(1);

/// Scans without a change after which a VM counts as gone: 30 s, six heartbeats.
pub(super) const SILENT_SCANS_LIVING: u32 = 120;

/// The same after the end of its configuration: 2 s, eight heartbeats.
pub(super) const SILENT_SCANS_ENDED: u32 = 8;

/// The slots of other VMs at the last scan.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Vec<Seen>,
    scanned: Option<Duration>,
    last_heartbeat: Option<Duration>,
    /// The configuration has ended, and another VM may take over the undelivered records.
    is_offering: bool,
}

#[derive(Debug)]
struct Seen {
    slot: Slot,
    /// Scans since its last change.
    silent_scans: u32,
}

impl Seen {
    fn is_gone(&self) -> bool {
        let Entry { has_ended, .. } = self.slot.entry;
        self.silent_scans
            >= if has_ended {
                SILENT_SCANS_ENDED
            } else {
                SILENT_SCANS_LIVING
            }
    }
}

impl Watch {
    /// The slots of other VMs at this scan.
    pub(super) fn update(&mut self, others: Vec<Slot>) {
        let silent_scans = |slot: &Slot| {
            self.seen
                .iter()
                .find(|seen| seen.slot == *slot)
                .map_or(0, |seen| seen.silent_scans + 1)
        };

        self.seen = others
            .into_iter()
            .map(|slot| Seen {
                slot,
                silent_scans: silent_scans(&slot),
            })
            .collect();
    }

    /// The slots whose VMs are gone.
    pub(super) fn gone(&self) -> impl Iterator<Item = Slot> {
        let gone = self.seen.iter().filter(|seen| seen.is_gone());
        gone.map(|seen| seen.slot)
    }

    /// Begins a scan of the directory at a tick. False: the last one is too recent. An offered stream can be taken over at any moment.
    pub(super) fn begin_scan(&mut self, now: Now) -> bool {
        let is_due = self.is_offering || !self.has_scanned_within(SCAN_INTERVAL, now);
        if is_due {
            self.scanned = Some(now.uptime);
        }
        is_due
    }

    /// Whether to scan before any other work: after a pause in which another VM may have taken
    /// over, or soon will.
    pub(super) fn has_paused(&self, has_ended: bool, now: Now) -> bool {
        let pause = if has_ended && self.is_offering {
            Duration::ZERO
        } else if has_ended {
            PAUSE_OF_ENDED
        } else {
            HEARTBEAT_INTERVAL
        };
        self.scanned.is_some() && !self.has_scanned_within(pause, now)
    }

    fn has_scanned_within(&self, time: Duration, now: Now) -> bool {
        self.scanned
            .is_some_and(|scanned| now.uptime.saturating_sub(scanned) < time)
    }

    /// Begins a heartbeat at this scan, unless none is due.
    pub(super) fn begin_heartbeat(&mut self, has_ended: bool, now: Now) -> bool {
        if self.is_offering {
            return false;
        }

        let is_due =
            |last: Duration| has_ended || now.uptime.saturating_sub(last) >= HEARTBEAT_INTERVAL;
        let beats = self.last_heartbeat.is_none_or(is_due);
        if beats {
            self.last_heartbeat = Some(now.uptime);
        }
        beats
    }

    /// Offers undelivered records to other VMs from now on, or no longer: no more heartbeats are
    /// written.
    pub(super) fn offer(&mut self, is_offering: bool) {
        self.is_offering = is_offering;
    }

    /// Whether another VM may take over the undelivered records.
    pub(super) fn is_offering(&self) -> bool {
        self.is_offering
    }
}
