//! The configuration as a whole: defaults, both forms, and the sentence for every mistake.

use std::time::Duration;

use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::source::tests::to_struct;
use super::{Config, parse};
use crate::pipeline::settings::{BatchLimits, BufferLimits, OnFull, RetryPolicy, Target};
use crate::record::{Outcome, Protocol};
use crate::recorder::path::Template;
use crate::recorder::policy::{
    Conditions, ExtraFields, HeaderCondition, HostPattern, PathPattern, StatusRange, ValuePattern,
};
use crate::recorder::tracking;
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
    let place = pointer.split('/').skip(1).fold(root, |node, key| match node {
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
                "level": "metadata",
                "action": "password.change",
                "record_on": ["failure", "denied"],
                "http_statuses": [400, "403", "5xx"],
                "tags": {"retention": "7y"},
                "extra_fields": ["upstream_cluster", "peer_uri_san", "response_flags", "response_code_details"],
            },
            {"name": "health", "match": {"path": {"exact": "/health"}}, "level": "none"},
            {"name": "api", "match": {"protocol": "grpc", "path": {"prefix": "/shop."}, "tracked": true}},
            {"name": "rest", "match": {"protocol": "any", "path": {"suffix": ".json"}}},
        ],
        "tracking": {
            "track_header": "X-Track", "operation_header": "x-op", "context_header": "x-ctx", "strip_context": true,
            "on_empty_context": "record", "max_context_bytes": 100,
        },
        "trust": {"cidrs": ["192.0.2.0/24", "2001:db8::/32"], "uri_sans": ["spiffe://mesh.internal/"]},
        "correlation": {"session_id_header": "x-c-id", "sequence_header": "x-c-seq", "scope": "worker"},
        "batch": {"max_records": "${MAX_RECORDS}", "max_bytes": 4096, "max_delay": "0.5s"},
        "buffer": {"max_records": "200", "max_bytes": 8192, "on_full": "drop_oldest", "immediate_reserve_percent": 0},
        "retry": {"initial_backoff": "10ms", "max_backoff": "1m", "max_attempts": 9, "max_age": "1h"},
    })
}

mod defaults {
    use super::*;

    #[test]
    fn of_the_pipeline() {
        let pipeline = accepted(&minimal()).pipeline;
        assert_eq!(pipeline.service, "unknown-service");
        let target = Target {
            cluster: "audit".to_owned(),
            authority: "audit".to_owned(),
            path: "/v1/logs".to_owned(),
            format: Format::OtlpJson,
            headers: Vec::new(),
            timeout: Duration::from_secs(5),
        };
        assert_eq!(pipeline.target, target);
        let batch = BatchLimits { max_records: 100, max_bytes: 262_144, max_delay: Duration::from_secs(1) };
        assert_eq!(pipeline.batch, batch);
        let buffer = BufferLimits {
            max_records: 10_000,
            max_bytes: 8_388_608,
            on_full: OnFull::DropNewest,
            immediate_reserve_percent: 10,
        };
        assert_eq!(pipeline.buffer, buffer);
        let retry = RetryPolicy {
            initial_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(30),
            max_attempts: None,
            max_age: None,
        };
        assert_eq!(pipeline.retry, retry);
    }

