//! Records that wait for a batch, first in, first out in each lane. Their memory is bounded
//! together with batched records and reservations.

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
    /// Its lane.
    pub lane: Lane,
    /// Its bytes on the wire.
    pub fragment: Box<[u8]>,
}

/// The outcome of [`Buffer::push`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// It waits.
    Kept,
    /// It did not fit.
    Dropped(LossReason),
    /// It waits, and these older ones were evicted.
    Evicted(Vec<Encoded>),
}

/// Memory that is reserved for the record of an exchange before its end. Release it with
/// [`Buffer::release_reservation`], or use it with [`Buffer::fill`]. Boxed: streams without a
/// reservation spend one word on it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Reservation(Box<Reserved>);

#[derive(Debug, PartialEq, Eq)]
struct Reserved {
    bytes: usize,
    lease: Lease,
}

/// The bounded buffer of one configuration in one worker.
///
/// Invariant: waiting, batched and reserved records of all configurations with one account stay
/// within both limits, and each lane within its limits. Records that were taken over beyond the
/// limits are the exception. Reservations belong to the bulk lane.
#[derive(Debug)]
pub struct Buffer {
    whole: Share,
    limits: PerLane<Share>,
    on_full: OnFull,
    waiting: PerLane<VecDeque<Encoded>>,
    waiting_bytes: PerLane<usize>,
    used: PerLane<Share>,
    /// Shared with the plugin's other configurations: the limits hold for all together.
    account: Rc<Account>,
    /// The last record of the lane did not fit.
    is_short: PerLane<bool>,
    /// Most bytes of all reservations.
    reservation_limit: usize,
    /// Least bytes that a reservation counts in that quota. This also bounds their number.
    min_reservation_bytes: usize,
}

