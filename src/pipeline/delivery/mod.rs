//! Batches on their way: those that wait for an attempt, the one that is about to leave, those in
//! flight, and the evidence of their failures.

mod failure;

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::batch::Batch;
use super::common::Common;
use super::lane::{Lane, PerLane};
use super::notices::Kind;
use super::trial::{Blame, Evidence};
use super::trouble::{Refusal, Trouble};
use super::window::{FIRST_IN_FLIGHT, InFlight, MAX_IN_FLIGHT, Window};
use crate::stats::{Counter, Stats};
use crate::time::Now;
use crate::wire::Origin;
pub(super) use failure::{Failed, Failure};

/// Failed probes before another batch is tried: most trouble is over by then.
const FAILURES_BEFORE_OTHERS: u32 = 2;

/// Most whole batches that have failed in a lane. After that, new probes have a single record.
const MAX_OTHERS: usize = 4;

/// Failed probes per such record: in an outage one in two minutes at the default
/// `retry.max_backoff`.
const FAILURES_PER_RECORD: u32 = 8;

/// The sealed batches of a pipeline.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Those that wait for an attempt, in the order in which they were queued.
    waiting: PerLane<VecDeque<Batch>>,
    /// The batch of the callout that is being made.
    prepared: Option<Batch>,
    windows: PerLane<Window>,
    evidence: Evidence,
    wake_requested: bool,
}

impl Delivery {
    pub(super) fn new() -> Self {
        Self {
            waiting: PerLane::default(),
            prepared: None,
            windows: PerLane {
                bulk: Window::new(FIRST_IN_FLIGHT.bulk, MAX_IN_FLIGHT.bulk),
                immediate: Window::new(FIRST_IN_FLIGHT.immediate, MAX_IN_FLIGHT.immediate),
            },
            evidence: Evidence::default(),
            wake_requested: false,
        }
    }

    fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.windows.each().flat_map(Window::in_flight)
    }

    /// How many batches are in flight.
    pub(super) fn count_in_flight(&self) -> usize {
        self.in_flight().count()
    }

    /// Whether a batch has left, or is about to, and its end is not known.
    pub(super) fn is_under_way(&self) -> bool {
        self.prepared.is_some() || self.in_flight().next().is_some()
    }

    /// How many batches wait for an attempt.
    pub(super) fn count_waiting(&self) -> usize {
        self.waiting.each().map(VecDeque::len).sum()
    }

    /// All batches: waiting, prepared and in flight.
    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        let waiting = self.waiting.each().flatten();
        waiting
            .chain(self.prepared.as_ref())
            .chain(self.in_flight().map(|in_flight| &in_flight.batch))
    }

    /// The same, to be changed.
    pub(super) fn batches_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        let waiting = self.waiting.each_mut().flatten();
        let in_flight = self.windows.each_mut().flat_map(Window::batches_mut);
        waiting.chain(self.prepared.as_mut()).chain(in_flight)
    }

    /// Removes all batches.
    pub(super) fn take_batches(&mut self) -> Vec<Batch> {
        let in_flight = self
            .windows
            .each_mut()
            .flat_map(Window::take_all)
            .map(|in_flight| in_flight.batch);
        let waiting = self.waiting.each_mut().flat_map(std::mem::take);

        in_flight
            .chain(waiting)
            .chain(self.prepared.take())
            .collect()
    }

    /// Removes waiting batches of this stream, to be joined in one. A batch that failed while
    /// others were acknowledged is left out, since its failure would be that of all.
    pub(super) fn take_joinable(&mut self, origin: Origin) -> Vec<Batch> {
        let mut joinable = Vec::new();
        for waiting in self.waiting.each_mut() {
            let is_to_join = |batch: &Batch| batch.origin == origin && batch.trial.strikes() == 0;
            let (own, others): (Vec<Batch>, Vec<Batch>) = waiting.drain(..).partition(is_to_join);
            *waiting = others.into();
            joinable.extend(own);
        }
        joinable
    }

    /// Removes waiting batches without a record that was made after `limit`.
    pub(super) fn take_old(&mut self, lane: Lane, limit: Duration) -> VecDeque<Batch> {
        let is_old = |batch: &Batch| batch.newest().is_some_and(|made| made <= limit);
        let (old, kept) = std::mem::take(self.waiting.of_mut(lane))
            .into_iter()
            .partition(is_old);
        *self.waiting.of_mut(lane) = kept;
        old
    }

    /// Makes batches in flight wait for another attempt, whatever their answers will be.
    pub(super) fn requeue_in_flight(&mut self) {
        for window in self.windows.each_mut() {
            for InFlight { batch, .. } in window.take_all() {
                self.waiting.of_mut(batch.lane).push_back(batch);
            }
        }
    }

    /// How many records are in batches.
    pub(super) fn records(&self) -> u64 {
        self.batches().map(|batch| batch.items().len() as u64).sum()
    }

    /// Whether there is a batch of this stream.
    pub(super) fn has_batch_of(&self, stream: Uuid) -> bool {
        self.batches().any(|batch| batch.origin.stream_id == stream)
    }

    /// Adds a batch behind the others of its lane.
    pub(super) fn queue(&mut self, batch: Batch) {
        self.waiting.of_mut(batch.lane).push_back(batch);
    }

    /// Adds a batch before the others of its lane.
    pub(super) fn queue_first(&mut self, batch: Batch) {
        self.waiting.of_mut(batch.lane).push_front(batch);
    }

    /// Whether a batch of this lane can leave now.
    pub(super) fn is_open(&self, lane: Lane, now: Now) -> bool {
        self.windows.of(lane).is_open(now.uptime)
    }

    /// When an immediate batch can leave, as far as is known.
    pub(super) fn immediate_opens_at(&self) -> Duration {
        self.windows.immediate.opens_at()
    }

    /// Whether attempts fail, and only probes leave.
    pub(super) fn is_failing(&self) -> bool {
        self.windows.each().any(Window::is_down)
    }

    /// Lets the next probes leave at once.
    pub(super) fn end_backoff(&mut self) {
        self.windows.each_mut().for_each(Window::end_backoff);
    }

    /// Whether something is in flight, or is tried again in an outage.
    pub(super) fn is_about_to_send(&self) -> bool {
        let in_outage =
            |lane: &Lane| self.windows.of(*lane).is_down() && !self.waiting.of(*lane).is_empty();
        self.in_flight().next().is_some() || Lane::ALL.iter().any(in_outage)
    }

    /// Whether the root context is to be woken: a lane that is open has a full batch. True at most
    /// once until [`Self::finish_wake`].
    pub(super) fn wakes(&mut self, is_full: impl Fn(Lane) -> bool, now: Now) -> bool {
        let may_leave = |lane: &Lane| is_full(*lane) && self.is_open(*lane, now);
        let wakes = !self.wake_requested && Lane::ALL.iter().any(may_leave);
        self.wake_requested |= wakes;
        wakes
    }

    /// The root context polls callouts.
    pub(super) fn finish_wake(&mut self) {
        self.wake_requested = false;
    }

    /// Most records of a new batch that is the next probe; `None`: a retry is. In an outage records
    /// must stay where `drop_oldest` reaches them, so such batches are few, and later small.
    pub(super) fn size_of_other_probe(&self, lane: Lane, max_records: usize) -> Option<usize> {
        let failures = self.windows.of(lane).failures();
        let wholes = self
            .waiting
            .of(lane)
            .iter()
            .filter(|batch| !batch.is_piece)
            .count();

        match failures {
            FAILURES_BEFORE_OTHERS.. if wholes < MAX_OTHERS => Some(max_records),
            1.. if failures.is_multiple_of(FAILURES_PER_RECORD) => Some(1),
            _ => None,
        }
    }

    /// Whether new batches precede one that failed while others were acknowledged. Random: an audit
    /// cluster that fails every other time must not fail the same batch in step with the ticks.
    pub(super) fn lets_others_go_first(&self, lane: Lane, random: &mut fastrand::Rng) -> bool {
        let is_suspect = |batch: &Batch| batch.trial.strikes() > 0;
        self.waiting.of(lane).iter().any(is_suspect) && random.bool()
    }

    /// The retry that is due for longest. At most one batch that may take a whole timeout is in
    /// flight: the rest of the window is for batches that succeed.
    pub(super) fn next_waiting(&mut self, lane: Lane, now: Now) -> Option<Batch> {
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

    /// Keeps the batch of the callout that is to be made.
    pub(super) fn prepare(&mut self, batch: Option<Batch>) {
        self.prepared = batch;
    }

    pub(super) fn prepared(&self) -> Option<&Batch> {
        self.prepared.as_ref()
    }

    /// The batch whose callout was made or refused; that was an attempt.
    pub(super) fn take_attempted(&mut self) -> Option<Batch> {
        let mut batch = self.prepared.take()?;
        batch.attempts += 1;
        Some(batch)
    }

    /// Envoy has accepted the callout.
    pub(super) fn start(&mut self, token: u32, mut batch: Batch, stats: &Stats, now: Now) {
        stats.add(Counter::BatchesDispatched, 1);
        stats.add(Counter::BatchesRetried, u64::from(batch.attempts > 1));

        let attempt = self.evidence.start(&mut batch.trial);
        self.windows
            .of_mut(batch.lane)
            .start(token, batch, attempt, now.uptime);
    }

    /// Envoy has refused the callout.
    pub(super) fn refused(&self, lane: Lane, refusal: Refusal) -> Failure {
        Failure {
            blame: Blame::Load,
            after: None,
            probed: self.windows.of(lane).is_down(),
            trouble: Trouble::of_refusal(refusal, self.in_flight().next().is_some()),
        }
    }

    /// Removes the batch that an answer belongs to.
    pub(super) fn complete(&mut self, token: u32) -> Option<InFlight> {
        self.windows
            .each_mut()
            .find_map(|window| window.complete(token))
    }

    /// Removes a batch with an overdue answer.
    pub(super) fn take_overdue(&mut self, timeout: Duration, now: Now) -> Option<InFlight> {
        self.windows
            .each_mut()
            .find_map(|window| window.expire(timeout, now.uptime))
    }

    /// A 2xx answer. Yields how many records of the batch it rejects. One that rejects all proves
    /// nothing against other batches.
    pub(super) fn acknowledge(
        &mut self,
        InFlight { batch, attempt, .. }: &InFlight,
        rejected: u64,
        common: &mut Common,
        now: Now,
    ) -> u64 {
        let count = batch.items().len() as u64;
        let rejected = rejected.min(count);
        if rejected < count {
            self.evidence.acknowledge(*attempt, now.uptime);
        }

        common.stats.add(Counter::BatchesAcknowledged, 1);
        common.stats.add(Counter::Acknowledged, count - rejected);
        if self.windows.of_mut(batch.lane).recover() {
            common.notices.count(Kind::Recovered, 1, "", now.uptime);
        }

        rejected
    }
}
