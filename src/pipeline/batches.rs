//! The parts joined where batches begin and end: acknowledged, tried again, rejected, or dropped with
//! a reason.

use super::Pipeline;
use super::answer::{self, Answer, Disposition};
use super::batch::{Batch, Content, Item};
use super::delivery::{Failed, Failure};
use super::lane::Lane;
use super::notices::Kind;
use super::trial::Blame;
use super::trouble::Trouble;
use super::window::InFlight;
use crate::record::{Loss, LossReason};
use crate::stats::Counter;
use crate::time::Now;

impl Pipeline {
    /// The next batch of this lane: a retry that is due, else a new batch if one is due. While the
    /// lane is closed, a new batch may be first: only another batch can show that the waiting ones
    /// cause the failures.
    pub(super) fn next_batch(&mut self, lane: Lane, now: Now) -> Option<Batch> {
        if !self.delivery.is_open(lane, now) {
            return None;
        }

        let all = self.common.settings.batch.max_records;
        let mut next = None;
        if let Some(most) = self.delivery.size_of_other_probe(lane, all) {
            next = self.new_batch(lane, most, now);
        }
        let random = &mut self.common.random;
        if next.is_none() && self.delivery.lets_others_go_first(lane, random) {
            next = self.new_batch(lane, all, now);
        }

        next.or_else(|| self.delivery.next_waiting(lane, now))
            .or_else(|| self.new_batch(lane, all, now))
    }

    fn new_batch(&mut self, lane: Lane, most: usize, now: Now) -> Option<Batch> {
        if self.watch.is_offering() {
            // An offered stream can be taken over at any moment, so its records must be in the
            // published gauges. It is sealed before these are published.
            return None;
        }
        if lane == Lane::Bulk && self.takeover.has_losses() {
            self.check_slots(now);
            let foreign = self
                .takeover
                .seal_losses(&mut self.common, &mut self.journal, now);
            if foreign.is_some() {
                return foreign;
            }
        }

        let (common, journal) = (&mut self.common, &mut self.journal);
        let due = self.intake.seal_due(lane, most, common, journal, now);
        let is_alive = due.is_none()
            && lane == Lane::Bulk
            && self.intake.is_silent(common, now)
            && !self.delivery.is_about_to_send();
        if is_alive {
            return Some(self.intake.seal_sign_of_life(common, journal, now));
        }
        due
    }

    /// Concludes every attempt that has left. `trouble` is the cause of a failure.
    pub(super) fn conclude(
        &mut self,
        in_flight: InFlight,
        answer: &Answer<'_>,
        trouble: Trouble,
        now: Now,
    ) {
        let format = self.common.encoder.format();

        match answer::classify(answer, format, now.unix_nanos) {
            Disposition::Acknowledged { rejected } => self.acknowledge(&in_flight, rejected, now),
            Disposition::Failed { blame, after } => {
                let failure = Failure {
                    blame: trouble.blame().unwrap_or(blame),
                    after,
                    probed: in_flight.is_probe(),
                    trouble,
                };
                self.fail(in_flight.batch, &failure, now);
            }
        }
    }

    /// 2xx: the records are released, except those that the audit cluster has rejected.
    fn acknowledge(&mut self, in_flight: &InFlight, rejected: u64, now: Now) {
        let batch = &in_flight.batch;
        let rejected = self
            .delivery
            .acknowledge(in_flight, rejected, &mut self.common, now);

        self.intake.mark_sent(batch, now);
        self.settle(batch, rejected == 0);
        if rejected > 0 {
            self.reject(batch, rejected, "partial success", now);
        }
    }

    /// An attempt was not acknowledged.
    pub(super) fn fail(&mut self, mut batch: Batch, failure: &Failure, now: Now) {
        let (common, journal) = (&mut self.common, &mut self.journal);
        let failed = self
            .delivery
            .fail(&mut batch, failure, common, journal, now);

        match failed {
            Failed::Split => {}
            Failed::Retried => self.retry(batch, failure.blame, now),
            Failed::Exhausted => self.drop_batch(&batch, LossReason::MaxAttempts, now),
            Failed::Rejected(cause) => {
                self.settle(&batch, false);
                self.reject(&batch, 1, &cause, now);
            }
        }
    }

