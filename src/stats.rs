//! The filter's counts, as plain numbers; the adapter publishes the differences to the host.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::record::LossReason;

/// A number that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Records that got a number.
    Captured,
    /// Records that the audit cluster has acknowledged.
    Acknowledged,
    /// Records that the audit cluster has refused for good.
    Rejected,
    /// Records dropped because the buffer was full.
    DroppedBufferFull,
    /// Records dropped because one alone is larger than the buffer.
    DroppedTooLarge,
    /// Records dropped after `retry.max_attempts`.
    DroppedMaxAttempts,
    /// Records dropped after `retry.max_age`.
    DroppedMaxAge,
    /// Records that a crashed VM had counted and not sealed into a batch.
    DroppedVmCrash,
    /// Records of a configuration that has ended, which no other one has taken over.
    DroppedAbandoned,
    /// Exchanges that matched a rule which does not record them.
    Excluded,
    /// Exchanges with an answer of another protocol than their request claims.
    Ambiguous,
    /// Tracked exchanges without a context.
    SkippedEmptyContext,
    /// Attempts that Envoy accepted.
    BatchesDispatched,
    /// Attempts answered 2xx.
    BatchesAcknowledged,
    /// Attempts after the first of a batch.
    BatchesRetried,
    /// Batches cut in two because the audit cluster refused their content.
    BatchesSplit,
    /// Attempts that ended without 2xx, or that Envoy did not accept.
    BatchesFailed,
    /// Headers removed from requests.
    HeadersStripped,
    /// Control headers from peers that are not trusted.
    HeadersSpoofed,
    /// Requests that reached the filter, at their begin or, refused by an earlier filter, at their
    /// end. Compared with Envoy's count, they show requests that bypass the filter.
    RequestsSeen,
    /// Requests refused by `require_audit`.
    RequestsRefused,
    /// Entries of the journal in shared data that are damaged, or of another plugin.
    JournalRefused,
}

impl Counter {
    /// All counters with their names in Envoy, in the order of the enum.
    pub const ALL: [(Self, &'static str); 22] = [
        (Self::Captured, "audit_filter.records.captured"),
        (Self::Acknowledged, "audit_filter.records.acknowledged"),
        (Self::Rejected, "audit_filter.records.rejected"),
        (
            Self::DroppedBufferFull,
            "audit_filter.records.dropped.buffer_full",
        ),
        (
            Self::DroppedTooLarge,
            "audit_filter.records.dropped.too_large",
        ),
        (
            Self::DroppedMaxAttempts,
            "audit_filter.records.dropped.max_attempts",
        ),
        (Self::DroppedMaxAge, "audit_filter.records.dropped.max_age"),
        (
            Self::DroppedVmCrash,
            "audit_filter.records.dropped.vm_crash",
        ),
        (
            Self::DroppedAbandoned,
            "audit_filter.records.dropped.abandoned",
        ),
        (Self::Excluded, "audit_filter.records.excluded"),
        (Self::Ambiguous, "audit_filter.records.ambiguous"),
        (
            Self::SkippedEmptyContext,
            "audit_filter.records.skipped_empty_context",
        ),
        (Self::BatchesDispatched, "audit_filter.batches.dispatched"),
        (
            Self::BatchesAcknowledged,
            "audit_filter.batches.acknowledged",
        ),
        (Self::BatchesRetried, "audit_filter.batches.retried"),
        (Self::BatchesSplit, "audit_filter.batches.split"),
        (Self::BatchesFailed, "audit_filter.batches.failed"),
        (Self::HeadersStripped, "audit_filter.headers.stripped"),
        (Self::HeadersSpoofed, "audit_filter.headers.spoofed"),
        (Self::RequestsSeen, "audit_filter.requests.seen"),
        (Self::RequestsRefused, "audit_filter.requests.refused"),
        (Self::JournalRefused, "audit_filter.journal.refused"),
    ];
}

impl Counter {
    /// The possible ends of a captured record. Captured is always the sum of these and of the held
    /// records.
    pub const ENDS: [Self; 8] = [
        Self::Acknowledged,
        Self::Rejected,
        Self::DroppedBufferFull,
        Self::DroppedTooLarge,
        Self::DroppedMaxAttempts,
        Self::DroppedMaxAge,
        Self::DroppedVmCrash,
        Self::DroppedAbandoned,
    ];
}

impl From<LossReason> for Counter {
    fn from(reason: LossReason) -> Self {
        match reason {
            LossReason::BufferFull => Self::DroppedBufferFull,
            LossReason::TooLarge => Self::DroppedTooLarge,
            LossReason::MaxAttempts => Self::DroppedMaxAttempts,
            LossReason::MaxAge => Self::DroppedMaxAge,
            LossReason::Rejected => Self::Rejected,
            LossReason::VmCrash => Self::DroppedVmCrash,
            LossReason::Abandoned => Self::DroppedAbandoned,
        }
    }
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Records that are neither acknowledged nor rejected nor dropped; in flight included.
    BufferRecords,
    /// Their encoded bytes, and the reservations of requests that `require_audit` has let through.
    BufferBytes,
    /// Batches in flight.
    InFlightBatches,
}

impl Gauge {
    /// All gauges with their names in Envoy, in the order of the enum.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::BufferRecords, "audit_filter.buffer.records"),
        (Self::BufferBytes, "audit_filter.buffer.bytes"),
        (Self::InFlightBatches, "audit_filter.in_flight.batches"),
    ];

