//! The per-worker hallway: records in, callouts out, answers in; every record ends acknowledged, rejected or dropped with a reason.
//!
//! Inputs are `handle_*`, outputs are `poll_*`. After any input, poll callouts until there is none, then notices.

pub mod answer;
pub mod backoff;
pub mod batch;
pub mod buffer;
mod cut;
pub mod drain;
pub mod loss;
pub mod notices;
pub mod settings;
mod settle;
mod stream;
pub mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use crate::record::{Event, ExchangeRecord, LossReason};
use crate::stats::{Counter, Gauge, Stats};
use crate::time::Now;
use crate::wire::{Encoder, Resource};
use answer::{Answer, Verdict};
use batch::Batch;
use buffer::{Buffer, Encoded, Push};
use loss::LossLedger;
use notices::{Kind, Level, Notice, Notices};
use settings::{Settings, Target};
use stream::Stream;
use window::Window;

/// What to do when Envoy took the peer's address from a header.
const UNKNOWN_PEER: &str = "control headers came from a peer that cannot be known, since its address was taken from \
    x-forwarded-for: they count as absent; let a set_filter_state filter before this one provide audit.direct_peer";

/// One callout to make.
#[derive(Clone, Copy, Debug)]
pub struct Callout<'p> {
    /// Where it goes.
    pub target: &'p Target,
    /// The batch's id, the same at every attempt.
    pub batch_id: Uuid,
    /// The batch's bytes, the same at every attempt.
    pub body: &'p str,
}

/// Everything between a finished record and its end. One for each worker and configuration.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    encoder: Encoder,
    stream: Stream,
    buffer: Buffer,
    losses: LossLedger,
    /// Sealed batches that have to be sent (again), in the order in which they were given back.
    waiting: VecDeque<Batch>,
    /// The batch that [`Self::poll_callout`] has handed out, until [`Self::handle_dispatched`].
    staged: Option<Batch>,
    window: Window,
    wake_requested: bool,
    draining_since: Option<Duration>,
    told_unknown_peer: bool,
    random: fastrand::Rng,
    notices: Notices,
    /// What was counted; the adapter reads it.
    pub stats: Stats,
}

impl Pipeline {
    /// A pipeline for one stream. `seed` drives jitter and ids; it must come from the host's randomness.
    #[must_use]
    pub fn new(settings: Settings, stream_id: Uuid, seed: u64) -> Self {
        let resource = Resource { service: settings.service.clone(), stream_id };
        Self {
            encoder: Encoder::new(settings.target.format, resource),
            stream: Stream::new(stream_id),
            buffer: Buffer::new(&settings.buffer),
            losses: LossLedger::default(),
            waiting: VecDeque::new(),
            staged: None,
            window: Window::new(),
            wake_requested: false,
            draining_since: None,
            told_unknown_peer: false,
            random: fastrand::Rng::with_seed(seed),
            notices: Notices::default(),
            stats: Stats::default(),
            settings,
        }
    }