    #[test]
    fn of_the_recorder() {
        let recorder = accepted(&minimal()).recorder;
        assert!(recorder.enabled);
        let tracking = tracking::Settings {
            track_header: "x-session-track".to_owned(),
            operation_header: "x-session-operation".to_owned(),
            context_header: "x-session-context".to_owned(),
            strip_context: false,
            record_empty_context: false,
            max_context_bytes: 8192,
            correlation_headers: ["x-audit-stream-id".to_owned(), "x-audit-sequence-number".to_owned()],
        };
        assert_eq!(recorder.tracking, tracking);
        let cidrs: Vec<String> = recorder.trust.cidrs.iter().map(ToString::to_string).collect();
        let expected = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];
        assert_eq!(cidrs, expected);
        assert!(recorder.trust.uri_sans.is_empty());
    }

    /// Written out, the default rules are those of the contract but for `identity`, which comes later.
    #[test]
    fn of_the_rules() {
        let written = with(
            "/rules",
            json!([
                {
                    "name": "check",
                    "match": {"protocol": "http", "methods": ["GET"], "path": {"exact": "/check"}},
                    "record_on": ["success"],
                    "http_statuses": [200],
                },
                {"name": "tracked", "match": {"tracked": true}},
            ]),
        );
        let rules = accepted(&minimal()).recorder.policy;
        assert_eq!(rules, accepted(&written).recorder.policy);
        assert_eq!(rules[0].record_on, [Outcome::Success]);
        assert_eq!(rules[0].http_statuses, [StatusRange { first: 200, last: 200 }]);
        let all = [Outcome::Success, Outcome::Failure, Outcome::Denied, Outcome::Aborted];
        assert_eq!(rules[1].record_on, all);
        assert!(rules.iter().all(|rule| rule.recorded && rule.action.is_none() && rule.tags.is_empty()));
        assert!(rules.iter().all(|rule| rule.extra_fields == ExtraFields::default()));
    }

    #[test]
    fn written_out_they_change_nothing() {
        let written = json!({
            "enabled": true, "service": "",
            "audit_cluster": {
                "cluster": "audit", "authority": "", "path": "/v1/logs", "format": "otlp_json", "headers": {}, "timeout": "5s",
            },
            "tracking": {
                "track_header": "x-session-track", "operation_header": "x-session-operation",
                "context_header": "x-session-context", "strip_context": false, "on_empty_context": "skip",
                "max_context_bytes": 8192,
            },
            "trust": {
                "cidrs": ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"],
                "uri_sans": [],
            },
            "session": {"id": [], "token": [], "token_mode": "omit", "hmac_key": "", "hmac_key_id": ""},
            "identity": {"user_id": [], "user_name": [], "user_email": []},
            "correlation": {
                "session_id_header": "x-audit-stream-id", "sequence_header": "x-audit-sequence-number", "scope": "worker",
            },
            "batch": {"max_records": 100, "max_bytes": 262_144, "max_delay": "1s"},
            "buffer": {
                "max_records": 10_000, "max_bytes": 8_388_608, "on_full": "drop_newest", "immediate_reserve_percent": 10,
            },
            "retry": {"initial_backoff": "250ms", "max_backoff": "30s", "max_attempts": 0, "max_age": "0s"},
        });
        assert_eq!(accepted(&written), accepted(&minimal()));
    }
}

