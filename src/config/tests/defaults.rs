//! Defaults of keys that are not given.

use super::*;

#[test]
fn of_the_pipeline() {
    let pipeline = accepted(&minimal()).pipeline;
    assert_eq!(pipeline.resource.service, "unknown-service");

    let target = Target {
        cluster: "audit".to_owned(),
        authority: "audit".to_owned(),
        path: "/v1/logs".to_owned(),
        format: Format::OtlpProtobuf,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
    };
    assert_eq!(pipeline.target, target);

    let batch = BatchLimits {
        max_records: 100,
        max_bytes: 262_144,
        max_delay: Duration::from_secs(1),
    };
    assert_eq!(pipeline.batch, batch);

    let buffer = BufferLimits {
        max_records: 13_500,
        max_bytes: 12_582_912,
        on_full: OnFull::DropNewest,
        immediate_reserve_percent: 10,
    };
    assert_eq!(pipeline.buffer, buffer);

    let retry = RetryPolicy {
        initial_backoff: Duration::from_millis(250),
        max_backoff: Duration::from_secs(30),
        max_attempts: None,
        max_age: None,
    };
    assert_eq!(pipeline.retry, retry);

    assert_eq!(pipeline.alive_interval, Some(Duration::from_secs(30)));
}

#[test]
fn of_the_recorder() {
    let recorder = accepted(&minimal()).recorder;
    assert!(recorder.enabled);

    let tracking = tracking::TrackingSettings {
        track_header: "x-session-track".to_owned(),
        operation_header: "x-session-operation".to_owned(),
        context_header: "x-session-context".to_owned(),
        strip_context: false,
        record_empty_context: false,
        max_context_bytes: 8192,
        correlation_headers: [
            "x-audit-stream-id".to_owned(),
            "x-audit-sequence-number".to_owned(),
        ],
    };
    assert_eq!(recorder.tracking, tracking);

    let cidrs: Vec<String> = recorder
        .trust
        .cidrs
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = ["127.0.0.0/8", "::1/128"];
    assert_eq!(cidrs, expected);

    assert!(recorder.trust.uri_sans.is_empty());
    assert_eq!(recorder.session.token_mode, TokenMode::Omit);
    assert_eq!(recorder.correlation_scope, Scope::Worker);
}

#[test]
fn a_rule_asks_for_nothing_that_it_does_not_name() {
    let empty = json!({
        "name": "r", "match": {}, "level": "metadata", "action": "", "http_statuses": [], "identity": {}, "immediate_on": [],
        "require_audit": "none", "session": "none", "correlate": false,
        "capture": {"query": [], "request_headers": [], "response_headers": []}, "set_tracking": {}, "tags": {},
        "extra_fields": [], "record_on": ["success", "failure", "denied", "aborted"],
    });

    assert_eq!(
        accepted(&with_rule(&empty)),
        accepted(&with_rule(&json!({"name": "r"})))
    );
}

/// Written out, the default rules are those of the contract.
#[test]
fn of_the_rules() {
    let written = with(
        "/rules",
        json!([
            {
                "name": "check",
                "match": {"protocol": "http", "methods": ["GET"], "path": {"exact": "/check"}},
                "record_on": ["success"],
                "http_statuses": [200],
                "identity": {"user_id": [{"response_json": "/UserId"}]},
            },
            {"name": "tracked", "match": {"tracked": true}},
        ]),
    );

    let rules = accepted(&minimal()).recorder.policy;
    assert_eq!(rules, accepted(&written).recorder.policy);
    assert_eq!(rules[0].record_on, [Outcome::Success]);
    assert_eq!(
        rules[0].http_statuses,
        [StatusRange {
            first: 200,
            last: 200
        }]
    );

    let all = [
        Outcome::Success,
        Outcome::Failure,
        Outcome::Denied,
        Outcome::Aborted,
    ];
    assert_eq!(rules[1].record_on, all);

    assert!(
        rules
            .iter()
            .all(|rule| rule.recorded && rule.action.is_none() && rule.tags.is_empty())
    );
    assert!(
        rules
            .iter()
            .all(|rule| rule.extra_fields == ExtraFields::default())
    );
    assert!(
        rules
            .iter()
            .all(|rule| rule.immediate_on.is_empty() && rule.require_audit == RequireAudit::None)
    );
}

#[test]
fn written_out_they_change_nothing() {
    let mut written: Value = serde_json::from_str(DEFAULTS).unwrap();
    put(&mut written, "/audit_cluster/cluster", json!("audit"));
    assert_eq!(accepted(&written), accepted(&minimal()));
}
