//! `grpc-session-tracking.yaml`: session activity on gRPC services, as Orion's interceptor tracks
//! it.

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::audit::sink::Answer;
use testkit::client::{CallOptions, GrpcOptions, grpc_call};
use testkit::envoy::mesh::{METHOD, list};
use testkit::upstream::Seen;

use super::{example, example_with, texts};

const NAME: &str = "grpc-session-tracking";
const TRACK: (&str, &str) = ("x-session-track", "true");
const CONTEXT: (&str, &str) = ("x-session-context", "Y3R4");

fn has_control(seen: &Seen) -> bool {
    seen.headers.contains("x-session-track") || seen.headers.contains("x-session-operation")
}

/// "Track absent", "track false", "no metadata", and headers that the interceptor relayed without
/// acting on them.
#[tokio::test]
async fn what_is_not_tracked_passes_without_an_event_and_without_control_headers() {
    let mesh = example(NAME).await;
    let untracked: [&[(&str, &str)]; 6] = [
        &[],
        &[CONTEXT],
        &[("x-session-track", "false"), CONTEXT],
        &[("x-session-track", "TRUE"), CONTEXT],
        &[("x-session-operation", "change_password"), CONTEXT],
        &[
            ("x-session-track", "yes"),
            ("x-session-operation", "change_password"),
        ],
    ];

    for headers in untracked {
        assert_eq!(
            mesh.call(headers).await.unwrap().grpc_status().as_deref(),
            Some("0")
        );
    }

    mesh.get(METHOD, &[TRACK, CONTEXT]).await;
    mesh.call(&[TRACK, ("x-session-context", "marker")])
        .await
        .unwrap();
    assert_eq!(
        texts(&mesh.settled(1).await, "audit.session.context"),
        ["marker"],
        "and nothing that is no call"
    );

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert_eq!(seen.len(), untracked.len() + 2);
    assert!(!seen.iter().any(has_control), "{seen:#?}");
}

