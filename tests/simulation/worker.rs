//! One worker: a pipeline in a VM, its callouts in flight, and the requests that wait for it.

use std::rc::Rc;
use std::time::Duration;

use audit_filter::pipeline::Pipeline;
use audit_filter::pipeline::account::Account;
use audit_filter::pipeline::admission::Admission;
use audit_filter::pipeline::answer::Answer;
use audit_filter::pipeline::buffer::Reservation;
use audit_filter::pipeline::journal::{Authenticated, Key, StreamOwner};
use audit_filter::pipeline::settings::PipelineSettings;
use audit_filter::pipeline::trouble::Refusal;
use audit_filter::pipeline::window::MAX_IN_FLIGHT;
use audit_filter::record::{ExchangeRecord, Received, RequireAudit, Stage};
use audit_filter::stats::{Counter, Gauge, Stats};
use audit_filter::time::Now;
use fastrand::Rng;
use uuid::Uuid;

use crate::collector::{Collector, Sent};
use crate::host::{Carried, Host};
use crate::settings::{exchange, request};
use crate::shared::Shared;

/// Loss reports and the stream's start do not count against the buffer; more than these are never
/// held at once.
const MOST_REPORTS: u64 = 300;
/// Clients that send requests with a required record.
const CONNECTIONS: u64 = 3;
/// Minimum size of a reservation, in bytes.
const ENDING_BYTES: usize = 8192;

/// The audit cluster's treatment of an attempt.
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
    /// Every other attempt fails.
    Alternating,
    /// Every attempt gets this status, whatever its content.
    Misconfigured(u16),
}

pub const MOODS: [Mood; 9] = [
    Mood::Healthy,
    Mood::Overloaded,
    Mood::Throttling,
    Mood::Partial,
    Mood::Resetting,
    Mood::Silent,
    Mood::Slow,
    Mood::Refusing,
    Mood::Alternating,
];

/// Answers of a misconfigured audit cluster.
pub const REFUSALS: [u16; 6] = [400, 401, 413, 415, 422, 500];

/// A callout in flight: its content, and the time of its answer, if any.
struct Pending {
    token: u32,
    records: Rc<[Sent]>,
    mood: Mood,
    due: Duration,
}

/// A request that was admitted or is held, with the reservation for its record.
struct Open {
    connection: u64,
    ticket: Option<u64>,
    reservation: Reservation,
    since: Duration,
}

pub struct Worker {
    pub vm: Uuid,
    pub stream: Uuid,
    pub pipeline: Pipeline,
    stats: Rc<Stats>,
    pub account: Rc<Account>,
    settings: PipelineSettings,
    pending: Vec<Pending>,
    open: Vec<Open>,
    tokens: u32,
    carried: Carried,
    /// Bytes of a batch from a takeover, which may exceed its limits.
    pub beyond: usize,
    /// It holds records of its own stream only.
    pub is_first: bool,
}

impl Worker {
    pub fn new(
        rng: &mut Rng,
        settings: &PipelineSettings,
        shared: &Rc<Shared>,
        beyond: usize,
    ) -> Self {
        let vm = Uuid::from_u128(rng.u128(1..));
        Self::in_vm((vm, Rc::default()), rng, settings, shared, beyond)
    }

