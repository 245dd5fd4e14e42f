//! Networks of both families, and IPv4 peers of IPv6 sockets.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use serde_json::Value;
use testkit::client::http_get;

use super::*;

/// A mesh with its HTTP listener bound to this IPv6 address.
async fn mesh_at(address: &str, cidrs: &Value, has_direct_peer: bool) -> Mesh {
    let mut bootstrap = Bootstrap::shipped();
    if !has_direct_peer {
        bootstrap = bootstrap.without_peer_note();
    }
    let socket = &mut bootstrap.listeners()[0]["address"]["socket_address"];
    socket["address"] = json!(address);
    socket["ipv4_compat"] = json!(address != "::1");
    let plugin = json!({"batch": {"max_delay": "50ms"}, "trust": {"cidrs": cidrs}});
    Mesh::with_bootstrap(bootstrap.with_plugin(&plugin), Sink::start().await, 1).await
}

async fn track(listener: SocketAddr, options: &CallOptions) {
    http_get(listener, METHOD, list(&ALL), options)
        .await
        .unwrap();
}

fn has_ipv6() -> bool {
    let found = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !found {
        eprintln!("skipped: this machine has no IPv6 loopback address");
    }
    found
}

#[tokio::test]
async fn an_ipv6_peer_is_trusted_from_its_network_only() {
    if !has_ipv6() {
        return;
    }

    for has_direct_peer in [true, false] {
        let mesh = mesh_at("::1", &json!(["192.0.2.0/24", "::1/128"]), has_direct_peer).await;
        track(mesh.http, &CallOptions::default()).await;
        let records = mesh.exchanges_until_marker().await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].text("client.address"), "::1");
    }

    let others = json!([
        "127.0.0.0/8",
        "fc00::/7",
        "::2/127",
        "::ffff:0:0/96",
        "0.0.0.0/0"
    ]);
    let mesh = mesh_at("::1", &others, true).await;
    track(mesh.http, &CallOptions::default()).await;
    assert_ignored(&mesh, 1).await;
}

/// The listener is an IPv6 socket on the mapped loopback address, so the kernel reports its peers
/// as mapped addresses. Envoy writes them as IPv4 addresses.
#[tokio::test]
async fn an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer() {
    if !has_ipv6() {
        return;
    }

    for (cidrs, has_direct_peer) in [
        (json!(["127.0.0.1/32"]), true),
        (json!(["127.0.0.1/32"]), false),
        (json!(["::ffff:127.0.0.1/128"]), true),
    ] {
        let mut mesh = mesh_at("::ffff:127.0.0.1", &cidrs, has_direct_peer).await;
        mesh.http = SocketAddr::from((Ipv4Addr::LOCALHOST, mesh.http.port()));
        track(mesh.http, &CallOptions::from_ip(STRANGER)).await;
        assert_ignored(&mesh, 1).await;
        track(mesh.http, &CallOptions::default()).await;
        let records = mesh.exchanges_until_marker().await;
        assert_eq!(records.len(), 1, "{cidrs}");
        assert_eq!(records[0].text("client.address"), "127.0.0.1");
    }
}
