//! Configurations that the filter refuses, delivered by ECDS: `kubectl apply` accepts them all.

use super::*;
use crate::troubleshooting;

on_each_envoy!(
    a_bad_configuration_is_seen_by_clients_or_keeps_the_old_one,
    a_missing_variable_is_a_bad_configuration
);

async fn a_bad_configuration_is_seen_by_clients_or_keeps_the_old_one(version: &str) {
    let bad = json!({"rules": [{"name": "Upper"}]});
    let good = json!({"service": "good", "batch": {"max_delay": "50ms"}});
    let sidecar = Sidecar::start(version, &bad).await;
    assert_eq!(sidecar.get("/first").await.status, 500);
    troubleshooting::assert_printed(&sidecar.mesh, "a bad configuration").await;
    assert_eq!(sidecar.mesh.sink.records(), []);

    sidecar.update(&good);
    recovers(&sidecar).await;

    sidecar.update(&bad);
    eventually("Envoy refuses the update", || {
        let log = sidecar.mesh.envoy.log();
        (log.matches("configuration refused").count() >= 2).then_some(())
    })
    .await;
    assert_eq!(sidecar.get("/third").await.status, 200);
    let records = sidecar.records().await;
    let last = records.last().unwrap();
    assert_eq!(last.text("url.path"), "/third");
    assert_eq!(last.text("service.name"), "good", "the old rules go on");
}

async fn a_missing_variable_is_a_bad_configuration(version: &str) {
    let shape = Shape::with(&json!({}));
    let mut variables = shape.plugin.variables.clone();
    variables.retain(|name| name != "AUDIT_TOKEN");
    let sidecar = shape.start_with(version, variables).await;
    assert_eq!(sidecar.get("/first").await.status, 500);
    troubleshooting::assert_printed(&sidecar.mesh, "a missing HOST key").await;
}

/// Waits until a request is served again.
async fn recovers(sidecar: &Sidecar) {
    let end = testkit::now() + testkit::DEADLINE;
    while sidecar.get("/second").await.status != 200 {
        assert!(testkit::now() < end, "{}", sidecar.mesh.envoy.log());
    }
}
