//! Rules that no request reaches.

use super::*;

#[test]
fn a_rule_behind_one_that_matches_as_much_is_named() {
    let hidden =
        "rules[1]: no request reaches it: the earlier rule a decides about all that it matches";
    for (earlier, later) in [
        (
            json!({}),
            json!({"path": {"exact": "/x"}, "methods": ["GET"]}),
        ),
        (json!({}), json!({})),
        (
            json!({"path": {"prefix": "/v1/"}}),
            json!({"path": {"exact": "/v1/login"}}),
        ),
        (
            json!({"path": {"prefix": "/v1/"}}),
            json!({"path": {"prefix": "/v1/users/"}}),
        ),
        (
            json!({"path": {"prefix": "/v1/"}}),
            json!({"path": {"template": "/v1/users/{id}"}}),
        ),
        (
            json!({"path": {"suffix": "/password"}}),
            json!({"path": {"template": "/users/{id}/password"}}),
        ),
        (
            json!({"path": {"suffix": "word"}}),
            json!({"path": {"suffix": "/password"}}),
        ),
        (
            json!({"path": {"template": "/users/{id}"}}),
            json!({"path": {"exact": "/users/me"}}),
        ),
        (
            json!({"path": {"template": "/users/{id}"}}),
            json!({"path": {"template": "/users/{name}"}}),
        ),
        (
            json!({"path": {"template": "/{a}/{b}/password"}}),
            json!({"path": {"template": "/users/{id}/password"}}),
        ),
        (
            json!({"methods": ["GET", "POST"]}),
            json!({"methods": ["POST"]}),
        ),
        (
            json!({"hosts": ["*.internal"]}),
            json!({"hosts": ["a.internal", "*.b.internal"]}),
        ),
        (
            json!({"protocol": "http"}),
            json!({"protocol": "http", "tracked": true}),
        ),
        (
            json!({"tracked": true}),
            json!({"tracked": true, "protocol": "grpc"}),
        ),
        (
            json!({"headers": [{"name": "x-a", "present": true}]}),
            json!({"headers": [{"name": "x-b", "exact": "1"}, {"name": "x-a", "prefix": "v"}]}),
        ),
        (
            json!({"headers": [{"name": "x-a", "contains": "v"}]}),
            json!({"headers": [{"name": "x-a", "exact": "a v b"}]}),
        ),
        (
            json!({"headers": [{"name": "x-a", "prefix": "v"}]}),
            json!({"headers": [{"name": "x-a", "prefix": "v1"}]}),
        ),
    ] {
        let list = json!([{"name": "a", "match": earlier}, {"name": "b", "match": later}]);
        let mut value = rules(list);
        put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));
        check_warnings(&value, &[hidden]);
    }
}

#[test]
fn a_rule_that_some_request_reaches_is_not_named() {
    for (earlier, later) in [
        (json!({"path": {"exact": "/x"}}), json!({})),
        (json!({"path": {"prefix": "/"}}), json!({})),
        (
            json!({"path": {"prefix": "/v1/users/"}}),
            json!({"path": {"prefix": "/v1/"}}),
        ),
        (
            json!({"path": {"prefix": "/users/m"}}),
            json!({"path": {"template": "/users/{id}"}}),
        ),
        (
            json!({"path": {"template": "/users/{id}"}}),
            json!({"path": {"template": "/users/{id}/password"}}),
        ),
        (
            json!({"path": {"template": "/users/{id}/password"}}),
            json!({"path": {"template": "/users/{id}/{action}"}}),
        ),
        (
            json!({"path": {"suffix": "/password"}}),
            json!({"path": {"suffix": "word"}}),
        ),
        (
            json!({"methods": ["GET"]}),
            json!({"methods": ["GET", "POST"]}),
        ),
        (
            json!({"hosts": ["*.internal"]}),
            json!({"hosts": ["internal"]}),
        ),
        (
            json!({"hosts": ["a.internal"]}),
            json!({"hosts": ["*.internal"]}),
        ),
        (
            json!({"protocol": "http"}),
            json!({"path": {"exact": "/x"}}),
        ),
        (json!({"tracked": true}), json!({})),
        (
            json!({"headers": [{"name": "x-a", "present": true}]}),
            json!({"headers": [{"name": "x-a", "present": false}]}),
        ),
        (
            json!({"headers": [{"name": "x-a", "exact": "v"}]}),
            json!({"headers": [{"name": "x-a", "prefix": "v"}]}),
        ),
    ] {
        let list = json!([{"name": "a", "match": earlier}, {"name": "b", "match": later}]);
        let mut value = rules(list);
        put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));
        check_warnings(&value, &[]);
    }
}

