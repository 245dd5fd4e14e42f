//! Every kind of mistake, with its path and its sentence.

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

    check_unknown(
        &with_match(&json!({"path": {"x": SECRET}})),
        "rules[0].match.path.x",
    );
    check_unknown(
        &with_match(&json!({"headers": [{"name": "a", "x": SECRET}]})),
        "rules[0].match.headers[0].x",
    );
}

#[track_caller]
fn check_unknown(value: &Value, path: &str) {
    let problems = parse_json(value).unwrap_err();
    let [problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert!(
        problem.starts_with(&format!("{path}: unknown key (known here: ")),
        "{problem}"
    );
}

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
fn a_record_is_required_that_is_never_made() {
    let problem = "rules[0].require_audit: needs a record, and level is none (its default where set_tracking is given)";
    refused(
        &with_rule(&json!({"name": "r", "level": "none", "require_audit": "buffered"})),
        &[problem],
    );
}

#[test]
fn a_record_is_required_that_may_not_be_made() {
    let config = |word: &str, conditions: Value, tracking: Value| {
        let rule = json!({"name": "r", "match": conditions, "require_audit": word});
        let mut value = with(
            "/rules",
            json!([{"name": "first", "match": {"path": {"exact": "/first"}}}, rule]),
        );
        put(&mut value, "/tracking", tracking);
        value
    };

    let (tracked, record) = (
        json!({"tracked": true}),
        json!({"on_empty_context": "record"}),
    );
    let problem = "rules[1].require_audit: needs a record, and a tracked request without context has none: \
        set tracking.on_empty_context to record";

    for word in ["buffered", "acknowledged"] {
        for skip in [json!({}), json!({"on_empty_context": "skip"})] {
            refused(&config(word, tracked.clone(), skip.clone()), &[problem]);
            accepted(&config(word, json!({"tracked": false}), skip.clone()));
            accepted(&config(word, json!({}), skip));
        }
        accepted(&config(word, tracked.clone(), record.clone()));
    }
    accepted(&config("none", tracked, json!({})));

    let rule = json!({"name": "r", "match": {"tracked": true}, "level": "none", "require_audit": "buffered"});
    assert_eq!(
        parse_json(&with_rule(&rule)).unwrap_err().len(),
        1,
        "one problem, not two"
    );
}

#[test]
fn a_record_is_required_of_some_ends() {
    for (key, value) in [
        ("record_on", json!(["denied"])),
        ("http_statuses", json!(["2xx"])),
    ] {
        accepted(&with_rule(
            &json!({"name": "r", "require_audit": "acknowledged", key: value}),
        ));
    }
}

#[test]
fn a_filter_that_is_off_holds_nothing_and_warns() {
    let warnings = |enabled: bool, word: &str| {
        let held = json!({"name": "r", "match": {"methods": ["GET"]}, "require_audit": word});
        let mut value = with_rule(&held);
        put(&mut value, "/enabled", json!(enabled));
        accepted(&value).warnings
    };

    assert_eq!(
        warnings(false, "buffered"),
        ["configuration: enabled is false: no request is held for require_audit"]
    );
    assert!(warnings(true, "buffered").is_empty() && warnings(false, "none").is_empty());
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
fn names_of_rules() {
    let rules = |names: &[Value]| {
        with(
            "/rules",
            names.iter().map(|name| json!({"name": name})).collect(),
        )
    };

    refused(
        &rules(&[json!("a"), json!("b"), json!("a")]),
        &["rules[2]: has the name of an earlier rule"],
    );
    refused(
        &with("/rules", json!([{}, {}])),
        &["rules[0].name: is required", "rules[1].name: is required"],
    );

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

#[track_caller]
fn check_path(path: &Value, problem: &str) {
    refused(
        &with_match(&json!({"path": path})),
        &[&format!("rules[0].match.path{problem}")],
    );
}

#[test]
fn paths_of_rules() {
    let kinds = "must have exactly one of exact, prefix, suffix, template";
    let slash = r#"must start with "/""#;
    let braces = "must enclose whole segments in braces, as in /users/{id}";

    for (path, problem) in [
        (json!({"exact": "check"}), format!(".exact: {slash}")),
        (json!({"prefix": "check"}), format!(".prefix: {slash}")),
        (
            json!({"template": "users/{id}"}),
            format!(".template: {slash}"),
        ),
        (json!({"exact": ""}), ".exact: must not be empty".to_owned()),
        (
            json!({"suffix": ""}),
            ".suffix: must not be empty".to_owned(),
        ),
        (json!({"template": "/a{b}"}), format!(".template: {braces}")),
        (json!({"template": "/{}"}), format!(".template: {braces}")),
        (json!({"exact": "/a", "prefix": "/a"}), format!(": {kinds}")),
        (json!({}), format!(": {kinds}")),
    ] {
        check_path(&path, &problem);
    }

    let third =
        json!([{"name": "a"}, {"name": "b"}, {"name": "c", "match": {"path": {"exact": "x"}}}]);
    refused(
        &with("/rules", third),
        &[r#"rules[2].match.path.exact: must start with "/""#],
    );
}

/// The remedy is named for each way of writing a path that no request can match.
#[test]
fn paths_that_match_nothing() {
    for (text, given, spelling) in [
        ("/m\u{fc}ller", "\u{fc}", "%C3%BC"),
        ("/\u{1f600}", "\u{1f600}", "%F0%9F%98%80"),
        ("/a b", " ", "%20"),
        ("/a\nb", "\n", "%0A"),
        ("/a\u{7f}", "\u{7f}", "%7F"),
        ("/%61", "%61", "a"),
        ("/a%3Ab", "%3A", ":"),
        ("/a%2fb", "%2f", "%2F"),
        ("/a%c3%BC", "%c3", "%C3"),
        ("/a%", "%", "%25"),
        ("/%2g", "%", "%25"),
        ("/%2\u{fc}", "%", "%25"),
        ("/a|b", "|", "%7C"),
        (r"/a\b", r"\", "%5C"),
        ("/a?x=1", "?", "%3F"),
        ("/a#b", "#", "%23"),
    ] {
        let problem = format!(
            r#"must hold {spelling} in place of "{given}": paths are compared so, and without query"#
        );

        for kind in ["exact", "prefix", "suffix", "template"] {
            check_path(&json!({kind: text}), &format!(".{kind}: {problem}"));
        }
        check_path(
            &json!({"template": format!("/{{id}}{text}")}),
            &format!(".template: {problem}"),
        );
    }

    let brace = r#"must hold %7B in place of "{": paths are compared so, and without query"#;
    check_path(
        &json!({"exact": "/users/{id}"}),
        &format!(".exact: {brace}"),
    );
}

#[test]
fn paths_with_segments_that_are_merged_or_resolved() {
    let merged =
        r#"must not hold "//" or the segments "." and "..": paths are compared without them"#;

    for (kind, texts) in [
        (
            "exact",
            vec!["//a", "/a//", "/a/./b", "/a/../b", "/a/.", "/..", "/."],
        ),
        ("prefix", vec!["//", "/a/../b", "/a/./", "/a/..", "/.."]),
        (
            "suffix",
            vec!["a//b", "//", "/.", "/..", "a/..", "a/../b", "/./"],
        ),
        (
            "template",
            vec!["//{id}", "/{id}/..", "/./{id}", "/{id}/../b", "/{id}//b"],
        ),
    ] {
        for text in texts {
            check_path(&json!({kind: text}), &format!(".{kind}: {merged}"));
        }
    }
}

#[test]
fn paths_that_look_odd_and_match_something() {
    for path in [
        json!({"exact": "/"}),
        json!({"exact": "/a:b@c;d=e,f+g!"}),
        json!({"exact": "/a%2Fb%20%C3%BC%25"}),
        json!({"exact": "/a./..b/..."}),
        json!({"prefix": "/."}),
        json!({"prefix": "/a/."}),
        json!({"prefix": "/a."}),
        json!({"prefix": "/"}),
        json!({"suffix": "/"}),
        json!({"suffix": ".json"}),
        json!({"suffix": ".."}),
        json!({"suffix": "./b"}),
        json!({"suffix": "../b"}),
        json!({"suffix": "2Fb"}),
        json!({"template": "/v1/{user id}/a%20b/{\u{fc}}"}),
    ] {
        accepted(&with_match(&json!({"path": path})));
    }
}

#[test]
fn paths_that_no_rule_of_level_none_matches() {
    let problem = r#"rules[0].match: has a path that no rule of level none matches: upstreams read ";", "%2F", "%5C", "%25" and the like in several ways"#;
    let rule = |path: &Value, level: &str| {
        with_rule(&json!({"name": "r", "match": {"path": path}, "level": level}))
    };

    for path in [
        json!({"exact": "/a;b"}),
        json!({"exact": "/a%2Fb"}),
        json!({"prefix": "/a%5C"}),
        json!({"prefix": "/a/..b"}),
        json!({"suffix": "%00.png"}),
        json!({"template": "/{id}/a%25"}),
    ] {
        refused(&rule(&path, "none"), &[problem]);
        accepted(&rule(&path, "metadata"));
        let edge =
            json!({"name": "r", "match": {"path": path}, "set_tracking": {"operation": "o"}});
        accepted(&with_rule(&edge));
    }

    for path in [
        json!({"prefix": "/."}),
        json!({"suffix": "./b"}),
        json!({"exact": "/a%20b"}),
    ] {
        accepted(&rule(&path, "none"));
    }
}

#[test]
fn hosts_that_match_nothing() {
    let host = r#"rules[0].match.hosts[0]: must be a host name in ASCII, "*." and the end of one, or an IPv6 address in brackets; without port, user information and final dot"#;
    for name in [
        "api.example.com:80",
        "api.example.com.",
        "user@api.example.com",
        "api..example.com",
        ".example.com",
        "*",
        "*internal",
        "*.",
        "*..internal",
        "*.internal.",
        "*.internal:80",
        "a*.b",
        "http://a",
        "api.example.com/v1",
        "a b",
        " a",
        "m\u{fc}ller.de",
        "%61pi.example.com",
        "a,b",
        "::1",
        "[::1]:80",
        "[::1",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "*.[::1]",
    ] {
        refused(&with_match(&json!({"hosts": [name]})), &[host]);
    }

    let hosts = [
        "API.example.com",
        "localhost",
        "a_b",
        "xn--mller-kva.de",
        "127.0.0.1",
        "*.internal",
        "[2001:DB8:0::7]",
    ];
    accepted(&with_match(&json!({"hosts": hosts})));
}

#[test]
fn actions_with_white_space_at_their_ends() {
    for action in [" ", " a", "a ", "a\n", "\u{a0}"] {
        let rule = json!({"name": "r", "action": action});
        refused(
            &with_rule(&rule),
            &["rules[0].action: must not start or end with white space"],
        );
    }

    accepted(&with_rule(
        &json!({"name": "r", "action": "change password"}),
    ));
}

#[test]
fn other_conditions_of_rules() {
    for method in ["get", "GE T", "G\u{c9}T", "GET/1", " GET"] {
        let problem = "rules[0].match.methods[0]: must be a method in upper case";
        refused(&with_match(&json!({"methods": [method]})), &[problem]);
    }

    let one = "must have a name and exactly one of exact, prefix, suffix, contains, present";
    for (header, problem) in [
        (
            json!({"name": "a b", "exact": "x"}),
            ".name: must be a header name".to_owned(),
        ),
        (
            json!({"name": ":path", "exact": "x"}),
            ".name: must be a header name".to_owned(),
        ),
        (json!({"name": "a"}), format!(": {one}")),
        (
            json!({"name": "a", "exact": "x", "prefix": "y"}),
            format!(": {one}"),
        ),
        (
            json!({"name": "a", "exact": "x\n"}),
            ".exact: must be a header value: printable ASCII without spaces at its ends".to_owned(),
        ),
        (
            json!({"name": "a", "prefix": " x"}),
            ".prefix: must be a header value: printable ASCII without spaces at its ends"
                .to_owned(),
        ),
        (
            json!({"name": "a", "present": "true"}),
            ".present: must be true or false".to_owned(),
        ),
    ] {
        refused(
            &with_match(&json!({"headers": [header]})),
            &[&format!("rules[0].match.headers[0]{problem}")],
        );
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
        refused(
            &with_rule(&rule),
            &[&format!("rules[0].http_statuses[0]: {problem}")],
        );
    }

    let rule = json!({"name": "r", "tags": {"A b": SECRET, "ok": 1}});
    refused(
        &with_rule(&rule),
        &[
            "rules[0].tags.A b: must have a name made of [a-z0-9_.-]",
            "rules[0].tags.ok: must be a string",
        ],
    );
}

#[test]
fn networks_and_certificates() {
    let network = "must be a network such as 10.0.0.0/8 or fc00::/7";
    for cidr in ["10.0.0.0/33", "10.0.0.1", "localhost", ""] {
        refused(
            &with("/trust/cidrs", json!(["::1/128", cidr])),
            &[&format!("trust.cidrs[1]: {network}")],
        );
    }

    let uri = "trust.uri_sans[0]: must be the start of a URI with its trust domain, such as spiffe://mesh.internal/";
    for name in ["mesh.internal", "spiffe://", "://mesh.internal"] {
        refused(&with("/trust/uri_sans", json!([name])), &[uri]);
    }
    refused(
        &with("/trust/uri_sans", json!([""])),
        &["trust.uri_sans[0]: must not be empty"],
    );
}

#[test]
fn principals() {
    let principal = |value: Value| with("/trust/filter_state", json!([value]));
    accepted(&principal(
        json!({"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh.internal/"]}),
    ));
    accepted(&principal(
        json!({"name": "user.role", "prefixes": ["admin"]}),
    ));

    refused(
        &principal(json!({})),
        &[
            "trust.filter_state[0].name: is required",
            "trust.filter_state[0].prefixes: is required",
        ],
    );

    let name = "trust.filter_state[0].name: must be the name of an object in Envoy's filter state";
    for bad in ["", "a\0b"] {
        refused(&principal(json!({"name": bad, "prefixes": ["a"]})), &[name]);
    }

    let prefixes = "trust.filter_state[0].prefixes";
    let domain =
        "must be the start of a URI with its trust domain, such as spiffe://mesh.internal/";
    for (list, problem) in [
        (
            json!([]),
            format!("{prefixes}: must have at least one entry"),
        ),
        (json!([""]), format!("{prefixes}[0]: must not be empty")),
        (json!(["spiffe://"]), format!("{prefixes}[0]: {domain}")),
    ] {
        refused(
            &principal(json!({"name": "x", "prefixes": list})),
            &[&problem],
        );
    }
}

#[test]
fn no_network_is_trusted_where_others_are_named() {
    let cidrs = |trust: Value| accepted(&with("/trust", trust)).recorder.trust.cidrs.len();
    let principals = json!([{"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh/"]}]);
    assert_eq!(cidrs(json!({})), 2);
    assert_eq!(cidrs(json!({"uri_sans": ["spiffe://mesh/"]})), 0);
    assert_eq!(cidrs(json!({"filter_state": principals})), 0);
    assert_eq!(
        cidrs(json!({"uri_sans": ["spiffe://mesh/"], "cidrs": ["10.0.0.0/8"]})),
        1
    );
}

#[test]
fn headers_of_the_audit_cluster() {
    let reserved = [
        ":path",
        "Host",
        "content-length",
        "Content-Type",
        "te",
        "user-agent",
        "idempotency-key",
    ];
    for name in reserved {
        let problem = format!("audit_cluster.headers.{name}: must not be set here");
        refused(
            &with("/audit_cluster/headers", json!({name: SECRET})),
            &[&problem],
        );
    }

    for (name, value, problem) in [
        ("a b", SECRET, "must have a header name as its key"),
        (
            "a",
            "x\r\ny: z",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
        (
            "a",
            " x",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
        (
            "a",
            "\u{f6}",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
    ] {
        let problem = format!("audit_cluster.headers.{name}: {problem}");
        refused(
            &with("/audit_cluster/headers", json!({name: value})),
            &[&problem],
        );
    }

    let path = r#"audit_cluster.path: must start with "/" and hold no space"#;
    refused(&with("/audit_cluster/path", json!("v1/logs")), &[path]);
    refused(&with("/audit_cluster/path", json!("/v1 logs")), &[path]);
}

#[test]
fn headers_of_tracking_and_correlation() {
    refused(
        &with("/tracking/track_header", json!("a b")),
        &["tracking.track_header: must be a header name"],
    );

    let five = "configuration: the headers of tracking and correlation must have five names";
    refused(
        &with("/tracking/track_header", json!("X-Session-Context")),
        &[five],
    );
    refused(
        &with("/correlation/sequence_header", json!("x-audit-stream-id")),
        &[five],
    );
    refused(
        &with("/correlation/session_id_header", json!("x-session-context")),
        &[five],
    );

    for name in [
        "cookie",
        "connection",
        "x-request-id",
        "X-Forwarded-Proto",
        "grpc-timeout",
        "x-audit-session-id",
    ] {
        let sentence = "no header of tracking and correlation may be";
        let problem = format!(
            "configuration: {sentence} {}: requests need it",
            name.to_ascii_lowercase()
        );
        for place in ["/correlation/session_id_header", "/tracking/track_header"] {
            refused(&with(place, json!(name)), &[&problem]);
        }
    }
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
