//! A record that is required and cannot be made.

use super::*;

#[test]
fn a_record_is_required_that_is_never_made() {
    let problem = "rules[0].require_audit: needs a record, and level is none (its default where set_tracking is given)";
    refused(
        &with_rule(&json!({"name": "r", "level": "none", "require_audit": "buffered"})),
        &[problem],
    );
}

#[test]
fn a_record_is_required_that_may_not_be_made() {
    let config = |word: &str, conditions: Value, tracking: Value| {
        let rule = json!({"name": "r", "match": conditions, "require_audit": word});
        let mut value = with(
            "/rules",
            json!([{"name": "first", "match": {"path": {"exact": "/first"}}}, rule]),
        );
        put(&mut value, "/tracking", tracking);
        value
    };

    let (tracked, record) = (
        json!({"tracked": true}),
        json!({"on_empty_context": "record"}),
    );
    let problem = "rules[1].require_audit: needs a record, and a tracked request without context has none: \
        set tracking.on_empty_context to record";

    for word in ["buffered", "acknowledged"] {
        for skip in [json!({}), json!({"on_empty_context": "skip"})] {
            refused(&config(word, tracked.clone(), skip.clone()), &[problem]);
            accepted(&config(word, json!({"tracked": false}), skip.clone()));
            accepted(&config(word, json!({}), skip));
        }
        accepted(&config(word, tracked.clone(), record.clone()));
    }
    accepted(&config("none", tracked, json!({})));

    let rule = json!({"name": "r", "match": {"tracked": true}, "level": "none", "require_audit": "buffered"});
    assert_eq!(
        parse_json(&with_rule(&rule)).unwrap_err().len(),
        1,
        "one problem, not two"
    );
}

#[test]
fn a_record_is_required_of_some_ends() {
    for (key, value) in [
        ("record_on", json!(["denied"])),
        ("http_statuses", json!(["2xx"])),
    ] {
        accepted(&with_rule(
            &json!({"name": "r", "require_audit": "acknowledged", key: value}),
        ));
    }
}

#[test]
fn a_filter_that_is_off_holds_nothing_and_warns() {
    let warnings = |enabled: bool, word: &str| {
        let held = json!({"name": "r", "match": {"methods": ["GET"]}, "require_audit": word});
        let mut value = with_rule(&held);
        put(&mut value, "/enabled", json!(enabled));
        accepted(&value).warnings
    };

    assert_eq!(
        warnings(false, "buffered"),
        ["configuration: enabled is false: no request is held for require_audit"]
    );
    assert!(warnings(true, "buffered").is_empty() && warnings(false, "none").is_empty());
}
