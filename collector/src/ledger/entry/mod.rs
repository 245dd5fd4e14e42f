//! A record as a row of the ledger.

mod columns;

use serde_json::{Map, Value};

pub use columns::HASHED;

use crate::db::DbError;
use crate::record::{Attributes, Content, Record};
use crate::time::SECOND;

/// Most bytes of a searched column. PostgreSQL refuses an index entry beyond 2704 bytes
/// (`nbtree.h`, `BTMaxItemSize`), and one such record would block its whole batch.
pub const MAX_SEARCHED_BYTES: usize = 256;

/// [`Entry::flags`]: the record's time is too far from the time of receipt to be believed.
pub const CLOCK_SKEW: i64 = 1;

/// How far the clock of a sender may be off before its records are flagged, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Skew {
    /// Ahead of the collector's clock.
    pub ahead: i64,
    /// Behind it; records that waited for an outage to end arrive late, too.
    pub behind: i64,
}

impl Default for Skew {
    /// One minute ahead, seven days behind.
    fn default() -> Self {
        Self {
            ahead: 60 * SECOND,
            behind: 7 * 86_400 * SECOND,
        }
    }
}

/// The stored columns of a record. No text holds NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique over all records.
    pub uid: String,
    /// When the collector received it.
    pub received_at: i64,
    /// Its time when that can be believed, else the time of receipt.
    pub at: i64,
    /// As sent, or the observed time.
    pub time: i64,
    /// As sent.
    pub observed_time: i64,
    /// As sent.
    pub severity: i64,
    /// [`CLOCK_SKEW`] or 0.
    pub flags: i64,
    /// As sent.
    pub event_name: String,
    /// `audit.stream.id`.
    pub stream_id: Option<String>,
    /// `audit.sequence.number`.
    pub sequence_number: Option<i64>,
    /// `service.name`.
    pub service_name: Option<String>,
    /// `audit.rule`.
    pub rule: Option<String>,
    /// `audit.action`.
    pub action: Option<String>,
    /// `audit.outcome`.
    pub outcome: Option<String>,
    /// `user.id`.
    pub user_id: Option<String>,
    /// `user.name`.
    pub user_name: Option<String>,
    /// `user.email`.
    pub user_email: Option<String>,
    /// `session.id`.
    pub session_id: Option<String>,
    /// `session.token_ref`.
    pub token_ref: Option<String>,
    /// 32 hex digits.
    pub trace_id: Option<String>,
    /// 16 hex digits.
    pub span_id: Option<String>,
    /// The body's text.
    pub body: Option<String>,
    /// All attributes as a JSON object, names in byte order.
    pub attributes: String,
}

impl Entry {
    /// The row for `record`, received at `received_at`.
    pub fn new(record: Record, received_at: i64, skew: Skew) -> Self {
        let content = record.content;
        let searched = |name: &str| content.text(name).map(searched);
        let is_skewed = is_skewed(content.time_unix_nano, received_at, skew);
        let flags = if is_skewed { CLOCK_SKEW } else { 0 };

        Self {
            uid: without_nul(record.uid),
            received_at,
            at: ordering_time(content.time_unix_nano, received_at, flags),
            time: content.time_unix_nano,
            observed_time: content.observed_time_unix_nano,
            severity: content.severity_number.into(),
            flags,
            stream_id: searched("audit.stream.id"),
            sequence_number: content.integer("audit.sequence.number"),
            service_name: searched("service.name"),
            rule: searched("audit.rule"),
            action: searched("audit.action"),
            outcome: searched("audit.outcome"),
            user_id: searched("user.id"),
            user_name: searched("user.name"),
            user_email: searched("user.email"),
            session_id: searched("session.id"),
            token_ref: searched("session.token_ref"),
            attributes: Value::Object(content.attributes.into_iter().collect()).to_string(),
            event_name: without_nul(content.event_name),
            trace_id: content.trace_id,
            span_id: content.span_id,
            body: content.body.map(without_nul),
        }
    }

