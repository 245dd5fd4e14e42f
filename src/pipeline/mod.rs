//! The per-worker pipeline: records in, callouts out, answers in. Every record ends acknowledged,
//! rejected or dropped with a reason.
//!
//! Inputs are `handle_*`, outputs are `poll_*`. After any input, poll callouts until there is none,
//! then notices.
//!
//! [`Pipeline`] owns the parts: `intake` (records that are in no batch), `delivery` (batches),
//! `admission` (held requests), `takeover` and `watch` (streams of others), `journal`. A part has
//! private fields, and its methods yield what is left to do in other parts. The parts are joined by
//! this file, `batches.rs`, `lifecycle.rs` (the configuration ends) and `slots.rs` (other VMs).

pub mod account;
pub mod admission;
pub mod answer;
pub mod backoff;
pub mod batch;
mod batches;
pub mod buffer;
mod common;
mod delivery;
pub mod drain;
mod intake;
pub mod journal;
pub mod lane;
mod lifecycle;
pub mod loss;
pub mod notices;
mod partial_success;
mod predecessor;
mod room;
mod sequence;
pub mod settings;
mod slots;
mod succession;
mod takeover;
pub mod trial;
pub mod trouble;
mod watch;
pub mod window;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use crate::record::{ExchangeRecord, Received, RequireAudit};
use crate::stats::{Counter, Gauge, Gauges, Stats};
use crate::time::Now;
use crate::wire::Encoder;
use account::Account;
use admission::{Admission, Decision, Holds};
use answer::Answer;
use buffer::Reservation;
use common::{Common, Draft};
use delivery::Delivery;
use drain::Drain;
use intake::{Captured, Intake};
use journal::{Authenticated, Journal, StreamOwner};
use lane::Lane;
use notices::{Kind, Level, Notice, Notices};
use settings::{PipelineSettings, Target};
use takeover::Takeover;
use trouble::{Refusal, Trouble};
use watch::Watch;

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
    common: Common,
    intake: Intake,
    delivery: Delivery,
    holds: Holds,
    journal: Journal,
    takeover: Takeover,
    watch: Watch,
}

impl Pipeline {
    /// A pipeline for one stream in one VM. `seed` drives jitter and ids; it must come from the
    /// host's randomness. `account` is shared by all configurations of the plugin in the VM,
    /// `stats` by the pipeline and its recorder.
    #[must_use]
    pub fn new(
        settings: PipelineSettings,
        owner: StreamOwner,
        seed: u64,
        shared: Rc<Authenticated>,
        account: Rc<Account>,
        stats: Rc<Stats>,
    ) -> Self {
        Self {
            intake: Intake::new(owner.stream, &settings.buffer, account),
            delivery: Delivery::new(),
            holds: Holds::default(),
            journal: Journal::new(shared, owner),
            takeover: Takeover::default(),
            watch: Watch::default(),
            common: Common {
                encoder: Encoder::new(settings.target.format, settings.resource.clone()),
                random: fastrand::Rng::with_seed(seed),
                notices: Notices::default(),
                stats,
                drain: Drain::default(),
                settings,
            },
        }
    }

