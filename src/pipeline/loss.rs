//! Losses that are not reported yet: ranges of numbers by reason, kept until a batch carries them.

use std::time::Duration;

use crate::record::{Loss, LossReason};

/// Losses that wait for the next batch. Bounded: beyond [`MAX_RANGES`] ranges are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossLedger {
    ranges: Vec<Loss>,
    oldest: Option<Duration>,
}

/// Ranges kept apart. Beyond that a loss widens the last range of its reason: the count stays
/// exact, but the range may contain numbers that are not lost.
pub const MAX_RANGES: usize = 128;

impl LossLedger {
    /// Adds a loss that was noticed at `uptime`.
    pub fn add(&mut self, loss: Loss, uptime: Duration) {
        self.oldest.get_or_insert(uptime);
        let is_full = self.ranges.len() >= MAX_RANGES;
        let same_reason = self
            .ranges
            .iter_mut()
            .rev()
            .find(|range| range.reason == loss.reason);

        match same_reason {
            Some(range) if is_full || range.last.checked_add(1) == Some(loss.first) => {
                widen(range, &loss)
            }
            _ => self.ranges.push(loss),
        }
    }

    /// Adds one lost number.
    pub fn add_one(&mut self, reason: LossReason, number: u64, uptime: Duration) {
        self.add(
            Loss {
                reason,
                count: 1,
                first: number,
                last: number,
            },
            uptime,
        );
    }

    /// When the oldest loss was noticed; `None` when there is nothing to report.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        self.oldest
    }

    /// The lowest number among them.
    #[must_use]
    pub fn first_number(&self) -> Option<u64> {
        self.ranges.iter().map(|range| range.first).min()
    }

    /// How many numbers are lost, and the range that contains them all.
    #[must_use]
    pub fn extent(&self) -> (u64, Option<(u64, u64)>) {
        let count = self.ranges.iter().map(|range| range.count).sum();
        let last = self.ranges.iter().map(|range| range.last).max();
        (count, self.first_number().zip(last))
    }

    /// Removes the oldest ranges, at most `limit`, for a batch.
    #[must_use]
    pub fn take(&mut self, limit: usize) -> Vec<Loss> {
        let taken = self.ranges.drain(..limit.min(self.ranges.len())).collect();
        if self.ranges.is_empty() {
            self.oldest = None;
        }
        taken
    }
}

fn widen(range: &mut Loss, loss: &Loss) {
    range.count += loss.count;
    range.first = range.first.min(loss.first);
    range.last = range.last.max(loss.last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REASONS: [LossReason; 2] = [LossReason::BufferFull, LossReason::MaxAge];

    #[test]
    fn neighbours_are_one_range() {
        let mut ledger = LossLedger::default();
        for number in [5, 6, 7, 9] {
            ledger.add_one(LossReason::BufferFull, number, Duration::from_secs(number));
        }

        assert_eq!(ledger.oldest(), Some(Duration::from_secs(5)));

        let ranges: Vec<_> = ledger
            .take(9)
            .iter()
            .map(|loss| (loss.count, loss.first, loss.last))
            .collect();

        assert_eq!(ranges, [(3, 5, 7), (1, 9, 9)]);
        assert_eq!((ledger.oldest(), ledger.take(9)), (None, Vec::new()));
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_ranges_cover(lost in prop::collection::vec((0..2_usize, 1..4_u64), 0..900)) {
            let mut ledger = LossLedger::default();
            let mut number = 0;
            let mut expected = Vec::new();
            for (reason, step) in lost {
                number += step;
                expected.push((REASONS[reason], number));
                ledger.add_one(REASONS[reason], number, Duration::ZERO);
            }

            let ranges = ledger.take(usize::MAX);
            prop_assert!(ranges.len() <= MAX_RANGES + 1);

            for reason in REASONS {
                let of_reason: Vec<_> = ranges.iter().filter(|loss| loss.reason == reason).collect();
                let numbers: Vec<_> = expected.iter().filter(|(found, _)| *found == reason).map(|(_, number)| *number).collect();
                prop_assert_eq!(of_reason.iter().map(|loss| loss.count).sum::<u64>(), numbers.len() as u64);
                let is_covered = |number: &u64| of_reason.iter().any(|loss| (loss.first..=loss.last).contains(number));
                prop_assert!(numbers.iter().all(is_covered));
            }
        }
    }
}
