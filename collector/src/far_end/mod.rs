//! Completeness at the far end of a pipeline: what of the filter's numbered records came out where
//! collectors, queues and stores lie between the filter and the place that is read.
//!
//! Each record is folded into the state of its stream, so memory grows with the streams and not with
//! the records. A pipeline may deliver a record more than once: the repeats are recognized by their
//! numbers, and compared with the first record of that number while that is remembered.

mod clickhouse;
mod lines;
mod parquet;
mod recent;

use serde::Serialize;
use serde_json::Value;

pub use clickhouse::{Table, TableError, read_table};
pub use lines::{LineError, MAX_LINE_BYTES, read_lines};
pub use parquet::{FileError, read_parquet};

use crate::completeness::{Bound, Moment, Report, Streams};
use crate::ledger::entry::{Entry, Skew};
use crate::record::{Content, Record};
use recent::{Recent, Repeat};

/// Most contradictions that are named; all are counted.
const MAX_NAMED: usize = 100;

/// Most ranges of numbers in a stream, or of losses, while records are added: 2.4 MB each. Files in
/// which every other number is missing until the next one is read have 200,000 records then.
const MAX_RANGES: Bound = Bound(100_000);

/// Attributes that are whole numbers. Stores whose attributes are all text return digits.
const NUMBERS: [&str; 7] = [
    "audit.buffer.max_records",
    "audit.loss.count",
    "audit.loss.first_number",
    "audit.loss.last_number",
    "audit.sequence.next",
    "audit.sequence.number",
    "audit.stream.alive_interval_ms",
];

/// When the collector received a record, in its own export.
const RECEIVED_AT: &str = "received_at_unix_nano";

/// Records that came out at the far end, in any order.
#[derive(Debug)]
pub struct FarEnd {
    streams: Streams,
    recent: Recent,
    found: Findings,
    unproved: Option<Unproved>,
}

/// Completeness cannot be proved: a stream had more holes at once than are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "completeness cannot be proved: stream {0} has {limit} separate ranges of numbers; give \
     the files in the order of their records", limit = MAX_RANGES.0
)]
pub struct Unproved(String);

impl Default for FarEnd {
    fn default() -> Self {
        Self {
            streams: Streams {
                bound: MAX_RANGES,
                ..Streams::default()
            },
            recent: Recent::default(),
            found: Findings::default(),
            unproved: None,
        }
    }
}

/// What came out at the far end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Records that were read, with the repeated ones.
    pub records: i64,
    /// Records whose number had come before. They count once.
    pub repeated_records: i64,
    /// Those of them whose first one was too long ago to be compared.
    pub not_compared: i64,
    /// Records without stream and number: they are from other senders.
    pub other_records: i64,
    /// Records with a stream and no number, or the other way round, and those with a negative
    /// number or count of losses: the pipeline has dropped or changed an attribute.
    pub damaged_records: i64,
    /// The first 100 contradictions between records.
    pub contradictions: Vec<Contradiction>,
    /// Records that contradict another one with their number.
    pub contradiction_count: i64,
    /// Completeness of the streams.
    pub completeness: Report,
}

/// Two records that cannot both be what the filter sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// `audit.stream.id`.
    pub stream_id: String,
    /// `audit.sequence.number`.
    pub number: i64,
    /// `log.record.uid` of the later one.
    pub uid: String,
    /// What differs.
    pub kind: ContradictionKind,
}

/// What differs between two records with one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContradictionKind {
    /// Their uids: a number was given out twice.
    Number,
    /// Their contents, under one uid.
    Conflict,
}

impl FarEnd {
    /// Adds one record.
    pub fn add(&mut self, mut content: Content) {
        if self.unproved.is_some() {
            return;
        }

        self.found.records += 1;
        restore(&mut content);

        let fingerprint = recent::fingerprint(&content);
        self.found.damaged_records += i64::from(loses_less_than_nothing(&content));
        let entry = entry(content);
        match (&entry.stream_id, entry.sequence_number) {
            (Some(stream), Some(number)) if number >= 0 => {
                self.numbered(&entry, (stream, number), fingerprint);
            }
            (None, None) => self.found.other_records += 1,
            _ => self.found.damaged_records += 1,
        }
    }

