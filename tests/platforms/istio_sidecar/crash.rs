//! A VM that traps, with the `FAIL_RELOAD` of the manifest.

use testkit::tools;

use super::*;

on_each_envoy!(a_crashed_vm_is_made_anew);

async fn a_crashed_vm_is_made_anew(version: &str) {
    let mut shape = Shape::with(&json!({"batch": {"max_records": 2, "max_delay": "1h"}}));
    shape.plugin = shape.plugin.running(tools::crashing_wasm());
    let sidecar = shape.start(version).await;

    // The audit cluster keeps the first batch from its end, so the crash meets it in flight.
    sidecar
        .mesh
        .sink
        .answer_all(Some(testkit::audit::sink::Answer::Hang));
    sidecar.get("/sealed").await;
    eventually("the batch leaves", || sidecar.mesh.sink.attempts().pop()).await;

    let trap = [("x-audit-crash-for-tests", "headers")];
    assert_eq!(sidecar.get_with(GATEWAY, "/trap", &trap).await.status, 503);
    sidecar.mesh.sink.answer_all(None);

    let end = testkit::now() + testkit::DEADLINE;
    while sidecar.get("/after").await.status != 200 {
        assert!(testkit::now() < end, "{}", sidecar.mesh.envoy.log());
    }
    let recovered = eventually("the sealed batch arrives", || {
        let mut records = sidecar.mesh.sink.exchanges().into_iter();
        records.find(|record| record.text("url.path") == "/sealed")
    })
    .await;
    assert_eq!(recovered.text("audit.recovered"), "true");
}
