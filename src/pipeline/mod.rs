//! The per-worker pipeline: records in, callouts out, answers in. Every record ends acknowledged,
//! rejected or dropped with a reason.
//!
//! Inputs are `handle_*`, outputs are `poll_*`. After any input, poll callouts until there is none,
//! then notices.

pub mod account;
pub mod admission;
mod alive;
pub mod answer;
pub mod backoff;
pub mod batch;
pub mod buffer;
mod capture;
mod cut;
pub mod drain;
mod failure;
mod held;
pub mod journal;
pub mod lane;
pub mod loss;
pub mod notices;
mod partial_success;
mod predecessor;
mod recovery;
mod sequence;
pub mod settings;
mod settle;
mod succession;
pub mod trial;
pub mod trouble;
mod watch;
pub mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use crate::record::{Event, ExchangeRecord};
use crate::stats::{Counter, Gauge, Gauges, Stats};
use crate::time::Now;
use crate::wire::{Encoder, Origin};
use account::Account;
use admission::Gate;
use answer::{Answer, Disposition};
use batch::Batch;
use buffer::{Buffer, Reservation};
use capture::lane_of;
use failure::Failure;
use journal::{Authenticated, Journal, StreamOwner};
use lane::{Lane, PerLane};
use loss::LossLedger;
use notices::{Kind, Level, Notice, Notices};
use recovery::Recovery;
use sequence::Sequence;
use settings::{Settings, Target};
use trial::{Blame, Evidence};
use trouble::{Refusal, Trouble};
use watch::Watch;
use window::{FIRST_IN_FLIGHT, InFlight, MAX_IN_FLIGHT, Window};

/// One callout to make.
#[derive(Clone, Copy, Debug)]
pub struct Callout<'p> {
    /// Where it goes.
    pub target: &'p Target,
    /// The batch's id, the same at every attempt.
    pub batch_id: Uuid,
    /// The batch's bytes, the same at every attempt.
    pub body: &'p [u8],
}

/// Everything between a finished record and its end. One for each worker and configuration.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    encoder: Encoder,
    sequence: Sequence,
    buffer: Buffer,
    losses: LossLedger,
    gate: Gate,
    journal: Journal,
    recovery: Recovery,
    watch: Watch,
    /// Sealed batches that wait for an attempt, in the order in which they were queued.
    waiting: PerLane<VecDeque<Batch>>,
    /// The batch that [`Self::poll_callout`] has yielded, until [`Self::handle_dispatched`].
    prepared: Option<Batch>,
    windows: PerLane<Window>,
    evidence: Evidence,
    wake_requested: bool,
    draining_since: Option<Duration>,
    has_given_up: bool,
    random: fastrand::Rng,
    notices: Notices,
    stats: Rc<Stats>,
}

impl Pipeline {
    /// A pipeline for one stream in one VM. `seed` drives jitter and ids; it must come from the
    /// host's randomness. `account` is shared by all configurations of the plugin in the VM,
    /// `stats` by the pipeline and its recorder.
    #[must_use]
    pub fn new(
        settings: Settings,
        owner: StreamOwner,
        seed: u64,
        shared: Rc<Authenticated>,
        account: Rc<Account>,
        stats: Rc<Stats>,
    ) -> Self {
        Self {
            encoder: Encoder::new(settings.target.format, settings.resource.clone()),
            sequence: Sequence::new(owner.stream),
            buffer: Buffer::new(&settings.buffer, account),
            losses: LossLedger::default(),
            gate: Gate::default(),
            journal: Journal::new(shared, owner),
            recovery: Recovery::default(),
            watch: Watch::default(),
            waiting: PerLane::default(),
            prepared: None,
            windows: PerLane {
                bulk: Window::new(FIRST_IN_FLIGHT.bulk, MAX_IN_FLIGHT.bulk),
                immediate: Window::new(FIRST_IN_FLIGHT.immediate, MAX_IN_FLIGHT.immediate),
            },
            evidence: Evidence::default(),
            wake_requested: false,
            draining_since: None,
            has_given_up: false,
            random: fastrand::Rng::with_seed(seed),
            notices: Notices::default(),
            stats,
            settings,
        }
    }

