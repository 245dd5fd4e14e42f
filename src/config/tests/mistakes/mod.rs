//! Every kind of mistake, with its path and its sentence.

mod paths;
mod peers;
mod required;
mod rules;
mod unknown_keys;

use super::*;

const DURATION: &str = r#"must be a duration such as "250ms", "5s" or "1m""#;
const OUTCOMES: &str = "must be one of success, failure, denied, aborted";

#[test]
fn wrong_types() {
    for (pointer, value, problem) in [
        ("/enabled", json!("true"), "enabled: must be true or false"),
        ("/service", json!(1), "service: must be a string"),
        (
            "/audit_cluster/cluster",
            json!(["audit"]),
            "audit_cluster.cluster: must be a string",
        ),
        (
            "/audit_cluster/headers",
            json!([]),
            "audit_cluster.headers: must be an object",
        ),
        (
            "/audit_cluster/headers/x",
            json!(1),
            "audit_cluster.headers.x: must be a string",
        ),
        ("/rules", json!({}), "rules: must be a list"),
        ("/rules", json!(null), "rules: must be a list"),
        ("/rules", json!(["r"]), "rules[0]: must be an object"),
        ("/tracking", json!([]), "tracking: must be an object"),
        (
            "/trust/cidrs",
            json!("10.0.0.0/8"),
            "trust.cidrs: must be a list",
        ),
        (
            "/batch/max_records",
            json!(1.5),
            "batch.max_records: must be an integer",
        ),
        (
            "/batch/max_records",
            json!("1e2"),
            "batch.max_records: must be an integer",
        ),
        (
            "/batch/max_records",
            json!(""),
            "batch.max_records: must be an integer",
        ),
        (
            "/batch/max_records",
            json!(-1),
            "batch.max_records: must be an integer",
        ),
        (
            "/batch/max_records",
            json!(true),
            "batch.max_records: must be an integer",
        ),
    ] {
        refused(&with(pointer, value), &[problem]);
    }

    refused(&json!("audit"), &["configuration: must be an object"]);
    refused(&json!(null), &["configuration: must be an object"]);
    let problems = parse(b"{\"audit_cluster\":", &environment)
        .unwrap_err()
        .problems;
    assert!(
        problems[0].starts_with("configuration: is neither JSON nor a protobuf Struct: "),
        "{problems:?}"
    );
}

#[test]
fn values_out_of_range() {
    for (pointer, value, problem) in [
        (
            "/batch/max_records",
            json!(0),
            "batch.max_records: must be between 1 and 1000",
        ),
        (
            "/batch/max_records",
            json!("1001"),
            "batch.max_records: must be between 1 and 1000",
        ),
        (
            "/batch/max_bytes",
            json!(1),
            "batch.max_bytes: must be between 1024 and 16777216",
        ),
        (
            "/batch/max_delay",
            json!("0s"),
            "batch.max_delay: must be between 1ms and 1h",
        ),
        (
            "/buffer/max_records",
            json!(0),
            "buffer.max_records: must be between 1 and 1000000",
        ),
        (
            "/buffer/max_bytes",
            json!(1e10),
            "buffer.max_bytes: must be between 1024 and 268435456",
        ),
        (
            "/buffer/immediate_reserve_percent",
            json!(91),
            "buffer.immediate_reserve_percent: must be between 0 and 90",
        ),
        (
            "/audit_cluster/timeout",
            json!("1ms"),
            "audit_cluster.timeout: must be between 10ms and 10m",
        ),
        (
            "/tracking/max_context_bytes",
            json!(0),
            "tracking.max_context_bytes: must be between 1 and 65536",
        ),
        (
            "/retry/max_attempts",
            json!(4_294_967_296_u64),
            "retry.max_attempts: must be between 0 and 4294967295",
        ),
        (
            "/retry/initial_backoff",
            json!("0s"),
            "retry.initial_backoff: must be between 1ms and 1h",
        ),
        (
            "/retry/max_backoff",
            json!("100ms"),
            "retry: max_backoff must not be less than initial_backoff",
        ),
    ] {
        refused(&with(pointer, value), &[problem]);
    }
}

#[test]
fn bad_durations() {
    for value in [
        json!("5"),
        json!(5),
        json!("5 s"),
        json!("-5s"),
        json!(""),
        json!("1d"),
        json!("999999h"),
    ] {
        for (pointer, path) in [
            ("/audit_cluster/timeout", "audit_cluster.timeout"),
            ("/batch/max_delay", "batch.max_delay"),
            ("/retry/max_age", "retry.max_age"),
        ] {
            refused(
                &with(pointer, value.clone()),
                &[&format!("{path}: {DURATION}")],
            );
        }
    }
}

