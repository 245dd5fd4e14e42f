//! Records that wait to be put into a batch, first in, first out in each lane, bounded together with those already in
//! batches and with the places that are kept free for requests that are still going on.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::account::Account;
use super::lane::{Lane, PerLane};
use super::settings::{BufferLimits, OnFull, Share};
use crate::quota::Lease;
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

/// A place that is kept free for the record of a request that is going on. It is to be given back by [`Buffer::give_back`].
/// Boxed, so that the many streams that have none spend a word on it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Place(Box<Reservation>);

#[derive(Debug, PartialEq, Eq)]
struct Reservation {
    bytes: usize,
    lease: Lease,
}

/// The bounded buffer of one configuration in one worker.
///
/// Invariant: waiting, batched and reserved records of all configurations with one account together stay within both limits,
/// and those of each lane within its own; but for records that were taken over beyond the limits. Reserved places are within the bulk lane.
#[derive(Debug)]
pub struct Buffer {
    whole: Share,
    limits: PerLane<Share>,
    on_full: OnFull,
    waiting: PerLane<VecDeque<Encoded>>,
    waiting_bytes: PerLane<usize>,
    used: PerLane<Share>,
    /// The same with what other configurations hold: the limits are for all.
    account: Rc<Account>,
    /// The last record that came did not fit.
    is_short: PerLane<bool>,
    /// Of all places, in bytes.
    most_of_places: usize,
    /// What a place counts for at least in that quota, in bytes: so there are no more of them than may be.
    least_of_place: usize,
}

impl Buffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(limits: &BufferLimits, account: Rc<Account>) -> Self {
        let Share { records, bytes } = limits.for_places();
        Self {
            whole: limits.whole(),
            limits: PerLane {
                bulk: limits.for_bulk(),
                immediate: limits.for_immediate(),
            },
            on_full: limits.on_full,
            waiting: PerLane::default(),
            waiting_bytes: PerLane::default(),
            used: PerLane::default(),
            account,
            is_short: PerLane::default(),
            most_of_places: bytes,
            least_of_place: bytes / records,
        }
    }

    /// Whether any record at all would be refused, so that encoding it is not worth while. Looked at when the last one was
    /// refused: most find room.
    #[must_use]
    pub fn refuses_all(&self, lane: Lane) -> bool {
        *self.is_short.of(lane) && !self.has_room(lane, 0)
    }

    /// Offers a record.
    pub fn push(&mut self, record: Encoded) -> Push {
        let bytes = record.fragment.len();
        if bytes > self.limits.of(record.lane).bytes {
            return Push::Dropped(LossReason::TooLarge);
        }
        let made = self.make_room(record.lane, bytes);
        *self.is_short.of_mut(record.lane) = made.is_none();
        let Some(evicted) = made else {
            return Push::Dropped(LossReason::BufferFull);
        };
        self.keep(record);
        if evicted.is_empty() {
            Push::Kept
        } else {
            Push::Evicted(evicted)
        }
    }

    /// Keeps a place free for a record of at most this size of a request that is going on, and yields the older records
    /// that had to go for it. `None`: there is no room, or the places of all requests or of this connection are used up.
    pub fn reserve(
        &mut self,
        connection: Option<u64>,
        bytes: usize,
    ) -> Option<(Place, Vec<Encoded>)> {
        let mut lease = self.account.place(self.most_of_places, connection);
        if !lease.resize(bytes.max(self.least_of_place)) {
            return None;
        }
        let evicted = self.make_room(Lane::Bulk, bytes)?;
        self.occupy(Lane::Bulk, bytes);
        Some((Place(Box::new(Reservation { bytes, lease })), evicted))
    }

    /// Gives a reserved place back.
    pub fn give_back(&mut self, place: Place) {
        self.release(Lane::Bulk, place.0.bytes);
    }

    /// Takes the record for which a place was kept, whatever the limits say by now. It goes with the others where its own
    /// lane has no room.
    pub fn fill(&mut self, place: Place, mut record: Encoded) {
        self.give_back(place);
        if !self.fits(record.lane, record.fragment.len()) {
            record.lane = Lane::Bulk;
        }
        self.keep(record);
    }

    /// Takes a place for a record without dropping others. False: there is no room.
    #[must_use]
    pub fn take_place(&mut self, lane: Lane, bytes: usize) -> bool {
        let fits = self.fits(lane, bytes);
        if fits {
            self.occupy(lane, bytes);
        }
        fits
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
        let share = Share {
            records: used.records.min(1),
            bytes: used.bytes.min(bytes),
        };
        used.records -= share.records;
        used.bytes -= share.bytes;
        self.account.take(lane, share);
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

    /// Takes a place for a record whatever the limits say.
    pub fn occupy(&mut self, lane: Lane, bytes: usize) {
        let used = self.used.of_mut(lane);
        used.records += 1;
        used.bytes += bytes;
        self.account.add(lane, Share { records: 1, bytes });
    }

    fn keep(&mut self, record: Encoded) {
        let (lane, bytes) = (record.lane, record.fragment.len());
        self.occupy(lane, bytes);
        *self.waiting_bytes.of_mut(lane) += bytes;
        self.waiting.of_mut(lane).push_back(record);
    }

    /// Lets older records of the lane go, if it may and if that is enough. `None`: there is no room.
    fn make_room(&mut self, lane: Lane, bytes: usize) -> Option<Vec<Encoded>> {
        let mut evicted = Vec::new();
        if self.fits(lane, bytes) {
            return Some(evicted);
        }
        if !self.has_room(lane, bytes) {
            return None;
        }
        while !self.fits(lane, bytes) {
            evicted.push(self.pop(lane)?);
        }
        Some(evicted)
    }

    /// Whether a record finds room, if others go that may.
    fn has_room(&self, lane: Lane, bytes: usize) -> bool {
        self.fits(lane, bytes) || self.on_full == OnFull::DropOldest && self.could_fit(lane, bytes)
    }

    fn fits(&self, lane: Lane, bytes: usize) -> bool {
        self.would_fit(lane, bytes, &self.account.used())
    }

    /// Whether it would fit if everything that it may push out were gone: what waits here in its own lane. The records of the
    /// other one are not for a client to push out by causing more of its own.
    fn could_fit(&self, lane: Lane, bytes: usize) -> bool {
        let mut used = self.account.used();
        let left = used.of_mut(lane);
        left.records -= self.waiting_records(lane);
        left.bytes -= self.waiting_bytes(lane);
        self.would_fit(lane, bytes, &used)
    }

    fn would_fit(&self, lane: Lane, bytes: usize, used: &PerLane<Share>) -> bool {
        let within = |taken: Share, limit: Share| {
            taken.records < limit.records && taken.bytes + bytes <= limit.bytes
        };
        let PerLane { bulk, immediate } = *used;
        let all = Share {
            records: bulk.records + immediate.records,
            bytes: bulk.bytes + immediate.bytes,
        };
        within(all, self.whole) && within(*used.of(lane), *self.limits.of(lane))
    }
}

