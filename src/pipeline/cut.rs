//! How records become batches: numbered, encoded once, and sealed when enough of them wait or the
//! oldest is old enough.

use std::time::Duration;

use uuid::{Builder, Uuid};

use super::Pipeline;
use super::batch::{Batch, Content, Progress};
use super::buffer::Encoded;
use super::lane::Lane;
use crate::record::Event;
use crate::time::Now;
use crate::wire::{Numbered, Origin};

/// Failed probes before another batch is tried: most trouble is over by then.
const FAILURES_BEFORE_OTHERS: u32 = 2;

/// Most whole batches that have failed in a lane. After that, new probes have a single record.
const MAX_OTHERS: usize = 4;

/// Failed probes per such record: in an outage one in two minutes at the default
/// `retry.max_backoff`.
const FAILURES_PER_RECORD: u32 = 8;

/// Most bytes of a loss record on the wire.
const LOSS_BYTES: usize = 700;

/// Failures of a batch of several records after which a stream that has ended repeats its end as
/// traffic. Most troubles of the audit cluster are shorter, and so leave one end of the stream.
const FAILURES_OF_STUCK: u32 = 3;

impl Pipeline {
    /// The next batch of this lane: a retry that is due, else a new batch if one is due. While the
    /// lane is closed, a new batch may be first: only another batch can show that the waiting ones
    /// cause the failures.
    pub(super) fn next_batch(&mut self, lane: Lane, now: Now) -> Option<Batch> {
        if !self.windows.of(lane).is_open(now.uptime) {
            return None;
        }

        let all = self.settings.batch.max_records;
        let other = self
            .size_of_other_probe(lane)
            .and_then(|most| self.new_batch(lane, most, now));
        let other = other.or_else(|| {
            if self.lets_others_go_first(lane) {
                self.new_batch(lane, all, now)
            } else {
                None
            }
        });
        let next = other.or_else(|| self.next_waiting(lane, now));
        next.or_else(|| self.new_batch(lane, all, now))
    }

    /// Whether new batches precede one that failed while others were acknowledged. Random: an audit
    /// cluster that fails every other time must not fail the same batch in step with the ticks.
    fn lets_others_go_first(&mut self, lane: Lane) -> bool {
        let is_suspect = |batch: &Batch| batch.trial.strikes() > 0;
        self.waiting.of(lane).iter().any(is_suspect) && self.random.bool()
    }

    /// The retry that is due for longest. At most one batch that may take a whole timeout is in
    /// flight: the rest of the window is for batches that succeed.
    fn next_waiting(&mut self, lane: Lane, now: Now) -> Option<Batch> {
        let may_hang = |batch: &Batch| batch.trial.may_hang();
        let is_taken = self
            .windows
            .of(lane)
            .in_flight()
            .iter()
            .any(|in_flight| may_hang(&in_flight.batch));
        let is_ready =
            |batch: &Batch| batch.not_before <= now.uptime && !(is_taken && may_hang(batch));
        let waiting = self.waiting.of_mut(lane);

        waiting.remove(waiting.iter().position(is_ready)?)
    }

    /// Most records of a new batch that is the next probe; `None`: a retry is. In an outage records
    /// must stay where `drop_oldest` reaches them, so such batches are few, and later small.
    fn size_of_other_probe(&self, lane: Lane) -> Option<usize> {
        let failures = self.windows.of(lane).failures();
        let wholes = self
            .waiting
            .of(lane)
            .iter()
            .filter(|batch| !batch.is_piece)
            .count();

        match failures {
            FAILURES_BEFORE_OTHERS.. if wholes < MAX_OTHERS => {
                Some(self.settings.batch.max_records)
            }
            1.. if failures.is_multiple_of(FAILURES_PER_RECORD) => Some(1),
            _ => None,
        }
    }

