//! Envoy's HTTP filters as the table needs them, by short names.

use serde_json::{Value, json};

use crate::descriptor;

/// A filter by its short name.
///
/// # Panics
///
/// On an unknown name.
pub fn by_name(name: &str) -> Value {
    translating(name)
        .or_else(|| refusing(name))
        .unwrap_or_else(|| panic!("no filter {name}"))
}

/// Filters that change the protocol.
fn translating(name: &str) -> Option<Value> {
    let bridge = json!({"content_type": "application/x-protobuf", "withhold_grpc_frames": true});
    let reverse = json!({"descriptor_binary": descriptor::base64()});
    let (message, config) = match name {
        "grpc_web" => ("GrpcWeb", json!({})),
        "connect_grpc_bridge" => ("FilterConfig", json!({})),
        "grpc_http1_bridge" => ("Config", json!({})),
        "grpc_http1_reverse_bridge" => ("FilterConfig", bridge),
        "grpc_json_reverse_transcoder" => ("GrpcJsonReverseTranscoder", reverse),
        "grpc_json_transcoder" => return Some(transcoder(json!({}))),
        "grpc_json_transcoder (convert_grpc_status)" => {
            return Some(transcoder(json!({"convert_grpc_status": true})));
        }
        _ => return None,
    };
    Some(filter(name, message, config))
}

/// Filters that send local replies, or change an answer.
fn refusing(name: &str) -> Option<Value> {
    let always = json!({"numerator": 100});
    let abort = json!({"http_status": 503, "percentage": always});
    let delay = json!({"fixed_delay": "0.2s", "percentage": always});
    let all = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
    let page = json!({"redirect_action": {"host_redirect": "app.test", "path_redirect": "/page"}});

    Some(match name {
        "rbac" => filter(
            name,
            "RBAC",
            json!({"rules": {"action": "DENY", "policies": {"no": all}}}),
        ),
        "fault" => filter(name, "HTTPFault", json!({"abort": abort})),
        "fault (delayed)" => filter(
            "fault",
            "HTTPFault",
            json!({"delay": delay, "abort": abort}),
        ),
        "custom_response" => custom_response(
            "local_response_policy.v3.LocalResponsePolicy",
            json!({"status_code": 200}),
        ),
        "custom_response (redirect)" => custom_response("redirect_policy.v3.RedirectPolicy", page),
        _ => return None,
    })
}

/// A filter with a message type in a separate package.
fn filter(name: &str, message: &str, config: Value) -> Value {
    let mut config = config;
    config["@type"] = json!(format!(
        "type.googleapis.com/envoy.extensions.filters.http.{name}.v3.{message}"
    ));
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

fn transcoder(config: Value) -> Value {
    let mut config = config;
    config["proto_descriptor_bin"] = json!(descriptor::base64());
    config["services"] = json!([descriptor::SERVICE]);
    filter("grpc_json_transcoder", "GrpcJsonTranscoder", config)
}

/// Answers to 403 of the upstream and of other filters by this policy.
fn custom_response(policy: &str, config: Value) -> Value {
    let mut action = config;
    action["@type"] = json!(format!(
        "type.googleapis.com/envoy.extensions.http.custom_response.{policy}"
    ));
    let input = json!({"@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput"});
    let predicate = json!({"input": {"name": "status", "typed_config": input}, "value_match": {"exact": "403"}});

    let matcher = json!({
        "predicate": {"single_predicate": predicate},
        "on_match": {"action": {"name": "rewrite", "typed_config": action}},
    });
    let config = json!({"custom_response_matcher": {"matcher_list": {"matchers": [matcher]}}});
    filter("custom_response", "CustomResponse", config)
}

/// A `local_reply_config` that replaces this status of Envoy's local replies.
pub fn rewritten(status: u16, to: u16) -> Value {
    let comparison =
        json!({"op": "EQ", "value": {"default_value": status, "runtime_key": "unused"}});
    let mapper = json!({
        "filter": {"status_code_filter": {"comparison": comparison}},
        "status_code": to,
        "body": {"inline_string": "sorry"},
    });
    json!({"mappers": [mapper]})
}