    /// Keeps a batch for another attempt.
    fn retry(&mut self, batch: Batch, blame: Blame, now: Now) {
        if self.intake.is_own(&batch) {
            let stats = &self.common.stats;
            if blame == Blame::Content && batch.items().len() == 1 {
                // A request need not wait for it: it may be accepted later, but hardly in time.
                self.holds.decide_batch(&batch, false, stats);
            }
            self.holds.refuse_hopeless(&batch, stats);
        }

        if self.delivery.is_stuck(&batch, blame, &self.common.drain) {
            self.intake
                .repeat_end(&mut self.common, &mut self.journal, now);
        }
        self.delivery.queue(batch);
    }

    /// The end of a batch is known: frees its memory and its cell, and decides about the requests
    /// that wait for it.
    pub(super) fn settle(&mut self, batch: &Batch, proceed: bool) {
        self.intake.release(batch);
        self.journal.forget(batch);
        if self.intake.is_own(batch) {
            self.holds.decide_batch(batch, proceed, &self.common.stats);
        }
    }

    /// Adds a loss for `count` rejected records of a batch. OTLP does not state which records were
    /// rejected, so loss records in the batch are requeued: duplicates are preferred to silent
    /// loss. A batch of nothing but loss records is not reported again, since that could go on for
    /// ever: its losses are logged.
    fn reject(&mut self, batch: &Batch, count: u64, cause: &str, now: Now) {
        self.common.stats.add(Counter::Rejected, count);
        self.common
            .notices
            .count(Kind::Rejected, count, cause, now.uptime);

        let is_own = self.intake.is_own(batch);
        // Each report of another stream's losses has a new end record.
        let is_report =
            |item: &Item| item.loss().is_some() || !is_own && item.content != Content::Exchange;
        if batch.items().iter().all(is_report) {
            for loss in batch.losses() {
                self.common.log_unreported(&loss, now);
            }
        } else if let Some((first, last)) = batch.numbers() {
            let loss = Loss {
                reason: LossReason::Rejected,
                count,
                first,
                last,
            };
            self.report(batch, [loss], now);
        }

        self.intake.checkpoint(&self.common, &mut self.journal);
    }

    /// Reports losses for the batch's stream, and requeues the losses that the batch had reported.
    fn report(&mut self, batch: &Batch, losses: impl IntoIterator<Item = Loss>, now: Now) {
        let (is_own, stream) = (self.intake.is_own(batch), batch.origin.stream_id);
        self.journal.count_return();

        for loss in batch.losses().chain(losses) {
            if is_own {
                self.intake.add_loss(loss, now);
            } else if !self.takeover.add_loss(stream, loss, &self.journal, now) {
                self.common.log_unreported(&loss, now);
            }
        }
    }

    /// Drops what is older than `retry.max_age`: single records that wait, and batches without a
    /// younger record.
    pub(super) fn expire(&mut self, now: Now) {
        let max_age = self.common.settings.retry.max_age;
        let Some(limit) = max_age.and_then(|age| now.uptime.checked_sub(age)) else {
            return;
        };

        for lane in Lane::ALL {
            while let Some(lost) = self.intake.expire_next(lane, limit, &mut self.common, now) {
                self.holds.refuse(&[lost], &self.common.stats);
            }
            for batch in self.delivery.take_old(lane, limit) {
                self.drop_batch(&batch, LossReason::MaxAge, now);
            }
        }
    }

    /// Ends a batch without an acknowledgement.
    pub(super) fn drop_batch(&mut self, batch: &Batch, reason: LossReason, now: Now) {
        self.settle(batch, false);
        let count = batch.items().len() as u64;
        self.common.count_dropped(reason, count, now);
        let loss = |(first, last)| Loss {
            reason,
            count: last - first + 1,
            first,
            last,
        };

        self.report(batch, batch.ranges().into_iter().map(loss), now);
        self.intake.checkpoint(&self.common, &mut self.journal);
    }
}
