//! The parts joined where a configuration ends: draining, and the hand-over to a successor in the
//! same VM.

use uuid::Uuid;

use super::Pipeline;
use super::batch::Batch;
use super::drain::{DRAIN_LIMIT, REPORT_LIMIT, Unacknowledged};
use super::notices::Level;
use super::predecessor::Predecessor;
use super::succession::HandOver;
use super::trial::Trial;
use crate::record::{Loss, LossReason};
use crate::stats::Counter;
use crate::time::Now;

impl Pipeline {
    /// The configuration ends. Nothing waits from now on.
    pub fn handle_end(&mut self, now: Now) {
        self.check_slots(now);
        self.common.drain.begin(now);
        self.delivery.end_backoff();
    }

    /// The configuration ends, and perhaps the process: everything that is not in flight is sealed
    /// into one batch, with the stream's end.
    ///
    /// True: a callout is worth its connection. For the end alone it is not, since another
    /// configuration of the same worker may have records for that connection. The end leaves at a
    /// tick, if one comes.
    pub fn handle_shutdown(&mut self, now: Now) -> bool {
        self.handle_end(now);
        let is_worth_it = self.delivery.count_waiting() > 0
            || self.intake.unsealed_records() > 0
            || self.intake.has_losses();

        if is_worth_it {
            let merged = self.delivery.take_joinable(self.intake.origin());
            let (common, journal) = (&mut self.common, &mut self.journal);
            if let Some(batch) = self.intake.seal_rest(&merged, common, journal, now) {
                self.delivery.queue_first(batch);
            }
        }
        is_worth_it
    }

    /// The same without a successor: how many callouts are worth it. Logs the unacknowledged
    /// records, one line for each stream: the process may end before an acknowledgement.
    pub fn handle_last_chance(&mut self, now: Now) -> usize {
        let is_worth_it = self.handle_shutdown(now);
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!(
                "ends with {count} records not yet acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Warn, text);
        }

        for (stream, Unacknowledged { count, first, last }) in self.unacknowledged_of_others() {
            let text = format!(
                "ends with {count} records of stream {stream} not yet acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Warn, text);
        }

        if is_worth_it {
            self.delivery.count_waiting()
        } else {
            0
        }
    }

    /// Whether the pipeline is draining: its configuration has ended.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.common.drain.has_begun()
    }

    /// Whether a draining pipeline is idle, or has tried for [`DRAIN_LIMIT`] and reported for
    /// [`REPORT_LIMIT`].
    #[must_use]
    pub fn is_drained(&self, now: Now) -> bool {
        let is_idle = self.held_records() == 0
            && !self.intake.has_losses()
            && !self.intake.needs_end(&self.common)
            && self.takeover.is_done();
        let drain = &self.common.drain;
        drain.has_begun() && (is_idle || drain.has_lasted(DRAIN_LIMIT + REPORT_LIMIT, now))
    }

    /// The records that are lost if the worker ends now.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Unacknowledged> {
        let own = self
            .delivery
            .batches()
            .filter(|batch| self.intake.is_own(batch));
        let unsealed = self.intake.unsealed_records();

