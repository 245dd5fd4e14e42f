//! VMs that trap: their sealed batches are sent by the VM that is loaded in their place, and the
//! rest is reported as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use testkit::audit::sink::{Answer, Sink};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::lds::Listeners;
use testkit::{DEADLINE, Mesh, Record, eventually, tools};

/// Its value is the name of the callback that traps.
const HEADER: &str = "x-audit-crash-for-tests";

/// All requests below `/audited` and all tracked calls are recorded; four records fill a batch.
/// Almost any request makes Envoy reload a crashed VM.
pub fn bootstrap(max_delay: &str) -> Bootstrap {
    let plugin = json!({
        "audit_cluster": {"timeout": "1s"},
        "batch": {"max_records": 4, "max_delay": max_delay},
        "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"},
        "rules": [
            {"name": "audited", "match": {"path": {"prefix": "/audited"}}},
            {"name": "tracked", "match": {"tracked": true}},
        ],
    });

    Bootstrap::shipped().with_plugin(&plugin).with(|bootstrap| {
        bootstrap.run(tools::crashing_wasm());
        bootstrap.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["reload_config"] =
                json!({"backoff": {"base_interval": "0.05s"}});
        });
    })
}

/// A mesh with an audit cluster that reads all requests and never answers.
async fn hanging(max_delay: &str, concurrency: usize) -> Mesh {
    let mesh = Mesh::with_bootstrap(bootstrap(max_delay), Sink::start().await, concurrency).await;
    mesh.sink.answer_all(Some(Answer::Hang));
    mesh
}

/// Makes records with these names.
pub async fn record(mesh: &Mesh, names: &[String]) {
    for name in names {
        assert_eq!(mesh.get(&format!("/audited/{name}"), &[]).await.status, 200);
    }
}

pub fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("{prefix}-{index}"))
        .collect()
}

async fn reloads(mesh: &Mesh) -> u64 {
    mesh.envoy.stats("vm_reload_success").await.values().sum()
}

