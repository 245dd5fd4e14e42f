//! How records become batches: sealed when enough of them wait or the oldest is old enough. Also
//! the end of the stream, and its signs of life: without them a store could not distinguish an idle
//! proxy from a killed one.

use std::time::Duration;

use super::Intake;
use crate::pipeline::batch::{Batch, Content};
use crate::pipeline::buffer::Encoded;
use crate::pipeline::common::{Common, Draft};
use crate::pipeline::journal::Journal;
use crate::pipeline::lane::Lane;
use crate::pipeline::settings::BatchLimits;
use crate::record::Event;
use crate::time::Now;

/// Most bytes of a loss record on the wire.
const LOSS_BYTES: usize = 700;

/// Records of a batch that is about to be sealed.
type Records = Vec<(Encoded, Content)>;

impl Intake {
    /// Whether a batch can leave at any age. A single immediate record is enough.
    pub(in crate::pipeline) fn is_full(&self, lane: Lane, limits: &BatchLimits) -> bool {
        let waiting = self.buffer.waiting_records(lane);
        if lane == Lane::Immediate {
            return waiting > 0;
        }
        let records = waiting + usize::from(self.sequence.pending_start().is_some());
        records >= limits.max_records || self.buffer.waiting_bytes(lane) >= limits.max_bytes
    }

    fn is_due(&self, lane: Lane, common: &Common, now: Now) -> bool {
        let limits = &common.settings.batch;
        let is_full = self.is_full(lane, limits);
        if is_full || lane == Lane::Immediate {
            return is_full;
        }
        let oldest = self.oldest_bulk();
        let is_old = oldest.is_some_and(|made| now.uptime.saturating_sub(made) >= limits.max_delay);
        is_old || (common.drain.has_begun() && (oldest.is_some() || self.needs_end(common)))
    }

    /// When the oldest unsealed bulk record or loss was made.
    fn oldest_bulk(&self) -> Option<Duration> {
        let record = self.buffer.oldest(Lane::Bulk).map(|record| record.made);
        [record, self.losses.oldest()].into_iter().flatten().min()
    }

    /// Whether the stream has a start, and its end is not recorded yet.
    pub(in crate::pipeline) fn needs_end(&self, common: &Common) -> bool {
        common.drain.has_begun() && self.sequence.is_announced() && !self.sequence.has_ended()
    }