        Unacknowledged::of(own, self.intake.unsealed_ranges(), unsealed)
    }

    /// The same for each stream that was taken over.
    fn unacknowledged_of_others(&self) -> Vec<(Uuid, Unacknowledged)> {
        let of_stream = |other: &Predecessor| {
            let batches = self
                .delivery
                .batches()
                .filter(|batch| batch.origin.stream_id == other.stream());
            let (lost, range) = other.unreported();
            Some((
                other.stream(),
                Unacknowledged::of(batches, range.into_iter(), lost)?,
            ))
        };

        let others = self.takeover.streams().iter();
        others.filter_map(of_stream).collect()
    }

    /// A tick has found no successor: abandons the records that were not delivered within
    /// [`DRAIN_LIMIT`]. They are logged, counted in `records.dropped.abandoned`, and reported in a
    /// last batch.
    pub fn handle_no_successor(&mut self, now: Now) {
        if !self.common.drain.has_lasted(DRAIN_LIMIT, now) {
            return;
        }

        if self.common.drain.give_up() {
            self.log_abandoned();
            self.abandon(now);
        }

        let drain = &self.common.drain;
        if drain.has_lasted(DRAIN_LIMIT + REPORT_LIMIT, now) {
            self.log_unreported(now);
        }
    }

    fn log_abandoned(&mut self) {
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!(
                "gives up {count} records that were never acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Error, text);
        }

        let foreign = self
            .delivery
            .batches()
            .filter(|batch| !self.intake.is_own(batch))
            .map(|batch| batch.items().len());
        let count = foreign.sum::<usize>() as u64 + self.takeover.missing_records();
        if count > 0 {
            let text = format!("gives up {count} records of streams that it has taken over");
            self.log(Level::Error, text);
        }
    }

    /// Drops all held records. Their losses leave at once, in a separate batch.
    fn abandon(&mut self, now: Now) {
        for batch in self.delivery.take_batches() {
            self.drop_batch(&batch, LossReason::Abandoned, now);
        }

        while let Some(lost) = self.intake.abandon_next(&mut self.common, now) {
            self.holds.refuse(&[lost], &self.common.stats);
        }
        self.takeover.abandon(&self.common.stats, now);
        self.delivery.end_backoff();
    }

    /// Nothing more is sent: the losses that no record reports are logged.
    fn log_unreported(&mut self, now: Now) {
        let mut losses = Vec::new();
        for batch in self.delivery.take_batches() {
            losses.extend(batch.losses());
            let count = batch.items().len() as u64;
            self.common.stats.add(Counter::DroppedAbandoned, count);
            self.settle(&batch, false);
        }

        losses.extend(self.intake.take_unreported());
        losses.extend(self.takeover.take_unreported());
        for loss in losses {
            self.common.log_unreported(&loss, now);
        }
    }

    /// Whether this pipeline can send the other one's records: it goes on, and encodes alike. The
    /// destination does not count: the operator has changed it.
    #[must_use]
    pub fn can_succeed(&self, other: &Self) -> bool {
        !self.is_draining() && self.common.encoder.format() == other.common.encoder.format()
    }

    /// Hands over everything, once this pipeline is draining and nothing is in flight: until then
    /// the rest is not known. `None`: not yet. [`Self::retire`] must follow when the successor has
    /// taken it.
    ///
    /// Batches in flight for longer than [`DRAIN_LIMIT`] are handed over nevertheless, and sent
    /// once more.
    pub fn hand_over(&mut self, now: Now) -> Option<HandOver> {
        if self.common.drain.has_lasted(DRAIN_LIMIT, now) {
            self.delivery.requeue_in_flight();
        }
        if !self.is_draining() || self.delivery.is_under_way() {
            return None;
        }

        self.check_slots(now);
        self.seal_all(now);
        let gauges = self.gauges();
        let batches = self.delivery.take_batches();
        for batch in &batches {
            self.intake.release(batch);
        }

        Some(HandOver {
            orphan: self.journal.as_orphan(),
            next: self.intake.next(),
            batches,
            takeover: std::mem::take(&mut self.takeover),
            gauges,
        })
    }

    /// Sends from now on where a newer configuration of the plugin does. This one may not end for
    /// hours, and the newer one may have the working destination.
    pub fn follow(&mut self, newer: &Self) {
        let target = &newer.common.settings.target;
        if self.common.settings.target != *target {
            self.common.settings.target = target.clone();
            self.delivery.end_backoff();
        }
    }

    /// Whether this pipeline can follow the other one: they encode alike.
    #[must_use]
    pub fn can_follow(&self, newer: &Self) -> bool {
        newer.can_succeed(self)
    }

    /// The successor has taken over: this pipeline keeps nothing of the stream.
    pub fn retire(&mut self) {
        self.journal.retire();
    }

    /// Takes over from a predecessor, as far as this buffer has room. The rest is lost as
    /// `buffer_full`.
    pub fn handle_hand_over(&mut self, handed_over: HandOver, now: Now) {
        let records = handed_over.records();
        let HandOver {
            orphan,
            next,
            batches,
            takeover,
            gauges,
        } = handed_over;
        let stream = orphan.stream;

        self.common.stats.inherit(gauges);
        self.takeover.succeed(orphan, next, takeover, &self.journal);
        for batch in batches {
            self.adopt(batch, now);
        }

        if records > 0 {
            let text = format!(
                "takes over {records} records of stream {stream}, whose configuration has ended"
            );
            self.log(Level::Info, text);
        }
    }

    /// Adopts a batch, without the records for which there is no room.
    fn adopt(&mut self, mut batch: Batch, now: Now) {
        let mut lost = Vec::new();
        for item in batch.items() {
            if !self.intake.occupy_for_item(item) {
                lost.push(item.number);
            }
        }
        if !lost.is_empty() {
            self.lose_of(batch.origin.stream_id, &lost, now);
            let mut kept = batch.unsealed();
            kept.retain(|(record, _)| !lost.contains(&record.number));
            if kept.is_empty() {
                return;
            }
            let id = self.common.new_batch_id();
            batch = batch.reseal(id, &kept, &self.common.encoder);
        }

        batch.cell = None;
        // A batch that was refused before may be accepted under the new configuration.
        batch.trial = Trial::default();
        batch.not_before = now.uptime;
        self.journal.keep(&mut batch);
        self.delivery.queue(batch);
    }

    fn lose_of(&mut self, stream: Uuid, numbers: &[u64], now: Now) {
        let (reason, count) = (LossReason::BufferFull, numbers.len() as u64);
        self.common.count_dropped(reason, count, now);

        for &number in numbers {
            let loss = Loss {
                reason,
                count: 1,
                first: number,
                last: number,
            };
            // The stream is known: the hand-over has just added it.
            let _ = self.takeover.add_loss(stream, loss, &self.journal, now);
        }
    }
}
