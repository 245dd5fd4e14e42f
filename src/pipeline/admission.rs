//! Requests that may not go upstream before their record is safe (`require_audit`).
//!
//! - Refused: `admit` finds no memory for its records, or the immediate lane opens after the
//!   deadline of a request that must be acknowledged. The adapter answers it.
//! - Proceeding: `admit` under `buffered`, or the decision about a held request.
//! - Held: `admit` under `acknowledged`. The record of its receipt is in the immediate lane.
//! - Decided: [`Pipeline::poll_decision`] yields the decision once.
//! - Gone: [`Pipeline::handle_request_gone`], since its stream has ended. No decision follows.
//!
//! A held request proceeds when the batch of its record is acknowledged with no record rejected. It
//! is refused as soon as one of these is true:
//!
//! 1. Its deadline, `audit_cluster.timeout` after `admit`, has passed at a tick.
//! 2. The next attempt of the batch is due after the deadline.
//! 3. The record is evicted, or its batch is dropped.
//! 4. The batch is rejected, or a partial success rejects some record of it.
//! 5. Its record is alone in the batch and its content is refused, although it is sent again.
//! 6. Another VM has taken over the stream.
//!
//! The reservation lasts beyond the decision: until the exchange's record fills it, or
//! [`Pipeline::handle_no_exchange`] releases it.

use std::time::Duration;

use super::Pipeline;
use super::batch::Batch;
use super::buffer::Reservation;
use super::lane::Lane;
use crate::record::{Event, Received, RequireAudit};
use crate::stats::Counter;
use crate::time::Now;

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Let it go upstream. The reservation is for the record of its end.
    Proceed(Reservation),
    /// Hold it until [`Pipeline::poll_decision`] names the ticket, or the stream ends.
    Hold {
        /// Names the request.
        ticket: u64,
        /// For the record of its end.
        reservation: Reservation,
        /// The record of its receipt can leave: wake the root context.
        wakes: bool,
    },
    /// Answer it: its record cannot be kept, or cannot be acknowledged in time.
    Refuse,
}

/// The decision about a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Names the request.
    pub ticket: u64,
    /// Let it go upstream, or answer it.
    pub proceed: bool,
}

/// Held requests and their decisions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held: Vec<Held>,
    decisions: Vec<Decision>,
    /// The next request's ticket. Sequence numbers may restart within a VM, tickets do not.
    next_ticket: u64,
}

#[derive(Debug)]
struct Held {
    ticket: u64,
    /// The number of the record that must be acknowledged.
    number: u64,
    deadline: Duration,
}

impl Gate {
    fn hold(&mut self, number: u64, deadline: Duration) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.held.push(Held {
            ticket,
            number,
            deadline,
        });
        ticket
    }
}

impl Pipeline {
    /// Admits, holds or refuses a request, depending on how its record can be kept.
    pub fn admit(&mut self, required: RequireAudit, received: Received, now: Now) -> Admission {
        let deadline = now.uptime + self.settings.target.timeout;
        let is_hopeless = self.windows.immediate.opens_at() > deadline;
        if required == RequireAudit::Acknowledged && is_hopeless {
            // Before the request evicts another record.
            self.stats.add(Counter::RequestsRefused, 1);
            return Admission::Refuse;
        }

        let Received {
            mut record,
            connection,
            most_ending_bytes,
        } = received;

        record.immediate = true;
        let start = record.start_unix_nanos;
        let event = Event::Exchange(record);
        let most_bytes = self
            .encode(0, Lane::Immediate, start, &event, now)
            .fragment
            .len()
            + most_ending_bytes;

        let admission = match self.buffer.reserve(connection, most_bytes) {
            None => Admission::Refuse,
            Some((reservation, evicted)) => {
                self.lose_evicted(&evicted, now);
                if required == RequireAudit::Acknowledged {
                    self.hold(reservation, &event, start, deadline, now)
                } else {
                    Admission::Proceed(reservation)
                }
            }
        };

        self.stats.add(
            Counter::RequestsRefused,
            u64::from(admission == Admission::Refuse),
        );
        admission
    }

    /// Captures the record of the receipt, and holds the request until it is acknowledged.
    fn hold(
        &mut self,
        reservation: Reservation,
        received: &Event,
        start: u64,
        deadline: Duration,
        now: Now,
    ) -> Admission {
        let Some(number) = self.capture(Lane::Immediate, received, start, now) else {
            self.handle_no_exchange(Some(reservation));
            return Admission::Refuse;
        };

        let ticket = self.gate.hold(number, deadline);
        Admission::Hold {
            ticket,
            reservation,
            wakes: self.wakes(now),
        }
    }

    /// The next decision about a held request.
    pub fn poll_decision(&mut self) -> Option<Decision> {
        self.gate.decisions.pop()
    }

    /// The stream of a held request has ended.
    pub fn handle_request_gone(&mut self, ticket: u64) {
        self.gate.held.retain(|held| held.ticket != ticket);
        self.gate
            .decisions
            .retain(|decision| decision.ticket != ticket);
    }

    /// Decides about the request that waits for the record with this number, if there is one.
    pub(super) fn decide(&mut self, number: u64, proceed: bool) {
        if let Some(index) = self.gate.held.iter().position(|held| held.number == number) {
            let Held { ticket, .. } = self.gate.held.swap_remove(index);
            self.stats
                .add(Counter::RequestsRefused, u64::from(!proceed));
            self.gate.decisions.push(Decision { ticket, proceed });
        }
    }

    /// The same for every record of a batch.
    pub(super) fn decide_batch(&mut self, batch: &Batch, proceed: bool) {
        if self.gate.held.is_empty() || batch.origin != self.origin() {
            return;
        }
        for item in batch.items() {
            self.decide(item.number, proceed);
        }
    }

    /// Refuses requests if the next attempt of their batch is after their deadline.
    pub(super) fn refuse_hopeless(&mut self, batch: &Batch) {
        if batch.origin != self.origin() {
            return;
        }

        let is_late = |number: u64| {
            self.gate
                .held
                .iter()
                .any(|held| held.number == number && held.deadline < batch.not_before)
        };
        let late: Vec<u64> = batch
            .items()
            .iter()
            .map(|item| item.number)
            .filter(|number| is_late(*number))
            .collect();
        for number in late {
            self.decide(number, false);
        }
    }

    /// Refuses requests that are held up to their deadline.
    pub(super) fn refuse_overdue(&mut self, now: Now) {
        let overdue = |held: &Held| (held.deadline <= now.uptime).then_some(held.number);
        let numbers: Vec<u64> = self.gate.held.iter().filter_map(overdue).collect();
        for number in numbers {
            self.decide(number, false);
        }
    }
}
