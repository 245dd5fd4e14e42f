//! Finds the filter's configurations in a document: plain ones, and those of Envoy, Istio and Envoy
//! Gateway.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::configuration::{Configuration, of_any};
use super::yaml::{Node, Reader};

/// The platform that delivers a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// The configuration alone.
    Plain,
    Envoy,
    Istio,
    EnvoyGateway,
}

/// One configuration, its place, and the environment of its VM.
#[derive(Debug)]
pub(super) struct Plugin {
    /// Its name among others in a file.
    pub(super) name: String,
    pub(super) platform: Platform,
    pub(super) configuration: Configuration,
    /// Why the proxy refuses it before it reaches the filter: line and sentence.
    pub(super) refused: Option<(usize, String)>,
    /// Variables of the VM's environment; `None`: any may be set.
    pub(super) variables: Option<BTreeMap<String, String>>,
    /// The part of the manifest that is about the plugin.
    pub(super) spec: Rc<Node>,
}

/// Stands for a value that only the running proxy has: long enough for a key.
const PLACEHOLDER: &str = "placeholder-of-a-variable-that-is-known-to-the-running-proxy-alone";

/// Keys that identify the filter's configuration among those of other plugins, even when one of
/// them is misspelled.
const OWN_KEYS: [&str; 9] = [
    "audit_cluster",
    "batch",
    "buffer",
    "correlation",
    "identity",
    "session",
    "stages",
    "tracking",
    "trust",
];

/// Keys that also identify a configuration alone; other plugins may have such keys.
const COMMON_KEYS: [&str; 2] = ["default", "rules"];

/// Names in the address of the filter's image or module.
const OWN_IMAGES: [&str; 2] = ["audit-filter", "audit_filter"];

/// Every plugin of a document with a configuration that may be the filter's.
pub(super) fn plugins(document: &Rc<Node>) -> Vec<Plugin> {
    let text = |path: &[&str]| {
        document
            .at(path)
            .and_then(Node::text)
            .unwrap_or_default()
            .to_owned()
    };

    let name = text(&["metadata", "name"]);
    match text(&["kind"]).as_str() {
        "WasmPlugin" => of_istio(document, &["spec"], name),
        "TrafficExtension" => of_istio(document, &["spec", "wasm"], name),
        "EnvoyExtensionPolicy" => of_envoy_gateway(document, &name),
        "List" => document
            .get("items")
            .map_or(&[][..], |items| items.items())
            .iter()
            .flat_map(plugins)
            .collect(),
        "" if is_own_alone(document) => vec![Plugin {
            name: "configuration".to_owned(),
            platform: Platform::Plain,
            configuration: Configuration::Yaml(Rc::clone(document), Reader::Kubernetes),
            refused: None,
            variables: None,
            spec: Rc::clone(document),
        }],
        "" => of_envoy(document, Reader::Envoy),
        _ => of_envoy(document, Reader::Kubernetes),
    }
}

fn has_any(node: &Node, keys: &[&str]) -> bool {
    keys.iter().any(|key| node.get(key).is_some())
}

fn is_own(node: &Node) -> bool {
    has_any(node, &OWN_KEYS)
}

fn is_own_alone(document: &Node) -> bool {
    (is_own(document) || has_any(document, &COMMON_KEYS))
        && document.get("static_resources").is_none()
}

fn is_own_image(address: Option<&Node>) -> bool {
    let address = address.and_then(Node::text).unwrap_or_default();
    OWN_IMAGES.iter().any(|name| address.contains(name))
}

/// The given configuration, or an empty one for a plugin of ours without any.
fn given(configuration: Option<&Rc<Node>>, is_ours: bool, line: usize) -> Option<Configuration> {
    match configuration {
        Some(node) if is_ours || is_own(node) => {
            Some(Configuration::Yaml(Rc::clone(node), Reader::Kubernetes))
        }
        None if is_ours => Some(Configuration::empty(line)),
        _ => None,
    }
}

fn of_istio(document: &Rc<Node>, path: &[&str], name: String) -> Vec<Plugin> {
    let Some(wasm) = path
        .iter()
        .try_fold(Rc::clone(document), |node, key| node.get(key).cloned())
    else {
        return Vec::new();
    };

    let env = wasm.at(&["vmConfig", "env"]).map_or(&[][..], Node::items);
    let variable = |entry: &Rc<Node>| {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(|value| value.text().map(str::to_owned))
        };
        Some((
            text("name")?,
            text("value").unwrap_or_else(|| PLACEHOLDER.to_owned()),
        ))
    };

    let variables = Some(env.iter().filter_map(variable).collect());
    let is_ours = is_own_image(wasm.get("url").map(Rc::as_ref));
    let Some(configuration) = given(wasm.get("pluginConfig"), is_ours, wasm.line) else {
        return Vec::new();
    };

    let spec = document.get("spec").cloned().unwrap_or(wasm);
    vec![Plugin {
        name,
        platform: Platform::Istio,
        configuration,
        refused: None,
        variables,
        spec,
    }]
}

