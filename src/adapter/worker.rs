//! One configuration in one Envoy worker: the recorder, the pipeline, and the state that streams
//! share.

use std::cell::{Cell, RefCell};
use std::iter;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::clock::Clock;
use super::held::Held;
use super::hostcalls::{CurrentStream, ProcessData, dispatch};
use super::metrics::Metrics;
use super::watched::Watched;
use super::{imports, random, vm};
use crate::config::Config;
use crate::host::Gone;
use crate::instance::instance;
use crate::pipeline::Pipeline;
use crate::pipeline::buffer::Reservation;
use crate::pipeline::journal::{Authenticated, Key, StreamOwner};
use crate::pipeline::notices::{Level, Notice};
use crate::record::ExchangeRecord;
use crate::recorder::correlation::Correlator;
use crate::recorder::exchange::Exchange;
use crate::recorder::ongoing::Ongoing;
use crate::recorder::recreated::Recreated;
use crate::recorder::{Recorder, Services};
use crate::stats::Stats;
use crate::time::Now;

/// Most long exchanges that one tick reports; the others follow with the next tick. So exchanges
/// that began together do not block others, and leave room in the buffer.
const MAX_REPORTS: usize = 200;

/// State shared by the root context and its streams. Borrowed only inside one callback.
pub(super) struct Worker {
    pub(super) recorder: Recorder,
    pub(super) pipeline: RefCell<Pipeline>,
    pub(super) stats: Rc<Stats>,
    metrics: RefCell<Metrics>,
    pub(super) clock: Clock,
    pub(super) held: Held,
    pub(super) correlator: RefCell<Correlator>,
    pub(super) ongoing: RefCell<Ongoing>,
    pub(super) watched: RefCell<Watched>,
    pub(super) recreated: RefCell<Recreated<Option<Reservation>>>,
    wake_queue: Option<u32>,
    /// Envoy's id of the root context.
    pub(super) root: u32,
    /// The plugin's name in Envoy's configuration, the same over its updates.
    pub(super) plugin: Vec<u8>,
    /// Number of crashed VMs that were reported to the pipeline; `None` before the first tick.
    next_crashed: Cell<Option<usize>>,
}

impl Worker {
    /// A worker with a new stream for the root context `root`, or the reason for which the host
    /// refuses it.
    pub(super) fn new(root: u32, mut config: Config) -> Result<Self, String> {
        let (stream_id, vm) = (random::uuid()?, random::uuid()?);
        let seed = u64::from_le_bytes(random::bytes()?);
        let rules = config.recorder.policy.len();

        log::info!("configured: stream {stream_id}, rules {rules}");
        for warning in &config.warnings {
            log::warn!("{warning}");
        }

        config.pipeline.resource.instance = instance_id()?;
        let plugin = imports::property("plugin_name").unwrap_or_default();
        let owner = StreamOwner::new(vm::register(vm, root), stream_id, &plugin, &config.pipeline);
        let fresh = Key::of_secret(&random::bytes::<32>()?);
        let shared = Authenticated::new(Rc::new(ProcessData), &config.pipeline.journal_keys, fresh);

        let stats = Rc::<Stats>::default();

        Ok(Self {
            correlator: RefCell::new(Correlator::new(
                config.recorder.correlation_scope,
                stream_id,
                Rc::new(ProcessData),
            )),
            recorder: Recorder::new(config.recorder, vm::bodies()),
            pipeline: RefCell::new(Pipeline::new(
                config.pipeline,
                owner,
                seed,
                Rc::new(shared),
                vm::account(&plugin),
                Rc::clone(&stats),
            )),
            stats,
            metrics: RefCell::new(Metrics::define()),
            clock: Clock::new(),
            held: Held::default(),
            ongoing: RefCell::default(),
            watched: RefCell::default(),
            recreated: RefCell::default(),
            root,
            plugin,
            next_crashed: Cell::new(None),
            wake_queue: wake_queue(stream_id),
        })
    }

    /// Whether the queue is the one that [`Self::wake`] uses.
    pub(super) fn is_woken_by(&self, queue: u32) -> bool {
        self.wake_queue == Some(queue)
    }

    /// Subtracts its share from the gauges.
    pub(super) fn withdraw(&self) {
        self.metrics.borrow_mut().withdraw();
    }

    /// Runs `work` on the pipeline exclusively: host calls that could re-enter are made after it.
    pub(super) fn with_pipeline<T>(&self, work: impl FnOnce(&mut Pipeline) -> T) -> T {
        work(&mut self.pipeline.borrow_mut())
    }

