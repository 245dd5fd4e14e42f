//! One case under load: its Envoy, and its counts of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::bench::awake::awake;
use testkit::bench::load::Load;
use testkit::bench::measure::WARM_UP;
use testkit::bench::subject::SETTLE;
use testkit::envoy::process::Envoy;
use testkit::eventually;
use tokio::time::Instant;

use super::case::{Case, Clusters, TRAFFIC, requests};

/// Requests between two checks whether the buffer is full.
const FILLING: usize = 2000;
/// Far more of these steps than any buffer takes.
const MOST_FILLINGS: usize = 50;
/// The longest time until the filter's counts reach Envoy.
const PUBLISHED: Duration = Duration::from_millis(300);

/// A case and its Envoy.
pub struct Subject {
    pub case: Case,
    pub envoy: Envoy,
    /// Requests so far.
    pub sent: usize,
    /// Their total time at full speed.
    pub loaded: Duration,
    load: Load,
}

/// Outcomes of the records so far.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub captured: u64,
    pub acknowledged: u64,
    /// Because the buffer was full.
    pub dropped: u64,
    /// Held in the buffer now.
    pub held: u64,
    pub held_bytes: u64,
}

impl Subject {
    pub async fn start(case: Case, clusters: &Clusters) -> Self {
        let envoy = Envoy::start(&clusters.bootstrap(case), 1).await;
        let addr = envoy.listener(TRAFFIC.listener()).await;

        Self {
            case,
            envoy,
            sent: 0,
            loaded: Duration::ZERO,
            load: requests().load(addr, None).await,
        }
    }

    pub async fn start_all(cases: &[Case], clusters: &Clusters) -> Vec<Self> {
        let mut subjects = Vec::new();
        for case in cases {
            subjects.push(Self::start(*case, clusters).await);
        }
        subjects
    }

    /// Sends this many requests at full speed.
    pub async fn run(&mut self, requests: usize) {
        let start = Instant::now();
        awake(self.load.run(requests)).await;
        self.loaded += start.elapsed();
        self.sent += requests;
    }

    /// Sends this many requests at a pace, and returns the time of each, in microseconds.
    pub async fn run_paced(&mut self, requests: usize) -> Vec<f64> {
        let times = awake(self.load.run_paced(requests)).await;
        self.sent += requests;
        times
    }

    /// Brings it to its steady state: warm, and the buffer full where records pile up.
    pub async fn prepare(&mut self, clusters: &Clusters) {
        self.run(WARM_UP).await;
        if self.case.piles_up() {
            self.fill().await;
        }
        self.settle(clusters).await;
    }

    /// Sends requests until the filter drops records.
    pub async fn fill(&mut self) {
        for _ in 0..MOST_FILLINGS {
            if self.counts().await.dropped > 0 {
                return;
            }
            self.run(FILLING).await;
        }
        panic!("the buffer is never full: {}", self.envoy.log());
    }

    /// Waits until all records are delivered, in cases with delivery, and Envoy is idle.
    pub async fn settle(&self, clusters: &Clusters) {
        if self.case == Case::Up {
            eventually("all records arrive", || {
                (clusters.up.exchanges() >= self.sent).then_some(())
            })
            .await;
        }
        tokio::time::sleep(SETTLE).await;
    }

    /// The filter's counts; all zero without a filter.
    pub async fn counts(&self) -> Counts {
        tokio::time::sleep(PUBLISHED).await;
        let stats: BTreeMap<String, u64> = self.envoy.stats("audit_filter").await;
        let count = |name: &str| stats.get(name).copied().unwrap_or(0);

        Counts {
            captured: count("records.captured"),
            acknowledged: count("records.acknowledged"),
            dropped: count("records.dropped.buffer_full"),
            held: count("buffer.records"),
            held_bytes: count("buffer.bytes"),
        }
    }
}
