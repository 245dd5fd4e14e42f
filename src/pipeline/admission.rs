//! Requests that may not go upstream before their record is safe (`require_audit`).
//!
//! - Refused: `admit` finds no memory for its records, or the immediate lane opens after the
//!   deadline of a request that must be acknowledged. The adapter answers it.
//! - Proceeding: `admit` under `buffered`, or the decision about a held request.
//! - Held: `admit` under `acknowledged`. The record of its receipt is in the immediate lane.
//! - Decided: [`poll_decision`] yields the decision once.
//! - Gone: [`handle_request_gone`], since its stream has ended. No decision follows.
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
//! [`handle_no_exchange`] releases it.
//!
//! [`poll_decision`]: super::Pipeline::poll_decision
//! [`handle_request_gone`]: super::Pipeline::handle_request_gone
//! [`handle_no_exchange`]: super::Pipeline::handle_no_exchange

use std::time::Duration;

use super::batch::Batch;
use super::buffer::Reservation;
use crate::stats::{Counter, Stats};

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Let it go upstream. The reservation is for the record of its end.
    Proceed(Reservation),
    /// Hold it until [`super::Pipeline::poll_decision`] names the ticket, or the stream ends.
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
pub(super) struct Holds {
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

impl Holds {
    /// Holds a request until its record is safe. Yields its ticket.
    pub(super) fn hold(&mut self, number: u64, deadline: Duration) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.held.push(Held {
            ticket,
            number,
            deadline,
        });
        ticket
    }

    /// The next decision about a held request.
    pub(super) fn poll(&mut self) -> Option<Decision> {
        self.decisions.pop()
    }

    /// The stream of a held request has ended.
    pub(super) fn forget(&mut self, ticket: u64) {
        self.held.retain(|held| held.ticket != ticket);
        self.decisions.retain(|decision| decision.ticket != ticket);
    }

    /// Refuses the requests that wait for these records.
    pub(super) fn refuse(&mut self, numbers: &[u64], stats: &Stats) {
        for &number in numbers {
            self.decide(number, false, stats);
        }
    }

    /// Decides about the requests that wait for the records of a batch.
    pub(super) fn decide_batch(&mut self, batch: &Batch, proceed: bool, stats: &Stats) {
        if self.held.is_empty() {
            return;
        }
        for item in batch.items() {
            self.decide(item.number, proceed, stats);
        }
    }

    /// Refuses requests if the next attempt of their batch is after their deadline.
    pub(super) fn refuse_hopeless(&mut self, batch: &Batch, stats: &Stats) {
        for item in batch.items() {
            let is_late = self
                .held
                .iter()
                .any(|held| held.number == item.number && held.deadline < batch.not_before);
            if is_late {
                self.decide(item.number, false, stats);
            }
        }
    }

    /// Refuses requests with a deadline up to `uptime`.
    pub(super) fn refuse_overdue(&mut self, uptime: Duration, stats: &Stats) {
        let overdue = |held: &Held| (held.deadline <= uptime).then_some(held.number);
        let numbers: Vec<u64> = self.held.iter().filter_map(overdue).collect();
        self.refuse(&numbers, stats);
    }

    /// Decides about the request that waits for the record with this number, if there is one.
    fn decide(&mut self, number: u64, proceed: bool, stats: &Stats) {
        if let Some(index) = self.held.iter().position(|held| held.number == number) {
            let Held { ticket, .. } = self.held.swap_remove(index);
            stats.add(Counter::RequestsRefused, u64::from(!proceed));
            self.decisions.push(Decision { ticket, proceed });
        }
    }
}
