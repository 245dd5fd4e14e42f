//! The configuration as it holds: what is given, over the defaults.

use serde_json::{Map, Value, json};

use super::manifest::Configuration;

/// All keys but `rules`, as the contract of the filter has them.
fn defaults() -> Value {
    json!({
        "enabled": true,
        "service": "unknown-service",
        "audit_cluster": {
            "authority": "(the cluster's name)", "path": "/v1/logs", "format": "otlp_protobuf", "headers": {}, "timeout": "5s",
        },
        "rules": [
            {
                "name": "check",
                "match": {"protocol": "http", "methods": ["GET"], "path": {"exact": "/check"}},
                "record_on": ["success"],
                "http_statuses": [200],
                "identity": {"user_id": [{"response_json": "/UserId"}]},
            },
            {"name": "tracked", "match": {"tracked": true}},
        ],
        "default": {"level": "none", "require_audit": "none"},
        "stages": {"started_after": "60s", "alive_interval": "30s"},
        "tracking": {
            "track_header": "x-session-track", "operation_header": "x-session-operation",
            "context_header": "x-session-context", "strip_context": false, "on_empty_context": "skip",
            "max_context_bytes": 8192,
        },
        "trust": {"cidrs": ["127.0.0.0/8", "::1/128"], "uri_sans": [], "filter_state": []},
        "session": {
            "id": [{"header": "x-audit-session-id"}, {"header": "x-session-id"}],
            "token": [{"cookie": "session"}, {"bearer": true}], "token_mode": "omit", "hmac_keys": [],
        },
        "identity": {
            "user_id": [{"response_header": "x-user-id"}, {"header": "x-user-id"}], "user_name": [], "user_email": [],
            "max_body_bytes": 65_536,
        },
        "correlation": {
            "session_id_header": "x-audit-stream-id", "sequence_header": "x-audit-sequence-number", "scope": "worker",
        },
        "batch": {"max_records": 100, "max_bytes": 262_144, "max_delay": "1s"},
        "buffer": {
            "max_records": 13_500, "max_bytes": 12_582_912, "on_full": "drop_newest", "immediate_reserve_percent": 10,
        },
        "retry": {"initial_backoff": "250ms", "max_backoff": "30s", "max_attempts": 0, "max_age": "0s"},
    })
}

/// Defaults of a rule.
fn of_rule() -> Value {
    json!({
        "match": {"protocol": "any"},
        "level": "metadata",
        "record_on": ["success", "failure", "denied", "aborted"],
        "http_statuses": [],
        "immediate_on": [],
        "require_audit": "none",
        "session": "none",
        "correlate": false,
    })
}

/// The effective configuration as indented JSON, which is YAML, too. Secrets are not in it: variables stay as written.
pub(super) fn effective(configuration: &Configuration) -> String {
    let given = configuration.value();
    let mut whole = defaults();
    // Two defaults depend on what is given.
    let keys = given.pointer("/session/hmac_keys").and_then(Value::as_array);
    if keys.is_some_and(|keys| !keys.is_empty()) {
        set(&mut whole, "/session/token_mode", json!("hmac"));
    }
    if ["/trust/uri_sans", "/trust/filter_state"].iter().any(|pointer| given.pointer(pointer).is_some()) {
        set(&mut whole, "/trust/cidrs", json!([]));
    }
    lay_over(&mut whole, given);
    if let Some(rules) = whole.get_mut("rules").and_then(Value::as_array_mut) {
        rules.iter_mut().for_each(complete_rule);
    }
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn set(whole: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = whole.pointer_mut(pointer) {
        *place = value;
    }
}

fn complete_rule(rule: &mut Value) {
    let mut whole = of_rule();
    if rule.get("set_tracking").is_some() {
        set(&mut whole, "/level", json!("none"));
    }
    lay_over(&mut whole, rule.take());
    *rule = whole;
}

/// Objects are joined; anything else replaces what was there.
fn lay_over(whole: &mut Value, given: Value) {
    match (whole, given) {
        (Value::Object(whole), Value::Object(given)) => {
            for (key, value) in given {
                lay_over(entry(whole, key), value);
            }
        }
        (whole, given) => *whole = given,
    }
}

fn entry(map: &mut Map<String, Value>, key: String) -> &mut Value {
    map.entry(key).or_insert(Value::Null)
}

#[cfg(test)]
mod tests {
    use audit_filter::config;

    use super::*;

    fn parsed(value: &Value) -> config::Config {
        config::parse(value.to_string().as_bytes(), &|_| None).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_filter() {
        let minimal = json!({"audit_cluster": {"cluster": "audit"}});
        let mut written = defaults();
        lay_over(&mut written, json!({"audit_cluster": {"cluster": "audit", "authority": ""}}));
        assert_eq!(parsed(&written), parsed(&minimal));
        let rule = json!({"audit_cluster": {"cluster": "audit"}, "rules": [{"name": "r"}]});
        let mut written = rule.clone();
        complete_rule(&mut written["rules"][0]);
        assert_eq!(parsed(&written).recorder, parsed(&rule).recorder);
    }
}
