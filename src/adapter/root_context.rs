//! One configuration in one worker: sets it up, and drives its pipeline on ticks, wake-ups and answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::abi::{Buffer, LogLevel, Map};
use super::clock::Clock;
use super::contexts::{forget_root, with_stream};
use super::held::Held;
use super::hostcalls::{CurrentStream, HeaderMap, ProcessData, dispatch};
use super::http_context::offer;
use super::metrics::Metrics;
use super::{imports, random, vm};
use crate::config::{self, Config};
use crate::host::Gone;
use crate::pipeline::Pipeline;
use crate::pipeline::answer::{Answer, MAX_BODY_BYTES};
use crate::pipeline::buffer::Place;
use crate::pipeline::notices::Level;
use crate::recorder::correlation::Correlator;
use crate::recorder::exchange::Exchange;
use crate::recorder::ongoing::Ongoing;
use crate::recorder::recreated::Recreated;
use crate::recorder::{Host, Recorder};
use crate::stats::Stats;
use crate::time::Now;

/// What the root context and its streams share. Borrowed only inside one callback.
pub(super) struct Worker {
    pub(super) recorder: Recorder,
    pipeline: RefCell<Pipeline>,
    metrics: RefCell<Metrics>,
    pub(super) clock: Clock,
    pub(super) held: Held,
    pub(super) correlator: RefCell<Correlator>,
    pub(super) ongoing: RefCell<Ongoing>,
    pub(super) recreated: RefCell<Recreated<Option<Place>>>,
    wake_queue: Option<u32>,
    /// Envoy's id of the root context.
    root: u32,
    /// Crashed VMs that the pipeline was told of; `None` before the first tick.
    heard_of: Cell<Option<usize>>,
}

/// The root context; empty until its configuration is accepted.
pub(super) struct Root {
    id: u32,
    worker: RefCell<Option<Rc<Worker>>>,
}

/// Shortest and longest tick. The tick bounds how much later than `batch.max_delay` a batch leaves, and how much is
/// lost when a process is killed; an idle tick costs microseconds.
const TICK_RANGE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// Most long exchanges that one tick reports. The others follow with the next one, so that exchanges that have begun
/// together hold up no others, and leave room in the buffer.
const MAX_REPORTS: usize = 200;

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, worker: RefCell::default() }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn worker(&self) -> Option<Rc<Worker>> {
        self.worker.borrow().clone()
    }

    /// A context that is configured again keeps its worker, with all that it holds: the host finds a context by its
    /// configuration, so it is the same one.
    fn configure(&self, config: Config) -> Result<(), String> {
        if self.worker().is_some() {
            return Ok(());
        }
        let (stream_id, vm) = (random::uuid()?, random::uuid()?);
        let seed = u64::from_le_bytes(random::bytes()?);
        let (shortest, longest) = TICK_RANGE;
        let tick = (config.pipeline.batch.max_delay / 4).clamp(shortest, longest);
        if !imports::set_tick_period(tick) {
            return Err("no tick from the host".to_owned());
        }
        let rules = config.recorder.policy.len();
        imports::log(LogLevel::Info, &format!("configured: stream {stream_id}, rules {rules}"));
        for warning in config.warnings() {
            imports::log(LogLevel::Warn, &warning);
        }
        let scope = config.recorder.correlation_scope;
        let worker = Rc::new(Worker {
            correlator: RefCell::new(Correlator::new(scope, stream_id, Rc::new(ProcessData))),
            recorder: Recorder::new(config.recorder),
            pipeline: RefCell::new(Pipeline::new(
                config.pipeline,
                stream_id,
                seed,
                vm::enlist(vm, self.id),
                Rc::new(ProcessData),
            )),
            metrics: RefCell::new(Metrics::define()),
            clock: Clock::new(),
            held: Held::default(),
            ongoing: RefCell::default(),
            recreated: RefCell::default(),
            root: self.id,
            heard_of: Cell::new(None),
            // Named by the stream, since a queue wakes only the last of several that registered its name.
            wake_queue: imports::register_shared_queue(&format!("audit_filter.wake.{stream_id}")),
        });
        self.worker.replace(Some(worker));
        Ok(())
    }
}

