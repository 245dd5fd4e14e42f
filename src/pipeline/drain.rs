//! The end of a pipeline: the records it still holds, how long it tries, and how the rest is logged
//! and reported.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::Pipeline;
use super::batch::{Batch, Item};
use super::lane::Lane;
use super::notices::{Kind, Level};
use super::predecessor::Predecessor;
use super::settle::unreported;
use super::window::Window;
use crate::record::LossReason;
use crate::stats::Counter;
use crate::time::Now;

/// How long a draining pipeline tries to deliver its records.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(300);

/// How long it tries after that to report the abandoned records.
pub const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// Records of the stream that are lost if the worker ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// How many.
    pub count: u64,
    /// Lowest number among them, and among the losses that they report.
    pub first: u64,
    /// Highest one.
    pub last: u64,
}

impl Unacknowledged {
    /// All records of these batches and the losses that they report, these ranges, and `more`
    /// records in them. `None`: there are no numbers.
    fn of<'b>(
        batches: impl Iterator<Item = &'b Batch>,
        ranges: impl Iterator<Item = (u64, u64)>,
        more: u64,
    ) -> Option<Self> {
        let mut left = Self {
            count: more,
            first: u64::MAX,
            last: 0,
        };
        for item in batches.flat_map(Batch::items) {
            left.count += 1;
            left.cover((item.number, item.number));
            item.loss()
                .into_iter()
                .for_each(|loss| left.cover((loss.first, loss.last)));
        }

        ranges.for_each(|range| left.cover(range));
        (left.first <= left.last).then_some(left)
    }

    fn cover(&mut self, (first, last): (u64, u64)) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
}

impl Pipeline {
    /// The configuration ends. Nothing waits from now on.
    pub fn handle_end(&mut self, now: Now) {
        self.check_slots(now);
        self.draining_since.get_or_insert(now.uptime);
        self.windows.each_mut().for_each(Window::end_backoff);
    }

    /// The configuration ends, and perhaps the process: everything that is not in flight is sealed
    /// into one batch, with the stream's end.
    ///
    /// True: a callout is worth its connection. For the end alone it is not, since another
    /// configuration of the same worker may have records for that connection. The end leaves at a
    /// tick, if one comes.
    pub fn handle_shutdown(&mut self, now: Now) -> bool {
        self.handle_end(now);
        let waits = self.waiting.each().any(|waiting| !waiting.is_empty());
        let is_worth_it = waits || self.unsealed_records() > 0 || self.losses.oldest().is_some();
        if is_worth_it {
            self.seal_the_rest(now);
        }
        is_worth_it
    }

    /// The same without a successor: how many callouts are worth it. Logs the unacknowledged
    /// records.
    pub fn handle_last_chance(&mut self, now: Now) -> usize {
        let is_worth_it = self.handle_shutdown(now);
        self.warn_of_unacknowledged();
        if is_worth_it {
            self.waiting.each().map(VecDeque::len).sum()
        } else {
            0
        }
    }

    /// Logs the unacknowledged records, one line for each stream: the process may end before an
    /// acknowledgement.
    fn warn_of_unacknowledged(&mut self) {
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!(
                "ends with {count} records not yet acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Warn, text);
        }

        for (stream, Unacknowledged { count, first, last }) in self.unacknowledged_of_others() {
            let text = format!(
                "ends with {count} records of stream {stream} not yet acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Warn, text);
        }
    }

    /// Whether the pipeline is draining: its configuration has ended.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining_since.is_some()
    }

    /// Whether a draining pipeline is idle, or has tried for [`DRAIN_LIMIT`] and reported for
    /// [`REPORT_LIMIT`].
    #[must_use]
    pub fn is_drained(&self, now: Now) -> bool {
        let is_idle = self.held_records() == 0
            && self.losses.oldest().is_none()
            && !self.needs_end()
            && self.recovery.is_done();
        self.draining_since.is_some()
            && (is_idle || self.has_drained_for(DRAIN_LIMIT + REPORT_LIMIT, now))
    }

