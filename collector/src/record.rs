//! The record as the collector stores it, independent of its encoding.
//!
//! A record has a type per stage: [`Content`] when it is decoded, [`Record`] with a uid,
//! [`Entry`](crate::ledger::entry::Entry) as columns, [`StoredEntry`](crate::ledger::StoredEntry)
//! in the chain, and `FlatRecord` in a response.

use std::collections::{BTreeMap, HashMap};

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
    /// Nanoseconds since the Unix epoch, never negative; 0 when the sender gave none. In a
    /// [`Record`], the observed time takes the place of a missing one.
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
    /// Content as sent, with the observed time where there is no other (`logs.proto`).
    pub content: Content,
}

/// Makes records of the contents of one request, in their order.
#[derive(Default)]
pub struct Request {
    /// How many records had this uid derived.
    derived: HashMap<String, u64>,
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

impl Request {
    /// Takes the sender's uid. A missing or too long one is replaced by one derived from the
    /// content, so that a replay has the same uid in both cases. Records without a uid can be equal
    /// in all that is kept, as those of a clock of milliseconds are: the uid also depends on how
    /// many of them came before in the request.
    pub fn record(&mut self, mut content: Content) -> Record {
        if content.time_unix_nano == 0 {
            content.time_unix_nano = content.observed_time_unix_nano;
        }

        let sent = content.text(UID).filter(|uid| !uid.is_empty());
        let uid = match sent {
            None => self.derive(&content),
            Some(uid) if uid.len() > MAX_UID_BYTES => derived_uid(&content, 0),
            Some(uid) => uid.to_owned(),
        };
        Record { uid, content }
    }

    fn derive(&mut self, content: &Content) -> String {
        let first = derived_uid(content, 0);
        let equal = self.derived.entry(first.clone()).or_default();
        let before = *equal;
        *equal += 1;

        if before == 0 {
            first
        } else {
            derived_uid(content, before)
        }
    }
}

impl From<Content> for Record {
    /// The first record of a request.
    fn from(content: Content) -> Self {
        Request::default().record(content)
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

/// `before` counts the equal records that come earlier in the request.
fn derived_uid(content: &Content, before: u64) -> String {
    let kept = content
        .flat()
        .into_iter()
        .filter(|(name, _)| !is_of_transport(name, &content.event_name));

    let mut hashed = Value::Object(kept.collect()).to_string();
    if before > 0 {
        hashed.push_str(&before.to_string());
    }

    let digest = Sha256::digest(hashed);
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
    fn the_observed_time_is_taken_where_there_is_no_other() {
        for (time, observed, expected) in [(0, 5, 5), (3, 5, 3), (3, 0, 3), (0, 0, 0)] {
            let record = Record::from(Content {
                time_unix_nano: time,
                observed_time_unix_nano: observed,
                ..Content::default()
            });
            assert_eq!(record.content.time_unix_nano, expected);
            assert_eq!(record.content.observed_time_unix_nano, observed);
        }
    }

    #[test]
    fn equal_records_of_one_request_are_kept_apart() {
        let uids = || {
            let mut request = Request::default();
            ["a", "b", "a", "a"]
                .map(|name| request.record(content(name, 1.into())).uid)
                .to_vec()
        };
        let sent = uids();
        assert_eq!(
            BTreeMap::from_iter(sent.iter().map(|uid| (uid, ()))).len(),
            4
        );
        assert_eq!(uids(), sent, "a replay gives the same uids");
    }

    #[test]
    fn records_with_the_senders_uid_are_one_however_long_it_is() {
        for uid in ["aud_1".to_owned(), "a".repeat(MAX_UID_BYTES + 1)] {
            let mut request = Request::default();
            let first = request.record(content(UID, uid.clone().into()));
            let second = request.record(content(UID, uid.into()));
            assert_eq!(first.uid, second.uid);
        }
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
