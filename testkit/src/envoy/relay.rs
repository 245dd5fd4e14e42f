//! A second listener of the same Envoy in the role of the collector's proxy: batches go to it, and
//! it forwards them to the audit cluster's address.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::Mesh;
use crate::audit::sink::Sink;
use crate::envoy::bootstrap::{Bootstrap, merge};
use crate::envoy::xds::Resources;

/// A mesh with such a listener.
pub struct Relay {
    /// The mesh.
    pub mesh: Mesh,
    /// The listener's address.
    pub addr: SocketAddr,
    /// The cluster `audit`. Envoy can get it only after the listener has its address.
    _clusters: Resources,
}

impl Relay {
    /// Starts it on one worker. The listener is a copy of the bootstrap's first one, changed by
    /// `change`. `patch` is merged into the cluster that points to it.
    pub async fn start(
        bootstrap: Bootstrap,
        patch: &Value,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let clusters = Resources::clusters();
        let mut audit = Value::Null;
        let mesh = Mesh::with_last_change(bootstrap, Sink::start().await, 1, |bootstrap| {
            audit = insert(bootstrap, change);
            bootstrap.discover("cds_config", &clusters);
        })
        .await;

        let addr = mesh.envoy.listener("relay").await;
        merge(&mut audit, patch);
        let mut target = Bootstrap(json!({"static_resources": {"clusters": [audit]}}));
        target.point("audit", addr);
        clusters.replace(target.clusters().iter().cloned());

        Self {
            mesh,
            addr,
            _clusters: clusters,
        }
    }
}

/// Adds the listener and its cluster, and removes the cluster `audit`.
fn insert(bootstrap: &mut Bootstrap, change: impl FnOnce(&mut Value)) -> Value {
    let mut listener = bootstrap.listeners()[0].clone();
    listener["name"] = json!("relay");
    let filters = listener["filter_chains"][0]["filters"]
        .as_array_mut()
        .unwrap();
    let manager = &mut filters.last_mut().unwrap()["typed_config"];
    manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = json!("store");

    let plugin = &mut manager["http_filters"][0]["typed_config"]["config"];
    (plugin["name"], plugin["root_id"]) = (json!("audit_relay"), json!("audit_relay"));
    change(&mut listener);
    bootstrap.listeners().push(listener);

    let clusters = bootstrap.clusters();
    let place = clusters
        .iter()
        .position(|cluster| cluster["name"] == "audit")
        .unwrap();
    let audit = clusters.remove(place);
    let mut store = audit.clone();
    (store["name"], store["load_assignment"]["cluster_name"]) = (json!("store"), json!("store"));
    clusters.push(store);
    audit
}
