//! A filter order: one listener of the Envoy that all rows share, with a separate audit filter.

use serde_json::{Value, json};
use testkit::envoy::bootstrap::{Bootstrap, merge};
use testkit::envoy::http3::speak_http3;
use testkit::envoy::tls::Authority;

use crate::filters;

/// The audit filter's place in an order.
pub const AUDIT: &str = "audit";

/// The parts of a listener.
#[derive(Clone)]
pub struct Order {
    filters: Vec<&'static str>,
    cluster: &'static str,
    routes: Vec<Value>,
    manager: Value,
    is_http3: bool,
}

impl Order {
    /// Filters from the client to the upstream; requests go to the upstream's HTTP/1.1 server.
    pub fn http(filters: &[&'static str]) -> Self {
        Self {
            filters: filters.to_vec(),
            cluster: "demo_http",
            routes: Vec::new(),
            manager: json!({}),
            is_http3: false,
        }
    }

    /// The same, and requests go to the upstream's gRPC server.
    pub fn grpc(filters: &[&'static str]) -> Self {
        Self {
            cluster: "demo_grpc",
            ..Self::http(filters)
        }
    }

    /// Requests go to a closed port.
    pub fn dead(filters: &[&'static str]) -> Self {
        Self {
            cluster: "dead",
            ..Self::http(filters)
        }
    }

    /// A limit of a second for the complete exchange. Sixteen rows start at once, and the answer
    /// must have begun by then.
    pub fn limited(self) -> Self {
        self.manager(json!({"common_http_protocol_options": {"max_stream_duration": "1s"}}))
    }

    /// A route before the default one, as an entry of Envoy's array `routes`.
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// A change of the connection manager (JSON merge patch).
    pub fn manager(mut self, patch: Value) -> Self {
        merge(&mut self.manager, &patch);
        self
    }

    /// The listener speaks HTTP/3.
    pub fn http3(mut self) -> Self {
        self.is_http3 = true;
        self
    }

    pub fn is_http3(&self) -> bool {
        self.is_http3
    }

    /// Whether a request reaches the audit filter. Over HTTP/3 a filter does not see requests that
    /// an earlier one refuses.
    pub fn is_seen(&self) -> bool {
        !self.is_http3 || self.filters.first() == Some(&AUDIT)
    }

    /// Label for users.
    pub fn label(&self) -> String {
        self.filters.join(", ")
    }

    /// Makes the listener from the shipped HTTP listener. Its audit filter's root id is this name
    /// too.
    pub fn listener(&self, name: &str, shipped: &Bootstrap, server: &Authority) -> Value {
        let mut bootstrap = shipped.clone();
        let mut listener = bootstrap.listeners().swap_remove(0);
        listener["name"] = json!(name);

        let filters = listener["filter_chains"][0]["filters"]
            .as_array_mut()
            .unwrap();
        let manager = &mut filters.last_mut().unwrap()["typed_config"];
        self.fill(manager, name);

        if self.is_http3 {
            speak_http3(&mut listener, server);
        }
        listener
    }

    fn fill(&self, manager: &mut Value, name: &str) {
        let shipped = manager["http_filters"].as_array().unwrap().clone();
        let (mut audit, router) = (shipped[0].clone(), shipped[1].clone());
        for key in ["name", "root_id"] {
            audit["typed_config"]["config"][key] = json!(name);
        }

        let filter = |short: &&'static str| {
            if *short == AUDIT {
                audit.clone()
            } else {
                filters::by_name(short)
            }
        };
        let filters: Vec<Value> = self.filters.iter().map(filter).chain([router]).collect();
        manager["http_filters"] = json!(filters);

        let mut routes = self.routes.clone();
        routes.push(
            json!({"match": {"prefix": "/"}, "route": {"cluster": self.cluster, "timeout": "0s"}}),
        );
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!(routes);
        merge(manager, &self.manager);
    }
}
