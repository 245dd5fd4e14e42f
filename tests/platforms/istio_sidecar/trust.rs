//! The peers that may set control headers, and the direction in which the plugin belongs.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

on_each_envoy!(
    only_the_gateways_certificate_is_trusted,
    a_plugin_in_both_directions_takes_headers_too_early
);

/// The numbers of each stream.
fn streams(sink: &Sink) -> BTreeMap<String, BTreeSet<u64>> {
    let mut streams: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for record in sink.records() {
        let numbers = streams.entry(record.text("audit.stream.id")).or_default();
        numbers.insert(record.int("audit.sequence.number"));
    }
    streams
}

async fn only_the_gateways_certificate_is_trusted(version: &str) {
    let sidecar = Sidecar::start(version, &json!({})).await;
    for (peer, client, path) in [
        (GATEWAY, "198.51.100.7", "/gateway"),
        (OTHER, "198.51.100.7", "/other"),
        (OTHER, "127.0.0.1", "/claimed"),
    ] {
        assert_eq!(sidecar.get_as(peer, client, path).await.status, 200);
    }

    let records = sidecar.records().await;
    assert_eq!(paths(&records), ["/gateway"]);
    assert_eq!(records[0].text("client.address"), "198.51.100.7");
    assert_eq!(records[0].text("audit.action"), "change_password");
    assert_eq!(records[0].text("audit.session.context"), "Y3R4");

    let seen = |path: &str| sidecar.mesh.upstream.seen().at_path(path).remove(0).headers;
    let arrived = |path: &str| CONTROL.map(|(name, _)| seen(path).contains(name));
    assert_eq!(arrived("/gateway"), [false, false, true]);
    assert_eq!(arrived("/other"), [false; 3]);
    assert_eq!(arrived("/claimed"), [false; 3]);
    let stats = sidecar.mesh.stat_at_least("headers.spoofed", 6).await;
    assert_eq!(stats["headers.spoofed"], 6, "three names of two requests");

    // On the way out there is no plugin: what the application sets reaches the next hop.
    sidecar.get_outbound("/next").await;
    assert_eq!(arrived("/next"), [true; 3]);
}

async fn a_plugin_in_both_directions_takes_headers_too_early(version: &str) {
    let trust = json!({"trust": {"cidrs": ["127.0.0.0/8"]}});
    let mut shape = Shape::with(&trust);
    shape.is_in_both_directions = true;
    let sidecar = shape.start(version).await;
    sidecar.get("/in").await;
    sidecar.get_outbound("/out").await;

    let mut recorded = paths(&sidecar.records().await);
    recorded.sort();
    assert_eq!(recorded, ["/in", "/out"], "a record at each hop");
    let next = sidecar.mesh.upstream.seen().at_path("/out").remove(0);
    assert!(!next.headers.contains("x-session-track"));

    // Both listeners have the same plugin. 1.40.0 configures it once for a worker, the others once
    // for each listener.
    let streams = streams(&sidecar.mesh.sink);
    let expected = if version == "1.40.0" { 1 } else { 2 };
    assert_eq!(streams.len(), expected, "{streams:?}");
    for numbers in streams.values() {
        let dense: BTreeSet<u64> = (0..numbers.len() as u64).collect();
        assert_eq!(*numbers, dense);
    }
}
