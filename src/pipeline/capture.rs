//! Capturing a record: it gets a number, and memory in the buffer or a reported loss.

use super::Pipeline;
use super::buffer::{Encoded, Push, Reservation};
use super::lane::Lane;
use super::notices::Kind;
use crate::record::{Event, ExchangeRecord, LossReason};
use crate::time::Now;

impl Pipeline {
    /// Numbers a record and keeps it, or counts its loss. Yields the number if it is kept.
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

    /// The same for a record with a reservation.
    pub(super) fn capture_reserved(
        &mut self,
        reservation: Reservation,
        lane: Lane,
        event: &Event,
        time_unix_nanos: u64,
        now: Now,
    ) {
        let number = self.begin_record(now);
        let record = self.encode(number, lane, time_unix_nanos, event, now);

        self.buffer.fill(reservation, record);
    }

    /// The number of the next record. The stream's start precedes its first one.
    fn begin_record(&mut self, now: Now) -> u64 {
        if self.sequence.next() >= self.journal.reserved_until() {
            // If this VM stood still, another one may have given out the numbers from here on.
            self.check_slots(now);
        }
        self.announce_stream(now);
        self.sequence.reopen();
        self.next_number()
    }

    pub(super) fn lose_evicted(&mut self, records: &[Encoded], now: Now) {
        for evicted in records {
            self.lose(LossReason::BufferFull, evicted.number, now);
        }
    }

    /// Gives out a number. A new checkpoint is written first when the last one does not cover it.
    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.sequence.next_number(&self.stats);
        if number >= self.journal.reserved_until() {
            self.write_checkpoint(number, self.journal.published_gauges());
        }
        number
    }

    /// Counts the loss of one record that is in no batch, for the next report.
    pub(super) fn lose(&mut self, reason: LossReason, number: u64, now: Now) {
        self.count_dropped(reason, 1, now);
        self.losses.add_one(reason, number, now.uptime);
        self.decide(number, false);
    }

    /// Counts dropped records in the statistics and for the log.
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
