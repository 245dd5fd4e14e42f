//! The pipeline in virtual time under random traffic and a hostile audit cluster: whatever happens, each record is
//! accounted for, memory stays bounded, and what is lost is said.
//!
//! `SIMULATION_SEEDS=n` runs more seeds, `SIMULATION_SEED=s` replays one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test; the lint's exception covers test functions only, not their helpers"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::Pipeline;
use audit_filter::pipeline::answer::Answer;
use audit_filter::pipeline::settings::{BatchLimits, BufferLimits, OnFull, RetryPolicy, Settings, Target};
use audit_filter::record::{ExchangeRecord, Outcome, Protocol};
use audit_filter::stats::{Counter, Gauge};
use audit_filter::time::Now;
use audit_filter::wire::Format;
use fastrand::Rng;
use serde_json::Value;
use uuid::Uuid;

const DEFAULT_SEEDS: u64 = 2000;
/// Counted by the recorder, which has no part in this.
const OF_REQUESTS: [Counter; 5] = [
    Counter::Excluded,
    Counter::SkippedEmptyContext,
    Counter::HeadersStripped,
    Counter::HeadersSpoofed,
    Counter::RequestsRefused,
];
const STEPS: usize = 100;
/// Reports of losses and the stream's start take no place in the buffer; more than these are never held at once.
const MOST_REPORTS: u64 = 300;
/// In the path of a record that the audit cluster does not accept.
const POISON: &str = "/poison";

#[test]
fn every_record_is_accounted_for() {
    let variable = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    if let Some(seed) = variable("SIMULATION_SEED") {
        run(seed);
        return;
    }
    let mut totals = [0; Counter::ALL.len()];
    for seed in 0..variable("SIMULATION_SEEDS").unwrap_or(DEFAULT_SEEDS) {
        let on_failure = TellSeed(seed);
        let world = run(seed);
        std::mem::forget(on_failure);
        for (total, (counter, _)) in totals.iter_mut().zip(Counter::ALL) {
            *total += world.count(counter);
        }
    }
    for (total, (counter, name)) in totals.into_iter().zip(Counter::ALL) {
        assert!(total > 0 || OF_REQUESTS.contains(&counter), "no seed has ever counted {name}");
    }
}

/// Says which seed failed, when a run panics.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        eprintln!("seed {0} failed; replay it with SIMULATION_SEED={0}", self.0);
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.heal_and_end();
    world.check_end();
    world
}

/// How the audit cluster treats an attempt.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Healthy,
    Overloaded,
    Throttling,
    Partial,
    Resetting,
    Silent,
    Slow,
    Refusing,
}

const MOODS: [Mood; 8] = [
    Mood::Healthy,
    Mood::Overloaded,
    Mood::Throttling,
    Mood::Partial,
    Mood::Resetting,
    Mood::Silent,
    Mood::Slow,
    Mood::Refusing,
];

/// A callout on its way: what was sent, and when its answer comes, if ever.
struct Pending {
    token: u32,
    records: Rc<[Sent]>,
    mood: Mood,
    due: Duration,
}

/// One record as it was sent.
#[derive(Clone, Debug)]
struct Sent {
    uid: String,
    number: u64,
    is_poison: bool,
    loss: Option<(u64, u64, u64)>,
}

/// What the audit cluster has taken, deduplicated by `log.record.uid`.
#[derive(Default)]
struct Collector {
    taken: HashMap<String, Sent>,
    /// Loss records that it refused: what they tell ends in the filter's log.
    refused_reports: Vec<Sent>,
    /// uid of every number that was ever sent.
    uids: BTreeMap<u64, String>,
    /// Body of every batch id.
    bodies: HashMap<Uuid, (String, Rc<[Sent]>)>,
    /// Uids of acknowledgements that the filter has heard of.
    acknowledged: BTreeSet<String>,
}

