//! The parts joined where slots change: the watch for other VMs, takeover from them, and a slot that
//! was lost to one.

use std::time::Duration;

use uuid::Uuid;

use super::Pipeline;
use super::journal::{Listing, Saved};
use super::notices::{Kind, Level};
use crate::stats::{Counter, Gauge, Gauges};
use crate::time::Now;

/// The limit for records that are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// The free room within the limits.
    Free,
    /// No limit.
    Any,
}

impl Pipeline {
    /// A VM has crashed. Claims its streams with the same destination; their batches follow with
    /// the next ticks.
    pub fn handle_crash(&mut self, vm: Uuid) {
        self.takeover.claim(vm, &self.journal, &self.common.stats);
    }

    /// The statistics were published with these gauges: writes them to the checkpoint for a
    /// successor.
    pub fn handle_published(&mut self, published: Gauges) {
        self.journal.sweep();
        self.intake
            .checkpoint_with(published, &self.common, &mut self.journal);
        self.takeover.handle_published(&self.journal);
    }

    /// Releases the slots of a pipeline that has ended.
    pub fn close(&mut self) {
        self.takeover.close(&self.journal);
        self.journal.close();
    }

    /// The gauges to publish, without those of streams that another VM has taken over by now.
    pub fn gauges_to_publish(&mut self, now: Now) -> Gauges {
        if self.watch.is_offering() {
            self.check_slots(now);
        }
        self.gauges()
    }

    /// The other VMs with streams that have records.
    #[must_use]
    pub fn other_vms(&self) -> Vec<Uuid> {
        self.journal.other_vms()
    }

    /// The configuration has ended, and perhaps the VM ends with it. Others then wait 2 s, not 30
    /// s.
    pub fn handle_vm_end(&mut self) {
        self.takeover.write_heartbeat(true, &self.journal);
    }

    /// Offers undelivered records to other VMs, which may have a working configuration: seals all
    /// records, and writes no more heartbeats. If no VM claims the slot, this one goes on.
    ///
    /// The gauges must be published next.
    ///
    /// `is_alone`: this VM has no other configuration of the plugin. Otherwise that one takes over,
    /// and would lose its slot too.
    pub fn offer(&mut self, is_alone: bool, now: Now) {
        let can_offer = is_alone && self.is_draining() && !self.common.drain.has_given_up();
        let is_offering = can_offer && self.delivery.is_failing();
        self.watch.offer(is_offering);
        if is_offering {
            self.seal_all(now);
        }
    }

    /// Seals all records into batches of the usual size.
    pub(super) fn seal_all(&mut self, now: Now) {
        let (common, journal) = (&mut self.common, &mut self.journal);
        for batch in self.intake.seal_all(common, journal, now) {
            self.delivery.queue(batch);
        }
    }

    /// Checks the own slot, writes a heartbeat, and takes over from VMs that are gone.
    pub(super) fn watch(&mut self, now: Now) {
        if !self.watch.begin_scan(now) {
            return;
        }

        let listings = self.check_slots(now);
        let has_ended = self.is_draining();
        if self.watch.begin_heartbeat(has_ended, now) {
            self.takeover.write_heartbeat(has_ended, &self.journal);
        }

        self.watch.update(self.journal.slots_of_others(listings));
        // A draining stream takes over nothing.
        if !has_ended {
            self.takeover
                .claim_gone(self.watch.gone(), &self.journal, &mut self.common);
        }

        let refused = self.journal.take_refused();
        if refused > 0 {
            self.common.stats.add(Counter::JournalRefused, refused);
            self.common
                .notices
                .count(Kind::Refused, refused, "", now.uptime);
        }
    }

    /// The same before any other work after a pause in which another VM may have taken over, or
    /// soon will.
    pub(super) fn watch_after_pause(&mut self, now: Now) {
        if self.watch.has_paused(self.is_draining(), now) {
            self.watch(now);
        }
    }

