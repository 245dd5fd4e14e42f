//! Sources of users, sessions and contexts, and the recording of their values.

use super::*;
use crate::recorder::capture::MAX_NAMES;
use crate::recorder::tracking::set_tracking::MAX_CONTEXT_FIELDS;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn rule(key: &str, value: Value) -> Value {
    with_rule(&json!({"name": "r", key: value}))
}

#[test]
fn a_source_is_exactly_one_of_those_that_its_list_knows() {
    let session = "must have exactly one of header, cookie, bearer";
    refused(
        &with("/session/id", json!([{}])),
        &[&format!("session.id[0]: {session}")],
    );

    let two = json!([{"cookie": "a", "bearer": true}]);
    refused(
        &with("/session/token", two),
        &[&format!("session.token[0]: {session}")],
    );
    refused(
        &with("/session/id", json!([{"metadata": "ns:key"}])),
        &["session.id[0].metadata: unknown key (known here: header, cookie, bearer, clear)"],
    );

    let known = "header, response_header, response_json, metadata, filter_state, peer_uri_san";
    refused(
        &with("/identity/user_id", json!([{"cookie": "a"}])),
        &[&format!(
            "identity.user_id[0].cookie: unknown key (known here: {known})"
        )],
    );

    let context = json!({"context": {"d": {"response_header": "a"}}});
    let known = "header, cookie, metadata, peer_uri_san, peer_address";
    let path = "rules[0].set_tracking.context.d.response_header";
    refused(
        &rule("set_tracking", context),
        &[&format!("{path}: unknown key (known here: {known})")],
    );
}

#[test]
fn the_name_of_a_source_is_checked() {
    for (source, path, sentence) in [
        (json!({"header": "a b"}), "header", "must be a header name"),
        (
            json!({"response_header": ""}),
            "response_header",
            "must not be empty",
        ),
        (
            json!({"response_json": "UserId"}),
            "response_json",
            r#"must be a JSON pointer (RFC 6901): empty, or starting with "/""#,
        ),
        (
            json!({"response_json": "/a~2"}),
            "response_json",
            r#"must be a JSON pointer (RFC 6901): empty, or starting with "/""#,
        ),
        (
            json!({"peer_uri_san": false}),
            "peer_uri_san",
            "must be true",
        ),
        (
            json!({"peer_uri_san": "yes"}),
            "peer_uri_san",
            "must be true or false",
        ),
        (
            json!({"metadata": "ns"}),
            "metadata",
            r#"must be a namespace and at least one key: "namespace:key", or a list of both"#,
        ),
        (
            json!({"metadata": ["ns"]}),
            "metadata",
            r#"must be a namespace and at least one key: "namespace:key", or a list of both"#,
        ),
    ] {
        refused(
            &with("/identity/user_id", json!([source])),
            &[&format!("identity.user_id[0].{path}: {sentence}")],
        );
    }

    let credentials =
        "must not be a header of credentials: cookie and bearer are sources of their own";
    for name in ["authorization", "Cookie", "proxy-authorization"] {
        refused(
            &with("/session/id", json!([{"header": name}])),
            &[&format!("session.id[0].header: {credentials}")],
        );
    }

    refused(
        &with("/session/token", json!([{"cookie": "a=b"}])),
        &["session.token[0].cookie: must be the name of a cookie"],
    );
    refused(
        &with("/identity/max_body_bytes", json!(0)),
        &["identity.max_body_bytes: must be between 1 and 1048576"],
    );
}

#[test]
fn a_key_makes_references_and_no_mode_does_without_one_that_needs_it() {
    let mode = |section: Value| {
        accepted(&with("/session", section))
            .recorder
            .session
            .token_mode
    };
    let keys = |ids: &[&str]| {
        ids.iter()
            .map(|id| json!({"id": id, "key": format!("{KEY}{id}")}))
            .collect::<Value>()
    };

    let first = mode(json!({"hmac_keys": keys(&["new", "old"])}));
    assert!(matches!(first, TokenMode::Hmac(_)));
    assert_eq!(
        first,
        mode(json!({"hmac_keys": keys(&["new"])})),
        "the first one makes references"
    );
    assert_ne!(first, mode(json!({"hmac_keys": keys(&["old", "new"])})));
    assert_eq!(
        mode(json!({"hmac_keys": keys(&["a"]), "token_mode": "omit"})),
        TokenMode::Omit
    );
    assert_eq!(mode(json!({"hmac_keys": []})), TokenMode::Omit);
    assert_eq!(mode(json!({"token_mode": "sha256"})), TokenMode::Sha256);

    let needs = "session.token_mode: needs a valid key in session.hmac_keys";
    refused(&with("/session/token_mode", json!("hmac")), &[needs]);
    for key in ["short", "", &"x".repeat(31)] {
        let short = json!({"token_mode": "hmac", "hmac_keys": [{"id": "k", "key": key}]});
        refused(
            &with("/session", short),
            &[
                "session.hmac_keys[0].key: must have at least 32 bytes",
                needs,
            ],
        );
    }

    let older = json!([{"id": "a", "key": KEY}, {"id": "b", "key": "short"}]);
    refused(
        &with("/session/hmac_keys", older),
        &["session.hmac_keys[1].key: must have at least 32 bytes"],
    );
    refused(
        &with("/session/hmac_keys", keys(&["a", "b", "a"])),
        &["session.hmac_keys: must not have an id twice"],
    );

    let id = "session.hmac_keys[0].id: must be made of at most 64 of [A-Za-z0-9_.-]";
    for bad in ["a:b".to_owned(), "x".repeat(65)] {
        refused(
            &with("/session/hmac_keys", json!([{"id": bad, "key": KEY}])),
            &[id],
        );
    }
    refused(
        &with("/session/hmac_keys", json!([{}])),
        &[
            "session.hmac_keys[0].id: is required",
            "session.hmac_keys[0].key: is required",
        ],
    );
}

