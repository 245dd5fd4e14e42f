//! A record comes: it gets a number, and a place in the buffer or a loss that is told.

use super::Pipeline;
use super::buffer::{Encoded, Place, Push};
use super::lane::Lane;
use super::notices::Kind;
use crate::record::{Event, ExchangeRecord, LossReason};
use crate::time::Now;

impl Pipeline {
    /// Gives a record its number and keeps it, or counts why it cannot be kept. Yields the number if it is kept.
    pub(super) fn capture(
        &mut self,
        lane: Lane,
        event: &Event,
        time_unix_nanos: u64,
        now: Now,
    ) -> Option<u64> {
        let number = self.begin_record(now);
        let pushed = if self.buffer.refuses_all(lane) {
            Push::Dropped(LossReason::BufferFull)
        } else {
            let record = self.encode(number, lane, time_unix_nanos, event, now);
            self.buffer.push(record)
        };
        match pushed {
            Push::Dropped(reason) => {
                self.lose(reason, number, now);
                return None;
            }
            Push::Kept => {}
            Push::Evicted(records) => self.lose_evicted(&records, now),
        }
        Some(number)
    }

    /// The same for a record for which a place was kept.
    pub(super) fn capture_in(
        &mut self,
        place: Place,
        lane: Lane,
        event: &Event,
        time_unix_nanos: u64,
        now: Now,
    ) {
        let number = self.begin_record(now);
        let record = self.encode(number, lane, time_unix_nanos, event, now);
        self.buffer.fill(place, record);
    }

    /// The number of a record that comes; the stream is announced before its first one.
    fn begin_record(&mut self, now: Now) -> u64 {
        if self.stream.next() >= self.journal.lease_end() {
            // Where this VM stood still, another one may have given out the numbers beyond.
            self.check_seats(now);
        }
        self.announce_stream(now);
        self.stream.reopen();
        self.next_number()
    }

    pub(super) fn lose_evicted(&mut self, records: &[Encoded], now: Now) {
        for evicted in records {
            self.lose(LossReason::BufferFull, evicted.number, now);
        }
    }

    /// Gives out a number. When the last note does not reach so far, a new one is written first.
    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.stream.next_number(&mut self.stats);
        if number >= self.journal.lease_end() {
            self.write_note(number, self.journal.told_gauges());
        }
        number
    }

    /// Counts and notes the loss of one record that is in no batch.
    pub(super) fn lose(&mut self, reason: LossReason, number: u64, now: Now) {
        self.count_dropped(reason, 1, now);
        self.losses.add_one(reason, number, now.uptime);
        self.decide(number, false);
    }

    /// Counts dropped records, in the statistics and for the log.
    pub(super) fn count_dropped(&mut self, reason: LossReason, count: u64, now: Now) {
        self.stats.add(reason.into(), count);
        self.notices
            .count(Kind::Dropped, count, reason.as_str(), now.uptime);
    }
}

pub(super) fn lane_of(exchange: &ExchangeRecord) -> Lane {
    if exchange.immediate {
        Lane::Immediate
    } else {
        Lane::Bulk
    }
}