struct World {
    rng: Rng,
    settings: Settings,
    pipeline: Pipeline,
    now: Now,
    pending: Vec<Pending>,
    tokens: u32,
    mood: Mood,
    collector: Collector,
    is_healed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = settings(&mut rng);
        let pipeline = Pipeline::new(settings.clone(), Uuid::from_u128(u128::from(seed)), rng.u64(..));
        let now = Now { unix_nanos: 1_700_000_000_000_000_000, uptime: Duration::from_secs(5000) };
        let (pending, collector) = (Vec::new(), Collector::default());
        Self { rng, settings, pipeline, now, pending, tokens: 0, mood: Mood::Healthy, collector, is_healed: false }
    }

    /// One moment: time passes, answers arrive, records come, callouts leave. In any order, any of them.
    fn step(&mut self) {
        self.mood = if self.rng.u8(..10) == 0 { MOODS[self.rng.usize(..MOODS.len())] } else { self.mood };
        match self.rng.u8(..10) {
            0..=3 => self.offer(),
            4..=6 => self.pass_up_to(2000),
            7 => self.pass_up_to(20_000),
            8 => self.answer_due(),
            _ => self.drive(),
        }
        self.check();
    }

    fn offer(&mut self) {
        for _ in 0..self.rng.usize(1..10) {
            let path = match self.rng.u8(..40) {
                0 => POISON.to_owned(),
                1 => format!("/{}", "x".repeat(self.rng.usize(..6000))),
                _ => "/path".to_owned(),
            };
            let wakes = self.pipeline.handle_exchange(exchange(&path), None, self.now);
            if wakes && self.rng.bool() {
                self.drive();
            }
            self.check();
        }
    }

    fn pass_up_to(&mut self, millis: u64) {
        let time = Duration::from_millis(self.rng.u64(1..millis));
        self.pass(time);
    }

    fn pass(&mut self, time: Duration) {
        self.now.uptime += time;
        self.now.unix_nanos += u64::try_from(time.as_nanos()).unwrap();
        self.pipeline.handle_tick(self.now);
        self.check();
        self.answer_due();
        self.drive();
    }

    fn drive(&mut self) {
        while let Some(callout) = self.pipeline.poll_callout(self.now) {
            let (id, body) = (callout.batch_id, callout.body.to_owned());
            let records = self.collector.see_attempt(id, &body);
            let mood = self.mood_now();
            let token = (!matches!(mood, Mood::Refusing)).then(|| {
                self.tokens += 1;
                self.tokens
            });
            if let Some(token) = token {
                let latency =
                    Duration::from_millis(if matches!(mood, Mood::Slow) { 20_000 } else { self.rng.u64(..3000) });
                self.pending.push(Pending { token, records, mood, due: self.now.uptime + latency });
            }
            self.pipeline.handle_dispatched(token, self.now);
            self.check();
        }
    }

    fn mood_now(&self) -> Mood {
        if self.is_healed { Mood::Healthy } else { self.mood }
    }

    fn answer_due(&mut self) {
        let now = self.now.uptime;
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.due <= now);
        self.pending = later;
        let due: Vec<Pending> = due;
        for pending in due {
            self.answer(&pending);
            self.check();
        }
    }

    fn answer(&mut self, pending: &Pending) {
        let records = Rc::clone(&pending.records);
        let has_poison = records.iter().any(|record| record.is_poison);
        match pending.mood {
            Mood::Silent | Mood::Refusing => {}
            Mood::Overloaded => {
                // The audit cluster may have stored the batch all the same.
                if self.rng.bool() && !has_poison {
                    self.collector.take(&records);
                }
                let status = [500, 503, 401, 404][self.rng.usize(..4)];
                self.tell(pending.token, status, None, "");
            }
            Mood::Throttling => {
                let seconds = self.rng.u64(..90).to_string();
                self.tell(pending.token, 429, Some(&seconds), "");
            }
            Mood::Resetting => {
                self.pipeline.handle_answer(pending.token, &Answer::default(), self.now);
            }
            Mood::Partial => {
                let (bad, good): (Vec<Sent>, Vec<Sent>) =
                    records.iter().cloned().partition(|record| record.is_poison || self.rng.u8(..20) == 0);
                let body = format!(r#"{{"partialSuccess":{{"rejectedLogRecords":"{}"}}}}"#, bad.len());
                self.accept(pending.token, &good, &bad, &body);
            }
            Mood::Healthy | Mood::Slow if has_poison => {
                self.tell(pending.token, 400, None, "");
            }
            Mood::Healthy | Mood::Slow => self.accept(pending.token, &records, &[], "{}"),
        }
    }

    fn tell(&mut self, token: u32, status: u16, retry_after: Option<&str>, body: &str) {
        let answer =
            Answer { status: Some(status), retry_after: retry_after.map(str::as_bytes), body: body.as_bytes() };
        self.pipeline.handle_answer(token, &answer, self.now);
    }

    fn accept(&mut self, token: u32, good: &[Sent], bad: &[Sent], body: &str) {
        self.collector.take(good);
        self.collector.refused_reports.extend(bad.iter().filter(|record| record.loss.is_some()).cloned());
        let before = self.count(Counter::Acknowledged);
        self.tell(token, 200, None, body);
        let acknowledged = self.count(Counter::Acknowledged) - before;
        if acknowledged > 0 {
            assert_eq!(acknowledged, good.len() as u64);
            for record in good {
                assert!(self.collector.acknowledged.insert(record.uid.clone()), "acknowledged twice: {record:?}");
            }
        }
    }

    fn count(&self, counter: Counter) -> u64 {
        self.pipeline.stats.counter(counter)
    }

    /// The invariants that hold after every step.
    #[track_caller]
    fn check(&self) {
        let gauge = |gauge| self.pipeline.stats.gauge(gauge);
        let ended: u64 = Counter::ENDS.iter().map(|counter| self.count(*counter)).sum();
        assert_eq!(self.count(Counter::Captured), ended + gauge(Gauge::BufferRecords), "nothing vanishes");
        assert!(gauge(Gauge::BufferBytes) <= self.settings.buffer.max_bytes as u64, "too many bytes");
        let most = self.settings.buffer.max_records as u64 + MOST_REPORTS;
        assert!(gauge(Gauge::BufferRecords) <= most, "too many records: {}", gauge(Gauge::BufferRecords));
        let held = self.pipeline.unacknowledged().map_or(0, |left| left.count);
        assert_eq!(gauge(Gauge::BufferRecords), held);
        assert!(gauge(Gauge::InFlightBatches) <= 4);
    }

    /// The audit cluster recovers for good and the configuration goes away: everything must end.
    fn heal_and_end(&mut self) {
        self.is_healed = true;
        self.pending.retain(|pending| !matches!(pending.mood, Mood::Silent));
        self.pass(Duration::from_secs(1));
        self.pipeline.handle_shutdown(self.now);
        for _ in 0..1000 {
            if self.pipeline.is_drained(self.now) && self.pending.is_empty() {
                return;
            }
            self.pass(Duration::from_millis(250));
        }
        panic!("not drained: {:?}", self.pipeline.unacknowledged());
    }

    fn check_end(&self) {
        assert_eq!(self.pipeline.unacknowledged(), None);
        assert!(self.pipeline.is_drained(self.now));
        assert_eq!(Gauge::ALL.map(|(gauge, _)| self.pipeline.stats.gauge(gauge)), [0; 3], "places leak");
        let captured = self.count(Counter::Captured);
        let delivered: BTreeSet<u64> = self.collector.taken.values().map(|record| record.number).collect();
        assert_eq!(delivered.len(), self.collector.taken.len(), "two records have one number");
        let told = self.collector.taken.values().filter_map(|record| record.loss);
        let refused = self.collector.refused_reports.iter().filter_map(|record| record.loss);
        let ranges: Vec<(u64, u64, u64)> = told.chain(refused).collect();
        let refused_reports: BTreeSet<u64> =
            self.collector.refused_reports.iter().map(|record| record.number).collect();
        for number in 0..captured {
            let is_covered = ranges.iter().any(|(_, first, last)| (*first..=*last).contains(&number));
            let is_known = delivered.contains(&number) || refused_reports.contains(&number) || is_covered;
            assert!(is_known, "number {number} of {captured} vanished");
        }
        assert!(delivered.iter().all(|number| *number < captured));
        assert!(self.collector.acknowledged.iter().all(|uid| self.collector.taken.contains_key(uid)));
        let lost = captured - self.count(Counter::Acknowledged);
        let counted: u64 = ranges.iter().map(|(count, _, _)| count).sum();
        assert!(counted + refused_reports.len() as u64 >= lost, "{counted} reported of {lost} lost");
    }
}