    /// The records that are lost if the worker ends now.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Unacknowledged> {
        let own = self.batches().filter(|batch| batch.origin == self.origin());
        let waiting = Lane::ALL.into_iter().filter_map(|lane| {
            Some((
                self.buffer.oldest(lane)?.number,
                self.buffer.newest(lane)?.number,
            ))
        });
        let start = self
            .sequence
            .pending_start()
            .map(|start| (start.number, start.number));

        Unacknowledged::of(own, waiting.chain(start), self.unsealed_records())
    }

    /// The same for each stream that was taken over.
    fn unacknowledged_of_others(&self) -> Vec<(Uuid, Unacknowledged)> {
        let of_stream = |other: &Predecessor| {
            let batches = self
                .batches()
                .filter(|batch| batch.origin.stream_id == other.stream());
            let (lost, range) = other.unreported();
            Some((
                other.stream(),
                Unacknowledged::of(batches, range.into_iter(), lost)?,
            ))
        };

        self.recovery.streams.iter().filter_map(of_stream).collect()
    }

    /// A tick has found no successor: abandons the records that were not delivered within
    /// [`DRAIN_LIMIT`]. They are logged, counted in `records.dropped.abandoned`, and reported in a
    /// last batch.
    pub fn handle_no_successor(&mut self, now: Now) {
        if !self.has_drained_long_enough(now) {
            return;
        }

        if !std::mem::replace(&mut self.has_given_up, true) {
            self.log_abandoned();
            self.abandon(now);
        }

        if self.has_drained_for(DRAIN_LIMIT + REPORT_LIMIT, now) {
            self.log_unreported(now);
        }
    }

    fn log_abandoned(&mut self) {
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!(
                "gives up {count} records that were never acknowledged, numbers {first} to {last}"
            );
            self.log(Level::Error, text);
        }

        let foreign = self
            .batches()
            .filter(|batch| batch.origin != self.origin())
            .map(|batch| batch.items().len());
        let count = foreign.sum::<usize>() as u64 + self.recovery.records();
        if count > 0 {
            self.log(
                Level::Error,
                format!("gives up {count} records of streams that it has taken over"),
            );
        }
    }

    /// Drops all held records. Their losses leave at once, in a separate batch.
    fn abandon(&mut self, now: Now) {
        for batch in self.take_batches() {
            self.drop_batch(&batch, LossReason::Abandoned, now);
        }

        for lane in Lane::ALL {
            while let Some(record) = self.buffer.pop(lane) {
                self.lose(LossReason::Abandoned, record.number, now);
            }
        }

        if let Some(start) = self.sequence.take_start() {
            self.lose(LossReason::Abandoned, start.number, now);
        }

        let missing = std::mem::take(&mut self.recovery.missing);
        self.stats.add(Counter::DroppedAbandoned, missing);
        self.recovery
            .streams
            .iter_mut()
            .for_each(|predecessor| predecessor.abandon(now.uptime));
        self.sequence.reopen();
        self.windows.each_mut().for_each(Window::end_backoff);
    }

    /// Nothing more is sent: the losses that no record reports are logged.
    fn log_unreported(&mut self, now: Now) {
        let mut losses = Vec::new();
        for batch in self.take_batches() {
            losses.extend(batch.items().iter().filter_map(Item::loss));
            self.stats
                .add(Counter::DroppedAbandoned, batch.items().len() as u64);
            self.release(&batch);
        }

        losses.extend(self.losses.take(usize::MAX));
        losses.extend(
            self.recovery
                .streams
                .iter_mut()
                .flat_map(Predecessor::take_losses),
        );
        for loss in losses {
            self.notices
                .count(Kind::Unreported, 1, &unreported(&loss), now.uptime);
        }
    }

    pub(super) fn has_drained_long_enough(&self, now: Now) -> bool {
        self.has_drained_for(DRAIN_LIMIT, now)
    }

    fn has_drained_for(&self, limit: Duration, now: Now) -> bool {
        self.draining_since
            .is_some_and(|since| now.uptime.saturating_sub(since) >= limit)
    }
}
