//! Records that wait to be put into a batch, first in, first out in each lane, bounded together with those already in
//! batches and with the places that are kept free for requests that are still going on.

use std::collections::VecDeque;
use std::time::Duration;

use super::lane::{Lane, PerLane};
use super::settings::{BufferLimits, OnFull};
use crate::record::LossReason;

/// An encoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its number in the stream.
    pub number: u64,
    /// When it was made.
    pub made: Duration,
    /// Which way it goes.
    pub lane: Lane,
    /// Its bytes on the wire.
    pub fragment: Box<[u8]>,
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

/// A place that is kept free until it is given back.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Place {
    lane: Lane,
    bytes: usize,
}

/// Records and bytes that take a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    records: usize,
    bytes: usize,
}

/// The bounded buffer of one worker.
///
/// Invariant: waiting, batched and reserved records together stay within both limits, and those that are not
/// immediate within what the reserve leaves them; but for places that were asked for beyond the limits.
#[derive(Debug)]
pub struct Buffer {
    limits: PerLane<Share>,
    on_full: OnFull,
    waiting: PerLane<VecDeque<Encoded>>,
    waiting_bytes: PerLane<usize>,
    used: PerLane<Share>,
}

impl Buffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(limits: &BufferLimits) -> Self {
        let (records, bytes) = limits.for_bulk();
        let immediate = Share { records: limits.max_records, bytes: limits.max_bytes };
        Self {
            limits: PerLane { bulk: Share { records, bytes }, immediate },
            on_full: limits.on_full,
            waiting: PerLane::default(),
            waiting_bytes: PerLane::default(),
            used: PerLane::default(),
        }
    }

    /// Whether any record at all would be refused, so that encoding it is not worth while.
    #[must_use]
    pub fn refuses_all(&self, lane: Lane) -> bool {
        let may_evict = self.on_full == OnFull::DropOldest;
        !(self.fits(lane, 0) || may_evict && self.could_fit(lane, 0))
    }

    /// Offers a record.
    pub fn push(&mut self, record: Encoded) -> Push {
        let bytes = record.fragment.len();
        if bytes > self.limits.of(record.lane).bytes {
            return Push::Dropped(LossReason::TooLarge);
        }
        let Some(evicted) = self.make_room(record.lane, bytes) else {
            return Push::Dropped(LossReason::BufferFull);
        };
        self.occupy(record.lane, bytes);
        *self.waiting_bytes.of_mut(record.lane) += bytes;
        self.waiting.of_mut(record.lane).push_back(record);
        if evicted.is_empty() { Push::Kept } else { Push::Evicted(evicted) }
    }

    /// Keeps a place free for a record of at most this size, and yields the older records that had to go for it.
    /// `None`: there is no room.
    pub fn reserve(&mut self, lane: Lane, bytes: usize) -> Option<(Place, Vec<Encoded>)> {
        let evicted = self.make_room(lane, bytes)?;
        Some((self.reserve_beyond_limits(lane, bytes), evicted))
    }

    /// The same without dropping other records.
    pub fn reserve_without_eviction(&mut self, lane: Lane, bytes: usize) -> Option<Place> {
        self.fits(lane, bytes).then(|| self.reserve_beyond_limits(lane, bytes))
    }

    /// The same whatever the limits say.
    pub fn reserve_beyond_limits(&mut self, lane: Lane, bytes: usize) -> Place {
        self.occupy(lane, bytes);
        Place { lane, bytes }
    }

    /// Gives a reserved place back.
    pub fn give_back(&mut self, place: &Place) {
        self.release(place.lane, place.bytes);
    }

    /// Takes the oldest waiting record out for good.
    pub fn pop(&mut self, lane: Lane) -> Option<Encoded> {
        let record = self.pop_into_batch(lane)?;
        self.release(lane, record.fragment.len());
        Some(record)
    }

    /// Moves the oldest waiting record into a batch, where it goes on to take its place until [`Self::release`].
    pub fn pop_into_batch(&mut self, lane: Lane) -> Option<Encoded> {
        let record = self.waiting.of_mut(lane).pop_front()?;
        *self.waiting_bytes.of_mut(lane) -= record.fragment.len();
        Some(record)
    }

    /// Frees the place of a batched record.
    pub fn release(&mut self, lane: Lane, bytes: usize) {
        let used = self.used.of_mut(lane);
        used.records = used.records.saturating_sub(1);
        used.bytes = used.bytes.saturating_sub(bytes);
    }

    /// The oldest waiting record.
    #[must_use]
    pub fn oldest(&self, lane: Lane) -> Option<&Encoded> {
        self.waiting.of(lane).front()
    }

    /// The newest waiting record.
    #[must_use]
    pub fn newest(&self, lane: Lane) -> Option<&Encoded> {
        self.waiting.of(lane).back()
    }

    /// Records that wait for a batch.
    #[must_use]
    pub fn waiting_records(&self, lane: Lane) -> usize {
        self.waiting.of(lane).len()
    }

    /// Bytes that wait for a batch.
    #[must_use]
    pub fn waiting_bytes(&self, lane: Lane) -> usize {
        *self.waiting_bytes.of(lane)
    }

    /// Records that take a place, batched and reserved ones included.
    #[must_use]
    pub fn records(&self) -> usize {
        self.used.each().map(|used| used.records).sum()
    }

    /// Bytes that take a place, batched and reserved ones included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used.each().map(|used| used.bytes).sum()
    }

    fn occupy(&mut self, lane: Lane, bytes: usize) {
        let used = self.used.of_mut(lane);
        used.records += 1;
        used.bytes += bytes;
    }

    /// Lets older records go, if it may and if that is enough. `None`: there is no room.
    fn make_room(&mut self, lane: Lane, bytes: usize) -> Option<Vec<Encoded>> {
        let mut evicted = Vec::new();
        if self.on_full == OnFull::DropOldest && self.could_fit(lane, bytes) {
            while !self.fits(lane, bytes) {
                evicted.push(self.evict(lane)?);
            }
        }
        self.fits(lane, bytes).then_some(evicted)
    }

    /// Records that are not immediate go first.
    fn evict(&mut self, lane: Lane) -> Option<Encoded> {
        self.pop(Lane::Bulk).or_else(|| if lane == Lane::Immediate { self.pop(Lane::Immediate) } else { None })
    }

    fn fits(&self, lane: Lane, bytes: usize) -> bool {
        self.would_fit(lane, bytes, &self.used)
    }

    /// Whether it would fit if everything that it may push out were gone.
    fn could_fit(&self, lane: Lane, bytes: usize) -> bool {
        let mut used = self.used;
        for evicted in Lane::ALL.into_iter().filter(|evicted| lane == Lane::Immediate || *evicted == Lane::Bulk) {
            let left = used.of_mut(evicted);
            left.records -= self.waiting_records(evicted);
            left.bytes -= self.waiting_bytes(evicted);
        }
        self.would_fit(lane, bytes, &used)
    }

    fn would_fit(&self, lane: Lane, bytes: usize, used: &PerLane<Share>) -> bool {
        let within =
            |records: usize, taken: usize, limit: Share| records < limit.records && taken + bytes <= limit.bytes;
        let PerLane { bulk, immediate } = *used;
        within(bulk.records + immediate.records, bulk.bytes + immediate.bytes, self.limits.immediate)
            && (lane == Lane::Immediate || within(bulk.records, bulk.bytes, self.limits.bulk))
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
        record_in(Lane::Bulk, number, bytes)
    }

    fn record_in(lane: Lane, number: u64, bytes: usize) -> Encoded {
        Encoded { number, made: Duration::ZERO, lane, fragment: vec![b'x'; bytes].into() }
    }

    #[test]
    fn newest_goes_when_full() {
        let mut buffer = buffer(2, 100, OnFull::DropNewest);
        assert_eq!(buffer.push(record(0, 10)), Push::Kept);
        assert_eq!(buffer.push(record(1, 10)), Push::Kept);
        assert!(buffer.refuses_all(Lane::Bulk));
        assert_eq!(buffer.push(record(2, 10)), Push::Dropped(LossReason::BufferFull));
        assert_eq!(buffer.oldest(Lane::Bulk).unwrap().number, 0);
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
        assert!(buffer.pop_into_batch(Lane::Bulk).is_some() && buffer.pop_into_batch(Lane::Bulk).is_some());
        assert!(buffer.refuses_all(Lane::Bulk));
        assert_eq!(buffer.push(record(2, 10)), Push::Dropped(LossReason::BufferFull));
        buffer.release(Lane::Bulk, 10);
        assert_eq!(buffer.push(record(3, 10)), Push::Kept);
    }

    #[test]
    fn a_record_larger_than_everything_is_its_own_reason() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let _ = buffer.push(record(0, 10));
        assert_eq!(buffer.push(record(1, 101)), Push::Dropped(LossReason::TooLarge));
        assert_eq!(buffer.records(), 1);
    }

    fn with_reserve(on_full: OnFull) -> Buffer {
        Buffer::new(&BufferLimits { max_records: 10, max_bytes: 1000, on_full, immediate_reserve_percent: 20 })
    }

    fn kept(buffer: &mut Buffer, lane: Lane, count: u64) -> usize {
        (0..count).filter(|number| buffer.push(record_in(lane, *number, 1)) == Push::Kept).count()
    }

    #[test]
    fn the_reserve_belongs_to_immediate_records() {
        let mut buffer = with_reserve(OnFull::DropNewest);
        assert_eq!(kept(&mut buffer, Lane::Bulk, 10), 8);
        assert!(buffer.refuses_all(Lane::Bulk) && !buffer.refuses_all(Lane::Immediate));
        assert_eq!(kept(&mut buffer, Lane::Immediate, 10), 2);
        assert!(buffer.refuses_all(Lane::Immediate));
    }

    #[test]
    fn immediate_records_may_use_everything() {
        let mut buffer = with_reserve(OnFull::DropNewest);
        assert_eq!(kept(&mut buffer, Lane::Immediate, 11), 10);
        assert_eq!(kept(&mut buffer, Lane::Bulk, 1), 0);
    }

    #[test]
    fn an_immediate_record_pushes_out_the_others_first() {
        let mut buffer = with_reserve(OnFull::DropOldest);
        assert_eq!((kept(&mut buffer, Lane::Immediate, 8), kept(&mut buffer, Lane::Bulk, 2)), (8, 2));
        for lane in [Lane::Bulk, Lane::Bulk, Lane::Immediate] {
            let Push::Evicted(evicted) = buffer.push(record_in(Lane::Immediate, 20, 1)) else { panic!("none evicted") };
            assert_eq!(evicted.iter().map(|record| record.lane).collect::<Vec<_>>(), [lane]);
        }
        assert_eq!(
            buffer.push(record(30, 1)),
            Push::Dropped(LossReason::BufferFull),
            "immediate ones are not its to push"
        );
    }

    #[test]
    fn a_reserved_place_is_nobody_elses() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let (place, evicted) = buffer.reserve(Lane::Bulk, 60).unwrap();
        assert!(evicted.is_empty());
        assert_eq!(buffer.push(record(0, 41)), Push::Dropped(LossReason::BufferFull));
        assert_eq!(buffer.push(record(1, 40)), Push::Kept);
        let (second, evicted) = buffer.reserve(Lane::Bulk, 40).unwrap();
        assert_eq!(evicted.len(), 1, "as a record would");
        assert!(buffer.reserve(Lane::Bulk, 1).is_none());
        buffer.give_back(&second);
        buffer.give_back(&place);
        assert_eq!((buffer.records(), buffer.bytes()), (0, 0));
    }

    proptest! {
        #[test]
        fn never_over_a_limit_and_nothing_vanishes(
            max_records in 1..8_usize,
            max_bytes in 1..100_usize,
            oldest: bool,
            percent in 0..91_usize,
            steps in prop::collection::vec((0..4_u8, 1..60_usize, any::<bool>()), 0..200),
        ) {
            let on_full = if oldest { OnFull::DropOldest } else { OnFull::DropNewest };
            let mut buffer = Buffer::new(&BufferLimits { max_records, max_bytes, on_full, immediate_reserve_percent: percent });
            let (mut offered, mut gone, mut batched, mut places) = (0, 0, Vec::new(), Vec::new());
            for (step, bytes, is_immediate) in steps {
                let lane = if is_immediate { Lane::Immediate } else { Lane::Bulk };
                match step {
                    0 => batched.extend(buffer.pop_into_batch(lane)),
                    1 => if let Some(record) = batched.pop() {
                        buffer.release(record.lane, record.fragment.len());
                        gone += 1;
                    } else if let Some(place) = places.pop() {
                        buffer.give_back(&place);
                    },
                    2 => if let Some((place, evicted)) = buffer.reserve(lane, bytes) {
                        places.push(place);
                        gone += evicted.len() as u64;
                    },
                    _ => {
                        offered += 1;
                        match buffer.push(record_in(lane, offered, bytes)) {
                            Push::Kept => {}
                            Push::Dropped(_) => gone += 1,
                            Push::Evicted(records) => gone += records.len() as u64,
                        }
                    }
                }
                prop_assert!(buffer.records() <= max_records && buffer.bytes() <= max_bytes);
                prop_assert_eq!(offered + places.len() as u64, gone + buffer.records() as u64);
            }
        }
    }
}
