//! Legal manifests that cause failures on a platform: one sentence each, with its line.

use std::rc::Rc;

use serde_json::Value;

use super::manifest::{Platform, Plugin};
use super::node::{Kind, Node, Remark};

pub(super) fn of(plugin: &Plugin) -> Vec<Remark> {
    let mut lints = match plugin.platform {
        Platform::Plain => Vec::new(),
        Platform::Envoy => {
            let mut lints = of_envoy(&plugin.spec);
            lints.extend(unknown_fields(&plugin.spec));
            lints
        }
        Platform::Istio => of_istio(plugin),
        Platform::EnvoyGateway => of_envoy_gateway(plugin),
    };
    lints.sort();
    lints
}

const UNAUDITED: &str =
    "lets requests pass unaudited, with their control headers, when the filter fails";

/// What the platform refuses in the fields beside the configuration.
pub(super) fn refused(plugin: &Plugin) -> Vec<Remark> {
    let (names, open, policies) = match plugin.platform {
        Platform::Envoy => (
            ["failure_policy", "failurePolicy"],
            ["fail_open", "failOpen"],
            &["UNSPECIFIED", "FAIL_RELOAD", "FAIL_CLOSED", "FAIL_OPEN"][..],
        ),
        Platform::Istio => (
            ["failStrategy"; 2],
            [""; 2],
            &["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"][..],
        ),
        Platform::Plain | Platform::EnvoyGateway => return Vec::new(),
    };

    let wasm = plugin.spec.get("wasm").unwrap_or(&plugin.spec);
    let policy = plugin.spec.either(names).or_else(|| wasm.either(names));
    let Some(policy) = policy else {
        return Vec::new();
    };
    let name = names[0];
    let unknown = policy.text().filter(|text| !policies.contains(text));
    let unknown = unknown.map(|text| format!("{name}: {text} is unknown: {}", policies.join(", ")));
    let is_set = policy.text().is_some_and(|text| text != "UNSPECIFIED");
    let both = plugin
        .spec
        .either(open)
        .filter(|open| open.is_true() && is_set);
    let both = both.map(|_| format!("{name}: fail_open stands beside it"));
    unknown
        .into_iter()
        .chain(both)
        .map(|sentence| (policy.line, sentence))
        .collect()
}

/// Fields of `envoy.extensions.wasm.v3.PluginConfig`, `VmConfig` and `EnvironmentVariables` in Envoy
/// 1.40 (`api/envoy/extensions/wasm/v3/wasm.proto`).
const PLUGIN_FIELDS: [&str; 9] = [
    "name",
    "root_id",
    "vm_config",
    "configuration",
    "fail_open",
    "failure_policy",
    "reload_config",
    "capability_restriction_config",
    "allow_on_headers_stop_iteration",
];
const VM_FIELDS: [&str; 7] = [
    "vm_id",
    "runtime",
    "code",
    "configuration",
    "allow_precompiled",
    "nack_on_code_cache_miss",
    "environment_variables",
];
const ENVIRONMENT_FIELDS: [&str; 2] = ["host_env_keys", "key_values"];

/// Fields that Envoy does not have, a merge key among them.
fn unknown_fields(config: &Node) -> Vec<Remark> {
    let vm = config.either(["vm_config", "vmConfig"]);
    let environment =
        vm.and_then(|vm| vm.either(["environment_variables", "environmentVariables"]));
    let messages = [
        (Some(config), &PLUGIN_FIELDS[..]),
        (vm.map(Rc::as_ref), &VM_FIELDS[..]),
        (environment.map(Rc::as_ref), &ENVIRONMENT_FIELDS[..]),
    ];
    let mut lints = Vec::new();
    for (message, fields) in messages {
        for key in message.into_iter().flat_map(Node::keys) {
            if !fields
                .iter()
                .any(|field| *field == key || camel(field) == key)
            {
                let line = message.map_or(0, |message| message.line_of(key));
                lints.push((line, format!("{key}: Envoy 1.40 has no such field here")));
            }
        }
    }
    lints
}

