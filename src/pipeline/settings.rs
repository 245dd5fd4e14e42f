//! Limits of the pipeline, each for one worker. A value that exists is legal.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::wire::Format;

/// Everything the pipeline needs to know; fixed for the life of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `service.name` of every batch.
    pub service: String,
    /// Where batches go.
    pub target: Target,
    /// When a batch is cut.
    pub batch: BatchLimits,
    /// What may wait.
    pub buffer: BufferLimits,
    /// How failed batches are tried again.
    pub retry: RetryPolicy,
}

impl Settings {
    /// Equal for configurations whose batches are written alike and go to the same place, however long that may take. A
    /// header can name another tenant there.
    #[must_use]
    pub fn kin(&self) -> u64 {
        let Target { cluster, authority, path, format, headers, timeout: _ } = &self.target;
        let mut hasher = DefaultHasher::new();
        (&self.service, cluster, authority, path, format, headers).hash(&mut hasher);
        hasher.finish()
    }
}

/// Where batches go and how they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Envoy's name of the audit cluster.
    pub cluster: String,
    /// `:authority`
    pub authority: String,
    /// `:path`
    pub path: String,
    /// How a batch is written.
    pub format: Format,
    /// Additional headers, lower-case names.
    pub headers: Vec<(String, String)>,
    /// How long Envoy waits for the answer.
    pub timeout: Duration,
}

/// When a batch is cut: whichever limit is reached first. The first record always fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in a batch.
    pub max_records: usize,
    /// Encoded bytes of the records in a batch.
    pub max_bytes: usize,
    /// Age of the oldest record.
    pub max_delay: Duration,
}

/// What may wait for its acknowledgement, in flight included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// Records.
    pub max_records: usize,
    /// Encoded bytes.
    pub max_bytes: usize,
    /// What goes when a record does not fit.
    pub on_full: OnFull,
    /// Share that only immediate records may use, 0 to 90.
    pub immediate_reserve_percent: usize,
}

impl BufferLimits {
    /// What is left to records that are not immediate: records, at least one, and bytes.
    #[must_use]
    pub fn for_bulk(&self) -> (usize, usize) {
        let share = 100 - self.immediate_reserve_percent.min(100);
        ((self.max_records * share / 100).max(1), self.max_bytes * share / 100)
    }
}

/// What goes when a record does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The new record.
    DropNewest,
    /// The oldest records that are not yet in a batch; the new one when there are none.
    DropOldest,
}

/// How failed batches are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Upper end of the first delay.
    pub initial_backoff: Duration,
    /// Upper end of every delay.
    pub max_backoff: Duration,
    /// Attempts of one batch, the first included; `None`: no limit.
    pub max_attempts: Option<u64>,
    /// Age at which a record is given up; `None`: no limit.
    pub max_age: Option<Duration>,
}
