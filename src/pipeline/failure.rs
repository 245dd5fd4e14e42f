//! Failed attempts. The batch is kept for another attempt, split to find the record that causes the
//! failure, or rejected when it is a single record.
//!
//! A batch that fails while others are acknowledged waits for its backoff and does not hold up its
//! lane. One that fails as all others do closes the lane to one probe at a time, and nothing is
//! rejected for it.

use std::time::Duration;

use super::batch::Batch;
use super::cut::new_batch_id;
use super::lane::Lane;
use super::trial::Blame;
use super::trouble::Trouble;
use super::{Kind, Pipeline};
use crate::record::LossReason;
use crate::stats::Counter;
use crate::time::Now;

/// Refusals of content in a row, without any acknowledgement, that do not yet close the lane. If
/// each batch has one bad record, all four in flight may be refused before the first good half is
/// acknowledged. It bounds the callouts to an audit cluster that refuses everything, before the
/// first backoff.
const TOLERATED_REFUSALS: u32 = 8;

/// Most batches that wait in a lane while everything is refused; beyond that none is split. A batch
/// of the largest size makes 11 on the way to a single record. Each costs about 700 bytes beside
/// its records.
const MAX_PIECES: usize = 24;

/// Strikes that split a batch if its status is not about content. An audit cluster that fails every
/// other attempt at random reaches this for one in 64 failed batches (2^-6), at the price of one
/// more callout.
const STRIKES_TO_CUT: u32 = 6;

/// Strikes after which a single record is rejected. An audit cluster that fails every other attempt
/// at random reaches this for one in sixteen million (2^-24).
const STRIKES_TO_REJECT: u32 = 24;

/// Strikes that reject a single record if its content is refused. That makes three refusals, with
/// other batches acknowledged before the second and the third. No single change of the audit
/// cluster's configuration looks like that.
const CONTENT_STRIKES_TO_REJECT: u32 = 2;

/// An attempt that was not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) blame: Blame,
    /// From `Retry-After`.
    pub(super) after: Option<Duration>,
    /// The attempt was the probe, or Envoy refused its callout.
    pub(super) probed: bool,
    pub(super) trouble: Trouble,
}

impl Failure {
    /// The remedy for an operator, if every attempt ends so.
    fn remedy(&self) -> &'static str {
        match self.trouble {
            Trouble::Status(401 | 403 | 407) => "; check audit_cluster.headers",
            Trouble::Status(300..=399 | 404 | 405) => "; check audit_cluster.path",
            Trouble::Status(415) => "; check audit_cluster.format",
            Trouble::Status(413) => "; lower batch.max_bytes",
            _ if self.blame == Blame::Content => {
                "; check audit_cluster.format and audit_cluster.path"
            }
            _ => "",
        }
    }
}

impl Pipeline {
    /// An attempt was not acknowledged.
    pub(super) fn fail(&mut self, mut batch: Batch, failure: &Failure, now: Now) {
        self.stats.add(Counter::BatchesFailed, 1);
        self.evidence.fail(&mut batch.trial, failure.blame);
        let closes = self.closes_lane(&batch, failure.blame);
        self.log_failure(failure, closes, now);

        let retry_at = if closes {
            self.close_lane(batch.lane, failure, now)
        } else {
            self.retry_alone(&batch, failure, now)
        };
        let is_single = batch.items().len() == 1;
        if is_single && self.is_cause(&batch, failure.blame, now) {
            self.reject(
                &batch,
                &failure.trouble.text(&self.settings.target.cluster),
                now,
            );
        } else if !is_single && self.is_to_be_cut(&batch, failure.blame, closes) {
            self.cut(&batch);
        } else {
            if is_single && failure.blame == Blame::Content {
                // A request need not wait for it: it may be accepted later, but hardly in time.
                self.decide_batch(&batch, false);
            }
            self.keep(batch, failure.blame, retry_at, now);
        }
    }

