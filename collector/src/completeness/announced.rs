//! Stream attributes of a record beside its number.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::numbers::length;
use crate::ledger::entry::searched;
use crate::record::STREAM_END;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// `audit.sequence.next`: every number below was given out when the record's batch was sealed.
    pub next: Option<i64>,
    /// Kind of the record.
    pub event: Event,
}

/// Kind of a record in its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// An exchange, or an unknown event.
    #[default]
    Other,
    /// `audit.stream.start`.
    Start(StreamLimits),
    /// `audit.stream.alive`.
    Alive(StreamLimits),
    /// `audit.stream.end`; [`Announced::next`] is the number that would have come next.
    End,
    /// `audit.loss`.
    Loss(Loss),
}

/// Limits that a stream announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// It sends a record at least this often, in milliseconds; 0: it may be silent for ever.
    pub alive_interval_ms: Option<i64>,
    /// Most unacknowledged records of exchanges that it holds.
    pub buffer_records: Option<i64>,
}

/// Content of a loss record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// First number of the range.
    pub first: i64,
    /// Last number of the range.
    pub last: i64,
    /// How many records were lost; less than the range is long when the range was widened.
    pub count: i64,
    /// The reason.
    pub reason: String,
    /// When the loss record was received.
    pub since: i64,
}

/// Attributes of any type, as a sender may send them.
#[derive(Default, Deserialize)]
struct StreamAttributes {
    #[serde(rename = "audit.sequence.next")]
    next: Option<Value>,
    #[serde(rename = "audit.stream.alive_interval_ms")]
    alive_interval_ms: Option<Value>,
    #[serde(rename = "audit.buffer.max_records")]
    buffer_records: Option<Value>,
    #[serde(rename = "audit.loss.first_number")]
    first: Option<Value>,
    #[serde(rename = "audit.loss.last_number")]
    last: Option<Value>,
    #[serde(rename = "audit.loss.count")]
    count: Option<Value>,
    #[serde(rename = "audit.loss.reason")]
    reason: Option<Value>,
}

impl Announced {
    /// That of an exchange, or of an unknown event, whose `audit.sequence.next` is known.
    pub fn of_other(next: Option<i64>) -> Self {
        Self {
            next: next.filter(|number| *number >= 0),
            event: Event::Other,
        }
    }

    /// Whether an event with this name has more than a number.
    pub fn has_more(event_name: &str) -> bool {
        const MORE: [&str; 4] = [
            "audit.stream.start",
            "audit.stream.alive",
            STREAM_END,
            "audit.loss",
        ];
        MORE.contains(&event_name)
    }

    /// Parses the attributes, a JSON object, of a record with this event name. Damaged attributes
    /// count as absent.
    pub fn read(event_name: &str, attributes: &str, received_at: i64) -> Self {
        let attributes: StreamAttributes = serde_json::from_str(attributes).unwrap_or_default();
        let event = match event_name {
            "audit.stream.start" => Event::Start(attributes.limits()),
            "audit.stream.alive" => Event::Alive(attributes.limits()),
            STREAM_END => Event::End,
            "audit.loss" => attributes
                .loss(received_at)
                .map_or(Event::Other, Event::Loss),
            _ => Event::Other,
        };

        Self {
            next: count(&attributes.next),
            event,
        }
    }
}

impl StreamAttributes {
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            alive_interval_ms: count(&self.alive_interval_ms),
            buffer_records: count(&self.buffer_records),
        }
    }

    fn loss(&self, received_at: i64) -> Option<Loss> {
        let (first, last) = (count(&self.first)?, count(&self.last)?);
        let reason = self
            .reason
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default();
        let lost = self
            .count
            .as_ref()
            .and_then(Value::as_i64)
            .unwrap_or_else(|| length(first, last));

        (first <= last && lost >= 0).then(|| Loss {
            first,
            last,
            count: lost,
            reason: searched(reason),
            since: received_at,
        })
    }
}

/// A number that is not negative.
fn count(value: &Option<Value>) -> Option<i64> {
    value
        .as_ref()
        .and_then(Value::as_i64)
        .filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_says_nothing() {
        for next in ["-1", "\"7\"", "7.5", "null", "9223372036854775808", "[7]"] {
            let announced = Announced::read(
                "audit.http",
                &format!(r#"{{"audit.sequence.next":{next}}}"#),
                1,
            );
            assert_eq!(announced, Announced::default(), "{next}");
        }

        assert_eq!(
            Announced::read("audit.http", r#"{"audit.sequence.next":7,"#, 1),
            Announced::default(),
            "damaged"
        );
    }

    #[test]
    fn a_sign_of_life_announces_what_the_start_does() {
        let attributes = r#"{"audit.buffer.max_records":10000,"audit.sequence.next":7,"audit.stream.alive_interval_ms":30000}"#;
        let limits = StreamLimits {
            alive_interval_ms: Some(30_000),
            buffer_records: Some(10_000),
        };

        for (name, event) in [
            ("audit.stream.start", Event::Start(limits)),
            ("audit.stream.alive", Event::Alive(limits)),
        ] {
            assert_eq!(
                Announced::read(name, attributes, 1),
                Announced {
                    next: Some(7),
                    event
                }
            );
        }
    }
}
