//! The end of the process by signal or by its admin interface: fast and clean, and unacknowledged
//! records are named.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::json;
use testkit::audit::ledger::Ledger;
use testkit::audit::records;
use testkit::audit::sink::{Answer, Attempt, Sink};
use testkit::client::{CallOptions, GrpcOptions, grpc_call, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::{METHOD, list};
use testkit::{Mesh, eventually};

/// Envoy's longest shutdown, whatever the audit cluster does.
const QUICK: Duration = Duration::from_secs(5);

/// Records all requests; a batch is sent when it has `max_records`.
async fn mesh_with(max_records: usize, sink: Sink) -> Mesh {
    let patch = json!({"rules": [{"name": "all"}], "batch": {"max_delay": "1h", "max_records": max_records}});
    Mesh::with_bootstrap(Bootstrap::shipped().with_plugin(&patch), sink, 1).await
}

async fn get(mesh: &Mesh, count: usize) {
    for _ in 0..count {
        mesh.get("/check", &[]).await;
    }
}

/// Fills one batch of `max_records`, including the stream's start, and waits until it is
/// acknowledged. Then a connection to the audit cluster is open and idle.
async fn fill_a_batch(mesh: &Mesh, max_records: usize) {
    get(mesh, max_records - 1).await;
    mesh.stat_at_least("records.acknowledged", max_records as u64)
        .await;
}

async fn succeeds_quickly(end: impl Future<Output = ExitStatus>) {
    let status = tokio::time::timeout(QUICK, end)
        .await
        .expect("Envoy ends quickly");
    assert!(status.success(), "{status}");
}

/// Sends SIGTERM; yields the callouts since then, by stream.
async fn terminate(mesh: &mut Mesh) -> BTreeMap<String, usize> {
    let before = mesh.sink.attempts().len();
    succeeds_quickly(mesh.envoy.terminate()).await;
    let mut callouts = BTreeMap::new();
    for attempt in mesh.sink.attempts().split_off(before) {
        *callouts.entry(stream(&attempt)).or_default() += 1;
    }
    callouts
}

fn stream(attempt: &Attempt) -> String {
    records::parse(&attempt.body)[0].text("audit.stream.id")
}

/// Holds at every end: each request is stored or named, and no root context has made more than one
/// callout.
fn assert_stored_or_named(
    mesh: &Mesh,
    callouts: &BTreeMap<String, usize>,
    requests: usize,
) -> Ledger {
    let ledger = Ledger::of(mesh);
    ledger.assert_accounts_for(requests);
    assert!(callouts.values().all(|count| *count <= 1), "{callouts:?}");
    ledger
}

#[tokio::test]
async fn without_records_nothing_is_logged() {
    let mut mesh = mesh_with(10, Sink::start().await).await;
    let callouts = terminate(&mut mesh).await;
    assert_eq!(assert_stored_or_named(&mesh, &callouts, 0).named(), []);
    let log = mesh.envoy.log();
    // Messages about the configuration were logged at the start.
    let mut warnings = log
        .lines()
        .filter(|line| line.contains("[warning][wasm]") && !line.contains("configuration:"));
    assert!(callouts.is_empty() && warnings.next().is_none(), "{log}");
}

#[tokio::test]
async fn the_last_batch_leaves_on_an_idle_connection() {
    let mut mesh = mesh_with(10, Sink::start().await).await;
    fill_a_batch(&mesh, 10).await;
    get(&mesh, 5).await;

    let callouts = terminate(&mut mesh).await;
    mesh.sink.wait_for(14).await;
    let ledger = assert_stored_or_named(&mesh, &callouts, 14);
    assert_eq!(
        ledger.named().len(),
        1,
        "it was not acknowledged, so it is named although it arrived"
    );
    assert_eq!(mesh.sink.events("audit.stream.end").len(), 1);
}

#[tokio::test]
async fn quitting_without_a_drain_names_what_was_held() {
    let mut mesh = mesh_with(10, Sink::start().await).await;
    fill_a_batch(&mesh, 10).await;
    get(&mesh, 5).await;
    mesh.envoy.admin_post("/quitquitquit").await;
    succeeds_quickly(mesh.envoy.wait()).await;
    let ledger = assert_stored_or_named(&mesh, &BTreeMap::new(), 14);
    assert_eq!(ledger.named().len(), 1);
}

#[tokio::test]
async fn every_root_of_every_worker_names_what_it_held() {
    let patch =
        json!({"rules": [{"name": "all"}], "batch": {"max_delay": "1h", "max_records": 10}});
    let bootstrap = Bootstrap::shipped().with_plugin(&patch);
    let mut mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 2).await;
    for _ in 0..45 {
        mesh.get("/check", &[]).await;
        mesh.tracked_call("unary").await.unwrap();
    }

    // If all records of a stream are in flight, the warning names them, and the end record has no
    // number. The ledger cannot account for that.
    mesh.stats_when("all full batches are acknowledged", |stats| {
        stats["records.captured"] > 90 && stats["in_flight.batches"] == 0
    })
    .await;

    let callouts = terminate(&mut mesh).await;
    assert_stored_or_named(&mesh, &callouts, 90);
}