impl Buffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(limits: &BufferLimits, account: Rc<Account>) -> Self {
        let Share { records, bytes } = limits.for_reservations();

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
            reservation_limit: bytes,
            min_reservation_bytes: bytes / records,
        }
    }

    /// Whether even an empty record would be refused, so that encoding is useless. Checked only
    /// after a refusal, since most records fit.
    #[must_use]
    pub fn refuses_all(&self, lane: Lane) -> bool {
        *self.is_short.of(lane) && !self.has_room(lane, 0)
    }

    /// Adds a record.
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

    /// Reserves memory for a record of at most `bytes`. Yields the older records that were evicted
    /// for it. `None`: there is no room, or the reservations of all requests or of this connection
    /// are used up.
    pub fn reserve(
        &mut self,
        connection: Option<u64>,
        bytes: usize,
    ) -> Option<(Reservation, Vec<Encoded>)> {
        let mut lease = self.account.lease(self.reservation_limit, connection);
        if !lease.resize(bytes.max(self.min_reservation_bytes)) {
            return None;
        }

        let evicted = self.make_room(Lane::Bulk, bytes)?;
        self.occupy(Lane::Bulk, bytes);
        Some((Reservation(Box::new(Reserved { bytes, lease })), evicted))
    }

    /// Releases a reservation without a record.
    pub fn release_reservation(&mut self, reservation: Reservation) {
        self.release(Lane::Bulk, reservation.0.bytes);
    }

    /// Adds the record of a reservation, whatever the limits are now. It goes to the bulk lane
    /// where its lane has no room.
    pub fn fill(&mut self, reservation: Reservation, mut record: Encoded) {
        self.release_reservation(reservation);
        if !self.fits(record.lane, record.fragment.len()) {
            record.lane = Lane::Bulk;
        }
        self.keep(record);
    }

    /// Uses memory for a record without evicting others. False: there is no room.
    #[must_use]
    pub fn try_occupy(&mut self, lane: Lane, bytes: usize) -> bool {
        let fits = self.fits(lane, bytes);
        if fits {
            self.occupy(lane, bytes);
        }
        fits
    }

    /// Removes the oldest waiting record, and frees its memory.
    pub fn pop(&mut self, lane: Lane) -> Option<Encoded> {
        let record = self.pop_into_batch(lane)?;
        self.release(lane, record.fragment.len());
        Some(record)
    }

    /// Moves the oldest waiting record into a batch. Its memory stays in use until
    /// [`Self::release`].
    pub fn pop_into_batch(&mut self, lane: Lane) -> Option<Encoded> {
        let record = self.waiting.of_mut(lane).pop_front()?;
        *self.waiting_bytes.of_mut(lane) -= record.fragment.len();
        Some(record)
    }

    /// Frees the memory of a batched record.
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

    /// Records in memory, batched and reserved ones included.
    #[must_use]
    pub fn records(&self) -> usize {
        self.used.each().map(|used| used.records).sum()
    }

    /// Bytes in memory, batched and reserved ones included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used.each().map(|used| used.bytes).sum()
    }

    /// Uses memory for a record beyond the limits.
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

    /// Evicts older records of the lane, if that is allowed and sufficient. `None`: there is no
    /// room.
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

    /// Whether a record fits, after evictions where they are allowed.
    fn has_room(&self, lane: Lane, bytes: usize) -> bool {
        self.fits(lane, bytes) || self.on_full == OnFull::DropOldest && self.could_fit(lane, bytes)
    }

    fn fits(&self, lane: Lane, bytes: usize) -> bool {
        self.would_fit(lane, bytes, &self.account.used())
    }

    /// Whether it would fit without the records that it may evict: those that wait here in its
    /// lane. The other lane is out of reach, since a client could evict its records by causing more
    /// of this lane.
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
    /// Returns the memory of a configuration that ends without draining.
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
            assert!(!new.try_occupy(Lane::Bulk, 10) && new.reserve(None, 10).is_none());
            assert_eq!(
                (new.records(), new.bytes()),
                (0, 0),
                "only its own are counted"
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
    fn oldest_goes_when_so_configured() {
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
    fn reserved_memory_is_used_by_no_other_record() {
        let mut buffer = buffer(4, 400, OnFull::DropOldest);
        let (reservation, evicted) = buffer.reserve(Some(1), 100).unwrap();
        assert!(evicted.is_empty());
        assert_eq!(
            buffer.push(record(0, 301)),
            Push::Dropped(LossReason::BufferFull)
        );
        assert_eq!(buffer.push(record(1, 300)), Push::Kept);

        let (second, evicted) = buffer.reserve(Some(2), 100).unwrap();
        assert_eq!(evicted.len(), 1, "as a record would");

        buffer.release_reservation(second);
        buffer.release_reservation(reservation);
        assert_eq!((buffer.records(), buffer.bytes()), (0, 0));
    }

    #[test]
    fn reservations_take_half_of_the_room_and_one_connection_a_quarter_of_that() {
        for (max_records, max_bytes) in [(1000, 32_000), (32, 1_000_000)] {
            let mut buffer = buffer(max_records, max_bytes, OnFull::DropNewest);
            let mut reservations = Vec::new();
            for (connection, of_connection) in [(1, 4), (2, 4), (3, 4), (4, 4), (5, 0)] {
                let before = reservations.len();
                reservations.extend((0..20).map_while(|_| buffer.reserve(Some(connection), 1000)));
                assert_eq!(reservations.len() - before, of_connection, "{connection}");
            }

            let bytes = max_bytes / max_records;
            assert_eq!(
                (0..1000)
                    .filter(|number| buffer.push(record(*number, bytes.max(1000))) == Push::Kept)
                    .count(),
                16
            );

            let first = reservations.swap_remove(0);
            buffer.release_reservation(first.0);
            assert!(
                buffer.reserve(Some(2), 1000).is_none(),
                "its share is used up"
            );
            assert!(buffer.reserve(Some(5), 1000).is_some());
        }
    }

    #[test]
    fn the_record_of_a_reservation_has_room_in_one_lane_or_the_other() {
        let mut buffer = with_reserve(OnFull::DropNewest);
        let (reservation, _) = buffer.reserve(None, 100).unwrap();
        assert_eq!(kept(&mut buffer, Lane::Immediate, 7), 6);
        buffer.fill(reservation, record_in(Lane::Immediate, 10, 100));
        assert_eq!(buffer.newest(Lane::Bulk).unwrap().number, 10);
        assert_eq!(kept(&mut buffer, Lane::Bulk, 5), 3);
    }

    #[test]
    fn a_reservation_holds_when_a_crashed_vm_leaves_more_than_there_is_room_for() {
        let mut buffer = buffer(4, 400, OnFull::DropNewest);
        let (reservation, _) = buffer.reserve(None, 100).unwrap();
        buffer.occupy(Lane::Bulk, 1000);
        buffer.fill(reservation, record(7, 100));
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
            let (mut offered, mut gone, mut batched, mut reservations) = (0, 0, Vec::new(), Vec::new());

            for (step, bytes, is_immediate) in steps {
                let lane = if is_immediate { Lane::Immediate } else { Lane::Bulk };
                match step {
                    0 => batched.extend(buffer.pop_into_batch(lane)),
                    1 => if let Some(record) = batched.pop() {
                        buffer.release(record.lane, record.fragment.len());
                        gone += 1;
                    } else if let Some(reservation) = reservations.pop() {
                        offered += 1;
                        buffer.fill(reservation, record_in(lane, offered, 1));
                    },
                    2 => if let Some((reservation, evicted)) = buffer.reserve(Some(bytes as u64 % 3), bytes) {
                        prop_assert!(evicted.iter().all(|record| record.lane == Lane::Bulk));
                        reservations.push(reservation);
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
                let reservations_limit = limits.for_reservations();

                prop_assert!(reservations.len() <= reservations_limit.records);
                prop_assert!(reservations.iter().map(|reservation| reservation.0.bytes).sum::<usize>() <= reservations_limit.bytes || reservations.len() == 1);
                prop_assert!(buffer.records() <= max_records && buffer.bytes() <= max_bytes);
                prop_assert_eq!(offered + reservations.len() as u64, gone + buffer.records() as u64);
            }
        }
    }
}
