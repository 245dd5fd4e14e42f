//! What one lane has in flight, and how much may be: several batches while the audit cluster answers, one probe while
//! it does not.

use std::time::Duration;

use super::batch::Batch;
use super::lane::PerLane;

/// Batches in flight at once when the audit cluster begins to answer. Lets a worker send while an answer is on its way.
/// Immediate batches are small, and must not wait.
pub const FIRST_IN_FLIGHT: PerLane<usize> = PerLane {
    bulk: 4,
    immediate: 16,
};

/// Batches in flight at once while the audit cluster goes on answering. Each is a copy of a body in Envoy, within what the
/// buffer holds, and over HTTP/1.1 a connection of its own: 48 of each worker are far from Envoy's limit of 1024 for a cluster
/// (`circuit_breakers`).
pub const MAX_IN_FLIGHT: PerLane<usize> = PerLane {
    bulk: 32,
    immediate: 16,
};

/// How much longer than the callout's own timeout the filter waits, before it takes the answer for lost.
pub const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// A batch that Envoy has accepted.
#[derive(Debug)]
pub struct Flight {
    /// Envoy's name for the callout.
    pub token: u32,
    /// What was sent.
    pub batch: Batch,
    /// When.
    pub departed: Duration,
    /// The number of the attempt among all of the pipeline.
    pub departure: u64,
    is_probe: bool,
}

/// Whether the audit cluster answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Up,
    Down { failures: u32, retry_at: Duration },
}

/// Batches in flight and the state that bounds them.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    first: usize,
    most: usize,
    flights: Vec<Flight>,
    health: Health,
}

impl Window {
    /// Nothing in flight of at most `first` batches, the audit cluster believed to answer. The limit grows to `most`.
    #[must_use]
    pub fn new(first: usize, most: usize) -> Self {
        Self {
            limit: first,
            first,
            most,
            flights: Vec::new(),
            health: Health::Up,
        }
    }

    /// Whether a batch may leave now.
    #[must_use]
    pub fn is_open(&self, uptime: Duration) -> bool {
        match self.health {
            Health::Up => self.flights.len() < self.limit,
            Health::Down { retry_at, .. } => self.flights.is_empty() && uptime >= retry_at,
        }
    }

    /// When the next batch may leave, as far as is known: in the past when nothing but the limit is in the way.
    #[must_use]
    pub fn opens_at(&self) -> Duration {
        match self.health {
            Health::Up => Duration::ZERO,
            Health::Down { retry_at, .. } => retry_at,
        }
    }

    /// Whether the last attempt that ended has failed.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.health != Health::Up
    }

    /// Batches in flight.
    #[must_use]
    pub fn flights(&self) -> &[Flight] {
        &self.flights
    }

    /// Attempts that have failed in a row and closed the lane; 0 while it is open.
    #[must_use]
    pub fn failures(&self) -> u32 {
        match self.health {
            Health::Up => 0,
            Health::Down { failures, .. } => failures,
        }
    }

    /// Notes a departure, which has this number among all of the pipeline.
    pub fn depart(&mut self, token: u32, batch: Batch, departure: u64, uptime: Duration) {
        let is_probe = self.is_down();
        self.flights.push(Flight {
            token,
            batch,
            departed: uptime,
            departure,
            is_probe,
        });
    }

    /// Takes the flight that an answer belongs to; `None` for a token that is unknown or was given up.
    pub fn land(&mut self, token: u32) -> Option<Flight> {
        let index = self
            .flights
            .iter()
            .position(|flight| flight.token == token)?;
        Some(self.flights.remove(index))
    }

    /// Takes a flight whose answer is overdue.
    pub fn land_overdue(&mut self, timeout: Duration, uptime: Duration) -> Option<Flight> {
        let limit = timeout + ANSWER_GRACE;
        let index = self
            .flights
            .iter()
            .position(|flight| uptime.saturating_sub(flight.departed) >= limit)?;
        Some(self.flights.remove(index))
    }

    /// The batches in flight.
    pub fn batches_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.flights.iter_mut().map(|flight| &mut flight.batch)
    }

    /// Takes back every batch, whatever its answer may be.
    pub fn land_all(&mut self) -> Vec<Flight> {
        std::mem::take(&mut self.flights)
    }

    /// The audit cluster has answered sensibly. True when it had not before.
    ///
    /// An answer to one of as many batches as may be in flight lets one more be there, so that their number doubles in each
    /// round trip for as long as there is more to send than the window lets through.
    pub fn recover(&mut self) -> bool {
        if self.flights.len() + 1 >= self.limit {
            self.limit = self.most.min(self.limit + 1);
        }
        std::mem::replace(&mut self.health, Health::Up) != Health::Up
    }

    /// An attempt has failed; yields how many have in a row. Batches that left before the first failure was known
    /// do not count again. `probed`: the attempt was the probe, or could not even depart.
    #[must_use]
    pub fn fail(&mut self, probed: bool) -> u32 {
        let (failures, retry_at) = match self.health {
            Health::Up => (1, Duration::ZERO),
            Health::Down { failures, retry_at } => {
                (failures.saturating_add(u32::from(probed)), retry_at)
            }
        };
        self.health = Health::Down { failures, retry_at };
        self.limit = self.first;
        failures
    }

    /// Lets the next probe leave at once: there may be no later.
    pub fn end_backoff(&mut self) {
        if let Health::Down { retry_at, .. } = &mut self.health {
            *retry_at = Duration::ZERO;
        }
    }

    /// Sets when the next probe may leave, after [`Self::fail`]; never earlier than another failure has asked for.
    pub fn hold_until(&mut self, moment: Duration) {
        if let Health::Down { retry_at, .. } = &mut self.health {
            *retry_at = moment.max(*retry_at);
        }
    }
}

impl Flight {
    /// Whether it left while the audit cluster was known not to answer.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }
}