    /// Repeats are added to their stream, too: each delivery announces a next number of its own, and
    /// the order of the records must not decide which of them counts.
    fn numbered(&mut self, entry: &Entry, number: (&str, i64), fingerprint: u64) {
        if self.streams.has_received(number.0, number.1) {
            self.found.repeated_records += 1;
            let repeat = self.recent.compare(number, &entry.uid, fingerprint);
            self.repeated(repeat, entry);
        } else {
            self.recent.insert(number, &entry.uid, fingerprint);
        }
        self.streams.add(entry);
        if self.streams.is_full(number.0) {
            self.unproved = Some(Unproved(number.0.to_owned()));
        }
    }

    fn repeated(&mut self, repeat: Repeat, entry: &Entry) {
        let kind = match repeat {
            Repeat::Same => return,
            Repeat::Forgotten => {
                self.found.not_compared += 1;
                return;
            }
            Repeat::OtherUid => ContradictionKind::Number,
            Repeat::OtherContent => ContradictionKind::Conflict,
        };

        self.found.contradiction_count += 1;
        if self.found.contradictions.len() < MAX_NAMED {
            self.found.contradictions.push(Contradiction {
                stream_id: entry.stream_id.clone().unwrap_or_default(),
                number: entry.sequence_number.unwrap_or_default(),
                uid: entry.uid.clone(),
                kind,
            });
        }
    }

    /// Looks for no number below the first one of a stream whose start is not among the records. To
    /// be called once all are added, where they are a part only: a range of time, or what a TTL has
    /// left.
    pub fn begin_late(&mut self) {
        self.streams.begin_late();
    }

    /// The findings at `moment`, once all records are added.
    ///
    /// # Errors
    ///
    /// When a stream had more than 100,000 ranges of numbers at a time: some were left out, and
    /// would be named as missing.
    pub fn findings(mut self, moment: Moment) -> Result<Findings, Unproved> {
        if let Some(unproved) = self.unproved {
            return Err(unproved);
        }

        let (records, conflicts) = (self.found.records, self.found.contradiction_count);
        self.found.completeness = self.streams.report(moment, records, conflicts);
        Ok(self.found)
    }
}

impl Findings {
    /// Whether records were read of which none can be checked.
    pub fn proves_nothing(&self) -> bool {
        self.records > 0 && self.completeness.streams.is_empty()
    }

    /// Whether every number that is known to exist is there or reported as lost, and no record
    /// contradicts another one. Numbers that may still come do not count.
    pub fn is_complete(&self) -> bool {
        self.completeness.unexplained_numbers == 0
            && self.contradiction_count == 0
            && self.damaged_records == 0
            && !self.proves_nothing()
    }
}

/// Gives attributes the types that the filter gave them, and an event its name: tables without a
/// column for it have it as the body, which is the name of an event that is no exchange.
fn restore(content: &mut Content) {
    for name in NUMBERS {
        if let Some(value) = content.attributes.get_mut(name)
            && let Some(number) = value.as_str().and_then(|text| text.parse::<i64>().ok())
        {
            *value = number.into();
        }
    }

    if content.event_name.is_empty()
        && let Some(body) = content
            .body
            .as_ref()
            .filter(|body| body.starts_with("audit."))
    {
        content.event_name.clone_from(body);
    }
}

/// Whether `audit.loss.count` is negative. Such a record explains no gap.
fn loses_less_than_nothing(content: &Content) -> bool {
    let count = content.integer("audit.loss.count");
    count.is_some_and(|count| count < 0)
}

/// The row that the collector would have stored. Where nothing shows when the record was received,
/// that is when it was made; a record without any time is old.
fn entry(content: Content) -> Entry {
    const LONG_AGO: i64 = 1;
    let received = match content.attributes.get(RECEIVED_AT) {
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(number) => number.as_i64(),
        None => None,
    };

    let known = [
        received.unwrap_or_default(),
        content.observed_time_unix_nano,
        content.time_unix_nano,
    ];
    let received_at = known.into_iter().find(|time| *time > 0).unwrap_or(LONG_AGO);
    Entry::new(Record::from(content), received_at, Skew::default())
}

#[cfg(test)]
mod tests;