impl Collector {
    /// Every attempt of a batch must have the bytes of the first.
    fn see_attempt(&mut self, id: Uuid, body: &str) -> Rc<[Sent]> {
        if let Some((first, records)) = self.bodies.get(&id) {
            assert_eq!(first, body, "a batch's bytes changed between attempts");
            return Rc::clone(records);
        }
        assert!(body.contains(&id.to_string()), "a batch names itself");
        let records: Rc<[Sent]> = records(body).into();
        for record in &*records {
            let uid = self.uids.entry(record.number).or_insert_with(|| record.uid.clone());
            assert_eq!(*uid, record.uid, "a record's uid changed");
        }
        self.bodies.insert(id, (body.to_owned(), Rc::clone(&records)));
        records
    }

    fn take(&mut self, records: &[Sent]) {
        self.taken.extend(records.iter().map(|record| (record.uid.clone(), record.clone())));
    }
}

fn records(body: &str) -> Vec<Sent> {
    let body: Value = serde_json::from_str(body).unwrap();
    let list = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().clone();
    assert!(!list.is_empty(), "an empty batch");
    list.iter().map(read).collect()
}

fn read(record: &Value) -> Sent {
    let attributes: HashMap<&str, &Value> = record["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["key"].as_str().unwrap(), entry["value"].as_object().unwrap().values().next().unwrap()))
        .collect();
    let int = |name: &str| attributes.get(name).map(|value| value.as_str().unwrap().parse::<u64>().unwrap());
    let loss = int("audit.loss.count")
        .map(|count| (count, int("audit.loss.first_number").unwrap(), int("audit.loss.last_number").unwrap()));
    if let Some((count, first, last)) = loss {
        assert!(count > 0 && first <= last, "{record}");
    }
    Sent {
        uid: attributes["log.record.uid"].as_str().unwrap().to_owned(),
        number: int("audit.sequence.number").unwrap(),
        is_poison: attributes.get("url.path").is_some_and(|path| *path == POISON),
        loss,
    }
}

fn settings(rng: &mut Rng) -> Settings {
    let max_records = rng.usize(1..60);
    Settings {
        service: "simulation".to_owned(),
        target: Target {
            cluster: "audit".to_owned(),
            authority: "audit".to_owned(),
            path: "/v1/logs".to_owned(),
            format: Format::OtlpJson,
            headers: Vec::new(),
            timeout: Duration::from_secs(rng.u64(1..10)),
        },
        batch: BatchLimits {
            max_records: rng.usize(1..30),
            max_bytes: rng.usize(1024..40_000),
            max_delay: Duration::from_millis(rng.u64(1..2000)),
        },
        buffer: BufferLimits {
            max_records,
            max_bytes: rng.usize(1024..50_000),
            on_full: if rng.bool() { OnFull::DropNewest } else { OnFull::DropOldest },
            immediate_reserve_percent: rng.usize(..91),
        },
        retry: RetryPolicy {
            initial_backoff: Duration::from_millis(rng.u64(1..500)),
            max_backoff: Duration::from_millis(rng.u64(500..30_000)),
            max_attempts: rng.bool().then(|| rng.u64(1..6)),
            max_age: rng.bool().then(|| Duration::from_millis(rng.u64(1..100_000))),
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
        ..ExchangeRecord::new(Rc::from("r"), Protocol::Http, Some(Outcome::Success))
    })
}
