//! The shipped bootstrap with the requests' listener and the HTTP filters before the router.

use std::path::Path;

use serde_json::{Value, json};

use crate::bench::artefacts;
use crate::bench::requests::Traffic;
use crate::envoy::bootstrap::Bootstrap;

/// Where the audit filter sends its records, over HTTP/1.1.
pub const AUDIT: &str = "audit";
/// The same sink, over HTTP/2.
pub const AUDIT_GRPC: &str = "audit_grpc";
/// The options of a cluster that speaks HTTP/2.
const PROTOCOL: &str = "typed_extension_protocol_options";
/// More requests than in any slice.
const MANY: u32 = 1_000_000;
/// Headers of every HTTP answer.
pub(crate) const ANSWER: [(&str, &str); 2] =
    [("content-type", "application/json"), ("x-user-id", "4711")];
/// The body of every HTTP answer.
pub(crate) const BODY: &str =
    r#"{"UserId": 4711, "Identity": "alice@example.com", "Roles": ["1", "2"], "state": "open"}"#;

/// As shipped: the filter that notes the peer, and the audit filter.
fn shipped(traffic: Traffic) -> Bootstrap {
    of(Bootstrap::shipped(), traffic)
}

fn of(mut bootstrap: Bootstrap, traffic: Traffic) -> Bootstrap {
    bootstrap
        .listeners()
        .retain(|listener| listener["name"] == traffic.listener());
    if traffic.is_answered_directly() {
        bootstrap.connection_managers().for_each(answer_directly);
    }
    if traffic == Traffic::TrackedHttp2 {
        let options = bootstrap.cluster("demo_grpc")[PROTOCOL].clone();
        bootstrap.cluster("demo_http")[PROTOCOL] = options;
    }
    bootstrap
}

fn answer_directly(manager: &mut Value) {
    let header = |(name, value)| json!({"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});

    for route in manager["route_config"]["virtual_hosts"][0]["routes"]
        .as_array_mut()
        .unwrap()
    {
        route.as_object_mut().unwrap().remove("route");
        route["direct_response"] = json!({"status": 200, "body": {"inline_string": BODY}});
        route["response_headers_to_add"] = json!(ANSWER.map(header));
    }
}

/// Nothing but the router.
pub fn no_filter(traffic: Traffic) -> Bootstrap {
    peer_note(traffic).without_peer_note()
}

/// Only the filter that the audit filter needs before it.
pub fn peer_note(traffic: Traffic) -> Bootstrap {
    shipped(traffic).without_filter("audit")
}

/// The filter that does nothing.
pub fn do_nothing(traffic: Traffic) -> Bootstrap {
    let mut bootstrap = shipped(traffic).without_peer_note();
    bootstrap.run(artefacts::do_nothing());
    bootstrap.each_filter("audit", |filter| {
        filter["typed_config"]["config"]
            .as_object_mut()
            .unwrap()
            .remove("configuration");
    });
    bootstrap
}

/// The filter that makes this many steps of host calls.
pub fn bare_calls(traffic: Traffic, steps: u8) -> Bootstrap {
    let mut bootstrap = shipped(traffic).without_peer_note();
    bootstrap.run(artefacts::bare_calls());
    bootstrap.each_filter("audit", |filter| {
        filter["typed_config"]["config"]["configuration"] =
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": steps.to_string()});
    });
    bootstrap
}

/// The audit filter with this configuration, after the filter that notes the peer.
pub fn audit(traffic: Traffic, artefact: &Path, configuration: &Value) -> Bootstrap {
    configured(shipped(traffic), artefact, configuration)
}

/// The same with the routes of the example `by-route.yaml`, most of which disable the filter.
pub fn by_route(traffic: Traffic, artefact: &Path, configuration: &Value) -> Bootstrap {
    configured(
        of(Bootstrap::example("by-route"), traffic),
        artefact,
        configuration,
    )
}

fn configured(mut bootstrap: Bootstrap, artefact: &Path, configuration: &Value) -> Bootstrap {
    bootstrap.run(artefact);
    bootstrap.each_filter("audit", |filter| {
        filter["typed_config"]["config"]["configuration"]["value"] = configuration.clone();
    });
    bootstrap
}

/// Envoy's built-in HTTP filters and access logs.
pub fn own(traffic: Traffic, filters: &[Value], access_log: &[Value]) -> Bootstrap {
    let mut bootstrap = no_filter(traffic);
    for (index, filter) in filters.iter().enumerate() {
        bootstrap = bootstrap.with_filter_at(index, filter);
    }

    for manager in bootstrap.connection_managers() {
        manager["access_log"] = json!(access_log);
    }

    let mut cluster = bootstrap.cluster("demo_grpc").clone();
    cluster["name"] = json!(AUDIT_GRPC);
    cluster["load_assignment"]["cluster_name"] = json!(AUDIT_GRPC);
    // Each request has an open stream until its answer comes: more than Envoy's default limit of
    // 1024.
    cluster["circuit_breakers"] =
        json!({"thresholds": [{"max_requests": MANY, "max_pending_requests": MANY}]});

    bootstrap.clusters().push(cluster);
    bootstrap
}
