//! A proxy that gets its audit cluster late, as without egress visibility.

use super::*;
use crate::parts::cluster;
use crate::troubleshooting;

on_each_envoy!(a_late_cluster_gets_all_records);

async fn a_late_cluster_gets_all_records(version: &str) {
    let mut shape = Shape::with(&json!({
        "audit_cluster": {"timeout": "300ms"},
        "retry": {"max_backoff": "500ms"},
        "rules": [
            {"name": "held", "match": {"path": {"exact": "/acknowledged"}}, "require_audit": "acknowledged"},
            {"name": "buffered", "match": {"path": {"exact": "/buffered"}}, "require_audit": "buffered"},
            {"name": "all"},
        ],
    }));
    shape.late = Some(Resources::clusters());
    let sidecar = shape.start(version).await;

    for (path, status) in [("/free", 200), ("/buffered", 200), ("/acknowledged", 503)] {
        assert_eq!(sidecar.get(path).await.status, status, "{path}");
    }
    troubleshooting::assert_printed(&sidecar.mesh, "a cluster that never comes").await;
    let held = sidecar.mesh.stat_at_least("records.captured", 4).await;
    assert_eq!(held["records.acknowledged"], 0);

    let late = sidecar.late.as_ref().unwrap();
    late.replace([cluster(AUDIT, sidecar.mesh.sink.addr())]);
    let stats = sidecar
        .mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    Mesh::assert_conserved(&stats);
    assert_eq!(stats["records.acknowledged"], stats["records.captured"]);

    let arrived = paths(&sidecar.mesh.sink.exchanges());
    for path in ["/free", "/buffered", "/acknowledged"] {
        assert!(arrived.iter().any(|found| found == path), "{arrived:?}");
    }
}
