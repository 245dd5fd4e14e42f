//! The configurations in `envoy/` and `envoy/examples/` are valid, and each example replaces the
//! audit of its namesake by configuration alone. A scenario quotes the test of that system that it
//! stands for.

mod all_calls;
mod by_route;
mod check_usage;
mod correlation_headers;
mod grpc_session_tracking;
mod session_audit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::HttpConnection;

use crate::support::bootstrap::Bootstrap;
use crate::support::envoy::Envoy;
use crate::support::sink::Sink;
use crate::support::{Mesh, Record, tools};

/// Longest duration of a request on an open connection.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn every_configuration_that_is_shipped_is_valid() {
    let files = configurations();
    assert!(!files.is_empty());
    for file in files {
        let validation = Envoy::validate(&Bootstrap::read(&file));
        assert!(validation.success, "{}: {}", file.display(), validation.log);
    }
}

fn configurations() -> Vec<PathBuf> {
    let directories = ["envoy", "envoy/examples"]
        .map(|name| std::fs::read_dir(tools::root().join(name)).unwrap());
    let files = directories
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());

    files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect()
}

/// An unchanged example on one worker.
async fn example(name: &str) -> Mesh {
    example_with(name, &json!({})).await
}

/// An example with a short batch delay.
async fn quick_example(name: &str) -> Mesh {
    example_with(name, &json!({"batch": {"max_delay": "50ms"}})).await
}

/// An example merged with a patch of the filter's configuration, on one worker.
async fn example_with(name: &str, patch: &Value) -> Mesh {
    Mesh::with_bootstrap(
        Bootstrap::example(name).with_plugin(patch),
        Sink::start().await,
        1,
    )
    .await
}

impl Mesh {
    /// The exchanges in the order of their numbers. Waits until at least `count`, and all records
    /// so far, are acknowledged.
    async fn settled(&self, count: u64) -> Vec<Record> {
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
    async fn repeat(&self, count: usize, path: &str) {
        let mut connection = HttpConnection::open(self.http, PATIENCE).await.unwrap();
        for _ in 0..count {
            connection.request("GET", path, [], PATIENCE).await.unwrap();
        }
    }
}

/// The values of this attribute in the records.
fn texts(records: &[Record], name: &str) -> Vec<String> {
    records.iter().map(|record| record.text(name)).collect()
}