mod forms {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let Config { recorder, pipeline } = accepted(&everything());
        assert!(!recorder.enabled && recorder.tracking.strip_context && recorder.tracking.record_empty_context);
        let tracking = &recorder.tracking;
        assert_eq!(
            [&tracking.track_header, &tracking.operation_header, &tracking.context_header],
            ["x-track", "x-op", "x-ctx"]
        );
        assert_eq!((tracking.max_context_bytes, tracking.correlation_headers[0].as_str()), (100, "x-c-id"));
        assert_eq!((recorder.trust.cidrs.len(), recorder.trust.uri_sans[0].as_str()), (2, "spiffe://mesh.internal/"));
        let target = &pipeline.target;
        assert_eq!((target.format, target.timeout), (Format::Ndjson, Duration::from_millis(250)));
        let token = ("authorization".to_owned(), format!("Bearer {SECRET}"));
        assert_eq!(target.headers, [token, ("x-tenant".to_owned(), "a b".to_owned())]);
        assert_eq!((pipeline.batch.max_records, pipeline.batch.max_delay), (7, Duration::from_millis(500)));
        assert_eq!((pipeline.buffer.max_records, pipeline.buffer.on_full), (200, OnFull::DropOldest));
        assert_eq!((pipeline.retry.max_attempts, pipeline.retry.max_age), (Some(9), Some(Duration::from_secs(3600))));
    }

    #[test]
    fn every_key_of_a_rule_is_read() {
        let policy = accepted(&everything()).recorder.policy;
        let header = |name: &str, value| HeaderCondition { name: name.to_owned(), value };
        let conditions = Conditions {
            protocol: Some(Protocol::Http),
            hosts: vec![
                HostPattern::Exact("api.example.com".to_owned()),
                HostPattern::Suffix(".internal".to_owned()),
                HostPattern::Exact("[::1]".to_owned()),
            ],
            methods: vec!["POST".to_owned(), "PUT".to_owned()],
            path: Some(PathPattern::Template(Template::parse("/v1/users/{id}/password").unwrap())),
            headers: vec![
                header("x-env", ValuePattern::Exact("prod".to_owned())),
                header("a", ValuePattern::Prefix("p".to_owned())),
                header("b", ValuePattern::Suffix("s".to_owned())),
                header("c", ValuePattern::Contains("c".to_owned())),
                header("d", ValuePattern::Present(true)),
                header("e", ValuePattern::Present(false)),
            ],
            tracked: Some(false),
        };
        let [change, health, api, rest] = &policy[..] else { panic!("{policy:?}") };
        assert_eq!(change.conditions, conditions);
        assert_eq!(change.action.as_deref(), Some("password.change"));
        assert_eq!(change.record_on, [Outcome::Failure, Outcome::Denied]);
        let ranges = [(400, 400), (403, 403), (500, 599)].map(|(first, last)| StatusRange { first, last });
        assert_eq!(change.http_statuses, ranges);
        assert_eq!(*change.tags, [("retention".to_owned(), "7y".to_owned())]);
        let extra = change.extra_fields;
        assert!(extra.upstream_cluster && extra.peer_uri_san && extra.response_flags && extra.response_code_details);
        assert!(!health.recorded && api.recorded);
        assert_eq!(api.conditions.protocol, Some(Protocol::Grpc));
        assert_eq!(rest.conditions.path, Some(PathPattern::Suffix(".json".to_owned())));
    }

    #[test]
    fn json_text_and_protobuf_struct_are_equal() {
        let value = everything();
        let packed = to_struct(value.as_object().unwrap()).encode_to_vec();
        assert_eq!(parse(&packed, &environment), parse(value.to_string().as_bytes(), &environment));
        assert!(parse(&packed, &environment).is_ok());
    }

    #[test]
    fn integers_may_be_strings_of_digits() {
        for pointer in
            ["/batch/max_records", "/tracking/max_context_bytes", "/retry/max_attempts", "/buffer/max_records"]
        {
            let expected = accepted(&with(pointer, json!(12)));
            for same in [json!("12"), json!(12.0), json!("012")] {
                assert_eq!(accepted(&with(pointer, same)), expected, "{pointer}");
            }
            assert_ne!(accepted(&minimal()), expected, "{pointer}");
        }
    }

    #[test]
    fn nothing_at_all_lacks_only_the_cluster() {
        for bytes in ["", " \n", "{}"] {
            let problems = parse(bytes.as_bytes(), &environment).unwrap_err().problems;
            assert_eq!(problems, ["audit_cluster: is required"]);
        }
        refused(&json!({"audit_cluster": {}}), &["audit_cluster.cluster: is required"]);
        refused(&json!({"audit_cluster": {"cluster": ""}}), &["audit_cluster.cluster: must not be empty"]);
    }
}

mod mistakes {
    use super::*;

    const DURATION: &str = r#"must be a duration such as "250ms", "5s" or "1m""#;
    const OUTCOMES: &str = "must be one of success, failure, denied, aborted";

    #[test]
    fn unknown_keys_at_every_level() {
        for (pointer, path) in [
            ("/x", "x"),
            ("/audit_cluster/x", "audit_cluster.x"),
            ("/tracking/x", "tracking.x"),
            ("/trust/x", "trust.x"),
            ("/session/x", "session.x"),
            ("/identity/x", "identity.x"),
            ("/correlation/x", "correlation.x"),
            ("/batch/x", "batch.x"),
            ("/buffer/x", "buffer.x"),
            ("/retry/x", "retry.x"),
        ] {
            check_unknown(&with(pointer, json!(SECRET)), path);
        }
        for (pointer, path) in [
            ("/rules/0/x", "rules[0].x"),
            ("/rules/0/match/x", "rules[0].match.x"),
            ("/rules/0/identity/x", "rules[0].identity.x"),
            ("/rules/0/capture/x", "rules[0].capture.x"),
        ] {
            let mut value = with_rule(&json!({"name": "r"}));
            put(&mut value, pointer, json!(SECRET));
            check_unknown(&value, path);
        }
        check_unknown(&with_match(&json!({"path": {"x": SECRET}})), "rules[0].match.path.x");
        check_unknown(&with_match(&json!({"headers": [{"name": "a", "x": SECRET}]})), "rules[0].match.headers[0].x");
    }

