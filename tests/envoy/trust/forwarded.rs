//! Addresses claimed by a client: in `x-forwarded-for`, in another header, or in a PROXY line.

use serde_json::Value;
use testkit::Record;
use testkit::client::raw_exchange;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

/// Envoy trusts `x-forwarded-for`, as in Istio's inbound sidecar.
pub fn believing(mut bootstrap: Bootstrap) -> Bootstrap {
    for manager in bootstrap.connection_managers() {
        manager["use_remote_address"] = json!(false);
    }
    bootstrap.with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
}

async fn believing_mesh(bootstrap: Bootstrap) -> Mesh {
    Mesh::with_bootstrap(believing(bootstrap), Sink::start().await, 1).await
}

#[tokio::test]
async fn a_forged_forwarded_address_does_not_help() {
    let mesh = believing_mesh(Bootstrap::shipped()).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "127.0.0.1")]).await;
    assert_ignored(&mesh, 1).await;
}

#[tokio::test]
async fn without_the_direct_peer_a_forwarded_address_is_unknown() {
    let wide = json!({"trust": {"cidrs": ["10.0.0.0/8", "127.0.0.0/8"]}});
    let bootstrap = Bootstrap::shipped().without_peer_note().with_plugin(&wide);
    let mesh = believing_mesh(bootstrap).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "10.0.0.1")]).await;
    call_from(&mesh, STRANGER, &[("x-forwarded-for", "10.0.0.1")]).await;
    assert_ignored(&mesh, 2).await;

    let log = mesh.envoy.log();
    assert_eq!(
        log.matches("audit.direct_peer").count(),
        1,
        "one line names the remedy: {log}"
    );

    call_from(&mesh, STRANGER, &[]).await;
    let records: Vec<Record> = mesh.exchanges_until_marker().await;
    assert_eq!(
        records.len(),
        1,
        "without x-forwarded-for the address is the peer's own"
    );
}

/// The peer's address is read for each request instead of each connection.
fn noted_by_an_http_filter() -> Bootstrap {
    let note = json!({"name": "envoy.filters.http.set_filter_state", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": [{"object_key": "audit.direct_peer", "factory_key": "envoy.string", "format_string": {
            "text_format_source": {"inline_string": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"},
        }}],
    }});
    Bootstrap::shipped()
        .without_peer_note()
        .with_filter_at(0, &note)
}

#[tokio::test]
async fn a_trusted_gateway_stays_trusted_when_it_forwards_a_stranger() {
    for bootstrap in [Bootstrap::shipped(), noted_by_an_http_filter()] {
        let mesh = believing_mesh(bootstrap).await;
        call_from(
            &mesh,
            Ipv4Addr::LOCALHOST,
            &[("x-forwarded-for", "8.8.8.8")],
        )
        .await;

        let records = mesh.exchanges_until_marker().await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].text("client.address"), "8.8.8.8");
        assert_eq!(records[0].text("audit.action"), "forged");
        assert_eq!(mesh.envoy.stats("audit_filter").await["headers.spoofed"], 0);
    }
}

/// Every way to write an address that Envoy may accept and that may hide its port 0.
const CLAIMS: [&str; 5] = [
    "127.0.0.1:4567",
    "[::1]:4567",
    "::1",
    "::ffff:127.0.0.1",
    "8.8.8.8, 127.0.0.1:4567",
];

fn only_loopback() -> Value {
    json!({"trust": {"cidrs": ["127.0.0.1/32", "::1/128"]}})
}

async fn assert_no_claim_helps(mesh: &Mesh, header: &str) {
    for claim in CLAIMS {
        call_from(mesh, STRANGER, &[(header, claim)]).await;
    }
    assert_ignored(mesh, CLAIMS.len() as u64).await;
}

#[tokio::test]
async fn no_way_to_write_a_forwarded_address_helps() {
    let bootstrap = Bootstrap::shipped().without_peer_note();
    let mesh = believing_mesh(bootstrap.with_plugin(&only_loopback())).await;
    assert_no_claim_helps(&mesh, "x-forwarded-for").await;
}

