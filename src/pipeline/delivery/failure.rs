//! Failed attempts. The batch is kept for another attempt, split to find the record that causes the
//! failure, or rejected when it is a single record.
//!
//! A batch that fails while others are acknowledged waits for its backoff and does not hold up its
//! lane. One that fails as all others do closes the lane to one probe at a time, and nothing is
//! rejected for it.

use std::time::Duration;

use super::Delivery;
use crate::pipeline::batch::{Batch, Content};
use crate::pipeline::common::Common;
use crate::pipeline::drain::Drain;
use crate::pipeline::journal::Journal;
use crate::pipeline::lane::Lane;
use crate::pipeline::notices::Kind;
use crate::pipeline::trial::Blame;
use crate::pipeline::trouble::Trouble;
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

/// Failures of a batch of several records after which a stream that has ended repeats its end as
/// traffic. Most troubles of the audit cluster are shorter, and so leave one end of the stream.
const FAILURES_OF_STUCK: u32 = 3;

/// An attempt that was not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Failure {
    pub(in crate::pipeline) blame: Blame,
    /// From `Retry-After`.
    pub(in crate::pipeline) after: Option<Duration>,
    /// The attempt was the probe, or Envoy refused its callout.
    pub(in crate::pipeline) probed: bool,
    pub(in crate::pipeline) trouble: Trouble,
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

    fn log(&self, closes: bool, common: &mut Common, now: Now) {
        let detail = self.trouble.text(&common.settings.target.cluster);
        let notices = &mut common.notices;

        if closes || self.blame == Blame::Setup {
            let text = detail + self.remedy();
            notices.count(self.trouble.kind(), 1, &text, now.uptime);
        } else if self.blame == Blame::Unknown {
            notices.count(Kind::Isolating, 1, &detail, now.uptime);
        }
    }
}

/// What a failed attempt means for its batch.
#[derive(Debug)]
#[must_use]
pub(in crate::pipeline) enum Failed {
    /// Its halves wait in its place.
    Split,
    /// It is to be queued for another attempt.
    Retried,
    /// Its attempts are used up.
    Exhausted,
    /// Its single record is refused for good, with this cause.
    Rejected(String),
}

impl Delivery {
    /// An attempt was not acknowledged.
    pub(in crate::pipeline) fn fail(
        &mut self,
        batch: &mut Batch,
        failure: &Failure,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Failed {
        common.stats.add(Counter::BatchesFailed, 1);
        self.evidence.fail(&mut batch.trial, failure.blame);
        let closes = self.closes_lane(batch, failure.blame);
        failure.log(closes, common, now);

        batch.not_before = if closes {
            self.close_lane(batch.lane, failure, common, now)
        } else {
            now.uptime + common.backoff(batch.trial.failures(), failure.after)
        };

        let is_single = batch.items().len() == 1;
        if is_single && self.is_cause(batch, failure.blame, now) {
            let cause = failure.trouble.text(&common.settings.target.cluster);
            return Failed::Rejected(cause);
        }
        if !is_single && self.is_to_be_cut(batch, failure.blame, closes) {
            self.cut(batch, common, journal);
            return Failed::Split;
        }

        let max_attempts = common.settings.retry.max_attempts;
        if max_attempts.is_some_and(|max| batch.attempts >= max) {
            Failed::Exhausted
        } else {
            Failed::Retried
        }
    }

    /// Whether only failing batches of exchanges are left of a stream that has ended. Without other
    /// traffic, no acknowledgement could show that they cause their failures.
    pub(in crate::pipeline) fn is_stuck(
        &self,
        failed: &Batch,
        blame: Blame,
        drain: &Drain,
    ) -> bool {
        // Other traffic proves nothing about a failure that all batches have in common.
        let is_provable = matches!(blame, Blame::Content | Blame::Unknown);
        if !is_provable || !drain.has_begun() || drain.has_given_up() {
            return false;
        }

        let is_of_exchanges = |batch: &Batch| {
            batch
                .items()
                .iter()
                .any(|item| item.content == Content::Exchange)
        };
        let fails_often = failed.items().len() == 1 || failed.trial.failures() >= FAILURES_OF_STUCK;

        fails_often && is_of_exchanges(failed) && self.batches().all(is_of_exchanges)
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
    fn close_lane(
        &mut self,
        lane: Lane,
        failure: &Failure,
        common: &mut Common,
        now: Now,
    ) -> Duration {
        let window = self.windows.of_mut(lane);
        let failures = window.fail(failure.probed);
        let retry_at = now.uptime + common.backoff(failures, failure.after);
        window.hold_until(retry_at);
        retry_at
    }

    /// Replaces a batch by its halves. They are next to leave, so that a single record is soon
    /// found.
    fn cut(&mut self, batch: &Batch, common: &mut Common, journal: &mut Journal) {
        let ids = [common.new_batch_id(), common.new_batch_id()];
        let Some(halves) = batch.split(ids, &common.encoder) else {
            return;
        };

        common.stats.add(Counter::BatchesSplit, 1);
        for mut half in halves.into_iter().rev() {
            half.trial = batch.trial.of_half();
            half.is_piece = true;
            journal.keep(&mut half);
            self.queue_first(half);
        }

        journal.forget(batch);
    }
}
