//! Unknown keys.

use super::*;

#[test]
fn unknown_keys_at_every_level() {
    for (pointer, path) in [
        ("/x", "x"),
        ("/audit_cluster/x", "audit_cluster.x"),
        ("/tracking/x", "tracking.x"),
        ("/trust/x", "trust.x"),
        ("/session/x", "session.x"),
        ("/identity/x", "identity.x"),
        ("/correlation/x", "correlation.x"),
        ("/batch/x", "batch.x"),
        ("/buffer/x", "buffer.x"),
        ("/retry/x", "retry.x"),
    ] {
        check_unknown(&with(pointer, json!(SECRET)), path);
    }

    for (pointer, path) in [
        ("/rules/0/x", "rules[0].x"),
        ("/rules/0/match/x", "rules[0].match.x"),
        ("/rules/0/identity/x", "rules[0].identity.x"),
        ("/rules/0/capture/x", "rules[0].capture.x"),
    ] {
        let mut value = with_rule(&json!({"name": "r"}));
        put(&mut value, pointer, json!(SECRET));
        check_unknown(&value, path);
    }

    check_unknown(
        &with_match(&json!({"path": {"x": SECRET}})),
        "rules[0].match.path.x",
    );
    check_unknown(
        &with_match(&json!({"headers": [{"name": "a", "x": SECRET}]})),
        "rules[0].match.headers[0].x",
    );
}

#[track_caller]
fn check_unknown(value: &Value, path: &str) {
    let problems = parse_json(value).unwrap_err();
    let [problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert!(
        problem.starts_with(&format!("{path}: unknown key (known here: ")),
        "{problem}"
    );
}
