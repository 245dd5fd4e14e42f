//! Configuration updates while the audit cluster refuses the old configuration's records: the new
//! one delivers them.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::ledger::Ledger;
use testkit::audit::sink::{Answer, Attempt, Sink};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::ecds::Extension;
use testkit::envoy::lds::Listeners;
use testkit::{Mesh, eventually};

use crate::lifecycle::begin;

/// The answer to the old credentials.
const UNKNOWN: Answer = Answer::Status(401, "{}");

fn credentials(token: &str) -> Value {
    json!({"audit_cluster": {"headers": {"authorization": token}}})
}

/// Records all requests, with a short delay.
fn quick(patch: &Value) -> Bootstrap {
    let quick = json!({"rules": [{"name": "all"}], "batch": {"max_delay": "50ms"}, "retry": {"max_backoff": "500ms"}});
    Bootstrap::shipped().with_plugin(&quick).with_plugin(patch)
}

async fn check(mesh: &Mesh, times: usize) {
    for _ in 0..times {
        mesh.get("/check", &[("connection", "close")]).await;
    }
}

/// All records are delivered with the new credentials, under the stream that recorded them.
async fn assert_delivered(mesh: &Mesh, count: usize) {
    let records = mesh.sink.wait_for(count).await;
    assert_eq!(records.len(), count);

    let streams: Vec<String> = records
        .iter()
        .map(|record| record.text("audit.stream.id"))
        .collect();
    assert!(
        streams.iter().all(|stream| *stream == streams[0]),
        "{streams:?}"
    );

    let end = eventually("the old stream ends", || {
        mesh.sink.events("audit.stream.end").pop()
    })
    .await;
    assert_eq!(end.text("audit.stream.id"), streams[0]);

    let stored = || {
        mesh.sink
            .attempts()
            .into_iter()
            .filter(|attempt| attempt.is_stored)
    };
    assert!(stored().all(|attempt| attempt.header("authorization") == "new"));

    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);
    assert_eq!(stats["records.dropped.abandoned"], 0);
    Ledger::of(mesh).assert_accounts_for(count);
}

/// Twenty requests. The audit cluster refuses their records until `update` sets the new
/// credentials.
async fn deliver_after(mesh: &Mesh, update: impl FnOnce(&Value)) {
    mesh.sink.answer_all(Some(UNKNOWN));
    check(mesh, 20).await;
    eventually("an attempt is refused", || mesh.sink.attempts().pop()).await;
    update(&credentials("new"));

    let has_new = |attempt: &Attempt| attempt.header("authorization") == "new";
    eventually("the new credentials", || {
        mesh.sink.attempts().pop().filter(has_new)
    })
    .await;
    mesh.sink.answer_all(None);
    assert_delivered(mesh, 20).await;
}

#[tokio::test]
async fn new_credentials_by_lds_deliver_what_the_old_ones_could_not() {
    let (mesh, listeners) = Listeners::start(quick(&credentials("old")), Sink::start().await).await;
    deliver_after(&mesh, |patch| listeners.update(patch)).await;
}

#[tokio::test]
async fn new_credentials_by_ecds_deliver_what_the_old_ones_could_not() {
    let (mesh, extension) = Extension::start(quick(&credentials("old")), Sink::start().await).await;
    deliver_after(&mesh, |patch| extension.update(patch)).await;
}

/// Another environment means another VM: the old one ends with its configuration.
fn in_another_vm(bootstrap: &mut Bootstrap) {
    bootstrap.set_variable("GENERATION", "2");
}

/// Twenty records in an outage, and an update that ends their VM. They are delivered with their
/// original numbers.
async fn deliver_from_another_vm(mut mesh: Mesh, update: impl FnOnce()) {
    check(&mesh, 20).await;
    mesh.stats_when("every record", |stats| stats["records.captured"] >= 20)
        .await;
    update();

    // The last attempts of the old configuration must also meet the outage.
    eventually("another VM takes over", || {
        mesh.envoy.log().contains("whose VM is gone").then_some(())
    })
    .await;
    mesh.sink.up().await;
    let records = mesh.sink.wait_for(20).await;
    assert_eq!(records.len(), 20);

    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);

    assert_eq!(
        (
            stats["buffer.bytes"],
            stats["records.dropped.vm_crash"],
            stats["records.dropped.abandoned"]
        ),
        (0, 0, 0)
    );
    assert!(mesh.sink.events("audit.loss").is_empty(), "nothing is lost");

    // The end record has no number if all records of its stream were in flight at the end of the
    // VM.
    Ledger::of(&mesh)
        .0
        .values()
        .for_each(|account| drop(account.known()));
}

