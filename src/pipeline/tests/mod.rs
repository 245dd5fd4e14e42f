//! The pipeline as its adapter drives it: records in, callouts out, scripted answers in, on a
//! simulated clock.

mod admission;
mod alive;
mod batches;
mod drops;
mod immediate;
mod isolation;
mod journal;
mod lines;
mod recovery;
mod rejections;
mod retries;
mod shutdown;
mod succession;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::Pipeline;
use super::account::Account;
use super::admission::{Admission, Decision};
use super::answer::Answer;
use super::drain::{DRAIN_LIMIT, REPORT_LIMIT};
use super::journal::{Authenticated, Key, StreamOwner};
use super::notices::{Level, Notice};
use super::settings::{BatchLimits, BufferLimits, OnFull, PipelineSettings, RetryPolicy, Target};
use super::trouble::Refusal;
use super::window::{ANSWER_GRACE, FIRST_IN_FLIGHT, MAX_IN_FLIGHT};
use crate::host::SharedData;
use crate::record::{
    Action, ExchangeRecord, Outcome, Protocol, RequestParts, RequestText, RequireAudit,
};
use crate::stats::{Counter, Gauge, Stats};
use crate::time::Now;
use crate::wire::{Format, Resource};

const TIMEOUT: Duration = Duration::from_secs(5);
const DELAY: Duration = Duration::from_secs(1);

fn settings() -> PipelineSettings {
    PipelineSettings {
        resource: Resource {
            service: "test".to_owned(),
            instance: "node".to_owned(),
        },
        target: Target {
            cluster: "audit".to_owned(),
            authority: "audit".to_owned(),
            path: "/v1/logs".to_owned(),
            format: Format::OtlpJson,
            headers: Vec::new(),
            timeout: TIMEOUT,
        },
        batch: BatchLimits {
            max_records: 4,
            max_bytes: 1 << 20,
            max_delay: DELAY,
        },
        buffer: BufferLimits {
            max_records: 100,
            max_bytes: 1 << 20,
            on_full: OnFull::DropNewest,
            immediate_reserve_percent: 0,
        },
        retry: RetryPolicy {
            initial_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(30),
            max_attempts: None,
            max_age: None,
        },
        journal_keys: Vec::new(),
        alive_interval: None,
    }
}

fn request(path: &str) -> RequestText {
    RequestText::new(&RequestParts {
        method: b"GET",
        path: path.as_bytes(),
        ..RequestParts::default()
    })
}

fn exchange(path: &str) -> Box<ExchangeRecord> {
    Box::new(ExchangeRecord {
        action: Action::Text(b"act".to_vec()),
        start_unix_nanos: 1,
        request: request(path),
        http_status: Some(200),
        ..ExchangeRecord::new(Rc::from("r"), Protocol::Http, Some(Outcome::Success))
    })
}

/// One attempt that Envoy has accepted.
#[derive(Clone, Debug)]
struct Sent {
    token: u32,
    id: Uuid,
    body: String,
}

/// One record as the audit cluster reads it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    number: u64,
    event: String,
    /// Reason, count, first and last number.
    loss: Option<(String, u64, u64, u64)>,
    next: Option<u64>,
}

