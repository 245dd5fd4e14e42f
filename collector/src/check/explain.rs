//! The effective configuration: given values over the defaults.

use audit_filter::config::DEFAULTS;
use serde_json::{Map, Value, json};

use super::configuration::Configuration;
use super::secrets;

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

/// The effective configuration as indented JSON, which is YAML, too. It has no secrets: of values
/// that may be secret only variables and the scheme of credentials stay.
pub(super) fn effective(configuration: &Configuration) -> String {
    let mut given = configuration.value();
    let mut whole: Value = serde_json::from_str(DEFAULTS).unwrap_or_default();
    adapt_defaults(&mut whole, &given);

    // An empty text counts as absent.
    remove_empty(&mut given, "", "service");
    remove_empty(&mut given, "/audit_cluster", "authority");
    lay_over(&mut whole, given);
    if let Some(cluster) = whole.pointer("/audit_cluster/cluster").cloned()
        && whole.pointer("/audit_cluster/authority") == Some(&json!(""))
    {
        set(&mut whole, "/audit_cluster/authority", cluster);
    }
    secrets::hide(&mut whole);
    if let Some(rules) = whole.get_mut("rules").and_then(Value::as_array_mut) {
        rules.iter_mut().for_each(complete_rule);
    }
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

/// Three defaults depend on given values.
fn adapt_defaults(whole: &mut Value, given: &Value) {
    let is_given = |pointer: &str| {
        let value = given.pointer(pointer);
        value.is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
    };
    if is_given("/session/hmac_keys") {
        set(whole, "/session/token_mode", json!("hmac"));
    }

    let names = ["/trust/uri_sans", "/trust/filter_state"];
    if names.iter().any(|pointer| given.pointer(pointer).is_some()) {
        set(whole, "/trust/cidrs", json!([]));
    }

    let rules = given.get("rules").and_then(Value::as_array);
    let is_immediate = |rule: &Value| {
        let outcomes = rule.get("immediate_on").and_then(Value::as_array);
        outcomes.is_some_and(|outcomes| !outcomes.is_empty())
    };
    if !rules.is_some_and(|rules| rules.iter().any(is_immediate)) {
        set(whole, "/buffer/immediate_reserve_percent", json!(0));
    }
}

fn remove_empty(given: &mut Value, pointer: &str, key: &str) {
    let object = given.pointer_mut(pointer).and_then(Value::as_object_mut);
    if let Some(object) = object
        && object.get(key) == Some(&json!(""))
    {
        object.remove(key);
    }
}

fn set(whole: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = whole.pointer_mut(pointer) {
        *place = value;
    }
}

fn complete_rule(rule: &mut Value) {
    let mut whole = of_rule();
    // An empty one counts as absent.
    let set_tracking = rule.get("set_tracking").and_then(Value::as_object);
    if set_tracking.is_some_and(|object| !object.is_empty()) {
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
