//! Configurations of the audit filter. Each states its rules explicitly, so that both artefacts
//! accept it.

use serde_json::{Value, json};

use crate::bench::bootstrap::AUDIT;

/// The user from the response's header.
pub const USER_HEADER: &str = "response_header";
/// The user from the response's body.
pub const USER_JSON: &str = "response_json";

/// When a batch or a buffer of a logger leaves that is not full: for Envoy's own loggers, too. The
/// default of all is a second, for which every slice would wait.
pub const MAX_DELAY: &str = "0.1s";

/// A rule for `/check`, with the user from [`USER_HEADER`] or [`USER_JSON`], and one for tracked
/// requests. All control headers are removed, as the compared filters do.
pub fn usual(user: &str) -> Value {
    let source = if user == USER_JSON {
        json!({user: "/UserId"})
    } else {
        json!({user: "x-user-id"})
    };

    let check = json!({
        "name": "check",
        "match": {"protocol": "http", "methods": ["GET"], "path": {"exact": "/check"}},
        "record_on": ["success"], "http_statuses": [200], "identity": {"user_id": [source]},
    });

    with_rules(&[
        check,
        json!({"name": "tracked", "match": {"tracked": true}}),
    ])
}

/// As [`usual`], but tracked requests are not recorded.
pub fn excluded() -> Value {
    with_rules(&[json!({"name": "tracked", "match": {"tracked": true}, "level": "none"})])
}

/// As [`usual`], with the reference of the session token.
pub fn hmac() -> Value {
    let mut configuration = usual(USER_HEADER);
    configuration["session"] =
        json!({"hmac_keys": [{"id": "k1", "key": "0123456789abcdef0123456789abcdef"}]});
    configuration
}

/// This many rules, none of which matches; the kinds of path patterns alternate.
pub fn unmatched(rules: usize) -> Value {
    let rule = |index: usize| {
        let path = match index % 4 {
            0 => json!({"exact": format!("/v1/resources-{index}")}),
            1 => json!({"prefix": format!("/v1/resources-{index}/")}),
            2 => json!({"template": format!("/v1/resources-{index}/{{id}}/password")}),
            _ => json!({"suffix": format!("/password-{index}")}),
        };
        json!({"name": format!("rule-{index}"), "match": {"path": path}})
    };

    with_rules(&(0..rules).map(rule).collect::<Vec<_>>())
}

fn with_rules(rules: &[Value]) -> Value {
    json!({
        "service": "bench",
        "audit_cluster": {"cluster": AUDIT},
        "batch": {"max_delay": MAX_DELAY},
        "trust": {"cidrs": ["127.0.0.0/8"]},
        "tracking": {"strip_context": true},
        "rules": rules,
    })
}
