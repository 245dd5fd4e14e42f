//! A small mesh: client, Envoy with the filter, upstream, audit cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::records::Record;
use crate::audit::sink::Sink;
use crate::client::{
    CallError, CallOptions, GrpcAnswer, GrpcOptions, HttpAnswer, HttpConnection, grpc_call,
    http_get, http_request,
};
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::process::Envoy;
use crate::headers::Headers;
use crate::upstream::Upstream;

/// All parts of a scenario.
pub struct Mesh {
    /// The Envoy with the filter.
    pub envoy: Envoy,
    /// The upstream of both listeners.
    pub upstream: Upstream,
    /// The audit cluster.
    pub sink: Sink,
    /// The listener for HTTP/1.1.
    pub http: SocketAddr,
    /// The listener for HTTP/2 and gRPC.
    pub grpc: SocketAddr,
}

/// Longest duration of a request on an open connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gRPC method of the demo upstream.
pub const METHOD: &str = "/demo.Accounts/ChangePassword";

impl Mesh {
    /// The shipped configuration with a short `max_delay`, on one worker.
    pub async fn start() -> Self {
        Self::with_plugin(&json!({})).await
    }

    /// The shipped configuration merged with a patch of the filter's configuration, on one worker.
    pub async fn with_plugin(patch: &Value) -> Self {
        let quick = Bootstrap::shipped().with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
        Self::with_bootstrap(quick.with_plugin(patch), Sink::start().await, 1).await
    }

    /// Any bootstrap on any number of workers. Its clusters point to the upstream and to `sink`.
    pub async fn with_bootstrap(bootstrap: Bootstrap, sink: Sink, concurrency: usize) -> Self {
        Self::with_last_change(bootstrap, sink, concurrency, |_| {}).await
    }

    /// The same, with a change to the bootstrap after its clusters are set.
    pub async fn with_last_change(
        mut bootstrap: Bootstrap,
        sink: Sink,
        concurrency: usize,
        change: impl FnOnce(&mut Bootstrap),
    ) -> Self {
        let upstream = Upstream::start().await.unwrap();
        bootstrap.point("demo_http", upstream.http_addr());
        bootstrap.point("demo_grpc", upstream.grpc_addr());
        bootstrap.point("audit", sink.addr());
        change(&mut bootstrap);

        let envoy = Envoy::start(&bootstrap, concurrency).await;
        let (http, grpc) = (envoy.listener("http").await, envoy.listener("grpc").await);
        Self {
            envoy,
            upstream,
            sink,
            http,
            grpc,
        }
    }

