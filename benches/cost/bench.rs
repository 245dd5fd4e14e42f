//! Runs the rows by turns, and measures the CPU time of the Envoy under load.

use std::time::Duration;

use audit_demo::upstream::Upstream;
use tokio::time::Instant;

use super::cpu;
use super::load::Load;
use super::rows::Row;
use super::sink::Sink;
use super::support::envoy::Envoy;
use super::support::eventually;

/// Requests that warm up a row: V8 compiles the code that is used often anew while it runs.
const WARM_UP: usize = 9000;
/// How long a slice lasts after its last answer, so that Envoy's threads have gone to sleep when they are looked at.
const SETTLE: Duration = Duration::from_millis(10);

/// Every row's Envoy, and what they talk to.
pub struct Bench {
    rows: Vec<Running>,
    sink: Sink,
    upstream: Upstream,
    /// On which cores everything runs.
    pub cores: String,
}

struct Running {
    row: Row,
    envoy: Envoy,
    load: Load,
    sent: usize,
    micros: Vec<f64>,
    busy: Vec<f64>,
}

/// What one slice of a row has cost.
struct Slice {
    micros: f64,
    busy: f64,
}

/// What one row has cost.
pub struct Outcome {
    pub row: Row,
    /// Microseconds of CPU time a request, one entry a round.
    pub micros: Vec<f64>,
    /// How much of the time Envoy was at work, one entry a round.
    pub busy: Vec<f64>,
    /// Records acknowledged by the sink, a request.
    pub recorded: f64,
}

impl Bench {
    pub async fn start() -> Self {
        let (sink, upstream) = (Sink::start().await, Upstream::start().await.unwrap());
        let mut rows = Vec::new();
        for row in Row::all() {
            let envoy = Envoy::start(&row.bootstrap(sink.addr(), upstream.grpc_addr()), 1).await;
            let load = row.traffic.load(envoy.listener(row.traffic.listener()).await).await;
            rows.push(Running { row, envoy, load, sent: 0, micros: Vec::new(), busy: Vec::new() });
        }
        let cores = cpu::part(rows.iter().map(|running| running.envoy.pid()));
        Self { rows, sink, upstream, cores }
    }

    pub async fn warm_up(&mut self) {
        for running in &mut self.rows {
            running.slice(WARM_UP, &self.sink, &self.upstream).await;
        }
    }

    /// One slice of every row; every other round in the opposite order.
    pub async fn round(&mut self, round: usize, requests: usize) {
        let count = self.rows.len();
        for turn in 0..count {
            let index = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
            let running = &mut self.rows[index];
            let slice = running.slice(requests, &self.sink, &self.upstream).await;
            running.micros.push(slice.micros);
            running.busy.push(slice.busy);
        }
    }

    pub async fn results(self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for running in self.rows {
            let stats = running.envoy.stats("audit_filter.records.acknowledged").await;
            let acknowledged = stats.get("records.acknowledged").copied().unwrap_or(0);
            let recorded = acknowledged as f64 / running.sent as f64;
            let Running { row, micros, busy, .. } = running;
            outcomes.push(Outcome { row, micros, busy, recorded });
        }
        outcomes
    }
}

impl Running {
    /// Sends the requests, waits until their records have been delivered, and looks at the CPU time of all that.
    async fn slice(&mut self, requests: usize, sink: &Sink, upstream: &Upstream) -> Slice {
        let expected = sink.exchanges() + if self.row.records() { requests } else { 0 };
        let (before, start) = (cpu::nanos(self.envoy.pid()), Instant::now());
        self.load.run(requests).await;
        let wall = start.elapsed();
        eventually("all records arrive", || (sink.exchanges() >= expected).then_some(())).await;
        tokio::time::sleep(SETTLE).await;
        let nanos = (cpu::nanos(self.envoy.pid()) - before) as f64;
        self.sent += requests;
        upstream.seen().clear();
        Slice { micros: nanos / 1000.0 / requests as f64, busy: nanos / wall.as_nanos() as f64 }
    }
}