    fn new_batch(&mut self, lane: Lane, most: usize, now: Now) -> Option<Batch> {
        if self.is_offering() {
            // An offered stream can be taken over at any moment, so its records must be in the
            // published gauges. It is sealed before these are published.
            return None;
        }
        if lane == Lane::Immediate {
            return self.seal_due(lane, most, now);
        }

        let foreign = self.seal_foreign_losses(now);
        foreign
            .or_else(|| self.seal_due(lane, most, now))
            .or_else(|| self.seal_sign_of_life(now))
    }

    fn seal_due(&mut self, lane: Lane, most: usize, now: Now) -> Option<Batch> {
        self.is_due(lane, now).then(|| self.seal(lane, most, now))
    }

    /// Whether a batch can leave at any age. A single immediate record is enough.
    pub(super) fn is_full(&self, lane: Lane) -> bool {
        let waiting = self.buffer.waiting_records(lane);
        if lane == Lane::Immediate {
            return waiting > 0;
        }
        let limits = &self.settings.batch;
        let records = waiting + usize::from(self.sequence.pending_start().is_some());
        records >= limits.max_records || self.buffer.waiting_bytes(lane) >= limits.max_bytes
    }

    fn is_due(&self, lane: Lane, now: Now) -> bool {
        let is_full = self.is_full(lane);
        if is_full || lane == Lane::Immediate {
            return is_full;
        }
        let oldest = self.oldest_bulk();
        let is_old = oldest
            .is_some_and(|made| now.uptime.saturating_sub(made) >= self.settings.batch.max_delay);
        is_old || (self.draining_since.is_some() && (oldest.is_some() || self.needs_end()))
    }

    /// When the oldest unsealed bulk record or loss was made.
    fn oldest_bulk(&self) -> Option<Duration> {
        let record = self.buffer.oldest(Lane::Bulk).map(|record| record.made);
        [record, self.losses.oldest()].into_iter().flatten().min()
    }

    /// Whether the stream has a start, and its end is not recorded yet.
    pub(super) fn needs_end(&self) -> bool {
        self.draining_since.is_some() && self.sequence.is_announced() && !self.sequence.has_ended()
    }

    /// Seals all records into batches of the usual size.
    pub(super) fn seal_all(&mut self, now: Now) {
        for lane in Lane::ALL {
            while self.has_unsealed(lane) {
                let batch = self.seal(lane, self.settings.batch.max_records, now);
                self.waiting.of_mut(lane).push_back(batch);
            }
        }
    }

    fn has_unsealed(&self, lane: Lane) -> bool {
        let has_other = self.losses.oldest().is_some()
            || self.sequence.pending_start().is_some()
            || self.needs_end();
        self.buffer.oldest(lane).is_some() || lane == Lane::Bulk && has_other
    }

    /// Seals the next batch: the stream's start, losses, then records within the limits, at least
    /// one.
    fn seal(&mut self, lane: Lane, max_records: usize, now: Now) -> Batch {
        let max_bytes = self.settings.batch.max_bytes;
        let mut records = Vec::new();
        records.extend(
            self.sequence
                .take_start()
                .map(|start| (start, Content::Lifecycle)),
        );
        if lane == Lane::Bulk {
            let most = max_records.min((max_bytes / LOSS_BYTES).max(1));
            self.take_losses(&mut records, most, now);
        }

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

        if lane == Lane::Bulk && self.buffer.oldest(lane).is_none() {
            records.extend(self.end_stream(now).map(|end| (end, Content::Lifecycle)));
        }

        self.seal_records(self.origin(), self.progress(), lane, &records)
    }

    /// How far the stream has come.
    pub(super) fn progress(&self) -> Progress {
        let next = self.sequence.next();
        Progress {
            next,
            oldest: self.oldest_unsealed(next),
            returns: self.journal.returns(),
        }
    }

    /// A new batch, of which the journal keeps a copy.
    pub(super) fn seal_records(
        &mut self,
        origin: Origin,
        progress: Progress,
        lane: Lane,
        records: &[(Encoded, Content)],
    ) -> Batch {
        let id = new_batch_id(&mut self.random);
        let mut batch = Batch::seal(id, origin, progress, lane, records, &self.encoder);
        self.journal.keep(&mut batch);

        batch
    }