    /// Runs `work` with the host access of the recorder in a callback of the current stream.
    pub(super) fn with_host<T>(&self, work: impl FnOnce(&mut Services<'_>) -> T) -> T {
        let mut correlator = self.correlator.borrow_mut();
        let fresh_id = &|| random::uuid().ok();

        work(&mut Services {
            stream: &CurrentStream,
            clock: &|| self.clock.now(),
            fresh_id,
            correlator: &mut correlator,
            stats: &self.stats,
        })
    }

    /// Wakes the root context: only answers to its callouts arrive after the stream has ended.
    pub(super) fn wake(&self) {
        if let Some(queue) = self.wake_queue {
            // Without a wake-up the next tick sends the batch.
            let _ = imports::enqueue_shared_queue(queue, b"w");
        }
    }

    /// Makes the callouts that are due, at most `limit`. Then passes decisions and notices on to
    /// Envoy.
    pub(super) fn drive(&self, limit: usize) {
        self.call_out(limit);
        while let Some(decision) = self.with_pipeline(Pipeline::poll_decision) {
            self.held.release(decision, self.root);
        }

        let mut pipeline = self.pipeline.borrow_mut();
        let warning = |text| Notice {
            level: Level::Warn,
            text,
        };
        let warnings = iter::from_fn(|| self.recorder.poll_warning().map(warning));

        for notice in pipeline.poll_notices().into_iter().chain(warnings) {
            print(
                notice.level,
                &format!("stream {}: {}", pipeline.stream_id(), notice.text),
            );
        }
    }

    /// Publishes the counts.
    pub(super) fn publish(&self) {
        let mut pipeline = self.pipeline.borrow_mut();
        let gauges = pipeline.gauges_to_publish(self.clock.now());
        self.metrics.borrow_mut().publish(&self.stats, gauges);
        pipeline.handle_published(gauges);
    }

    /// Reports crashed VMs to the pipeline. Messages to other VMs are sent at the first tick, which
    /// an instance that is only configured does not reach.
    pub(super) fn look_for_crashes(&self) {
        let Some(mut index) = self.next_crashed.get() else {
            vm::probe_peers(
                self.root,
                &self.with_pipeline(|pipeline| pipeline.other_vms()),
            );
            return self.next_crashed.set(Some(0));
        };

        while let Some(crashed) = vm::crashed(index) {
            index += 1;
            self.with_pipeline(|pipeline| pipeline.handle_crash(crashed));
        }
        self.next_crashed.set(Some(index));
    }

    /// Records exchanges that take long, each in the context of its stream.
    pub(super) fn report_long_exchanges(&self) {
        let Some(age) = self.recorder.started_after() else {
            return;
        };

        let next = |_| {
            self.ongoing
                .borrow_mut()
                .pop_older(age, self.clock.now().uptime)
        };

        let mut has_switched = false;
        for context in (0..MAX_REPORTS).map_while(next) {
            let stream = self.watched.borrow_mut().remove(context);
            if let Some(stream) = stream
                && imports::set_effective_context(context)
            {
                has_switched = true;
                stream.report_started();
            }
        }

        if has_switched {
            imports::set_effective_context(self.root);
        }
    }

    /// Ends the exchanges that have waited until now for their stream to be recreated.
    pub(super) fn end_what_was_not_recreated(&self, now: Duration) {
        let next = || self.recreated.borrow_mut().expire(now);
        while let Some((exchange, reservation)) = next() {
            self.end_lost(exchange, reservation);
        }
    }

    /// Ends an exchange without a stream. Its record leaves with the next tick.
    pub(super) fn end_lost(&self, mut exchange: Exchange, reservation: Option<Reservation>) {
        let now = self.clock.now();
        let ended = self
            .recorder
            .handle_end(&mut exchange, &Gone, &|| now, &self.stats);
        self.offer_record(ended.record, reservation, &|| now);
    }

    /// Passes the record of an exchange that has ended to the pipeline, if there is one. True: wake
    /// the root context.
    pub(super) fn offer_record(
        &self,
        record: Option<Box<ExchangeRecord>>,
        reservation: Option<Reservation>,
        now: &dyn Fn() -> Now,
    ) -> bool {
        self.with_pipeline(|pipeline| {
            let Some(record) = record else {
                pipeline.handle_no_exchange(reservation);
                return false;
            };
            pipeline.handle_exchange(record, reservation, now())
        })
    }

    /// Hands this worker's records over to the successor, once nothing is in flight.
    pub(super) fn hand_over(&self, successor: &Self) {
        let now = self.clock.now();
        let Some(handed_over) = self.with_pipeline(|pipeline| pipeline.hand_over(now)) else {
            return;
        };

        let mut metrics = self.metrics.borrow_mut();
        metrics.publish(&self.stats, handed_over.gauges());
        metrics.leave_share();

        successor.with_pipeline(|pipeline| pipeline.handle_hand_over(handed_over, now));
        successor.publish();
        self.with_pipeline(Pipeline::retire);
        // Callouts are made in the successor's own context.
        successor.wake();
    }

    fn call_out(&self, limit: usize) {
        let mut pipeline = self.pipeline.borrow_mut();
        for _ in 0..limit {
            let now = self.clock.now();
            let Some(callout) = pipeline.poll_callout(now) else {
                break;
            };
            let dispatched = dispatch(&callout);
            pipeline.handle_dispatched(dispatched, now);
        }
    }

    /// Whether a pipeline that ends has delivered everything, so that nothing is left to take over.
    pub(super) fn ends(&self) -> bool {
        let is_drained = self.pipeline.borrow().is_drained(self.clock.now());
        if is_drained {
            self.publish();
            self.with_pipeline(Pipeline::close);
        }
        is_drained
    }
}

/// `service.instance.id`
fn instance_id() -> Result<String, String> {
    let node_id = imports::property("xds\0node\0id").unwrap_or_default();
    Ok(instance(&node_id, &ProcessData, random::uuid()?))
}

/// A queue that wakes the root context. Named by the stream, since a queue wakes only the last
/// context that registered its name.
fn wake_queue(stream_id: Uuid) -> Option<u32> {
    let queue = imports::register_shared_queue(&format!("audit_filter.wake.{stream_id}"));
    if queue.is_none() {
        log::warn!(
            "no queue from the host (proxy_register_shared_queue): full batches wait for the next tick"
        );
    }
    queue
}

fn print(level: Level, line: &str) {
    let level = match level {
        Level::Error => log::Level::Error,
        Level::Warn => log::Level::Warn,
        Level::Info => log::Level::Info,
    };
    log::log!(level, "{line}");
}
