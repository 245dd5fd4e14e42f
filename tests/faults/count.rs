//! The fate of all requests: the clients' answers joined with the stored records.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use testkit::Record;

use crate::load::Call;

/// The columns of a row, and the data behind them.
#[derive(Debug, Default)]
pub struct Count {
    /// Requests with an answer from the upstream.
    pub sent: usize,
    /// Exchanges in the audit cluster, each counted once.
    pub stored: usize,
    /// Exchanges stored again.
    pub duplicates: usize,
    /// Exchanges stored under more than one id.
    pub split: usize,
    /// Numbers that are reported as lost and not stored.
    pub reported: usize,
    /// Requests without a record that reports of losses explain.
    pub accounted: usize,
    /// Requests without a record beyond that.
    pub unaccounted: usize,
    /// Numbers of all streams that are neither stored nor reported as lost.
    pub gaps: usize,
    /// Numbers with more than one record.
    pub reused: usize,
    /// Streams with a record in the audit cluster.
    pub streams: usize,
    /// Streams with an end record.
    pub ends: usize,
    /// Stored records of all kinds, each counted once.
    pub records: usize,
    /// Exchanges recovered from a crashed VM.
    pub recovered: usize,
    /// The audit cluster's bound for the streams without an end; `None` if one of them never
    /// announced its limits.
    pub unknown: Option<Unknown>,
    /// Exchanges with a body too large to be read for the user.
    pub nameless: usize,
    /// The requests without a record.
    pub missing: Names,
}

/// The audit cluster's bound for streams without further records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown {
    /// Number of these streams.
    pub streams: usize,
    /// Numbers that were certainly assigned, and are neither stored nor reported as lost.
    pub missing: usize,
    /// Exchanges after those numbers that the streams can have held.
    pub held: usize,
}

impl Unknown {
    /// Upper bound of the loss.
    pub fn most(&self) -> usize {
        self.missing + self.held
    }
}

/// Names of requests.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Debug for Names {
    /// A few of them show when and where.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} requests, among them {:?}",
            self.0.len(),
            self.0.iter().take(5).collect::<Vec<_>>()
        )
    }
}

/// One stream as the audit cluster sees it.
#[derive(Default)]
struct Stream {
    stored: Vec<u64>,
    /// First number, last number, count.
    losses: Vec<(u64, u64, u64)>,
    /// Every number below was given out.
    next: u64,
    /// Most exchanges that the stream holds, as it announced.
    held: Option<usize>,
    has_ended: bool,
}

/// Numbers that Envoy's log names as not acknowledged, by stream.
pub type Named = BTreeMap<String, Vec<RangeInclusive<u64>>>;

impl Count {
    pub fn of(calls: &[Call], arrived: &[Record]) -> Self {
        Self::with_named(calls, arrived, &Named::new())
    }

    /// The same, with losses that the log explains.
    pub fn with_named(calls: &[Call], arrived: &[Record], named: &Named) -> Self {
        let records: BTreeMap<String, &Record> = arrived
            .iter()
            .map(|record| (record.uid(), record))
            .collect();
        let exchanges: Vec<&Record> = records
            .values()
            .copied()
            .filter(|record| record.is_exchange())
            .collect();
        let names: BTreeSet<String> = exchanges
            .iter()
            .map(|record| record.text("user_agent.original"))
            .collect();

        let sent = calls.iter().filter(|call| call.is_answered);
        let missing: BTreeSet<String> = sent
            .clone()
            .map(|call| call.name.clone())
            .filter(|name| !names.contains(name))
            .collect();
        let streams = streams(records.values().copied(), named);
        let reported: usize = streams.values().map(Stream::reported).sum();
        let accounted = missing.len().min(reported);

        Self {
            sent: sent.count(),
            stored: exchanges.len(),
            duplicates: arrived.iter().filter(|record| record.is_exchange()).count()
                - exchanges.len(),
            split: exchanges.len() - names.len(),
            reported,
            accounted,
            unaccounted: missing.len() - accounted,
            gaps: streams.values().map(Stream::gaps).sum(),
            reused: streams.values().map(Stream::reused).sum(),
            streams: streams.len(),
            ends: records
                .values()
                .filter(|record| record.event == "audit.stream.end")
                .count(),
            records: records.len(),
            unknown: unknown(streams.values().filter(|stream| !stream.has_ended)),
            nameless: exchanges
                .iter()
                .filter(|record| record.text("audit.identity.source") == "unavailable:too_large")
                .count(),
            recovered: exchanges
                .iter()
                .filter(|record| record.text("audit.recovered") == "true")
                .count(),
            missing: Names(missing),
        }
    }