    /// The stream's id.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        self.sequence.id()
    }

    /// How many numbers the stream has given out. Each is acknowledged, rejected, dropped or held.
    #[must_use]
    pub fn numbers_given_out(&self) -> u64 {
        self.sequence.next()
    }

    /// The current gauges.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauge::ALL.map(|(gauge, _)| match gauge {
            Gauge::BufferRecords => self.held_records(),
            Gauge::BufferBytes => self.buffer.bytes() as u64,
            Gauge::InFlightBatches => self.in_flight().count() as u64,
        })
    }

    /// Captures a finished record, with its reservation if it has one. True: a batch can leave now,
    /// so wake the root context, which polls callouts. True at most once until the next
    /// [`Self::poll_callout`].
    #[must_use]
    pub fn handle_exchange(
        &mut self,
        exchange: Box<ExchangeRecord>,
        reservation: Option<Reservation>,
        now: Now,
    ) -> bool {
        let (lane, start) = (lane_of(&exchange), exchange.start_unix_nanos);
        let event = Event::Exchange(exchange);
        match reservation {
            None => {
                self.capture(lane, &event, start, now);
            }
            Some(reservation) => self.capture_reserved(reservation, lane, &event, start, now),
        }

        self.wakes(now)
    }

    /// Captures a record of an ongoing exchange. Yields its number when it is kept.
    pub fn handle_started(&mut self, exchange: Box<ExchangeRecord>, now: Now) -> Option<u64> {
        let (lane, start) = (lane_of(&exchange), exchange.start_unix_nanos);
        self.capture(lane, &Event::Exchange(exchange), start, now)
    }

    /// An exchange needs no record: releases its reservation, if it has one.
    pub fn handle_no_exchange(&mut self, reservation: Option<Reservation>) {
        if let Some(reservation) = reservation {
            self.buffer.release_reservation(reservation);
        }
    }

    /// Handles deadlines: overdue answers, held requests, old records, delayed log lines. Takes
    /// over batches of crashed VMs, as far as there is room.
    pub fn handle_tick(&mut self, now: Now) {
        self.watch(now);
        while let Some(in_flight) = self.take_overdue(now) {
            self.conclude(in_flight, &Answer::default(), Trouble::NoAnswer, now);
        }

        self.take_over_batches(now);
        self.expire(now);
        self.refuse_overdue(now);
        let unproven = self.stats.take_unproven_batches();
        if unproven > 0 {
            self.notices
                .count(Kind::UnprovenBatch, unproven, "", now.uptime);
        }

        self.notices.release(now.uptime);
    }

    /// The next callout; `None` when nothing can be sent now. Call [`Self::handle_dispatched`] with
    /// the outcome, then poll again.
    pub fn poll_callout(&mut self, now: Now) -> Option<Callout<'_>> {
        self.watch_after_pause(now);
        self.wake_requested = false;
        if self.prepared.is_none() {
            self.prepared = Lane::ALL
                .into_iter()
                .find_map(|lane| self.next_batch(lane, now));
        }

        let batch = self.prepared.as_ref()?;
        Some(Callout {
            target: &self.settings.target,
            batch_id: batch.id,
            body: batch.bytes(),
        })
    }

    /// The outcome of the last polled callout: Envoy's token, or why Envoy refused it.
    pub fn handle_dispatched(&mut self, dispatched: Result<u32, Refusal>, now: Now) {
        let Some(mut batch) = self.prepared.take() else {
            return;
        };

        batch.attempts += 1;
        if batch.attempts == 1 {
            self.mark_sent(&batch, now);
        }

        match dispatched {
            Ok(token) => {
                self.stats.add(Counter::BatchesDispatched, 1);
                self.stats
                    .add(Counter::BatchesRetried, u64::from(batch.attempts > 1));
                let attempt = self.evidence.start(&mut batch.trial);
                self.windows
                    .of_mut(batch.lane)
                    .start(token, batch, attempt, now.uptime);
            }
            Err(refusal) => {
                let probed = self.windows.of(batch.lane).is_down();
                let trouble = Trouble::of_refusal(refusal, self.in_flight().next().is_some());
                self.fail(
                    batch,
                    &Failure {
                        blame: Blame::Load,
                        after: None,
                        probed,
                        trouble,
                    },
                    now,
                );
            }
        }
    }

    /// The end of a callout. An unknown or expired token changes nothing.
    pub fn handle_answer(&mut self, token: u32, answer: &Answer<'_>, now: Now) {
        self.watch_after_pause(now);
        let Some(in_flight) = self
            .windows
            .each_mut()
            .find_map(|window| window.complete(token))
        else {
            return;
        };

        self.stats
            .observe_callout(now.uptime.saturating_sub(in_flight.started));
        self.conclude(in_flight, answer, Trouble::of_answer(answer), now);
    }

    /// Lines for the log.
    #[must_use]
    pub fn poll_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Adds a line to the log.
    pub fn log(&mut self, level: Level, text: String) {
        self.notices.log(level, text);
    }

    /// Concludes every attempt that has left. `trouble` is the cause of a failure.
    fn conclude(&mut self, in_flight: InFlight, answer: &Answer<'_>, trouble: Trouble, now: Now) {
        match answer::classify(answer, self.encoder.format(), now.unix_nanos) {
            Disposition::Acknowledged { rejected } => {
                self.acknowledge(&in_flight.batch, in_flight.attempt, rejected, now)
            }
            Disposition::Failed { blame, after } => {
                let (probed, blame) = (in_flight.is_probe(), trouble.blame().unwrap_or(blame));
                self.fail(
                    in_flight.batch,
                    &Failure {
                        blame,
                        after,
                        probed,
                        trouble,
                    },
                    now,
                );
            }
        }
    }

    /// The stream of this pipeline's records.
    fn origin(&self) -> Origin {
        Origin {
            stream_id: self.sequence.id(),
            recovered: false,
        }
    }

    fn wakes(&mut self, now: Now) -> bool {
        let may_leave =
            |lane: &Lane| self.is_full(*lane) && self.windows.of(*lane).is_open(now.uptime);
        let wakes = !self.wake_requested && Lane::ALL.iter().any(may_leave);
        self.wake_requested |= wakes;
        wakes
    }

    fn take_overdue(&mut self, now: Now) -> Option<InFlight> {
        let timeout = self.settings.target.timeout;
        self.windows
            .each_mut()
            .find_map(|window| window.expire(timeout, now.uptime))
    }

    fn uptime_limit(&self, now: Now) -> Option<Duration> {
        self.settings
            .retry
            .max_age
            .and_then(|age| now.uptime.checked_sub(age))
    }

    fn backoff(&mut self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let random = self.random.f64();
        backoff::delay(&self.settings.retry, failures, retry_after, random)
    }
}
