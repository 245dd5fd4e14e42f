//! The pipeline as its adapter drives it: records in, callouts out, scripted answers in, on a clock of the test's own.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::Pipeline;
use super::answer::Answer;
use super::drain::DRAIN_LIMIT;
use super::notices::{Level, Notice};
use super::settings::{BatchLimits, BufferLimits, OnFull, RetryPolicy, Settings, Target};
use super::window::{ANSWER_GRACE, MAX_IN_FLIGHT};
use crate::record::{ExchangeRecord, Outcome, Protocol};
use crate::stats::{Counter, Gauge};
use crate::time::Now;
use crate::wire::Format;

const TIMEOUT: Duration = Duration::from_secs(5);
const DELAY: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        service: "test".to_owned(),
        target: Target {
            cluster: "audit".to_owned(),
            authority: "audit".to_owned(),
            path: "/v1/logs".to_owned(),
            format: Format::OtlpJson,
            headers: Vec::new(),
            timeout: TIMEOUT,
        },
        batch: BatchLimits { max_records: 4, max_bytes: 1 << 20, max_delay: DELAY },
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
    }
}

fn exchange(path: &str) -> Box<ExchangeRecord> {
    Box::new(ExchangeRecord {
        action: b"act".to_vec(),
        start_unix_nanos: 1,
        method: b"GET".to_vec(),
        path: path.as_bytes().to_vec(),
        http_status: Some(200),
        ..ExchangeRecord::new(Rc::from("r"), Protocol::Http, Outcome::Success)
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
        let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
        records.iter().map(Seen::read).collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.records().iter().map(|record| record.number).collect()
    }

    fn losses(&self) -> Vec<(String, u64, u64, u64)> {
        self.records().into_iter().filter_map(|record| record.loss).collect()
    }
}

impl Seen {
    fn read(record: &Value) -> Self {
        let attribute = |name: &str| {
            let entries = record["attributes"].as_array().unwrap();
            entries.iter().find(|entry| entry["key"] == name).map(|entry| entry["value"].clone())
        };
        let int = |name: &str| attribute(name).map(|value| value["intValue"].as_str().unwrap().parse::<u64>().unwrap());
        let reason = attribute("audit.loss.reason").map(|value| value["stringValue"].as_str().unwrap().to_owned());
        let loss = reason.map(|reason| {
            let [count, first, last] =
                ["count", "first_number", "last_number"].map(|name| int(&format!("audit.loss.{name}")).unwrap());
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

struct Rig {
    pipeline: Pipeline,
    now: Now,
    tokens: u32,
    refuses: bool,
    wakes: u32,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let now = Now { unix_nanos: 1_700_000_000_000_000_000, uptime: Duration::from_secs(1000) };
        let pipeline = Pipeline::new(settings, Uuid::from_u128(7), 42);
        Self { pipeline, now, tokens: 0, refuses: false, wakes: 0 }
    }

    /// Offers records.
    fn offer(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            self.wakes += u32::from(self.pipeline.handle_exchange(exchange("/"), self.now));
            self.check();
        }
        self
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now.uptime += time;
        self.now.unix_nanos += u64::try_from(time.as_nanos()).unwrap();
        self.pipeline.handle_tick(self.now);
        self.check();
        self
    }

    /// Makes every callout that may leave now.
    fn send(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(callout) = self.pipeline.poll_callout(self.now) {
            let (id, body) = (callout.batch_id, callout.body.to_owned());
            self.tokens += 1;
            let token = (!self.refuses).then_some(self.tokens);
            sent.extend(token.map(|token| Sent { token, id, body }));
            self.pipeline.handle_dispatched(token, self.now);
            self.check();
        }
        sent
    }

    #[track_caller]
    fn send_one(&mut self) -> Sent {
        let sent = self.send();
        let [one] = &sent[..] else { panic!("sent {}", sent.len()) };
        one.clone()
    }

    #[track_caller]
    fn send_none(&mut self) -> &mut Self {
        let sent = self.send();
        assert!(sent.is_empty(), "sent {:?}", sent.iter().map(Sent::numbers).collect::<Vec<_>>());
        self
    }

    fn answer(&mut self, sent: &Sent, status: u16) -> &mut Self {
        self.answer_with(sent, Some(status), None, "")
    }

    fn answer_with(&mut self, sent: &Sent, status: Option<u16>, retry_after: Option<&str>, body: &str) -> &mut Self {
        let answer = Answer { status, retry_after: retry_after.map(str::as_bytes), body: body.as_bytes() };
        self.pipeline.handle_answer(sent.token, &answer, self.now);
        self.check();
        self
    }

    /// Sends the stream's start and its first records, so that later batches hold only what the test offers.
    fn started(&mut self) -> &mut Self {
        let sent = self.offer(1).pass(DELAY).send_one();
        self.answer(&sent, 200)
    }

    /// What was captured is acknowledged, rejected, dropped or held: after every step.
    #[track_caller]
    fn check(&self) {
        let ended: u64 = Counter::ENDS.iter().map(|counter| self.count(*counter)).sum();
        assert_eq!(self.count(Counter::Captured), ended + self.pipeline.stats.gauge(Gauge::BufferRecords));
    }

    fn count(&self, counter: Counter) -> u64 {
        self.pipeline.stats.counter(counter)
    }

    #[track_caller]
    fn is_empty(&self) {
        assert_eq!(self.pipeline.unacknowledged(), None);
        let gauges = Gauge::ALL.map(|(gauge, _)| self.pipeline.stats.gauge(gauge));
        assert_eq!(gauges, [0; 3]);
    }
}

mod batches {
    use super::*;

    #[test]
    fn the_first_record_is_announced() {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(2).pass(DELAY).send_one();
        let events: Vec<_> = sent.records().into_iter().map(|record| (record.number, record.event)).collect();
        let expected = [(0, "audit.stream.start"), (1, "audit.http"), (2, "audit.http")];
        assert_eq!(events, expected.map(|(number, event)| (number, event.to_owned())));
        rig.answer(&sent, 200).is_empty();
        let sent = rig.offer(1).pass(DELAY).send_one();
        assert_eq!(sent.numbers(), [3], "announced once");
        assert_eq!(rig.count(Counter::Captured), 4);
    }

    #[test]
    fn nothing_is_announced_without_a_record() {
        let mut rig = Rig::new(|_| {});
        rig.pass(DELAY * 10).send_none().is_empty();
        rig.pipeline.handle_shutdown(rig.now);
        rig.send_none();
        assert!(rig.pipeline.is_drained(rig.now));
    }

    #[test]
    fn by_count() {
        let mut rig = Rig::new(|_| {});
        rig.started().offer(3).send_none();
        let sent = rig.offer(7).send();
        assert_eq!(sent.iter().map(|sent| sent.numbers().len()).collect::<Vec<_>>(), [4, 4]);
        rig.send_none().pass(DELAY);
        assert_eq!(rig.send_one().numbers(), [10, 11]);
    }

    #[test]
    fn by_bytes_and_the_first_always_fits() {
        let mut rig = Rig::new(|settings| {
            settings.batch = BatchLimits { max_records: 1000, max_bytes: 2500, max_delay: DELAY };
        });
        rig.started().offer(1).send_none();
        let one = usize::try_from(rig.pipeline.stats.gauge(Gauge::BufferBytes)).unwrap();
        let fit = 2500 / one;
        assert!((1..=5).contains(&fit), "{one}");
        let sent = rig.offer(fit).send_one();
        assert_eq!(sent.numbers().len(), fit, "as many as fit");
        rig.answer(&sent, 200).pass(DELAY);
        assert_eq!(rig.send_one().numbers().len(), 1);
        assert!(rig.pipeline.handle_exchange(exchange(&"x".repeat(4000)), rig.now), "full at once");
        assert_eq!(rig.send_one().numbers().len(), 1, "one that is too long for a batch still moves");
    }

    #[test]
    fn by_the_age_of_the_oldest() {
        let mut rig = Rig::new(|_| {});
        rig.started().offer(1).pass(DELAY / 2).offer(1).pass(DELAY / 2 - Duration::from_nanos(1)).send_none();
        assert_eq!(rig.pass(Duration::from_nanos(1)).send_one().numbers().len(), 2);
    }

    #[test]
    fn one_wake_up_for_a_full_batch() {
        let mut rig = Rig::new(|_| {});
        rig.offer(2);
        assert_eq!(rig.wakes, 0, "the stream's start is the third of four");
        rig.offer(20);
        assert_eq!(rig.wakes, 1, "not again before the root has polled");
        assert_eq!(rig.send().len(), MAX_IN_FLIGHT);
        rig.offer(20);
        assert_eq!(rig.wakes, 1, "nothing may leave, so nobody is woken");
    }

    #[test]
    fn at_most_a_window_in_flight() {
        let mut rig = Rig::new(|_| {});
        rig.offer(40);
        let sent = rig.send();
        assert_eq!(sent.len(), MAX_IN_FLIGHT);
        assert_eq!(rig.pipeline.stats.gauge(Gauge::InFlightBatches), MAX_IN_FLIGHT as u64);
        rig.answer(&sent[2], 200);
        assert_eq!(rig.send().len(), 1);
    }

    #[test]
    fn a_batch_that_was_polled_is_handed_out_until_it_is_dispatched() {
        let mut rig = Rig::new(|_| {});
        rig.offer(4);
        let first = rig.pipeline.poll_callout(rig.now).map(|callout| callout.batch_id);
        rig.check();
        let second = rig.pipeline.poll_callout(rig.now).map(|callout| callout.batch_id);
        assert!(first.is_some() && first == second);
    }
}

mod retries {
    use super::*;

    #[test]
    fn only_2xx_is_an_acknowledgement() {
        for status in [200, 202, 204] {
            let mut rig = Rig::new(|_| {});
            let sent = rig.offer(1).pass(DELAY).send_one();
            rig.answer(&sent, status).is_empty();
            assert_eq!(rig.count(Counter::Acknowledged), 2);
        }
        for status in [Some(503), Some(429), Some(404), Some(401), Some(302), None] {
            let mut rig = Rig::new(|_| {});
            let sent = rig.offer(1).pass(DELAY).send_one();
            rig.answer_with(&sent, status, None, "");
            assert_eq!((rig.count(Counter::Acknowledged), rig.pipeline.unacknowledged().unwrap().count), (0, 2));
            assert_eq!(rig.count(Counter::BatchesFailed), 1);
        }
    }

    #[test]
    fn every_attempt_has_the_same_bytes_and_id() {
        let mut rig = Rig::new(|_| {});
        let first = rig.offer(1).pass(DELAY).send_one();
        let mut last = first.clone();
        for attempt in 1..6 {
            rig.answer(&last, 503).offer(1).pass(Duration::from_secs(31));
            last = rig.send_one();
            assert_eq!((last.id, &last.body), (first.id, &first.body));
            assert_ne!(last.token, first.token);
            assert_eq!(rig.count(Counter::BatchesRetried), attempt);
        }
        rig.answer(&last, 200);
        assert_eq!(rig.send().iter().map(|sent| sent.numbers().len()).collect::<Vec<_>>(), [4, 1]);
    }

    #[test]
    fn retry_after_is_the_lower_end() {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(1).pass(DELAY).send_one();
        rig.answer_with(&sent, Some(429), Some("7"), "").pass(Duration::from_millis(6999)).send_none();
        let sent = rig.pass(Duration::from_millis(1)).send_one();
        rig.answer_with(&sent, Some(503), Some("86400"), "").pass(Duration::from_secs(59)).send_none();
        rig.pass(Duration::from_secs(1)).send_one();
    }

    #[test]
    fn retry_after_holds_although_another_batch_fails_without_one() {
        let mut rig = Rig::new(|_| {});
        rig.offer(8);
        let sent = rig.send();
        rig.answer_with(&sent[0], Some(429), Some("50"), "").answer(&sent[1], 503);
        rig.pass(Duration::from_secs(49)).send_none().pass(Duration::from_secs(1)).send_one();
    }

    #[test]
    fn one_probe_while_it_is_down_then_all_again() {
        let mut rig = Rig::new(|_| {});
        rig.offer(40);
        let sent = rig.send();
        for failed in &sent {
            rig.answer(failed, 503);
        }
        let probe = rig.pass(Duration::from_secs(1)).send_one();
        rig.pass(Duration::from_secs(2)).offer(4).send_none();
        rig.answer(&probe, 503).pass(Duration::from_secs(1));
        let probe = rig.send_one();
        rig.answer(&probe, 200);
        assert_eq!(rig.send().len(), MAX_IN_FLIGHT, "recovered");
        let lines: Vec<_> = rig.pipeline.poll_notices();
        assert!(lines.iter().any(|line| line.level == Level::Info && line.text == "audit cluster answers again"));
    }

    #[test]
    fn a_refused_callout_is_a_failed_attempt() {
        let mut rig = Rig::new(|_| {});
        rig.refuses = true;
        rig.offer(1).pass(DELAY).send_none();
        assert!(rig.count(Counter::BatchesFailed) >= 1);
        assert_eq!((rig.count(Counter::BatchesDispatched), rig.count(Counter::Acknowledged)), (0, 0));
        rig.refuses = false;
        let sent = rig.pass(Duration::from_secs(31)).send_one();
        assert_eq!(sent.numbers(), [0, 1]);
        rig.answer(&sent, 200).is_empty();
    }

    #[test]
    fn an_answer_that_never_comes_is_given_up() {
        let mut rig = Rig::new(|_| {});
        let first = rig.offer(1).pass(DELAY).send_one();
        rig.pass(TIMEOUT + ANSWER_GRACE - Duration::from_nanos(1)).send_none();
        assert_eq!(rig.count(Counter::BatchesFailed), 0);
        rig.pass(Duration::from_nanos(1));
        assert_eq!(rig.count(Counter::BatchesFailed), 1);
        let second = rig.pass(Duration::from_secs(1)).send_one();
        assert_eq!(second.id, first.id);
        rig.answer(&first, 200);
        assert_eq!(rig.count(Counter::Acknowledged), 0, "a late answer changes nothing");
        rig.answer(&second, 200).answer(&second, 200).is_empty();
        assert_eq!(rig.count(Counter::Acknowledged), 2);
    }

    #[test]
    fn unknown_tokens_change_nothing() {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(4).send_one();
        let stranger = Sent { token: 999, ..sent };
        let before = rig.pipeline.stats.clone();
        rig.answer(&stranger, 200).answer(&stranger, 400).answer(&stranger, 503);
        assert_eq!(rig.pipeline.stats, before);
    }
}

mod rejections {
    use super::*;

    #[test]
    fn halves_find_the_bad_record_and_the_others_arrive_once() {
        for bad in 0..9 {
            let mut rig = Rig::new(|settings| settings.batch.max_records = 9);
            rig.offer(8);
            let (mut arrived, mut ids) = (Vec::new(), Vec::new());
            loop {
                let sent = rig.send();
                if sent.is_empty() {
                    break;
                }
                for sent in sent {
                    assert!(!ids.contains(&sent.id), "a half has an id of its own");
                    ids.push(sent.id);
                    if sent.numbers().contains(&bad) {
                        rig.answer(&sent, 400);
                    } else {
                        arrived.extend(sent.numbers());
                        rig.answer(&sent, 200);
                    }
                }
            }
            arrived.sort_unstable();
            let others: Vec<u64> = (0..9).filter(|number| *number != bad).collect();
            assert_eq!(arrived, others);
            assert_eq!((rig.count(Counter::Rejected), rig.count(Counter::Acknowledged)), (1, 8));
            assert!((3..=4).contains(&rig.count(Counter::BatchesSplit)));
            let report = rig.pass(DELAY).send_one();
            assert_eq!(report.losses(), [loss("rejected", 1, bad, bad)]);
            rig.answer(&report, 200).is_empty();
        }
    }

    #[test]
    fn other_statuses_about_content_split_too() {
        for status in [400, 413, 415, 422] {
            let mut rig = Rig::new(|_| {});
            let sent = rig.offer(4).send_one();
            assert_eq!(rig.answer(&sent, status).send().len(), 2, "{status}");
        }
    }

    #[test]
    fn a_refused_loss_record_is_not_reported_again() {
        let mut rig = Rig::new(|_| {});
        rig.started().offer(1).pass(DELAY);
        let sent = rig.send_one();
        rig.answer(&sent, 400).pass(DELAY);
        let report = rig.send_one();
        assert_eq!(report.losses().len(), 1);
        rig.answer(&report, 400).pass(DELAY * 100).send_none().is_empty();
        assert_eq!(rig.count(Counter::Rejected), 2);
        let lines: Vec<_> = rig.pipeline.poll_notices();
        let line = "loss records refused by the audit cluster: 1, last: count 1, numbers 2 to 2, reason rejected";
        assert!(lines.contains(&Notice { level: Level::Error, text: line.to_owned() }), "{lines:?}");
    }

    #[test]
    fn partial_success_counts_and_reports() {
        let mut rig = Rig::new(|_| {});
        rig.started();
        let sent = rig.offer(4).send_one();
        rig.answer_with(&sent, Some(200), None, r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}"#);
        assert_eq!((rig.count(Counter::Acknowledged), rig.count(Counter::Rejected)), (3, 3));
        let report = rig.pass(DELAY).send_one();
        assert_eq!(report.losses(), [loss("rejected", 3, 2, 5)]);
        rig.answer(&report, 200).is_empty();
    }

    #[test]
    fn partial_success_cannot_reject_more_than_was_sent() {
        let mut rig = Rig::new(|_| {});
        let sent = rig.offer(1).pass(DELAY).send_one();
        rig.answer_with(&sent, Some(200), None, r#"{"partialSuccess":{"rejectedLogRecords":99}}"#);
        assert_eq!((rig.count(Counter::Acknowledged), rig.count(Counter::Rejected)), (0, 2));
    }

    #[test]
    fn an_audit_cluster_that_takes_nothing_does_not_keep_it_busy() {
        let mut rig = Rig::new(|_| {});
        rig.offer(1);
        let all = r#"{"partialSuccess":{"rejectedLogRecords":"1000"}}"#;
        let mut batches = 0;
        for _ in 0..50 {
            for sent in rig.pass(DELAY).send() {
                rig.answer_with(&sent, Some(200), None, all);
                batches += 1;
            }
        }
        assert_eq!(batches, 2, "the records, and one report");
        rig.is_empty();
    }
}

mod drops {
    use super::*;

    #[test]
    fn after_max_attempts() {
        let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(3));
        rig.started().offer(2).pass(DELAY);
        for _ in 0..3 {
            let sent = rig.send_one();
            assert_eq!(sent.numbers(), [2, 3]);
            rig.answer(&sent, 503);
            assert_eq!(rig.count(Counter::Rejected), 0);
            rig.pass(Duration::from_secs(31));
        }
        assert_eq!(rig.count(Counter::DroppedMaxAttempts), 2);
        let report = rig.send_one();
        assert_eq!(report.losses(), [loss("max_attempts", 2, 2, 3)]);
        rig.answer(&report, 200).is_empty();
    }

    #[test]
    fn a_dropped_report_is_made_again() {
        let mut rig = Rig::new(|settings| settings.retry.max_attempts = Some(1));
        rig.started().offer(1).pass(DELAY);
        let sent = rig.send_one();
        let report = rig.answer(&sent, 503).pass(Duration::from_secs(31)).send_one();
        assert_eq!(report.losses(), [loss("max_attempts", 1, 2, 2)]);
        let report = rig.answer(&report, 503).pass(Duration::from_secs(31)).send_one();
        let mut ranges: Vec<_> = report.losses().into_iter().map(|(_, _, first, last)| (first, last)).collect();
        ranges.sort_unstable();
        assert_eq!(ranges, [(2, 2), (3, 3)], "the record, and the report that was lost");
    }

    #[test]
    fn after_max_age() {
        let age = Duration::from_secs(100);
        let mut rig = Rig::new(|settings| settings.retry.max_age = Some(age));
        rig.started().offer(5).pass(DELAY);
        for sent in rig.send() {
            rig.answer_with(&sent, Some(503), Some("60"), "");
        }
        rig.offer(1).pass(age - DELAY - Duration::from_nanos(1));
        assert_eq!(rig.count(Counter::DroppedMaxAge), 0);
        rig.pass(Duration::from_nanos(1));
        assert_eq!(rig.count(Counter::DroppedMaxAge), 5, "in batches and not");
        rig.pass(DELAY);
        assert_eq!(rig.count(Counter::DroppedMaxAge), 6);
        let report = rig.send_one();
        let covered: u64 = report.losses().iter().map(|(_, count, _, _)| count).sum();
        assert_eq!((covered, report.losses()[0].0.as_str()), (6, "max_age"));
    }

    #[test]
    fn a_full_buffer_makes_one_report_of_the_range() {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 6);
        rig.offer(10);
        assert_eq!(rig.count(Counter::DroppedBufferFull), 4);
        let mut losses = Vec::new();
        for sent in rig.pass(DELAY).send() {
            losses.extend(sent.losses());
            rig.answer(&sent, 200);
        }
        assert_eq!(losses, [loss("buffer_full", 4, 7, 10)]);
        rig.is_empty();
        rig.pass(DELAY * 100).send_none();
    }

    #[test]
    fn a_report_leaves_alone_when_no_record_follows() {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
        rig.started().offer(4);
        let sent = rig.send_one();
        rig.offer(1);
        rig.answer(&sent, 200).send_none();
        let report = rig.pass(DELAY).send_one();
        assert_eq!((report.numbers().len(), report.losses()), (1, vec![loss("buffer_full", 1, 6, 6)]));
    }

    #[test]
    fn in_flight_records_take_their_place() {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
        rig.started().offer(4);
        let sent = rig.send_one();
        rig.offer(1);
        assert_eq!(rig.count(Counter::DroppedBufferFull), 1);
        rig.answer(&sent, 200).offer(1);
        assert_eq!(rig.count(Counter::DroppedBufferFull), 1);
    }

    #[test]
    fn by_bytes() {
        let mut rig = Rig::new(|settings| settings.buffer.max_bytes = 3000);
        rig.started().offer(9);
        assert!(rig.pipeline.stats.gauge(Gauge::BufferBytes) <= 3000);
        assert!(rig.count(Counter::DroppedBufferFull) > 0);
        let _ = rig.pipeline.handle_exchange(exchange(&"x".repeat(3000)), rig.now);
        assert_eq!(rig.count(Counter::DroppedTooLarge), 1);
    }

    #[test]
    fn the_oldest_when_asked() {
        let mut rig = Rig::new(|settings| {
            settings.buffer = BufferLimits { max_records: 3, on_full: OnFull::DropOldest, ..settings.buffer };
        });
        rig.started().offer(5).pass(DELAY);
        let sent = rig.send();
        let numbers: Vec<u64> = sent.iter().flat_map(Sent::numbers).collect();
        assert_eq!(numbers, [7, 4, 5, 6], "the report, and the newest");
        assert_eq!(sent[0].losses(), [loss("buffer_full", 2, 2, 3)]);
    }

    #[test]
    fn a_buffer_for_one_record_holds_one_despite_the_reserve() {
        let mut rig = Rig::new(|settings| {
            settings.buffer = BufferLimits { max_records: 1, immediate_reserve_percent: 10, ..settings.buffer };
        });
        rig.offer(1);
        assert_eq!(rig.count(Counter::DroppedBufferFull), 0);
    }
}

mod shutdown {
    use super::*;

    #[test]
    fn everything_leaves_in_one_batch_and_the_end_is_last() {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 20);
        rig.offer(22);
        rig.pipeline.handle_shutdown(rig.now);
        assert!(!rig.pipeline.is_drained(rig.now));
        let sent = rig.send_one();
        let records = sent.records();
        assert_eq!(records.len(), 20 + 3, "start, loss and end beside the records");
        let last = records.last().unwrap();
        assert_eq!((last.event.as_str(), last.next), ("audit.stream.end", Some(last.number + 1)));
        assert_eq!(rig.count(Counter::Captured), last.number + 1);
        assert_eq!(rig.pipeline.unacknowledged().map(|left| left.count), Some(23));
        assert!(!rig.pipeline.is_drained(rig.now));
        rig.answer(&sent, 200).is_empty();
        assert!(rig.pipeline.is_drained(rig.now));
    }

    #[test]
    fn the_end_leaves_alone_when_all_is_acknowledged() {
        let mut rig = Rig::new(|_| {});
        rig.started();
        rig.pipeline.handle_shutdown(rig.now);
        let sent = rig.send_one();
        assert_eq!(sent.records()[0].next, Some(3));
        rig.answer(&sent, 503).pass(DELAY);
        let sent = rig.send_one();
        rig.answer(&sent, 200);
        assert!(rig.pipeline.is_drained(rig.now));
        rig.pass(DELAY).send_none();
    }

    #[test]
    fn it_gives_up_after_a_while() {
        let mut rig = Rig::new(|_| {});
        rig.offer(1);
        rig.pipeline.handle_shutdown(rig.now);
        rig.pass(DRAIN_LIMIT - Duration::from_nanos(1));
        assert!(!rig.pipeline.is_drained(rig.now));
        assert!(given_up(&mut rig).is_empty(), "it still tries");
        rig.pass(Duration::from_nanos(1));
        assert!(rig.pipeline.is_drained(rig.now));
        assert_eq!(given_up(&mut rig), ["gives up 2 records that were never acknowledged, numbers 0 to 1"]);
    }

    fn given_up(rig: &mut Rig) -> Vec<String> {
        let errors = rig.pipeline.poll_notices().into_iter().filter(|notice| notice.level == Level::Error);
        errors.map(|notice| notice.text).collect()
    }

    #[test]
    fn a_late_record_still_leaves() {
        let mut rig = Rig::new(|_| {});
        rig.started();
        rig.pipeline.handle_shutdown(rig.now);
        let end = rig.send_one();
        rig.answer(&end, 200);
        let late = rig.offer(1).send_one();
        assert_eq!(late.numbers(), [3]);
        rig.answer(&late, 200);
        assert!(rig.pipeline.is_drained(rig.now));
    }
}

mod lines {
    use super::*;

    fn texts(rig: &mut Rig) -> Vec<String> {
        rig.pipeline.poll_notices().into_iter().map(|notice| notice.text).collect()
    }

    #[test]
    fn drops_are_one_line_in_ten_seconds() {
        let mut rig = Rig::new(|settings| settings.buffer.max_records = 4);
        rig.offer(4).send();
        rig.offer(500);
        assert_eq!(texts(&mut rig), ["records dropped: 1, last reason: buffer_full"]);
        rig.pass(Duration::from_secs(5)).offer(500);
        assert_eq!(texts(&mut rig), [""; 0]);
        rig.pass(Duration::from_secs(5));
        let lines = texts(&mut rig);
        assert!(lines.contains(&"records dropped: 999, last reason: buffer_full".to_owned()), "{lines:?}");
    }

    #[test]
    fn an_outage_is_one_line_in_ten_seconds() {
        let mut rig = Rig::new(|settings| settings.retry.max_backoff = Duration::from_millis(250));
        rig.offer(4);
        for _ in 0..100 {
            if let [sent] = &rig.pass(Duration::from_millis(250)).send()[..] {
                let sent = sent.clone();
                rig.answer(&sent, 503);
            }
        }
        let lines = texts(&mut rig);
        assert!((2..=4).contains(&lines.len()), "{lines:?}");
        assert!(lines.iter().all(|line| line.ends_with("last: status 503")), "{lines:?}");
    }

    #[test]
    fn refused_reports_are_one_line_in_ten_seconds() {
        let mut rig = Rig::new(|settings| settings.batch.max_records = 1);
        for _ in 0..9 {
            for sent in rig.offer(1).pass(DELAY).send() {
                rig.answer(&sent, 400);
            }
        }
        let lines = texts(&mut rig);
        let refused = lines.iter().filter(|line| line.starts_with("loss records refused")).count();
        assert_eq!(refused, 1, "{lines:?}");
    }

    #[test]
    fn an_unknown_peer_is_told_once() {
        let mut rig = Rig::new(|_| {});
        for _ in 0..9 {
            rig.pipeline.handle_unknown_peer();
        }
        let lines = rig.pipeline.poll_notices();
        assert_eq!((lines.len(), lines[0].level), (1, Level::Warn));
    }
}