#[test]
fn what_is_ambiguous_reaches_a_rule_behind_one_that_excludes() {
    let few = "rules[1]: only requests whose path or host is ambiguous reach it: the earlier rule a decides about all that it matches";
    let none =
        "rules[1]: no request reaches it: the earlier rule a decides about all that it matches";

    for (earlier, later, sentence) in [
        (
            json!({"path": {"prefix": "/v1/"}}),
            json!({"path": {"prefix": "/v1/users/"}}),
            few,
        ),
        (
            json!({"hosts": ["a.internal"]}),
            json!({"hosts": ["a.internal"], "methods": ["GET"]}),
            few,
        ),
        (
            json!({"methods": ["GET"]}),
            json!({"methods": ["GET"], "path": {"prefix": "/v1/"}}),
            none,
        ),
    ] {
        for require_audit in ["none", "buffered"] {
            let mut value = rules(json!([
                {"name": "a", "match": earlier, "level": "none"},
                {"name": "b", "match": later, "require_audit": require_audit},
            ]));
            put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));
            if sentence == none && require_audit == "buffered" {
                refused(&value, &[none]);
            } else {
                check_warnings(&value, &[sentence]);
            }
        }
    }
}

#[test]
fn a_rule_for_tracked_requests_is_reached_behind_one_that_does_not_want_every_end() {
    for restricted in [
        json!({"record_on": ["failure"]}),
        json!({"http_statuses": ["5xx"]}),
    ] {
        for require_audit in ["none", "buffered"] {
            let mut earlier = json!({"name": "a", "match": {"path": {"prefix": "/v1/"}}});
            earlier
                .as_object_mut()
                .unwrap()
                .extend(restricted.as_object().unwrap().clone());
            let later = json!({"path": {"prefix": "/v1/"}, "tracked": true});
            let mut value = rules(
                json!([earlier, {"name": "b", "match": later, "require_audit": require_audit}]),
            );

            put(&mut value, "/tracking/on_empty_context", json!("record"));
            put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));
            check_warnings(&value, &[]);
        }
    }
}

#[test]
fn the_rule_that_leaves_nothing_is_named_first() {
    let path = json!({"path": {"exact": "/x"}});
    let mut value = rules(json!([
        {"name": "a", "match": path, "record_on": ["success"]},
        {"name": "b", "match": {"methods": ["GET"]}},
        {"name": "c", "match": {"path": {"exact": "/x"}, "methods": ["GET"]}},
    ]));
    put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));

    check_warnings(
        &value,
        &["rules[2]: no request reaches it: the earlier rule b decides about all that it matches"],
    );
}

#[test]
fn a_tracked_request_reaches_a_rule_behind_one_that_does_not_want_it() {
    let path = json!({"path": {"exact": "/x"}});
    let mut value = rules(json!([
        {"name": "a", "match": path, "record_on": ["success"]},
        {"name": "b", "match": path},
        {"name": "c", "match": {"path": {"exact": "/x"}, "tracked": false}},
    ]));
    put(&mut value, "/trust/uri_sans", json!(["spiffe://mesh/"]));

    check_warnings(
        &value,
        &[
            "rules[1]: no request reaches it that is not tracked: the earlier rule a decides about all that it matches",
            "rules[2]: no request reaches it: the earlier rule a decides about all that it matches",
        ],
    );
}
