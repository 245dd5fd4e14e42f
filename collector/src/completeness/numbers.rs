//! A set of numbers as ranges, each with the time when its earliest number was received.

use serde::{Deserialize, Serialize};

/// Adjacent numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, i64)", into = "(i64, i64, i64)")]
pub struct Range {
    /// First number.
    pub first: i64,
    /// Last number, not below the first.
    pub last: i64,
    /// When the earliest of them came.
    pub since: i64,
}

impl From<(i64, i64, i64)> for Range {
    fn from((first, last, since): (i64, i64, i64)) -> Self {
        Self { first, last, since }
    }
}

impl From<Range> for (i64, i64, i64) {
    fn from(range: Range) -> Self {
        (range.first, range.last, range.since)
    }
}

/// How many numbers a range has; senders can name ranges as large as the type.
pub(super) fn length(first: i64, last: i64) -> i64 {
    last.saturating_sub(first).saturating_add(1)
}

/// A sum that saturates at the largest number.
pub(super) fn total(counts: impl Iterator<Item = i64>) -> i64 {
    counts.fold(0, i64::saturating_add)
}

/// Most ranges of a set; each has 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound(pub usize);

impl Default for Bound {
    /// 10,000. A stream of a filter has a handful.
    fn default() -> Self {
        Self(10_000)
    }
}

/// A set of non-negative numbers; the ranges ascend, with a hole between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Numbers {
    ranges: Vec<Range>,
    #[serde(skip)]
    bound: Bound,
}

impl Numbers {
    /// An empty set with another bound.
    pub fn bounded(bound: Bound) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    /// Whether the set has as many ranges as its bound: numbers may have been left out.
    pub fn is_full(&self) -> bool {
        self.ranges.len() >= self.bound.0
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// How many numbers there are.
    pub fn count(&self) -> i64 {
        total(
            self.ranges
                .iter()
                .map(|range| length(range.first, range.last)),
        )
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: i64) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= number);
        let range = after
            .checked_sub(1)
            .and_then(|index| self.ranges.get(index));
        range.is_some_and(|range| number <= range.last)
    }

    /// Adds one number that was received at `since`; a negative one is ignored.
    pub fn add(&mut self, number: i64, since: i64) {
        self.add_range(Range {
            first: number,
            last: number,
            since,
        });
    }

    /// Adds all numbers of another set.
    pub fn add_all(&mut self, other: &Self) {
        for range in &other.ranges {
            self.add_range(*range);
        }
    }

    /// Adds all numbers of a range; one that begins below 0 is ignored.
    pub fn add_range(&mut self, range: Range) {
        if range.first < 0 || range.last < range.first {
            return;
        }

        // Fast path: almost every number belongs to the last range.
        if let Some(last) = self.ranges.last_mut()
            && range.first >= last.first
            && range.first - 1 <= last.last
        {
            last.last = last.last.max(range.last);
            last.since = last.since.min(range.since);
            return;
        }

        let from = self
            .ranges
            .partition_point(|other| other.last < range.first - 1);
        let to = self
            .ranges
            .partition_point(|other| other.first - 1 <= range.last)
            .max(from);

        let joined = self
            .ranges
            .drain(from..to)
            .fold(range, |joined, other| Range {
                first: joined.first.min(other.first),
                last: joined.last.max(other.last),
                since: joined.since.min(other.since),
            });

        // A number left out counts as missing and is reported. Without the bound, a stream of holes
        // would use all memory.
        if from < to || !self.is_full() {
            self.ranges.insert(from, joined);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &[i64]) -> Numbers {
        list.iter().fold(Numbers::default(), |mut numbers, number| {
            numbers.add(*number, 100 - number);
            numbers
        })
    }

    fn bounds(numbers: &Numbers) -> Vec<(i64, i64)> {
        numbers
            .ranges()
            .iter()
            .map(|range| (range.first, range.last))
            .collect()
    }

    #[test]
    fn neighbours_are_joined_in_whatever_order_they_come() {
        for list in [
            [0, 1, 2, 5],
            [5, 2, 1, 0],
            [2, 0, 5, 1],
            [1, 0, 2, 5],
            [0, 2, 1, 5],
        ] {
            assert_eq!(bounds(&numbers(&list)), [(0, 2), (5, 5)], "{list:?}");
        }
    }

    #[test]
    fn a_number_twice_counts_once_and_a_negative_one_not_at_all() {
        let numbers = numbers(&[3, 3, -1, 3]);
        assert_eq!((bounds(&numbers), numbers.count()), (vec![(3, 3)], 1));
    }

    #[test]
    fn a_set_contains_the_ends_of_its_ranges_and_nothing_beside_them() {
        let numbers = numbers(&[3, 4, 7]);
        let contained = (-1..10).filter(|number| numbers.contains(*number));
        assert_eq!(contained.collect::<Vec<_>>(), [3, 4, 7]);
    }

    #[test]
    fn a_range_swallows_what_it_covers_and_what_it_touches() {
        let mut numbers = numbers(&[0, 4, 6, 10, 20]);
        numbers.add_range(Range {
            first: 3,
            last: 9,
            since: 50,
        });
        assert_eq!(bounds(&numbers), [(0, 0), (3, 10), (20, 20)]);
        assert_eq!(numbers.ranges()[1].since, 50);
    }

    #[test]
    fn a_range_is_as_old_as_its_oldest_number() {
        let mut numbers = Numbers::default();
        numbers.add(7, 70);
        numbers.add(6, 90);
        numbers.add(8, 60);

        assert_eq!(
            numbers.ranges(),
            [Range {
                first: 6,
                last: 8,
                since: 60
            }]
        );
    }

    #[test]
    fn a_set_of_holes_stops_growing_and_counts_the_rest_as_missing() {
        let mut numbers = Numbers::default();
        for number in 0..30_000 {
            numbers.add(number * 2, 1);
        }
        assert_eq!(numbers.ranges().len(), Bound::default().0);
        numbers.add(1, 1);
        assert_eq!(bounds(&numbers)[0], (0, 2), "what joins is still taken");
    }

    #[test]
    fn the_largest_number_does_no_harm() {
        let mut numbers = numbers(&[0]);
        numbers.add(i64::MAX, 1);
        numbers.add(i64::MAX - 1, 1);
        assert_eq!(bounds(&numbers), [(0, 0), (i64::MAX - 1, i64::MAX)]);
    }
}
