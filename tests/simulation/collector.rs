//! The audit cluster: arrived records, stored records, and its answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use audit_filter::time::Now;
use serde_json::Value;
use uuid::Uuid;

use crate::settings::POISON;

/// Reason, count, first and last number.
pub type Loss = (String, u64, u64, u64);

/// One record as sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub stream: String,
    pub uid: String,
    pub number: u64,
    /// `audit.sequence.next` of its batch.
    pub next: u64,
    /// Most exchange records that the stream holds, as it announced.
    pub most_held: Option<u64>,
    pub is_exchange: bool,
    pub is_poison: bool,
    pub loss: Option<Loss>,
}

/// The store's bound for a stream without further records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Every smaller number was assigned.
    pub next: u64,
    /// Most exchange records that are lost with the stream, in addition to those that it has
    /// dropped since.
    pub most_held: Option<u64>,
    /// Records that the worker had dropped at that announcement.
    pub dropped: u64,
    /// Time of the last stored record of the stream.
    pub heard: Duration,
}

/// The body of a first attempt, and its records.
type Attempt = (String, Rc<[Sent]>);

/// The stored records, deduplicated by `log.record.uid`.
#[derive(Default)]
pub struct Collector {
    pub taken: HashMap<String, Sent>,
    /// Refused loss records: their content ends in the filter's log.
    pub refused_reports: Vec<Sent>,
    /// uid of every number of a stream that was ever sent.
    uids: BTreeMap<(String, u64), String>,
    /// Body of every batch id; recovered batches are separate.
    bodies: HashMap<(Uuid, bool), Attempt>,
    /// The bound of each stream.
    known: HashMap<String, Known>,
    /// Records that the worker had dropped when it first named this as the next number of its
    /// stream.
    dropped: HashMap<(String, u64), u64>,
    /// Numbers of records that are not of an exchange.
    own: BTreeSet<(String, u64)>,
    /// Acknowledgements that a pipeline has received, by its stream.
    pub acknowledged: BTreeSet<(Uuid, String)>,
    /// A VM was suspended, and another one has sent its batches too.
    pub may_double: bool,
    /// Status of the answer to a batch with poison.
    pub poison_status: u16,
    fails: bool,
}

impl Collector {
    pub fn new(poison_status: u16) -> Self {
        Self {
            poison_status,
            ..Self::default()
        }
    }

    /// True at every other call.
    pub fn fails_now(&mut self) -> bool {
        self.fails = !self.fails;
        self.fails
    }

    /// Every attempt of a batch must have the bytes of the first. `dropped`: number of records that
    /// the worker has lost so far.
    pub fn see_attempt(&mut self, id: Uuid, body: &str, dropped: u64) -> Rc<[Sent]> {
        let is_recovered = body.contains("\"audit.recovered\"");
        if let Some((first, records)) = self.bodies.get(&(id, is_recovered)) {
            assert_eq!(first, body, "a batch's bytes changed between attempts");
            return Rc::clone(records);
        }
        assert!(body.contains(&id.to_string()), "a batch names itself");

        let records: Rc<[Sent]> = records(body).into();
        for record in &*records {
            let place = (record.stream.clone(), record.number);
            let uid = self.uids.entry(place).or_insert_with(|| record.uid.clone());
            assert_eq!(*uid, record.uid, "a record's uid changed");
            assert!(
                record.number < record.next,
                "a batch does not know of its own records: {record:?}"
            );

            self.dropped
                .entry((record.stream.clone(), record.next))
                .or_insert(dropped);

            if !record.is_exchange {
                self.own.insert((record.stream.clone(), record.number));
            }
        }

        self.bodies
            .insert((id, is_recovered), (body.to_owned(), Rc::clone(&records)));
        records
    }

