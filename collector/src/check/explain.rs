//! The effective configuration: given values over the defaults.

use audit_filter::config::DEFAULTS;
use serde_json::{Map, Value, json};

use super::configuration::Configuration;

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

/// Replaces a secret that is written in the configuration itself.
const HIDDEN: &str = "(hidden)";

/// The effective configuration as indented JSON, which is YAML, too. It has no secrets: variables
/// stay as written, and values of headers and keys without variables are hidden.
pub(super) fn effective(configuration: &Configuration) -> String {
    let given = configuration.value();
    let mut whole: Value = serde_json::from_str(DEFAULTS).unwrap_or_default();

    // Two defaults depend on given values.
    let keys = given
        .pointer("/session/hmac_keys")
        .and_then(Value::as_array);
    if keys.is_some_and(|keys| !keys.is_empty()) {
        set(&mut whole, "/session/token_mode", json!("hmac"));
    }
    if ["/trust/uri_sans", "/trust/filter_state"]
        .iter()
        .any(|pointer| given.pointer(pointer).is_some())
    {
        set(&mut whole, "/trust/cidrs", json!([]));
    }

    lay_over(&mut whole, given);
    hide_secrets(&mut whole);
    if let Some(rules) = whole.get_mut("rules").and_then(Value::as_array_mut) {
        rules.iter_mut().for_each(complete_rule);
    }
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn hide_secrets(whole: &mut Value) {
    let headers = whole
        .pointer_mut("/audit_cluster/headers")
        .and_then(Value::as_object_mut);
    headers.into_iter().flat_map(Map::values_mut).for_each(hide);

    let keys = whole
        .pointer_mut("/session/hmac_keys")
        .and_then(Value::as_array_mut);
    keys.into_iter()
        .flatten()
        .filter_map(|key| key.get_mut("key"))
        .for_each(hide);
}

fn hide(value: &mut Value) {
    if !value.as_str().is_some_and(|text| text.contains("${")) {
        *value = json!(HIDDEN);
    }
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

/// Merges objects; any other value replaces the old one.
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
    fn the_defaults_of_a_rule_are_those_of_the_filter() {
        let rule = json!({"audit_cluster": {"cluster": "audit"}, "rules": [{"name": "r"}]});
        let mut written = rule.clone();
        complete_rule(&mut written["rules"][0]);
        assert_eq!(parsed(&written).recorder, parsed(&rule).recorder);
    }
}
