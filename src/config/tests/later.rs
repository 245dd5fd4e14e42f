//! Keys without effect in this version: refused when they ask for something.

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
