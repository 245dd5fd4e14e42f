//! Configurations that are accepted with a warning, and refused ones with only legal parts.

mod reached;

use super::*;

fn rules(rules: Value) -> Value {
    with("/rules", rules)
}

#[track_caller]
fn check_warnings(value: &Value, expected: &[&str]) {
    assert_eq!(accepted(value).warnings, expected, "{value}");
}

#[test]
fn a_record_that_no_request_can_be_held_for_is_refused() {
    let sentence = "no request reaches it: the earlier rule all decides about all that it matches";
    let held = json!({"name": "held", "match": {"path": {"prefix": "/admin"}}, "require_audit": "acknowledged"});
    refused(
        &rules(json!([{"name": "all"}, held])),
        &[&format!("rules[1]: {sentence}")],
    );

    let mut value = rules(json!([{"name": "all"}]));
    put(
        &mut value,
        "/default",
        json!({"level": "metadata", "require_audit": "buffered"}),
    );
    refused(&value, &[&format!("default: {sentence}")]);
}

#[test]
fn one_key_given_twice_is_refused() {
    let text = r#"{"audit_cluster": {"cluster": "audit"}, "rules": [{"name": "a"}], "rules": [{"name": "b"}]}"#;
    assert_eq!(
        parse(text.as_bytes(), &environment).unwrap_err().problems,
        ["rules: stands twice"]
    );
}

#[test]
fn an_empty_variable_is_worth_a_warning() {
    let empty = |name: &str| (name == "TOKEN").then(String::new);
    let value = with(
        "/audit_cluster/headers",
        json!({"authorization": "Bearer${TOKEN}"}),
    );
    let config = parse(value.to_string().as_bytes(), &empty).unwrap();
    assert_eq!(
        config.warnings,
        ["audit_cluster.headers.authorization: environment variable TOKEN is empty"]
    );

    let value = with(
        "/session/hmac_keys",
        json!([{"id": "k", "key": "${TOKEN}"}]),
    );
    let problems = parse(value.to_string().as_bytes(), &empty)
        .unwrap_err()
        .problems;
    assert_eq!(
        problems,
        ["session.hmac_keys[0].key: must have at least 32 bytes"]
    );
}

#[test]
fn a_header_that_envoy_never_has_is_refused() {
    let host = "is never there, since Envoy has it as :authority: match.hosts compares it, and it is recorded";
    let condition = json!({"headers": [{"name": "Host", "exact": "api.example.com"}]});
    refused(
        &with_rule(&json!({"name": "r", "match": condition})),
        &[&format!("rules[0].match.headers[0].name: {host}")],
    );

    let capture =
        json!({"name": "r", "level": "request", "capture": {"request_headers": ["host"]}});
    refused(
        &with_rule(&capture),
        &[&format!("rules[0].capture.request_headers[0]: {host}")],
    );
    refused(
        &with("/identity/user_id", json!([{"header": "host"}])),
        &[&format!("identity.user_id[0].header: {host}")],
    );
}

#[test]
fn rules_that_would_record_the_filters_own_batches_are_named() {
    let loops = "configuration: audit_cluster.headers has no token: where this configuration holds for the proxy in \
                 front of the collector, too, rules record the filter's own batches";
    let all = json!([{"name": "all"}]);
    check_warnings(&rules(all.clone()), &[loops]);
    let paths =
        json!([{"name": "posts", "match": {"path": {"prefix": "/v1/"}, "methods": ["POST"]}}]);
    check_warnings(&rules(paths), &[loops]);
    check_warnings(&with("/default", json!({"level": "metadata"})), &[loops]);

    for proof in [
        "/audit_cluster/headers/authorization",
        "/audit_cluster/headers/x-api-key",
    ] {
        let mut value = rules(all.clone());
        put(&mut value, proof, json!("Bearer ${AUDIT_TOKEN}"));
        check_warnings(&value, &[]);
    }

    let mut value = rules(all);
    put(&mut value, "/trust/cidrs", json!(["10.0.0.0/8"]));
    check_warnings(&value, &[]);
    check_warnings(&minimal(), &[]);
    let not_posts =
        json!([{"name": "gets", "match": {"methods": ["GET"]}}, {"name": "none", "level": "none"}]);
    check_warnings(&rules(not_posts), &[]);
}

#[test]
fn what_no_rule_matches_is_recorded_on_demand() {
    let names = |default: Value| {
        let policy = accepted(&with("/default", default)).recorder.policy;
        policy
            .iter()
            .map(|rule| (rule.name.to_string(), rule.recorded))
            .collect::<Vec<_>>()
    };
    let rule = |name: &str| (name.to_owned(), true);

    for none in [json!({}), json!({"level": "none"})] {
        assert_eq!(names(none), [rule("check"), rule("tracked")]);
    }
    assert_eq!(
        names(json!({"level": "metadata"})),
        [rule("check"), rule("tracked"), rule("default")]
    );

    let needs = "needs a record, and level is none (its default where set_tracking is given)";
    refused(
        &with("/default", json!({"require_audit": "buffered"})),
        &[&format!("default.require_audit: {needs}")],
    );
    refused(
        &with("/default", json!({"level": "request"})),
        &["default.level: must be one of none, metadata"],
    );

    let mut value = rules(json!([{"name": "default", "match": {"methods": ["GET"]}}]));
    put(&mut value, "/default", json!({"level": "metadata"}));
    refused(
        &value,
        &["default: is the name of a rule, too: records of both would have the same audit.rule"],
    );
}

#[test]
fn ends_of_a_rule_that_records_none_are_named() {
    for key in ["record_on", "http_statuses", "immediate_on"] {
        let ends = if key == "http_statuses" {
            json!([200])
        } else {
            json!(["success"])
        };
        let mut rule = json!({"name": "r", "level": "none"});
        rule.as_object_mut().unwrap().insert(key.to_owned(), ends);
        let sentence = format!(
            "rules[0].{key}: has no effect: level is none (its default where set_tracking is given)"
        );
        check_warnings(&rules(json!([rule])), &[&sentence]);
    }
}

#[test]
fn so_many_problems_are_listed_and_no_more() {
    let rule = |number: usize| json!({"name": format!("r{number}"), "action": 1});
    let value = rules((0..1200).map(rule).collect());
    let error = parse(value.to_string().as_bytes(), &|_| None).unwrap_err();
    assert_eq!(error.problems.len(), 1001);
    assert_eq!(error.problems[999], "rules[999].action: must be a string");
    assert_eq!(
        error.problems[1000],
        "configuration: has more than these 1000"
    );
}