    #[track_caller]
    fn check_unknown(value: &Value, path: &str) {
        let problems = parse_json(value).unwrap_err();
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert!(problem.starts_with(&format!("{path}: unknown key (known here: ")), "{problem}");
    }

    #[test]
    fn wrong_types() {
        for (pointer, value, problem) in [
            ("/enabled", json!("true"), "enabled: must be true or false"),
            ("/service", json!(1), "service: must be a string"),
            ("/audit_cluster/cluster", json!(["audit"]), "audit_cluster.cluster: must be a string"),
            ("/audit_cluster/headers", json!([]), "audit_cluster.headers: must be an object"),
            ("/audit_cluster/headers/x", json!(1), "audit_cluster.headers.x: must be a string"),
            ("/rules", json!({}), "rules: must be a list"),
            ("/rules", json!(null), "rules: must be a list"),
            ("/rules", json!(["r"]), "rules[0]: must be an object"),
            ("/tracking", json!([]), "tracking: must be an object"),
            ("/trust/cidrs", json!("10.0.0.0/8"), "trust.cidrs: must be a list"),
            ("/batch/max_records", json!(1.5), "batch.max_records: must be an integer"),
            ("/batch/max_records", json!("1e2"), "batch.max_records: must be an integer"),
            ("/batch/max_records", json!(""), "batch.max_records: must be an integer"),
            ("/batch/max_records", json!(-1), "batch.max_records: must be an integer"),
            ("/batch/max_records", json!(true), "batch.max_records: must be an integer"),
        ] {
            refused(&with(pointer, value), &[problem]);
        }
        refused(&json!("audit"), &["configuration: must be an object"]);
        refused(&json!(null), &["configuration: must be an object"]);
        let problems = parse(b"{\"audit_cluster\":", &environment).unwrap_err().problems;
        assert!(problems[0].starts_with("configuration: is neither JSON nor a protobuf Struct: "), "{problems:?}");
    }

    #[test]
    fn values_out_of_range() {
        for (pointer, value, problem) in [
            ("/batch/max_records", json!(0), "batch.max_records: must be between 1 and 1000"),
            ("/batch/max_records", json!("1001"), "batch.max_records: must be between 1 and 1000"),
            ("/batch/max_bytes", json!(1), "batch.max_bytes: must be between 1024 and 16777216"),
            ("/batch/max_delay", json!("0s"), "batch.max_delay: must be between 1ms and 3600s"),
            ("/buffer/max_records", json!(0), "buffer.max_records: must be between 1 and 1000000"),
            ("/buffer/max_bytes", json!(1e10), "buffer.max_bytes: must be between 1024 and 268435456"),
            (
                "/buffer/immediate_reserve_percent",
                json!(91),
                "buffer.immediate_reserve_percent: must be between 0 and 90",
            ),
            ("/audit_cluster/timeout", json!("1ms"), "audit_cluster.timeout: must be between 10ms and 600s"),
            ("/tracking/max_context_bytes", json!(0), "tracking.max_context_bytes: must be between 1 and 65536"),
            ("/retry/max_attempts", json!(4_294_967_296_u64), "retry.max_attempts: must be between 0 and 4294967295"),
            ("/retry/initial_backoff", json!("0s"), "retry.initial_backoff: must be between 1ms and 3600s"),
            ("/retry/max_backoff", json!("100ms"), "retry: max_backoff must not be less than initial_backoff"),
        ] {
            refused(&with(pointer, value), &[problem]);
        }
    }

    #[test]
    fn bad_durations() {
        for value in [json!("5"), json!(5), json!("5 s"), json!("-5s"), json!(""), json!("1d"), json!("999999h")] {
            for (pointer, path) in [
                ("/audit_cluster/timeout", "audit_cluster.timeout"),
                ("/batch/max_delay", "batch.max_delay"),
                ("/retry/max_age", "retry.max_age"),
            ] {
                refused(&with(pointer, value.clone()), &[&format!("{path}: {DURATION}")]);
            }
        }
    }

