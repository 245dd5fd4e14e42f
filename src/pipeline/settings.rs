//! Limits of the pipeline, each for one worker. A value that exists is legal.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::journal::tag::Key;
use crate::record::StreamLimits;
use crate::time::nanos;
use crate::wire::{Format, Resource};

/// Settings of a pipeline; fixed for the life of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSettings {
    /// The service and its instance, in every batch.
    pub resource: Resource,
    /// Where batches go.
    pub target: Target,
    /// When a batch is cut.
    pub batch: BatchLimits,
    /// Limits of unacknowledged records.
    pub buffer: BufferLimits,
    /// How failed batches are tried again.
    pub retry: RetryPolicy,
    /// Authenticate the journal; empty: the process key is used.
    pub journal_keys: Vec<Key>,
    /// An idle stream sends a sign of life after this long without a batch
    /// (`stages.alive_interval`); `None`: never.
    pub alive_interval: Option<Duration>,
}

impl PipelineSettings {
    /// The limits in the stream's start. A record just before a sign of life replaces it, and
    /// leaves up to `batch.max_delay` later. The interval is the longer of both, so that no silence
    /// is longer than twice the interval.
    #[must_use]
    pub fn stream_limits(&self) -> StreamLimits {
        let interval = self.alive_interval.map_or(Duration::ZERO, |interval| {
            interval.max(self.batch.max_delay)
        });
        StreamLimits {
            alive_interval_ms: nanos(interval) / 1_000_000,
            buffer_records: self.buffer.max_records as u64,
        }
    }

    /// The destination fingerprint: equal for configurations that encode alike and send to the same
    /// place. The timeout does not count. Headers do, since one can name another tenant.
    #[must_use]
    pub fn destination(&self) -> u64 {
        let Target {
            cluster,
            authority,
            path,
            format,
            headers,
            timeout: _,
        } = &self.target;
        let mut hasher = DefaultHasher::new();
        (
            &self.resource.service,
            cluster,
            authority,
            path,
            format,
            headers,
        )
            .hash(&mut hasher);

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

/// Limits of unacknowledged records, those in flight included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// Records.
    pub max_records: usize,
    /// Encoded bytes.
    pub max_bytes: usize,
    /// The record that is dropped when there is no room.
    pub on_full: OnFull,
    /// Share that only immediate records may use, 0 to 90.
    pub immediate_reserve_percent: usize,
}

/// A bound: records, and their encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Records.
    pub records: usize,
    /// Encoded bytes.
    pub bytes: usize,
}

impl BufferLimits {
    /// Everything.
    #[must_use]
    pub fn whole(&self) -> Share {
        Share {
            records: self.max_records,
            bytes: self.max_bytes,
        }
    }

    /// The bound of records that are not immediate: all but the reserve, and at least one record.
    #[must_use]
    pub fn for_bulk(&self) -> Share {
        let percent = 100 - self.immediate_reserve_percent.min(100);
        // The product with the whole would not fit into 32 bits.
        let share = |whole: usize| whole / 100 * percent + whole % 100 * percent / 100;
        Share {
            records: share(self.max_records).max(1),
            bytes: share(self.max_bytes),
        }
    }

    /// The bound of immediate records: the reserve, and half of the bulk share. The other half is
    /// out of reach, since a client can cause any number of immediate records.
    #[must_use]
    pub fn for_immediate(&self) -> Share {
        let (whole, bulk) = (self.whole(), self.for_bulk());
        Share {
            records: whole.records - bulk.records / 2,
            bytes: whole.bytes - bulk.bytes / 2,
        }
    }

    /// The bound of reservations (`require_audit`): half of the bulk share. Bulk records keep the
    /// other half, however many requests are slow.
    #[must_use]
    pub fn for_reservations(&self) -> Share {
        let bulk = self.for_bulk();
        Share {
            records: (bulk.records / 2).max(1),
            bytes: bulk.bytes / 2,
        }
    }
}

/// The record that is dropped when there is no room.
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
    /// Age at which a record is dropped; `None`: no limit.
    pub max_age: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max: usize, percent: usize) -> BufferLimits {
        BufferLimits {
            max_records: max,
            max_bytes: max,
            on_full: OnFull::DropNewest,
            immediate_reserve_percent: percent,
        }
    }

    /// The largest values that a configuration may have: their products do not fit into 32 bits.
    #[test]
    fn the_share_of_bulk_records_is_exact_up_to_the_largest_buffer() {
        for max in [
            1,
            99,
            101,
            47_721_859,
            50_331_648,
            100_000_000,
            268_435_455,
            268_435_456,
        ] {
            for percent in [0, 1, 10, 33, 90] {
                let expected = usize::try_from(max as u64 * (100 - percent as u64) / 100).unwrap();
                let bulk = Share {
                    records: expected.max(1),
                    bytes: expected,
                };
                assert_eq!(limits(max, percent).for_bulk(), bulk, "{max} {percent}");
            }
        }
    }

    #[test]
    fn each_lane_has_room_that_the_other_cannot_take() {
        let of = |max, percent| {
            let limits = limits(max, percent);
            let [bulk, immediate, reservations] = [
                limits.for_bulk(),
                limits.for_immediate(),
                limits.for_reservations(),
            ];
            assert_eq!(
                (bulk.bytes, immediate.bytes, reservations.bytes),
                (bulk.records, immediate.records, reservations.records)
            );
            (bulk.records, immediate.records, reservations.records)
        };

        assert_eq!(of(10_000, 10), (9000, 5500, 4500));
        assert_eq!(of(10_000, 0), (10_000, 5000, 5000));
        assert_eq!(of(10_000, 90), (1000, 9500, 500));

        let one = limits(1, 90);
        assert_eq!(
            [one.for_bulk(), one.for_immediate(), one.for_reservations()]
                .map(|share| share.records),
            [1; 3]
        );
    }
}
