//! The root context of one configuration in one worker: sets the worker up, and runs it on ticks,
//! wake-ups and answers.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType};

use super::hostcalls::HeaderMap;
use super::shape::has_response_callbacks;
use super::stream::HttpStream;
use super::worker::Worker;
use super::{capabilities, imports, vm, wasi, workers};
use crate::config::{self, Config};
use crate::pipeline::Pipeline;
use crate::pipeline::answer::{Answer, MAX_BODY_BYTES};

/// The root context; empty until its configuration is accepted, and when it has ended.
pub(super) struct Root {
    id: u32,
    worker: Option<Rc<Worker>>,
}

/// Shortest and longest tick. It bounds the delay of a batch beyond `batch.max_delay`, and the loss
/// when a process is killed. An idle tick costs microseconds.
const TICK_RANGE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, worker: None }
    }

    /// Reads and checks the configuration.
    fn parse(&self, size: usize) -> Result<Config, String> {
        let (bytes, warnings) = capabilities::configuration(self.id, size)?;
        let environment = wasi::environment();
        let variable = |name: &str| wasi::variable(&environment, name);

        let parsed = config::parse(&bytes, &variable);
        let parsed = if has_response_callbacks() {
            parsed
        } else {
            parsed.and_then(config::lean::check)
        };

        let mut config = parsed.map_err(|error| error.to_string())?;
        config.warnings.extend(warnings);
        Ok(config)
    }

    /// A context that is configured again keeps its worker and its records. The host finds a
    /// context by its configuration, so the configuration is the same.
    fn configure(&mut self, config: Config) -> Result<(), String> {
        if self.worker.is_some() {
            return Ok(());
        }

        let (shortest, longest) = TICK_RANGE;
        let tick = (config.pipeline.batch.max_delay / 4).clamp(shortest, longest);
        if !imports::set_tick_period(tick) {
            return Err(
                "configuration refused: no tick from the host (proxy_set_tick_period_milliseconds)"
                    .to_owned(),
            );
        }

        let worker = Rc::new(Worker::new(self.id, config)?);
        workers::add(self.id, Rc::clone(&worker));
        self.worker = Some(worker);
        Ok(())
    }

    /// Sends due batches. A worker that ends leaves them to its successor, if there is one.
    fn run(worker: &Worker) {
        if !Self::gives_way(worker) {
            worker.drive(usize::MAX);
        }
    }

    /// Hands over to the successor of a worker that ends. False: there is none, and this worker
    /// sends.
    fn gives_way(worker: &Worker) -> bool {
        let Some(successor) = worker.successor() else {
            return false;
        };
        worker.hand_over(&successor);
        worker.drive(0);
        true
    }

    fn finish_if_drained(&mut self) {
        if self.worker.as_ref().is_some_and(|worker| worker.ends()) {
            imports::done();
            self.leave();
        }
    }

    /// Ends the worker: no other one hands its records over to it, and its share leaves the gauges.
    fn leave(&mut self) {
        if let Some(worker) = self.worker.take() {
            workers::remove(self.id);
            worker.withdraw();
        }
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        num_headers: usize,
        body_size: usize,
        _num_trailers: usize,
    ) {
        let Some(worker) = &self.worker else { return };
        // Without headers the map is empty: the stream was reset.
        let headers = HeaderMap::read(MapType::HttpCallResponseHeaders);
        let headers = headers.headers();
        let status = headers
            .first(":status")
            .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());

        let body = read_body(num_headers, body_size);
        // Envoy adds this header to every answer of an upstream (Envoy
        // `source/common/router/router.cc`).
        let is_of_envoy = !headers.has("x-envoy-upstream-service-time");
        let answer = Answer {
            status,
            retry_after: headers.first("retry-after"),
            body: &body,
            is_of_envoy,
        };

        worker.with_pipeline(|pipeline| pipeline.handle_answer(token, &answer, worker.clock.now()));
        Self::run(worker);
        self.finish_if_drained();
    }

    /// Hands over to a successor in the same VM. Without one, all remaining records leave in one
    /// callout, since a second one would not leave a process that ends. Records taken over from
    /// other streams keep their batches. False keeps the context alive where the VM survives, until
    /// everything is acknowledged.
    fn on_done(&mut self) -> bool {
        let Some(worker) = &self.worker else {
            return true;
        };

        worker.end_what_was_not_recreated(Duration::MAX);
        worker.with_pipeline(|pipeline| pipeline.handle_end(worker.clock.now()));
        if !Self::gives_way(worker) {
            let callouts =
                worker.with_pipeline(|pipeline| pipeline.handle_last_chance(worker.clock.now()));
            worker.drive(callouts);
        }

        worker.publish();
        let ends = worker.ends();
        if ends {
            self.leave();
        } else {
            worker.with_pipeline(Pipeline::handle_vm_end);
        }
        ends
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let configured = self.parse(size).and_then(|config| self.configure(config));
        if let Err(line) = &configured {
            log::error!("{line}");
        }
        configured.is_ok()
    }

    fn on_tick(&mut self) {
        let Some(worker) = &self.worker else { return };

        worker.clock.set();
        worker.look_for_crashes();
        worker.report_long_exchanges();
        worker.end_what_was_not_recreated(worker.clock.now().uptime);
        worker.with_pipeline(|pipeline| pipeline.handle_tick(worker.clock.now()));
        worker.follow_newest();

        if !Self::gives_way(worker) {
            worker.drive(usize::MAX);
            worker.with_pipeline(|pipeline| pipeline.handle_no_successor(worker.clock.now()));
            worker.offer();
        }

        worker.publish();
        self.finish_if_drained();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let Some(worker) = &self.worker else { return };
        // The message has no content; it is dequeued so that the queue stays empty.
        let _ = imports::dequeue_shared_queue(queue);
        if worker.is_woken_by(queue) {
            Self::run(worker);
        } else {
            vm::on_probe(queue);
        }
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpStream::new(context, self.worker.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn read_body(num_headers: usize, body_size: usize) -> Vec<u8> {
    if num_headers == 0 || body_size == 0 {
        return Vec::new();
    }
    imports::buffer(
        BufferType::HttpCallResponseBody,
        0,
        body_size.min(MAX_BODY_BYTES),
    )
    .unwrap_or_default()
}