    /// One of several configurations in a VM, which share one account.
    pub fn in_vm(
        (vm, account): (Uuid, Rc<Account>),
        rng: &mut Rng,
        settings: &PipelineSettings,
        shared: &Rc<Shared>,
        beyond: usize,
    ) -> Self {
        let stream = Uuid::from_u128(rng.u128(1..));
        let owner = StreamOwner::new(vm, stream, b"plugin", settings);
        let journal =
            Authenticated::new(Rc::<Shared>::clone(shared), &[], Key::of_secret(b"process"));
        let stats = Rc::<Stats>::default();
        let pipeline = Pipeline::new(
            settings.clone(),
            owner,
            rng.u64(..),
            Rc::new(journal),
            Rc::clone(&account),
            Rc::clone(&stats),
        );

        Self {
            vm,
            account,
            stream,
            pipeline,
            stats,
            settings: settings.clone(),
            pending: Vec::new(),
            open: Vec::new(),
            tokens: 0,
            carried: Carried::default(),
            beyond,
            is_first: true,
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.stats.counter(counter)
    }

    /// Records that have ended without an acknowledgement.
    fn dropped(&self) -> u64 {
        let ends = Counter::ENDS
            .iter()
            .filter(|counter| **counter != Counter::Acknowledged);
        ends.map(|counter| self.count(*counter)).sum()
    }

    /// A kill of the process now would lose at most the collector's bound.
    #[track_caller]
    pub fn check_bound(&self, collector: &Collector) {
        let Some(known) = collector.known(self.stream) else {
            return;
        };

        let given_out = self.pipeline.numbers_given_out();
        let Some(beyond) = given_out.checked_sub(known.next) else {
            panic!("{known:?} of {given_out} numbers")
        };

        // A stream without a stored start has no known bound.
        let Some(most_held) = known.most_held else {
            return;
        };
        let exchanges = beyond - collector.own_from(self.stream, known.next);
        let dropped = self.dropped() - known.dropped;
        assert!(
            exchanges <= most_held + dropped,
            "{exchanges} are lost beyond {known:?}, {dropped} of them dropped"
        );
    }

    /// Records of a live stream arrive, even if it is idle.
    #[track_caller]
    pub fn check_signs_of_life(&self, collector: &Collector, now: Now) {
        let Some(interval) = self
            .settings
            .alive_interval
            .map(|interval| interval.max(self.settings.batch.max_delay))
        else {
            return;
        };

        if self.pipeline.numbers_given_out() > 0 {
            let heard = collector
                .known(self.stream)
                .map(|known| now.uptime - known.heard);
            assert!(
                heard.is_some_and(|since| since < 2 * interval),
                "heard of {heard:?} ago, every {interval:?}"
            );
        }
    }

    /// A request arrives with a rule that requires a record.
    pub fn admit(&mut self, rng: &mut Rng, now: Now) {
        let required = if rng.bool() {
            RequireAudit::Buffered
        } else {
            RequireAudit::Acknowledged
        };
        let received = ExchangeRecord {
            stage: Stage::Received,
            outcome: None,
            ..*exchange(rng)
        };

        let connection = rng.u64(..CONNECTIONS);
        let received = Received {
            record: Box::new(received),
            connection: Some(connection),
            most_ending_bytes: ENDING_BYTES,
        };
        let ticket = match self.pipeline.admit(required, received, now) {
            Admission::Refuse => return,
            Admission::Proceed(reservation) => (None, reservation),
            Admission::Hold {
                ticket,
                reservation,
                ..
            } => (Some(ticket), reservation),
        };

        self.open.push(Open {
            connection,
            ticket: ticket.0,
            reservation: ticket.1,
            since: now.uptime,
        });
        self.check();
    }

    /// Exchanges end: one with a reservation, or a plain one.
    pub fn offer(&mut self, rng: &mut Rng, now: Now) -> bool {
        let mut wakes = false;

        for _ in 0..rng.usize(1..10) {
            let open = if rng.bool() { self.open.pop() } else { None };
            if let Some(ticket) = open.as_ref().and_then(|open| open.ticket) {
                self.pipeline.handle_request_gone(ticket);
            }
            let reservation = open.map(|open| open.reservation);

            if reservation.is_some() && rng.u8(..5) == 0 {
                self.pipeline.handle_no_exchange(reservation);
            } else {
                let dropped = self.count(Counter::DroppedBufferFull);
                let was_kept = reservation.is_some();
                let record = if was_kept {
                    ExchangeRecord {
                        request: request("/path"),
                        ..*exchange(rng)
                    }
                } else {
                    *exchange(rng)
                };
                wakes |= self
                    .pipeline
                    .handle_exchange(Box::new(record), reservation, now);

                let is_dropped = self.count(Counter::DroppedBufferFull) > dropped;
                // A single batch of a predecessor is taken over regardless of the limits.
                let may_exceed = self.stats.inherited(Gauge::BufferRecords) > 0;
                assert!(
                    !was_kept || !is_dropped || may_exceed,
                    "a kept place was given away"
                );
            }

            self.check();
        }

        wakes
    }

    /// When a new stream has begun, yields the old one and its number of assigned sequence numbers.
    pub fn tick(&mut self, now: Now) -> Option<(Uuid, u64)> {
        let before = (self.stream, self.pipeline.numbers_given_out());
        self.pipeline.handle_tick(now);
        self.stream = self.pipeline.stream_id();
        self.check();
        self.decide(now);
        (self.stream != before.0).then_some(before)
    }

    /// No request waits longer than its limit.
    fn decide(&mut self, now: Now) {
        while let Some(decision) = self.pipeline.poll_decision() {
            let open = self
                .open
                .iter_mut()
                .find(|open| open.ticket == Some(decision.ticket));
            assert!(
                open.is_some(),
                "a decision about a request that does not wait"
            );
            open.unwrap().ticket = None;
        }

        let waits_too_long = |open: &Open| {
            open.ticket.is_some() && now.uptime >= open.since + self.settings.target.timeout
        };
        assert!(
            !self.open.iter().any(waits_too_long),
            "a request is held beyond the deadline"
        );
    }

    /// Publishes the statistics to the host.
    pub fn publish(&mut self, host: &mut Host, now: Now) {
        let gauges = self.pipeline.gauges_to_publish(now);
        host.publish(&mut self.carried, &self.stats, gauges);
        self.pipeline.handle_published(gauges);
    }

    pub fn drive(&mut self, rng: &mut Rng, mood: Mood, collector: &mut Collector, now: Now) {
        while let Some(callout) = self.pipeline.poll_callout(now) {
            let (id, body) = (
                callout.batch_id,
                str::from_utf8(callout.body).unwrap().to_owned(),
            );
            let records = collector.see_attempt(id, &body, self.dropped());
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
                self.pending.push(Pending {
                    token,
                    records,
                    mood,
                    due: now.uptime + latency,
                });
            }

            let refusal = if self.tokens.is_multiple_of(2) {
                Refusal::NotTaken
            } else {
                Refusal::UnknownCluster
            };
            self.pipeline.handle_dispatched(token.ok_or(refusal), now);
            self.check();
        }
    }

