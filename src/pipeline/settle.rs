//! How batches end: acknowledged, rejected, or dropped with a reason.

use super::batch::{Batch, Content, Item};
use super::lane::Lane;
use super::{Kind, Pipeline};
use crate::record::{Loss, LossReason};
use crate::stats::Counter;
use crate::time::Now;

impl Pipeline {
    /// 2xx: the records are released, except those that the audit cluster has rejected. An answer
    /// that rejects all proves nothing against other batches. `attempt`: the attempt's number.
    pub(super) fn acknowledge(&mut self, batch: &Batch, attempt: u64, rejected: u64, now: Now) {
        let count = batch.items().len() as u64;
        let rejected = rejected.min(count);
        if rejected < count {
            self.evidence.acknowledge(attempt, now.uptime);
        }

        self.stats.add(Counter::BatchesAcknowledged, 1);
        self.mark_sent(batch, now);
        self.stats.add(Counter::Acknowledged, count - rejected);
        self.release(batch);
        self.recover(batch.lane, now);
        self.decide_batch(batch, rejected == 0);

        if rejected > 0 {
            self.stats.add(Counter::Rejected, rejected);
            self.notices
                .count(Kind::Rejected, rejected, "partial success", now.uptime);
            self.report_rejected(batch, rejected, now);
        }
    }

    /// A single record is refused for good.
    pub(super) fn reject(&mut self, batch: &Batch, detail: &str, now: Now) {
        self.release(batch);
        self.decide_batch(batch, false);
        self.stats
            .add(Counter::Rejected, batch.items().len() as u64);
        self.notices.count(Kind::Rejected, 1, detail, now.uptime);
        self.report_rejected(batch, 1, now);
    }

    /// Adds a loss for `count` rejected records of a batch. OTLP does not state which records were
    /// rejected, so loss records in the batch are requeued: duplicates are preferred to silent
    /// loss. A batch of nothing but loss records is not reported again, since that could go on for
    /// ever: its losses are logged.
    fn report_rejected(&mut self, batch: &Batch, count: u64, now: Now) {
        let is_own = batch.origin == self.origin();
        // Each report of another stream's losses has a new end record.
        let is_report =
            |item: &Item| item.loss().is_some() || !is_own && item.content != Content::Exchange;
        if batch.items().iter().all(is_report) {
            for loss in batch.items().iter().filter_map(Item::loss) {
                self.notices
                    .count(Kind::Unreported, 1, &unreported(&loss), now.uptime);
            }
        } else if let Some((first, last)) = batch.numbers() {
            self.report(
                batch,
                [Loss {
                    reason: LossReason::Rejected,
                    count,
                    first,
                    last,
                }],
                now,
            );
        }

        self.write_checkpoint(self.sequence.next(), self.journal.published_gauges());
    }

    /// Reports losses for the batch's stream, and requeues the losses that the batch had reported.
    fn report(&mut self, batch: &Batch, losses: impl IntoIterator<Item = Loss>, now: Now) {
        let stream = batch.origin.stream_id;
        self.journal.count_return();

        for loss in batch.items().iter().filter_map(Item::loss).chain(losses) {
            if batch.origin == self.origin() {
                self.losses.add(loss, now.uptime);
            } else if !self.add_foreign_loss(stream, loss, now) {
                self.notices
                    .count(Kind::Unreported, 1, &unreported(&loss), now.uptime);
            }
        }
    }

    /// Drops what is older than `retry.max_age`: single records that wait, and batches without a
    /// younger record.
    pub(super) fn expire(&mut self, now: Now) {
        let Some(limit) = self.uptime_limit(now) else {
            return;
        };

        for lane in Lane::ALL {
            while self
                .buffer
                .oldest(lane)
                .is_some_and(|record| record.made <= limit)
            {
                if let Some(record) = self.buffer.pop(lane) {
                    self.lose(LossReason::MaxAge, record.number, now);
                }
            }
            let is_old = |batch: &Batch| batch.newest().is_some_and(|made| made <= limit);
            let (old, kept) = std::mem::take(self.waiting.of_mut(lane))
                .into_iter()
                .partition(is_old);
            *self.waiting.of_mut(lane) = kept;
            for batch in Vec::from(old) {
                self.drop_batch(&batch, LossReason::MaxAge, now);
            }
        }
    }

    pub(super) fn drop_batch(&mut self, batch: &Batch, reason: LossReason, now: Now) {
        self.release(batch);
        self.decide_batch(batch, false);
        let count = batch.items().len() as u64;
        self.count_dropped(reason, count, now);
        let loss = |(first, last)| Loss {
            reason,
            count: last - first + 1,
            first,
            last,
        };

        self.report(batch, batch.ranges().into_iter().map(loss), now);
        self.write_checkpoint(self.sequence.next(), self.journal.published_gauges());
    }

    /// The end of a batch is known: frees its memory and its cell.
    pub(super) fn release(&mut self, batch: &Batch) {
        self.release_space(batch);
        self.journal.forget(batch);
    }

    /// Frees the memory of a batch's records.
    pub(super) fn release_space(&mut self, batch: &Batch) {
        let is_buffered = |item: &&Item| item.content == Content::Exchange;
        for item in batch.items().iter().filter(is_buffered) {
            self.buffer.release(item.lane, item.bytes());
        }
    }

    fn recover(&mut self, lane: Lane, now: Now) {
        if self.windows.of_mut(lane).recover() {
            self.notices.count(Kind::Recovered, 1, "", now.uptime);
        }
    }
}

/// A loss that no record reports, for the log.
pub(super) fn unreported(loss: &Loss) -> String {
    let Loss {
        reason,
        count,
        first,
        last,
    } = loss;
    let reason = reason.as_str();
    format!("count {count}, numbers {first} to {last}, reason {reason}")
}
