//! Envoy's built-in features for the same task: they remove the control headers and deliver a
//! record with the same fields.

mod fields;

use serde_json::{Value, json};
use testkit::bench::audit::MAX_DELAY;
use testkit::bench::bootstrap::{AUDIT, AUDIT_GRPC};
use testkit::bench::requests::{CONTROL, Requests};
use testkit::bench::row::{Delivery, Row};

/// The size of about a hundred of their records, which make a batch of the audit filter.
const BATCH_BYTES: u32 = 64 * 1024;
/// File of the access log, in the directory of its Envoy.
const FILE: &str = "access.log";

/// All rows for these requests.
pub fn rows(requests: Requests) -> Vec<Row> {
    let mut rows = vec![
        Row::own(
            "Lua, strips",
            requests,
            &[lua(include_str!("strip.lua"))],
            &[],
        )
        .delivering(Delivery::Nothing),
    ];
    rows.extend(main_rows(requests));
    rows.extend([
        logged("OTel access log, 64 KB", requests, otel(Some(BATCH_BYTES))),
        logged("gRPC access log, 64 KB", requests, grpc(Some(BATCH_BYTES))),
        logged("file access log", requests, file()).delivering(Delivery::File(FILE)),
    ]);

    let observing = [ext_proc(json!({
        "observability_mode": true,
        // Envoy would keep the streams for 5 seconds.
        "deferred_close_timeout": "0.1s",
    }))];
    let filters = [&observing[..], &[header_to_metadata()]].concat();
    rows.push(Row::own("ext_proc, observing", requests, &filters, &[]));
    rows
}

/// Those with which the filter is compared: with Envoy's default settings, and complete.
pub fn main_rows(requests: Requests) -> Vec<Row> {
    let post = [lua(include_str!("post.lua"))];
    vec![
        Row::own("Lua, strips and posts", requests, &post, &[]),
        logged("OTel access log", requests, otel(None)),
        logged("gRPC access log", requests, grpc(None)),
        Row::own("ext_proc", requests, &[ext_proc(json!({}))], &[]).processed(),
    ]
}

fn logged(name: &str, requests: Requests, log: Value) -> Row {
    Row::own(name, requests, &[header_to_metadata()], &[log])
}

fn lua(script: &str) -> Value {
    json!({"name": "envoy.filters.http.lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": script},
    }})
}

/// Keeps the values of the control headers in dynamic metadata, and removes them.
fn header_to_metadata() -> Value {
    let rule = |header: &str| {
        let value = json!({"metadata_namespace": fields::NAMESPACE, "key": header});
        json!({"header": header, "on_header_present": value, "remove": true})
    };
    json!({"name": "envoy.filters.http.header_to_metadata", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
        "request_rules": CONTROL.map(rule),
    }})
}

/// Envoy's OpenTelemetry access log over HTTP; `None`: batches have 16 KB.
fn otel(buffer_size_bytes: Option<u32>) -> Value {
    let attributes: Vec<Value> = fields::FIELDS
        .iter()
        .map(|(key, value)| json!({"key": key, "value": {"string_value": value}}))
        .collect();
    let service = json!({"key": "service.name", "value": {"string_value": "bench"}});

    json!({"name": "envoy.access_loggers.open_telemetry", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "http_service": {"http_uri": {"uri": "http://audit/v1/logs", "cluster": AUDIT, "timeout": "5s"}},
        "resource_attributes": {"values": [service]},
        "body": {"string_value": fields::BODY},
        "attributes": {"values": attributes},
        "buffer_size_bytes": buffer_size_bytes,
        "buffer_flush_interval": MAX_DELAY,
    }})
}

/// Envoy's gRPC access log service. Its records have the removed headers in the dynamic metadata.
fn grpc(buffer_size_bytes: Option<u32>) -> Value {
    let common = json!({
        "log_name": "audit", "transport_api_version": "V3", "grpc_service": grpc_service(),
        "buffer_size_bytes": buffer_size_bytes, "buffer_flush_interval": MAX_DELAY,
    });
    json!({"name": "envoy.access_loggers.http_grpc", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "common_config": common,
        "additional_response_headers_to_log": ["x-user-id"],
    }})
}

fn file() -> Value {
    let fields: serde_json::Map<_, _> = fields::FIELDS
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": FILE, "log_format": {"json_format": fields},
    }})
}

/// An external processor that gets the headers of request and response. With nothing else set,
/// Envoy waits for its answers, and the processor removes the control headers.
fn ext_proc(mut settings: Value) -> Value {
    settings["@type"] =
        json!("type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor");
    settings["grpc_service"] = grpc_service();
    settings["processing_mode"] =
        json!({"request_header_mode": "SEND", "response_header_mode": "SEND"});
    json!({"name": "envoy.filters.http.ext_proc", "typed_config": settings})
}

fn grpc_service() -> Value {
    json!({"envoy_grpc": {"cluster_name": AUDIT_GRPC}})
}