    pub fn take(&mut self, records: &[Sent], now: Now) {
        for record in records {
            let known = self.known.entry(record.stream.clone()).or_default();
            if record.next > known.next {
                known.next = record.next;
                known.dropped = self.dropped[&(record.stream.clone(), record.next)];
            }
            known.most_held = record.most_held.or(known.most_held);
            known.heard = now.uptime;
        }

        self.taken.extend(
            records
                .iter()
                .map(|record| (record.uid.clone(), record.clone())),
        );
    }

    /// The bound of a stream, if any of it is known.
    pub fn known(&self, stream: Uuid) -> Option<Known> {
        self.known.get(&stream.to_string()).copied()
    }

    /// Number of records from this one on that are not of an exchange.
    pub fn own_from(&self, stream: Uuid, first: u64) -> u64 {
        let stream = stream.to_string();
        self.own
            .range((stream.clone(), first)..=(stream, u64::MAX))
            .count() as u64
    }

    /// Every number below `captured` of a stream must be stored or reported as lost. Yields the sum
    /// of the reported counts.
    pub fn check_stream(&self, stream: Uuid, captured: u64) -> u64 {
        let stream = stream.to_string();
        let of_stream = |record: &&Sent| record.stream == stream;
        let taken: Vec<&Sent> = self.taken.values().filter(of_stream).collect();
        let delivered: BTreeSet<u64> = taken.iter().map(|record| record.number).collect();
        assert_eq!(delivered.len(), taken.len(), "two records have one number");

        let refused: Vec<&Sent> = self.refused_reports.iter().filter(of_stream).collect();
        let told: Vec<&Loss> = taken
            .iter()
            .chain(&refused)
            .filter_map(|record| record.loss.as_ref())
            .collect();

        for number in 0..captured {
            let is_told = told
                .iter()
                .any(|(_, _, first, last)| (*first..=*last).contains(&number))
                || refused.iter().any(|record| record.number == number);
            assert!(
                delivered.contains(&number) || is_told,
                "number {number} of {captured} of {stream} vanished"
            );
        }

        told.iter().map(|(_, count, _, _)| count).sum::<u64>() + refused.len() as u64
    }
}

fn records(body: &str) -> Vec<Sent> {
    let body: Value = serde_json::from_str(body).unwrap();
    let resource = &body["resourceLogs"][0];
    let list = resource["scopeLogs"][0]["logRecords"].as_array().unwrap();
    assert!(!list.is_empty(), "an empty batch");

    let scope = attributes(&resource["scopeLogs"][0]["scope"]);
    let stream = scope["audit.stream.id"].as_str().unwrap().to_owned();
    let next = scope["audit.sequence.next"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    list.iter()
        .map(|record| read(&stream, next, record))
        .collect()
}

fn read(stream: &str, next: u64, record: &Value) -> Sent {
    let attributes = attributes(record);
    let int = |name: &str| {
        attributes
            .get(name)
            .map(|value| value.as_str().unwrap().parse::<u64>().unwrap())
    };

    let loss = attributes.get("audit.loss.reason").map(|reason| {
        let [count, first, last] = ["count", "first_number", "last_number"]
            .map(|name| int(&format!("audit.loss.{name}")).unwrap());
        // After a crash the range covers all numbers that may have been lost since the last
        // checkpoint.
        assert!(
            (count > 0 || *reason == "vm_crash") && first <= last,
            "{record}"
        );
        (reason.as_str().unwrap().to_owned(), count, first, last)
    });

    Sent {
        stream: stream.to_owned(),
        uid: attributes["log.record.uid"].as_str().unwrap().to_owned(),
        number: int("audit.sequence.number").unwrap(),
        next,
        most_held: int("audit.buffer.max_records"),
        is_exchange: record["eventName"] == "audit.http",
        is_poison: attributes
            .get("url.path")
            .is_some_and(|path| *path == POISON),
        loss,
    }
}

fn attributes(of: &Value) -> HashMap<&str, &Value> {
    let entries = of["attributes"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            (
                entry["key"].as_str().unwrap(),
                entry["value"].as_object().unwrap().values().next().unwrap(),
            )
        })
        .collect()
}
