//! A waypoint of Istio's ambient mode: TLS ends in an outer listener, which passes the peer's name
//! to an inner one in a filter state (istio/istio `pilot/pkg/networking/core/listener_waypoint.go`,
//! `pilot/pkg/xds/filters/filters.go`).

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use testkit::Mesh;
use testkit::client::{CallOptions, Tunnel as Connect};
use testkit::envoy::tls::{Authority, Tunnel, demand_certificate, uri};

use crate::CONTROL;
use crate::istio_sidecar::{AUDIT, GATEWAY};
use crate::manifest::{Plugin, extension};
use crate::parts::{all_to, cluster, filter, listener, manager};
use crate::proxy::{Proxy, UPSTREAM};

on_each_envoy!(
    the_principal_in_the_filter_state_is_trusted,
    a_certificate_is_not_seen_and_an_address_may_be
);

const MANIFEST: &str = "istio/options/waypoint.yaml";
const INNER: &str = "main_internal";
const OTHER: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Addresses of two clients.
const POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const TRUSTED_POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// The address in a tunnel's authority, which the inner connection has as its own.
const SERVICE: &str = "10.96.0.7:8080";

struct Waypoint {
    mesh: Mesh,
    authority: Authority,
    outer: SocketAddr,
}

impl Waypoint {
    async fn start(version: &str, patch: &Value) -> Self {
        let authority = Authority::new();
        let quick = json!({"batch": {"max_delay": "50ms"}, "rules": [{"name": "all"}]});
        let plugin = Plugin::of_istio(MANIFEST, &[&quick, patch]);
        let file = extension(&plugin);

        let proxy = Proxy {
            listeners: vec![
                outer_listener(&authority),
                inner_listener(&plugin.discovered(&file)),
            ],
            clusters: vec![inner_cluster()],
            audit: AUDIT,
            variables: plugin.variables.clone(),
            more: Some(
                json!({"bootstrap_extensions": [{"name": "envoy.bootstrap.internal_listener", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}]}),
            ),
            ..Proxy::default()
        };
        let mesh = proxy.start(version, "connect_terminate").await;
        Self {
            outer: mesh.http,
            mesh,
            authority,
        }
    }

    /// A tracked request of this peer, through a tunnel.
    async fn get_as(&self, peer: &str, source: Ipv4Addr, path: &str, more: &str) {
        let identity = self.authority.issue([uri(peer)]);
        let (authority, options) = (&self.authority, CallOptions::default());
        let tls = Tunnel::open(self.outer, authority, Some(&identity), "h2", source).await;
        let mut tunnel = Connect::open_http2(
            tls.addr(),
            SERVICE,
            None,
            testkit::headers::Headers::new(),
            &options,
        )
        .await
        .unwrap();
        assert_eq!(tunnel.status(), 200);

        let headers: String = CONTROL
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!("GET {path} HTTP/1.1\r\nhost: cart\r\n{headers}{more}\r\n");
        tunnel.send(request.as_bytes()).await.unwrap();
        let answer = tunnel.receive().await.unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            answer.escape_ascii()
        );
    }
}

/// Ends TLS and the tunnel.
fn outer_listener(authority: &Authority) -> Value {
    let value = |name: &str, factory: Option<&str>, format: &str| {
        json!({"object_key": name, "factory_key": factory.unwrap_or(name), "shared_with_upstream": "ONCE",
            "format_string": {"text_format_source": {"inline_string": format}}})
    };
    let state = filter(
        "connect_authority",
        "set_filter_state.v3.Config",
        json!({"on_request_headers": [
            value("envoy.filters.listener.original_dst.local_ip", None, "%REQ(:AUTHORITY)%"),
            value("envoy.filters.listener.original_dst.remote_ip", None, "%DOWNSTREAM_REMOTE_ADDRESS%"),
            value("io.istio.peer_principal", Some("envoy.string"), "%DOWNSTREAM_PEER_URI_SAN%"),
        ]}),
    );

    let upgrade = json!([{"upgrade_type": "CONNECT", "connect_config": {}}]);
    let route = json!([{"match": {"connect_matcher": {}}, "route": {"cluster": INNER, "upgrade_configs": upgrade}}]);
    let mut manager = manager("connect_terminate", &[state], &route);
    let config = &mut manager["typed_config"];
    config["use_remote_address"] = json!(false);
    config["upgrade_configs"] = json!([{"upgrade_type": "CONNECT"}]);
    config["http2_protocol_options"] = json!({"allow_connect": true});

    let mut listener = listener("connect_terminate", "INBOUND", &manager);
    demand_certificate(&mut listener, authority, &authority.validation());
    listener
}

/// Has the plugin.
fn inner_listener(plugin: &Value) -> Value {
    let mut manager = manager("inner", std::slice::from_ref(plugin), &all_to(UPSTREAM));
    manager["typed_config"]["use_remote_address"] = json!(false);
    let mut listener = listener(INNER, "INBOUND", &manager);
    listener.as_object_mut().unwrap().remove("address");
    listener["internal_listener"] = json!({});
    listener["listener_filters"] = json!([{"name": "envoy.filters.listener.original_dst", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"}}]);
    listener
}

fn inner_cluster() -> Value {
    let raw = json!({"name": "envoy.transport_sockets.raw_buffer", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}});
    let mut inner = cluster(INNER, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let address = json!({"envoy_internal_address": {"server_listener_name": INNER}});
    inner["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address;
    inner["transport_socket"] = json!({"name": "internal_upstream", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
        "transport_socket": raw,
    }});
    inner
}

async fn the_principal_in_the_filter_state_is_trusted(version: &str) {
    let waypoint = Waypoint::start(version, &json!({})).await;
    waypoint.get_as(GATEWAY, POD, "/gateway", "").await;
    waypoint.get_as(OTHER, POD, "/other", "").await;

    let records = waypoint.mesh.sink.wait_for(2).await;
    let contexts: Vec<String> = records
        .iter()
        .map(|record| record.text("audit.session.context"))
        .collect();
    assert_eq!(contexts, ["Y3R4", ""]);
    let stats = waypoint.mesh.stat_at_least("headers.spoofed", 3).await;
    assert_eq!(stats["headers.spoofed"], 3);
}

async fn a_certificate_is_not_seen_and_an_address_may_be(version: &str) {
    let trust = json!({"cidrs": ["127.0.0.4/32"], "filter_state": null, "uri_sans": ["spiffe://cluster.local"]});
    let rule = json!({"name": "all", "extra_fields": ["peer_uri_san"]});
    let waypoint = Waypoint::start(version, &json!({"trust": trust, "rules": [rule]})).await;

    let requests = [
        (POD, "", "127.0.0.3", ""),
        (TRUSTED_POD, "", "127.0.0.4", "Y3R4"),
        (TRUSTED_POD, "10.0.0.1", "10.0.0.1", ""),
        (POD, "127.0.0.4", "127.0.0.4", ""),
    ];
    for (index, (source, claim, _, _)) in requests.iter().enumerate() {
        let header = match *claim {
            "" => String::new(),
            claim => format!("x-forwarded-for: {claim}\r\n"),
        };
        let path = format!("/{index}");
        waypoint.get_as(GATEWAY, *source, &path, &header).await;
    }

    let records = waypoint.mesh.sink.wait_for(requests.len()).await;
    for (record, (_, claim, address, context)) in records.iter().zip(requests) {
        assert_eq!(record.text("client.address"), address, "{claim}");
        assert_eq!(record.text("audit.session.context"), context, "{claim}");
        assert!(!record.has("audit.peer.uri_san"), "{claim}");
    }
}
