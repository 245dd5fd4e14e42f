//! A sidecar of Istio: the plugin of `deploy/istio/wasm-plugin/sidecars.yaml` arrives by ECDS, the
//! peers have SPIFFE certificates, and the client's address comes from `x-forwarded-for`.

mod audit_cluster;
mod authorization;
mod configuration;
mod crash;
mod ends;
mod trust;

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, HttpAnswer, http_get};
use testkit::envoy::mesh::list;
use testkit::envoy::tls::{Authority, Tunnel, demand_certificate, uri};
use testkit::envoy::xds::Resources;
use testkit::{Mesh, Record, eventually};

use crate::CONTROL;
use crate::manifest::{Plugin, extension};
use crate::parts::{all_to, listener, manager};
use crate::proxy::{Proxy, UPSTREAM};

/// The manifest of the sidecars.
const MANIFEST: &str = "istio/wasm-plugin/sidecars.yaml";
/// The audit cluster's name in it.
pub const AUDIT: &str = "outbound|4318||collector.audit.svc.cluster.local";
/// The only peer that it trusts.
pub const GATEWAY: &str = "spiffe://cluster.local/ns/istio-ingress/sa/istio-ingressgateway";
/// Another workload of the mesh.
const OTHER: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A running sidecar.
struct Sidecar {
    mesh: Mesh,
    authority: Authority,
    /// The file of the plugin.
    file: Resources,
    /// The file of the audit cluster, if that comes late.
    late: Option<Resources>,
    outbound: SocketAddr,
}

/// What differs between scenarios.
struct Shape {
    plugin: Plugin,
    /// HTTP filters before the plugin, and after it.
    filters: [Vec<Value>; 2],
    /// Whether the plugin has no `mode: SERVER`.
    is_in_both_directions: bool,
    late: Option<Resources>,
}

impl Shape {
    /// The plugin of the manifest with a patch of its configuration.
    fn with(patch: &Value) -> Self {
        let quick = json!({"batch": {"max_delay": "50ms"}});
        Self {
            plugin: Plugin::of_istio(MANIFEST, &[&quick, patch]),
            filters: [Vec::new(), Vec::new()],
            is_in_both_directions: false,
            late: None,
        }
    }

    async fn start(self, version: &str) -> Sidecar {
        let variables = self.plugin.variables.clone();
        self.start_with(version, variables).await
    }

    /// Starts it with these variables in the environment of the container `istio-proxy`.
    async fn start_with(self, version: &str, variables: Vec<String>) -> Sidecar {
        let (authority, file) = (Authority::new(), extension(&self.plugin));
        let discovered = self.plugin.discovered(&file);
        let outbound = if self.is_in_both_directions {
            vec![discovered.clone()]
        } else {
            Vec::new()
        };
        let [mut inbound, after] = self.filters;
        inbound.push(discovered);
        inbound.extend(after);

        let mut inbound = hop("inbound", "INBOUND", &inbound);
        demand_certificate(&mut inbound, &authority, &authority.validation());
        let proxy = Proxy {
            listeners: vec![inbound, hop("outbound", "OUTBOUND", &outbound)],
            audit: AUDIT,
            late: self.late.as_ref().map(Resources::source),
            variables,
            ..Proxy::default()
        };

        let mesh = proxy.start(version, "inbound").await;
        let outbound = mesh.envoy.listeners().await["outbound"];
        Sidecar {
            mesh,
            authority,
            file,
            late: self.late,
            outbound,
        }
    }
}

/// A listener as istiod makes those of sidecars (istio/istio `pilot/pkg/networking/core`).
fn hop(name: &str, direction: &str, filters: &[Value]) -> Value {
    let mut manager = manager(name, filters, &all_to(UPSTREAM));
    manager["typed_config"]["use_remote_address"] = json!(false);
    manager["typed_config"]["forward_client_cert_details"] = json!("APPEND_FORWARD");
    listener(name, direction, &manager)
}

impl Sidecar {
    async fn start(version: &str, patch: &Value) -> Self {
        Shape::with(patch).start(version).await
    }

    /// The answer to a request of a peer with this SPIFFE name, behind a client of this address.
    async fn get_as(&self, peer: &str, client: &str, path: &str) -> HttpAnswer {
        self.get_with(peer, path, &[("x-forwarded-for", client)])
            .await
    }

    /// The same with the control headers and these.
    async fn get_with(&self, peer: &str, path: &str, more: &[(&str, &str)]) -> HttpAnswer {
        let identity = self.authority.issue([uri(peer)]);
        let tunnel = Tunnel::open(
            self.mesh.http,
            &self.authority,
            Some(&identity),
            "http/1.1",
            Ipv4Addr::LOCALHOST,
        )
        .await;
        let headers = list(&[&CONTROL, more].concat());
        http_get(tunnel.addr(), path, headers, &CallOptions::default())
            .await
            .unwrap()
    }

    /// A tracked request of the gateway.
    async fn get(&self, path: &str) -> HttpAnswer {
        self.get_as(GATEWAY, "198.51.100.7", path).await
    }

    /// A tracked request of the application in the pod to another service.
    async fn get_outbound(&self, path: &str) -> HttpAnswer {
        let options = CallOptions::default();
        http_get(self.outbound, path, list(&CONTROL), &options)
            .await
            .unwrap()
    }

    /// All records so far.
    async fn records(&self) -> Vec<Record> {
        self.get("/marker").await;
        let is_marker = |record: &Record| record.text("url.path") == "/marker";
        let mut records = eventually("the marker arrives", || {
            Some(self.mesh.sink.exchanges()).filter(|found| found.iter().any(is_marker))
        })
        .await;
        records.retain(|record| !is_marker(record));
        records
    }

    /// Replaces the plugin by one with this patch of its configuration.
    fn update(&self, patch: &Value) {
        self.file
            .replace([Plugin::of_istio(MANIFEST, &[patch]).filter()]);
    }
}

fn paths(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| record.text("url.path"))
        .collect()
}

/// The numbers that a store has of the only stream.
fn stored(sink: &Sink) -> Vec<u64> {
    let records = sink.records();
    records
        .iter()
        .map(|record| record.int("audit.sequence.number"))
        .collect()
}