    /// The stream's id.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        self.intake.stream()
    }

    /// How many numbers the stream has given out. Each is acknowledged, rejected, dropped or held.
    #[must_use]
    pub fn numbers_given_out(&self) -> u64 {
        self.intake.next()
    }

    /// The current gauges.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauge::ALL.map(|(gauge, _)| match gauge {
            Gauge::BufferRecords => self.held_records(),
            Gauge::BufferBytes => self.intake.bytes() as u64,
            Gauge::InFlightBatches => self.delivery.count_in_flight() as u64,
        })
    }

    /// Records that are neither acknowledged nor rejected nor dropped.
    fn held_records(&self) -> u64 {
        let missing = self.takeover.missing_records();
        self.delivery.records() + self.intake.unsealed_records() + missing
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
        let draft = Draft::of_exchange(exchange);
        match reservation {
            None => {
                self.capture(&draft, now);
            }
            Some(reservation) => {
                self.check_before_number(now);
                let (common, journal) = (&mut self.common, &mut self.journal);
                self.intake
                    .capture_reserved(reservation, &draft, common, journal, now);
            }
        }

        self.wakes(now)
    }

    /// Captures a record of an ongoing exchange. Yields its number when it is kept.
    pub fn handle_started(&mut self, exchange: Box<ExchangeRecord>, now: Now) -> Option<u64> {
        self.capture(&Draft::of_exchange(exchange), now)
    }

    /// An exchange needs no record: releases its reservation, if it has one.
    pub fn handle_no_exchange(&mut self, reservation: Option<Reservation>) {
        if let Some(reservation) = reservation {
            self.intake.release_reservation(reservation);
        }
    }

    /// Numbers a record and keeps it, or counts its loss. Yields the number if it is kept.
    fn capture(&mut self, draft: &Draft, now: Now) -> Option<u64> {
        self.check_before_number(now);
        let Captured { number, evicted } =
            self.intake
                .capture(draft, &mut self.common, &mut self.journal, now);
        self.holds.refuse(&evicted, &self.common.stats);
        number
    }

    /// If this VM stood still, another one may have given out the numbers that no checkpoint
    /// covers.
    fn check_before_number(&mut self, now: Now) {
        if self.intake.has_used_up(&self.journal) {
            self.check_slots(now);
        }
    }

    fn wakes(&mut self, now: Now) -> bool {
        let limits = &self.common.settings.batch;
        self.delivery
            .wakes(|lane| self.intake.is_full(lane, limits), now)
    }

    /// Admits, holds or refuses a request, depending on how its record can be kept.
    pub fn admit(&mut self, required: RequireAudit, received: Received, now: Now) -> Admission {
        let admission = self.admission(required, received, now);
        let is_refused = admission == Admission::Refuse;
        self.common
            .stats
            .add(Counter::RequestsRefused, u64::from(is_refused));
        admission
    }

    fn admission(&mut self, required: RequireAudit, received: Received, now: Now) -> Admission {
        let is_held = required == RequireAudit::Acknowledged;
        let deadline = now.uptime + self.common.settings.target.timeout;
        if is_held && self.delivery.immediate_opens_at() > deadline {
            // Before the request evicts another record.
            return Admission::Refuse;
        }

        let Received {
            mut record,
            connection,
            most_ending_bytes,
        } = received;
        record.immediate = true;
        let draft = Draft::of_exchange(record);
        let most_bytes = self.common.encode(0, &draft, now).fragment.len() + most_ending_bytes;
        let Some((reservation, evicted)) =
            self.intake
                .reserve(connection, most_bytes, &mut self.common, now)
        else {
            return Admission::Refuse;
        };

        self.holds.refuse(&evicted, &self.common.stats);
        if is_held {
            self.hold(reservation, &draft, deadline, now)
        } else {
            Admission::Proceed(reservation)
        }
    }

    /// Captures the record of the receipt, and holds the request until it is acknowledged.
    fn hold(
        &mut self,
        reservation: Reservation,
        received: &Draft,
        deadline: Duration,
        now: Now,
    ) -> Admission {
        let Some(number) = self.capture(received, now) else {
            self.intake.release_reservation(reservation);
            return Admission::Refuse;
        };

        let ticket = self.holds.hold(number, deadline);
        Admission::Hold {
            ticket,
            reservation,
            wakes: self.wakes(now),
        }
    }

    /// The next decision about a held request.
    pub fn poll_decision(&mut self) -> Option<Decision> {
        self.holds.poll()
    }

    /// The stream of a held request has ended.
    pub fn handle_request_gone(&mut self, ticket: u64) {
        self.holds.forget(ticket);
    }

    /// Handles deadlines: overdue answers, held requests, old records, delayed log lines. Takes
    /// over batches of crashed VMs, as far as there is room.
    pub fn handle_tick(&mut self, now: Now) {
        self.watch(now);
        let timeout = self.common.settings.target.timeout;
        while let Some(in_flight) = self.delivery.take_overdue(timeout, now) {
            self.conclude(in_flight, &Answer::default(), Trouble::NoAnswer, now);
        }

        self.take_over_batches(now);
        self.expire(now);
        self.holds.refuse_overdue(now.uptime, &self.common.stats);

        let unproven = self.common.stats.take_unproven_batches();
        let notices = &mut self.common.notices;
        if unproven > 0 {
            notices.count(Kind::UnprovenBatch, unproven, "", now.uptime);
        }
        notices.release(now.uptime);
    }

    /// The next callout; `None` when nothing can be sent now. Call [`Self::handle_dispatched`] with
    /// the outcome, then poll again.
    pub fn poll_callout(&mut self, now: Now) -> Option<Callout<'_>> {
        self.watch_after_pause(now);
        self.delivery.finish_wake();
        if self.delivery.prepared().is_none() {
            let next = Lane::ALL
                .into_iter()
                .find_map(|lane| self.next_batch(lane, now));
            self.delivery.prepare(next);
        }

        let batch = self.delivery.prepared()?;
        Some(Callout {
            target: &self.common.settings.target,
            batch_id: batch.id,
            body: batch.bytes(),
        })
    }

    /// The outcome of the last polled callout: Envoy's token, or why Envoy refused it.
    pub fn handle_dispatched(&mut self, dispatched: Result<u32, Refusal>, now: Now) {
        let Some(batch) = self.delivery.take_attempted() else {
            return;
        };

        if batch.attempts == 1 {
            self.intake.mark_sent(&batch, now);
        }
        match dispatched {
            Ok(token) => self.delivery.start(token, batch, &self.common.stats, now),
            Err(refusal) => {
                let failure = self.delivery.refused(batch.lane, refusal);
                self.fail(batch, &failure, now);
            }
        }
    }

    /// The end of a callout. An unknown or expired token changes nothing.
    pub fn handle_answer(&mut self, token: u32, answer: &Answer<'_>, now: Now) {
        self.watch_after_pause(now);
        let Some(in_flight) = self.delivery.complete(token) else {
            return;
        };

        let duration = now.uptime.saturating_sub(in_flight.started);
        self.common.stats.observe_callout(duration);
        self.conclude(in_flight, answer, Trouble::of_answer(answer), now);
    }

    /// Lines for the log.
    #[must_use]
    pub fn poll_notices(&mut self) -> Vec<Notice> {
        self.common.notices.take()
    }

    /// Adds a line to the log.
    pub fn log(&mut self, level: Level, text: String) {
        self.common.notices.log(level, text);
    }
}
