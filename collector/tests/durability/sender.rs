//! One client: numbered records in batches, and the set of acknowledged ones.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::collector::{Client, JSON, post};

use crate::load::Progress;

/// Batch sizes in records, in turn.
const SIZES: [u64; 4] = [100, 1, 37, 100];
/// Batches that share a `session.id`: at most 1000 records, so that one answer holds all of them.
const BATCHES_PER_GROUP: usize = 10;
/// A refused batch is sent again after this time. The filter waits for whole seconds, which is too
/// long for a test.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Batch {
    numbers: Range<u64>,
    is_acknowledged: bool,
}

/// One stream of records. A batch without an acknowledgement is sent again before the next one is
/// made.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: String,
    batches: Vec<Batch>,
    checked_groups: usize,
}

impl Sender {
    pub(crate) fn new() -> Self {
        static STREAMS: AtomicUsize = AtomicUsize::new(0);
        let number = STREAMS.fetch_add(1, Ordering::Relaxed);
        Self {
            stream: format!("5e4de500-0000-4000-8000-{number:012}"),
            batches: Vec::new(),
            checked_groups: 0,
        }
    }

    pub(crate) fn acknowledged_records(&self) -> u64 {
        self.batches
            .iter()
            .filter(|batch| batch.is_acknowledged)
            .map(|batch| batch.numbers.end - batch.numbers.start)
            .sum()
    }

    /// Whether the last batch was sent and not acknowledged.
    pub(crate) fn is_cut(&self) -> bool {
        self.batches
            .last()
            .is_some_and(|batch| !batch.is_acknowledged)
    }

    /// Sends until it is stopped, or until the connection breaks.
    pub(crate) fn send(&mut self, client: &mut Client, progress: &Progress) -> io::Result<()> {
        while !progress.is_over() {
            if !self.is_cut() {
                self.next_batch();
            }
            let request = post(JSON, self.body().as_bytes());
            let answer = client.exchange(&request)?;

            match answer.status {
                200 => {
                    self.batches.last_mut().unwrap().is_acknowledged = true;
                    progress.acknowledged();
                }
                503 => {
                    assert!(
                        answer.retry_after.is_some(),
                        "503 without retry-after: {answer:?}"
                    );
                    progress.refused();
                    thread::sleep(PAUSE);
                }
                _ => panic!(
                    "{} {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                ),
            }
        }

        Ok(())
    }

    fn next_batch(&mut self) {
        let first = self.batches.last().map_or(0, |batch| batch.numbers.end);
        let size = SIZES[self.batches.len() % SIZES.len()];
        self.batches.push(Batch {
            numbers: first..first + size,
            is_acknowledged: false,
        });
    }

    /// The last batch in the filter's format; the same bytes in every attempt.
    fn body(&self) -> String {
        let group = self.group((self.batches.len() - 1) / BATCHES_PER_GROUP);
        let numbers = self.batches.last().unwrap().numbers.clone();
        let batch_id = format!("{}-{}", self.stream, numbers.start);
        let records: Vec<_> = numbers.map(|number| self.record(number, &group)).collect();
        let resource = attributes(&[
            ("service.name", "durability"),
            ("audit.stream.id", &self.stream),
            ("audit.batch.id", &batch_id),
        ]);

        json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": records}]}]})
            .to_string()
    }

    fn record(&self, number: u64, group: &str) -> Value {
        let uid = self.uid(number);
        let mut attributes = attributes(&[
            ("log.record.uid", &uid),
            ("session.id", group),
            ("audit.rule", "check"),
            ("audit.action", "GET /check"),
            ("audit.outcome", "success"),
            ("user.id", "7"),
        ]);
        attributes.push(
            json!({"key": "audit.sequence.number", "value": {"intValue": number.to_string()}}),
        );

        json!({
            "timeUnixNano": (1_783_072_800_000_000_000 + number).to_string(),
            "severityNumber": 9,
            "eventName": "audit.http",
            "body": {"stringValue": "GET /check success"},
            "attributes": attributes,
        })
    }

    fn uid(&self, number: u64) -> String {
        format!("aud_{}_{number}", self.stream)
    }

    fn group(&self, index: usize) -> String {
        format!("{}-group-{index}", self.stream)
    }

    /// Checks the groups that have grown since the last check.
    pub(crate) fn check_new(&mut self, client: &mut Client) {
        self.check(client, self.checked_groups);
        self.checked_groups = self.batches.len() / BATCHES_PER_GROUP;
    }

    /// Checks every batch so far.
    pub(crate) fn check_all(&self, client: &mut Client) {
        self.check(client, 0);
    }

    fn check(&self, client: &mut Client, from_group: usize) {
        for (index, batches) in self
            .batches
            .chunks(BATCHES_PER_GROUP)
            .enumerate()
            .skip(from_group)
        {
            let mut stored = uids(client, &self.group(index));
            for batch in batches {
                self.check_batch(batch, &mut stored);
            }
            assert!(stored.is_empty(), "stored but never sent: {stored:?}");
        }
    }

    /// Removes the records of the batch from `stored`, the count by uid.
    fn check_batch(&self, batch: &Batch, stored: &mut BTreeMap<String, usize>) {
        let mut missing = Vec::new();
        for number in batch.numbers.clone() {
            match stored.remove(&self.uid(number)) {
                Some(times) => assert_eq!(
                    times, 1,
                    "record {number} of {batch:?} is there more than once"
                ),
                None => missing.push(number),
            }
        }

        let is_whole = missing.is_empty();
        let is_absent = missing.len() as u64 == batch.numbers.end - batch.numbers.start;
        assert!(
            is_whole || !batch.is_acknowledged,
            "acknowledged and lost: {missing:?} of {batch:?} of {}",
            self.stream
        );
        assert!(
            is_whole || is_absent,
            "half stored: {missing:?} are missing of {batch:?} of {}",
            self.stream
        );
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<Value> {
    pairs
        .iter()
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect()
}

/// How often each uid is among the records with this `session.id`.
fn uids(client: &mut Client, session: &str) -> BTreeMap<String, usize> {
    let answer = client
        .get(&format!("/api/records?limit=1000&session={session}"))
        .unwrap();
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );

    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    let mut uids = BTreeMap::new();
    for record in list["records"].as_array().unwrap() {
        *uids
            .entry(record["log.record.uid"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    uids
}
