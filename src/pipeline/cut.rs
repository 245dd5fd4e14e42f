//! How records become batches: numbered, encoded once, and cut when enough of them wait or the oldest has waited enough.

use std::time::Duration;

use uuid::{Builder, Uuid};

use super::Pipeline;
use super::batch::{Batch, Content};
use super::buffer::Encoded;
use super::lane::Lane;
use super::settings::BatchLimits;
use crate::record::Event;
use crate::time::Now;
use crate::wire::{Numbered, Origin};

/// What a loss record takes on the wire at most.
const LOSS_BYTES: usize = 700;

impl Pipeline {
    /// What leaves next in this lane: a batch that has waited for its retry, else a new one if it is due.
    pub(super) fn next_batch(&mut self, lane: Lane, now: Now) -> Option<Batch> {
        if !self.windows.of(lane).is_open(now.uptime) {
            return None;
        }
        let waiting = self.waiting.of_mut(lane);
        if let Some(index) = waiting.iter().position(|batch| batch.not_before <= now.uptime) {
            return waiting.remove(index);
        }
        let foreign = if lane == Lane::Bulk { self.seal_foreign_losses(now) } else { None };
        foreign.or_else(|| self.is_due(lane, now).then(|| self.seal(lane, now)))
    }

    /// Whether a batch may leave whatever its age; with a single immediate record it may.
    pub(super) fn is_full(&self, lane: Lane) -> bool {
        let waiting = self.buffer.waiting_records(lane);
        if lane == Lane::Immediate {
            return waiting > 0;
        }
        let limits = &self.settings.batch;
        let records = waiting + usize::from(self.stream.pending_start().is_some());
        records >= limits.max_records || self.buffer.waiting_bytes(lane) >= limits.max_bytes
    }

    fn is_due(&self, lane: Lane, now: Now) -> bool {
        let is_full = self.is_full(lane);
        if is_full || lane == Lane::Immediate {
            return is_full;
        }
        let oldest = self.oldest_bulk();
        let is_old = oldest.is_some_and(|made| now.uptime.saturating_sub(made) >= self.settings.batch.max_delay);
        is_old || (self.draining_since.is_some() && (oldest.is_some() || self.owes_end()))
    }

    /// When the oldest record or loss was made that waits for its batch.
    fn oldest_bulk(&self) -> Option<Duration> {
        let record = self.buffer.oldest(Lane::Bulk).map(|record| record.made);
        [record, self.losses.oldest()].into_iter().flatten().min()
    }

    /// Whether the stream was announced, and its end is still to be.
    pub(super) fn owes_end(&self) -> bool {
        self.draining_since.is_some() && self.stream.is_announced() && !self.stream.has_ended()
    }

    /// Cuts the next batch: the stream's start, losses, then records as far as the limits allow, at least one.
    fn seal(&mut self, lane: Lane, now: Now) -> Batch {
        let BatchLimits { max_records, max_bytes, .. } = self.settings.batch;
        let mut records = Vec::new();
        records.extend(self.stream.take_start().map(|start| (start, Content::Lifecycle)));
        if lane == Lane::Bulk {
            let most = max_records.min((max_bytes / LOSS_BYTES).max(1));
            self.take_losses(&mut records, most, now);
        }
        let mut bytes: usize = records.iter().map(|(record, _)| record.fragment.len()).sum();
        while records.len() < max_records
            && let Some(next) = self.buffer.oldest(lane).map(|record| record.fragment.len())
            && (records.is_empty() || bytes + next <= max_bytes)
        {
            bytes += next;
            records.extend(self.buffer.pop_into_batch(lane).map(|record| (record, Content::Exchange)));
        }
        if lane == Lane::Bulk && self.buffer.oldest(lane).is_none() {
            records.extend(self.end_stream(now).map(|end| (end, Content::Lifecycle)));
        }
        self.seal_records(self.origin(), lane, &records)
    }

    /// A new batch, of which the journal keeps a copy.
    pub(super) fn seal_records(&mut self, origin: Origin, lane: Lane, records: &[(Encoded, Content)]) -> Batch {
        let id = new_batch_id(&mut self.random);
        let mut batch = Batch::seal(id, origin, lane, records, &self.encoder);
        self.journal.keep(&mut batch);
        batch
    }

    /// Cuts everything that has to be sent, and is not on its way, into one batch without limits: batches that wait for
    /// a retry, and what was not yet sealed. A worker that ends has one callout left.
    pub(super) fn seal_the_rest(&mut self, now: Now) {
        let origin = self.origin();
        let mut merged = Vec::new();
        for waiting in self.waiting.each_mut() {
            let (own, foreign): (Vec<Batch>, Vec<Batch>) = waiting.drain(..).partition(|batch| batch.origin == origin);
            *waiting = foreign.into();
            merged.extend(own);
        }
        let mut records: Vec<(Encoded, Content)> = merged.iter().flat_map(Batch::unsealed).collect();
        records.extend(self.stream.take_start().map(|start| (start, Content::Lifecycle)));
        self.take_losses(&mut records, usize::MAX, now);
        for lane in Lane::ALL {
            while let Some(record) = self.buffer.pop_into_batch(lane) {
                records.push((record, Content::Exchange));
            }
        }
        records.extend(self.end_stream(now).map(|end| (end, Content::Lifecycle)));
        if !records.is_empty() {
            let batch = self.seal_records(origin, Lane::Bulk, &records);
            self.waiting.bulk.push_front(batch);
        }
        merged.iter().for_each(|batch| self.journal.forget(batch));
    }

    fn take_losses(&mut self, records: &mut Vec<(Encoded, Content)>, max_records: usize, now: Now) {
        for loss in self.losses.take(max_records.saturating_sub(records.len())) {
            let number = self.next_number();
            let record = self.encode(number, Lane::Bulk, now.unix_nanos, &Event::Loss(loss), now);
            records.push((record, Content::Loss(loss)));
        }
    }

    pub(super) fn announce_stream(&mut self, now: Now) {
        if !self.stream.is_announced() {
            let number = self.next_number();
            let start = self.encode(number, Lane::Bulk, now.unix_nanos, &Event::StreamStart, now);
            self.stream.announce(start);
        }
    }

    fn end_stream(&mut self, now: Now) -> Option<Encoded> {
        if !self.owes_end() {
            return None;
        }
        self.stream.end();
        let number = self.next_number();
        Some(self.encode(number, Lane::Bulk, now.unix_nanos, &Event::StreamEnd { next: number + 1 }, now))
    }

    pub(super) fn encode(&mut self, number: u64, lane: Lane, time_unix_nanos: u64, event: &Event, now: Now) -> Encoded {
        let observed_unix_nanos = now.unix_nanos.max(time_unix_nanos);
        let uid = self.new_uid(observed_unix_nanos);
        let record = Numbered { number, uid, time_unix_nanos, observed_unix_nanos, event };
        Encoded { number, made: now.uptime, lane, fragment: self.encoder.record(&record) }
    }

    /// UUIDv7 (RFC 9562 section 5.7): time-ordered for the store's index, random enough to be unique.
    fn new_uid(&mut self, unix_nanos: u64) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        Builder::from_unix_timestamp_millis(unix_nanos / 1_000_000, &random).into_uuid()
    }
}

/// UUIDv4: the batch's name is nothing but unique.
pub(super) fn new_batch_id(random: &mut fastrand::Rng) -> Uuid {
    Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
}