/// Envoy takes the client's address from `x-real-ip`.
pub fn detecting_by_header(mut bootstrap: Bootstrap) -> Bootstrap {
    let detection = json!([{"name": "custom", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig",
        "header_name": "x-real-ip",
        "allow_extension_to_set_address_as_trusted": true,
    }}]);
    for manager in bootstrap.connection_managers() {
        manager["original_ip_detection_extensions"] = detection.clone();
    }
    bootstrap
}

#[tokio::test]
async fn an_address_from_a_header_of_the_operators_choice_does_not_help() {
    let bootstrap = detecting_by_header(Bootstrap::shipped().without_peer_note());
    let mesh = believing_mesh(bootstrap.with_plugin(&only_loopback())).await;
    assert_no_claim_helps(&mesh, "x-real-ip").await;
}

/// Both listeners take the client's address from a PROXY line, as behind a TCP load balancer.
fn behind_a_balancer(mut bootstrap: Bootstrap) -> Bootstrap {
    for listener in bootstrap.listeners() {
        listener["listener_filters"] = json!([{"name": "envoy.filters.listener.proxy_protocol", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            "allow_requests_without_proxy_protocol": true,
        }}]);
    }
    bootstrap.with_plugin(&only_loopback())
}

/// Claims that the connection comes from 127.0.0.1, port 4567.
const PROXY_LINE: &str = "PROXY TCP4 127.0.0.1 127.0.0.1 4567 80\r\n";

async fn claim_in_a_proxy_line(mesh: &Mesh) {
    let request = [PROXY_LINE, &tracked_request(CLOSE)].concat();
    assert_is_answer(
        &raw_exchange(
            mesh.http,
            request.as_bytes(),
            &CallOptions::from_ip(STRANGER),
        )
        .await
        .unwrap(),
    );
}

/// Header of the last request on a connection.
pub const CLOSE: &str = "connection: close\r\n";

/// A request with [`ALL`] and these additional lines.
pub fn tracked_request(more: &str) -> String {
    let fields: String = ALL
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("POST {METHOD} HTTP/1.1\r\nhost: a\r\n{fields}{more}\r\n")
}

pub fn assert_is_answer(bytes: &[u8]) {
    assert!(
        bytes.starts_with(b"HTTP/1.1 200 "),
        "{}",
        bytes.escape_ascii()
    );
}

#[tokio::test]
async fn a_forged_proxy_line_does_not_help() {
    let mesh = believing_mesh(behind_a_balancer(Bootstrap::shipped())).await;
    claim_in_a_proxy_line(&mesh).await;
    assert_ignored(&mesh, 1).await;
}

/// Shows the need for the direct peer's filter: without it, no port reveals that the address was
/// claimed.
#[tokio::test]
async fn without_the_direct_peer_a_proxy_line_is_believed() {
    let bootstrap = Bootstrap::shipped().without_peer_note();
    let mesh = believing_mesh(behind_a_balancer(bootstrap)).await;
    claim_in_a_proxy_line(&mesh).await;
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("client.address"), "127.0.0.1");
}

/// A unix socket has a path and no address. No header can give it one.
#[tokio::test]
async fn a_peer_of_a_unix_socket_is_unknown_whatever_it_claims() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut bootstrap = behind_a_balancer(Bootstrap::shipped());
    bootstrap.listeners()[0]["additional_addresses"] =
        json!([{"address": {"pipe": {"path": path.to_str().unwrap()}}}]);
    let mesh = believing_mesh(bootstrap).await;

    for line in ["", PROXY_LINE] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream
            .write_all([line, &tracked_request(CLOSE)].concat().as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_is_answer(&answer);
    }

    assert_ignored(&mesh, 2).await;
    assert_eq!(
        mesh.envoy
            .log()
            .matches("a peer that has no IP address")
            .count(),
        1,
        "one line says so"
    );
}
