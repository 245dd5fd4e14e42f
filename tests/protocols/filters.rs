//! Envoy's HTTP filters as the table needs them, by short names.

use serde_json::{Value, json};

use crate::descriptor;

/// A filter by its short name.
///
/// # Panics
/// On an unknown name.
pub fn by_name(name: &str) -> Value {
    let filters = "envoy.extensions.filters.http";
    match name {
        "grpc_web" => filter(name, &format!("{filters}.grpc_web.v3.GrpcWeb"), json!({})),
        "connect_grpc_bridge" => filter(name, &format!("{filters}.connect_grpc_bridge.v3.FilterConfig"), json!({})),
        "grpc_http1_bridge" => filter(name, &format!("{filters}.grpc_http1_bridge.v3.Config"), json!({})),
        "grpc_http1_reverse_bridge" => filter(
            name,
            &format!("{filters}.grpc_http1_reverse_bridge.v3.FilterConfig"),
            json!({"content_type": "application/x-protobuf", "withhold_grpc_frames": true}),
        ),
        "grpc_json_transcoder" => transcoder(json!({})),
        "grpc_json_transcoder (convert_grpc_status)" => transcoder(json!({"convert_grpc_status": true})),
        "grpc_json_reverse_transcoder" => filter(
            name,
            &format!("{filters}.grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder"),
            json!({"descriptor_binary": descriptor::base64()}),
        ),
        "rbac" => filter(
            name,
            &format!("{filters}.rbac.v3.RBAC"),
            json!({"rules": {"action": "DENY", "policies": {"no": {
                "permissions": [{"any": true}], "principals": [{"any": true}]}}}}),
        ),
        "fault" => filter(
            name,
            &format!("{filters}.fault.v3.HTTPFault"),
            json!({"abort": {"http_status": 503, "percentage": {"numerator": 100}}}),
        ),
        "fault (delayed)" => filter(
            "fault",
            &format!("{filters}.fault.v3.HTTPFault"),
            json!({"delay": {"fixed_delay": "0.2s", "percentage": {"numerator": 100}},
                "abort": {"http_status": 503, "percentage": {"numerator": 100}}}),
        ),
        "custom_response" => {
            custom_response("local_response_policy.v3.LocalResponsePolicy", json!({"status_code": 200}))
        }
        "custom_response (redirect)" => custom_response(
            "redirect_policy.v3.RedirectPolicy",
            json!({"redirect_action": {"host_redirect": "app.test", "path_redirect": "/page"}}),
        ),
        unknown => panic!("no filter {unknown}"),
    }
}

fn filter(name: &str, kind: &str, config: Value) -> Value {
    let mut config = config;
    config["@type"] = json!(format!("type.googleapis.com/{kind}"));
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

fn transcoder(config: Value) -> Value {
    let mut config = config;
    config["proto_descriptor_bin"] = json!(descriptor::base64());
    config["services"] = json!([descriptor::SERVICE]);
    filter("grpc_json_transcoder", "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder", config)
}

/// Answers 403 of the upstream and of other filters by this policy.
fn custom_response(policy: &str, config: Value) -> Value {
    let mut action = config;
    action["@type"] = json!(format!("type.googleapis.com/envoy.extensions.http.custom_response.{policy}"));
    let input = json!({"@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput"});
    let predicate = json!({"input": {"name": "status", "typed_config": input}, "value_match": {"exact": "403"}});
    let matcher = json!({
        "predicate": {"single_predicate": predicate},
        "on_match": {"action": {"name": "rewrite", "typed_config": action}},
    });
    filter(
        "custom_response",
        "envoy.extensions.filters.http.custom_response.v3.CustomResponse",
        json!({"custom_response_matcher": {"matcher_list": {"matchers": [matcher]}}}),
    )
}

/// A `local_reply_config` that gives answers of Envoy's own with this status another one.
pub fn rewritten(status: u16, to: u16) -> Value {
    let comparison = json!({"op": "EQ", "value": {"default_value": status, "runtime_key": "unused"}});
    let mapper = json!({
        "filter": {"status_code_filter": {"comparison": comparison}},
        "status_code": to,
        "body": {"inline_string": "sorry"},
    });
    json!({"mappers": [mapper]})
}