    /// A batch of at most `max_records`, if one is due.
    pub(in crate::pipeline) fn seal_due(
        &mut self,
        lane: Lane,
        max_records: usize,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Option<Batch> {
        self.is_due(lane, common, now)
            .then(|| self.seal(lane, max_records, common, journal, now))
    }

    /// Seals all records into batches of the usual size.
    pub(in crate::pipeline) fn seal_all(
        &mut self,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Vec<Batch> {
        let max_records = common.settings.batch.max_records;
        let mut batches = Vec::new();
        for lane in Lane::ALL {
            while self.has_unsealed(lane, common) {
                batches.push(self.seal(lane, max_records, common, journal, now));
            }
        }
        batches
    }

    fn has_unsealed(&self, lane: Lane, common: &Common) -> bool {
        let has_other =
            self.has_losses() || self.sequence.pending_start().is_some() || self.needs_end(common);
        self.buffer.oldest(lane).is_some() || lane == Lane::Bulk && has_other
    }

    /// Seals the next batch: the stream's start, losses, then records within the limits, at least
    /// one.
    fn seal(
        &mut self,
        lane: Lane,
        max_records: usize,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Batch {
        let max_bytes = common.settings.batch.max_bytes;
        let mut records = self.take_start();
        if lane == Lane::Bulk {
            let most = max_records.min((max_bytes / LOSS_BYTES).max(1));
            self.take_losses(&mut records, most, common, journal, now);
        }

        self.take_records(&mut records, lane, max_records, max_bytes);
        if lane == Lane::Bulk && self.buffer.oldest(lane).is_none() {
            self.take_end(&mut records, common, journal, now);
        }

        let of = (self.origin(), self.progress(journal));
        common.seal(of, lane, &records, journal)
    }

    /// Seals `merged` batches and all records into one batch without limits. A worker that ends has
    /// one callout left.
    pub(in crate::pipeline) fn seal_rest(
        &mut self,
        merged: &[Batch],
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Option<Batch> {
        let mut records: Records = merged.iter().flat_map(Batch::unsealed).collect();
        records.extend(self.take_start());
        self.take_losses(&mut records, usize::MAX, common, journal, now);
        for lane in Lane::ALL {
            self.take_records(&mut records, lane, usize::MAX, usize::MAX);
        }

        self.take_end(&mut records, common, journal, now);
        if records.is_empty() {
            return None;
        }

        let of = (self.origin(), self.progress(journal));
        let batch = common.seal(of, Lane::Bulk, &records, journal);
        for batch in merged {
            journal.forget(batch);
        }
        Some(batch)
    }

    fn take_start(&mut self) -> Records {
        let start = self.sequence.take_start();
        start
            .map(|start| (start, Content::Lifecycle))
            .into_iter()
            .collect()
    }

    fn take_losses(
        &mut self,
        records: &mut Records,
        max_records: usize,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) {
        for loss in self.losses.take(max_records.saturating_sub(records.len())) {
            let number = self.next_number(common, journal);
            let draft = Draft::of_stream(Event::Loss(loss), now);
            records.push((common.encode(number, &draft, now), Content::Loss(loss)));
        }
    }

    fn take_records(
        &mut self,
        records: &mut Records,
        lane: Lane,
        max_records: usize,
        max_bytes: usize,
    ) {
        let mut bytes: usize = records
            .iter()
            .map(|(record, _)| record.fragment.len())
            .sum();

        while records.len() < max_records
            && let Some(next) = self.buffer.oldest(lane).map(|record| record.fragment.len())
            && (records.is_empty() || bytes + next <= max_bytes)
        {
            bytes += next;
            records.extend(
                self.buffer
                    .pop_into_batch(lane)
                    .map(|record| (record, Content::Exchange)),
            );
        }
    }

    fn take_end(
        &mut self,
        records: &mut Records,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) {
        if !self.needs_end(common) {
            return;
        }

        self.sequence.end();
        let number = self.next_number(common, journal);
        let event = Event::StreamEnd { next: number + 1 };
        let end = common.encode(number, &Draft::of_stream(event, now), now);
        records.push((end, Content::Lifecycle));
    }

    /// Records the stream's end once more, as traffic that can be acknowledged.
    pub(in crate::pipeline) fn repeat_end(
        &mut self,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) {
        if !self.sequence.is_announced() {
            self.announce(common, journal, now);
        }
        self.sequence.reopen();
    }

    /// Whether the stream goes on, and was silent for `stages.alive_interval`. Unsealed records are
    /// about to be sent.
    pub(in crate::pipeline) fn is_silent(&self, common: &Common, now: Now) -> bool {
        let (Some(interval), Some(sent)) =
            (common.settings.alive_interval, self.sequence.last_sent)
        else {
            return false;
        };
        now.uptime.saturating_sub(sent) >= interval
            && !common.drain.has_begun()
            && self.unsealed_records() == 0
            && !self.has_losses()
    }

    /// A batch of one record, `audit.stream.alive`.
    pub(in crate::pipeline) fn seal_sign_of_life(
        &mut self,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Batch {
        let number = self.next_number(common, journal);
        let event = Event::StreamAlive(common.settings.stream_limits());
        let record = common.encode(number, &Draft::of_stream(event, now), now);

        let of = (self.origin(), self.progress(journal));
        common.seal(of, Lane::Bulk, &[(record, Content::Lifecycle)], journal)
    }
}
