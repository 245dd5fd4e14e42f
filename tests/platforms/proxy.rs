//! One Envoy in the shape of a platform, with upstream and audit cluster.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::{Bootstrap, merge};
use testkit::envoy::process::Envoy;
use testkit::upstream::Upstream;
use testkit::{Mesh, tools};

use crate::parts::cluster;

/// The cluster of the upstream.
pub const UPSTREAM: &str = "upstream";

/// What differs from one platform to the other.
#[derive(Default)]
pub struct Proxy {
    pub listeners: Vec<Value>,
    /// Clusters beside those of the upstream and of the audit cluster.
    pub clusters: Vec<Value>,
    /// The name of the audit cluster.
    pub audit: &'static str,
    /// If set, Envoy expects the audit cluster from this source, which does not have it yet.
    pub late: Option<Value>,
    /// Names of variables in Envoy's environment.
    pub variables: Vec<String>,
    /// Members of the bootstrap beside resources.
    pub more: Option<Value>,
}

impl Proxy {
    /// Starts it on one worker of this version. `first` is the listener of the mesh's HTTP requests.
    pub async fn start(self, version: &str, first: &str) -> Mesh {
        let upstream = Upstream::start().await.unwrap();
        self.before(upstream, version, first).await
    }

    /// The same before this upstream.
    pub async fn before(self, upstream: Upstream, version: &str, first: &str) -> Mesh {
        let sink = Sink::start().await;
        let bootstrap = self.bootstrap(&upstream, &sink);
        let envoy =
            Envoy::run_with(&tools::envoy_of(version), &bootstrap, 1, &self.variables).await;

        let http = envoy.listeners().await[first];
        Mesh {
            envoy,
            upstream,
            sink,
            http,
            grpc: http,
        }
    }

    fn bootstrap(&self, upstream: &Upstream, sink: &Sink) -> Bootstrap {
        let mut clusters = self.clusters.clone();
        clusters.push(cluster(UPSTREAM, upstream.http_addr()));
        if self.late.is_none() {
            clusters.push(cluster(self.audit, sink.addr()));
        }

        let mut bootstrap = Bootstrap(json!({
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {"listeners": self.listeners, "clusters": clusters},
        }));
        bootstrap.identify();
        if let Some(source) = &self.late {
            bootstrap.0["dynamic_resources"] = json!({"cds_config": source});
        }
        if let Some(more) = &self.more {
            merge(&mut bootstrap.0, more);
        }
        bootstrap
    }
}