/// "Track and context: event with exact fields and topic", and "operation unset: the action is the
/// full method".
#[tokio::test]
async fn a_tracked_call_is_an_event_with_exact_fields() {
    let mesh = example(NAME).await;
    mesh.call(&[TRACK, CONTEXT, ("x-demo-delay-ms", "20")])
        .await
        .unwrap();
    let records = mesh.settled(1).await;
    assert_eq!(records.len(), 1);

    let record = &records[0];
    for (name, value) in [
        ("audit.session.context", "Y3R4"),
        ("service.name", "accounts"),
        ("audit.action", METHOD),
        ("rpc.response.status_code", "OK"),
        ("audit.rpc.status_source", "trailers"),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }

    let duration = record.attributes["audit.duration_ms"].as_f64().unwrap();
    assert!((20.0..5000.0).contains(&duration), "{duration}");

    let start: u64 = record.raw["timeUnixNano"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(start > 0);
}

/// "Track and empty context: skip"; the interceptor then passed the control headers on.
#[tokio::test]
async fn an_empty_context_is_skipped_and_stripped_all_the_same() {
    let mesh = example(NAME).await;
    mesh.call(&[TRACK]).await.unwrap();
    mesh.call(&[TRACK, ("x-session-context", "")])
        .await
        .unwrap();
    mesh.call(&[TRACK, ("x-session-context", "marker")])
        .await
        .unwrap();

    assert_eq!(
        texts(&mesh.settled(1).await, "audit.session.context"),
        ["marker"]
    );
    assert_eq!(
        mesh.stat_at_least("records.skipped_empty_context", 2).await["records.skipped_empty_context"],
        2
    );
    assert!(!mesh.upstream.seen().at_path(METHOD).iter().any(has_control));
}

/// "Operation set: action = label", "track and operation stripped, context preserved".
#[tokio::test]
async fn the_operation_is_the_action_and_only_the_context_travels_on() {
    let mesh = example(NAME).await;
    mesh.call(&[TRACK, CONTEXT, ("x-session-operation", "change_password")])
        .await
        .unwrap();
    assert_eq!(
        texts(&mesh.settled(1).await, "audit.action"),
        ["change_password"]
    );

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(!has_control(&seen[0]), "{seen:#?}");
    assert_eq!(
        seen[0].headers.text("x-session-context").as_deref(),
        Some("Y3R4")
    );
}

/// "Simulated metadata forwarding does not relay them."
#[tokio::test]
async fn a_service_that_forwards_its_metadata_makes_no_second_event() {
    let mesh = example(NAME).await;
    mesh.call(&[TRACK, CONTEXT, ("x-session-operation", "first")])
        .await
        .unwrap();

    let seen = mesh.upstream.seen().at_path(METHOD).remove(0);
    let forwarded: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-session"))
        .collect();
    assert!(!forwarded.is_empty());

    let text = |value| std::str::from_utf8(value).unwrap();
    let headers: Vec<_> = forwarded
        .iter()
        .map(|(name, value)| (*name, text(value)))
        .collect();
    mesh.call(&headers).await.unwrap();
    mesh.call(&[TRACK, CONTEXT, ("x-session-operation", "marker")])
        .await
        .unwrap();

    assert_eq!(
        texts(&mesh.settled(2).await, "audit.action"),
        ["first", "marker"]
    );
}

/// "Handler error: status = code name, and the error still returned", as on the wire.
#[tokio::test]
async fn an_error_is_recorded_by_name_and_still_returned() {
    let mesh = example(NAME).await;
    let scripts = [
        "status:7:wrong password",
        "trailers-only:5:gone",
        "status:4:late",
        "status:17:new",
    ];
    let codes = ["7", "5", "4", "17"];

    for (script, code) in scripts.into_iter().zip(codes) {
        assert_eq!(
            mesh.tracked_call(script)
                .await
                .unwrap()
                .grpc_status()
                .as_deref(),
            Some(code),
            "{script}"
        );
    }

    let records = mesh.settled(4).await;
    let names = [
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "DEADLINE_EXCEEDED",
        "CODE(17)",
    ];
    assert_eq!(texts(&records, "rpc.response.status_code"), names);
    assert_eq!(
        texts(&records, "error.message"),
        ["wrong password", "gone", "late", "new"]
    );
}

/// The interceptor saw unary calls only, and no call with a panic in its handler.
#[tokio::test]
async fn streams_and_calls_that_break_off_are_tracked_too() {
    let mesh = example(NAME).await;
    assert_eq!(
        mesh.tracked_call("stream:3").await.unwrap().messages.len(),
        3
    );

    // Envoy 1.36 ends such a stream without an error, and also without a status.
    let broken_off = mesh.tracked_call("reset").await;
    assert_eq!(
        broken_off.ok().and_then(|answer| answer.grpc_status()),
        None
    );

    let records = mesh.settled(2).await;
    assert_eq!(texts(&records, "audit.outcome"), ["success", "aborted"]);
    assert!(!mesh.upstream.seen().at_path(METHOD).iter().any(has_control));
}

/// The headers were not authenticated: any client could forge an event, or suppress one by a first
/// `false`.
#[tokio::test]
async fn only_the_gateway_makes_or_prevents_events() {
    let mesh = example(NAME).await;
    let options = GrpcOptions {
        call: CallOptions::from_ip(Ipv4Addr::new(127, 0, 0, 2)),
        ..GrpcOptions::default()
    };

    grpc_call(
        mesh.grpc,
        METHOD,
        list(&[TRACK, ("x-session-context", "forged")]),
        &options,
    )
    .await
    .unwrap();
    mesh.call(&[("x-session-track", "false"), TRACK, CONTEXT])
        .await
        .unwrap();

    let records = mesh.settled(1).await;
    assert_eq!(texts(&records, "audit.session.context"), ["Y3R4"]);
    assert_eq!(records[0].text("audit.header_conflict"), "true");
    assert_eq!(
        mesh.stat_at_least("headers.spoofed", 2).await["headers.spoofed"],
        2
    );
}

/// One event, one message.
#[tokio::test]
async fn each_event_leaves_by_itself_and_at_once() {
    let mesh = example(NAME).await;
    for count in 1..=3 {
        mesh.tracked_call("unary").await.unwrap();
        mesh.settled(count).await;
    }

    assert_eq!(
        mesh.sink.attempts().len(),
        4,
        "three events and the announcement of the stream"
    );
}

/// "Blocked producer times out in bound", "20 blocked publishes leak no goroutines"; none of the
/// twenty is lost.
#[tokio::test]
async fn twenty_calls_while_the_audit_cluster_is_silent_cost_nothing_but_their_records() {
    let mesh = example_with(NAME, &json!({"audit_cluster": {"timeout": "1s"}})).await;
    mesh.sink.answer_all(Some(Answer::Hang));

    for _ in 0..20 {
        assert_eq!(
            mesh.tracked_call("unary")
                .await
                .unwrap()
                .grpc_status()
                .as_deref(),
            Some("0")
        );
    }

    let stats = mesh.stat_at_least("records.captured", 21).await;
    assert_eq!(stats["buffer.records"], 21);
    assert!(stats["in_flight.batches"] <= 4, "{stats:#?}");

    mesh.sink.answer_all(None);
    let records = mesh.settled(20).await;
    assert_eq!(records.len(), 20);

    let stats = mesh.stat_at_least("records.acknowledged", 21).await;
    assert_eq!((stats["in_flight.batches"], stats["buffer.bytes"]), (0, 0));
}
