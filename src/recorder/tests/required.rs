//! Requirements and data of a request before it goes upstream, and records without a batch delay.

use super::*;
use crate::record::{Event, Stage};
use crate::recorder::identity::Identity;
use crate::wire::{Encoder, Format, Numbered, Resource};

fn rule(more: &Value) -> Value {
    let mut rule = json!({"name": "r", "match": {"path": {"template": "/users/{id}"}}, "tags": {"retention": "7y"}});
    rule.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!([rule])
}

fn required(word: &str) -> Value {
    rule(&json!({"require_audit": word}))
}

#[test]
fn only_the_rule_that_matches_demands() {
    for (word, expected) in [
        ("none", RequireAudit::None),
        ("buffered", RequireAudit::Buffered),
        ("acknowledged", RequireAudit::Acknowledged),
    ] {
        let run = Case::new("GET", "/users/7").rules(&required(word)).run();
        assert_eq!(
            (run.required, run.received.is_some()),
            (expected, expected != RequireAudit::None)
        );
        assert_eq!(
            Case::new("GET", "/other")
                .rules(&required(word))
                .run()
                .required,
            RequireAudit::None
        );
    }
}

#[test]
fn nothing_is_demanded_where_no_record_would_be_made() {
    let disabled = json!({"enabled": false, "rules": required("acknowledged")});
    assert_eq!(
        Case::new("GET", "/users/7")
            .config(&disabled)
            .run()
            .required,
        RequireAudit::None
    );
}

#[test]
fn a_tracked_request_is_held_with_and_without_a_context() {
    let tracked = json!({
        "tracking": {"on_empty_context": "record"},
        "rules": [{"name": "r", "match": {"tracked": true}, "require_audit": "acknowledged"}],
    });

    for headers in [
        &[TRACK][..],
        &[TRACK, ("x-session-context", "")],
        &[TRACK, CONTEXT],
    ] {
        let run = Case::new("GET", "/")
            .config(&tracked)
            .headers(headers)
            .run();

        assert_eq!(
            (run.required, run.received.is_some()),
            (RequireAudit::Acknowledged, true),
            "{headers:?}"
        );
    }
}

#[test]
fn a_receipt_is_made_whatever_ends_are_recorded() {
    for limit in [
        json!({"record_on": ["denied"]}),
        json!({"http_statuses": [404]}),
    ] {
        let mut keys = json!({"require_audit": "acknowledged"});
        keys.as_object_mut()
            .unwrap()
            .extend(limit.as_object().unwrap().clone());

        let run = Case::new("GET", "/users/7").rules(&rule(&keys)).run();
        assert_eq!(
            (run.received.is_some(), run.record.is_some()),
            (true, false),
            "{limit}"
        );
    }
}

#[test]
fn a_receipt_says_what_the_end_will_say_of_the_request() {
    let headers = [
        CONTEXT,
        ("user-agent", "a"),
        ("x-request-id", "id-1"),
        ("x-session-operation", "said"),
    ];

    let run = Case::new("PUT", "/users/7")
        .rules(&required("acknowledged"))
        .headers(&headers)
        .status("403")
        .run();
    let (receipt, end) = (run.received.unwrap(), run.record.unwrap());

    assert_eq!(
        (receipt.outcome, receipt.http_status, receipt.duration),
        (None, None, Duration::ZERO)
    );

    let (stage, outcome, http_status, identity) =
        (Stage::Received, None, None, Identity::default());
    let (response_code_details, duration) = (None, Duration::ZERO);
    let without_its_end = ExchangeRecord {
        stage,
        outcome,
        http_status,
        identity,
        response_code_details,
        duration,
        ..*end
    };

    assert_eq!(format!("{receipt:?}"), format!("{without_its_end:?}"));
    assert_eq!(
        (text(receipt.action()), receipt.start_unix_nanos),
        ("said", START.unix_nanos)
    );
}

#[test]
fn a_record_waits_for_nothing_when_its_outcome_says_so() {
    let rules = rule(&json!({"immediate_on": ["denied", "aborted"]}));
    for (status, expected) in [("200", false), ("500", false), ("401", true), ("", true)] {
        let record = Case::new("GET", "/users/7")
            .rules(&rules)
            .status(status)
            .recorded();
        assert_eq!(record.immediate, expected, "{status}");
    }

    assert!(
        Case::new("GET", "/users/7")
            .rules(&rules)
            .broken_off()
            .recorded()
            .immediate
    );
}

/// Every byte is escaped and takes six.
const LONG: &str = "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}";

#[test]
fn the_place_is_large_enough_for_what_the_end_adds() {
    let long = LONG.repeat(128);
    let names: Vec<String> = (0..32).map(|index| format!("x-{index}")).collect();
    let rules = rule(&json!({
        "require_audit": "buffered", "level": "request", "session": "start",
        "extra_fields": ["upstream_cluster", "response_flags", "response_code_details"],
        "capture": {"response_headers": names},
        "identity": {"user_id": [{"response_header": "x-a"}], "user_name": [{"response_header": "x-a"}],
            "user_email": [{"response_header": "x-a"}]},
    }));
    let mut case = Case::new("GET", "/users/7")
        .rules(&rules)
        .headers(&[("content-type", "application/grpc")]);
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["x-a", "x-audit-session-id"])
    {
        case = case.response_header(name, &long);
    }

    case.stream = case
        .stream
        .with_trailers(&[("grpc-status", "7"), ("grpc-message", &long)])
        .with_number(Property::ResponseFlags, i64::MAX);
    case.stream = case.stream.with_properties(&[
        (Property::ResponseCodeDetails, &long),
        (Property::UpstreamCluster, &long),
    ]);

    let run = case.run();
    let mut encoder = Encoder::new(Format::OtlpJson, Resource::default());
    let mut bytes = |record: Box<ExchangeRecord>| {
        let event = &Event::Exchange(record);
        let (time_unix_nanos, observed_unix_nanos) = (0, 0);

        encoder
            .record(&Numbered {
                number: 0,
                uid: STREAM,
                time_unix_nanos,
                observed_unix_nanos,
                event,
            })
            .len()
    };
    let added = bytes(run.record.unwrap()) - bytes(run.received.unwrap());

    assert!(
        (40_000..=run.most_ending_bytes).contains(&added),
        "{added} of {}",
        run.most_ending_bytes
    );
}
