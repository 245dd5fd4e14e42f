//! Which rule matches a request.

use super::*;

#[test]
fn the_first_match_wins() {
    let rules = json!([
        {"name": "quiet", "match": {"path": {"exact": "/health"}}, "level": "none"},
        {"name": "first", "match": {"path": {"prefix": "/a"}}, "record_on": ["failure"]},
        {"name": "second", "match": {"path": {"prefix": "/a"}}},
        {"name": "rest"},
    ]);

    Case::new("GET", "/a")
        .rules(&rules)
        .status("500")
        .rule(Some("first"));
    Case::new("GET", "/b").rules(&rules).rule(Some("rest"));

    let run = Case::new("GET", "/a").rules(&rules).not_recorded();
    assert_eq!(
        run.stats.counter(Counter::Excluded),
        1,
        "a later rule does not step in"
    );

    let run = Case::new("GET", "/health")
        .rules(&rules)
        .headers(&[TRACK, CONTEXT])
        .not_recorded();

    assert_eq!(run.stats.counter(Counter::Excluded), 1);
    assert_eq!(run.removed, ["x-session-track"]);
}

/// Whether a rule with these conditions matches the request.
#[track_caller]
fn check(conditions: &Value, case: Case, expected: bool) {
    let rules = json!([{"name": "r", "match": conditions}]);
    let found = case.rules(&rules).run().record.is_some();
    assert_eq!(found, expected, "{conditions}");
}

#[test]
fn hosts() {
    for (pattern, authority, expected) in [
        ("api.example.com", "api.example.com", true),
        ("api.example.com", "API.Example.com", true),
        ("API.example.com", "api.example.com:8443", true),
        ("api.example.com", "api.example.com.evil", false),
        ("api.example.com", "x.api.example.com", false),
        ("api.example.com", "", false),
        ("*.internal", "a.internal", true),
        ("*.internal", "A.B.INTERNAL:80", true),
        ("*.internal", "internal", false),
        ("*.internal", ".internal", false),
        ("*.internal", "ainternal", false),
        ("*.internal", "a.internal.evil", false),
        ("[::1]", "[::1]:8080", true),
        ("[::1]", "[::1]", true),
        ("[2001:db8::7]", "[2001:DB8:0:0::7]:80", true),
        ("[::1]", "::1", false),
    ] {
        check(
            &json!({"hosts": ["other", pattern]}),
            Case::new("GET", "/").authority(authority),
            expected,
        );
    }
}

#[test]
fn methods() {
    for (method, expected) in [
        ("POST", true),
        ("PUT", true),
        ("GET", false),
        ("post", false),
        ("", false),
    ] {
        check(
            &json!({"methods": ["POST", "PUT"]}),
            Case::new(method, "/"),
            expected,
        );
    }
}

#[test]
fn paths() {
    for (pattern, path, expected) in [
        (json!({"exact": "/a"}), "/a", true),
        (json!({"exact": "/a"}), "/a/b", false),
        (json!({"prefix": "/a/"}), "/a/b?c", true),
        (json!({"prefix": "/a/"}), "/a/../b", false),
        (json!({"prefix": "/a/"}), "/x/..//a/b", true),
        (json!({"suffix": ".json"}), "/a.json?x=.xml", true),
        (json!({"suffix": ".json"}), "/a?x=.json", false),
        (json!({"template": "/users/{id}"}), "/users/%41", true),
        (json!({"template": "/users/{id}"}), "/users/", false),
        (json!({"template": "/users/{id}"}), "/users/a/b", false),
    ] {
        check(&json!({"path": pattern}), Case::new("GET", path), expected);
    }
}

#[test]
fn a_template_is_the_route_and_the_action() {
    let rules = json!([{"name": "r", "match": {"path": {"template": "/users/{id}"}}}]);
    let record = Case::new("PUT", "/users/42?x").rules(&rules).recorded();
    assert_eq!(record.route.as_deref(), Some("/users/{id}"));
    assert_eq!(
        (text(record.action()), text(record.request.path())),
        ("PUT /users/{id}", "/users/42")
    );
}

