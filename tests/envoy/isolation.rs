//! A permanent error answer. If one batch gets it, that batch is at fault; if all batches get it,
//! the configuration is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::sink::{Answer, Sink};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, Record, eventually};

const POISON: &str = "poison";

/// Short delays and retries, and every exchange is recorded.
async fn mesh(patch: &Value) -> Mesh {
    let quick = json!({
        "rules": [{"name": "all"}],
        "batch": {"max_records": 20, "max_delay": "50ms"},
        "retry": {"initial_backoff": "20ms", "max_backoff": "200ms"},
    });
    let bootstrap = Bootstrap::shipped().with_plugin(&quick).with_plugin(patch);
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

fn has_poison(body: &[u8]) -> bool {
    body.windows(POISON.len())
        .any(|window| window == POISON.as_bytes())
}

async fn get(mesh: &Mesh, agent: &str) {
    mesh.get("/check", &[("user-agent", agent)]).await;
}

/// Sends good requests until the statistics satisfy `holds`. Yields their number, and the
/// statistics.
async fn serve_until(
    mesh: &Mesh,
    holds: impl Fn(&BTreeMap<String, u64>) -> bool,
) -> (usize, BTreeMap<String, u64>) {
    for count in 0..2000 {
        let stats = mesh.envoy.stats("audit_filter").await;
        if holds(&stats) {
            return (count, stats);
        }
        get(mesh, "good").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    panic!(
        "not within 2000 requests: {:#?}",
        mesh.envoy.stats("audit_filter").await
    );
}

/// Every captured record has arrived once, except rejected ones, which are reported.
async fn assert_only_poison_is_lost(mesh: &Mesh, good: usize, bad: u64) {
    // Records since the last tick are not yet in the statistics.
    mesh.sink.wait_for(good).await;
    let is_settled =
        |stats: &BTreeMap<String, u64>| stats["buffer.records"] == 0 && Mesh::is_conserved(stats);
    let stats = mesh.stats_when("an empty buffer", is_settled).await;
    assert_eq!(stats["records.rejected"], bad);

    let arrived = mesh.sink.exchanges();
    let uids: BTreeSet<String> = arrived.iter().map(Record::uid).collect();
    assert_eq!(
        (arrived.len(), uids.len()),
        (good, good),
        "each good record arrives once"
    );

    mesh.sink.wait_for_losses(bad).await;
}

#[tokio::test]
async fn a_record_that_is_always_answered_500_does_not_hold_up_the_others() {
    for status in [500, 403] {
        let mesh = mesh(&json!({})).await;
        mesh.sink.refuse(status, has_poison);
        for index in 0..8 {
            get(&mesh, if index == 5 { POISON } else { "good" }).await;
        }

        mesh.stat_at_least("batches.failed", 1).await;
        get(&mesh, "late").await;
        let is_late = |record: &Record| record.text("user_agent.original") == "late";
        eventually("a later record arrives while the batch fails", || {
            mesh.sink.exchanges().into_iter().find(is_late)
        })
        .await;

        assert_eq!(
            mesh.envoy
                .stats("audit_filter")
                .await
                .get("records.rejected")
                .copied()
                .unwrap_or_default(),
            0
        );

        let (more, stats) = serve_until(&mesh, |stats| stats["records.rejected"] == 1).await;
        assert!(stats["batches.split"] > 0, "{stats:#?}");
        assert_only_poison_is_lost(&mesh, 8 + more, 1).await;

        let log = mesh.envoy.log();
        assert!(
            log.contains("batches fail while others are acknowledged"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn a_configuration_that_is_refused_from_the_start_loses_nothing() {
    for (status, remedy) in [
        (400, "check audit_cluster.format and"),
        (415, "check audit_cluster.format"),
        (500, "status 500"),
    ] {
        let mesh = mesh(&json!({})).await;
        mesh.sink.answer_all(Some(Answer::Status(status, "{}")));
        for _ in 0..100 {
            get(&mesh, "good").await;
        }

        let stats = mesh.stat_at_least("batches.failed", 30).await;
        assert_eq!(
            (stats["records.rejected"], stats["records.acknowledged"]),
            (0, 0),
            "{status}"
        );
        assert_eq!(stats["buffer.records"], stats["records.captured"]);

        let log = mesh.envoy.log();
        let lines = log.matches("audit cluster does not acknowledge").count();
        assert!(
            (1..=2).contains(&lines) && log.contains(remedy),
            "{status}: {log}"
        );

        mesh.sink.answer_all(None);
        mesh.sink.wait_for(100).await;
        assert_only_poison_is_lost(&mesh, 100, 0).await;
    }
}

#[tokio::test]
async fn a_configuration_that_is_refused_after_a_good_start_loses_nothing_but_poison() {
    let mesh = mesh(&json!({})).await;
    for _ in 0..20 {
        get(&mesh, "good").await;
    }

    mesh.sink.wait_for(20).await;
    mesh.sink.answer_all(Some(Answer::Status(400, "{}")));
    for index in 0..50 {
        get(&mesh, if index == 17 { POISON } else { "good" }).await;
    }

    mesh.stat_at_least("batches.failed", 30).await;
    mesh.sink.refuse(400, has_poison);
    mesh.sink.answer_all(None);
    let (more, _) = serve_until(&mesh, |stats| stats["records.rejected"] == 1).await;
    assert_only_poison_is_lost(&mesh, 20 + 49 + more, 1).await;
}

#[tokio::test]
async fn an_audit_cluster_that_fails_every_other_time_loses_and_doubles_nothing() {
    let mesh = mesh(&json!({"batch": {"max_records": 5}})).await;
    let alternately = [503, 200].map(|status| Answer::Status(status, "{}"));
    mesh.sink
        .answer_next(alternately.into_iter().cycle().take(2000));

    for _ in 0..300 {
        get(&mesh, "good").await;
    }
    mesh.sink.wait_for(300).await;
    assert_only_poison_is_lost(&mesh, 300, 0).await;

    let attempts = mesh.sink.attempts();
    let mut bodies = BTreeMap::new();
    for attempt in &attempts {
        let first = bodies
            .entry(attempt.header("idempotency-key").to_owned())
            .or_insert(&attempt.body);
        assert_eq!(
            *first, &attempt.body,
            "a batch that comes again is the same"
        );
    }

    let log = mesh.envoy.log();
    for line in [
        "does not acknowledge",
        "answers again",
        "batches fail while",
    ] {
        assert!(log.matches(line).count() <= 4, "{line}: {log}");
    }
}