/// The field's name as protobuf's JSON has it.
fn camel(field: &str) -> String {
    let mut upper = false;
    let letters = field.chars().filter_map(|letter| {
        let is_gap = letter == '_';
        let cased = if upper {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        upper = is_gap;
        (!is_gap).then_some(cased)
    });
    letters.collect()
}

fn of_envoy(config: &Node) -> Vec<Remark> {
    let open = config.either(["fail_open", "failOpen"]);
    if let Some(open) = open.filter(|node| node.is_true()) {
        return vec![(open.line, format!("fail_open: true {UNAUDITED}"))];
    }

    match config.either(["failure_policy", "failurePolicy"]) {
        Some(policy) if policy.text() == Some("FAIL_OPEN") => {
            vec![(policy.line, format!("failure_policy: FAIL_OPEN {UNAUDITED}"))]
        }
        Some(policy) if policy.text() == Some("FAIL_RELOAD") => Vec::new(),
        _ => vec![(
            config.line,
            "failure_policy: without FAIL_RELOAD (Envoy 1.33) a worker whose VM has crashed answers 503 until a restart"
                .to_owned(),
        )],
    }
}

fn of_istio(plugin: &Plugin) -> Vec<Remark> {
    let spec = &plugin.spec;
    let mut lints = Vec::new();
    let mut add = |line: usize, text: String| lints.push((line, text));

    fail_strategy_of_istio(spec, &mut add);
    let place = Place::of(spec);
    if place == Place::Ingress && has_mode(spec, "SERVER") {
        add(
            spec.line,
            "match: a gateway has no listeners of mode SERVER, so that the filter is not in it: use CLIENT"
                .to_owned(),
        );
    }
    if place == Place::Anywhere {
        add(
            spec.line,
            "match: without mode SERVER (sidecars) or CLIENT (gateways) the filter is also on the way out of each \
             sidecar: it records twice, and removes control headers one hop too early"
                .to_owned(),
        );
    }

    let phase = spec.get("phase").and_then(|phase| phase.text());
    if !matches!(phase, Some("AUTHN" | "AUTHZ")) {
        add(
            spec.line,
            "phase: without AUTHN, requests that Istio's authentication or authorization refuses are recorded without \
             what is read at their beginning"
                .to_owned(),
        );
    }

    cluster_of_istio(plugin, &mut add);
    trust_of_istio(plugin, place, &mut add);
    lints
}

fn fail_strategy_of_istio(spec: &Node, add: &mut impl FnMut(usize, String)) {
    let strategy = spec
        .get("failStrategy")
        .or_else(|| spec.get("wasm")?.get("failStrategy"));
    match strategy.map(|node| (node.line, node.text())) {
        Some((line, Some("FAIL_OPEN"))) => add(line, format!("failStrategy: FAIL_OPEN {UNAUDITED}")),
        Some((_, Some("FAIL_RELOAD"))) => {}
        _ => add(
            spec.line,
            "failStrategy: without FAIL_RELOAD (Istio 1.27) a proxy whose VM has crashed answers 503 until it is \
             restarted"
                .to_owned(),
        ),
    }
}

fn cluster_of_istio(plugin: &Plugin, add: &mut impl FnMut(usize, String)) {
    let configuration = plugin.configuration.value();
    let cluster = configuration
        .pointer("/audit_cluster/cluster")
        .and_then(Value::as_str)
        .unwrap_or_default();

    // Direction, port, subset, host: istio/istio pilot/pkg/model/push_context.go, BuildSubsetKey.
    let parts: Vec<&str> = cluster.split('|').collect();
    let is_outbound = matches!(
        parts.as_slice(),
        ["outbound", port, _, host] if port.parse::<u16>().is_ok() && !host.is_empty()
    );
    if !cluster.is_empty() && !is_outbound && !cluster.contains('$') {
        add(
            plugin.configuration.line_of("audit_cluster.cluster"),
            "audit_cluster.cluster: Istio's proxies call the cluster of a service \
             outbound|4318||collector.audit.svc.cluster.local"
                .to_owned(),
        );
    }
}

fn trust_of_istio(plugin: &Plugin, place: Place, add: &mut impl FnMut(usize, String)) {
    let configuration = plugin.configuration.value();
    let has = |key: &str| {
        let list = configuration
            .get("trust")
            .and_then(|trust| trust.get(key)?.as_array());
        list.is_some_and(|list| !list.is_empty())
    };

    let sentence = match place {
        Place::Waypoint if !has("filter_state") => {
            "trust: a waypoint sees no certificate of the client, and its address only without x-forwarded-for: name \
             principals in trust.filter_state, in io.istio.peer_principal"
        }
        Place::Gateway if !["filter_state", "uri_sans", "cidrs"].into_iter().any(has) => {
            "trust: if this Gateway is a waypoint, it sees no certificate of the client, and its address only without \
             x-forwarded-for: name principals in trust.filter_state, in io.istio.peer_principal"
        }
        Place::Sidecars | Place::Anywhere if !has("uri_sans") && !has("filter_state") => {
            "trust: behind a gateway Istio's sidecars take the address from x-forwarded-for, so that no network is \
             trusted: name certificates in trust.uri_sans"
        }
        _ => return,
    };
    add(plugin.configuration.line_of("trust"), sentence.to_owned());
}

/// The proxies that get a plugin of Istio, as far as its manifest shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// By `targetRefs` of a Service or of a class: only waypoints have these.
    Waypoint,
    /// By `targetRefs` of a Gateway: an ingress, or a waypoint.
    Gateway,
    /// `CLIENT`: in each direction in which gateways call.
    Ingress,
    /// `SERVER`: on the way in.
    Sidecars,
    Anywhere,
}