impl Drop for Buffer {
    /// What a configuration held that ends without a word is no one's any longer.
    fn drop(&mut self) {
        for lane in Lane::ALL {
            self.account.take(lane, *self.used.of(lane));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buffer(max_records: usize, max_bytes: usize, on_full: OnFull) -> Buffer {
        beside(&Rc::default(), max_records, max_bytes, on_full)
    }

    fn beside(
        account: &Rc<Account>,
        max_records: usize,
        max_bytes: usize,
        on_full: OnFull,
    ) -> Buffer {
        let limits = BufferLimits {
            max_records,
            max_bytes,
            on_full,
            immediate_reserve_percent: 0,
        };
        Buffer::new(&limits, Rc::clone(account))
    }

    fn record(number: u64, bytes: usize) -> Encoded {
        record_in(Lane::Bulk, number, bytes)
    }

    fn record_in(lane: Lane, number: u64, bytes: usize) -> Encoded {
        Encoded {
            number,
            made: Duration::ZERO,
            lane,
            fragment: vec![b'x'; bytes].into(),
        }
    }

    #[test]
    fn two_configurations_have_the_limits_of_one() {
        for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
            let account = Rc::default();
            let mut old = beside(&account, 3, 100, on_full);
            assert_eq!(
                [0, 1, 2].map(|number| old.push(record(number, 10))),
                [Push::Kept, Push::Kept, Push::Kept]
            );

            let mut new = beside(&account, 3, 100, on_full);
            assert_eq!(
                new.push(record(0, 10)),
                Push::Dropped(LossReason::BufferFull),
                "{on_full:?}"
            );
            assert!(!new.take_place(Lane::Bulk, 10) && new.reserve(None, 10).is_none());
            assert_eq!(
                (new.records(), new.bytes()),
                (0, 0),
                "only its own are told"
            );

            old.pop(Lane::Bulk);
            assert_eq!(new.push(record(1, 10)), Push::Kept);
            drop(old);
            assert_eq!(
                [2, 3].map(|number| new.push(record(number, 10))),
                [Push::Kept, Push::Kept]
            );
            assert_eq!(
                account.used().bulk,
                Share {
                    records: 3,
                    bytes: 30
                }
            );
        }
    }

    #[test]
    fn newest_goes_when_full() {
        let mut buffer = buffer(2, 100, OnFull::DropNewest);
        assert_eq!(buffer.push(record(0, 10)), Push::Kept);
        assert_eq!(buffer.push(record(1, 10)), Push::Kept);
        assert_eq!(
            buffer.push(record(2, 10)),
            Push::Dropped(LossReason::BufferFull)
        );
        assert!(buffer.refuses_all(Lane::Bulk));
        assert_eq!(buffer.oldest(Lane::Bulk).unwrap().number, 0);
    }

    #[test]
    fn oldest_goes_when_asked() {
        let mut buffer = buffer(10, 100, OnFull::DropOldest);
        for number in 0..3 {
            assert_eq!(buffer.push(record(number, 30)), Push::Kept);
        }
        let Push::Evicted(evicted) = buffer.push(record(3, 70)) else {
            panic!("nothing evicted")
        };
        assert_eq!(
            evicted
                .iter()
                .map(|record| record.number)
                .collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!((buffer.records(), buffer.bytes()), (2, 100));
    }

    #[test]
    fn batched_records_are_never_evicted() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let _ = buffer.push(record(0, 10));
        let _ = buffer.push(record(1, 10));
        assert!(
            buffer.pop_into_batch(Lane::Bulk).is_some()
                && buffer.pop_into_batch(Lane::Bulk).is_some()
        );
        assert_eq!(
            buffer.push(record(2, 10)),
            Push::Dropped(LossReason::BufferFull)
        );
        assert!(buffer.refuses_all(Lane::Bulk));
        buffer.release(Lane::Bulk, 10);
        assert_eq!(buffer.push(record(3, 10)), Push::Kept);
    }

    #[test]
    fn a_record_larger_than_everything_is_its_own_reason() {
        let mut buffer = buffer(2, 100, OnFull::DropOldest);
        let _ = buffer.push(record(0, 10));
        assert_eq!(
            buffer.push(record(1, 101)),
            Push::Dropped(LossReason::TooLarge)
        );
        assert_eq!(buffer.records(), 1);
    }

    fn with_reserve(on_full: OnFull) -> Buffer {
        Buffer::new(
            &BufferLimits {
                max_records: 10,
                max_bytes: 1000,
                on_full,
                immediate_reserve_percent: 20,
            },
            Rc::default(),
        )
    }

    fn kept(buffer: &mut Buffer, lane: Lane, count: u64) -> usize {
        (0..count)
            .filter(|number| buffer.push(record_in(lane, *number, 1)) == Push::Kept)
            .count()
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
    fn immediate_records_leave_the_others_half_of_their_room() {
        for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
            let mut buffer = with_reserve(on_full);
            kept(&mut buffer, Lane::Immediate, 11);
            assert_eq!(buffer.waiting_records(Lane::Immediate), 2 + 8 / 2);
            assert_eq!(kept(&mut buffer, Lane::Bulk, 11), 4);
        }
    }

    #[test]
    fn each_lane_pushes_out_its_own_alone() {
        let mut buffer = with_reserve(OnFull::DropOldest);
        assert_eq!(
            (
                kept(&mut buffer, Lane::Immediate, 3),
                kept(&mut buffer, Lane::Bulk, 7)
            ),
            (3, 7)
        );
        for lane in [Lane::Bulk, Lane::Immediate, Lane::Immediate, Lane::Bulk] {
            let Push::Evicted(evicted) = buffer.push(record_in(lane, 20, 1)) else {
                panic!("none evicted")
            };
            assert_eq!(
                evicted.iter().map(|record| record.lane).collect::<Vec<_>>(),
                [lane]
            );
        }
        while buffer.pop(Lane::Immediate).is_some() {}
        assert_eq!(kept(&mut buffer, Lane::Bulk, 1), 1);
        assert!(
            matches!(buffer.push(record(30, 1)), Push::Evicted(_)),
            "the reserve is not theirs"
        );
    }

    #[test]
    fn a_reserved_place_is_its_own() {
        let mut buffer = buffer(4, 400, OnFull::DropOldest);
        let (place, evicted) = buffer.reserve(Some(1), 100).unwrap();
        assert!(evicted.is_empty());
        assert_eq!(
            buffer.push(record(0, 301)),
            Push::Dropped(LossReason::BufferFull)
        );
        assert_eq!(buffer.push(record(1, 300)), Push::Kept);
        let (second, evicted) = buffer.reserve(Some(2), 100).unwrap();
        assert_eq!(evicted.len(), 1, "as a record would");
        buffer.give_back(second);
        buffer.give_back(place);
        assert_eq!((buffer.records(), buffer.bytes()), (0, 0));
    }

    #[test]
    fn places_take_half_of_the_room_and_one_connection_a_quarter_of_that() {
        for (max_records, max_bytes) in [(1000, 32_000), (32, 1_000_000)] {
            let mut buffer = buffer(max_records, max_bytes, OnFull::DropNewest);
            let mut places = Vec::new();
            for (connection, of_connection) in [(1, 4), (2, 4), (3, 4), (4, 4), (5, 0)] {
                let before = places.len();
                places.extend((0..20).map_while(|_| buffer.reserve(Some(connection), 1000)));
                assert_eq!(places.len() - before, of_connection, "{connection}");
            }
            let bytes = max_bytes / max_records;
            assert_eq!(
                (0..1000)
                    .filter(|number| buffer.push(record(*number, bytes.max(1000))) == Push::Kept)
                    .count(),
                16
            );
            let first = places.swap_remove(0);
            buffer.give_back(first.0);
            assert!(
                buffer.reserve(Some(2), 1000).is_none(),
                "its share is used up"
            );
            assert!(buffer.reserve(Some(5), 1000).is_some());
        }
    }

    #[test]
    fn the_record_of_a_place_has_room_in_one_lane_or_the_other() {
        let mut buffer = with_reserve(OnFull::DropNewest);
        let (place, _) = buffer.reserve(None, 100).unwrap();
        assert_eq!(kept(&mut buffer, Lane::Immediate, 7), 6);
        buffer.fill(place, record_in(Lane::Immediate, 10, 100));
        assert_eq!(buffer.newest(Lane::Bulk).unwrap().number, 10);
        assert_eq!(kept(&mut buffer, Lane::Bulk, 5), 3);
    }

    #[test]
    fn a_place_is_kept_when_a_crashed_vm_leaves_more_than_there_is_room_for() {
        let mut buffer = buffer(4, 400, OnFull::DropNewest);
        let (place, _) = buffer.reserve(None, 100).unwrap();
        buffer.occupy(Lane::Bulk, 1000);
        buffer.fill(place, record(7, 100));
        assert_eq!(buffer.oldest(Lane::Bulk).unwrap().number, 7);
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
            let limits = BufferLimits { max_records, max_bytes, on_full, immediate_reserve_percent: percent };
            let mut buffer = Buffer::new(&limits, Rc::default());
            let (bulk, immediate) = (buffer.limits.bulk, buffer.limits.immediate);
            let (mut offered, mut gone, mut batched, mut places) = (0, 0, Vec::new(), Vec::new());
            for (step, bytes, is_immediate) in steps {
                let lane = if is_immediate { Lane::Immediate } else { Lane::Bulk };
                match step {
                    0 => batched.extend(buffer.pop_into_batch(lane)),
                    1 => if let Some(record) = batched.pop() {
                        buffer.release(record.lane, record.fragment.len());
                        gone += 1;
                    } else if let Some(place) = places.pop() {
                        offered += 1;
                        buffer.fill(place, record_in(lane, offered, 1));
                    },
                    2 => if let Some((place, evicted)) = buffer.reserve(Some(bytes as u64 % 3), bytes) {
                        prop_assert!(evicted.iter().all(|record| record.lane == Lane::Bulk));
                        places.push(place);
                        gone += evicted.len() as u64;
                    },
                    _ => {
                        offered += 1;
                        match buffer.push(record_in(lane, offered, bytes)) {
                            Push::Kept => {}
                            Push::Dropped(_) => gone += 1,
                            Push::Evicted(records) => {
                                prop_assert!(records.iter().all(|record| record.lane == lane));
                                gone += records.len() as u64;
                            }
                        }
                    }
                }
                for (used, limit) in [(buffer.used.bulk, bulk), (buffer.used.immediate, immediate)] {
                    prop_assert!(used.records <= limit.records && used.bytes <= limit.bytes);
                }
                let places_limit = limits.for_places();
                prop_assert!(places.len() <= places_limit.records);
                prop_assert!(places.iter().map(|place| place.0.bytes).sum::<usize>() <= places_limit.bytes || places.len() == 1);
                prop_assert!(buffer.records() <= max_records && buffer.bytes() <= max_bytes);
                prop_assert_eq!(offered + places.len() as u64, gone + buffer.records() as u64);
            }
        }
    }
}
