//! How records become batches: numbered, encoded once, and cut when enough of them wait or the oldest has waited enough.

use uuid::{Builder, Uuid};

use super::Pipeline;
use super::batch::{Batch, Content};
use super::buffer::Encoded;
use crate::record::Event;
use crate::time::Now;
use crate::wire::Numbered;

impl Pipeline {
    /// What leaves next: a batch that has waited for its retry, else a new one if it is due.
    pub(super) fn next_batch(&mut self, now: Now) -> Option<Batch> {
        if !self.window.is_open(now.uptime) {
            return None;
        }
        if let Some(index) = self.waiting.iter().position(|batch| batch.not_before <= now.uptime) {
            return self.waiting.remove(index);
        }
        self.is_due(now).then(|| self.seal(now))
    }

    pub(super) fn is_full(&self) -> bool {
        let limits = &self.settings.batch;
        let records = self.buffer.waiting_records() + usize::from(self.stream.pending_start().is_some());
        records >= limits.max_records || self.buffer.waiting_bytes() >= limits.max_bytes
    }

    fn is_due(&self, now: Now) -> bool {
        let made = [self.buffer.oldest().map(|record| record.made), self.losses.oldest()];
        let oldest = made.into_iter().flatten().min();
        let is_old = oldest.is_some_and(|made| now.uptime.saturating_sub(made) >= self.settings.batch.max_delay);
        let drains = self.draining_since.is_some() && (oldest.is_some() || self.owes_end());
        self.is_full() || is_old || drains
    }

    /// Whether the stream was announced, and its end is still to be.
    pub(super) fn owes_end(&self) -> bool {
        self.draining_since.is_some() && self.stream.is_announced() && !self.stream.has_ended()
    }

    /// Cuts the next batch: the stream's start, losses, then records as far as the limits allow. While draining
    /// there are no limits but the buffer's, since only one callout may leave a worker that ends.
    fn seal(&mut self, now: Now) -> Batch {
        let drains = self.draining_since.is_some();
        let max_records = if drains { usize::MAX } else { self.settings.batch.max_records };
        let max_bytes = if drains { usize::MAX } else { self.settings.batch.max_bytes };
        let mut records: Vec<(Encoded, Content)> = Vec::new();
        records.extend(self.stream.take_start().map(|start| (start, Content::Lifecycle)));
        for loss in self.losses.take(max_records.saturating_sub(records.len())) {
            let number = self.stream.next_number(&mut self.stats);
            records.push((self.encode(number, now.unix_nanos, &Event::Loss(loss), now), Content::Loss(loss)));
        }
        let mut bytes = 0;
        while records.len() < max_records
            && let Some(next) = self.buffer.oldest().map(|record| record.fragment.len())
            && (bytes == 0 || bytes + next <= max_bytes)
        {
            bytes += next;
            records.extend(self.buffer.pop_into_batch().map(|record| (record, Content::Exchange)));
        }
        if drains && self.buffer.oldest().is_none() {
            records.extend(self.end_stream(now).map(|end| (end, Content::Lifecycle)));
        }
        Batch::seal(new_batch_id(&mut self.random), &records, &self.encoder)
    }

    pub(super) fn announce_stream(&mut self, now: Now) {
        if !self.stream.is_announced() {
            let number = self.stream.next_number(&mut self.stats);
            let start = self.encode(number, now.unix_nanos, &Event::StreamStart, now);
            self.stream.announce(start);
        }
    }

    fn end_stream(&mut self, now: Now) -> Option<Encoded> {
        if !self.owes_end() {
            return None;
        }
        self.stream.end();
        let number = self.stream.next_number(&mut self.stats);
        Some(self.encode(number, now.unix_nanos, &Event::StreamEnd { next: number + 1 }, now))
    }

    pub(super) fn encode(&mut self, number: u64, time_unix_nanos: u64, event: &Event, now: Now) -> Encoded {
        let observed_unix_nanos = now.unix_nanos.max(time_unix_nanos);
        let uid = self.new_uid(observed_unix_nanos);
        let record = Numbered { number, uid, time_unix_nanos, observed_unix_nanos, event };
        Encoded { number, made: now.uptime, fragment: self.encoder.record(&record) }
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