    pub fn answer_due(&mut self, rng: &mut Rng, collector: &mut Collector, now: Now) {
        let (due, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.due <= now.uptime);
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
                // The audit cluster may have stored the batch nevertheless.
                if rng.bool() && !has_poison {
                    collector.take(&records, now);
                }
                self.fail(pending, [500, 503, 401, 403, 404, 415][rng.usize(..6)], now);
            }
            Mood::Throttling => self.deliver_answer(
                pending.token,
                429,
                Some(&rng.u64(..90).to_string()),
                "",
                now,
            ),
            Mood::Resetting => self
                .pipeline
                .handle_answer(pending.token, &Answer::default(), now),
            Mood::Partial => {
                let (bad, good): (Vec<Sent>, Vec<Sent>) = records
                    .iter()
                    .cloned()
                    .partition(|record| record.is_poison || rng.u8(..20) == 0);
                let body = format!(
                    r#"{{"partialSuccess":{{"rejectedLogRecords":"{}"}}}}"#,
                    bad.len()
                );
                self.accept(pending.token, &good, &bad, &body, collector, now);
            }
            Mood::Misconfigured(status) => self.fail(pending, status, now),
            Mood::Alternating if collector.fails_now() => self.fail(pending, 503, now),
            // An answer that needs many attempts would outlast the end of the run.
            Mood::Healed if has_poison => self.fail(pending, 400, now),
            Mood::Healthy | Mood::Slow | Mood::Alternating if has_poison => {
                self.fail(pending, collector.poison_status, now);
            }
            Mood::Healed | Mood::Healthy | Mood::Slow | Mood::Alternating => {
                self.accept(pending.token, &records, &[], "{}", collector, now)
            }
        }
    }

    /// An answer that rejects nothing, unless the batch has a bad record only.
    fn fail(&mut self, pending: &Pending, status: u16, now: Now) {
        let rejected = self.count(Counter::Rejected);
        self.deliver_answer(pending.token, status, None, "", now);
        let is_bad = pending.records.len() == 1 && pending.records[0].is_poison;
        assert!(
            is_bad || self.count(Counter::Rejected) == rejected,
            "status {status} rejects {:?}",
            pending.records
        );
    }

    fn deliver_answer(
        &mut self,
        token: u32,
        status: u16,
        retry_after: Option<&str>,
        body: &str,
        now: Now,
    ) {
        let (status, retry_after) = (Some(status), retry_after.map(str::as_bytes));
        let answer = Answer {
            status,
            retry_after,
            body: body.as_bytes(),
            is_of_envoy: false,
        };
        self.pipeline.handle_answer(token, &answer, now);
    }

    fn accept(
        &mut self,
        token: u32,
        good: &[Sent],
        bad: &[Sent],
        body: &str,
        collector: &mut Collector,
        now: Now,
    ) {
        collector.take(good, now);
        // Reports that are refused alone in a batch are not repeated, and neither is the end of
        // another stream.
        let own = self.stream.to_string();
        let is_report =
            |record: &Sent| record.loss.is_some() || !record.is_exchange && record.stream != own;
        if good.iter().chain(bad).all(is_report) {
            collector.refused_reports.extend(bad.iter().cloned());
        }

        let before = self.count(Counter::Acknowledged);
        self.deliver_answer(token, 200, None, body, now);
        let acknowledged = self.count(Counter::Acknowledged) - before;

        if acknowledged > 0 {
            assert_eq!(acknowledged, good.len() as u64);
            for record in good {
                let is_new = collector
                    .acknowledged
                    .insert((self.stream, record.uid.clone()));
                assert!(
                    is_new || collector.may_double,
                    "acknowledged twice: {record:?}"
                );
            }
        }
    }

    /// Drops callouts that are never answered, so that all streams can end.
    pub fn forget_silence(&mut self) {
        self.pending
            .retain(|pending| !matches!(pending.mood, Mood::Silent));
    }

    /// All exchanges end, and all reservations are released.
    fn end_requests(&mut self) {
        for open in std::mem::take(&mut self.open) {
            if let Some(ticket) = open.ticket {
                self.pipeline.handle_request_gone(ticket);
            }
            self.pipeline.handle_no_exchange(Some(open.reservation));
        }
    }

    /// The configuration ends with its streams, and maybe the process.
    pub fn end_streams(&mut self, now: Now) {
        self.end_requests();
        self.pipeline.handle_shutdown(now);
    }

    /// The same, and the VM ends with it: undelivered records are left to others.
    pub fn end_with_vm(&mut self, host: &mut Host, now: Now) {
        self.end_requests();
        self.pipeline.handle_last_chance(now);
        self.publish(host, now);
        self.pipeline.handle_vm_end();
    }

    /// The configuration ends with its streams, and there is a successor.
    pub fn make_way(&mut self, now: Now) {
        self.end_requests();
        self.pipeline.handle_end(now);
    }

    /// Hands over its records, unless batches are in flight. Returns true when done.
    pub fn hand_over(&mut self, successor: &mut Self, host: &mut Host, now: Now) -> bool {
        let Some(handed_over) = self.pipeline.hand_over(now) else {
            return false;
        };

        host.publish(&mut self.carried, &self.stats, handed_over.gauges());
        self.carried.leave_share();
        successor.pipeline.handle_hand_over(handed_over, now);
        successor.is_first = false;
        successor.publish(host, now);
        self.pipeline.retire();
        successor.check();
        assert_eq!(self.pipeline.gauges(), [0; 3], "places leak");

        true
    }

    pub fn has_ended(&self, now: Now) -> bool {
        self.pipeline.is_drained(now) && self.pending.is_empty()
    }

    /// The invariants after every step.
    #[track_caller]
    pub fn check(&self) {
        let [records, bytes, in_flight] = self.pipeline.gauges();
        let inherited = self.stats.inherited(Gauge::BufferRecords);
        let ended: u64 = Counter::ENDS
            .iter()
            .map(|counter| self.count(*counter))
            .sum();
        assert_eq!(
            self.count(Counter::Captured).wrapping_add(inherited),
            ended + records,
            "nothing vanishes"
        );

        let most = (self.settings.buffer.max_bytes + self.beyond) as u64;
        assert!(bytes <= most, "too many bytes: {bytes}");

        let most =
            self.settings.buffer.max_records as u64 + MOST_REPORTS + inherited.min(u64::MAX >> 1);
        assert!(records <= most, "too many records: {records}");

        self.check_places();
        assert!(in_flight <= (MAX_IN_FLIGHT.bulk + MAX_IN_FLIGHT.immediate) as u64);
    }

    /// Reservations take at most half of the room, those of one connection a quarter of that; one
    /// is always allowed.
    #[track_caller]
    fn check_places(&self) {
        let limit = self.settings.buffer.for_reservations();
        let is_within = |count: usize, share: usize| {
            count <= 1
                || count <= limit.records / share && count * ENDING_BYTES <= limit.bytes / share
        };
        assert!(is_within(self.open.len(), 1), "{} places", self.open.len());

        for connection in 0..CONNECTIONS {
            let count = self
                .open
                .iter()
                .filter(|open| open.connection == connection)
                .count();
            assert!(is_within(count, 4), "{count} places of one connection");
        }
    }
}
