//! The ingress gateway of Istio: clients are strangers, and the plugin of
//! `deploy/istio/wasm-plugin/ingress.yaml` marks requests for the sidecars.

use std::net::Ipv4Addr;

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use testkit::Mesh;
use testkit::client::{CallOptions, http_request};
use testkit::envoy::mesh::list;

use crate::CONTROL;
use crate::istio_sidecar::AUDIT;
use crate::manifest::{Plugin, extension};
use crate::parts::{all_to, listener, manager};
use crate::proxy::{Proxy, UPSTREAM};

on_each_envoy!(strangers_mark_nothing_and_the_gateway_does);

/// Envoy takes 127.0.0.1 for itself.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn start(version: &str) -> Mesh {
    let quick = json!({"batch": {"max_delay": "50ms"}});
    let plugin = Plugin::of_istio("istio/wasm-plugin/ingress.yaml", &[&quick]);
    let file = extension(&plugin);
    let filters = [plugin.discovered(&file)];
    let mut manager = manager("gateway", &filters, &all_to(UPSTREAM));
    manager["typed_config"]["use_remote_address"] = json!(true);
    manager["typed_config"]["forward_client_cert_details"] = json!("SANITIZE_SET");

    let proxy = Proxy {
        listeners: vec![listener("gateway", "OUTBOUND", &manager)],
        audit: AUDIT,
        variables: plugin.variables.clone(),
        ..Proxy::default()
    };
    proxy.start(version, "gateway").await
}

/// A `POST` with forged headers.
async fn forge(mesh: &Mesh, path: &str) {
    let more = [("x-forwarded-for", "10.0.0.1"), ("x-device-id", "d-1")];
    let headers = list(&[&CONTROL[..], &more].concat());
    let options = CallOptions::from_ip(STRANGER);
    let answer = http_request(mesh.http, "POST", path, headers, "", &options).await;
    assert_eq!(answer.unwrap().status, 200, "{path}");
}

async fn strangers_mark_nothing_and_the_gateway_does(version: &str) {
    let mesh = start(version).await;
    for path in ["/v1/login", "/v1/password", "/other"] {
        forge(&mesh, path).await;
    }

    let seen = |path: &str| mesh.upstream.seen().at_path(path).remove(0).headers;
    for path in ["/v1/login", "/other"] {
        let arrived = CONTROL.map(|(name, _)| seen(path).contains(name));
        assert_eq!(arrived, [false; 3], "{path}");
    }

    // The sidecar behind it records.
    let marked = seen("/v1/password");
    assert_eq!(marked.text("x-session-track").as_deref(), Some("true"));
    let context = Base64::decode_vec(&marked.text("x-session-context").unwrap()).unwrap();
    let context: Value = serde_json::from_slice(&context).unwrap();
    assert_eq!(context["device_id"], "d-1", "{context}");

    let records = mesh.sink.wait_for(1).await;
    assert_eq!(records[0].text("audit.rule"), "login");
    assert_eq!(records[0].text("client.address"), STRANGER.to_string());
    let stats = mesh.stat_at_least("headers.spoofed", 9).await;
    assert_eq!(stats["headers.spoofed"], 9, "three names of three requests");
}
