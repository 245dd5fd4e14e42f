//! What the status of a stream follows from at any later time, as few numbers.

use super::numbers::{length, total};
use super::stream::Stream;

/// The most that a number of an outlook can be, so that a database can add up those of nine million
/// streams.
const MOST: i64 = 1_000_000_000_000;

/// See the module. Counts end at 10^12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Nothing more can come of it, and no number is missing: its status is complete for ever.
    pub is_settled: bool,
    /// Numbers that were received.
    pub received: i64,
    /// Numbers that were not received, and are explained by losses.
    pub explained: i64,
    /// Numbers that are missing, open or unexplained.
    pub missing: i64,
    /// The first and the last time since which one of them is known to be missing.
    pub missing_since: Option<(i64, i64)>,
    /// After this time without a record it is silent; `None` when it may be silent for ever.
    pub silent_after: Option<i64>,
}

impl Stream {
    /// Its outlook.
    pub fn outlook(&self) -> Outlook {
        let missing = self.missing();
        let sinces = || missing.iter().map(|range| range.since);
        let patience = self.patience().filter(|_| !self.is_over());

        Outlook {
            is_settled: self.is_over() && missing.is_empty(),
            received: self.received.count().min(MOST),
            explained: self.explained_count().min(MOST),
            missing: total(missing.iter().map(|range| length(range.first, range.last))).min(MOST),
            missing_since: sinces().min().zip(sinces().max()),
            silent_after: patience.map(|patience| self.last_seen.saturating_add(patience)),
        }
    }

    /// How long it may be without a record before it is silent, in nanoseconds: twice the longest
    /// announced interval. `None` when it has none.
    pub(super) fn patience(&self) -> Option<i64> {
        const NANOS_PER_MILLI: i64 = 1_000_000;
        self.alive_interval_ms
            .filter(|interval| *interval > 0)
            .map(|interval| interval.saturating_mul(2 * NANOS_PER_MILLI))
    }
}
