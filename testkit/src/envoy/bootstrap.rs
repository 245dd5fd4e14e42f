//! The shipped bootstrap with other ports, and with the changes of a scenario.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::envoy::xds::Resources;
use crate::tools;

/// The default rules without the keys that the lean artefact refuses.
fn lean_rules() -> Value {
    let is_check = json!({"protocol": "http", "methods": ["GET"], "path": {"exact": "/check"}});
    let check = json!({"name": "check", "match": is_check, "record_on": ["success"], "http_statuses": [200]});
    json!({"rules": [check, {"name": "tracked", "match": {"tracked": true}}]})
}

/// An Envoy bootstrap.
#[derive(Clone)]
pub struct Bootstrap(pub Value);

impl Bootstrap {
    /// `envoy/envoy.yaml`, read as [`Self::read`] does.
    pub fn shipped() -> Self {
        let shipped = Self::read(&tools::root().join("envoy/envoy.yaml"));
        if tools::is_lean() {
            shipped.with_plugin(&lean_rules())
        } else {
            shipped
        }
    }

    /// `envoy/examples/<name>.yaml`, read as [`Self::read`] does.
    pub fn example(name: &str) -> Self {
        Self::read(&tools::root().join(format!("envoy/examples/{name}.yaml")))
    }

    /// Reads a file. Makes the filter's path absolute, and sets free ports for listeners and admin.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut bootstrap = Self(serde_yaml_ng::from_str(&text).unwrap());
        bootstrap.0["admin"]["address"]["socket_address"]["port_value"] = json!(0);
        for listener in bootstrap.listeners() {
            listener["address"]["socket_address"]["port_value"] = json!(0);
        }
        bootstrap.run(tools::wasm());
        bootstrap
    }

    /// Makes Envoy run this `.wasm`.
    pub fn run(&mut self, wasm: &Path) {
        self.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] =
                json!(wasm.to_str().unwrap());
        });
    }

    /// All static listeners.
    pub fn listeners(&mut self) -> &mut Vec<Value> {
        self.0["static_resources"]["listeners"]
            .as_array_mut()
            .unwrap()
    }

    /// All static clusters.
    pub fn clusters(&mut self) -> &mut Vec<Value> {
        self.0["static_resources"]["clusters"]
            .as_array_mut()
            .unwrap()
    }

    /// Raises the connect timeout: a crowd opens hundreds of upstream connections at once. If the
    /// kernel drops a first packet, it is sent again after a second, which is the shipped timeout.
    /// Envoy would then refuse users, whatever the filter does.
    pub fn await_connections(&mut self) {
        for cluster in self.clusters() {
            cluster["connect_timeout"] = json!("5s");
        }
    }

    /// The static cluster with this name. Panics without one.
    pub fn cluster(&mut self, name: &str) -> &mut Value {
        self.clusters()
            .iter_mut()
            .find(|cluster| cluster["name"] == name)
            .expect("the cluster is in envoy.yaml")
    }

    /// Points the cluster with this name, if it exists, at an address.
    pub fn point(&mut self, name: &str, addr: SocketAddr) {
        for cluster in self
            .clusters()
            .iter_mut()
            .filter(|cluster| cluster["name"] == name)
        {
            let endpoint =
                &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"]["port_value"] = json!(addr.port());
        }
    }

    /// Sets an environment variable for the audit filters' VMs. Another value makes another VM.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["vm_config"]["environment_variables"] =
                json!({"key_values": {name: value}});
        });
    }

    /// The variables that filters take from Envoy's environment.
    pub fn environment(&self) -> Vec<String> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let filters = list(&self.0["static_resources"]["listeners"])
            .into_iter()
            .flat_map(|listener| list(&listener["filter_chains"][0]["filters"]))
            .flat_map(|filter| list(&filter["typed_config"]["http_filters"]));
        let keys = filters.flat_map(|filter| {
            list(&filter["typed_config"]["config"]["vm_config"]["environment_variables"]["host_env_keys"])
        });
        keys.map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    /// Takes resources from a file: `lds_config` or `cds_config`.
    pub fn discover(&mut self, kind: &str, file: &Resources) {
        self.identify();
        self.0["dynamic_resources"][kind] = file.source();
    }

    /// Sets the node's name, which any discovery requires.
    pub fn identify(&mut self) {
        self.0["node"] = json!({"id": "scenario", "cluster": "scenario"});
    }

    /// The connection managers of all listeners.
    pub fn connection_managers(&mut self) -> impl Iterator<Item = &mut Value> {
        self.listeners().iter_mut().map(|listener| {
            let filters = listener["filter_chains"][0]["filters"]
                .as_array_mut()
                .unwrap();
            &mut filters.last_mut().expect("a connection manager")["typed_config"]
        })
    }

    /// Changes every HTTP filter with this name.
    pub fn each_filter(&mut self, name: &str, change: impl Fn(&mut Value)) {
        for manager in self.connection_managers() {
            let filters = manager["http_filters"].as_array_mut().unwrap();
            filters
                .iter_mut()
                .filter(|filter| filter["name"] == name)
                .for_each(&change);
        }
    }

    /// Makes all listeners inbound ones, as a mesh marks those of the workload.
    pub fn make_inbound(&mut self) {
        for listener in self.listeners() {
            listener["traffic_direction"] = json!("INBOUND");
        }
    }

    /// Removes every HTTP filter with this name.
    pub fn without_filter(mut self, name: &str) -> Self {
        for manager in self.connection_managers() {
            manager["http_filters"]
                .as_array_mut()
                .unwrap()
                .retain(|filter| filter["name"] != name);
        }
        self
    }

    /// Removes the filter that records the direct peer, which the shipped files have for each
    /// connection.
    pub fn without_peer_note(mut self) -> Self {
        for listener in self.listeners() {
            let filters = listener["filter_chains"][0]["filters"]
                .as_array_mut()
                .unwrap();
            filters.retain(|filter| filter["name"] != "envoy.filters.network.set_filter_state");
        }
        self
    }

    /// Inserts an HTTP filter at this index of every chain. The audit filter is at 0.
    pub fn with_filter_at(mut self, index: usize, filter: &Value) -> Self {
        for manager in self.connection_managers() {
            manager["http_filters"]
                .as_array_mut()
                .unwrap()
                .insert(index, filter.clone());
        }
        self
    }

    /// Merges into the filter's configuration (JSON merge patch: null removes a key).
    pub fn with_plugin(mut self, patch: &Value) -> Self {
        self.each_filter("audit", |filter| {
            merge(
                &mut filter["typed_config"]["config"]["configuration"]["value"],
                patch,
            );
        });
        self
    }

    /// Passes the filter's configuration as JSON text, as Istio and Envoy Gateway do.
    pub fn with_plugin_text(mut self, text: &str) -> Self {
        let value =
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text});
        self.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["configuration"] = value.clone()
        });
        self
    }

    /// Applies any other change.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// An HTTP filter that answers requests for this path with 403.
pub fn forbidding(path: &str) -> Value {
    json!({"name": "envoy.filters.http.rbac", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "DENY", "policies": {"no": {
            "permissions": [{"url_path": {"path": {"exact": path}}}], "principals": [{"any": true}]}}},
    }})
}

/// RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };

    if !target.is_object() {
        *target = json!({});
    }

    for (key, value) in members {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}
