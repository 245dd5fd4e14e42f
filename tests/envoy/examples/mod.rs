//! The configurations in `envoy/` and `envoy/examples/` are valid, and each example replaces the
//! audit of its namesake by configuration alone. A scenario quotes the test of that system that it
//! stands for.

mod all_calls;
mod by_route;
mod check_usage;
mod compressed;
mod correlation_headers;
mod grpc_session_tracking;
mod session_audit;

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::process::Envoy;
use testkit::{Mesh, Record, tools};

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

/// The values of this attribute in the records.
fn texts(records: &[Record], name: &str) -> Vec<String> {
    records.iter().map(|record| record.text(name)).collect()
}
