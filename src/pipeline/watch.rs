//! Takeover from VMs that ended silently. A VM that lives changes its slots; slots without a change
//! for long are claimed. So nothing is left behind where Envoy ends a VM, or loads another module
//! in the place of a crashed one.

use std::time::Duration;

use uuid::Uuid;

use super::Pipeline;
use super::cut::new_batch_id;
use super::journal::{Entry, Listing, Orphan, Slot};
use super::lane::Lane;
use super::loss::LossLedger;
use super::notices::{Kind, Level};
use super::predecessor::Predecessor;
use super::recovery::Room;
use super::sequence::Sequence;
use crate::stats::{Counter, Gauge, Gauges, Stats};
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
    fn update(&mut self, others: Vec<Slot>) {
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
}

impl Pipeline {
    /// Checks the own slot, writes a heartbeat, and takes over from VMs that are gone.
    pub(super) fn watch(&mut self, now: Now) {
        let has_just_scanned =
            |scanned: Duration| now.uptime.saturating_sub(scanned) < SCAN_INTERVAL;
        if !self.watch.is_offering && self.watch.scanned.is_some_and(has_just_scanned) {
            return;
        }

        self.watch.scanned = Some(now.uptime);
        let listings = self.check_slots(now);
        self.heartbeat(now);
        self.take_over_from_gone_vms(listings);
        self.count_refused(now);
    }

    /// The same before any other work after a pause in which another VM may have taken over, or
    /// soon will.
    pub(super) fn watch_after_pause(&mut self, now: Now) {
        let pause = match self.is_draining() {
            // An offered stream can be taken over at any moment.
            true if self.watch.is_offering => Duration::ZERO,
            true => PAUSE_OF_ENDED,
            false => HEARTBEAT_INTERVAL,
        };

        if self
            .watch
            .scanned
            .is_some_and(|scanned| now.uptime.saturating_sub(scanned) >= pause)
        {
            self.watch(now);
        }
    }

    /// The gauges to publish, without those of streams that another VM has taken over by now.
    pub fn gauges_to_publish(&mut self, now: Now) -> Gauges {
        if self.watch.is_offering {
            self.check_slots(now);
        }
        self.gauges()
    }

    /// Drops streams that another VM has taken over. Called before numbers are given out that the
    /// other VM may have given out too.
    pub(super) fn check_slots(&mut self, now: Now) -> Vec<Listing> {
        let listings = self.journal.listings();
        self.reacquire_for_predecessors(&listings, now);
        let is_lost =
            |predecessor: &mut Predecessor| !self.journal.holds(&listings, predecessor.orphan());
        let is_claimed = |predecessor: &mut Predecessor| {
            is_lost(predecessor) && !self.journal.is_void(&listings, predecessor.orphan())
        };
        for lost in self.recovery.streams.extract_if(.., is_claimed) {
            forfeit(&self.stats, lost.share());
        }

        if self.journal.has_lost_slot(&listings) {
            if self.journal.is_own_void(&listings) {
                self.reacquire()
            } else {
                self.lose_slot(now)
            }
        }

        self.journal.set_epochs(&listings);
        listings
    }

    /// The other VMs with streams that have records.
    #[must_use]
    pub fn other_vms(&self) -> Vec<Uuid> {
        self.journal.other_vms()
    }

    /// The configuration has ended, and perhaps the VM ends with it. Others then wait 2 s, not 30
    /// s.
    pub fn handle_vm_end(&mut self) {
        self.write_heartbeat(true);
    }

    /// Acquires slots for predecessors after their directory was damaged. Their batches are taken
    /// over first, beyond the limits, before another stream acquires their old slots.
    fn reacquire_for_predecessors(&mut self, listings: &[Listing], now: Now) {
        let mut streams = std::mem::take(&mut self.recovery.streams);
        for predecessor in &mut streams {
            let orphan = predecessor.orphan();
            if self.journal.is_void(listings, orphan) && !self.journal.holds(listings, orphan) {
                self.take_over_all(predecessor, Room::Any, now);
                predecessor.reacquire(&self.journal);
            }
        }
        self.recovery.streams = streams;
    }

    fn write_heartbeat(&self, has_ended: bool) {
        self.journal.heartbeat(
            self.recovery.streams.iter().map(Predecessor::orphan),
            has_ended,
        );
    }

    fn heartbeat(&mut self, now: Now) {
        if self.watch.is_offering {
            return;
        }

        let has_ended = self.is_draining();
        let is_due =
            |last: Duration| has_ended || now.uptime.saturating_sub(last) >= HEARTBEAT_INTERVAL;
        if self.watch.last_heartbeat.is_none_or(is_due) {
            self.watch.last_heartbeat = Some(now.uptime);
            self.write_heartbeat(has_ended);
        }
    }