#[test]
fn secrets_in_clear_are_worth_a_warning() {
    let warnings = |mode: &str| {
        accepted(&with("/session/token_mode", json!(mode)))
            .warnings
            .len()
    };
    assert_eq!(
        (warnings("clear"), warnings("sha256"), warnings("omit")),
        (1, 0, 0)
    );

    let handed_on = |source: Value| {
        let gateway = json!({"name": "edge", "set_tracking": {"context": {"field": source}}});
        accepted(&with_rule(&gateway)).warnings
    };
    let expected = ["rules[0]: set_tracking.context hands on what looks secret"];
    assert_eq!(handed_on(json!({"cookie": "session"})), expected);
    assert_eq!(handed_on(json!({"header": "x-api-key"})), expected);
    assert!(handed_on(json!({"cookie": "theme"})).is_empty());
}

#[test]
fn an_id_that_opens_a_session_is_a_reference() {
    let id = |source: Value| {
        let config = accepted(&with("/session/id", json!([source])));
        (
            config.recorder.session.id[0].is_reference,
            config.warnings.len(),
        )
    };

    for (source, expected) in [
        (json!({"cookie": "JSESSIONID"}), (true, 0)),
        (json!({"cookie": "JSESSIONID", "clear": false}), (true, 0)),
        (json!({"cookie": "JSESSIONID", "clear": true}), (false, 1)),
        (json!({"bearer": true}), (true, 0)),
        (json!({"header": "x-session-id"}), (false, 0)),
        (json!({"header": "x-session-id", "clear": true}), (false, 0)),
        (json!({"header": "x-session-token"}), (true, 0)),
        (
            json!({"header": "x-session-token", "clear": true}),
            (false, 1),
        ),
    ] {
        assert_eq!(id(source.clone()), expected, "{source}");
    }

    let clear = "session.id[0]: clear is not for bearer: a token is recorded as a reference";
    refused(
        &with("/session/id", json!([{"bearer": true, "clear": true}])),
        &[clear],
    );
    let one = "session.id[0]: must have exactly one of header, cookie, bearer";
    refused(&with("/session/id", json!([{"clear": true}])), &[one]);
    let token = "session.token[0].clear: unknown key (known here: header, cookie, bearer)";
    refused(
        &with("/session/token", json!([{"cookie": "a", "clear": true}])),
        &[
            "session.token[0]: must have exactly one of header, cookie, bearer",
            token,
        ],
    );
}

#[test]
fn capture_needs_its_level_and_is_bounded() {
    let capture = json!({"query": ["q"]});
    refused(
        &rule("capture", capture.clone()),
        &["rules[0].capture: needs level: request"],
    );
    accepted(&with_rule(
        &json!({"name": "r", "level": "request", "capture": capture}),
    ));

    let names: Vec<String> = (0..=MAX_NAMES).map(|index| format!("x-{index}")).collect();
    let many = json!({"name": "r", "level": "request", "capture": {"response_headers": names}});
    refused(
        &with_rule(&many),
        &["rules[0].capture.response_headers: must have at most 32 entries"],
    );

    let twice = json!({"name": "r", "level": "request", "capture": {"request_headers": ["X-A", "x-b", "x-a"]}});
    refused(
        &with_rule(&twice),
        &["rules[0].capture.request_headers: must not have an entry twice"],
    );

    let odd = json!({"name": "r", "level": "request", "capture": {"query": ["a\"b"]}});
    refused(
        &with_rule(&odd),
        &[r#"rules[0].capture.query[0]: must be made of visible ASCII other than " and \"#],
    );
}

#[test]
fn a_gateway_does_not_record_unless_it_says_so() {
    let recorded = |level: Value| {
        let mut entry = json!({"name": "r", "set_tracking": {"operation": "o"}});
        entry
            .as_object_mut()
            .unwrap()
            .extend(level.as_object().unwrap().clone());
        accepted(&with_rule(&entry)).recorder.policy[0].recorded
    };

    assert_eq!(
        (recorded(json!({})), recorded(json!({"level": "metadata"}))),
        (false, true)
    );

    let fields: serde_json::Map<String, Value> = (0..=MAX_CONTEXT_FIELDS)
        .map(|index| (format!("f{index}"), json!({"header": "x-a"})))
        .collect();
    refused(
        &rule("set_tracking", json!({"context": fields})),
        &["rules[0].set_tracking.context: must have at most 16 fields"],
    );
    refused(
        &rule("set_tracking", json!({"operation": "a\nb"})),
        &[
            "rules[0].set_tracking.operation: must be a header value: printable ASCII without spaces at its ends",
        ],
    );
}

#[test]
fn what_needs_a_record_is_refused_without_one() {
    let sentence = "needs a record, and level is none (its default where set_tracking is given)";
    for (key, value) in [
        ("session", json!("end")),
        ("correlate", json!(true)),
        ("require_audit", json!("buffered")),
    ] {
        let none = json!({"name": "r", "level": "none", key: value});
        refused(&with_rule(&none), &[&format!("rules[0].{key}: {sentence}")]);

        let gateway = json!({"name": "r", "set_tracking": {"operation": "o"}, key: value});
        refused(
            &with_rule(&gateway),
            &[&format!("rules[0].{key}: {sentence}")],
        );
    }
}
