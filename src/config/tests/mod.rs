//! The configuration as a whole: defaults, both forms, and the sentence for every mistake.

mod defaults;
mod forms;
mod identity;
mod laws;
mod lean;
mod lints;
mod mistakes;
mod secrecy;

use std::time::Duration;

use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::decode::tests::to_struct;
use super::{Config, DEFAULTS, parse};
use crate::pipeline::settings::{BatchLimits, BufferLimits, OnFull, RetryPolicy, Target};
use crate::record::{Outcome, Protocol, RequireAudit};
use crate::recorder::correlation::Scope;
use crate::recorder::rules::{
    Conditions, ExtraFields, HeaderCondition, HostPattern, PathPattern, StatusRange, ValuePattern,
};
use crate::recorder::session::token::TokenMode;
use crate::recorder::tracking;
use crate::recorder::uri::template::Template;
use crate::wire::Format;

/// In values of the tests; must never be seen in an error line.
const SECRET: &str = "s3cr3t-m4rker";

fn environment(name: &str) -> Option<String> {
    match name {
        "AUDIT_TOKEN" => Some(SECRET.to_owned()),
        "MAX_RECORDS" => Some("7".to_owned()),
        _ => None,
    }
}

fn parse_json(value: &Value) -> Result<Config, Vec<String>> {
    parse(value.to_string().as_bytes(), &environment).map_err(|error| error.problems)
}

fn minimal() -> Value {
    json!({"audit_cluster": {"cluster": "audit"}})
}

/// The minimal configuration with one more value at `pointer` (RFC 6901); missing objects are made.
fn with(pointer: &str, value: Value) -> Value {
    let mut root = minimal();
    put(&mut root, pointer, value);
    root
}

fn put(root: &mut Value, pointer: &str, value: Value) {
    let place = pointer
        .split('/')
        .skip(1)
        .fold(root, |node, key| match node {
            Value::Array(items) => {
                let index: usize = key.parse().unwrap();
                items.resize(items.len().max(index + 1), json!({}));
                &mut items[index]
            }
            node => {
                if !node.is_object() {
                    *node = json!({});
                }
                &mut node[key]
            }
        });

    *place = value;
}

/// The minimal configuration with one rule.
fn with_rule(rule: &Value) -> Value {
    with("/rules", json!([rule]))
}

/// The minimal configuration with one rule that has this `match`.
fn with_match(conditions: &Value) -> Value {
    with_rule(&json!({"name": "r", "match": conditions}))
}

#[track_caller]
fn accepted(value: &Value) -> Config {
    parse_json(value).unwrap_or_else(|problems| panic!("{value}: {problems:?}"))
}

#[track_caller]
fn refused(value: &Value, problems: &[&str]) {
    assert_eq!(parse_json(value).unwrap_err(), problems, "{value}");
}

/// Every supported key with a value that is not its default.
fn everything() -> Value {
    json!({
        "enabled": false,
        "service": "shop",
        "audit_cluster": {
            "cluster": "outbound|4318||collector.audit.svc.cluster.local",
            "authority": "collector.audit",
            "path": "/audit?kind=log",
            "format": "ndjson",
            "headers": {"Authorization": "Bearer ${AUDIT_TOKEN}", "x-tenant": "a b"},
            "timeout": "250ms",
        },
        "rules": [
            {
                "name": "change-password",
                "match": {
                    "protocol": "http",
                    "hosts": ["API.example.com", "*.internal", "[::1]"],
                    "methods": ["POST", "PUT"],
                    "path": {"template": "/v1/users/{id}/password"},
                    "headers": [
                        {"name": "X-Env", "exact": "prod"}, {"name": "a", "prefix": "p"}, {"name": "b", "suffix": "s"},
                        {"name": "c", "contains": "c"}, {"name": "d", "present": true}, {"name": "e", "present": false},
                    ],
                    "tracked": false,
                },
                "level": "request",
                "capture": {"query": ["q"], "request_headers": ["X-Tenant"], "response_headers": ["x-cache"]},
                "action": "password.change",
                "record_on": ["failure", "denied"],
                "http_statuses": [400, "403", "5xx"],
                "immediate_on": ["denied"],
                "require_audit": "acknowledged",
                "identity": {"user_id": [{"response_json": "/user/id"}], "max_body_bytes": 1000},
                "session": "start",
                "correlate": true,
                "tags": {"retention": "7y"},
                "extra_fields": ["upstream_cluster", "peer_uri_san", "response_flags", "response_code_details"],
            },
            {"name": "health", "match": {"path": {"exact": "/health"}}, "level": "none"},
            {"name": "api", "match": {"protocol": "grpc", "path": {"prefix": "/shop."}, "tracked": true}, "require_audit": "buffered"},
            {
                "name": "edge",
                "match": {"hosts": ["edge"]},
                "set_tracking": {
                    "operation": "edge",
                    "context": {
                        "device": {"header": "X-Device"}, "theme": {"cookie": "theme"}, "peer": {"peer_uri_san": true},
                        "address": {"peer_address": true}, "sub": {"metadata": "ns:jwt:sub"},
                    },
                },
            },
            {"name": "rest", "match": {"protocol": "any", "path": {"suffix": ".json"}}},
        ],
        "tracking": {
            "track_header": "X-Track", "operation_header": "x-op", "context_header": "x-ctx", "strip_context": true,
            "on_empty_context": "record", "max_context_bytes": 100,
        },
        "trust": {"cidrs": ["192.0.2.0/24", "2001:db8::/32"], "uri_sans": ["spiffe://mesh.internal/"]},
        "correlation": {"session_id_header": "x-c-id", "sequence_header": "x-c-seq", "scope": "process"},
        "session": {
            "id": [{"cookie": "sid"}], "token": [{"header": "X-Token"}, {"bearer": true}], "token_mode": "hmac",
            "hmac_keys": [{"id": "k1", "key": "0123456789abcdef0123456789abcdef"}],
        },
        "identity": {
            "user_id": [{"response_header": "X-User"}, {"header": "x-user"}], "user_name": [{"peer_uri_san": true}],
            "user_email": [{"metadata": ["ns", "https://example.com/mail"]}],
        },
        "batch": {"max_records": "${MAX_RECORDS}", "max_bytes": 4096, "max_delay": "0.5s"},
        "buffer": {"max_records": "200", "max_bytes": 8192, "on_full": "drop_oldest", "immediate_reserve_percent": 25},
        "retry": {"initial_backoff": "10ms", "max_backoff": "1m", "max_attempts": 9, "max_age": "1h"},
    })
}
