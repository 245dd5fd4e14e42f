//! The batches in flight of one lane, and their limit: several while the audit cluster answers, one
//! probe while it does not.

use std::time::Duration;

use super::batch::Batch;
use super::lane::PerLane;

/// Batches in flight at once when the audit cluster begins to answer. Lets a worker send while an
/// answer is on its way. Immediate batches are small, and must not wait.
pub const FIRST_IN_FLIGHT: PerLane<usize> = PerLane {
    bulk: 4,
    immediate: 16,
};

/// Most batches in flight while the audit cluster answers. Each has a copy of its body in Envoy,
/// within the buffer's limits, and over HTTP/1.1 a connection. 48 per worker are far below Envoy's
/// limit of 1024 for a cluster (`circuit_breakers`).
pub const MAX_IN_FLIGHT: PerLane<usize> = PerLane {
    bulk: 32,
    immediate: 16,
};

/// How long after the callout's timeout an answer counts as lost.
pub const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// A batch that Envoy has accepted.
#[derive(Debug)]
pub struct InFlight {
    /// Envoy's name for the callout.
    pub token: u32,
    /// The batch that was sent.
    pub batch: Batch,
    /// When it was sent.
    pub started: Duration,
    /// The number of the attempt in the pipeline.
    pub attempt: u64,
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
    in_flight: Vec<InFlight>,
    health: Health,
}

impl Window {
    /// No batch in flight, of at most `first`, and the audit cluster assumed to answer. The limit
    /// grows to `most`.
    #[must_use]
    pub fn new(first: usize, most: usize) -> Self {
        Self {
            limit: first,
            first,
            most,
            in_flight: Vec::new(),
            health: Health::Up,
        }
    }

    /// Whether a batch can leave now.
    #[must_use]
    pub fn is_open(&self, uptime: Duration) -> bool {
        match self.health {
            Health::Up => self.in_flight.len() < self.limit,
            Health::Down { retry_at, .. } => self.in_flight.is_empty() && uptime >= retry_at,
        }
    }

    /// When the next batch can leave, as far as is known: in the past when only the limit prevents
    /// it.
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
    pub fn in_flight(&self) -> &[InFlight] {
        &self.in_flight
    }

    /// Attempts that have failed in a row and closed the lane; 0 while it is open.
    #[must_use]
    pub fn failures(&self) -> u32 {
        match self.health {
            Health::Up => 0,
            Health::Down { failures, .. } => failures,
        }
    }

    /// Adds a batch that Envoy has accepted, with the number of the attempt in the pipeline.
    pub fn start(&mut self, token: u32, batch: Batch, attempt: u64, uptime: Duration) {
        let is_probe = self.is_down();
        self.in_flight.push(InFlight {
            token,
            batch,
            started: uptime,
            attempt,
            is_probe,
        });
    }

    /// Removes the batch that an answer belongs to; `None`: the token is unknown or has expired.
    pub fn complete(&mut self, token: u32) -> Option<InFlight> {
        let index = self
            .in_flight
            .iter()
            .position(|in_flight| in_flight.token == token)?;
        Some(self.in_flight.remove(index))
    }

    /// Removes a batch with an overdue answer.
    pub fn expire(&mut self, timeout: Duration, uptime: Duration) -> Option<InFlight> {
        let limit = timeout + ANSWER_GRACE;
        let index = self
            .in_flight
            .iter()
            .position(|in_flight| uptime.saturating_sub(in_flight.started) >= limit)?;
        Some(self.in_flight.remove(index))
    }

    /// The batches in flight.
    pub fn batches_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.in_flight
            .iter_mut()
            .map(|in_flight| &mut in_flight.batch)
    }

    /// Removes all batches, whatever their answers will be.
    pub fn take_all(&mut self) -> Vec<InFlight> {
        std::mem::take(&mut self.in_flight)
    }

    /// The audit cluster has answered. True if it had not before.
    ///
    /// An answer while the window is full raises the limit by one. So the number of batches doubles
    /// in each round trip, while there is more to send than the window allows.
    pub fn recover(&mut self) -> bool {
        if self.in_flight.len() + 1 >= self.limit {
            self.limit = self.most.min(self.limit + 1);
        }
        std::mem::replace(&mut self.health, Health::Up) != Health::Up
    }

    /// An attempt has failed; yields how many have in a row. Batches that left before the first
    /// failure do not count again. `probed`: the attempt was the probe, or Envoy refused its
    /// callout.
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

    /// Lets the next probe leave at once: there may be no later chance.
    pub fn end_backoff(&mut self) {
        if let Health::Down { retry_at, .. } = &mut self.health {
            *retry_at = Duration::ZERO;
        }
    }

    /// Sets when the next probe can leave, after [`Self::fail`]; never earlier than another failure
    /// has set.
    pub fn hold_until(&mut self, moment: Duration) {
        if let Health::Down { retry_at, .. } = &mut self.health {
            *retry_at = moment.max(*retry_at);
        }
    }
}

impl InFlight {
    /// Whether it left while the audit cluster was known not to answer.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }
}
