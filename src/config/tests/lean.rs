//! What the lean artefact refuses.

use serde_json::{Value, json};

use crate::config::{lean, parse};

fn check(sections: &Value) -> Result<(), String> {
    let mut config = json!({"audit_cluster": {"cluster": "audit"}});
    config
        .as_object_mut()
        .unwrap()
        .extend(sections.as_object().unwrap().clone());
    let config = parse(config.to_string().as_bytes(), &|_| None).unwrap();
    lean::check(config)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn all_that_needs_responses_is_named_in_one_line() {
    let line = check(&json!({"rules": [
        {"name": "a"},
        {"name": "b", "session": "start", "identity": {"user_name": [{"response_json": "/name"}]}},
        {"name": "c", "session": "end"},
        {"name": "d", "identity": {"user_id": [{"response_json": "/id"}]}},
    ]}))
    .unwrap_err();

    let with = "needs audit_filter.wasm; this is audit_filter_lean.wasm";
    let expected = format!(
        "configuration refused: rules[1] (b): identity from response_json {with}; rules[1] (b): session: start {with}; \
         rules[3] (d): identity from response_json {with}"
    );
    assert_eq!(line, expected);

    assert!(
        check(&json!({})).unwrap_err().contains("rules[0] (check)"),
        "the default rules read the answer of /check"
    );
}

#[test]
fn what_records_nothing_needs_nothing() {
    assert_eq!(check(&json!({"enabled": false})), Ok(()));
    let identity = json!({"user_id": [{"response_json": "/id"}]});
    assert_eq!(
        check(&json!({"identity": identity, "rules": [{"name": "a", "level": "none"}]})),
        Ok(())
    );
}

#[test]
fn a_global_source_counts_where_a_rule_uses_it() {
    let identity = json!({"user_id": [{"response_json": "/id"}]});
    assert!(check(&json!({"identity": identity, "rules": [{"name": "a"}]})).is_err());
    let own = json!([{"name": "a", "identity": {"user_id": [{"response_header": "x-user-id"}]}}]);
    assert_eq!(check(&json!({"identity": identity, "rules": own})), Ok(()));
}
