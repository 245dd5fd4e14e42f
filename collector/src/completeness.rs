//! What of the streams has arrived, what is known to be lost, and what is missing without an explanation.
//!
//! A filter numbers its records from 0 without a gap; a number that never comes, and that no loss record names, is
//! evidence that something was lost on the way.

mod numbers;
mod report;
mod stream;

use std::collections::HashMap;

pub use numbers::Numbers;
pub use report::{Gap, GapState, LossReport, Moment, Report, Status, StreamReport};
pub use stream::{Loss, Stream};

use crate::db::DbError;
use crate::ledger::entry::{Entry, searched};

/// What a record says about its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// `service.name`.
    pub service: Option<&'a str>,
    /// `audit.sequence.number`.
    pub number: i64,
    /// When it was received.
    pub received_at: i64,
    /// What else it says.
    pub event: Event,
}

/// What the record of a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An exchange, or something that is not known.
    Other,
    /// `audit.stream.start`.
    Start,
    /// `audit.stream.end`, with the number that would have come next.
    End(Option<i64>),
    /// `audit.loss`.
    Loss(Loss),
}

impl Event {
    /// Whether the attributes are needed to know the event of this name.
    pub fn is_special(name: &str) -> bool {
        matches!(name, "audit.stream.start" | "audit.stream.end" | "audit.loss")
    }

    /// The event of a record; `attributes` is its JSON object.
    ///
    /// # Errors
    ///
    /// When `attributes` is needed and no JSON object.
    pub fn of(name: &str, attributes: &str, received_at: i64) -> Result<Self, DbError> {
        if !Self::is_special(name) {
            return Ok(Self::Other);
        }
        let attributes: crate::record::Attributes = serde_json::from_str(attributes).map_err(DbError::failed)?;
        let integer = |name: &str| attributes.get(name).and_then(serde_json::Value::as_i64);
        Ok(match name {
            "audit.stream.start" => Self::Start,
            "audit.stream.end" => Self::End(integer("audit.sequence.next")),
            _ => match (integer("audit.loss.first_number"), integer("audit.loss.last_number")) {
                (Some(first), Some(last)) if (0..=last).contains(&first) => {
                    let reason = attributes.get("audit.loss.reason").and_then(serde_json::Value::as_str);
                    let count = integer("audit.loss.count").unwrap_or_else(|| numbers::length(first, last));
                    Self::Loss(Loss {
                        first,
                        last,
                        count,
                        reason: searched(reason.unwrap_or_default()),
                        since: received_at,
                    })
                }
                _ => Self::Other,
            },
        })
    }
}

/// All streams, by their id.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// See [`Stream`].
    pub by_id: HashMap<String, Stream>,
}

impl Streams {
    /// Takes one more record of the ledger into account; a record without a stream or a number counts nowhere.
    /// Of one whose attributes were damaged only the number is known.
    pub fn add(&mut self, entry: &Entry) {
        let (Some(stream), Some(number)) = (&entry.stream_id, entry.sequence_number) else { return };
        let event = Event::of(&entry.event_name, &entry.attributes, entry.received_at).unwrap_or(Event::Other);
        let service = entry.service_name.as_deref();
        self.see(stream, Sighting { service, number, received_at: entry.received_at, event });
    }

    /// The same for a record that has been read already.
    pub fn see(&mut self, stream: &str, sighting: Sighting<'_>) {
        match self.by_id.get_mut(stream) {
            Some(known) => known.see(sighting),
            None => self.by_id.entry(stream.to_owned()).or_default().see(sighting),
        }
    }

    /// Takes over what was known of records that have been deleted.
    pub fn merge(&mut self, other: Self) {
        for (id, stream) in other.by_id {
            self.by_id.entry(id).or_default().merge(stream);
        }
    }
}