    /// Sum of all counts that must be zero.
    pub fn unexplained(&self) -> usize {
        self.unaccounted + self.gaps + self.reused + self.split
    }
}

fn streams<'r>(
    records: impl Iterator<Item = &'r Record>,
    named: &Named,
) -> BTreeMap<String, Stream> {
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();

    for record in records {
        let stream = streams.entry(record.text("audit.stream.id")).or_default();
        stream.stored.push(record.int("audit.sequence.number"));
        stream.next = stream.next.max(record.int("audit.sequence.next"));
        stream.has_ended |= record.event == "audit.stream.end";

        if record.has("audit.buffer.max_records") {
            stream.held = usize::try_from(record.int("audit.buffer.max_records")).ok();
        }

        if record.event == "audit.loss" {
            let [first, last, count] = ["first_number", "last_number", "count"]
                .map(|name| record.int(&format!("audit.loss.{name}")));
            // After a crash the count is that of the last tick; the range covers numbers that may
            // have been assigned since.
            let is_crash = record.text("audit.loss.reason") == "vm_crash";
            stream
                .losses
                .push((first, last, if is_crash { u64::MAX } else { count }));
        }
    }

    for (stream, range) in named
        .iter()
        .flat_map(|(stream, ranges)| ranges.iter().map(move |range| (stream, range)))
    {
        streams.entry(stream.clone()).or_default().name(range);
    }
    streams
}

/// Sums of the streams.
fn unknown<'s>(mut streams: impl Iterator<Item = &'s Stream>) -> Option<Unknown> {
    streams.try_fold(Unknown::default(), |sum, stream| {
        Some(Unknown {
            streams: sum.streams + 1,
            missing: sum.missing + stream.gaps(),
            held: sum.held + stream.held?,
        })
    })
}

impl Stream {
    fn numbers(&self) -> BTreeSet<u64> {
        self.stored.iter().copied().collect()
    }

    /// Adds the numbers from the log that no record reports.
    fn name(&mut self, range: &RangeInclusive<u64>) {
        for number in range.clone() {
            if !self
                .losses
                .iter()
                .any(|(first, last, _)| (first..=last).contains(&&number))
            {
                self.losses.push((number, number, 1));
            }
        }
    }

    /// Numbers that are reported as lost and not stored. A range may be wider than its count.
    fn reported(&self) -> usize {
        let stored = self.numbers();
        let reported = |(first, last, count): &(u64, u64, u64)| {
            let absent = (*first..=*last)
                .filter(|number| !stored.contains(number))
                .count();
            absent.min(usize::try_from(*count).unwrap())
        };
        self.losses.iter().map(reported).sum()
    }

    /// Numbers that are known to be assigned, and are neither stored nor reported as lost.
    fn gaps(&self) -> usize {
        let stored = self.numbers();
        let is_reported = |number: &u64| {
            self.losses
                .iter()
                .any(|(first, last, _)| (first..=last).contains(&number))
        };

        let lost = self
            .losses
            .iter()
            .map(|(_, last, _)| last + 1)
            .max()
            .unwrap_or_default();
        (0..self.next.max(lost))
            .filter(|number| !stored.contains(number) && !is_reported(number))
            .count()
    }

    fn reused(&self) -> usize {
        self.stored.len() - self.numbers().len()
    }
}
