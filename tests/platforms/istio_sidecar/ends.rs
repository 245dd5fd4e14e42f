//! The end of a pod: Istio's agent drains and kills, or only kills.

use super::*;

on_each_envoy!(
    drained_and_killed_leaves_nothing_unknown,
    killed_at_once_leaves_a_bound
);

/// What the agent posts before it waits and kills (istio/istio `pkg/envoy/admin.go`).
const DRAIN: &str = "/drain_listeners?inboundonly&graceful&skip_exit";

/// What a store can compute of a killed stream.
#[derive(Debug, PartialEq)]
struct Bound {
    /// Numbers that were given out and did not arrive.
    missing: Vec<u64>,
    /// Most records after the last batch.
    held: u64,
    has_ended: bool,
}

impl Bound {
    fn of(sink: &Sink) -> Self {
        let (records, numbers) = (sink.records(), stored(sink));
        let of_all = |name: &str| {
            let having = records.iter().filter(|record| record.has(name));
            having.map(|record| record.int(name)).max().unwrap()
        };
        Self {
            missing: (0..of_all("audit.sequence.next"))
                .filter(|number| !numbers.contains(number))
                .collect(),
            held: of_all("audit.buffer.max_records"),
            has_ended: !sink.events("audit.stream.end").is_empty(),
        }
    }
}

async fn drained_and_killed_leaves_nothing_unknown(version: &str) {
    let mut sidecar = Sidecar::start(version, &json!({"buffer": {"max_records": 2000}})).await;
    for path in ["/1", "/2", "/3"] {
        sidecar.get(path).await;
    }
    sidecar.mesh.envoy.admin_post(DRAIN).await;
    sidecar
        .mesh
        .stats_when("an empty buffer", |stats| {
            stats["buffer.records"] == 0 && stats["records.captured"] >= 4
        })
        .await;
    sidecar.mesh.envoy.signal("KILL");
    sidecar.mesh.envoy.wait().await;

    assert_eq!(paths(&sidecar.mesh.sink.exchanges()), ["/1", "/2", "/3"]);
    let bound = Bound {
        missing: Vec::new(),
        held: 2000,
        has_ended: false,
    };
    assert_eq!(Bound::of(&sidecar.mesh.sink), bound);
    let log = sidecar.mesh.envoy.log();
    assert!(!log.contains("not yet acknowledged"), "{log}");
}

/// A native sidecar gets no pause after its drain.
async fn killed_at_once_leaves_a_bound(version: &str) {
    let batch =
        json!({"batch": {"max_records": 3, "max_delay": "1h"}, "buffer": {"max_records": 2000}});
    let mut sidecar = Sidecar::start(version, &batch).await;
    for path in ["/1", "/2"] {
        sidecar.get(path).await;
    }
    sidecar.mesh.sink.wait_for(2).await;
    sidecar.get("/lost").await;
    sidecar.mesh.envoy.admin_post(DRAIN).await;
    sidecar.mesh.envoy.signal("KILL");
    sidecar.mesh.envoy.wait().await;

    assert_eq!(paths(&sidecar.mesh.sink.exchanges()), ["/1", "/2"]);
    let bound = Bound::of(&sidecar.mesh.sink);
    assert_eq!(
        (bound.missing, bound.held, bound.has_ended),
        (Vec::new(), 2000, false)
    );
    let log = sidecar.mesh.envoy.log();
    assert!(
        !log.contains("not yet acknowledged"),
        "no line names it: {log}"
    );
}
