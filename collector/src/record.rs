//! The record as the collector stores it, independent of its encoding.
//!
//! A record has a type per stage: [`Content`] when it is decoded, [`Record`] with a uid,
//! [`Entry`](crate::ledger::entry::Entry) as columns, [`StoredEntry`](crate::ledger::StoredEntry)
//! in the chain, and `FlatRecord` in a response.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Attribute that makes a record unique over retries.
pub const UID: &str = "log.record.uid";
/// Prefix of a uid that the collector derived because the sender set none.
pub const DERIVED_UID_PREFIX: &str = "sha256:";

/// Most bytes of a sender's uid; an index of PostgreSQL takes no more than 2704. The filter's uids
/// have 40.
pub const MAX_UID_BYTES: usize = 256;

/// Attributes by name, those of the resource, of the scope and of the record together.
pub type Attributes = BTreeMap<String, Value>;

/// Content of one log record as sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Nanoseconds since the Unix epoch, never negative; 0 when the sender gave none.
    pub time_unix_nano: i64,
    /// Nanoseconds since the Unix epoch, never negative; 0 when the sender gave none.
    pub observed_time_unix_nano: i64,
    /// OTLP severity; 0 when the sender gave none.
    pub severity_number: i32,
    /// Name of the event; empty when the sender gave none.
    pub event_name: String,
    /// 32 lowercase hex digits.
    pub trace_id: Option<String>,
    /// 16 lowercase hex digits.
    pub span_id: Option<String>,
    /// The body when it is a string, else its JSON text.
    pub body: Option<String>,
    /// All attributes. For equal names, the record takes precedence over the scope, and the scope
    /// over the resource.
    pub attributes: Attributes,
}

/// A record that can be stored: it has a uid.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Never empty.
    pub uid: String,
    /// Content as sent.
    pub content: Content,
}

impl Content {
    /// The value of a string attribute; `None` when it is absent or of another type.
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).and_then(Value::as_str)
    }

    /// The value of an integer attribute; `None` when it is absent or of another type.
    pub fn integer(&self, attribute: &str) -> Option<i64> {
        self.attributes.get(attribute).and_then(Value::as_i64)
    }

    /// All attributes and fields in one object, keys in byte order.
    ///
    /// Times are strings of digits because they exceed 2^53. A field takes precedence over an
    /// attribute with the same name.
    pub fn flat(&self) -> Map<String, Value> {
        let mut flat = self.attributes.clone();
        flat.extend(self.fields());
        flat.into_iter().collect()
    }

    fn fields(&self) -> impl Iterator<Item = (String, Value)> {
        [
            (
                "time_unix_nano",
                Some(self.time_unix_nano.to_string().into()),
            ),
            (
                "observed_time_unix_nano",
                Some(self.observed_time_unix_nano.to_string().into()),
            ),
            ("severity_number", Some(self.severity_number.into())),
            ("event_name", Some(self.event_name.clone().into())),
            ("body", self.body.clone().map(Value::from)),
            ("trace_id", self.trace_id.clone().map(Value::from)),
            ("span_id", self.span_id.clone().map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
}

impl From<Content> for Record {
    /// Takes the sender's uid. A missing or too long one is replaced by one derived from the
    /// content, so that a replay has the same uid in both cases.
    fn from(content: Content) -> Self {
        let sent = content
            .text(UID)
            .filter(|uid| (1..=MAX_UID_BYTES).contains(&uid.len()));
        let uid = sent.map_or_else(|| derived_uid(&content), ToOwned::to_owned);
        Self { uid, content }
    }
}

/// The event with an own `audit.sequence.next` as part of its content.
pub(crate) const STREAM_END: &str = "audit.stream.end";

/// Whether an attribute of an event describes the delivery of a record. It differs in a replay: a
/// batch that is cut in halves, or recovered from a crash, comes under other names.
pub(crate) fn is_of_transport(attribute: &str, event_name: &str) -> bool {
    match attribute {
        "audit.batch.id" | "audit.recovered" => true,
        "audit.sequence.next" => event_name != STREAM_END,
        _ => false,
    }
}

fn derived_uid(content: &Content) -> String {
    let kept = content
        .flat()
        .into_iter()
        .filter(|(name, _)| !is_of_transport(name, &content.event_name));

    let digest = Sha256::digest(Value::Object(kept.collect()).to_string());
    format!("{DERIVED_UID_PREFIX}{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(name: &str, value: Value) -> Content {
        Content {
            attributes: Attributes::from([(name.to_owned(), value)]),
            ..Content::default()
        }
    }

    #[test]
    fn the_senders_uid_is_kept() {
        assert_eq!(Record::from(content(UID, "aud_1".into())).uid, "aud_1");
    }

    #[test]
    fn a_missing_empty_or_non_string_uid_is_derived_from_the_content() {
        for sent in [
            content("a", 1.into()),
            content(UID, "".into()),
            content(UID, 7.into()),
        ] {
            let uid = Record::from(sent.clone()).uid;
            assert_eq!(uid.len(), DERIVED_UID_PREFIX.len() + 64, "{uid}");
            assert!(uid.starts_with(DERIVED_UID_PREFIX), "{uid}");
            assert_eq!(uid, Record::from(sent).uid);
        }
    }

    #[test]
    fn another_content_gets_another_derived_uid() {
        let first = Record::from(content("a", 1.into()));
        let later = Content {
            time_unix_nano: 1,
            ..first.content.clone()
        };
        assert_ne!(first.uid, Record::from(later).uid);
        assert_ne!(first.uid, Record::from(content("a", 2.into())).uid);
    }

    #[test]
    fn a_field_wins_over_an_attribute_of_the_same_name() {
        let flat = Content {
            body: Some("b".to_owned()),
            ..content("body", "x".into())
        }
        .flat();
        assert_eq!(flat.get("body"), Some(&Value::from("b")));
        assert!(!flat.contains_key("trace_id"));
    }
}