impl Worker {
    /// Runs `work` on the pipeline, alone: host calls that could come back are made after it.
    pub(super) fn with_pipeline<T>(&self, work: impl FnOnce(&mut Pipeline) -> T) -> T {
        work(&mut self.pipeline.borrow_mut())
    }

    /// Runs `work` with what the recorder may use in a callback of the stream that is running.
    pub(super) fn with_host<T>(
        &self,
        stats: &mut Stats,
        clock: &dyn Fn() -> Now,
        work: impl FnOnce(&mut Host<'_>) -> T,
    ) -> T {
        let mut correlator = self.correlator.borrow_mut();
        let fresh_id = &|| random::uuid().ok();
        work(&mut Host { stream: &CurrentStream, clock, fresh_id, correlator: &mut correlator, stats })
    }

    /// Wakes the root context: only its callouts have their answers delivered when the stream is gone.
    pub(super) fn wake(&self) {
        if let Some(queue) = self.wake_queue {
            // Without a wake-up the next tick sends the batch.
            let _ = imports::enqueue_shared_queue(queue, b"w");
        }
    }

    /// Makes the callouts that are due, at most `limit`, then tells Envoy what was decided and noticed.
    fn drive(&self, limit: usize) {
        self.call_out(limit);
        while let Some(decision) = self.with_pipeline(Pipeline::poll_decision) {
            self.held.release(decision, self.root);
        }
        let mut pipeline = self.pipeline.borrow_mut();
        for notice in pipeline.poll_notices() {
            print(notice.level, &format!("stream {}: {}", pipeline.stream_id(), notice.text));
        }
    }

    /// Tells Envoy what was counted.
    fn publish(&self) {
        let mut pipeline = self.pipeline.borrow_mut();
        let gauges = pipeline.gauges();
        self.metrics.borrow_mut().publish(&mut pipeline.stats, gauges);
        pipeline.handle_published(gauges);
    }

    /// Tells the pipeline of crashed VMs. The roll is called at the first tick: the instances that configure and never
    /// run do not come so far.
    fn look_for_crashes(&self) {
        let Some(mut index) = self.heard_of.get() else {
            vm::call_the_roll(self.root);
            return self.heard_of.set(Some(0));
        };
        while let Some(crashed) = vm::crashed(index) {
            index += 1;
            self.with_pipeline(|pipeline| pipeline.handle_crash(crashed));
        }
        self.heard_of.set(Some(index));
    }

    /// Has the exchanges recorded that have gone on for long, each in the context of its stream.
    fn report_long_exchanges(&self) {
        let Some(age) = self.recorder.started_after() else { return };
        let next = |_| self.ongoing.borrow_mut().pop_older(age, self.clock.now().uptime);
        let mut has_switched = false;
        for context in (0..MAX_REPORTS).map_while(next) {
            if imports::set_effective_context(context) {
                has_switched = true;
                with_stream(context, |stream| stream.report_started());
            }
        }
        if has_switched {
            imports::set_effective_context(self.root);
        }
    }

    /// Ends the exchanges that have waited until now for their stream to be recreated.
    fn end_what_was_not_recreated(&self, now: Duration) {
        let next = || self.recreated.borrow_mut().expire(now);
        while let Some((exchange, place)) = next() {
            self.end_lost(exchange, place);
        }
    }

    /// Ends an exchange whose stream is gone. Its record leaves with the next tick.
    pub(super) fn end_lost(&self, mut exchange: Exchange, place: Option<Place>) {
        let now = self.clock.now();
        self.with_pipeline(|pipeline| {
            let ended = self.recorder.handle_end(&mut exchange, &Gone, &|| now, &mut pipeline.stats);
            offer(pipeline, ended.record, place, &|| now);
        });
    }

    fn call_out(&self, limit: usize) {
        let mut pipeline = self.pipeline.borrow_mut();
        for _ in 0..limit {
            let now = self.clock.now();
            let Some(callout) = pipeline.poll_callout(now) else { break };
            let token = dispatch(&callout);
            pipeline.handle_dispatched(token, now);
        }
    }

    /// Whether everything is delivered that a pipeline that ends has had. Then nothing is left to take over.
    fn ends(&self) -> bool {
        let is_drained = self.pipeline.borrow().is_drained(self.clock.now());
        if is_drained {
            self.publish();
            self.with_pipeline(Pipeline::close);
        }
        is_drained
    }
}

fn print(level: Level, line: &str) {
    let level = match level {
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
    };
    imports::log(level, line);
}

impl Root {
    pub(super) fn on_configure(&self, size: usize) -> bool {
        let bytes = imports::buffer(Buffer::PluginConfiguration, 0, size).unwrap_or_default();
        let environment = |name: &str| std::env::var(name).ok();
        let parsed = config::parse(&bytes, &environment);
        #[cfg(feature = "lean")]
        let parsed = parsed.and_then(config::lean::check);
        match parsed.map_err(|error| error.to_string()).and_then(|config| self.configure(config)) {
            Ok(()) => true,
            Err(line) => {
                imports::log(LogLevel::Error, &line);
                false
            }
        }
    }

