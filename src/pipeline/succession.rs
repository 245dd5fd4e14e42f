//! What a configuration that has ended hands over to its successor in the same VM. Batches keep
//! their ids, records their numbers; the successor sends them with its credentials.

use super::batch::Batch;
use super::journal::Orphan;
use super::takeover::Takeover;
use crate::stats::{Gauge, Gauges};

/// All that a pipeline hands over.
#[derive(Debug)]
#[must_use]
pub struct HandOver {
    pub(super) orphan: Orphan,
    /// The number that the stream's next record gets.
    pub(super) next: u64,
    pub(super) batches: Vec<Batch>,
    pub(super) takeover: Takeover,
    pub(super) gauges: Gauges,
}

impl HandOver {
    /// The gauges of the pipeline before it handed over. They must be published to the host first:
    /// the successor inherits them.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }

    /// How many records it has, of all kinds.
    #[must_use]
    pub fn records(&self) -> u64 {
        Gauge::BufferRecords.of(&self.gauges)
    }
}