#[test]
fn bad_words() {
    for (pointer, problem) in [
        (
            "/audit_cluster/format",
            "audit_cluster.format: must be one of otlp_protobuf, otlp_json, ndjson",
        ),
        (
            "/buffer/on_full",
            "buffer.on_full: must be one of drop_newest, drop_oldest",
        ),
        (
            "/tracking/on_empty_context",
            "tracking.on_empty_context: must be one of skip, record",
        ),
        (
            "/correlation/scope",
            "correlation.scope: must be one of worker, process",
        ),
    ] {
        refused(&with(pointer, json!(SECRET)), &[problem]);
    }

    for (key, value, problem) in [
        (
            "level",
            json!("full"),
            "level: must be one of none, metadata, request",
        ),
        (
            "record_on",
            json!(["ok"]),
            &format!("record_on[0]: {OUTCOMES}"),
        ),
        (
            "immediate_on",
            json!(["ok"]),
            &format!("immediate_on[0]: {OUTCOMES}"),
        ),
        (
            "require_audit",
            json!("yes"),
            "require_audit: must be one of none, buffered, acknowledged",
        ),
        (
            "session",
            json!("begin"),
            "session: must be one of none, start, end",
        ),
        (
            "extra_fields",
            json!(["all"]),
            "extra_fields[0]: must be one of upstream_cluster, peer_uri_san, response_flags, response_code_details",
        ),
    ] {
        refused(
            &with_rule(&json!({"name": "r", key: value})),
            &[&format!("rules[0].{problem}")],
        );
    }
}

#[test]
fn empty_lists_where_an_entry_is_needed() {
    refused(
        &with("/rules", json!([])),
        &["rules: must have at least one entry"],
    );

    let rule = json!({"name": "r", "record_on": []});
    refused(
        &with_rule(&rule),
        &["rules[0].record_on: must have at least one entry"],
    );
    for key in ["hosts", "methods", "headers"] {
        let problem = format!("rules[0].match.{key}: must have at least one entry");
        refused(&with_match(&json!({key: []})), &[&problem]);
    }

    accepted(&with("/trust/cidrs", json!([])));
    accepted(&with_rule(
        &json!({"name": "r", "http_statuses": [], "extra_fields": [], "tags": {}}),
    ));
}

#[test]
fn variables() {
    for (text, problem) in [
        ("Bearer ${GONE}", "environment variable GONE is not set"),
        ("${", r#"has a "${" without "}""#),
        (
            "${A B}",
            r#"has a "${...}" whose name is not [A-Za-z_][A-Za-z0-9_]*"#,
        ),
    ] {
        let problem = format!("audit_cluster.headers.authorization: {problem}");
        refused(
            &with("/audit_cluster/headers", json!({"authorization": text})),
            &[&problem],
        );
    }
}

#[test]
fn all_at_once_in_one_line() {
    let value = json!({
        "audit_cluster": {"cluster": "${GONE}", "timeout": "soon"},
        "rules": [
            {"name": "a", "level": "all"},
            {"name": "a", "match": {"path": {"exact": "x"}, "methods": ["get"]}, "extra\nkey": 1},
        ],
        "batch": {"max_records": 0},
        "typo": 1,
    });

    let error = parse(value.to_string().as_bytes(), &environment).unwrap_err();
    let starts = [
        "audit_cluster.cluster: environment variable GONE",
        "audit_cluster.timeout: must be a duration",
        "rules[0].level: must be one of",
        "rules[1].match.methods[0]: must be a method",
        "rules[1].match.path.exact: must start",
        "rules[1].extra\nkey: unknown key",
        "rules[1]: has the name",
        "batch.max_records: must be between",
        "typo: unknown key",
    ];

    assert_eq!(error.problems.len(), starts.len(), "{:?}", error.problems);
    for (problem, start) in error.problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }

    let line = error.to_string();
    assert!(
        line.starts_with("configuration refused: audit_cluster.cluster: "),
        "{line}"
    );
    assert!(
        !line.contains(['\n', '\r'])
            && starts
                .iter()
                .all(|start| line.contains(&start.replace('\n', " ")))
    );
}
