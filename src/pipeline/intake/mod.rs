//! Records come in: each gets a number, and memory in the buffer or a reported loss. Keeps the
//! numbers, the records that are in no batch yet, and the losses that no record reports yet.

mod numbers;
mod seal;

use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::account::Account;
use super::batch::{Batch, Content, Item};
use super::buffer::{Buffer, Encoded, Push, Reservation};
use super::common::{Common, Draft};
use super::journal::{Journal, Saved};
use super::lane::Lane;
use super::loss::LossLedger;
use super::sequence::Sequence;
use super::settings::BufferLimits;
use crate::record::{Loss, LossReason};
use crate::time::Now;
use crate::wire::Origin;

/// The records of one stream that are in no batch.
#[derive(Debug)]
pub(super) struct Intake {
    sequence: Sequence,
    /// Also accounts for the memory of batched records.
    buffer: Buffer,
    losses: LossLedger,
}

/// The outcome for a record.
#[derive(Debug)]
#[must_use]
pub(super) struct Captured {
    /// `None`: the record is lost.
    pub(super) number: Option<u64>,
    /// The numbers of older records that were lost for it.
    pub(super) evicted: Vec<u64>,
}

impl Intake {
    pub(super) fn new(stream: Uuid, limits: &BufferLimits, account: Rc<Account>) -> Self {
        Self {
            sequence: Sequence::new(stream),
            buffer: Buffer::new(limits, account),
            losses: LossLedger::default(),
        }
    }

    /// The stream's id.
    pub(super) fn stream(&self) -> Uuid {
        self.sequence.id()
    }

    /// The number that the next record will get.
    pub(super) fn next(&self) -> u64 {
        self.sequence.next()
    }