/// Traps a VM of the HTTP listener in this callback, and waits until a new one is in its place.
pub async fn crash(mesh: &Mesh, callback: &str) {
    let before = reloads(mesh).await;
    let status = mesh.get("/", &[(HEADER, callback)]).await.status;
    assert_eq!(status, if callback == "log" { 200 } else { 503 });

    let loaded = async {
        while reloads(mesh).await == before {
            mesh.get("/", &[]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, loaded)
        .await
        .expect("a request loads the VM anew");
}

/// Lets the audit cluster recover, and waits until all records are delivered. Yields the statistics
/// at that moment.
pub async fn delivered(
    mesh: &Mesh,
    expected: &[Record],
    names: &[String],
) -> BTreeMap<String, u64> {
    let arrived = |stored: &[Record]| {
        let uids: BTreeSet<String> = stored.iter().map(Record::uid).collect();
        expected.iter().all(|record| uids.contains(&record.uid()))
            && named(stored).is_superset(&of(names))
    };
    eventually("what was sealed arrives", || {
        arrived(&mesh.sink.records()).then_some(())
    })
    .await;

    let is_settled = |stats: &BTreeMap<String, u64>| {
        let gauges = ["buffer.records", "buffer.bytes", "in_flight.batches"];
        gauges.iter().all(|gauge| stats[*gauge] == 0) && Mesh::is_conserved(stats)
    };
    let stats = mesh.stats_when("an empty buffer", is_settled).await;
    assert_dense(&mesh.sink.records());

    stats
}

fn of(names: &[String]) -> BTreeSet<String> {
    names
        .iter()
        .map(|name| format!("/audited/{name}"))
        .collect()
}

fn named(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .map(|record| record.text("url.path"))
        .filter(|path| !path.is_empty())
        .collect()
}

fn streams(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .map(|record| record.text("audit.stream.id"))
        .collect()
}

fn is_recovered(record: &Record) -> bool {
    record.text("audit.recovered") == "true"
}

fn recovered(mesh: &Mesh) -> Vec<Record> {
    mesh.sink
        .arrived()
        .into_iter()
        .filter(is_recovered)
        .collect()
}

/// Every number of every stream, up to the highest known one, is stored or reported as lost by a
/// crash.
fn assert_dense(stored: &[Record]) {
    for stream in streams(stored) {
        let of_stream: Vec<&Record> = stored
            .iter()
            .filter(|record| record.text("audit.stream.id") == stream)
            .collect();
        let mut known: BTreeSet<u64> = of_stream
            .iter()
            .map(|record| record.int("audit.sequence.number"))
            .collect();

        for loss in of_stream
            .iter()
            .filter(|record| record.event == "audit.loss")
        {
            assert_eq!(loss.text("audit.loss.reason"), "vm_crash", "{loss:#?}");
            assert!(
                is_recovered(loss),
                "a stream does not outlive its own crash: {loss:#?}"
            );
            known.extend(loss.int("audit.loss.first_number")..=loss.int("audit.loss.last_number"));
        }

        let dense: BTreeSet<u64> = (0..known.len() as u64).collect();
        assert_eq!(known, dense, "a gap in {stream} that nothing explains");
    }
}

/// Each of these records is stored as sealed: in its stream and batch, with the flag
/// `audit.recovered`.
fn assert_taken_over(mesh: &Mesh, sealed: &[Record]) {
    let stored: BTreeMap<String, Record> = mesh
        .sink
        .records()
        .into_iter()
        .map(|record| (record.uid(), record))
        .collect();

    let instances: BTreeSet<String> = stored
        .values()
        .map(|record| record.text("service.instance.id"))
        .collect();
    assert_eq!(instances.len(), 1, "one process: {instances:?}");

    for record in sealed {
        let found = &stored[&record.uid()];
        assert!(is_recovered(found), "{found:#?}");
        for name in [
            "audit.stream.id",
            "audit.batch.id",
            "service.instance.id",
            "audit.sequence.number",
        ] {
            assert_eq!(found.text(name), record.text(name));
        }
        assert_eq!(found.raw, record.raw, "the same bytes");
    }
}

#[tokio::test]
async fn sealed_batches_arrive_and_the_rest_is_reported() {
    let mut mesh = hanging("1h", 1).await;
    let before = names("before", 20);
    record(&mesh, &before).await;
    mesh.stats_when("failed attempts", |stats| {
        stats["batches.failed"] > 0 && stats["records.captured"] == 21
    })
    .await;

    let sealed = mesh.sink.arrived();
    let unsealed: Vec<String> = of(&before).difference(&named(&sealed)).cloned().collect();
    assert!(sealed.len() >= 4 && !unsealed.is_empty(), "{unsealed:?}");

    mesh.sink.down().await;
    crash(&mesh, "headers").await;
    let after = names("after", 3);
    record(&mesh, &after).await;
    mesh.sink.answer_all(None);
    mesh.sink.up().await;

    let stats = delivered(&mesh, &sealed, &after).await;
    assert_taken_over(&mesh, &sealed);
    assert_eq!(stats["records.dropped.vm_crash"], unsealed.len() as u64);

    let losses = mesh.sink.events("audit.loss");
    assert_eq!((losses.len(), streams(&losses)), (1, streams(&sealed)));
    assert!(losses[0].int("audit.loss.last_number") >= 20, "{losses:#?}");

    let own: Vec<Record> = mesh
        .sink
        .records()
        .into_iter()
        .filter(|record| !is_recovered(record))
        .collect();
    assert_eq!(
        named(&own),
        of(&after),
        "what the reloaded VM has recorded itself is not marked"
    );
    assert!(mesh.envoy.log().contains("takes over from stream"));
}

#[tokio::test]
async fn nothing_of_a_living_sibling_is_taken() {
    let mesh = hanging("200ms", 2).await;
    let mut before = Vec::new();
    for round in 0.. {
        assert!(round < 20, "both workers serve");
        let more = names(&format!("before-{round}"), 8);
        record(&mesh, &more).await;
        before.extend(more);
        if streams(&mesh.sink.arrived()).len() == 2 {
            break;
        }
    }

    mesh.stat_at_least("records.captured", before.len() as u64 + 2)
        .await;
    let sealed = mesh.sink.arrived();
    crash(&mesh, "log").await;

    let after = names("after", 8);
    record(&mesh, &after).await;
    eventually("the crashed stream's batches are taken over", || {
        (!recovered(&mesh).is_empty()).then_some(())
    })
    .await;
    mesh.sink.answer_all(None);

    let stats = delivered(&mesh, &sealed, &after).await;
    let crashed = streams(&recovered(&mesh));
    assert_eq!(crashed.len(), 1, "one of two: {crashed:?}");

    let (crashed, siblings): (Vec<Record>, Vec<Record>) = sealed
        .into_iter()
        .partition(|record| crashed.contains(&record.text("audit.stream.id")));
    assert!(!siblings.is_empty());
    assert_taken_over(&mesh, &crashed);

    let lost = of(&before).difference(&named(&mesh.sink.records())).count();
    assert_eq!(stats["records.dropped.vm_crash"], lost as u64);
}

#[tokio::test]
async fn a_batch_on_its_way_is_sent_again_and_counts_once() {
    let patient = bootstrap("1h").with_plugin(&json!({"audit_cluster": {"timeout": "1m"}}));
    let mesh = Mesh::with_bootstrap(patient, Sink::start().await, 1).await;
    mesh.sink.answer_next([Answer::Late(DEADLINE)]);
    record(&mesh, &names("before", 3)).await;
    mesh.stats_when("a batch in flight", |stats| stats["in_flight.batches"] == 1)
        .await;

    let stored = mesh.sink.records();
    assert_eq!(
        stored.len(),
        4,
        "it is stored already, and the answer is on its way"
    );

    crash(&mesh, "log").await;
    eventually("it is sent again", || {
        (recovered(&mesh).len() >= 4).then_some(())
    })
    .await;
    let stats = delivered(&mesh, &stored, &[]).await;
    assert_taken_over(&mesh, &stored);

    let attempts: BTreeMap<String, usize> =
        mesh.sink
            .attempts()
            .iter()
            .fold(BTreeMap::new(), |mut counts, attempt| {
                *counts
                    .entry(attempt.header("idempotency-key").to_owned())
                    .or_default() += 1;
                counts
            });

    assert_eq!(
        attempts.into_values().collect::<BTreeSet<_>>(),
        [1, 2].into(),
        "the store knows the second one"
    );

    let uids: BTreeSet<String> = mesh.sink.records().iter().map(Record::uid).collect();
    assert_eq!(
        (stats["records.acknowledged"], stats["records.captured"]),
        (uids.len() as u64, uids.len() as u64)
    );
    assert_eq!(stats["records.dropped.vm_crash"], 0);
}

#[tokio::test]
async fn one_crash_after_the_other_leaves_nothing_unexplained() {
    let mesh = hanging("1h", 1).await;
    let (mut all, callbacks) = (Vec::new(), ["log", "headers", "headers", "log", "headers"]);
    for (round, callback) in callbacks.into_iter().enumerate() {
        let more = names(&format!("round-{round}"), 5);
        let captured = mesh.envoy.stats("records.captured").await["records.captured"];
        record(&mesh, &more).await;
        all.extend(more);
        // Some VMs crash after the takeover from their predecessors, others before it.
        if round % 2 == 0 {
            mesh.stat_at_least("records.captured", captured + 6).await;
        }
        crash(&mesh, callback).await;
    }

    let sealed = mesh.sink.arrived();
    mesh.sink.answer_all(None);
    let after = names("after", 3);
    record(&mesh, &after).await;

    let stats = delivered(&mesh, &sealed, &after).await;
    assert_taken_over(&mesh, &sealed);

    let lost = of(&all).difference(&named(&mesh.sink.records())).count() as u64;
    assert!(
        stats["records.dropped.vm_crash"] <= lost,
        "{lost} are lost: {stats:#?}"
    );

    let uids: BTreeSet<String> = mesh.sink.records().iter().map(Record::uid).collect();
    assert_eq!(stats["records.acknowledged"], uids.len() as u64);
}

#[tokio::test]
async fn a_configuration_that_has_replaced_another_is_taken_over_from() {
    let (mut mesh, listeners) = Listeners::start(bootstrap("50ms"), Sink::start().await).await;
    record(&mesh, &names("old", 3)).await;
    listeners.update(&json!({"batch": {"max_delay": "1h"}}));

    let end = eventually("the old stream ends", || {
        mesh.sink.events("audit.stream.end").pop()
    })
    .await;
    mesh.http = mesh.envoy.listener("http").await;
    mesh.sink.answer_all(Some(Answer::Hang));
    let old = mesh.sink.arrived().len();
    record(&mesh, &names("new", 3)).await;

    // It is sent again after its timeout.
    let new = || {
        Some(
            mesh.sink
                .arrived()
                .into_iter()
                .skip(old)
                .take(4)
                .collect::<Vec<_>>(),
        )
        .filter(|sent| sent.len() == 4)
    };

    let sealed = eventually("the new stream's batch", new).await;
    assert!(
        !streams(&sealed).contains(&end.text("audit.stream.id")),
        "the old root is gone"
    );

    crash(&mesh, "headers").await;
    mesh.sink.answer_all(None);
    delivered(&mesh, &sealed, &[]).await;
    assert_taken_over(&mesh, &sealed);
}

#[tokio::test]
async fn two_listeners_of_one_vm_are_taken_over_from() {
    let mesh = hanging("1h", 1).await;
    record(&mesh, &names("before", 3)).await;
    for _ in 0..3 {
        mesh.tracked_call("unary").await.unwrap();
    }

    let sealed = eventually("a batch of each", || {
        Some(mesh.sink.arrived()).filter(|sent| streams(sent).len() == 2)
    })
    .await;
    crash(&mesh, "log").await;
    mesh.sink.answer_all(None);
    delivered(&mesh, &sealed, &[]).await;
    assert_taken_over(&mesh, &sealed);

    let answer = mesh.tracked_call("unary").await.unwrap();
    assert_eq!(
        answer.grpc_status().as_deref(),
        Some("0"),
        "the other listener's filter is loaded by its own request"
    );

    let stats = mesh
        .stats_when("its start and its call", |stats| {
            stats["buffer.records"] == 2
        })
        .await;
    Mesh::assert_conserved(&stats);
}

#[tokio::test]
async fn the_shipped_filter_does_not_know_the_header() {
    let shipped = bootstrap("50ms").with(|bootstrap| bootstrap.run(tools::wasm()));
    let mesh = Mesh::with_bootstrap(shipped, Sink::start().await, 1).await;
    for callback in ["headers", "log"] {
        assert_eq!(
            mesh.get("/audited/alive", &[(HEADER, callback)])
                .await
                .status,
            200
        );
    }

    let records = mesh.sink.wait_for(2).await;
    assert_eq!(streams(&records).len(), 1);

    let reloads = mesh.envoy.stats("vm_reload").await;
    assert!(
        !reloads.is_empty() && reloads.values().all(|count| *count == 0),
        "{reloads:#?}"
    );
}