    /// The stream's id.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        self.stream.id()
    }

    /// Takes a finished record. True: a batch is full and may leave, so wake the root context, which polls callouts.
    /// True at most once until the next [`Self::poll_callout`].
    #[must_use]
    pub fn handle_exchange(&mut self, exchange: Box<ExchangeRecord>, now: Now) -> bool {
        self.announce_stream(now);
        let number = self.stream.next_number(&mut self.stats);
        if self.buffer.refuses_all() {
            self.lose(LossReason::BufferFull, number, now);
        } else {
            let start = exchange.start_unix_nanos;
            let record = self.encode(number, start, &Event::Exchange(exchange), now);
            self.push(record, now);
        }
        self.update_gauges();
        let wakes = !self.wake_requested && self.is_full() && self.window.is_open(now.uptime);
        self.wake_requested |= wakes;
        wakes
    }

    /// Looks after deadlines: answers that are overdue, records that are too old, log lines that were held back.
    pub fn handle_tick(&mut self, now: Now) {
        while let Some(flight) = self.window.land_overdue(self.settings.target.timeout, now.uptime) {
            self.handle_failure(flight, None, "no answer", now);
        }
        self.expire(now);
        self.tell_what_is_given_up(now);
        self.notices.release(now.uptime);
        self.update_gauges();
    }

    /// The next callout to make; `None` when there is nothing to send or nothing may be sent yet.
    /// Call [`Self::handle_dispatched`] with what became of it, then poll again.
    pub fn poll_callout(&mut self, now: Now) -> Option<Callout<'_>> {
        self.wake_requested = false;
        if self.staged.is_none() {
            self.staged = self.next_batch(now);
            self.update_gauges();
        }
        let batch = self.staged.as_ref()?;
        Some(Callout { target: &self.settings.target, batch_id: batch.id, body: batch.text() })
    }

    /// What became of the callout that was polled last: Envoy's token, or `None` when Envoy refused it.
    pub fn handle_dispatched(&mut self, token: Option<u32>, now: Now) {
        let Some(mut batch) = self.staged.take() else { return };
        batch.attempts += 1;
        if let Some(token) = token {
            self.stats.add(Counter::BatchesDispatched, 1);
            self.stats.add(Counter::BatchesRetried, u64::from(batch.attempts > 1));
            self.window.depart(token, batch, now.uptime);
        } else {
            let probed = self.window.is_down();
            self.give_back(
                batch,
                probed,
                None,
                "refused by Envoy (no such cluster, no healthy host, or overflow)",
                now,
            );
        }
        self.update_gauges();
    }

    /// Takes the end of a callout. A token that is unknown or was given up changes nothing.
    pub fn handle_answer(&mut self, token: u32, answer: &Answer<'_>, now: Now) {
        let Some(flight) = self.window.land(token) else { return };
        self.stats.observe_callout(now.uptime.saturating_sub(flight.departed));
        match answer::classify(answer, self.encoder.format(), now.unix_nanos) {
            Verdict::Acknowledged { rejected } => self.acknowledge(&flight.batch, rejected, now),
            Verdict::Refused => self.refuse(flight.batch, answer.status, now),
            Verdict::Retry { after } => {
                let detail = answer.status.map_or("no response".to_owned(), |status| format!("status {status}"));
                self.handle_failure(flight, after, &detail, now);
            }
        }
        self.update_gauges();
    }

    /// Lines for the log.
    #[must_use]
    pub fn poll_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Adds a line to the log.
    pub fn say(&mut self, level: Level, text: String) {
        self.notices.say(level, text);
    }

    /// Control headers came from a peer that cannot be known: tells the operator the remedy, once.
    pub fn handle_unknown_peer(&mut self) {
        if !std::mem::replace(&mut self.told_unknown_peer, true) {
            self.say(Level::Warn, UNKNOWN_PEER.to_owned());
        }
    }

    fn push(&mut self, record: Encoded, now: Now) {
        let number = record.number;
        match self.buffer.push(record) {
            Push::Kept => {}
            Push::Dropped(reason) => self.lose(reason, number, now),
            Push::Evicted(records) => {
                for evicted in records {
                    self.lose(LossReason::BufferFull, evicted.number, now);
                }
            }
        }
    }

    fn batches(&self) -> impl Iterator<Item = &Batch> {
        let in_flight = self.window.flights().iter().map(|flight| &flight.batch);
        self.waiting.iter().chain(self.staged.as_ref()).chain(in_flight)
    }

    /// Records that are neither acknowledged nor rejected nor dropped.
    fn held_records(&self) -> u64 {
        let batched: usize = self.batches().map(|batch| batch.items().len()).sum();
        let start = usize::from(self.stream.pending_start().is_some());
        (batched + self.buffer.waiting_records() + start) as u64
    }

    fn update_gauges(&mut self) {
        self.stats.set(Gauge::BufferRecords, self.held_records());
        self.stats.set(Gauge::BufferBytes, self.buffer.bytes() as u64);
        self.stats.set(Gauge::InFlightBatches, self.window.flights().len() as u64);
    }

    /// Counts and notes the loss of one record that is in no batch.
    fn lose(&mut self, reason: LossReason, number: u64, now: Now) {
        self.stats.add(reason.into(), 1);
        self.losses.add_one(reason, number, now.uptime);
        self.notices.count(Kind::Dropped, 1, reason.as_str(), now.uptime);
    }

    fn uptime_limit(&self, now: Now) -> Option<Duration> {
        self.settings.retry.max_age.and_then(|age| now.uptime.checked_sub(age))
    }

    fn backoff(&mut self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let random = self.random.f64();
        backoff::delay(&self.settings.retry, failures, retry_after, random)
    }
}
