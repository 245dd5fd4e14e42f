//! What one lane has in flight, and how much may be: several batches while the audit cluster answers, one probe while
//! it does not.

use std::time::Duration;

use super::batch::Batch;
use super::lane::PerLane;

/// Batches in flight at once while the audit cluster answers. Bounds the memory that Envoy spends on copies of
/// bodies, and lets a worker send while an answer is on its way. Immediate batches are small, and must not wait.
pub const MAX_IN_FLIGHT: PerLane<usize> = PerLane { bulk: 4, immediate: 16 };

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
    flights: Vec<Flight>,
    health: Health,
}

impl Window {
    /// Nothing in flight of at most `limit` batches, the audit cluster believed to answer.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, flights: Vec::new(), health: Health::Up }
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

    /// Notes a departure.
    pub fn depart(&mut self, token: u32, batch: Batch, uptime: Duration) {
        let is_probe = self.is_down();
        self.flights.push(Flight { token, batch, departed: uptime, is_probe });
    }

    /// Takes the flight that an answer belongs to; `None` for a token that is unknown or was given up.
    pub fn land(&mut self, token: u32) -> Option<Flight> {
        let index = self.flights.iter().position(|flight| flight.token == token)?;
        Some(self.flights.remove(index))
    }

    /// Takes a flight whose answer is overdue.
    pub fn land_overdue(&mut self, timeout: Duration, uptime: Duration) -> Option<Flight> {
        let limit = timeout + ANSWER_GRACE;
        let index = self.flights.iter().position(|flight| uptime.saturating_sub(flight.departed) >= limit)?;
        Some(self.flights.remove(index))
    }

    /// The audit cluster has answered sensibly. True when it had not before.
    pub fn recover(&mut self) -> bool {
        std::mem::replace(&mut self.health, Health::Up) != Health::Up
    }

    /// An attempt has failed; yields how many have in a row. Batches that left before the first failure was known
    /// do not count again. `probed`: the attempt was the probe, or could not even depart.
    #[must_use]
    pub fn fail(&mut self, probed: bool) -> u32 {
        let (failures, retry_at) = match self.health {
            Health::Up => (1, Duration::ZERO),
            Health::Down { failures, retry_at } => (failures.saturating_add(u32::from(probed)), retry_at),
        };
        self.health = Health::Down { failures, retry_at };
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
