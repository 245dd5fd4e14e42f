//! One worker: a pipeline in a VM, what it has on its way, and the requests that wait for it.

use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::Pipeline;
use audit_filter::pipeline::admission::Admission;
use audit_filter::pipeline::answer::Answer;
use audit_filter::pipeline::buffer::Place;
use audit_filter::pipeline::settings::Settings;
use audit_filter::pipeline::window::MAX_IN_FLIGHT;
use audit_filter::record::{ExchangeRecord, Received, RequireAudit, Stage};
use audit_filter::stats::{Counter, Gauge};
use audit_filter::time::Now;
use fastrand::Rng;
use uuid::Uuid;

use crate::collector::{Collector, Sent};
use crate::host::{Carried, Host};
use crate::settings::exchange;
use crate::shared::Shared;

/// Reports of losses and the stream's start take no place in the buffer; more than these are never held at once.
const MOST_REPORTS: u64 = 300;

/// How the audit cluster treats an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Healthy for good, and never too late.
    Healed,
    Healthy,
    Overloaded,
    Throttling,
    Partial,
    Resetting,
    Silent,
    Slow,
    Refusing,
}

pub const MOODS: [Mood; 8] = [
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

/// A request that was let through or is held, with the place that is kept for its record.
struct Open {
    ticket: Option<u64>,
    place: Place,
    since: Duration,
}

pub struct Worker {
    pub vm: Uuid,
    pub stream: Uuid,
    pub pipeline: Pipeline,
    settings: Settings,
    pending: Vec<Pending>,
    open: Vec<Open>,
    tokens: u32,
    carried: Carried,
    /// Bytes of a batch that it may have taken over beyond its own limits.
    beyond: usize,
}

impl Worker {
    pub fn new(rng: &mut Rng, settings: &Settings, shared: &Rc<Shared>, beyond: usize) -> Self {
        let (vm, stream) = (Uuid::from_u128(rng.u128(1..)), Uuid::from_u128(rng.u128(1..)));
        let shared = Rc::<Shared>::clone(shared);
        let pipeline = Pipeline::new(settings.clone(), stream, rng.u64(..), vm, shared);
        Self {
            vm,
            stream,
            pipeline,
            settings: settings.clone(),
            pending: Vec::new(),
            open: Vec::new(),
            tokens: 0,
            carried: Carried::default(),
            beyond,
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.pipeline.stats.counter(counter)
    }

    /// A request comes whose rule requires a record.
    pub fn admit(&mut self, rng: &mut Rng, now: Now) {
        let required = if rng.bool() { RequireAudit::Buffered } else { RequireAudit::Acknowledged };
        let received = ExchangeRecord { stage: Stage::Received, outcome: None, ..*exchange(rng) };
        let ticket = match self.pipeline.admit(
            required,
            Received { record: Box::new(received), most_ending_bytes: 8192 },
            now,
        ) {
            Admission::Refuse => return,
            Admission::Proceed(place) => (None, place),
            Admission::Hold { ticket, place, .. } => (Some(ticket), place),
        };
        self.open.push(Open { ticket: ticket.0, place: ticket.1, since: now.uptime });
        self.check();
    }

    /// Exchanges end: one that had a place kept, or a plain one.
    pub fn offer(&mut self, rng: &mut Rng, now: Now) -> bool {
        let mut wakes = false;
        for _ in 0..rng.usize(1..10) {
            let open = if rng.bool() { self.open.pop() } else { None };
            if let Some(ticket) = open.as_ref().and_then(|open| open.ticket) {
                self.pipeline.handle_request_gone(ticket);
            }
            let place = open.map(|open| open.place);
            if place.is_some() && rng.u8(..5) == 0 {
                self.pipeline.handle_no_exchange(place);
            } else {
                let dropped = self.count(Counter::DroppedBufferFull);
                let was_kept = place.is_some();
                let record = if was_kept {
                    ExchangeRecord { path: b"/path".to_vec(), ..*exchange(rng) }
                } else {
                    *exchange(rng)
                };
                wakes |= self.pipeline.handle_exchange(Box::new(record), place, now);
                let is_bulk_in_reserve = was_kept && self.count(Counter::DroppedBufferFull) > dropped;
                assert!(
                    !is_bulk_in_reserve || self.settings.buffer.immediate_reserve_percent > 0,
                    "a kept place was given away"
                );
            }
            self.check();
        }
        wakes
    }

    pub fn tick(&mut self, now: Now) {
        self.pipeline.handle_tick(now);
        self.check();
        self.decide(now);
    }

    /// No request waits longer than it may.
    fn decide(&mut self, now: Now) {
        while let Some(decision) = self.pipeline.poll_decision() {
            let open = self.open.iter_mut().find(|open| open.ticket == Some(decision.ticket));
            assert!(open.is_some(), "a decision about a request that does not wait");
            open.unwrap().ticket = None;
        }
        let waits_too_long =
            |open: &Open| open.ticket.is_some() && now.uptime >= open.since + self.settings.target.timeout;
        assert!(!self.open.iter().any(waits_too_long), "a request is held beyond the deadline");
    }

    /// Tells the host what was counted.
    pub fn publish(&mut self, host: &mut Host) {
        let gauges = self.pipeline.gauges();
        host.publish(&mut self.carried, &self.pipeline.stats, gauges);
        self.pipeline.handle_published(gauges);
    }

    pub fn drive(&mut self, rng: &mut Rng, mood: Mood, collector: &mut Collector, now: Now) {
        while let Some(callout) = self.pipeline.poll_callout(now) {
            let records = collector.see_attempt(callout.batch_id, str::from_utf8(callout.body).unwrap());
            let token = (!matches!(mood, Mood::Refusing)).then(|| {
                self.tokens += 1;
                self.tokens
            });
            if let Some(token) = token {
                let latency = Duration::from_millis(match mood {
                    Mood::Healed => rng.u64(..1000),
                    Mood::Slow => 20_000,
                    _ => rng.u64(..3000),
                });
                self.pending.push(Pending { token, records, mood, due: now.uptime + latency });
            }
            self.pipeline.handle_dispatched(token, now);
            self.check();
        }
    }

    pub fn answer_due(&mut self, rng: &mut Rng, collector: &mut Collector, now: Now) {
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.due <= now.uptime);
        self.pending = later;
        let due: Vec<Pending> = due;
        for pending in due {
            self.answer(&pending, rng, collector, now);
            self.check();
            self.decide(now);
        }
    }

    fn answer(&mut self, pending: &Pending, rng: &mut Rng, collector: &mut Collector, now: Now) {
        let records = Rc::clone(&pending.records);
        let has_poison = records.iter().any(|record| record.is_poison);
        match pending.mood {
            Mood::Silent | Mood::Refusing => {}
            Mood::Overloaded => {
                // The audit cluster may have stored the batch all the same.
                if rng.bool() && !has_poison {
                    collector.take(&records);
                }
                self.tell(pending.token, [500, 503, 401, 404][rng.usize(..4)], None, "", now);
            }
            Mood::Throttling => self.tell(pending.token, 429, Some(&rng.u64(..90).to_string()), "", now),
            Mood::Resetting => self.pipeline.handle_answer(pending.token, &Answer::default(), now),
            Mood::Partial => {
                let (bad, good): (Vec<Sent>, Vec<Sent>) =
                    records.iter().cloned().partition(|record| record.is_poison || rng.u8(..20) == 0);
                let body = format!(r#"{{"partialSuccess":{{"rejectedLogRecords":"{}"}}}}"#, bad.len());
                self.accept(pending.token, &good, &bad, &body, collector, now);
            }
            Mood::Healed | Mood::Healthy | Mood::Slow if has_poison => {
                collector
                    .refused_reports
                    .extend(records.iter().filter(|record| records.len() == 1 && record.loss.is_some()).cloned());
                self.tell(pending.token, 400, None, "", now);
            }
            Mood::Healed | Mood::Healthy | Mood::Slow => {
                self.accept(pending.token, &records, &[], "{}", collector, now)
            }
        }
    }

    fn tell(&mut self, token: u32, status: u16, retry_after: Option<&str>, body: &str, now: Now) {
        let answer =
            Answer { status: Some(status), retry_after: retry_after.map(str::as_bytes), body: body.as_bytes() };
        self.pipeline.handle_answer(token, &answer, now);
    }

    fn accept(&mut self, token: u32, good: &[Sent], bad: &[Sent], body: &str, collector: &mut Collector, now: Now) {
        collector.take(good);
        // Reports that are refused without anything else beside them are not made again.
        if good.iter().chain(bad).all(|record| record.loss.is_some()) {
            collector.refused_reports.extend(bad.iter().cloned());
        }
        let before = self.count(Counter::Acknowledged);
        self.tell(token, 200, None, body, now);
        let acknowledged = self.count(Counter::Acknowledged) - before;
        if acknowledged > 0 {
            assert_eq!(acknowledged, good.len() as u64);
            for record in good {
                let is_new = collector.acknowledged.insert((self.stream, record.uid.clone()));
                assert!(is_new, "acknowledged twice: {record:?}");
            }
        }
    }

    /// Answers that never come are out of the way, so that everything can end.
    pub fn forget_silence(&mut self) {
        self.pending.retain(|pending| !matches!(pending.mood, Mood::Silent));
    }

    /// All streams end, all places are given back.
    pub fn end_streams(&mut self, now: Now) {
        for open in std::mem::take(&mut self.open) {
            if let Some(ticket) = open.ticket {
                self.pipeline.handle_request_gone(ticket);
            }
            self.pipeline.handle_no_exchange(Some(open.place));
        }
        self.pipeline.handle_shutdown(now);
    }

    pub fn has_ended(&self, now: Now) -> bool {
        self.pipeline.is_drained(now) && self.pending.is_empty()
    }

    /// The invariants that hold after every step.
    #[track_caller]
    pub fn check(&self) {
        let [records, bytes, in_flight] = self.pipeline.gauges();
        let inherited = self.pipeline.stats.inherited(Gauge::BufferRecords);
        let ended: u64 = Counter::ENDS.iter().map(|counter| self.count(*counter)).sum();
        assert_eq!(self.count(Counter::Captured) + inherited, ended + records, "nothing vanishes");
        let most = (self.settings.buffer.max_bytes + self.beyond) as u64;
        assert!(bytes <= most, "too many bytes: {bytes}");
        let most = self.settings.buffer.max_records as u64 + MOST_REPORTS + inherited;
        assert!(records <= most, "too many records: {records}");
        assert!(in_flight <= (MAX_IN_FLIGHT.bulk + MAX_IN_FLIGHT.immediate) as u64);
    }
}