    /// The answer to a `GET` at the HTTP listener.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> HttpAnswer {
        http_get(self.http, path, list(headers), &CallOptions::default())
            .await
            .unwrap()
    }

    /// The answer to a request without a body at the HTTP listener.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> HttpAnswer {
        http_request(
            self.http,
            method,
            path,
            list(headers),
            "",
            &CallOptions::default(),
        )
        .await
        .unwrap()
    }

    /// One call of [`METHOD`] at the gRPC listener.
    pub async fn call(&self, headers: &[(&str, &str)]) -> Result<GrpcAnswer, CallError> {
        grpc_call(self.grpc, METHOD, list(headers), &GrpcOptions::default()).await
    }

    /// A tracked call with a context, with a script for the upstream (`x-demo-grpc`).
    pub async fn tracked_call(&self, script: &str) -> Result<GrpcAnswer, CallError> {
        self.call(&[
            ("x-session-track", "true"),
            ("x-session-context", "Y3R4"),
            ("x-demo-grpc", script),
        ])
        .await
    }

    /// Sends one `/check` that is recorded through each listener, and waits for both records. On
    /// one worker, all earlier records have arrived by then. Yields the exchanges before them.
    pub async fn exchanges_until_marker(&self) -> Vec<Record> {
        let marker = format!("marker-{}", self.sink.attempts().len());
        for listener in [self.http, self.grpc] {
            let headers = list(&[("user-agent", &marker)]);
            http_get(listener, "/check", headers, &CallOptions::default())
                .await
                .unwrap();
        }

        // With required records, each marker also has a receipt.
        let is_marker = |record: &&Record| {
            record.text("user_agent.original") == marker && record.text("audit.stage") == "complete"
        };
        let streams = |found: &[Record]| {
            found
                .iter()
                .filter(is_marker)
                .map(|record| record.text("audit.stream.id"))
                .collect::<BTreeSet<_>>()
                .len()
        };

        let mut records = crate::eventually("both markers arrive", || {
            Some(self.sink.exchanges()).filter(|found| streams(found) == 2)
        })
        .await;
        records.retain(|record| !record.text("user_agent.original").starts_with("marker-"));
        records
    }

    /// The filter's statistics, once they satisfy `probe` and are equal twice in a row. A worker
    /// publishes them one by one, so a read in between is inconsistent.
    pub async fn stats_when(
        &self,
        what: &str,
        probe: impl Fn(&BTreeMap<String, u64>) -> bool,
    ) -> BTreeMap<String, u64> {
        let end = crate::now() + crate::DEADLINE;
        let mut last = self.envoy.stats("audit_filter").await;

        loop {
            tokio::time::sleep(crate::wait::POLL).await;
            let stats = self.envoy.stats("audit_filter").await;
            if stats == last && probe(&stats) {
                return stats;
            }
            assert!(
                crate::now() < end,
                "statistics never show {what}: {stats:#?}"
            );
            last = stats;
        }
    }

    /// Waits until a counter has at least this value.
    pub async fn stat_at_least(&self, name: &str, value: u64) -> BTreeMap<String, u64> {
        self.stats_when(&format!("{name} >= {value}"), |stats| {
            stats.get(name).is_some_and(|found| *found >= value)
        })
        .await
    }

    /// The exchanges in the order of their numbers. Waits until at least `count`, and all records
    /// so far, are acknowledged.
    pub async fn settled(&self, count: u64) -> Vec<Record> {
        let is_settled = |stats: &BTreeMap<String, u64>| {
            let acknowledged = stats
                .get("records.acknowledged")
                .copied()
                .unwrap_or_default();
            // The record of the stream's start is counted too.
            acknowledged > count && stats["buffer.records"] == 0
        };
        let stats = self
            .stats_when(&format!("{count} exchanges acknowledged"), is_settled)
            .await;
        Self::assert_conserved(&stats);

        let mut records = self.sink.exchanges();
        records.sort_by_key(|record| record.int("audit.sequence.number"));
        records
    }

    /// Sends this number of equal requests over one connection.
    pub async fn repeat(&self, count: usize, path: &str) {
        let mut connection = HttpConnection::open(self.http, PATIENCE).await.unwrap();
        for _ in 0..count {
            connection.request("GET", path, [], PATIENCE).await.unwrap();
        }
    }

    /// Panics unless the statistics add up.
    pub fn assert_conserved(stats: &BTreeMap<String, u64>) {
        assert!(Self::is_conserved(stats), "{stats:#?}");
    }

    /// The equation that always holds: captured = acknowledged + rejected + dropped + in the
    /// buffer.
    pub fn is_conserved(stats: &BTreeMap<String, u64>) -> bool {
        let sum: u64 = stats
            .iter()
            .filter(|(name, _)| {
                *name == "records.acknowledged"
                    || *name == "records.rejected"
                    || name.starts_with("records.dropped.")
                    || *name == "buffer.records"
            })
            .map(|(_, value)| *value)
            .sum();
        stats["records.captured"] == sum
    }
}

/// Header pairs as the clients take them.
pub fn list(headers: &[(&str, &str)]) -> Headers {
    headers
        .iter()
        .fold(Headers::new(), |list, (name, value)| list.with(name, value))
}