    pub(super) fn on_tick(&self) {
        let Some(worker) = &self.worker() else { return };
        worker.clock.set();
        worker.look_for_crashes();
        worker.report_long_exchanges();
        worker.end_what_was_not_recreated(worker.clock.now().uptime);
        worker.with_pipeline(|pipeline| pipeline.handle_tick(worker.clock.now()));
        worker.drive(usize::MAX);
        worker.publish();
        self.finish_if_drained(worker);
    }

    pub(super) fn on_queue_ready(&self, queue: u32) {
        let Some(worker) = &self.worker() else { return };
        // The message says nothing but that it was sent; it is taken so that the queue stays empty.
        let _ = imports::dequeue_shared_queue(queue);
        if worker.wake_queue == Some(queue) {
            worker.drive(usize::MAX);
        } else {
            vm::hear(queue);
        }
    }

    pub(super) fn on_http_call_response(&self, token: u32, num_headers: usize, body_size: usize) {
        let Some(worker) = &self.worker() else { return };
        // Without headers the map is empty: the stream was reset.
        let headers = HeaderMap::read(Map::CallResponseHeaders);
        let headers = headers.headers();
        let status = headers.first(":status").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let body = read_body(num_headers, body_size);
        let answer = Answer { status, retry_after: headers.first("retry-after"), body: &body };
        worker.with_pipeline(|pipeline| pipeline.handle_answer(token, &answer, worker.clock.now()));
        worker.drive(usize::MAX);
        self.finish_if_drained(worker);
    }

    /// The last chance: one callout with everything that is left, since a second one would not leave a process that
    /// ends. False keeps the context alive where the VM survives, until everything is acknowledged.
    pub(super) fn on_done(&self) -> bool {
        let Some(worker) = &self.worker() else { return true };
        worker.end_what_was_not_recreated(Duration::MAX);
        let is_worth_it = worker.with_pipeline(|pipeline| pipeline.handle_shutdown(worker.clock.now()));
        worker.drive(usize::from(is_worth_it));
        worker.publish();
        worker.ends()
    }

    fn finish_if_drained(&self, worker: &Worker) {
        if worker.ends() {
            imports::done();
            forget_root(self.id);
        }
    }
}

fn read_body(num_headers: usize, body_size: usize) -> Vec<u8> {
    if num_headers == 0 || body_size == 0 {
        return Vec::new();
    }
    imports::buffer(Buffer::CallResponseBody, 0, body_size.min(MAX_BODY_BYTES)).unwrap_or_default()
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.get_mut() {
            worker.metrics.borrow_mut().withdraw();
        }
    }
}
