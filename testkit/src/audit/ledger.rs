//! The fate of every number of every stream: stored by the audit cluster, or named in Envoy's log
//! as not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::Mesh;
use crate::audit::records::Record;

/// One stream, as seen by an auditor with access to the store and the log.
#[derive(Debug, Default)]
pub struct Account {
    /// Numbers that were stored.
    pub stored: BTreeSet<u64>,
    /// The numbers in the stream's warning at its end.
    pub named: Option<RangeInclusive<u64>>,
    /// `audit.sequence.next` of the stream's end, if that is stored.
    pub next: Option<u64>,
}

impl Account {
    /// Every number that is stored or named. Must be dense.
    pub fn known(&self) -> BTreeSet<u64> {
        let known: BTreeSet<u64> = self
            .stored
            .iter()
            .copied()
            .chain(self.named.clone().into_iter().flatten())
            .collect();
        let dense: BTreeSet<u64> = (0..known.len() as u64).collect();
        assert_eq!(known, dense, "a gap that nothing explains: {self:?}");
        known
    }

    /// Number of recorded requests: all known numbers except the records of start and end.
    fn requests(&self) -> usize {
        let announcements = 1 + usize::from(self.named.is_some() || self.next.is_some());
        self.known().len() - announcements
    }

    /// A stream is named in its own warning, and again in that of its successor.
    fn name(&mut self, named: RangeInclusive<u64>) {
        let before = self.named.take().unwrap_or_else(|| named.clone());
        self.named = Some(*before.start().min(named.start())..=*before.end().max(named.end()));
    }

    fn store(&mut self, record: &Record) {
        let is_new = self.stored.insert(record.int("audit.sequence.number"));
        assert!(is_new, "stored twice: {record:?}");
        if record.event == "audit.stream.end" {
            self.next = Some(record.int("audit.sequence.next"));
        }
    }
}

/// The accounts of all streams by their ids.
#[derive(Debug, Default)]
pub struct Ledger(pub BTreeMap<String, Account>);

impl Ledger {
    /// The accounts at this moment.
    pub fn of(mesh: &Mesh) -> Self {
        let mut ledger = Self::default();
        for record in mesh.sink.records() {
            ledger
                .0
                .entry(record.text("audit.stream.id"))
                .or_default()
                .store(&record);
        }

        for line in mesh
            .envoy
            .log()
            .lines()
            .filter(|line| is_last_warning(line))
        {
            let (stream, named) =
                read_warning(line).unwrap_or_else(|| panic!("not understood: {line}"));
            ledger.0.entry(stream).or_default().name(named);
        }
        ledger
    }

    /// Fails unless each of this number of requests is stored, or its number is named.
    pub fn assert_accounts_for(&self, requests: usize) {
        let recorded: usize = self.0.values().map(Account::requests).sum();
        assert_eq!(recorded, requests, "{self:#?}");
    }

    /// The warnings of all streams.
    pub fn named(&self) -> Vec<RangeInclusive<u64>> {
        self.0
            .values()
            .filter_map(|account| account.named.clone())
            .collect()
    }
}

/// The numbers that an Envoy's log names as not acknowledged, by stream.
pub fn named_in(log: &str) -> BTreeMap<String, Vec<RangeInclusive<u64>>> {
    let mut named: BTreeMap<String, Vec<RangeInclusive<u64>>> = BTreeMap::new();
    for (stream, range) in log
        .lines()
        .filter(|line| is_last_warning(line))
        .filter_map(read_warning)
    {
        named.entry(stream).or_default().push(range);
    }
    named
}

fn is_last_warning(line: &str) -> bool {
    line.contains("[warning]") && line.contains("not yet acknowledged")
}

/// Parses `… stream <id>: ends with <count> records not yet acknowledged, numbers <first> to
/// <last>`. After the count, `of stream <id>` may name a predecessor.
fn read_warning(line: &str) -> Option<(String, RangeInclusive<u64>)> {
    let (_, text) = line.split_once("stream ")?;
    let (own, text) = text.split_once(": ends with ")?;
    let (what, numbers) = text.split_once(" not yet acknowledged, numbers ")?;
    let stream = what
        .split_once(" of stream ")
        .map_or(own, |(_, other)| other);
    let (first, last) = numbers.split_once(" to ")?;
    Some((stream.to_owned(), first.parse().ok()?..=last.parse().ok()?))
}