    /// Offers undelivered records to other VMs, which may have a working configuration: seals all
    /// records, and writes no more heartbeats. If no VM claims the slot, this one goes on.
    ///
    /// The gauges must be published next.
    ///
    /// `is_alone`: this VM has no other configuration of the plugin. Otherwise that one takes over,
    /// and would lose its slot too.
    pub fn offer(&mut self, is_alone: bool, now: Now) {
        let can_offer = is_alone && self.is_draining() && !self.has_given_up;
        self.watch.is_offering = can_offer && self.is_failing();
        if self.watch.is_offering {
            self.seal_all(now);
        }
    }

    pub(super) fn is_offering(&self) -> bool {
        self.watch.is_offering
    }

    /// Whether attempts fail, and only probes leave.
    fn is_failing(&self) -> bool {
        Lane::ALL
            .into_iter()
            .any(|lane| self.windows.of(lane).is_down())
    }

    /// A draining stream takes over nothing.
    fn take_over_from_gone_vms(&mut self, listings: Vec<Listing>) {
        self.watch.update(self.journal.slots_of_others(listings));
        if self.is_draining() {
            return;
        }

        let gone = self.watch.seen.iter().filter(|seen| seen.is_gone());
        let claimed: Vec<Orphan> = gone
            .flat_map(|seen| self.journal.claim_seen(seen.slot))
            .collect();
        for orphan in claimed {
            let (stream, records) = (
                orphan.stream,
                Gauge::BufferRecords.of(&orphan.checkpoint.gauges),
            );
            self.log(
                Level::Info,
                format!("takes over {records} records of stream {stream}, whose VM is gone"),
            );
            self.adopt_orphan(orphan);
        }
    }

    /// The directory was damaged: acquires another slot.
    fn reacquire(&mut self) {
        let published = self.journal.published_gauges();
        self.journal.discard_slot(self.sequence.id());
        self.keep_all_again();
        self.write_checkpoint(self.sequence.next(), published);
    }

    /// Another VM has taken over: because this one has offered its records, or because it stood
    /// still.
    fn lose_slot(&mut self, now: Now) {
        let published = self.journal.published_gauges();
        let sealed = if self.watch.is_offering {
            self.drop_sealed()
        } else {
            0
        };

        self.stats.forfeit(published);
        // Records that stay here are counted once more.
        self.stats.add(
            Counter::Captured,
            Gauge::BufferRecords.of(&published).saturating_sub(sealed),
        );
        self.restart_stream(now);
    }

    /// Drops all batches, which another VM has copies of. Yields how many records they have.
    fn drop_sealed(&mut self) -> u64 {
        let batches = self.take_batches();
        batches.iter().for_each(|batch| self.release_space(batch));
        batches.iter().map(|batch| batch.items().len() as u64).sum()
    }

    /// This VM stood still, another one has taken over, and may have given out numbers of the
    /// stream. Held records are sent once more under the same ids, and a new stream begins.
    fn restart_stream(&mut self, now: Now) {
        // The other VM looks for what was not found yet.
        self.stats.add(
            Counter::DroppedVmCrash,
            std::mem::take(&mut self.recovery.missing),
        );
        self.refuse_overdue(Now {
            uptime: Duration::MAX,
            ..now
        });

        let (before, next) = (self.sequence.id(), new_batch_id(&mut self.random));
        self.journal.discard_slot(next);
        self.keep_all_again();
        // No more numbers of the old stream: the other VM reports its losses and its end.
        self.losses = LossLedger::default();
        self.sequence.end();
        self.seal_all(now);
        self.sequence = Sequence::new(next);
        self.log(
            Level::Warn,
            format!("stream {before} was taken over while it stood still, and goes on as {next}"),
        );
    }

    fn keep_all_again(&mut self) {
        let prepared = self.prepared.as_mut();
        let waiting = self.waiting.each_mut().flatten();
        let in_flight = self
            .windows
            .each_mut()
            .flat_map(|window| window.batches_mut());
        for batch in waiting.chain(prepared).chain(in_flight) {
            self.journal.keep(batch);
        }
    }

    fn count_refused(&mut self, now: Now) {
        let refused = self.journal.take_refused();
        if refused > 0 {
            self.stats.add(Counter::JournalRefused, refused);
            self.notices.count(Kind::Refused, refused, "", now.uptime);
        }
    }
}

/// Another VM counts the records of this share to their end; so does this one, once more.
fn forfeit(stats: &Stats, share: Gauges) {
    stats.forfeit(share);
    stats.add(Counter::Captured, Gauge::BufferRecords.of(&share));
}
