//! Whose control headers count: decided by the direct peer, whatever `x-forwarded-for` says.

use std::net::Ipv4Addr;

use audit_demo::client::{CallOptions, GrpcOptions, grpc_call};
use serde_json::json;

use crate::support::bootstrap::Bootstrap;
use crate::support::mesh::{METHOD, list};
use crate::support::sink::Sink;
use crate::support::{Mesh, Record};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ALL: [(&str, &str); 3] =
    [("x-session-track", "true"), ("x-session-operation", "forged"), ("x-session-context", "Zm9yZ2Vk")];

async fn call_from(mesh: &Mesh, peer: Ipv4Addr, more: &[(&str, &str)]) {
    let options = GrpcOptions { call: CallOptions::from_ip(peer), ..GrpcOptions::default() };
    grpc_call(mesh.grpc, METHOD, list(&[&ALL, more].concat()), &options).await.unwrap();
}

fn assert_nothing_reached_the_upstream(mesh: &Mesh) {
    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(!seen.is_empty());
    for (name, _) in ALL {
        assert!(!seen.iter().any(|seen| seen.headers.contains(name)), "{name} reached the upstream");
    }
}

/// Envoy believes `x-forwarded-for`, as in Istio's inbound sidecar.
fn believing(mut bootstrap: Bootstrap) -> Bootstrap {
    for manager in bootstrap.connection_managers() {
        manager["use_remote_address"] = json!(false);
    }
    bootstrap.with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
}

async fn believing_mesh(bootstrap: Bootstrap) -> Mesh {
    Mesh::with_bootstrap(believing(bootstrap), Sink::start().await, 1).await
}

#[tokio::test]
async fn a_peer_outside_the_networks_is_not_heard() {
    let mesh = Mesh::start().await;
    call_from(&mesh, STRANGER, &[]).await;
    assert!(mesh.exchanges_until_marker().await.is_empty());
    assert_nothing_reached_the_upstream(&mesh);
    let stats = mesh.stat_at_least("headers.spoofed", 3).await;
    assert_eq!(stats["headers.spoofed"], 3);
}

#[tokio::test]
async fn a_forged_forwarded_address_does_not_help() {
    let mesh = believing_mesh(Bootstrap::shipped()).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "127.0.0.1")]).await;
    assert!(mesh.exchanges_until_marker().await.is_empty());
    assert_nothing_reached_the_upstream(&mesh);
    assert_eq!(mesh.stat_at_least("headers.spoofed", 3).await["headers.spoofed"], 3);
}

#[tokio::test]
async fn without_the_direct_peer_a_forwarded_address_is_unknown() {
    let wide = json!({"trust": {"cidrs": ["10.0.0.0/8", "127.0.0.0/8"]}});
    let bootstrap = Bootstrap::shipped().without_filter("envoy.filters.http.set_filter_state").with_plugin(&wide);
    let mesh = believing_mesh(bootstrap).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "10.0.0.1")]).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "10.0.0.1")]).await;
    assert!(mesh.exchanges_until_marker().await.is_empty());
    assert_nothing_reached_the_upstream(&mesh);
    mesh.stat_at_least("headers.spoofed", 6).await;
    let log = mesh.envoy.log();
    assert_eq!(log.matches("audit.direct_peer").count(), 1, "one line names the remedy: {log}");

    call_from(&mesh, STRANGER, &[]).await;
    let records: Vec<Record> = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "without x-forwarded-for the address is the peer's own");
}

#[tokio::test]
async fn a_trusted_gateway_stays_trusted_when_it_forwards_a_stranger() {
    let mesh = believing_mesh(Bootstrap::shipped()).await;
    call_from(&mesh, Ipv4Addr::LOCALHOST, &[("x-forwarded-for", "8.8.8.8")]).await;
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("client.address"), "8.8.8.8");
    assert_eq!(records[0].text("audit.action"), "forged");
    assert_eq!(mesh.envoy.stats("audit_filter").await["headers.spoofed"], 0);
}