    /// The attributes by name.
    ///
    /// # Errors
    ///
    /// When they are not a JSON object: they were changed outside the collector.
    pub fn attributes(&self) -> Result<Attributes, DbError> {
        serde_json::from_str(&self.attributes).map_err(DbError::failed)
    }

    /// All attributes and fields as one flat object. Damaged attributes are left out.
    pub fn flat(&self) -> Map<String, Value> {
        let content = Content {
            time_unix_nano: self.time,
            observed_time_unix_nano: self.observed_time,
            severity_number: i32::try_from(self.severity).unwrap_or_default(),
            event_name: self.event_name.clone(),
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            body: self.body.clone(),
            attributes: self.attributes().unwrap_or_default(),
        };

        content.flat()
    }

    /// What [`Self::at`] follows from: the time when it can be believed, else the time of receipt.
    pub(crate) fn ordering_time(&self) -> i64 {
        ordering_time(self.time, self.received_at, self.flags)
    }

    /// Bytes of the columns that can be large.
    pub fn size(&self) -> usize {
        self.attributes.len() + self.body.as_ref().map_or(0, String::len)
    }

    /// Key of the session views: the id of the session, or the reference of its token.
    pub fn session_key(&self) -> Option<&str> {
        self.session_id.as_deref().or(self.token_ref.as_deref())
    }
}

/// See [`Entry::ordering_time`].
pub(crate) fn ordering_time(time: i64, received_at: i64, flags: i64) -> i64 {
    if time != 0 && flags & CLOCK_SKEW == 0 {
        time
    } else {
        received_at
    }
}

/// A missing time (0) is not skewed.
fn is_skewed(time: i64, received_at: i64, skew: Skew) -> bool {
    let latest = received_at.saturating_add(skew.ahead);
    let earliest = received_at.saturating_sub(skew.behind);
    time != 0 && !(earliest..=latest).contains(&time)
}

fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

/// The text as searched columns hold it.
pub(crate) fn searched(text: &str) -> String {
    truncated(without_nul(text.to_owned()))
}

/// Cuts a text to [`MAX_SEARCHED_BYTES`] at a character boundary.
fn truncated(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_SEARCHED_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn entry(attributes: &[(&str, &str)], time: i64) -> Entry {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();

        let content = Content {
            time_unix_nano: time,
            attributes,
            ..Content::default()
        };

        Entry::new(Record::from(content), NOW, Skew::default())
    }

    #[test]
    fn a_nul_is_replaced_where_a_database_would_refuse_it() {
        let entry = entry(&[("log.record.uid", "a\0b"), ("user.id", "c\0")], NOW);

        assert_eq!(
            (entry.uid.as_str(), entry.user_id.as_deref()),
            ("a\u{fffd}b", Some("c\u{fffd}"))
        );
        assert!(
            entry.attributes.contains(r"a\u0000b"),
            "{}",
            entry.attributes
        );
    }

    #[test]
    fn what_is_searched_for_is_cut_between_characters_and_kept_whole_in_the_attributes() {
        let long = "é".repeat(200);
        let entry = entry(&[("audit.action", &long)], NOW);
        assert_eq!(entry.action.as_deref(), Some("é".repeat(128).as_str()));
        assert!(entry.attributes.contains(&long));
    }

    #[test]
    fn a_time_that_cannot_be_believed_is_flagged_and_replaced_for_ordering() {
        let skew = Skew::default();

        for (time, flags, at) in [
            (NOW, 0, NOW),
            (NOW + skew.ahead, 0, NOW + skew.ahead),
            (NOW + skew.ahead + 1, CLOCK_SKEW, NOW),
            (i64::MAX, CLOCK_SKEW, NOW),
            (NOW - skew.behind, 0, NOW - skew.behind),
            (NOW - skew.behind - 1, CLOCK_SKEW, NOW),
            (1, CLOCK_SKEW, NOW),
            (0, 0, NOW),
        ] {
            let entry = entry(&[], time);

            assert_eq!(
                (entry.flags, entry.at, entry.time),
                (flags, at, time),
                "{time}"
            );
        }
    }
}
