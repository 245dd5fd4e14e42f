//! What of the streams has arrived, what is known to be lost, and what is missing without an explanation.
//!
//! A filter numbers its records from 0 without a gap; a number that never comes, and that no loss record names, is
//! evidence that something was lost on the way. Each batch says how far the numbers had come when it was sealed, so that one
//! that was lost behind the last number that came is known, too. Of a stream that has fallen silent without an end it is
//! known since when, and how much it can have held.

mod numbers;
mod report;
mod said;
mod stream;

use std::collections::HashMap;

pub use numbers::Numbers;
pub use report::{Gap, GapState, Life, LossReport, Moment, Report, Status, StreamReport};
pub use said::{Event, Limits, Said};
pub use stream::{Loss, Stream};

use crate::ledger::entry::Entry;

/// What a record says about its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// `service.name`.
    pub service: Option<&'a str>,
    /// `audit.sequence.number`.
    pub number: i64,
    /// When it was received.
    pub received_at: i64,
    /// When it was made, by the clock of its sender; 0 when that is not known.
    pub observed_at: i64,
    /// What else it says.
    pub said: Said,
}

/// All streams, by their id.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// See [`Stream`].
    pub by_id: HashMap<String, Stream>,
}

impl Streams {
    /// Takes one more record of the ledger into account; a record without a stream or a number counts nowhere.
    pub fn add(&mut self, entry: &Entry) {
        let (Some(stream), Some(number)) = (&entry.stream_id, entry.sequence_number) else {
            return;
        };
        let (service, received_at, observed_at) = (
            entry.service_name.as_deref(),
            entry.received_at,
            entry.observed_time,
        );
        let said = Said::read(&entry.event_name, &entry.attributes, received_at);
        self.see(
            stream,
            Sighting {
                service,
                number,
                received_at,
                observed_at,
                said,
            },
        );
    }

    /// The same for a record that has been read already.
    pub fn see(&mut self, stream: &str, sighting: Sighting<'_>) {
        match self.by_id.get_mut(stream) {
            Some(known) => known.see(sighting),
            None => self
                .by_id
                .entry(stream.to_owned())
                .or_default()
                .see(sighting),
        }
    }

    /// Takes over what was known of records that have been deleted.
    pub fn merge(&mut self, other: Self) {
        for (id, stream) in other.by_id {
            self.by_id.entry(id).or_default().merge(stream);
        }
    }
}
