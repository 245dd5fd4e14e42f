//! Rules, other than their paths.

use super::*;

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
