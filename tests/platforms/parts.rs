//! Pieces of Envoy's configuration, as control planes write them.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// A connection manager with these filters before the router, and these routes.
pub fn manager(name: &str, filters: &[Value], routes: &Value) -> Value {
    let router = json!({"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }});
    let filters = [filters, &[router]].concat();
    let host = json!({"name": name, "domains": ["*"], "routes": routes});

    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        // As both Istio and Envoy Gateway set it.
        "stream_idle_timeout": "0s",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [host]},
    }})
}

/// A listener on a free port, with one filter chain.
pub fn listener(name: &str, direction: &str, manager: &Value) -> Value {
    json!({
        "name": name,
        "traffic_direction": direction,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [manager]}],
    })
}

/// A cluster with one host.
pub fn cluster(name: &str, addr: SocketAddr) -> Value {
    let address =
        json!({"socket_address": {"address": addr.ip().to_string(), "port_value": addr.port()}});
    json!({"name": name, "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }})
}

/// One route for all requests.
pub fn all_to(cluster: &str) -> Value {
    json!([{"match": {"prefix": "/"}, "route": {"cluster": cluster}}])
}

/// An HTTP filter, by the type of its configuration without the common prefix.
pub fn filter(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!(
        "type.googleapis.com/envoy.extensions.filters.http.{message}"
    ));
    json!({"name": name, "typed_config": config})
}
