//! The action of a record.

use super::*;

#[track_caller]
fn check(rule: &Value, operation: Option<&str>, grpc: bool, expected: &str) {
    let mut rule = rule.clone();
    rule["name"] = json!("r");

    let mut case = if grpc {
        Case::grpc()
    } else {
        Case::new("PUT", "/users/42")
    }
    .rules(&json!([rule]));
    if let Some(operation) = operation {
        case = case.headers(&[("x-session-operation", operation)]);
    }

    let case = if grpc {
        case.answer_trailers(&[("grpc-status", "0")])
    } else {
        case
    };

    assert_eq!(text(case.recorded().action()), expected);
}

#[test]
fn in_order_of_precedence() {
    check(&json!({"action": "fixed"}), Some("said"), false, "fixed");
    check(&json!({"action": ""}), Some("said"), false, "said");
    check(&json!({}), Some("said"), true, "said");
    check(&json!({}), Some(""), false, "PUT /users/42");
    check(&json!({}), None, true, "/shop.Users/Delete");
    check(
        &json!({"match": {"path": {"template": "/users/{id}"}}}),
        None,
        false,
        "PUT /users/{id}",
    );
    check(
        &json!({"match": {"path": {"prefix": "/users"}}}),
        None,
        false,
        "PUT /users/42",
    );
}

/// The record of a request with only these of `:method` and `:path`.
fn of_parts(rule: &Value, parts: &[(&str, &str)]) -> ExchangeRecord {
    let mut case = Case::new("", "").rules(&json!([rule])).headers(parts);
    case.headers.drain(..3);
    case.recorded()
}

#[test]
fn never_blank() {
    let (plain, route) = (
        json!({"name": "r"}),
        json!({"name": "r", "match": {"path": {"template": "/{id}"}}}),
    );

    for (rule, parts, expected) in [
        (&plain, &[][..], "HTTP"),
        (&plain, &[(":method", "GET")], "GET"),
        (&plain, &[(":method", ""), (":path", "")], "HTTP"),
        (&plain, &[(":path", "/path")], "HTTP /path"),
        (
            &plain,
            &[(":method", "GET"), (":path", "/path?x")],
            "GET /path",
        ),
        (
            &plain,
            &[(":method", "OPTIONS"), (":path", "*")],
            "OPTIONS *",
        ),
        (&plain, &[(":method", "GET"), (":path", "?x")], "GET"),
        (&plain, &[(":method", "GET"), (":path", " x ")], "GET x"),
        (&plain, &[(":method", "GET"), (":path", "  ")], "GET"),
        (&plain, &[(":method", "GET"), (":path", "/ ")], "GET /%20"),
        (&route, &[(":path", "/path")], "HTTP /{id}"),
        (&plain, &[("content-type", "application/grpc")], "HTTP"),
        (
            &plain,
            &[("content-type", "application/grpc"), (":method", "POST")],
            "POST",
        ),
        (
            &plain,
            &[("content-type", "application/grpc"), (":path", "/a.B/C")],
            "HTTP /a.B/C",
        ),
    ] {
        assert_eq!(text(of_parts(rule, parts).action()), expected, "{parts:?}");
    }

    let mut call = Case::grpc()
        .rules(&json!([plain]))
        .answer_trailers(&[("grpc-status", "0")]);

    call.headers.retain(|(name, _)| name != b":path");

    let record = call.recorded();
    assert_eq!(
        (record.protocol, text(record.action())),
        (Protocol::Grpc, "POST")
    );
}

#[test]
fn an_untrusted_operation_is_not_said() {
    let case = Case::new("GET", "/check")
        .headers(&[("x-session-operation", "forged")])
        .peer(UNTRUSTED);
    assert_eq!(text(case.recorded().action()), "GET /check");
}

#[test]
fn a_long_operation_is_cut() {
    let long = "\u{f6}".repeat(300);
    let case = Case::new("GET", "/").headers(&[TRACK, CONTEXT, ("x-session-operation", &long)]);
    assert_eq!(text(case.recorded().action()), "\u{f6}".repeat(128));
}
