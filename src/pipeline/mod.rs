//! The per-worker hallway: records in, callouts out, answers in; every record ends acknowledged, rejected or dropped with a reason.
//!
//! Inputs are `handle_*`, outputs are `poll_*`. After any input, poll callouts until there is none, then notices.

pub mod admission;
pub mod answer;
pub mod backoff;
pub mod batch;
pub mod buffer;
mod capture;
mod cut;
pub mod drain;
pub mod journal;
pub mod lane;
pub mod loss;
pub mod notices;
mod partial_success;
mod recovery;
pub mod settings;
mod settle;
mod stream;
pub mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use crate::host::SharedData;
use crate::record::{Event, ExchangeRecord};
use crate::stats::{Counter, Gauge, Gauges, Stats};
use crate::time::Now;
use crate::wire::{Encoder, Origin};
use admission::Gate;
use answer::{Answer, Verdict};
use batch::Batch;
use buffer::{Buffer, Place};
use capture::lane_of;
use journal::{Identity, Journal};
use lane::{Lane, PerLane};
use loss::LossLedger;
use notices::{Kind, Level, Notice, Notices};
use recovery::Recovery;
use settings::{Settings, Target};
use stream::Stream;
use window::{Flight, MAX_IN_FLIGHT, Window};

/// What to do when Envoy took the peer's address from a header.
const UNKNOWN_PEER: &str = "control or identity headers came from a peer that cannot be known, since its address was \
    taken from x-forwarded-for: they count as absent; let a set_filter_state filter before this one provide audit.direct_peer";

/// Why an attempt never left.
const NOT_DISPATCHED: &str = "refused by Envoy (no such cluster, no healthy host, or overflow)";

/// One callout to make.
#[derive(Clone, Copy, Debug)]
pub struct Callout<'p> {
    /// Where it goes.
    pub target: &'p Target,
    /// The batch's id, the same at every attempt.
    pub batch_id: Uuid,
    /// The batch's bytes, UTF-8, the same at every attempt.
    pub body: &'p [u8],
}

/// Everything between a finished record and its end. One for each worker and configuration.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    encoder: Encoder,
    stream: Stream,
    buffer: Buffer,
    losses: LossLedger,
    gate: Gate,
    journal: Journal,
    recovery: Recovery,
    /// Sealed batches that have to be sent (again), in the order in which they were given back.
    waiting: PerLane<VecDeque<Batch>>,
    /// The batch that [`Self::poll_callout`] has handed out, until [`Self::handle_dispatched`].
    staged: Option<Batch>,
    windows: PerLane<Window>,
    wake_requested: bool,
    draining_since: Option<Duration>,
    told_unknown_peer: bool,
    random: fastrand::Rng,
    notices: Notices,
    /// What was counted; the adapter reads it.
    pub stats: Stats,
}

