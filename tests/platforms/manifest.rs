//! The plugins of the manifests in `deploy/`, in the form in which control planes hand them to
//! Envoy.

use std::fs;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::{Value, json};
use testkit::envoy::bootstrap::merge;
use testkit::envoy::xds::Resources;
use testkit::tools;

use crate::parts::filter;

const TYPE: &str = "wasm.v3.Wasm";

/// A plugin: the name of its HTTP filter, and the filter's configuration.
#[derive(Clone)]
pub struct Plugin {
    pub name: String,
    pub config: Value,
    /// Variables that it takes from Envoy's environment.
    pub variables: Vec<String>,
}

impl Plugin {
    /// Of a `WasmPlugin`, as istiod and the agent write it (istio/istio
    /// `pilot/pkg/model/extensions.go`): the configuration is a text, no `vm_id`, the code a local
    /// file. `patches` are merged into the configuration.
    pub fn of_istio(file: &str, patches: &[&Value]) -> Self {
        let manifest = first_document(file);
        let (spec, metadata) = (&manifest["spec"], &manifest["metadata"]);
        let name = [&metadata["namespace"], &metadata["name"]].map(|part| part.as_str().unwrap());
        let name = name.join(".");

        let variables = list(&spec["vmConfig"]["env"])
            .iter()
            .filter(|variable| variable["valueFrom"] == "HOST")
            .map(|variable| text(&variable["name"]))
            .collect();
        let config = json!({
            "name": name, "root_id": spec["pluginName"], "failure_policy": spec["failStrategy"],
            "configuration": configuration(&spec["pluginConfig"], patches),
            "vm_config": vm(&variables, local(tools::wasm())),
        });

        let name = format!("extensions.istio.io/wasmplugin/{name}");
        Self {
            name,
            config,
            variables,
        }
    }

    /// Of an `EnvoyExtensionPolicy`, as Envoy Gateway writes it (envoyproxy/gateway
    /// `internal/xds/translator/wasm.go`): a separate `vm_id`, and no `failure_policy`. `code` is
    /// where Envoy fetches the module.
    pub fn of_envoy_gateway(code: &Value, patch: &Value) -> Self {
        let manifest = first_document("envoy-gateway/policy.yaml");
        let wasm = &manifest["spec"]["wasm"][0];
        let name = "envoyextensionpolicy/edge/audit/wasm/0";

        let keys = list(&wasm["env"]["hostKeys"]);
        let variables = keys.iter().map(text).collect();
        let mut vm = vm(&variables, code.clone());
        vm["vm_id"] = json!(name);
        let config = json!({
            "name": wasm["name"], "root_id": wasm["rootID"], "fail_open": wasm["failOpen"],
            "configuration": configuration(&wasm["config"], &[patch]),
            "vm_config": vm,
        });

        Self {
            name: format!("envoy.filters.http.wasm/{name}"),
            config,
            variables,
        }
    }

    /// The HTTP filter with its configuration.
    pub fn filter(&self) -> Value {
        filter(&self.name, TYPE, json!({"config": self.config}))
    }

    /// The HTTP filter that takes its configuration from a file. As in Istio, Envoy does not wait
    /// for the first one for ever.
    pub fn discovered(&self, file: &Resources) -> Value {
        let mut source = file.source();
        source["initial_fetch_timeout"] = json!("0s");
        let url = format!("type.googleapis.com/envoy.extensions.filters.http.{TYPE}");
        json!({"name": self.name, "config_discovery": {"config_source": source, "type_urls": [url]}})
    }

    /// The same with another module.
    pub fn running(mut self, wasm: &Path) -> Self {
        self.config["vm_config"]["code"] = local(wasm);
        self
    }
}

/// A file of discovered filters with this one.
pub fn extension(plugin: &Plugin) -> Resources {
    let file = Resources::new("core.v3.TypedExtensionConfig");
    file.replace([plugin.filter()]);
    file
}

fn vm(variables: &Vec<String>, code: Value) -> Value {
    json!({"runtime": "envoy.wasm.runtime.v8", "code": code,
        "environment_variables": {"host_env_keys": variables}})
}

fn local(wasm: &Path) -> Value {
    json!({"local": {"filename": wasm.to_str().unwrap()}})
}

/// As JSON in a `StringValue`.
fn configuration(manifest: &Value, patches: &[&Value]) -> Value {
    let mut configuration = manifest.clone();
    for patch in patches {
        merge(&mut configuration, patch);
    }
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()})
}

fn first_document(file: &str) -> Value {
    let text = fs::read_to_string(tools::root().join("deploy").join(file)).unwrap();
    let document = serde_yaml_ng::Deserializer::from_str(&text).next();
    Value::deserialize(document.expect("the manifest is not empty")).unwrap()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
