//! Configurations that are replaced, removed or drained while Envoy runs: each record is delivered,
//! or its loss is reported.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::ledger::Ledger;
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::lds::Listeners;
use testkit::envoy::mesh::list;
use testkit::{Mesh, eventually};
use tokio::task::JoinHandle;

/// Records all requests, with this batch delay.
fn with_delay(max_delay: &str) -> Bootstrap {
    let patch = json!({"rules": [{"name": "all"}], "batch": {"max_delay": max_delay}});
    Bootstrap::shipped().with_plugin(&patch)
}

/// Starts a request that is answered after `delay`, and waits until the upstream has it. The client
/// accepts that it is cut off.
pub async fn begin(mesh: &Mesh, path: &'static str, delay: Duration) -> JoinHandle<()> {
    let (http, delay) = (mesh.http, delay.as_millis().to_string());
    let client = tokio::spawn(async move {
        let headers = list(&[("x-demo-delay-ms", &delay)]);
        let _ = http_get(http, path, headers, &CallOptions::default()).await;
    });

    eventually("the upstream has the request", || {
        mesh.upstream.seen().at_path(path).pop()
    })
    .await;
    client
}

/// Waits until all VMs are gone: `on_done` has run.
async fn vms_are_gone(mesh: &Mesh) {
    let gone = async {
        while mesh
            .envoy
            .stats("runtime.v8.active")
            .await
            .values()
            .any(|active| *active > 0)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };

    tokio::time::timeout(testkit::DEADLINE, gone)
        .await
        .expect("the VMs go with the listeners");
}

#[tokio::test]
async fn an_update_delivers_what_the_old_configuration_holds() {
    let (mut mesh, listeners) = Listeners::start(with_delay("1h"), Sink::start().await).await;
    for _ in 0..5 {
        mesh.get("/check", &[]).await;
    }

    listeners.update(&json!({"service": "updated", "batch": {"max_delay": "50ms"}}));
    let old = mesh.sink.wait_for(5).await;
    assert_eq!(old.len(), 5);

    let end = eventually("the old stream ends", || {
        mesh.sink.events("audit.stream.end").pop()
    })
    .await;
    assert_eq!(end.text("audit.stream.id"), old[0].text("audit.stream.id"));
    assert_eq!(end.int("audit.sequence.number"), 6);
    assert_eq!(end.int("audit.sequence.next"), 7);

    mesh.http = mesh.envoy.listener("http").await;
    mesh.get("/check", &[]).await;

    let new = mesh.sink.wait_for(6).await.pop().unwrap();
    assert_eq!(new.text("service.name"), "updated");
    assert_ne!(new.text("audit.stream.id"), end.text("audit.stream.id"));
    for record in [&end, &new] {
        assert_eq!(record.text("service.instance.id"), "scenario", "the node");
    }
    assert_eq!(
        mesh.sink.events("audit.stream.start").len(),
        2,
        "each stream announces itself"
    );
}

#[tokio::test]
async fn a_request_that_sees_an_update_is_recorded_once_by_the_old_configuration() {
    let (mut mesh, listeners) = Listeners::start(with_delay("50ms"), Sink::start().await).await;
    // The drain time is two seconds: one request ends within it, the other is cut off.
    let short = begin(&mesh, "/short", Duration::from_millis(500)).await;
    let long = begin(&mesh, "/long", Duration::from_secs(60)).await;
    listeners.update(&json!({"service": "updated"}));

    let end = eventually("the old stream ends", || {
        mesh.sink.events("audit.stream.end").pop()
    })
    .await;
    short.await.unwrap();
    long.await.unwrap();

    mesh.http = mesh.envoy.listener("http").await;
    mesh.get("/new", &[]).await;

    let records = mesh.sink.wait_for(3).await;
    let told: Vec<(String, String)> = records
        .iter()
        .map(|record| (record.text("url.path"), record.text("service.name")))
        .collect();
    let expected = [("/short", "demo"), ("/long", "demo"), ("/new", "updated")];
    assert_eq!(
        told,
        expected.map(|(path, service)| (path.to_owned(), service.to_owned()))
    );
    assert_eq!(records[1].text("audit.outcome"), "aborted");

    let ledger = Ledger::of(&mesh);
    let old = &ledger.0[&end.text("audit.stream.id")];
    assert_eq!(
        old.stored,
        (0..old.next.unwrap()).collect(),
        "the old stream has no gap"
    );
}

#[tokio::test]
async fn removed_listeners_deliver_before_the_drain_time_is_over() {
    let (mesh, listeners) = Listeners::start(with_delay("500ms"), Sink::start().await).await;
    for _ in 0..5 {
        mesh.get("/check", &[]).await;
    }
    let slow = begin(&mesh, "/slow", Duration::from_millis(500)).await;
    listeners.remove();
    slow.await.unwrap();
    vms_are_gone(&mesh).await;
    assert_eq!(mesh.sink.exchanges().len(), 6, "the request in flight, too");
}

#[tokio::test]
async fn removed_listeners_name_what_a_dead_audit_cluster_did_not_take() {
    let (mesh, listeners) = Listeners::start(with_delay("50ms"), Sink::start_down()).await;
    for _ in 0..5 {
        mesh.get("/check", &[]).await;
    }
    listeners.remove();
    vms_are_gone(&mesh).await;

    let ledger = Ledger::of(&mesh);
    ledger.assert_accounts_for(5);
    assert_eq!(
        ledger.named().len(),
        1,
        "one line for the one stream that had records"
    );
    assert_eq!(mesh.envoy.admin_get("/ready").await.trim(), "LIVE");
}

#[tokio::test]
async fn draining_and_quitting_loses_nothing() {
    let mut mesh = Mesh::with_bootstrap(with_delay("50ms"), Sink::start().await, 2).await;
    for _ in 0..50 {
        mesh.get("/check", &[]).await;
    }

    mesh.envoy.admin_post("/drain_listeners?graceful").await;
    mesh.stats_when("an empty buffer", |stats| {
        stats["buffer.records"] == 0 && stats["records.captured"] > 50
    })
    .await;
    mesh.envoy.admin_post("/quitquitquit").await;
    assert!(mesh.envoy.wait().await.success());
    assert_eq!(mesh.sink.exchanges().len(), 50);
    Ledger::of(&mesh).assert_accounts_for(50);
}

#[tokio::test]
async fn a_kill_leaves_a_stream_without_an_end() {
    let held: Value = json!({"max_records": 5, "max_delay": "1h"});
    let bootstrap = with_delay("1h").with_plugin(&json!({"batch": held}));
    let mut mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    for _ in 0..4 {
        mesh.get("/check", &[]).await;
    }

    mesh.sink.wait_for(4).await;
    for _ in 0..3 {
        mesh.get("/check", &[]).await;
    }
    mesh.envoy.signal("KILL");
    mesh.envoy.wait().await;

    let ledger = Ledger::of(&mesh);
    let stream = ledger.0.values().next().unwrap();
    assert_eq!(
        stream.known().len(),
        5,
        "the start and four of seven, without a gap"
    );
    assert_eq!(
        (stream.next, &stream.named),
        (None, &None),
        "what is missing is nowhere counted"
    );
}