    /// Drops streams that another VM has taken over. Called before numbers are given out that the
    /// other VM may have given out too.
    pub(super) fn check_slots(&mut self, now: Now) -> Vec<Listing> {
        let listings = self.journal.listings();
        // After damage to a directory, batches are taken over beyond the limits, before another
        // stream acquires their old slots.
        for index in 0..self.takeover.count() {
            if self.takeover.is_void(index, &listings, &self.journal) {
                self.take_over_all(index, Room::Any, now);
                self.takeover.reacquire(index, &self.journal);
            }
        }

        self.takeover
            .drop_claimed(&listings, &self.journal, &self.common.stats);
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

    /// Takes over batch by batch, as long as there is room.
    pub(super) fn take_over_batches(&mut self, now: Now) {
        for index in 0..self.takeover.count() {
            self.take_over_all(index, Room::Free, now);
        }

        self.takeover.release_ended(
            |stream| self.delivery.has_batch_of(stream),
            &self.journal,
            &self.common.stats,
        );
    }

    fn take_over_all(&mut self, index: usize, room: Room, now: Now) {
        while let Some(saved) = self.takeover.next_saved(index, &self.journal) {
            if !self.make_room_for(&saved, room) {
                return;
            }
            let taken = self
                .takeover
                .take(index, saved, &self.common, &mut self.journal, now);
            if let Some(batch) = taken {
                self.delivery.queue(batch);
            }
        }

        self.takeover.complete(index, &mut self.common, now);
    }

    /// One batch at a time is taken over beyond the limits. It may be larger than this buffer, and
    /// a buffer that is always full must not block it for ever.
    fn make_room_for(&mut self, saved: &Saved, room: Room) -> bool {
        let mut batches = self.delivery.batches();
        let is_only = batches.all(|batch| self.intake.is_own(batch));
        drop(batches);
        self.intake.occupy_for(saved, is_only || room == Room::Any)
    }

    /// The directory was damaged: acquires another slot.
    fn reacquire(&mut self) {
        let published = self.journal.published_gauges();
        self.journal.discard_slot(self.intake.stream());
        self.keep_all_again();
        self.intake
            .checkpoint_with(published, &self.common, &mut self.journal);
    }

    /// Another VM has taken over: because this one has offered its records, or because it stood
    /// still.
    fn lose_slot(&mut self, now: Now) {
        let published = self.journal.published_gauges();
        let mut sealed = 0;
        if self.watch.is_offering() {
            // The other VM has copies of all batches.
            for batch in self.delivery.take_batches() {
                self.intake.release(&batch);
                sealed += batch.items().len() as u64;
            }
        }

        self.common.stats.forfeit(published);
        // Records that stay here are counted once more.
        self.common.stats.add(
            Counter::Captured,
            Gauge::BufferRecords.of(&published).saturating_sub(sealed),
        );
        self.restart_stream(now);
    }

    /// This VM stood still, another one has taken over, and may have given out numbers of the
    /// stream. Held records are sent once more under the same ids, and a new stream begins.
    fn restart_stream(&mut self, now: Now) {
        let stats = &self.common.stats;
        // The other VM looks for what was not found yet.
        self.takeover.drop_missing(Counter::DroppedVmCrash, stats);
        self.holds.refuse_overdue(Duration::MAX, stats);

        let (before, next) = (self.intake.stream(), self.common.new_batch_id());
        self.journal.discard_slot(next);
        self.keep_all_again();
        // No more numbers of the old stream: the other VM reports its losses and its end.
        self.intake.give_up_stream();
        self.seal_all(now);
        self.intake.begin_stream(next);
        self.log(
            Level::Warn,
            format!("stream {before} was taken over while it stood still, and goes on as {next}"),
        );
    }

    fn keep_all_again(&mut self) {
        for batch in self.delivery.batches_mut() {
            self.journal.keep(batch);
        }
    }
}
