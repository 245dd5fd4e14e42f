//! What stands as the action of a record.

use super::*;

#[track_caller]
fn check(rule: &Value, operation: Option<&str>, grpc: bool, expected: &str) {
    let mut rule = rule.clone();
    rule["name"] = json!("r");
    let mut case = if grpc { Case::grpc() } else { Case::new("PUT", "/users/42") }.rules(&json!([rule]));
    if let Some(operation) = operation {
        case = case.headers(&[("x-session-operation", operation)]);
    }
    let case = if grpc { case.answer_trailers(&[("grpc-status", "0")]) } else { case };
    assert_eq!(text(&case.recorded().action), expected);
}

#[test]
fn in_order_of_precedence() {
    check(&json!({"action": "fixed"}), Some("said"), false, "fixed");
    check(&json!({"action": ""}), Some("said"), false, "said");
    check(&json!({}), Some("said"), true, "said");
    check(&json!({}), Some(""), false, "PUT /users/42");
    check(&json!({}), None, true, "/shop.Users/Delete");
    check(&json!({"match": {"path": {"template": "/users/{id}"}}}), None, false, "PUT /users/{id}");
    check(&json!({"match": {"path": {"prefix": "/users"}}}), None, false, "PUT /users/42");
}

#[test]
fn an_untrusted_operation_is_not_said() {
    let case = Case::new("GET", "/check").headers(&[("x-session-operation", "forged")]).peer(UNTRUSTED);
    assert_eq!(text(&case.recorded().action), "GET /check");
}

#[test]
fn a_long_operation_is_cut() {
    let long = "\u{f6}".repeat(300);
    let case = Case::new("GET", "/").headers(&[TRACK, CONTEXT, ("x-session-operation", &long)]);
    assert_eq!(text(&case.recorded().action), "\u{f6}".repeat(128));
}