    #[test]
    fn bad_words() {
        for (pointer, problem) in [
            ("/audit_cluster/format", "audit_cluster.format: must be one of otlp_json, ndjson"),
            ("/buffer/on_full", "buffer.on_full: must be one of drop_newest, drop_oldest"),
            ("/tracking/on_empty_context", "tracking.on_empty_context: must be one of skip, record"),
            ("/correlation/scope", "correlation.scope: must be one of worker, process"),
        ] {
            refused(&with(pointer, json!(SECRET)), &[problem]);
        }
        for (key, value, problem) in [
            ("level", json!("full"), "level: must be one of none, metadata, request"),
            ("record_on", json!(["ok"]), &format!("record_on[0]: {OUTCOMES}")),
            ("immediate_on", json!(["ok"]), &format!("immediate_on[0]: {OUTCOMES}")),
            ("require_audit", json!("yes"), "require_audit: must be one of none, buffered, acknowledged"),
            ("session", json!("begin"), "session: must be one of none, start, end"),
            (
                "extra_fields",
                json!(["all"]),
                "extra_fields[0]: must be one of upstream_cluster, peer_uri_san, response_flags, response_code_details",
            ),
        ] {
            let mut value = with_rule(&json!({"name": "r", key: value}));
            if key == "immediate_on" {
                // The list itself is refused too: it asks for something that comes later.
                put(&mut value, "/rules/0/record_on", json!(["denied"]));
                let problems = parse_json(&value).unwrap_err();
                assert_eq!(
                    problems,
                    [format!("rules[0].{problem}"), "rules[0].immediate_on: not supported yet".to_owned()]
                );
            } else {
                refused(&value, &[&format!("rules[0].{problem}")]);
            }
        }
    }

    #[test]
    fn empty_lists_where_an_entry_is_needed() {
        refused(&with("/rules", json!([])), &["rules: must have at least one entry"]);
        let rule = json!({"name": "r", "record_on": []});
        refused(&with_rule(&rule), &["rules[0].record_on: must have at least one entry"]);
        for key in ["hosts", "methods", "headers"] {
            let problem = format!("rules[0].match.{key}: must have at least one entry");
            refused(&with_match(&json!({key: []})), &[&problem]);
        }
        accepted(&with("/trust/cidrs", json!([])));
        accepted(&with_rule(&json!({"name": "r", "http_statuses": [], "extra_fields": [], "tags": {}})));
    }

    #[test]
    fn names_of_rules() {
        let rules = |names: &[Value]| with("/rules", names.iter().map(|name| json!({"name": name})).collect());
        refused(&rules(&[json!("a"), json!("b"), json!("a")]), &["rules[2]: has the name of an earlier rule"]);
        refused(&with("/rules", json!([{}, {}])), &["rules[0].name: is required", "rules[1].name: is required"]);
        let bad = "rules[0].name: must be made of [a-z0-9_-]";
        for name in ["A", "a b", "a.b", "ä"] {
            refused(&rules(&[json!(name)]), &[bad]);
        }
        refused(&rules(&[json!("")]), &["rules[0].name: must not be empty"]);
        refused(
            &with_rule(&json!({"name": "r", "action": "x".repeat(257)})),
            &["rules[0].action: must not be longer than 256 bytes"],
        );
    }