    /// The stream of these records.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            stream_id: self.sequence.id(),
            recovered: false,
        }
    }

    /// Whether a batch has records of this stream.
    pub(super) fn is_own(&self, batch: &Batch) -> bool {
        batch.origin == self.origin()
    }

    /// Bytes in memory, those of batched records and of reservations included.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.bytes()
    }

    /// Records that are in no batch.
    pub(super) fn unsealed_records(&self) -> u64 {
        let waiting: usize = Lane::ALL
            .into_iter()
            .map(|lane| self.buffer.waiting_records(lane))
            .sum();
        let start = usize::from(self.sequence.pending_start().is_some());
        (waiting + start) as u64
    }

    /// Whether there are losses that no record reports yet.
    pub(super) fn has_losses(&self) -> bool {
        self.losses.oldest().is_some()
    }

    /// Ranges of the numbers that are in no batch.
    pub(super) fn unsealed_ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        let waiting = Lane::ALL.into_iter().filter_map(|lane| {
            let (oldest, newest) = (self.buffer.oldest(lane)?, self.buffer.newest(lane)?);
            Some((oldest.number, newest.number))
        });
        let start = self.sequence.pending_start();

        waiting.chain(start.map(|start| (start.number, start.number)))
    }

    /// Numbers a record and keeps it, or counts its loss.
    pub(super) fn capture(
        &mut self,
        draft: &Draft,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) -> Captured {
        let number = self.begin_record(common, journal, now);
        let pushed = if self.buffer.refuses_all(draft.lane) {
            Push::Dropped(LossReason::BufferFull)
        } else {
            self.buffer.push(common.encode(number, draft, now))
        };

        let (is_kept, evicted) = match pushed {
            Push::Kept => (true, Vec::new()),
            Push::Dropped(reason) => {
                self.lose(reason, number, common, now);
                (false, Vec::new())
            }
            Push::Evicted(records) => (true, self.lose_evicted(&records, common, now)),
        };

        Captured {
            number: is_kept.then_some(number),
            evicted,
        }
    }

    /// Numbers a record with a reservation and keeps it.
    pub(super) fn capture_reserved(
        &mut self,
        reservation: Reservation,
        draft: &Draft,
        common: &mut Common,
        journal: &mut Journal,
        now: Now,
    ) {
        let number = self.begin_record(common, journal, now);
        let record = common.encode(number, draft, now);

        self.buffer.fill(reservation, record);
    }

    /// Reserves memory for a record. Yields the numbers of older records that were lost for it.
    pub(super) fn reserve(
        &mut self,
        connection: Option<u64>,
        bytes: usize,
        common: &mut Common,
        now: Now,
    ) -> Option<(Reservation, Vec<u64>)> {
        let (reservation, records) = self.buffer.reserve(connection, bytes)?;
        Some((reservation, self.lose_evicted(&records, common, now)))
    }

    /// Releases a reservation without a record.
    pub(super) fn release_reservation(&mut self, reservation: Reservation) {
        self.buffer.release_reservation(reservation);
    }

    fn lose_evicted(&mut self, records: &[Encoded], common: &mut Common, now: Now) -> Vec<u64> {
        let mut numbers = Vec::new();
        for Encoded { number, .. } in records {
            self.lose(LossReason::BufferFull, *number, common, now);
            numbers.push(*number);
        }
        numbers
    }

    /// Counts the loss of one record that is in no batch, for the next report.
    fn lose(&mut self, reason: LossReason, number: u64, common: &mut Common, now: Now) {
        common.count_dropped(reason, 1, now);
        self.losses.add_one(reason, number, now.uptime);
    }

    /// Adds a loss for the next report.
    pub(super) fn add_loss(&mut self, loss: Loss, now: Now) {
        self.losses.add(loss, now.uptime);
    }

    /// The losses that no record will report.
    pub(super) fn take_unreported(&mut self) -> Vec<Loss> {
        self.losses.take(usize::MAX)
    }

    /// Drops the oldest record of a lane if it was made up to `limit`. Yields its number.
    #[must_use]
    pub(super) fn expire_next(
        &mut self,
        lane: Lane,
        limit: Duration,
        common: &mut Common,
        now: Now,
    ) -> Option<u64> {
        if self.buffer.oldest(lane)?.made > limit {
            return None;
        }
        self.drop_oldest(lane, LossReason::MaxAge, common, now)
    }

    /// Drops a record that is in no batch. Yields its number; `None`: there are no more. The report
    /// of the losses is followed by another end of the stream.
    #[must_use]
    pub(super) fn abandon_next(&mut self, common: &mut Common, now: Now) -> Option<u64> {
        let reason = LossReason::Abandoned;
        for lane in Lane::ALL {
            let dropped = self.drop_oldest(lane, reason, common, now);
            if dropped.is_some() {
                return dropped;
            }
        }

        self.sequence.reopen();
        let Encoded { number, .. } = self.sequence.take_start()?;
        self.lose(reason, number, common, now);
        Some(number)
    }

    fn drop_oldest(
        &mut self,
        lane: Lane,
        reason: LossReason,
        common: &mut Common,
        now: Now,
    ) -> Option<u64> {
        let Encoded { number, .. } = self.buffer.pop(lane)?;
        self.lose(reason, number, common, now);
        Some(number)
    }

    /// Uses memory for the exchanges of a saved batch, also `beyond` the limits. False: there is no
    /// room.
    #[must_use]
    pub(super) fn occupy_for(&mut self, saved: &Saved, beyond: bool) -> bool {
        let exchanges = || {
            saved
                .records
                .iter()
                .filter(|record| record.content == Content::Exchange)
        };

        for (taken, record) in exchanges().enumerate() {
            let (lane, bytes) = (record.lane, record.fragment.len());
            if beyond {
                self.buffer.occupy(lane, bytes);
            } else if !self.buffer.try_occupy(lane, bytes) {
                exchanges()
                    .take(taken)
                    .for_each(|record| self.buffer.release(record.lane, record.fragment.len()));
                return false;
            }
        }

        true
    }

    /// Uses memory for a record that needs it. False: there is no room.
    #[must_use]
    pub(super) fn occupy_for_item(&mut self, item: &Item) -> bool {
        item.content != Content::Exchange || self.buffer.try_occupy(item.lane, item.bytes())
    }

    /// Frees the memory of a batch's records.
    pub(super) fn release(&mut self, batch: &Batch) {
        let is_buffered = |item: &&Item| item.content == Content::Exchange;
        for item in batch.items().iter().filter(is_buffered) {
            self.buffer.release(item.lane, item.bytes());
        }
    }

    /// A batch leaves for the first time, or is acknowledged. Only the stream's own batches are
    /// signs of its life. Another attempt of a failing batch is not one.
    pub(super) fn mark_sent(&mut self, batch: &Batch, now: Now) {
        if self.is_own(batch) {
            self.sequence.last_sent = Some(now.uptime);
        }
    }

    /// Another VM has taken over the stream, and reports its losses and its end.
    pub(super) fn give_up_stream(&mut self) {
        self.losses = LossLedger::default();
        self.sequence.end();
    }

    /// The next record begins another stream.
    pub(super) fn begin_stream(&mut self, stream: Uuid) {
        self.sequence = Sequence::new(stream);
    }
}