    /// Its value among those of all.
    #[must_use]
    pub fn of(self, gauges: &Gauges) -> u64 {
        gauges.get(self as usize).copied().unwrap_or_default()
    }
}

/// A value of each gauge, in the order of [`Gauge::ALL`].
pub type Gauges = [u64; Gauge::ALL.len()];

/// Name of the histogram of callout durations, in milliseconds.
pub const CALLOUT_HISTOGRAM: &str = "audit_filter.callout_ms";

/// The counts of one worker since its configuration, shared by its recorder and its pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    counters: [Cell<u64>; Counter::ALL.len()],
    inherited: Cell<Gauges>,
    callouts: RefCell<Vec<Duration>>,
    unproven_batches: Cell<u64>,
}

impl Stats {
    /// Adds to a counter.
    pub fn add(&self, counter: Counter, count: u64) {
        if let Some(value) = self.counters.get(counter as usize) {
            value.set(value.get().saturating_add(count));
        }
    }

    /// A counter's value.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).map_or(0, Cell::get)
    }

    /// Takes over a crashed VM's share of the gauges. They are process-wide, and no other VM
    /// subtracts it.
    pub fn inherit(&self, gauges: Gauges) {
        let mut inherited = self.inherited.get();
        for (inherited, gauge) in inherited.iter_mut().zip(gauges) {
            *inherited = inherited.wrapping_add(gauge);
        }
        self.inherited.set(inherited);
    }

    /// Another VM has taken over this one's share of the gauges: the opposite of [`Self::inherit`].
    pub fn forfeit(&self, gauges: Gauges) {
        self.inherit(gauges.map(u64::wrapping_neg));
    }

    /// All shares taken over so far, minus the forfeited ones; modulo 2^64. With it, captured is
    /// the sum of ended and held records.
    #[must_use]
    pub fn inherited(&self, gauge: Gauge) -> u64 {
        gauge.of(&self.inherited.get())
    }

    /// Notes how long a callout took.
    pub fn observe_callout(&self, duration: Duration) {
        self.callouts.borrow_mut().push(duration);
    }

    /// Notes a request that looked like a batch of this filter and did not prove to be one.
    pub fn note_unproven_batch(&self) {
        self.unproven_batches.set(self.unproven_batches.get() + 1);
    }

    /// Number of these since the last call.
    #[must_use]
    pub fn take_unproven_batches(&self) -> u64 {
        self.unproven_batches.take()
    }

    /// The callouts noted since the last call.
    #[must_use]
    pub fn take_callouts(&self) -> Vec<Duration> {
        self.callouts.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_their_enums() {
        for (index, (counter, _)) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
        for (index, (gauge, _)) in Gauge::ALL.into_iter().enumerate() {
            assert_eq!(gauge as usize, index);
        }
    }

    #[test]
    fn counts_are_kept_apart() {
        let stats = Stats::default();
        stats.add(Counter::Captured, 2);
        stats.add(Counter::RequestsRefused, 3);
        assert_eq!(stats.counter(Counter::Captured), 2);
        assert_eq!(stats.counter(Counter::RequestsRefused), 3);
        assert_eq!(stats.counter(Counter::Rejected), 0);
    }
}
