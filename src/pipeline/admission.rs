//! Requests that may not go upstream before their record is safe (`require_audit`): each is let through, held until
//! the audit cluster has acknowledged it, or refused.

use std::time::Duration;

use super::Pipeline;
use super::batch::Batch;
use super::buffer::Place;
use super::lane::Lane;
use crate::record::{Event, Received, RequireAudit};
use crate::stats::Counter;
use crate::time::Now;

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Let it go upstream. The place is for the record of its end.
    Proceed(Place),
    /// Hold it until [`Pipeline::poll_decision`] names the ticket, or the stream ends.
    Hold {
        /// Names the request.
        ticket: u64,
        /// For the record of its end.
        place: Place,
        /// The record of its receipt may leave: wake the root context.
        wakes: bool,
    },
    /// Answer it: its record cannot be kept, or cannot be acknowledged in time.
    Refuse,
}

/// What is to be done with a request that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Names the request.
    pub ticket: u64,
    /// Let it go upstream, or answer it.
    pub proceed: bool,
}

/// Requests that are held.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held: Vec<Held>,
    decisions: Vec<Decision>,
    /// Names the next request. The numbers of records may begin anew, and tickets may not.
    next_ticket: u64,
}

#[derive(Debug)]
struct Held {
    ticket: u64,
    /// Of the record that waits for its acknowledgement.
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
    /// Decides about a request by what can be recorded of it before it goes upstream.
    pub fn admit(&mut self, required: RequireAudit, received: Received, now: Now) -> Admission {
        let deadline = now.uptime + self.settings.target.timeout;
        let is_hopeless = self.windows.immediate.opens_at() > deadline;
        if required == RequireAudit::Acknowledged && is_hopeless {
            // Before it takes the place of another record.
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
            Some((place, evicted)) => {
                self.lose_evicted(&evicted, now);
                if required == RequireAudit::Acknowledged {
                    self.hold(place, &event, start, deadline, now)
                } else {
                    Admission::Proceed(place)
                }
            }
        };
        self.stats.add(
            Counter::RequestsRefused,
            u64::from(admission == Admission::Refuse),
        );
        admission
    }

    /// Sends the record of the receipt ahead.
    fn hold(
        &mut self,
        place: Place,
        received: &Event,
        start: u64,
        deadline: Duration,
        now: Now,
    ) -> Admission {
        let Some(number) = self.capture(Lane::Immediate, received, start, now) else {
            self.handle_no_exchange(Some(place));
            return Admission::Refuse;
        };
        let ticket = self.gate.hold(number, deadline);
        Admission::Hold {
            ticket,
            place,
            wakes: self.wakes(now),
        }
    }

    /// The next request that need not be held any longer.
    pub fn poll_decision(&mut self) -> Option<Decision> {
        self.gate.decisions.pop()
    }

    /// The stream of a request that was held has ended.
    pub fn handle_request_gone(&mut self, ticket: u64) {
        self.gate.held.retain(|held| held.ticket != ticket);
        self.gate
            .decisions
            .retain(|decision| decision.ticket != ticket);
    }

    /// What became of the record with this number decides about the request that waits for it, if one does.
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

    /// Refuses what waits for a batch that cannot be acknowledged before the deadline.
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

    /// Refuses what has been held up to its deadline.
    pub(super) fn refuse_overdue(&mut self, now: Now) {
        let overdue = |held: &Held| (held.deadline <= now.uptime).then_some(held.number);
        let numbers: Vec<u64> = self.gate.held.iter().filter_map(overdue).collect();
        for number in numbers {
            self.decide(number, false);
        }
    }
}
