//! Finds the filter's configurations in a document: plain ones, and those of Envoy, Istio and Envoy
//! Gateway.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::configuration::{Configuration, of_any};
use super::keys;
use super::node::{Kind, Node, Remark};
use super::reader;
use super::variables::Variables;

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
    /// Why the platform refuses the manifest before the filter reads its part.
    pub(super) refused: Vec<Remark>,
    pub(super) variables: Variables,
    /// Whether the lean module reads it.
    pub(super) is_lean: bool,
    /// The part of the manifest that is about the plugin.
    pub(super) spec: Rc<Node>,
}

/// Every plugin of a document with a configuration that may be the filter's.
pub(super) fn plugins(document: &Rc<Node>) -> Vec<Plugin> {
    let text = |path: &[&str]| document.at(path).and_then(Node::text).unwrap_or_default();
    let name = text(&["metadata", "name"]).to_owned();

    match text(&["kind"]) {
        "WasmPlugin" => of_istio(document, &["spec"], name),
        "TrafficExtension" => of_istio(document, &["spec", "wasm"], name),
        "EnvoyExtensionPolicy" => of_envoy_gateway(document, &name),
        kind if kind.ends_with("List") => items(document, &["items"])
            .iter()
            .flat_map(plugins)
            .collect(),
        "" if is_plain(document) => vec![Plugin {
            name: "configuration".to_owned(),
            platform: Platform::Plain,
            configuration: Configuration::Node(Rc::clone(document)),
            refused: Vec::new(),
            variables: Variables::Any,
            is_lean: false,
            spec: Rc::clone(document),
        }],
        _ => of_envoy(document),
    }
}

fn is_plain(document: &Node) -> bool {
    reader::is_plain(&document.keys().map(str::to_owned).collect::<Vec<_>>())
}

fn items<'n>(node: &'n Node, path: &[&str]) -> &'n [Rc<Node>] {
    node.at(path).map_or(&[][..], Node::items)
}

/// The text below these keys; empty without one.
fn text_at<'n>(node: &'n Node, path: &[&str]) -> &'n str {
    node.at(path).and_then(Node::text).unwrap_or_default()
}

/// The given configuration, or an empty one for a plugin of ours without any.
fn given(configuration: Option<&Rc<Node>>, is_ours: bool, line: usize) -> Option<Configuration> {
    match configuration {
        Some(node) if is_ours || is_own(node) => Some(Configuration::Node(Rc::clone(node))),
        None if is_ours => Some(Configuration::empty(line)),
        _ => None,
    }
}

/// Whether the keys are the filter's, also in a text in the place of a mapping.
fn is_own(node: &Node) -> bool {
    let of_text = node.text().map(keys::of_text).unwrap_or_default();
    keys::are_own(node.keys().chain(of_text))
}

fn of_istio(document: &Rc<Node>, path: &[&str], name: String) -> Vec<Plugin> {
    let wasm = path
        .iter()
        .try_fold(Rc::clone(document), |node, key| node.get(key).cloned());
    let Some(wasm) = wasm else {
        return Vec::new();
    };
    let address = text_at(&wasm, &["url"]);
    let is_ours = keys::is_own_address(address);
    let Some(configuration) = given(wasm.get("pluginConfig"), is_ours, wasm.line) else {
        return Vec::new();
    };

    let (mut given, mut refused) = (BTreeMap::new(), Vec::new());
    for entry in items(&wasm, &["vmConfig", "env"]) {
        match variable_of_istio(entry) {
            Ok((name, value)) => drop(given.insert(name, value)),
            Err(sentence) => refused.push((entry.line, format!("vmConfig.env: {sentence}"))),
        }
    }

    let is_lean = keys::is_lean_address(address);
    let spec = document.get("spec").cloned().unwrap_or(wasm);
    vec![Plugin {
        name,
        platform: Platform::Istio,
        configuration,
        refused,
        variables: Variables::Given(given),
        is_lean,
        spec,
    }]
}

/// Name and value of an `EnvVar` (istio/api extensions/v1alpha1/wasm.proto).
fn variable_of_istio(entry: &Node) -> Result<(String, Option<String>), &'static str> {
    let name = entry.get("name").and_then(|name| name.text());
    let name = name.ok_or("needs a name")?.to_owned();
    let value = entry.get("value");

    match entry.get("valueFrom").map(|from| from.text()) {
        None | Some(Some("INLINE")) => match value {
            None => Ok((name, Some(String::new()))),
            Some(value) => {
                let text = value.text().ok_or("value must be a text")?;
                Ok((name, Some(text.to_owned())))
            }
        },
        Some(Some("HOST")) if value.is_none() => Ok((name, None)),
        Some(Some("HOST")) => Err("value and valueFrom: HOST exclude each other"),
        Some(_) => Err("valueFrom must be INLINE or HOST"),
    }
}