#[tokio::test]
async fn another_vm_by_lds_delivers_what_the_old_one_held() {
    let (mesh, listeners) = Listeners::start(quick(&json!({})), Sink::start_down()).await;
    deliver_from_another_vm(mesh, || listeners.update_with(&json!({}), in_another_vm)).await;
}

#[tokio::test]
async fn another_vm_by_ecds_delivers_what_the_old_one_held() {
    let (mesh, extension) = Extension::start(quick(&json!({})), Sink::start_down()).await;
    deliver_from_another_vm(mesh, || extension.update_with(&json!({}), in_another_vm)).await;
}

/// Limit of the buffer here, in records. Starts, ends and losses of streams do not count.
const LIMIT: u64 = 10;

#[tokio::test]
async fn four_updates_in_an_outage_hold_no_more_than_one_configuration_may() {
    let patch = json!({"buffer": {"max_records": LIMIT}});
    let (mut mesh, extension) = Extension::start(quick(&patch), Sink::start_down()).await;
    for update in 0..4 {
        check(&mesh, 8).await;
        extension.update(&json!({"service": format!("update-{update}")}));
        tokio::time::timeout(
            Duration::from_secs(20),
            mesh.stat_at_least("records.captured", 8 * (update + 1)),
        )
        .await
        .unwrap();
    }
    check(&mesh, 8).await;

    // Two lifecycle records and two losses for each of the five streams.
    let most = LIMIT + 5 * 4;
    let stats = mesh
        .stats_when("few records", |stats| stats["buffer.records"] <= most)
        .await;
    Mesh::assert_conserved(&stats);

    mesh.sink.up().await;
    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);

    let stored = mesh.sink.exchanges().len() as u64;
    assert!(stored <= LIMIT, "{stored} stored");
    mesh.sink.wait_for_losses(5 * 8 - stored).await;
}

/// The old configuration stays until the last of its requests has ended.
#[tokio::test]
async fn an_old_configuration_that_drains_takes_from_the_limits_of_the_new_one() {
    let patch = json!({"buffer": {"max_records": LIMIT, "immediate_reserve_percent": 0}});
    let (mesh, extension) = Extension::start(quick(&patch), Sink::start_down()).await;
    let going_on = begin(&mesh, "/slow", Duration::from_secs(8)).await;

    check(&mesh, 8).await;
    mesh.stat_at_least("records.captured", 8 + 1).await;
    extension.update(&json!({"service": "updated"}));
    eventually("the update", || {
        (mesh.envoy.log().matches("configured: stream").count() > 4).then_some(())
    })
    .await;
    check(&mesh, 8).await;

    let stats = mesh.stat_at_least("records.dropped.buffer_full", 1).await;
    assert!(
        !going_on.is_finished(),
        "the old configuration was there all the time"
    );

    // Plus the starts of two streams, one of which may still lack its first record. Once a batch is
    // due, plus reports of drops.
    assert!(
        (LIMIT + 1..=LIMIT + 2 * 4).contains(&stats["buffer.records"]),
        "{stats:#?}"
    );
    Mesh::assert_conserved(&stats);

    going_on.await.unwrap();
}

#[tokio::test]
async fn a_process_that_ends_in_an_outage_names_what_the_new_configuration_has_taken_over() {
    let (mut mesh, extension) =
        Extension::start(quick(&credentials("old")), Sink::start().await).await;
    mesh.sink.answer_all(Some(UNKNOWN));
    check(&mesh, 20).await;
    mesh.stat_at_least("records.captured", 21).await;
    extension.update(&credentials("new"));
    eventually("the new configuration takes over", || {
        mesh.envoy.log().contains("takes over").then_some(())
    })
    .await;
    check(&mesh, 5).await;
    mesh.stat_at_least("records.captured", 21 + 1 + 6).await;

    mesh.envoy.terminate().await;
    let ledger = Ledger::of(&mesh);
    assert_eq!(ledger.named().len(), 2, "{ledger:#?}");
    ledger.assert_accounts_for(25);
}
