//! What goes wrong on a platform though each part of the manifest is legal: one sentence each, with its line.

use serde_json::Value;

use super::manifest::{Platform, Plugin};
use super::yaml::Node;

/// Line and sentence.
pub(super) type Lint = (usize, String);

pub(super) fn of(plugin: &Plugin) -> Vec<Lint> {
    let mut lints = match plugin.platform {
        Platform::Plain => Vec::new(),
        Platform::Envoy => of_envoy(&plugin.spec),
        Platform::Istio => of_istio(plugin),
        Platform::EnvoyGateway => of_envoy_gateway(plugin),
    };
    lints.sort();
    lints
}

const UNAUDITED: &str = "lets requests pass unaudited, with their control headers, when the filter fails";

fn of_envoy(config: &Node) -> Vec<Lint> {
    if let Some(open) = config.either(["fail_open", "failOpen"]).filter(|node| node.to_json() == true) {
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

fn of_istio(plugin: &Plugin) -> Vec<Lint> {
    let spec = &plugin.spec;
    let mut lints = Vec::new();
    let mut add = |line: usize, text: String| lints.push((line, text));

    let strategy = spec.get("failStrategy").or_else(|| spec.get("wasm")?.get("failStrategy"));
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
    let modes: Vec<Option<&str>> = spec
        .get("match")
        .map_or(&[][..], |list| list.items())
        .iter()
        .map(|entry| entry.get("mode").and_then(|mode| mode.text()))
        .collect();
    let is_narrow = |mode: &Option<&str>| matches!(mode, Some("SERVER" | "CLIENT"));
    let is_waypoint = spec.get("targetRefs").is_some() || spec.get("targetRef").is_some();
    if !is_waypoint && (modes.is_empty() || !modes.iter().all(is_narrow)) {
        add(
            spec.line,
            "match: without mode SERVER (sidecars) or CLIENT (gateways) the filter is also on the way out of each \
             sidecar: it records twice, and removes control headers one hop too early"
                .to_owned(),
        );
    }
    if !matches!(spec.get("phase").and_then(|phase| phase.text()), Some("AUTHN" | "AUTHZ")) {
        add(
            spec.line,
            "phase: without AUTHN, requests that Istio's authentication or authorization refuses are recorded without \
             what is read at their beginning"
                .to_owned(),
        );
    }
    cluster_of_istio(plugin, &mut add);
    trust_of_istio(plugin, is_waypoint, &mut add);
    lints
}

fn cluster_of_istio(plugin: &Plugin, add: &mut impl FnMut(usize, String)) {
    let configuration = plugin.configuration.value();
    let cluster = configuration.pointer("/audit_cluster/cluster").and_then(Value::as_str).unwrap_or_default();
    if !cluster.is_empty() && !cluster.starts_with("outbound|") && !cluster.contains('$') {
        add(
            plugin.configuration.line_of("audit_cluster.cluster"),
            "audit_cluster.cluster: Istio's proxies call the cluster of a service \
             outbound|4318||collector.audit.svc.cluster.local"
                .to_owned(),
        );
    }
}

fn trust_of_istio(plugin: &Plugin, is_waypoint: bool, add: &mut impl FnMut(usize, String)) {
    let configuration = plugin.configuration.value();
    let line = plugin.configuration.line_of("trust");
    let list = |key: &str| configuration.get("trust")?.get(key)?.as_array();
    let has = |key: &str| list(key).is_some_and(|list| !list.is_empty());
    if is_waypoint && !has("filter_state") {
        add(
            line,
            "trust: a waypoint sees no address and no certificate of the client: name principals in \
             trust.filter_state, in io.istio.peer_principal"
                .to_owned(),
        );
    } else if !is_waypoint && !has("uri_sans") && !has("filter_state") {
        add(
            line,
            "trust: behind a gateway Istio's sidecars take the address from x-forwarded-for, so that no network is \
             trusted: name certificates in trust.uri_sans"
                .to_owned(),
        );
    }
}

fn of_envoy_gateway(plugin: &Plugin) -> Vec<Lint> {
    let mut lints = Vec::new();
    if let Some(open) = plugin.spec.get("failOpen").filter(|node| node.to_json() == true) {
        lints.push((open.line, format!("failOpen: true {UNAUDITED}")));
    }
    let configuration = plugin.configuration.value();
    let cluster = configuration.pointer("/audit_cluster/cluster").and_then(Value::as_str).unwrap_or_default();
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