    #[test]
    fn paths_of_rules() {
        let kinds = "must have exactly one of exact, prefix, suffix, template";
        let slash = r#"must start with "/""#;
        let normal = "must be in normal form: no query, no //, no dot segments, no needless percent-encoding";
        let braces = "must enclose whole segments in braces, as in /users/{id}";
        for (path, problem) in [
            (json!({"exact": "check"}), format!(".exact: {slash}")),
            (json!({"prefix": "check"}), format!(".prefix: {slash}")),
            (json!({"template": "users/{id}"}), format!(".template: {slash}")),
            (json!({"exact": ""}), ".exact: must not be empty".to_owned()),
            (json!({"exact": "/a?x=1"}), format!(".exact: {normal}")),
            (json!({"prefix": "/a/../b"}), format!(".prefix: {normal}")),
            (json!({"exact": "//a"}), format!(".exact: {normal}")),
            (json!({"exact": "/%61"}), format!(".exact: {normal}")),
            (json!({"suffix": "a?b"}), ".suffix: must not hold a query".to_owned()),
            (json!({"template": "/a{b}"}), format!(".template: {braces}")),
            (json!({"template": "/{}"}), format!(".template: {braces}")),
            (json!({"exact": "/a", "prefix": "/a"}), format!(": {kinds}")),
            (json!({}), format!(": {kinds}")),
        ] {
            refused(&with_match(&json!({"path": path})), &[&format!("rules[0].match.path{problem}")]);
        }
        let third = json!([{"name": "a"}, {"name": "b"}, {"name": "c", "match": {"path": {"exact": "x"}}}]);
        refused(&with("/rules", third), &[r#"rules[2].match.path.exact: must start with "/""#]);
    }

    #[test]
    fn other_conditions_of_rules() {
        let host = r#"must be a host without port, or "*." and the end of one"#;
        for name in ["api.example.com:80", "*", "*internal", "*.", "a*.b", "http://a", "a b"] {
            refused(&with_match(&json!({"hosts": [name]})), &[&format!("rules[0].match.hosts[0]: {host}")]);
        }
        for method in ["get", "GE T"] {
            let problem = "rules[0].match.methods[0]: must be a method in upper case";
            refused(&with_match(&json!({"methods": [method]})), &[problem]);
        }
        let one = "must have a name and exactly one of exact, prefix, suffix, contains, present";
        for (header, problem) in [
            (json!({"name": "a b", "exact": "x"}), ".name: must be a header name".to_owned()),
            (json!({"name": ":path", "exact": "x"}), ".name: must be a header name".to_owned()),
            (json!({"name": "a"}), format!(": {one}")),
            (json!({"name": "a", "exact": "x", "prefix": "y"}), format!(": {one}")),
            (
                json!({"name": "a", "exact": "x\n"}),
                ".exact: must be a header value: printable ASCII without spaces at its ends".to_owned(),
            ),
            (json!({"name": "a", "present": "true"}), ".present: must be true or false".to_owned()),
        ] {
            refused(&with_match(&json!({"headers": [header]})), &[&format!("rules[0].match.headers[0]{problem}")]);
        }
    }

    #[test]
    fn statuses_and_tags_of_rules() {
        let class = "must be a status such as 200, or a class such as 2xx";
        for (status, problem) in [
            (json!("6xx"), class),
            (json!("0xx"), class),
            (json!("+2xx"), class),
            (json!("xx"), class),
            (json!(99), "must be between 100 and 599"),
            (json!("600"), "must be between 100 and 599"),
            (json!("2XX"), "must be an integer"),
        ] {
            let rule = json!({"name": "r", "http_statuses": [status]});
            refused(&with_rule(&rule), &[&format!("rules[0].http_statuses[0]: {problem}")]);
        }
        let rule = json!({"name": "r", "tags": {"A b": SECRET, "ok": 1}});
        refused(
            &with_rule(&rule),
            &["rules[0].tags.A b: must have a name made of [a-z0-9_.-]", "rules[0].tags.ok: must be a string"],
        );
    }

    #[test]
    fn networks_and_certificates() {
        let network = "must be a network such as 10.0.0.0/8 or fc00::/7";
        for cidr in ["10.0.0.0/33", "10.0.0.1", "localhost", ""] {
            refused(&with("/trust/cidrs", json!(["::1/128", cidr])), &[&format!("trust.cidrs[1]: {network}")]);
        }
        let uri = "trust.uri_sans[0]: must be the start of a URI, such as spiffe://mesh.internal/";
        refused(&with("/trust/uri_sans", json!(["mesh.internal"])), &[uri]);
        refused(&with("/trust/uri_sans", json!([""])), &["trust.uri_sans[0]: must not be empty"]);
    }

    #[test]
    fn headers_of_the_audit_cluster() {
        let reserved = [":path", "Host", "content-length", "Content-Type", "te", "user-agent", "idempotency-key"];
        for name in reserved {
            let problem = format!("audit_cluster.headers.{name}: must not be set here");
            refused(&with("/audit_cluster/headers", json!({name: SECRET})), &[&problem]);
        }
        for (name, value, problem) in [
            ("a b", SECRET, "must have a header name as its key"),
            ("a", "x\r\ny: z", "must be a header value: printable ASCII without spaces at its ends"),
            ("a", " x", "must be a header value: printable ASCII without spaces at its ends"),
            ("a", "\u{f6}", "must be a header value: printable ASCII without spaces at its ends"),
        ] {
            let problem = format!("audit_cluster.headers.{name}: {problem}");
            refused(&with("/audit_cluster/headers", json!({name: value})), &[&problem]);
        }
        let path = r#"audit_cluster.path: must start with "/" and hold no space"#;
        refused(&with("/audit_cluster/path", json!("v1/logs")), &[path]);
        refused(&with("/audit_cluster/path", json!("/v1 logs")), &[path]);
    }

    #[test]
    fn headers_of_tracking_and_correlation() {
        refused(&with("/tracking/track_header", json!("a b")), &["tracking.track_header: must be a header name"]);
        refused(
            &with("/tracking/track_header", json!("X-Session-Context")),
            &["tracking: the three headers must have three names"],
        );
        refused(
            &with("/correlation/sequence_header", json!("x-audit-stream-id")),
            &["correlation: the two headers must have two names"],
        );
    }

    #[test]
    fn variables() {
        for (text, problem) in [
            ("Bearer ${GONE}", "environment variable GONE is not set"),
            ("${", r#"has a "${" without "}""#),
            ("${A B}", r#"has a "${...}" whose name is not [A-Za-z_][A-Za-z0-9_]*"#),
        ] {
            let problem = format!("audit_cluster.headers.authorization: {problem}");
            refused(&with("/audit_cluster/headers", json!({"authorization": text})), &[&problem]);
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
        assert!(line.starts_with("configuration refused: audit_cluster.cluster: "), "{line}");
        assert!(!line.contains(['\n', '\r']) && starts.iter().all(|start| line.contains(&start.replace('\n', " "))));
    }
}

mod later {
    use super::*;

    /// Pointer, a value that asks for something, one that asks for nothing.
    fn keys() -> Vec<(&'static str, Value, Value)> {
        vec![
            ("/session/id", json!([{"header": "x-session-id"}]), json!([])),
            ("/session/token", json!([{"cookie": "session"}, {"bearer": true}]), json!([])),
            ("/session/token_mode", json!("hmac"), json!("omit")),
            ("/session/hmac_key", json!(SECRET), json!("")),
            ("/session/hmac_key_id", json!("k1"), json!("")),
            ("/identity/user_id", json!([{"response_header": "x-user-id"}, {"header": "x-user-id"}]), json!([])),
            ("/identity/user_name", json!([{"response_json": "/UserName"}]), json!([])),
            ("/identity/user_email", json!([{"metadata": "envoy.filters.http.jwt_authn"}]), json!([])),
            ("/correlation/scope", json!("process"), json!("worker")),
            ("/rules/0/level", json!("request"), json!("metadata")),
            ("/rules/0/identity/user_id", json!([{"response_json": "/UserId"}]), json!([])),
            ("/rules/0/immediate_on", json!(["denied"]), json!([])),
            ("/rules/0/require_audit", json!("buffered"), json!("none")),
            ("/rules/0/session", json!("start"), json!("none")),
            ("/rules/0/correlate", json!(true), json!(false)),
            ("/rules/0/capture/query", json!(["q"]), json!([])),
            ("/rules/0/capture/request_headers", json!(["x-a"]), json!([])),
            ("/rules/0/capture/response_headers", json!(["x-a"]), json!([])),
            ("/rules/0/set_tracking", json!({"operation": "o", "context": {"d": {"header": "x-d"}}}), json!({})),
        ]
    }

    fn with_one(pointer: &str, value: Value) -> Value {
        let mut root = minimal();
        put(&mut root, "/rules", json!([{"name": "r"}]));
        put(&mut root, pointer, value);
        root
    }

    #[test]
    fn what_asks_for_something_is_refused() {
        for (pointer, something, _) in keys() {
            let path = pointer.trim_start_matches('/').replace("/0/", "[0].").replace('/', ".");
            refused(&with_one(pointer, something), &[&format!("{path}: not supported yet")]);
        }
        refused(&with_one("/identity/max_body_bytes", json!(1000)), &["identity.max_body_bytes: not supported yet"]);
    }

    #[test]
    fn what_asks_for_nothing_is_accepted() {
        let plain = accepted(&with_one("/enabled", json!(true)));
        for (pointer, _, nothing) in keys() {
            assert_eq!(accepted(&with_one(pointer, nothing)), plain, "{pointer}");
        }
    }

    #[test]
    fn values_are_checked_all_the_same() {
        let one = "must have exactly one of header, cookie, bearer";
        refused(
            &with_one("/session/id", json!([{}])),
            &[&format!("session.id[0]: {one}"), "session.id: not supported yet"],
        );
        refused(
            &with_one("/identity/user_id", json!([{"response_json": "UserId"}])),
            &[
                r#"identity.user_id[0].response_json: must be a JSON pointer (RFC 6901): empty, or starting with "/""#,
                "identity.user_id: not supported yet",
            ],
        );
        refused(
            &with_one("/session/token", json!([{"bearer": false}])),
            &["session.token[0].bearer: must be true", "session.token: not supported yet"],
        );
        refused(&with_one("/rules/0/correlate", json!("yes")), &["rules[0].correlate: must be true or false"]);
    }
}

mod secrecy {
    use super::*;

    /// Puts `value` in the place of every value inside `root`, one at a time.
    fn spoiled(root: &Value, value: &Value) -> Vec<Value> {
        let mut all = vec![value.clone()];
        match root {
            Value::Object(map) => {
                for (key, inner) in map {
                    all.extend(spoiled(inner, value).into_iter().map(|bad| {
                        let mut copy = root.clone();
                        copy[key.as_str()] = bad;
                        copy
                    }));
                }
            }
            Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    all.extend(spoiled(inner, value).into_iter().map(|bad| {
                        let mut copy = root.clone();
                        copy[index] = bad;
                        copy
                    }));
                }
            }
            _ => {}
        }
        all
    }

    #[test]
    fn no_value_is_ever_in_an_error_line() {
        let mut lines = 0;
        for value in [
            json!(SECRET),
            json!([SECRET]),
            json!({"x": SECRET}),
            json!("${AUDIT_TOKEN}"),
            json!(format!("{SECRET} ${{GONE}}")),
            json!(format!("${{{SECRET}}}")),
            json!(format!("/{SECRET}?x//")),
            json!(format!("{SECRET}\n")),
        ] {
            for config in spoiled(&everything(), &value) {
                if let Err(error) = parse(config.to_string().as_bytes(), &environment) {
                    let line = error.to_string();
                    assert!(!line.contains(SECRET), "{line}");
                    lines += 1;
                }
            }
        }
        assert!(lines > 300, "only {lines} configurations were refused");
        let broken = format!(r#"{{"audit_cluster": {{"cluster": "{SECRET}", {SECRET}"#);
        assert!(!parse(broken.as_bytes(), &environment).unwrap_err().to_string().contains(SECRET));
    }
}

mod laws {
    use super::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[-+a-z0-9/*:.{}$%? \n\u{e4}]{0,12}".prop_map(Value::from),
            prop::sample::select(vec!["2xx", "${AUDIT_TOKEN}", "*.", "1e9s", "0.5s", "/{", "%2e", "::/0"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[a-z_]{1,12}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// All places inside a value, as JSON pointers.
    fn pointers(root: &Value, path: &str) -> Vec<String> {
        let inner: Vec<(String, &Value)> = match root {
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
            _ => Vec::new(),
        };
        let below = inner.into_iter().flat_map(|(key, value)| pointers(value, &format!("{path}/{key}")));
        std::iter::once(path.to_owned()).chain(below).collect()
    }

    #[track_caller]
    fn check_line(result: Result<Config, super::super::ConfigError>) {
        if let Err(error) = result {
            let line = error.to_string();
            assert!(!error.problems.is_empty() && !line.contains(['\n', '\r']), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in json_value()) {
            check_line(parse(value.to_string().as_bytes(), &environment));
        }

        #[test]
        fn no_mutation_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), json_value()), 1..4)) {
            let mut config = everything();
            for (index, value) in changes {
                let places = pointers(&config, "");
                *config.pointer_mut(index.get::<String>(&places)).unwrap() = value;
            }
            check_line(parse(config.to_string().as_bytes(), &environment));
            if let Value::Object(map) = &config {
                let packed = parse(&to_struct(map).encode_to_vec(), &environment);
                prop_assert_eq!(packed.is_ok(), parse(config.to_string().as_bytes(), &environment).is_ok());
                check_line(packed);
            }
        }
    }
}
