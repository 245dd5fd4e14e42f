//! Completeness of the streams: received numbers, reported losses, and numbers missing without an
//! explanation.
//!
//! A filter numbers its records from 0 without a gap. A number that never arrives and that no loss
//! record covers is evidence of a loss on the way. Each batch carries the next number at the time
//! of its sealing, so that a loss after the last received number is detected, too. For a stream
//! that fell silent without an end, the report bounds the unknown: since when, and how many
//! records.

mod announced;
mod numbers;
mod outlook;
mod report;
mod stream;

use std::collections::HashMap;

pub use announced::{Announced, Event, Loss, StreamLimits};
pub use numbers::{Bound, Numbers};
pub use outlook::Outlook;
pub use report::{Gap, GapState, Life, LossReport, Moment, Report, Status, StreamReport};
pub use stream::Stream;

use crate::ledger::entry::Entry;

/// Stream data of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// `service.name`.
    pub service: Option<&'a str>,
    /// `audit.sequence.number`.
    pub number: i64,
    /// When it was received.
    pub received_at: i64,
    /// When it was made, by the clock of its sender; 0 when unknown.
    pub observed_at: i64,
    /// Stream attributes beside the number.
    pub announced: Announced,
}

/// All streams, by their id.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// See [`Stream`].
    pub by_id: HashMap<String, Stream>,
    /// Of the numbers of each stream that is added.
    pub bound: Bound,
}

impl Streams {
    /// Whether a record with this number of the stream was added before.
    pub fn has_received(&self, stream: &str, number: i64) -> bool {
        let known = self.by_id.get(stream);
        known.is_some_and(|known| known.received.contains(number))
    }

    /// Whether numbers of the stream may have been left out, see [`Numbers::is_full`].
    pub fn is_full(&self, stream: &str) -> bool {
        let known = self.by_id.get(stream);
        known.is_some_and(|known| known.received.is_full() || known.explained.is_full())
    }

    /// Adds one more record of the ledger; a record without a stream or a number is ignored.
    pub fn add(&mut self, entry: &Entry) {
        let (Some(stream), Some(number)) = (&entry.stream_id, entry.sequence_number) else {
            return;
        };

        let (service, received_at, observed_at) = (
            entry.service_name.as_deref(),
            entry.received_at,
            entry.observed_time,
        );
        let announced = Announced::read(&entry.event_name, &entry.attributes, received_at);

        self.see(
            stream,
            Sighting {
                service,
                number,
                received_at,
                observed_at,
                announced,
            },
        );
    }

    /// The same for a record that has been parsed already.
    pub fn see(&mut self, stream: &str, sighting: Sighting<'_>) {
        match self.by_id.get_mut(stream) {
            Some(known) => known.see(sighting),
            None => self
                .by_id
                .entry(stream.to_owned())
                .or_insert_with(|| Stream::bounded(self.bound))
                .see(sighting),
        }
    }

    /// See [`Stream::begin_late`].
    pub fn begin_late(&mut self) {
        self.by_id.values_mut().for_each(Stream::begin_late);
    }

    /// Adds the stream data of deleted records.
    pub fn merge(&mut self, other: Self) {
        for (id, stream) in other.by_id {
            self.by_id.entry(id).or_default().merge(stream);
        }
    }
}
