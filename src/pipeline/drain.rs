//! The end of a pipeline: how long it tries to deliver its records, and which of them are left.

use std::time::Duration;

use super::batch::Batch;
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
    pub(super) fn of<'b>(
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

/// Whether and since when the configuration has ended.
#[derive(Debug, Default)]
pub(super) struct Drain {
    since: Option<Duration>,
    has_given_up: bool,
}

impl Drain {
    /// The configuration ends.
    pub(super) fn begin(&mut self, now: Now) {
        self.since.get_or_insert(now.uptime);
    }

    /// Whether the configuration has ended.
    pub(super) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it has ended this long ago.
    pub(super) fn has_lasted(&self, limit: Duration, now: Now) -> bool {
        self.since
            .is_some_and(|since| now.uptime.saturating_sub(since) >= limit)
    }

    /// The records that are left are abandoned. False: they were before.
    pub(super) fn give_up(&mut self) -> bool {
        !std::mem::replace(&mut self.has_given_up, true)
    }

    /// Whether the records that were left are abandoned.
    pub(super) fn has_given_up(&self) -> bool {
        self.has_given_up
    }
}
