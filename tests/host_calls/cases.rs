//! Kinds of requests, each with its configuration.

use serde_json::{Value, json};

use super::exchange::Exchange;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const METHOD: &str = "/demo.Accounts/ChangePassword";

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sections: Value,
    pub(crate) exchange: Exchange,
}

pub(crate) fn cases() -> Vec<Case> {
    default_rules()
        .into_iter()
        .chain(tracked_rule())
        .chain(single_keys())
        .collect()
}

/// With the default rules.
fn default_rules() -> Vec<Case> {
    let of = |name, exchange| Case {
        name,
        sections: json!({}),
        exchange,
    };
    let hmac = |name, exchange| Case {
        name,
        sections: hmac(),
        exchange,
    };
    let check = || Exchange::http("/check").json();
    let tracked = || Exchange::http(METHOD).tracked();
    let unary = || Exchange::grpc(METHOD).tracked();

    vec![
        of("untracked", Exchange::http("/other")),
        of("check", check()),
        hmac("check, hmac", check()),
        of("tracked", tracked()),
        hmac("tracked, hmac", tracked()),
        of("tracked unary", unary()),
        hmac("tracked unary, hmac", unary()),
    ]
}

/// With a rule for tracked calls only: the lean module refuses the default rules.
fn tracked_rule() -> Vec<Case> {
    let of = |name, exchange, mut sections: Value| {
        sections["rules"] = json!([{"name": "tracked", "match": {"tracked": true}}]);
        Case {
            name,
            sections,
            exchange,
        }
    };

    let (tracked, unary) = (
        Exchange::http(METHOD).tracked(),
        Exchange::grpc(METHOD).tracked(),
    );

    vec![
        of("one rule: untracked", Exchange::http("/other"), json!({})),
        of("one rule: tracked", tracked.clone(), json!({})),
        of("one rule: tracked, hmac", tracked, hmac()),
        of("one rule: unary", unary.clone(), json!({})),
        of("one rule: unary, hmac", unary, hmac()),
    ]
}

/// The section that makes references of session tokens.
pub(crate) fn hmac() -> Value {
    json!({"session": {"hmac_keys": [{"id": "k1", "key": KEY}]}})
}

/// Each key of a rule alone, on top of an empty rule.
fn single_keys() -> Vec<Case> {
    let captures =
        json!({"level": "request", "capture": {"query": ["q"], "request_headers": ["accept"]}});
    let of_response = json!({"level": "request", "capture": {"response_headers": ["server"]}});
    let absent = json!({"identity": {"user_id": [{"header": "x-user-id"}]}});
    let metadata = json!({"identity": {"user_id": [{"metadata": "ns:key"}]}});
    let edge =
        json!({"set_tracking": {"operation": "o", "context": {"device": {"header": "accept"}}}});

    let mut cases = vec![
        any("plain record", &json!({})),
        any("identity, absent header", &absent),
        any("identity, metadata", &metadata),
        any("capture of the request", &captures),
        any("capture of the response", &of_response),
        any("correlate, worker", &json!({"correlate": true})),
        any("correlate, process", &json!({"correlate": true})),
        any("session end", &json!({"session": "end"})),
        any("session start", &json!({"session": "start"})),
        any("set_tracking", &edge),
    ];

    for case in cases
        .iter_mut()
        .filter(|case| case.name == "correlate, process")
    {
        case.sections["correlation"] = json!({"scope": "process"});
    }
    cases
}

/// An empty rule with these keys.
fn any(name: &'static str, more: &Value) -> Case {
    let mut rule = json!({"name": "any", "identity": {"user_id": []}});
    rule.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Case {
        name,
        sections: json!({"rules": [rule]}),
        exchange: Exchange::http("/any?q=1"),
    }
}
