//! One Envoy with a listener for every order, the upstream and the audit cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use testkit::audit::sink::Sink;
use testkit::client::Leave;
use testkit::client::{CallOptions, Message, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::http3::Http3;
use testkit::envoy::process::Envoy;
use testkit::envoy::tls::Authority;
use testkit::tools;
use testkit::upstream::Upstream;

use crate::order::Order;

/// All parts that the rows of one Envoy version need.
pub struct Stage {
    pub upstream: Upstream,
    pub sink: Sink,
    pub authority: Authority,
    envoy: Envoy,
    listeners: Vec<SocketAddr>,
}

impl Stage {
    pub async fn set(version: &str, orders: &[Order]) -> Self {
        let (upstream, sink, authority) = (
            Upstream::start().await.unwrap(),
            Sink::start().await,
            Authority::new(),
        );

        let mut bootstrap = Bootstrap::shipped().with_plugin(&json!({
            "audit_cluster": {"format": "otlp_json"},
            "rules": [{"name": "all"}],
            "batch": {"max_delay": "50ms"},
        }));
        bootstrap.point("demo_http", upstream.http_addr());
        bootstrap.point("demo_grpc", upstream.grpc_addr());
        bootstrap.point("audit", sink.addr());
        add_dead_cluster(&mut bootstrap);

        let listeners = (0..)
            .zip(orders)
            .map(|(index, order)| order.listener(&name(index), &bootstrap, &authority));
        *bootstrap.listeners() = listeners.collect();

        let envoy = Envoy::run(&tools::envoy_of(version), &bootstrap, 1).await;
        let listeners = envoy.listeners().await;
        let listeners = (0..orders.len())
            .map(|index| listeners[&name(index)])
            .collect();

        Self {
            upstream,
            sink,
            authority,
            envoy,
            listeners,
        }
    }

    pub fn listener(&self, order: usize) -> SocketAddr {
        self.listeners[order]
    }

    /// Sends a finished request through each listener with an audit filter that sees it. Yields
    /// their user agents. On one worker, a listener's earlier records have arrived when this record
    /// has.
    pub async fn send_markers(&self, orders: &[Order]) -> Vec<String> {
        let mut names = Vec::new();

        for (index, (order, listener)) in orders.iter().zip(&self.listeners).enumerate() {
            let agent = format!("marker-{index}");
            let headers = [("user-agent", agent.as_str())];

            if order.is_http3() {
                let message = Message::new("GET", "/marker").header("user-agent", &agent);
                let mut client = Http3::connect(*listener, &self.authority).await;
                client.exchange(&message, Leave::Never).await;
                client.close().await;
            } else {
                // Recorded whatever its result.
                let _ = http_get(*listener, "/marker", headers, &CallOptions::default()).await;
            }

            if order.is_seen() {
                names.push(agent);
            }
        }

        names
    }

    pub fn log(&self) -> String {
        self.envoy.log()
    }

    /// Statistics of Envoy about the filter's VMs.
    pub async fn reloads(&self) -> BTreeMap<String, u64> {
        self.envoy.stats("vm_reload").await
    }
}

fn name(order: usize) -> String {
    format!("order-{order}")
}

/// Port 1 of the loopback address, which is closed.
fn add_dead_cluster(bootstrap: &mut Bootstrap) {
    let mut dead = bootstrap.cluster("demo_http").clone();
    dead["name"] = json!("dead");
    dead["load_assignment"]["cluster_name"] = json!("dead");
    bootstrap.clusters().push(dead);
    bootstrap.point("dead", SocketAddr::from(([127, 0, 0, 1], 1)));
}
