//! Records that wait to be put into a batch, first in, first out, bounded together with those already in batches.

use std::collections::VecDeque;
use std::time::Duration;

use super::settings::{BufferLimits, OnFull};
use crate::record::LossReason;

/// An encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its number in the stream.
    pub number: u64,
    /// When it was made.
    pub made: Duration,
    /// Its bytes on the wire.
    pub fragment: Box<str>,
}

/// What became of a record that was offered.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// It waits.
    Kept,
    /// It did not fit.
    Dropped(LossReason),
    /// It waits, and these older ones had to go.
    Evicted(Vec<Encoded>),
}

/// The bounded buffer of one worker.
///
/// Invariant: waiting and batched records together stay within both limits.
#[derive(Debug)]
pub struct Buffer {
    max_records: usize,
    max_bytes: usize,
    on_full: OnFull,
    waiting: VecDeque<Encoded>,
    waiting_bytes: usize,
    batched_records: usize,
    batched_bytes: usize,
}

impl Buffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(limits: &BufferLimits) -> Self {
        let (max_records, max_bytes) = limits.for_bulk();
        Self {
            max_records,
            max_bytes,
            on_full: limits.on_full,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            batched_records: 0,
            batched_bytes: 0,
        }
    }

    /// Whether any record at all would be refused, so that encoding it is not worth while.
    #[must_use]
    pub fn refuses_all(&self) -> bool {
        let may_evict = self.on_full == OnFull::DropOldest && !self.waiting.is_empty();
        self.records() >= self.max_records && !may_evict
    }

    /// Offers a record.
    pub fn push(&mut self, record: Encoded) -> Push {
        let bytes = record.fragment.len();
        if bytes > self.max_bytes {
            return Push::Dropped(LossReason::TooLarge);
        }
        let mut evicted = Vec::new();
        if self.on_full == OnFull::DropOldest && self.could_fit(bytes) {
            while !self.fits(bytes) {
                evicted.extend(self.pop());
            }
        }
        if !self.fits(bytes) {
            return Push::Dropped(LossReason::BufferFull);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(record);
        if evicted.is_empty() { Push::Kept } else { Push::Evicted(evicted) }
    }

    /// Takes the oldest waiting record out for good.
    pub fn pop(&mut self) -> Option<Encoded> {
        let record = self.waiting.pop_front()?;
        self.waiting_bytes -= record.fragment.len();
        Some(record)
    }

    /// Moves the oldest waiting record into a batch, where it goes on to take its place until [`Self::release`].
    pub fn pop_into_batch(&mut self) -> Option<Encoded> {
        let record = self.pop()?;
        self.batched_records += 1;
        self.batched_bytes += record.fragment.len();
        Some(record)
    }

    /// Frees the place of a batched record.
    pub fn release(&mut self, bytes: usize) {
        self.batched_records = self.batched_records.saturating_sub(1);
        self.batched_bytes = self.batched_bytes.saturating_sub(bytes);
    }

    /// The oldest waiting record.
    #[must_use]
    pub fn oldest(&self) -> Option<&Encoded> {
        self.waiting.front()
    }

    /// Records that wait for a batch.
    #[must_use]
    pub fn waiting_records(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes that wait for a batch.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Records that take a place, batched ones included.
    #[must_use]
    pub fn records(&self) -> usize {
        self.waiting.len() + self.batched_records
    }

    /// Bytes that take a place, batched ones included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.waiting_bytes + self.batched_bytes
    }

    fn fits(&self, bytes: usize) -> bool {
        self.records() < self.max_records && self.bytes() + bytes <= self.max_bytes
    }

    /// Whether it would fit if everything that waits were gone.
    fn could_fit(&self, bytes: usize) -> bool {
        self.batched_records < self.max_records && self.batched_bytes + bytes <= self.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buffer(max_records: usize, max_bytes: usize, on_full: OnFull) -> Buffer {
        Buffer::new(&BufferLimits { max_records, max_bytes, on_full, immediate_reserve_percent: 0 })
    }

    fn record(number: u64, bytes: usize) -> Encoded {
        Encoded { number, made: Duration::ZERO, fragment: "x".repeat(bytes).into() }
    }

    #[test]
    fn newest_goes_when_full() {
        let mut buffer = buffer(2, 100, OnFull::DropNewest);
        assert_eq!(buffer.push(record(0, 10)), Push::Kept);
        assert_eq!(buffer.push(record(1, 10)), Push::Kept);
        assert!(buffer.refuses_all());
        assert_eq!(buffer.push(record(2, 10)), Push::Dropped(LossReason::BufferFull));
        assert_eq!(buffer.oldest().unwrap().number, 0);
    }

    #[test]
    fn oldest_goes_when_asked() {
        let mut buffer = buffer(10, 100, OnFull::DropOldest);
        for number in 0..3 {
            assert_eq!(buffer.push(record(number, 30)), Push::Kept);
        }
        let Push::Evicted(evicted) = buffer.push(record(3, 70)) else { panic!("nothing evicted") };
        assert_eq!(evicted.iter().map(|record| record.number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((buffer.records(), buffer.bytes()), (2, 100));
    }

    #[test]
    fn batched_records_are_never_evicted() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let _ = buffer.push(record(0, 10));
        let _ = buffer.push(record(1, 10));
        assert!(buffer.pop_into_batch().is_some() && buffer.pop_into_batch().is_some());
        assert!(buffer.refuses_all());
        assert_eq!(buffer.push(record(2, 10)), Push::Dropped(LossReason::BufferFull));
        buffer.release(10);
        assert_eq!(buffer.push(record(3, 10)), Push::Kept);
    }

    #[test]
    fn a_record_larger_than_everything_is_its_own_reason() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let _ = buffer.push(record(0, 10));
        assert_eq!(buffer.push(record(1, 101)), Push::Dropped(LossReason::TooLarge));
        assert_eq!(buffer.records(), 1);
    }

    #[test]
    fn the_reserve_is_kept_free() {
        let limits = BufferLimits {
            max_records: 10,
            max_bytes: 1000,
            on_full: OnFull::DropNewest,
            immediate_reserve_percent: 20,
        };
        let mut buffer = Buffer::new(&limits);
        let kept = (0..10).filter(|number| buffer.push(record(*number, 1)) == Push::Kept).count();
        assert_eq!(kept, 8);
    }

    proptest! {
        #[test]
        fn never_over_a_limit_and_nothing_vanishes(
            max_records in 1..8_usize,
            max_bytes in 1..100_usize,
            oldest: bool,
            steps in prop::collection::vec((0..3_u8, 1..60_usize), 0..200),
        ) {
            let on_full = if oldest { OnFull::DropOldest } else { OnFull::DropNewest };
            let mut buffer = buffer(max_records, max_bytes, on_full);
            let (mut offered, mut gone, mut batched) = (0, 0, Vec::new());
            for (step, bytes) in steps {
                match step {
                    0 => batched.extend(buffer.pop_into_batch()),
                    1 => if let Some(record) = batched.pop() {
                        buffer.release(record.fragment.len());
                        gone += 1;
                    },
                    _ => {
                        offered += 1;
                        match buffer.push(record(offered, bytes)) {
                            Push::Kept => {}
                            Push::Dropped(_) => gone += 1,
                            Push::Evicted(records) => gone += records.len() as u64,
                        }
                    }
                }
                prop_assert!(buffer.records() <= max_records && buffer.bytes() <= max_bytes);
                prop_assert_eq!(offered, gone + buffer.records() as u64);
            }
        }
    }
}