fn of_envoy_gateway(document: &Node, policy: &str) -> Vec<Plugin> {
    let extensions = document.at(&["spec", "wasm"]).map_or(&[][..], Node::items);
    let plugin = |extension: &Rc<Node>| {
        let address = |kind: &str| extension.at(&["code", kind, "url"]);
        let is_ours = is_own_image(address("image")) || is_own_image(address("http"));
        let configuration = given(extension.get("config"), is_ours, extension.line)?;

        let keys = extension
            .at(&["env", "hostKeys"])
            .map_or(&[][..], Node::items);
        let variables = keys
            .iter()
            .filter_map(|key| Some((key.text()?.to_owned(), PLACEHOLDER.to_owned())));

        let name = extension
            .get("name")
            .and_then(|name| name.text())
            .map_or(policy.to_owned(), |name| format!("{policy}/{name}"));

        Some(Plugin {
            name,
            platform: Platform::EnvoyGateway,
            configuration,
            refused: None,
            variables: Some(variables.collect()),
            spec: Rc::clone(extension),
        })
    };

    extensions.iter().filter_map(plugin).collect()
}

/// The form of Envoy itself, at any depth: in a bootstrap, a listener, an ECDS resource or an
/// EnvoyFilter.
fn of_envoy(node: &Rc<Node>, reader: Reader) -> Vec<Plugin> {
    let Some(filter) = filter_of_envoy(node) else {
        return node
            .children()
            .into_iter()
            .flat_map(|child| of_envoy(child, reader))
            .collect();
    };

    filter
        .get("config")
        .and_then(|config| of_plugin_config(config, reader))
        .into_iter()
        .collect()
}

/// The filter's message; in a `TypedStruct` it is in `value`, and `type_url` names it.
fn filter_of_envoy(node: &Rc<Node>) -> Option<&Rc<Node>> {
    let is_wasm = |key: &str| {
        node.get(key)?
            .text()
            .filter(|name| name.ends_with("filters.http.wasm.v3.Wasm"))
            .map(|_| node)
    };
    is_wasm("@type").or_else(|| is_wasm("type_url")?.get("value"))
}

fn of_plugin_config(config: &Rc<Node>, reader: Reader) -> Option<Plugin> {
    let (configuration, refused) = of_any(config.get("configuration")?, reader);
    if !configuration.has_any(&OWN_KEYS) {
        return None;
    }

    let text = |key: &str| config.get(key).and_then(|value| value.text());
    let name = text("name")
        .or(text("root_id"))
        .or(text("rootId"))
        .unwrap_or("wasm")
        .to_owned();
    let variables = Some(variables_of_envoy(config));
    Some(Plugin {
        name,
        platform: Platform::Envoy,
        configuration,
        refused,
        variables,
        spec: Rc::clone(config),
    })
}

fn variables_of_envoy(config: &Node) -> BTreeMap<String, String> {
    let environment = config
        .either(VM_CONFIG)
        .and_then(|vm| vm.either(ENVIRONMENT_VARIABLES));
    let below = |names| environment.and_then(|node| node.either(names));
    let host = below(HOST_ENV_KEYS).map_or(&[][..], |keys| keys.items());
    let mut variables: BTreeMap<String, String> = host
        .iter()
        .filter_map(|key| Some((key.text()?.to_owned(), PLACEHOLDER.to_owned())))
        .collect();

    if let Some(Value::Object(given)) = below(KEY_VALUES).map(|node| node.to_json(Reader::Envoy)) {
        variables.extend(
            given
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))),
        );
    }

    variables
}

/// The name of a field in its two forms, both accepted by Envoy:
/// <https://protobuf.dev/programming-guides/json/>.
type Names = [&'static str; 2];

const VM_CONFIG: Names = ["vm_config", "vmConfig"];
const ENVIRONMENT_VARIABLES: Names = ["environment_variables", "environmentVariables"];
const HOST_ENV_KEYS: Names = ["host_env_keys", "hostEnvKeys"];
const KEY_VALUES: Names = ["key_values", "keyValues"];

/// The value of a variable, or the placeholder when any variable may be set.
pub(super) fn value_of(variables: Option<&BTreeMap<String, String>>, name: &str) -> Option<String> {
    match variables {
        Some(variables) => variables.get(name).cloned(),
        None => Some(PLACEHOLDER.to_owned()),
    }
}
