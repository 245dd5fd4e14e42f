//! What all parts of a pipeline use: settings, encoder, random numbers, log lines, counts, and
//! whether the configuration has ended.

use std::rc::Rc;
use std::time::Duration;

use uuid::{Builder, Uuid};

use super::backoff;
use super::batch::{Batch, Content, Progress};
use super::buffer::Encoded;
use super::drain::Drain;
use super::journal::Journal;
use super::lane::Lane;
use super::notices::{Kind, Notices};
use super::settings::PipelineSettings;
use crate::record::{Event, ExchangeRecord, Loss, LossReason};
use crate::stats::Stats;
use crate::time::Now;
use crate::wire::{Encoder, Numbered, Origin};

/// Lent to each part for one call.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) settings: PipelineSettings,
    pub(super) encoder: Encoder,
    pub(super) random: fastrand::Rng,
    pub(super) notices: Notices,
    pub(super) stats: Rc<Stats>,
    pub(super) drain: Drain,
}

/// A record without a number.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) lane: Lane,
    time_unix_nanos: u64,
    event: Event,
}

impl Draft {
    /// A record of an exchange.
    pub(super) fn of_exchange(exchange: Box<ExchangeRecord>) -> Self {
        Self {
            lane: if exchange.immediate {
                Lane::Immediate
            } else {
                Lane::Bulk
            },
            time_unix_nanos: exchange.start_unix_nanos,
            event: Event::Exchange(exchange),
        }
    }

    /// A record of the stream itself.
    pub(super) fn of_stream(event: Event, now: Now) -> Self {
        Self {
            lane: Lane::Bulk,
            time_unix_nanos: now.unix_nanos,
            event,
        }
    }
}

impl Common {
    /// Encodes a record under its number.
    pub(super) fn encode(&mut self, number: u64, draft: &Draft, now: Now) -> Encoded {
        let observed_unix_nanos = now.unix_nanos.max(draft.time_unix_nanos);
        let uid = self.new_uid(observed_unix_nanos);
        let record = Numbered {
            number,
            uid,
            time_unix_nanos: draft.time_unix_nanos,
            observed_unix_nanos,
            event: &draft.event,
        };

        Encoded {
            number,
            made: now.uptime,
            lane: draft.lane,
            fragment: self.encoder.record(&record),
        }
    }

    /// A new batch, of which the journal keeps a copy.
    pub(super) fn seal(
        &mut self,
        (origin, progress): (Origin, Progress),
        lane: Lane,
        records: &[(Encoded, Content)],
        journal: &mut Journal,
    ) -> Batch {
        let id = self.new_batch_id();
        let mut batch = Batch::seal(id, origin, progress, lane, records, &self.encoder);
        journal.keep(&mut batch);

        batch
    }

    /// UUIDv4: the batch's id only has to be unique.
    pub(super) fn new_batch_id(&mut self) -> Uuid {
        Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid()
    }

    /// UUIDv7 (RFC 9562 section 5.7): time-ordered for the store's index, random enough to be
    /// unique.
    fn new_uid(&mut self, unix_nanos: u64) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        Builder::from_unix_timestamp_millis(unix_nanos / 1_000_000, &random).into_uuid()
    }

    /// The delay of the next attempt.
    pub(super) fn backoff(&mut self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let random = self.random.f64();
        backoff::delay(&self.settings.retry, failures, retry_after, random)
    }

    /// Counts dropped records in the statistics and for the log.
    pub(super) fn count_dropped(&mut self, reason: LossReason, count: u64, now: Now) {
        self.stats.add(reason.into(), count);
        self.notices
            .count(Kind::Dropped, count, reason.as_str(), now.uptime);
    }

    /// Logs a loss that no record reports.
    pub(super) fn log_unreported(&mut self, loss: &Loss, now: Now) {
        let Loss {
            reason,
            count,
            first,
            last,
        } = loss;
        let reason = reason.as_str();
        let text = format!("count {count}, numbers {first} to {last}, reason {reason}");
        self.notices.count(Kind::Unreported, 1, &text, now.uptime);
    }
}
