//! Trusted control headers: decided by the direct peer's address or certificate, whatever other
//! headers contain.

mod addresses;
mod certificates;
mod connection;
mod forwarded;
mod mutual;
mod unverified;

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::Mesh;
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcOptions, grpc_call};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::{METHOD, list};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ALL: [(&str, &str); 3] = [
    ("x-session-track", "true"),
    ("x-session-operation", "forged"),
    ("x-session-context", "Zm9yZ2Vk"),
];

async fn call_from(mesh: &Mesh, peer: Ipv4Addr, more: &[(&str, &str)]) {
    let options = GrpcOptions {
        call: CallOptions::from_ip(peer),
        ..GrpcOptions::default()
    };
    grpc_call(mesh.grpc, METHOD, list(&[&ALL, more].concat()), &options)
        .await
        .unwrap();
}

fn assert_nothing_reached_the_upstream(mesh: &Mesh) {
    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(!seen.is_empty());
    for (name, _) in ALL {
        assert!(
            !seen.iter().any(|seen| seen.headers.contains(name)),
            "{name} reached the upstream"
        );
    }
}

/// Fails unless `requests` requests with [`ALL`] came, none was tracked, and their headers were
/// removed and counted.
async fn assert_ignored(mesh: &Mesh, requests: u64) {
    assert_eq!(mesh.exchanges_until_marker().await, []);
    assert_nothing_reached_the_upstream(mesh);
    let spoofed = requests * ALL.len() as u64;
    assert_eq!(
        mesh.stat_at_least("headers.spoofed", spoofed).await["headers.spoofed"],
        spoofed
    );
}

#[tokio::test]
async fn a_peer_outside_the_networks_is_ignored() {
    let mesh = Mesh::start().await;
    call_from(&mesh, STRANGER, &[]).await;
    assert_ignored(&mesh, 1).await;
}