#[test]
fn headers() {
    for (condition, values, expected) in [
        (json!({"exact": "prod"}), vec!["prod"], true),
        (json!({"exact": "prod"}), vec!["test", "prod"], true),
        (json!({"exact": "prod"}), vec!["Prod"], false),
        (json!({"exact": "prod"}), vec!["test,prod"], false),
        (json!({"exact": "prod"}), vec![], false),
        (json!({"exact": ""}), vec![""], true),
        (json!({"prefix": "pr"}), vec!["x", "prod"], true),
        (json!({"prefix": "pr"}), vec!["xpr"], false),
        (json!({"suffix": "od"}), vec!["prod"], true),
        (json!({"suffix": "od"}), vec!["odx"], false),
        (json!({"contains": "ro"}), vec!["prod"], true),
        (json!({"contains": "ro"}), vec!["r", "o"], false),
        (json!({"contains": ""}), vec!["prod"], true),
        (json!({"present": true}), vec![""], true),
        (json!({"present": true}), vec![], false),
        (json!({"present": false}), vec![], true),
        (json!({"present": false}), vec!["", "x"], false),
    ] {
        let mut condition = condition.clone();
        condition["name"] = json!("X-Env");

        let case = values.iter().fold(Case::new("GET", "/"), |case, value| {
            case.headers(&[("x-env", value)])
        });
        check(&json!({"headers": [condition]}), case, expected);
    }

    let both = json!({"headers": [{"name": "a", "present": true}, {"name": "b", "present": true}]});
    check(&both, Case::new("GET", "/").headers(&[("a", "")]), false);
    check(
        &both,
        Case::new("GET", "/").headers(&[("a", ""), ("b", "")]),
        true,
    );
}

#[test]
fn tracked() {
    let tracked = || Case::new("GET", "/").headers(&[TRACK, CONTEXT]);
    check(&json!({"tracked": true}), tracked(), true);
    check(&json!({"tracked": true}), Case::new("GET", "/"), false);
    check(&json!({"tracked": false}), tracked(), false);
    check(&json!({"tracked": false}), Case::new("GET", "/"), true);
    check(&json!({"tracked": true}), tracked().peer(UNTRUSTED), false);
    check(&json!({"tracked": false}), tracked().peer(UNTRUSTED), true);
}

#[test]
fn control_headers_of_an_untrusted_peer_count_as_absent_in_conditions() {
    let present = json!({"headers": [{"name": "x-session-track", "exact": "true"}]});
    let absent = json!({"headers": [{"name": "x-session-context", "present": false}]});
    let tracked = |peer: &str| Case::new("GET", "/").headers(&[TRACK, CONTEXT]).peer(peer);
    check(&present, tracked(TRUSTED), true);
    check(&present, tracked(UNTRUSTED), false);
    check(&present, tracked(UNTRUSTED).unseen(), false);
    check(&absent, tracked(TRUSTED), false);
    check(&absent, tracked(UNKNOWN), true);
}

#[test]
fn outcomes_and_statuses_of_a_rule() {
    let rules =
        json!([{"name": "r", "record_on": ["failure", "denied"], "http_statuses": ["5xx", 403]}]);
    for (status, expected) in [
        ("500", true),
        ("599", true),
        ("403", true),
        ("401", false),
        ("404", false),
        ("200", false),
    ] {
        let run = Case::new("GET", "/").rules(&rules).status(status).run();
        assert_eq!(run.record.is_some(), expected, "{status}");
        assert_eq!(
            run.stats.counter(Counter::Excluded),
            u64::from(!expected),
            "{status}"
        );
    }

    let denied = Case::grpc()
        .rules(&rules)
        .answer_trailers(&[("grpc-status", "7")]);

    denied.rule(Some("r"));
}

#[test]
fn tags_are_recorded() {
    let rules = json!([{"name": "r", "tags": {"retention": "7y"}}]);
    let record = Case::new("GET", "/").rules(&rules).recorded();
    assert_eq!(
        *record.tags.unwrap(),
        [("retention".to_owned(), "7y".to_owned())]
    );
}