impl Pipeline {
    /// A pipeline for one stream in one VM. `seed` drives jitter and ids; it must come from the host's randomness.
    #[must_use]
    pub fn new(settings: Settings, stream_id: Uuid, seed: u64, vm: Uuid, shared: Rc<dyn SharedData>) -> Self {
        let identity = Identity { vm, stream: stream_id, kin: settings.kin() };
        Self {
            encoder: Encoder::new(settings.target.format, settings.service.clone()),
            stream: Stream::new(stream_id),
            buffer: Buffer::new(&settings.buffer),
            losses: LossLedger::default(),
            gate: Gate::default(),
            journal: Journal::new(shared, identity),
            recovery: Recovery::default(),
            waiting: PerLane::default(),
            staged: None,
            windows: PerLane { bulk: Window::new(MAX_IN_FLIGHT.bulk), immediate: Window::new(MAX_IN_FLIGHT.immediate) },
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

    /// How many numbers the stream has given out: every one below is acknowledged, rejected, dropped or held.
    #[must_use]
    pub fn numbers_given_out(&self) -> u64 {
        self.stream.next()
    }

    /// What the gauges are now.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauge::ALL.map(|(gauge, _)| match gauge {
            Gauge::BufferRecords => self.held_records(),
            Gauge::BufferBytes => self.buffer.bytes() as u64,
            Gauge::InFlightBatches => self.flights().count() as u64,
        })
    }

    /// Takes a finished record, and the place that was kept for it. True: something may leave now, so wake the root
    /// context, which polls callouts. True at most once until the next [`Self::poll_callout`].
    #[must_use]
    pub fn handle_exchange(&mut self, exchange: Box<ExchangeRecord>, place: Option<Place>, now: Now) -> bool {
        self.handle_no_exchange(place);
        let (lane, start) = (lane_of(&exchange), exchange.start_unix_nanos);
        self.capture(lane, &Event::Exchange(exchange), start, now);
        self.wakes(now)
    }

    /// Takes a record of an exchange that is going on. Yields its number when it is kept.
    pub fn handle_started(&mut self, exchange: Box<ExchangeRecord>, now: Now) -> Option<u64> {
        let (lane, start) = (lane_of(&exchange), exchange.start_unix_nanos);
        self.capture(lane, &Event::Exchange(exchange), start, now)
    }

    /// No rule wants a record of an exchange, for which a place may have been kept.
    pub fn handle_no_exchange(&mut self, place: Option<Place>) {
        if let Some(place) = place {
            self.buffer.give_back(&place);
        }
    }

    /// Looks after deadlines: answers that are overdue, requests that have been held long enough, records that are too
    /// old, log lines that were held back. Takes over what a crashed VM has left, as far as there is room.
    pub fn handle_tick(&mut self, now: Now) {
        while let Some(flight) = self.take_overdue(now) {
            self.conclude(flight.is_probe(), flight.batch, &Answer::default(), "no answer", now);
        }
        self.inherit(now);
        self.expire(now);
        self.refuse_overdue(now);
        self.tell_what_is_given_up(now);
        self.notices.release(now.uptime);
    }

    /// The next callout to make; `None` when there is nothing to send or nothing may be sent yet.
    /// Call [`Self::handle_dispatched`] with what became of it, then poll again.
    pub fn poll_callout(&mut self, now: Now) -> Option<Callout<'_>> {
        self.wake_requested = false;
        if self.staged.is_none() {
            self.staged = Lane::ALL.into_iter().find_map(|lane| self.next_batch(lane, now));
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
            self.windows.of_mut(batch.lane).depart(token, batch, now.uptime);
        } else {
            let probed = self.windows.of(batch.lane).is_down();
            self.conclude(probed, batch, &Answer::default(), NOT_DISPATCHED, now);
        }
    }

    /// Takes the end of a callout. A token that is unknown or was given up changes nothing.
    pub fn handle_answer(&mut self, token: u32, answer: &Answer<'_>, now: Now) {
        let Some(flight) = self.windows.each_mut().find_map(|window| window.land(token)) else { return };
        self.stats.observe_callout(now.uptime.saturating_sub(flight.departed));
        self.conclude(flight.is_probe(), flight.batch, answer, "no response", now);
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

    /// Such headers came from a peer that cannot be known: tells the operator the remedy, once.
    pub fn handle_unknown_peer(&mut self) {
        if !std::mem::replace(&mut self.told_unknown_peer, true) {
            self.say(Level::Warn, UNKNOWN_PEER.to_owned());
        }
    }

    /// Every end of an attempt comes here, also of one that never left. `silence` names the reason where no status does.
    fn conclude(&mut self, probed: bool, batch: Batch, answer: &Answer<'_>, silence: &str, now: Now) {
        match answer::classify(answer, self.encoder.format(), now.unix_nanos) {
            Verdict::Acknowledged { rejected } => self.acknowledge(&batch, rejected, now),
            Verdict::Refused => self.refuse(batch, answer.status, now),
            Verdict::Retry { after } => {
                let detail = answer.status.map_or(silence.to_owned(), |status| format!("status {status}"));
                self.give_back(batch, probed, after, &detail, now);
            }
        }
    }

    /// Whose records this pipeline makes.
    fn origin(&self) -> Origin {
        Origin { stream_id: self.stream.id(), recovered: false }
    }

    fn wakes(&mut self, now: Now) -> bool {
        let may_leave = |lane: &Lane| self.is_full(*lane) && self.windows.of(*lane).is_open(now.uptime);
        let wakes = !self.wake_requested && Lane::ALL.iter().any(may_leave);
        self.wake_requested |= wakes;
        wakes
    }

    fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.windows.each().flat_map(Window::flights)
    }

    fn take_overdue(&mut self, now: Now) -> Option<Flight> {
        let timeout = self.settings.target.timeout;
        self.windows.each_mut().find_map(|window| window.land_overdue(timeout, now.uptime))
    }

    fn batches(&self) -> impl Iterator<Item = &Batch> {
        let waiting = self.waiting.each().flatten();
        waiting.chain(self.staged.as_ref()).chain(self.flights().map(|flight| &flight.batch))
    }

    /// Records that are neither acknowledged nor rejected nor dropped.
    fn held_records(&self) -> u64 {
        let batched: usize = self.batches().map(|batch| batch.items().len()).sum();
        batched as u64 + self.unsealed_records() + self.recovery.records()
    }

    fn unsealed_records(&self) -> u64 {
        let waiting: usize = Lane::ALL.into_iter().map(|lane| self.buffer.waiting_records(lane)).sum();
        let start = usize::from(self.stream.pending_start().is_some());
        (waiting + start) as u64
    }

    fn uptime_limit(&self, now: Now) -> Option<Duration> {
        self.settings.retry.max_age.and_then(|age| now.uptime.checked_sub(age))
    }

    fn backoff(&mut self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let random = self.random.f64();
        backoff::delay(&self.settings.retry, failures, retry_after, random)
    }
}
