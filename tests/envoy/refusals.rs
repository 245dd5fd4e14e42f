//! Causes that keep batches from the audit cluster, each with a distinct log line and remedy. No
//! records are lost by any of them.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::sink::{Answer, Sink};
use testkit::envoy::bootstrap::{Bootstrap, merge};
use testkit::envoy::mesh::Mesh;
use testkit::envoy::relay::Relay;
use testkit::envoy::xds::Resources;
use testkit::eventually;

/// Each request makes a separate batch.
fn eager() -> Bootstrap {
    Bootstrap::shipped().with_plugin(&json!({
        "rules": [{"name": "all", "immediate_on": ["success"]}],
        "batch": {"max_delay": "50ms"},
        "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"},
    }))
}

/// Waits for a log line with all of these words.
async fn line(mesh: &Mesh, words: &[&str]) -> String {
    let found = || {
        let log = mesh.envoy.log();
        log.lines()
            .find(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned)
    };
    eventually(format!("a line with {words:?}"), found).await
}

/// A mesh without its cluster `audit`, and the cluster.
async fn without_cluster(patch: &Value) -> (Mesh, Resources, Value) {
    let (file, mut cluster) = (Resources::clusters(), Value::Null);
    let mesh = Mesh::with_last_change(eager(), Sink::start().await, 1, |bootstrap| {
        bootstrap.discover("cds_config", &file);
        let clusters = bootstrap.clusters();
        let place = clusters
            .iter()
            .position(|cluster| cluster["name"] == "audit")
            .unwrap();
        cluster = clusters.remove(place);
    })
    .await;
    let mut broken = cluster.clone();
    merge(&mut broken, patch);

    if !patch.is_null() {
        file.replace([broken]);
    }
    (mesh, file, cluster)
}

/// Repairs the cluster, and checks that all records arrive.
async fn assert_mended(mesh: &Mesh, file: &Resources, cluster: Value) {
    file.replace([cluster]);
    mesh.sink.wait_for(1).await;

    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);
    assert_eq!(
        stats["records.acknowledged"], 2,
        "the start and the request"
    );
}

#[tokio::test]
async fn a_cluster_that_envoy_does_not_have() {
    let (mesh, file, cluster) = without_cluster(&Value::Null).await;
    mesh.get("/orders", &[]).await;

    let line = line(
        &mesh,
        &[
            "[warning]",
            "Envoy has no cluster audit",
            "audit_cluster.cluster",
        ],
    )
    .await;

    assert!(
        line.contains("envoyfilter.istio.io/referenced-services"),
        "{line}"
    );
    assert_mended(&mesh, &file, cluster).await;
}

#[tokio::test]
async fn a_cluster_without_a_healthy_host() {
    let unhealthy = json!([{"lb_endpoints": [{"health_status": "UNHEALTHY", "endpoint": {"address":
        {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]);
    let unknown = json!([{"lb_endpoints": [{"endpoint": {"address":
        {"socket_address": {"address": "collector.invalid", "port_value": 4318}}}}]}]);

    for (kind, endpoints) in [
        ("STATIC", json!([])),
        ("STATIC", unhealthy),
        ("STRICT_DNS", unknown),
    ] {
        let patch = json!({"type": kind, "load_assignment": {"endpoints": endpoints},
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}}});
        let (mesh, file, cluster) = without_cluster(&patch).await;
        mesh.get("/orders", &[]).await;

        line(
            &mesh,
            &[
                "[warning]",
                "no healthy host in cluster audit",
                "start the collector",
            ],
        )
        .await;
        assert_mended(&mesh, &file, cluster).await;
    }
}

#[tokio::test]
async fn a_host_that_refuses_connections() {
    let mut mesh = Mesh::with_bootstrap(eager(), Sink::start_down(), 1).await;
    mesh.get("/orders", &[]).await;

    line(
        &mesh,
        &[
            "[warning]",
            "no connection to a host of cluster audit",
            "start the collector",
        ],
    )
    .await;
    mesh.sink.up().await;
    mesh.sink.wait_for(1).await;
}

/// Batches over one HTTP/2 connection, to a cluster that allows `max_concurrent_streams` requests
/// at a time.
async fn narrow(max_concurrent_streams: u32) -> Relay {
    let http2 = json!({"max_concurrent_streams": max_concurrent_streams});
    let patch = json!({
        "circuit_breakers": {"thresholds": [{"max_requests": 1}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": http2},
        }},
    });

    let without_filter = |listener: &mut Value| {
        let filters = listener["filter_chains"][0]["filters"]
            .as_array_mut()
            .unwrap();
        filters.last_mut().unwrap()["typed_config"]["http_filters"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    };
    Relay::start(eager(), &patch, without_filter).await
}

/// Opens the connection, then sends two batches at a time until Envoy has refused one. All records
/// arrive, once. Yields the number of failed batches, and how many of these had a token.
async fn overflow(relay: &Relay) -> (u64, u64) {
    let mesh = &relay.mesh;
    mesh.get("/orders", &[]).await;
    let before = mesh
        .stats_when("the first delivery", |stats| {
            stats["records.acknowledged"] == 2
        })
        .await;
    mesh.sink
        .answer_all(Some(Answer::Late(Duration::from_millis(300))));

    let (mut sent, mut stats) = (1, before.clone());
    while stats["batches.failed"] == before["batches.failed"] {
        assert!(sent < 100, "Envoy refuses nothing");
        mesh.get("/orders", &[]).await;
        mesh.get("/orders", &[]).await;
        sent += 2;
        stats = mesh
            .stats_when("an empty buffer", |stats| {
                stats["records.acknowledged"] == sent + 1
            })
            .await;
    }

    line(
        mesh,
        &[
            "[warning]",
            "a circuit breaker is full in cluster audit",
            "raise max_requests",
        ],
    )
    .await;

    Mesh::assert_conserved(&stats);
    assert_eq!(
        (stats["buffer.records"], stats["in_flight.batches"]),
        (0, 0)
    );
    assert_eq!(mesh.sink.exchanges().len() as u64, sent, "none twice");

    let since = |name: &str| stats[name] - before[name];
    (
        since("batches.failed"),
        since("batches.dispatched") - since("batches.acknowledged"),
    )
}

#[tokio::test]
async fn an_overflow_that_envoy_refuses_at_once() {
    let (failed, with_token) = overflow(&narrow(100).await).await;
    assert!(failed > with_token, "{failed} failed, all with a token");
}

/// The second batch waits for a new connection, and is refused when that is open: with a token, and
/// a local 503 of Envoy.
#[tokio::test]
async fn an_overflow_that_comes_as_an_answer() {
    let (failed, with_token) = overflow(&narrow(1).await).await;
    assert!(with_token > 0, "{failed} failed, none with a token");
}