#[tokio::test]
async fn the_audit_cluster_is_down() {
    let mut mesh = mesh_with(100, Sink::start_down()).await;
    get(&mesh, 5).await;
    let callouts = terminate(&mut mesh).await;
    let ledger = assert_stored_or_named(&mesh, &callouts, 5);
    assert_eq!(ledger.named(), [0..=6], "start, five requests, end");
}

#[tokio::test]
async fn retry_after_does_not_hold_the_last_batch() {
    let mut mesh = mesh_with(5, Sink::start().await).await;
    mesh.sink.answer_next([Answer::RetryAfter(503, "60")]);
    get(&mesh, 4).await;
    mesh.stat_at_least("batches.failed", 1).await;
    get(&mesh, 3).await;

    let callouts = terminate(&mut mesh).await;
    mesh.sink.wait_for(7).await;
    assert_stored_or_named(&mesh, &callouts, 7);
    assert_eq!(
        mesh.sink.attempts().len(),
        2,
        "what waited for its second attempt left with the rest"
    );
}

#[tokio::test]
async fn records_in_flight_are_named_until_they_are_acknowledged() {
    let mut mesh = mesh_with(5, Sink::start().await).await;
    mesh.sink
        .answer_all(Some(Answer::Late(Duration::from_secs(30))));
    get(&mesh, 4).await;
    eventually("a batch is in flight", || mesh.sink.attempts().pop()).await;
    get(&mesh, 3).await;

    let callouts = terminate(&mut mesh).await;
    let ledger = assert_stored_or_named(&mesh, &callouts, 7);
    assert_eq!(
        ledger.named(),
        [0..=8],
        "in flight and held: start, seven requests, end"
    );
    assert!(
        mesh.sink.exchanges().len() >= 4,
        "what was in flight is stored all the same"
    );
}

#[tokio::test]
async fn a_hanging_audit_cluster_does_not_keep_the_process() {
    let mut mesh = mesh_with(5, Sink::start().await).await;
    mesh.sink.answer_all(Some(Answer::Hang));
    get(&mesh, 4).await;
    eventually("a batch is in flight", || mesh.sink.attempts().pop()).await;
    get(&mesh, 3).await;
    let callouts = terminate(&mut mesh).await;
    let ledger = assert_stored_or_named(&mesh, &callouts, 7);
    assert_eq!(ledger.named(), [0..=8]);
    assert!(mesh.sink.records().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn requests_in_flight_are_recorded_when_the_process_ends() {
    let mut mesh = mesh_with(100, Sink::start().await).await;
    let (http, grpc) = (mesh.http, mesh.grpc);
    let waiting = tokio::spawn(async move {
        let slow = list(&[("x-demo-delay-ms", "60000")]);
        let hanging = list(&[("x-demo-grpc", "hang")]);
        let (options, grpc_options) = (CallOptions::default(), GrpcOptions::default());
        let _ = tokio::join!(
            http_get(http, "/slow", slow.clone(), &options),
            http_get(http, "/slow", slow, &options),
            grpc_call(grpc, METHOD, hanging, &grpc_options),
        );
    });

    eventually("the upstream has all three", || {
        Some(mesh.upstream.seen().all()).filter(|seen| seen.len() == 3)
    })
    .await;

    let callouts = terminate(&mut mesh).await;
    waiting.await.unwrap();
    let ledger = assert_stored_or_named(&mesh, &callouts, 3);
    assert_eq!(ledger.named().len(), 2, "one line for each root");
}

#[tokio::test]
async fn an_empty_buffer_is_not_logged() {
    let mut mesh = mesh_with(10, Sink::start().await).await;
    fill_a_batch(&mesh, 10).await;
    let callouts = terminate(&mut mesh).await;
    assert_eq!(assert_stored_or_named(&mesh, &callouts, 9).named(), []);
}

#[tokio::test]
async fn a_root_that_holds_nothing_leaves_the_connection_to_one_that_does() {
    let mut mesh = mesh_with(10, Sink::start().await).await;
    fill_a_batch(&mesh, 10).await;
    for _ in 0..9 {
        mesh.tracked_call("unary").await.unwrap();
    }

    mesh.stat_at_least("records.acknowledged", 20).await;
    get(&mesh, 5).await;
    let callouts = terminate(&mut mesh).await;
    mesh.sink.wait_for(23).await;
    assert_stored_or_named(&mesh, &callouts, 23);
}