    /// Whether the failure is about the lane, not about the batch alone.
    fn closes_lane(&self, batch: &Batch, blame: Blame) -> bool {
        let is_tolerated =
            blame == Blame::Content && self.evidence.in_a_row() <= TOLERATED_REFUSALS;
        blame == Blame::Load || batch.trial.strikes() == 0 && !is_tolerated
    }

    /// Whether a single record causes the failure and is rejected: it fails, and others do not.
    fn is_cause(&mut self, batch: &Batch, blame: Blame, now: Now) -> bool {
        let strikes = batch.trial.strikes();
        match blame {
            Blame::Content => {
                strikes >= CONTENT_STRIKES_TO_REJECT
                    || self.evidence.is_last_to_fail(&batch.trial, now.uptime)
            }
            Blame::Unknown => strikes >= STRIKES_TO_REJECT,
            Blame::Setup | Blame::Load => false,
        }
    }

    fn is_to_be_cut(&self, batch: &Batch, blame: Blame, closes: bool) -> bool {
        match blame {
            Blame::Content => !closes || self.may_search(batch),
            Blame::Unknown => batch.trial.strikes() >= STRIKES_TO_CUT,
            Blame::Setup | Blame::Load => false,
        }
    }

    /// Whether a batch is split while everything is refused, to find a record that is not. One
    /// batch at a time.
    fn may_search(&self, batch: &Batch) -> bool {
        let waiting = self.waiting.of(batch.lane);
        waiting.len() < MAX_PIECES
            && (batch.is_piece || !waiting.iter().any(|batch| batch.is_piece))
    }

    /// Closes the lane to one probe at a time. Yields when the next one may leave.
    fn close_lane(&mut self, lane: Lane, failure: &Failure, now: Now) -> Duration {
        let failures = self.windows.of_mut(lane).fail(failure.probed);
        let retry_at = now.uptime + self.backoff(failures, failure.after);
        self.windows.of_mut(lane).hold_until(retry_at);
        retry_at
    }

    /// When a batch that does not hold up the others can leave again.
    fn retry_alone(&mut self, batch: &Batch, failure: &Failure, now: Now) -> Duration {
        now.uptime + self.backoff(batch.trial.failures(), failure.after)
    }

    /// Replaces a batch by its halves. They are next to leave, so that a single record is soon
    /// found.
    fn cut(&mut self, batch: &Batch) {
        let random = &mut self.random;
        let Some(halves) = batch.split(|| new_batch_id(random), &self.encoder) else {
            return;
        };

        self.stats.add(Counter::BatchesSplit, 1);
        for mut half in halves.into_iter().rev() {
            half.trial = batch.trial.of_half();
            half.is_piece = true;
            self.journal.keep(&mut half);
            self.waiting.of_mut(half.lane).push_front(half);
        }

        self.journal.forget(batch);
    }

    /// Keeps a batch for another attempt, or drops it when its attempts are used up.
    fn keep(&mut self, mut batch: Batch, blame: Blame, retry_at: Duration, now: Now) {
        if self
            .settings
            .retry
            .max_attempts
            .is_some_and(|max| batch.attempts >= max)
        {
            self.drop_batch(&batch, LossReason::MaxAttempts, now);
        } else {
            batch.not_before = retry_at;
            self.refuse_hopeless(&batch);
            // Other traffic proves nothing about a failure that all batches have in common.
            let is_provable = matches!(blame, Blame::Content | Blame::Unknown);
            if self.is_draining() && is_provable && !self.has_given_up {
                self.repeat_end(&batch, now);
            }

            self.waiting.of_mut(batch.lane).push_back(batch);
        }
    }

    fn log_failure(&mut self, failure: &Failure, closes: bool, now: Now) {
        let detail = failure.trouble.text(&self.settings.target.cluster);

        if closes || failure.blame == Blame::Setup {
            self.notices.count(
                failure.trouble.kind(),
                1,
                &(detail + failure.remedy()),
                now.uptime,
            );
        } else if failure.blame == Blame::Unknown {
            self.notices.count(Kind::Isolating, 1, &detail, now.uptime);
        }
    }
}
