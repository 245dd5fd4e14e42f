//! One plugin for a whole mesh: batches pass the same filter in front of the collector, and make no
//! records. Requests that only imitate a batch make one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};
use testkit::audit::records::Record;
use testkit::client::{CallOptions, http_request};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::list;
use testkit::envoy::relay::Relay;
use testkit::eventually;

const PEER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const TOKEN: (&str, &str) = ("authorization", "Bearer of all filters");

/// Every filter of the mesh records every request, and trusts 127.0.0.1.
async fn start(patch: &Value) -> Relay {
    let broad = json!({"rules": [{"name": "all"}], "batch": {"max_delay": "50ms"},
        "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"}});
    Relay::start(
        Bootstrap::shipped().with_plugin(&broad).with_plugin(patch),
        &json!({}),
        |_| {},
    )
    .await
}

/// Makes ten batches, each with the record of one user request.
async fn use_it(relay: &Relay) {
    for round in 1..=10 {
        assert_eq!(relay.mesh.get("/orders", &[]).await.status, 200);
        relay.mesh.sink.wait_for(round).await;
    }
}

/// Sends a request that imitates a batch to the relay.
async fn forge(relay: &Relay, peer: Ipv4Addr, name: &str, more: &[(&str, &str)]) {
    let product = format!("audit-filter/{name}");
    let marks = [
        ("user-agent", product.as_str()),
        ("idempotency-key", "\"any\""),
    ];
    let headers = list(&[&marks, more].concat());
    let body = r#"{"resourceLogs":[]}"#;
    let options = CallOptions::from_ip(peer);
    let answer = http_request(relay.addr, "POST", "/v1/logs", headers, body, &options)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

fn forged(relay: &Relay) -> Vec<Record> {
    relay
        .mesh
        .sink
        .exchanges()
        .into_iter()
        .filter(|record| record.text("url.path") == "/v1/logs")
        .collect()
}

/// Waits until no record is held and the relay's filter has counted every batch: then no further
/// batch can be made. Fails unless exactly `records` requests were recorded. The number of excluded
/// requests must be that of the batches plus `others`.
async fn assert_at_rest(relay: &Relay, records: u64, others: u64) {
    let is_at_rest = |stats: &BTreeMap<String, u64>| {
        let is_empty = ["buffer.records", "in_flight.batches"]
            .iter()
            .all(|gauge| stats[*gauge] == 0);
        is_empty && stats["records.excluded"] == stats["batches.acknowledged"] + others
    };
    let stats = relay.mesh.stats_when("rest", is_at_rest).await;
    assert_eq!(
        relay.mesh.sink.exchanges().len() as u64,
        records,
        "{stats:#?}"
    );
}

#[tokio::test]
async fn batches_from_a_trusted_peer_make_no_records() {
    let relay = start(&json!({})).await;
    use_it(&relay).await;
    assert_at_rest(&relay, 10, 0).await;
    assert!(
        !relay.mesh.envoy.log().contains("look like batches"),
        "{}",
        relay.mesh.envoy.log()
    );
}

#[tokio::test]
async fn a_forged_batch_of_a_stranger_is_recorded() {
    let relay = start(&json!({})).await;
    use_it(&relay).await;
    forge(&relay, STRANGER, "forged", &[]).await;

    let record = eventually("the forged batch's record", || forged(&relay).pop()).await;
    assert_eq!(record.text("user_agent.original"), "audit-filter/forged");
    assert_at_rest(&relay, 11, 0).await;

    assert!(
        relay
            .mesh
            .envoy
            .log()
            .contains("look like batches of this filter: 1;"),
        "{}",
        relay.mesh.envoy.log()
    );
}

#[tokio::test]
async fn a_secret_of_all_filters_counts_more_than_the_peer() {
    let relay = start(&json!({"audit_cluster": {"headers": {TOKEN.0: TOKEN.1}}})).await;
    use_it(&relay).await;
    forge(&relay, PEER, "no-token", &[]).await;
    forge(
        &relay,
        PEER,
        "wrong-token",
        &[("authorization", "Bearer of one")],
    )
    .await;

    forge(&relay, STRANGER, "right-token", &[TOKEN]).await;
    eventually("records of both forged batches", || {
        (forged(&relay).len() >= 2).then_some(())
    })
    .await;
    assert_at_rest(&relay, 12, 1).await;

    let names: Vec<String> = forged(&relay)
        .iter()
        .map(|record| record.text("user_agent.original"))
        .collect();
    assert_eq!(names, ["audit-filter/no-token", "audit-filter/wrong-token"]);
}

#[tokio::test]
async fn batches_without_a_proof_are_recorded_and_the_line_names_the_remedy() {
    let relay = start(&json!({"trust": {"cidrs": ["192.0.2.0/24"]}})).await;
    relay.mesh.get("/orders", &[]).await;
    // Each record makes another batch, which the proof must prevent.
    eventually("records of batches", || {
        (forged(&relay).len() >= 3).then_some(())
    })
    .await;

    assert!(
        relay.mesh.envoy.log().contains("name the senders in trust"),
        "{}",
        relay.mesh.envoy.log()
    );
}