    /// Seals everything that is not in flight into one batch without limits: retries and unsealed
    /// records. A worker that ends has one callout left. A batch that failed while others were
    /// acknowledged is left out, since its failure would be that of all.
    pub(super) fn seal_the_rest(&mut self, now: Now) {
        let origin = self.origin();
        let mut merged = Vec::new();
        for waiting in self.waiting.each_mut() {
            let is_to_join = |batch: &Batch| batch.origin == origin && batch.trial.strikes() == 0;
            let (own, others): (Vec<Batch>, Vec<Batch>) = waiting.drain(..).partition(is_to_join);
            *waiting = others.into();
            merged.extend(own);
        }

        let mut records: Vec<(Encoded, Content)> =
            merged.iter().flat_map(Batch::unsealed).collect();
        records.extend(
            self.sequence
                .take_start()
                .map(|start| (start, Content::Lifecycle)),
        );
        self.take_losses(&mut records, usize::MAX, now);

        for lane in Lane::ALL {
            while let Some(record) = self.buffer.pop_into_batch(lane) {
                records.push((record, Content::Exchange));
            }
        }

        records.extend(self.end_stream(now).map(|end| (end, Content::Lifecycle)));
        if !records.is_empty() {
            let batch = self.seal_records(origin, self.progress(), Lane::Bulk, &records);
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
        if !self.sequence.is_announced() {
            self.make_start(now);
        }
    }

    /// Out of line, so that a record of a stream with a start costs one comparison.
    #[cold]
    fn make_start(&mut self, now: Now) {
        let number = self.next_number();
        let event = Event::StreamStart(self.settings.stream_limits());
        let start = self.encode(number, Lane::Bulk, now.unix_nanos, &event, now);
        self.sequence.announce(start);
    }

    /// Records the stream's end once more when only failing batches of exchanges are left. Without
    /// other traffic, no acknowledgement could show that they cause their failures.
    pub(super) fn repeat_end(&mut self, failed: &Batch, now: Now) {
        let is_of_exchanges = |batch: &Batch| {
            batch
                .items()
                .iter()
                .any(|item| item.content == Content::Exchange)
        };
        let is_stuck = failed.items().len() == 1 || failed.trial.failures() >= FAILURES_OF_STUCK;

        if is_stuck && is_of_exchanges(failed) && self.batches().all(is_of_exchanges) {
            self.announce_stream(now);
            self.sequence.reopen();
        }
    }

    fn end_stream(&mut self, now: Now) -> Option<Encoded> {
        if !self.needs_end() {
            return None;
        }

        self.sequence.end();
        let number = self.next_number();
        Some(self.encode(
            number,
            Lane::Bulk,
            now.unix_nanos,
            &Event::StreamEnd { next: number + 1 },
            now,
        ))
    }

    pub(super) fn encode(
        &mut self,
        number: u64,
        lane: Lane,
        time_unix_nanos: u64,
        event: &Event,
        now: Now,
    ) -> Encoded {
        let observed_unix_nanos = now.unix_nanos.max(time_unix_nanos);
        let uid = self.new_uid(observed_unix_nanos);
        let record = Numbered {
            number,
            uid,
            time_unix_nanos,
            observed_unix_nanos,
            event,
        };

        Encoded {
            number,
            made: now.uptime,
            lane,
            fragment: self.encoder.record(&record),
        }
    }

    /// UUIDv7 (RFC 9562 section 5.7): time-ordered for the store's index, random enough to be
    /// unique.
    fn new_uid(&mut self, unix_nanos: u64) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        Builder::from_unix_timestamp_millis(unix_nanos / 1_000_000, &random).into_uuid()
    }
}

/// UUIDv4: the batch's id only has to be unique.
pub(super) fn new_batch_id(random: &mut fastrand::Rng) -> Uuid {
    Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
}