impl Place {
    fn of(spec: &Node) -> Self {
        let many = spec.get("targetRefs").map_or(&[][..], |list| list.items());
        let targets: Vec<&Rc<Node>> = many.iter().chain(spec.get("targetRef")).collect();
        if !targets.is_empty() {
            let kind = |target: &&Rc<Node>| {
                target.get("kind").and_then(|kind| kind.text()) == Some("Gateway")
            };
            return if targets.iter().any(kind) {
                Self::Gateway
            } else {
                Self::Waypoint
            };
        }

        if selects_gateway(spec) || has_mode(spec, "CLIENT") {
            Self::Ingress
        } else if has_mode(spec, "SERVER") {
            Self::Sidecars
        } else {
            Self::Anywhere
        }
    }
}

/// Whether all entries of `match` have this mode.
fn has_mode(spec: &Node, mode: &str) -> bool {
    let entries = spec.get("match").map_or(&[][..], |list| list.items());
    let is_it = |entry: &Rc<Node>| entry.get("mode").and_then(|node| node.text()) == Some(mode);
    !entries.is_empty() && entries.iter().all(is_it)
}

/// Whether the selector has a label of gateways: `istio` with any value, as Istio's charts set it,
/// an `app` of Istio's, or that of the Gateway API.
fn selects_gateway(spec: &Node) -> bool {
    let labels = spec.at(&["selector", "matchLabels"]);
    let Some(Kind::Map(labels)) = labels.map(|labels| &labels.kind) else {
        return false;
    };
    labels.iter().any(|(name, _, value)| match name.as_str() {
        "istio" | "gateway.networking.k8s.io/gateway-name" => true,
        "app" => value.text().is_some_and(is_gateway_of_istio),
        _ => false,
    })
}

fn is_gateway_of_istio(app: &str) -> bool {
    app.starts_with("istio-")
        && ["ingress", "egress", "gateway"]
            .iter()
            .any(|part| app.contains(part))
}

fn of_envoy_gateway(plugin: &Plugin) -> Vec<Remark> {
    let mut lints = Vec::new();
    if let Some(open) = plugin.spec.get("failOpen").filter(|node| node.is_true()) {
        lints.push((open.line, format!("failOpen: true {UNAUDITED}")));
    }

    let configuration = plugin.configuration.value();
    let cluster = configuration
        .pointer("/audit_cluster/cluster")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if cluster.starts_with("outbound|") {
        lints.push((
            plugin.configuration.line_of("audit_cluster.cluster"),
            "audit_cluster.cluster: this is a name of Istio; Envoy Gateway makes no cluster for a plugin, add one in \
             EnvoyProxy.spec.bootstrap"
                .to_owned(),
        ));
    }

    lints
}