impl Sent {
    fn records(&self) -> Vec<Seen> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            .as_array()
            .unwrap();
        records.iter().map(Seen::read).collect()
    }

    /// `audit.sequence.next` of the batch.
    fn next(&self) -> u64 {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let scope = &body["resourceLogs"][0]["scopeLogs"][0]["scope"];
        let next = scope["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|attribute| attribute["key"] == "audit.sequence.next");
        next.unwrap()["value"]["intValue"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn numbers(&self) -> Vec<u64> {
        self.records().iter().map(|record| record.number).collect()
    }

    /// `log.record.uid` of each record.
    fn ids(&self) -> Vec<String> {
        let ids = self
            .body
            .split(r#""key":"log.record.uid","value":{"stringValue":""#)
            .skip(1);
        ids.map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    }

    fn is_of(&self, stream: Uuid) -> bool {
        self.body.contains(&format!(
            r#""key":"audit.stream.id","value":{{"stringValue":"{stream}"}}"#
        ))
    }

    fn losses(&self) -> Vec<(String, u64, u64, u64)> {
        self.records()
            .into_iter()
            .filter_map(|record| record.loss)
            .collect()
    }
}

impl Seen {
    fn read(record: &Value) -> Self {
        let attribute = |name: &str| {
            let entries = record["attributes"].as_array().unwrap();
            entries
                .iter()
                .find(|entry| entry["key"] == name)
                .map(|entry| entry["value"].clone())
        };
        let int = |name: &str| {
            attribute(name).map(|value| value["intValue"].as_str().unwrap().parse::<u64>().unwrap())
        };
        let reason = attribute("audit.loss.reason")
            .map(|value| value["stringValue"].as_str().unwrap().to_owned());
        let loss = reason.map(|reason| {
            let [count, first, last] = ["count", "first_number", "last_number"]
                .map(|name| int(&format!("audit.loss.{name}")).unwrap());
            (reason, count, first, last)
        });
        Self {
            number: int("audit.sequence.number").unwrap(),
            event: record["eventName"].as_str().unwrap().to_owned(),
            loss,
            next: int("audit.sequence.next"),
        }
    }
}

fn loss(reason: &str, count: u64, first: u64, last: u64) -> (String, u64, u64, u64) {
    (reason.to_owned(), count, first, last)
}

/// The shared data of one process, and how often it was written.
#[derive(Debug, Default)]
struct Shared {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    writes: Cell<u32>,
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.writes.set(self.writes.get() + 1);
        self.values
            .borrow_mut()
            .insert(key.to_owned(), (value.to_vec(), self.writes.get()));
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let is_current = self.get(key).map(|(_, current)| current) == version;
        if is_current {
            self.set(key, value);
        }
        is_current
    }
}

impl Shared {
    fn bytes(&self) -> usize {
        self.values
            .borrow()
            .values()
            .map(|(value, _)| value.len())
            .sum()
    }

    /// The one name with this end.
    fn named(&self, end: &str) -> String {
        let values = self.values.borrow();
        let names: Vec<&String> = values
            .keys()
            .filter(|name| name.starts_with("audit_filter.2.") && name.ends_with(end))
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
        names[0].clone()
    }

    /// Names of the entries of streams.
    fn kept(&self) -> Vec<String> {
        let values = self.values.borrow();
        let kept = values
            .iter()
            .filter(|(name, (value, _))| name.contains(".slot.") && !value.is_empty());
        kept.map(|(name, _)| name.clone()).collect()
    }
}

const STREAM: Uuid = Uuid::from_u128(7);
const VM: Uuid = Uuid::from_u128(70);

struct Rig {
    shared: Rc<Shared>,
    stats: Rc<Stats>,
    pipeline: Pipeline,
    now: Now,
    tokens: u32,
    refuses: bool,
    wakes: u32,
}

impl Rig {
    fn new(change: impl FnOnce(&mut PipelineSettings)) -> Self {
        Self::in_vm(STREAM, VM, &Rc::default(), change)
    }

    /// A stream in one of the VMs of a process.
    fn in_vm(
        stream: Uuid,
        vm: Uuid,
        shared: &Rc<Shared>,
        change: impl FnOnce(&mut PipelineSettings),
    ) -> Self {
        Self::with(stream, vm, shared, &[], &Rc::default(), change)
    }

    /// The same with keys from the environment, or beside other configurations of the VM.
    fn with(
        stream: Uuid,
        vm: Uuid,
        shared: &Rc<Shared>,
        keys: &[&str],
        account: &Rc<Account>,
        change: impl FnOnce(&mut PipelineSettings),
    ) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let now = Now {
            unix_nanos: 1_700_000_000_000_000_000,
            uptime: Duration::from_secs(1000),
        };
        let shared = Rc::clone(shared);
        let owner = StreamOwner::new(vm, stream, b"plugin", &settings);
        let keys: Vec<Key> = keys
            .iter()
            .map(|key| Key::of_secret(key.as_bytes()))
            .collect();
        let journal = Authenticated::new(
            Rc::<Shared>::clone(&shared),
            &keys,
            Key::of_secret(vm.as_bytes()),
        );
        let stats = Rc::<Stats>::default();
        let pipeline = Pipeline::new(
            settings,
            owner,
            42,
            Rc::new(journal),
            Rc::clone(account),
            Rc::clone(&stats),
        );

        Self {
            shared,
            stats,
            pipeline,
            now,
            tokens: 0,
            refuses: false,
            wakes: 0,
        }
    }

    /// Captures records.
    fn offer(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            self.wakes += u32::from(self.pipeline.handle_exchange(exchange("/"), None, self.now));
            self.check();
        }
        self
    }

    fn offer_immediate(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            let exchange = Box::new(ExchangeRecord {
                immediate: true,
                ..*exchange("/")
            });
            self.wakes += u32::from(self.pipeline.handle_exchange(exchange, None, self.now));
            self.check();
        }
        self
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now.uptime += time;
        self.now.unix_nanos += u64::try_from(time.as_nanos()).unwrap();
        self.pipeline.handle_tick(self.now);
        self.pipeline.handle_no_successor(self.now);
        self.check();
        self
    }

    /// What the adapter does at every tick.
    fn tick(&mut self) -> &mut Self {
        self.pass(Duration::from_millis(250));
        self.publish();
        self
    }

    fn publish(&mut self) {
        let gauges = self.pipeline.gauges_to_publish(self.now);
        self.pipeline.handle_published(gauges);
    }

    /// Makes every callout that can leave now.
    fn send(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(callout) = self.pipeline.poll_callout(self.now) {
            let (id, body) = (
                callout.batch_id,
                String::from_utf8(callout.body.to_vec()).unwrap(),
            );
            self.tokens += 1;
            let token = (!self.refuses).then_some(self.tokens);
            sent.extend(token.map(|token| Sent { token, id, body }));
            self.pipeline
                .handle_dispatched(token.ok_or(Refusal::NotTaken), self.now);
            self.check();
        }

        sent
    }

    #[track_caller]
    fn send_one(&mut self) -> Sent {
        let sent = self.send();
        let [one] = &sent[..] else {
            panic!("sent {}", sent.len())
        };
        one.clone()
    }

    #[track_caller]
    fn send_none(&mut self) -> &mut Self {
        let sent = self.send();
        assert!(
            sent.is_empty(),
            "sent {:?}",
            sent.iter().map(Sent::numbers).collect::<Vec<_>>()
        );
        self
    }

    fn answer(&mut self, sent: &Sent, status: u16) -> &mut Self {
        self.answer_with(sent, Some(status), None, "")
    }

    fn answer_with(
        &mut self,
        sent: &Sent,
        status: Option<u16>,
        retry_after: Option<&str>,
        body: &str,
    ) -> &mut Self {
        let answer = Answer {
            status,
            retry_after: retry_after.map(str::as_bytes),
            body: body.as_bytes(),
            is_of_envoy: false,
        };
        self.pipeline.handle_answer(sent.token, &answer, self.now);
        self.check();
        self
    }

    /// Delivers the stream's start and its first record, so that later batches have only the test's
    /// records.
    fn started(&mut self) -> &mut Self {
        let sent = self.offer(1).pass(DELAY).send_one();
        self.answer(&sent, 200)
    }

    /// Captured records are acknowledged, rejected, dropped or held: after every step.
    #[track_caller]
    fn check(&self) {
        let ended: u64 = Counter::ENDS
            .iter()
            .map(|counter| self.count(*counter))
            .sum();
        let taken_over = self.stats.inherited(Gauge::BufferRecords);
        let captured = self.count(Counter::Captured).wrapping_add(taken_over);
        assert_eq!(captured, ended + self.gauge(Gauge::BufferRecords));
    }

    fn count(&self, counter: Counter) -> u64 {
        self.stats.counter(counter)
    }

    fn gauge(&self, gauge: Gauge) -> u64 {
        self.pipeline.gauges()[gauge as usize]
    }

    #[track_caller]
    fn is_empty(&self) {
        assert_eq!(self.pipeline.unacknowledged(), None);
        assert_eq!(self.pipeline.gauges(), [0; 3]);
    }
}