fn of_envoy_gateway(document: &Node, policy: &str) -> Vec<Plugin> {
    let plugin = |extension: &Rc<Node>| {
        let addresses = ["image", "http"].map(|kind| text_at(extension, &["code", kind, "url"]));
        let is_ours = addresses
            .iter()
            .any(|address| keys::is_own_address(address));
        let configuration = given(extension.get("config"), is_ours, extension.line)?;

        let host_keys = items(extension, &["env", "hostKeys"]);
        let variables = host_keys
            .iter()
            .filter_map(|key| Some((key.text()?.to_owned(), None)));
        let name = match text_at(extension, &["name"]) {
            "" => policy.to_owned(),
            name => format!("{policy}/{name}"),
        };
        Some(Plugin {
            name,
            platform: Platform::EnvoyGateway,
            configuration,
            refused: Vec::new(),
            variables: Variables::Given(variables.collect()),
            is_lean: addresses
                .iter()
                .any(|address| keys::is_lean_address(address)),
            spec: Rc::clone(extension),
        })
    };
    items(document, &["spec", "wasm"])
        .iter()
        .filter_map(plugin)
        .collect()
}

/// Envoy's own form, at any place: in a bootstrap, a listener, an ECDS resource or an EnvoyFilter.
fn of_envoy(node: &Rc<Node>) -> Vec<Plugin> {
    let Some(filter) = filter_of_envoy(node) else {
        return node.children().into_iter().flat_map(of_envoy).collect();
    };
    let config = filter.get("config");
    config.and_then(of_plugin_config).into_iter().collect()
}

/// The filter's message. In a `TypedStruct` it is in `value`, and `type_url` names it.
fn filter_of_envoy(node: &Rc<Node>) -> Option<&Rc<Node>> {
    let is_wasm = |key: &str| {
        let name = node.get(key)?.text()?;
        name.ends_with("filters.http.wasm.v3.Wasm").then_some(node)
    };
    is_wasm("@type").or_else(|| is_wasm("type_url")?.get("value"))
}

fn of_plugin_config(config: &Rc<Node>) -> Option<Plugin> {
    let vm = config.either(VM_CONFIG);
    let address = vm.map_or("", |vm| {
        let file = text_at(vm, &["code", "local", "filename"]);
        let remote = || {
            let remote = vm.at(&["code", "remote"])?;
            Some(text_at(remote.either(HTTP_URI)?, &["uri"]))
        };
        if file.is_empty() {
            remote().unwrap_or_default()
        } else {
            file
        }
    });
    let is_ours = keys::is_own_address(address);
    let (configuration, wrong) = match config.get("configuration") {
        Some(any) => of_any(any),
        None => (Configuration::empty(config.line), None),
    };
    if !is_ours && !configuration.is_own() {
        return None;
    }

    let text = |key: &str| config.get(key).and_then(|value| value.text());
    let name = text("name").or(text("root_id")).or(text("rootId"));
    let (variables, repeated) = vm.map_or_else(Default::default, |vm| variables_of_envoy(vm));
    Some(Plugin {
        name: name.unwrap_or("wasm").to_owned(),
        platform: Platform::Envoy,
        configuration,
        refused: wrong.into_iter().chain(repeated).collect(),
        variables: Variables::Given(variables),
        is_lean: keys::is_lean_address(address),
        spec: Rc::clone(config),
    })
}

/// The variables of a VM, and those that are given in both ways.
fn variables_of_envoy(vm: &Node) -> (BTreeMap<String, Option<String>>, Vec<Remark>) {
    let environment = vm.either(ENVIRONMENT_VARIABLES);
    let below = |names| environment.and_then(|node| node.either(names));
    let mut variables = BTreeMap::new();
    let mut refused = Vec::new();

    if let Some(Kind::Map(entries)) = below(KEY_VALUES).map(|node| &node.kind) {
        for (key, _, value) in entries {
            if let Kind::Scalar(Value::String(text)) = &value.kind {
                variables.insert(key.clone(), Some(text.clone()));
            }
        }
    }
    for key in below(HOST_ENV_KEYS).map_or(&[][..], |keys| keys.items()) {
        let Some(name) = key.text() else { continue };
        if variables.insert(name.to_owned(), None).is_some() {
            let sentence = format!("environment_variables: {name} stands in both lists");
            refused.push((key.line, sentence));
        }
    }
    (variables, refused)
}

/// A field's name in its two forms, both of which Envoy takes:
/// <https://protobuf.dev/programming-guides/json/>.
type Names = [&'static str; 2];

const VM_CONFIG: Names = ["vm_config", "vmConfig"];
const HTTP_URI: Names = ["http_uri", "httpUri"];
const ENVIRONMENT_VARIABLES: Names = ["environment_variables", "environmentVariables"];
const HOST_ENV_KEYS: Names = ["host_env_keys", "hostEnvKeys"];
const KEY_VALUES: Names = ["key_values", "keyValues"];
