//! A row under load: its Envoy, its audit cluster, and the cost of a slice of requests.

use std::time::Duration;

use tokio::time::Instant;

use crate::bench::awake::awake;
use crate::bench::bootstrap::{AUDIT, AUDIT_GRPC};
use crate::bench::load::Load;
use crate::bench::origin::Origin;
use crate::bench::requests::RECORD;
use crate::bench::row::{Delivery, Row};
use crate::bench::sidecar::Sidecar;
use crate::bench::sink::Sink;
use crate::cpu;
use crate::envoy::process::Envoy;
use crate::eventually;
use crate::quantile;

/// Time between a slice's last answer and the reading of the CPU time, so that Envoy's threads
/// sleep.
pub const SETTLE: Duration = Duration::from_millis(10);

/// A running row.
pub struct Subject {
    /// The row.
    pub row: Row,
    /// Its Envoy.
    pub envoy: Envoy,
    /// Its audit cluster.
    pub sink: Sink,
    load: Load,
    sent: usize,
}

/// The measured cost of one slice of a row at full speed.
pub struct Slice {
    /// CPU time per request, in microseconds.
    pub micros: f64,
    /// Share of the requests' time in which Envoy used the CPU.
    pub busy: f64,
}

/// The measured times of one slice of a row at a pace.
pub struct Paced {
    /// Median time of the requests, in microseconds.
    pub p50: f64,
    /// 99th percentile of it.
    pub p99: f64,
    /// Time for which Envoy's threads and the load could run and had no core, as a share of the
    /// slice's.
    pub waiting: f64,
}

impl Subject {
    /// Starts the row. `origin` is the upstream of requests that Envoy does not answer itself.
    pub async fn start(mut row: Row, origin: &Origin) -> Self {
        let mark = if let Delivery::Sink(mark) = row.delivery {
            mark
        } else {
            RECORD
        };

        let sink = Sink::start(mark, row.streams).await;
        for (cluster, addr) in [
            (AUDIT, sink.addr()),
            (AUDIT_GRPC, sink.addr()),
            ("demo_http", origin.http()),
            ("demo_grpc", origin.grpc()),
        ] {
            row.bootstrap.point(cluster, addr);
        }

        let envoy = Envoy::start(&row.bootstrap, row.workers).await;
        let listener = envoy.listener(row.requests.traffic.listener()).await;
        let peer = row.sidecar.as_ref().map(Sidecar::peer);
        let load = row.requests.load(listener, peer.as_ref()).await;

        Self {
            row,
            envoy,
            sink,
            load,
            sent: 0,
        }
    }

    /// Sends the requests at full speed, waits until their records are delivered, and measures the
    /// CPU time of both.
    pub async fn slice(&mut self, requests: usize) -> Slice {
        let (before, start) = (cpu::of_process(self.envoy.pid()), Instant::now());
        awake(self.load.run(requests)).await;
        let (wall, served) = (start.elapsed(), cpu::of_process(self.envoy.pid()));

        self.end(requests).await;
        let nanos = (cpu::of_process(self.envoy.pid()) - before) as f64;
        Slice {
            micros: nanos / 1000.0 / requests as f64,
            busy: (served - before) as f64 / wall.as_nanos() as f64,
        }
    }

    /// Sends the requests at the pace of [`crate::bench::pace`], measures the time of each, and
    /// waits until their records are delivered.
    pub async fn paced(&mut self, requests: usize) -> Paced {
        let (before, start) = (self.waiting(), Instant::now());
        let times = awake(self.load.run_paced(requests)).await;
        let (wall, waiting) = (start.elapsed(), self.waiting() - before);

        self.end(requests).await;
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&times, share));
        Paced {
            p50,
            p99,
            waiting: waiting as f64 / wall.as_nanos() as f64,
        }
    }

    fn waiting(&self) -> u64 {
        cpu::waiting_of_process(self.envoy.pid()) + cpu::waiting_of_this_thread()
    }

    /// Ends a slice: all is delivered, and Envoy is idle.
    async fn end(&mut self, requests: usize) {
        self.sent += requests;
        self.deliver().await;
        tokio::time::sleep(SETTLE).await;
    }

    /// Waits until all records are delivered, unless the sink hangs.
    async fn deliver(&self) {
        if matches!(self.row.delivery, Delivery::Sink(_)) && !self.sink.hangs() {
            let arrived = || (self.sink.exchanges() >= self.sent).then_some(());
            eventually(format!("all records arrive: {}", self.row.name), arrived).await;
        }
    }

    /// Records that have arrived, per request.
    pub async fn recorded(&self) -> f64 {
        let records = match self.row.delivery {
            Delivery::File(name) => self.lines(name).await,
            Delivery::Nothing | Delivery::Sink(_) => self.sink.exchanges(),
        };
        records as f64 / self.sent as f64
    }

    /// Bytes that have arrived at the sink, per request.
    pub fn bytes(&self) -> f64 {
        self.sink.bytes() as f64 / self.sent as f64
    }

    /// Waits until Envoy has written a line for each request.
    async fn lines(&self, name: &str) -> usize {
        let path = format!("/proc/{}/cwd/{name}", self.envoy.pid());
        let count = || {
            std::fs::read(&path)
                .unwrap()
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
        };

        eventually(format!("all lines are written: {name}"), || {
            Some(count()).filter(|lines| *lines >= self.sent)
        })
        .await
    }
}
