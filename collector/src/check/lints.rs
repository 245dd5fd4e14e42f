//! Legal manifests that cause failures on a platform: one sentence each, with its line.

use std::rc::Rc;

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

const UNAUDITED: &str =
    "lets requests pass unaudited, with their control headers, when the filter fails";

fn of_envoy(config: &Node) -> Vec<Lint> {
    if let Some(open) = config
        .either(["fail_open", "failOpen"])
        .filter(|node| node.is_true())
    {
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

    let place = Place::of(spec);
    if place == Place::Anywhere {
        add(
            spec.line,
            "match: without mode SERVER (sidecars) or CLIENT (gateways) the filter is also on the way out of each \
             sidecar: it records twice, and removes control headers one hop too early"
                .to_owned(),
        );
    }

    if !matches!(
        spec.get("phase").and_then(|phase| phase.text()),
        Some("AUTHN" | "AUTHZ")
    ) {
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

fn cluster_of_istio(plugin: &Plugin, add: &mut impl FnMut(usize, String)) {
    let configuration = plugin.configuration.value();
    let cluster = configuration
        .pointer("/audit_cluster/cluster")
        .and_then(Value::as_str)
        .unwrap_or_default();

    if !cluster.is_empty() && !cluster.starts_with("outbound|") && !cluster.contains('$') {
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
            "trust: a waypoint sees no address and no certificate of the client: name principals in \
             trust.filter_state, in io.istio.peer_principal"
        }
        Place::Gateway if !["filter_state", "uri_sans", "cidrs"].into_iter().any(has) => {
            "trust: if this Gateway is a waypoint, it sees no address and no certificate of the client: name principals \
             in trust.filter_state, in io.istio.peer_principal"
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

        let entries = spec.get("match").map_or(&[][..], |list| list.items());
        let are_all = |mode: &str| {
            let is_it =
                |entry: &Rc<Node>| entry.get("mode").and_then(|node| node.text()) == Some(mode);
            !entries.is_empty() && entries.iter().all(is_it)
        };
        if are_all("SERVER") {
            Self::Sidecars
        } else if are_all("CLIENT") {
            Self::Ingress
        } else {
            Self::Anywhere
        }
    }
}

fn of_envoy_gateway(plugin: &Plugin) -> Vec<Lint> {
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
