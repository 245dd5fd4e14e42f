//! Tracked gRPC calls: a call with the control header is recorded, and the control headers are
//! removed.

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::Mesh;
use testkit::client::{CallOptions, GrpcOptions, grpc_call, raw_exchange};
use testkit::envoy::mesh::METHOD;
use testkit::headers::Headers;
use testkit::upstream::Seen;

const CONTROL: [&str; 2] = ["x-session-track", "x-session-operation"];

fn has_control(seen: &Seen) -> bool {
    CONTROL
        .iter()
        .any(|name| seen.headers.contains(name) || seen.trailers.contains(name))
}

#[tokio::test]
async fn a_tracked_call_is_recorded_and_its_headers_stay_here() {
    let mesh = Mesh::start().await;
    let answer = mesh
        .call(&[("x-session-track", "true"), ("x-session-context", "Y3R4")])
        .await
        .unwrap();
    assert_eq!(answer.grpc_status().as_deref(), Some("0"));

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);

    let record = &records[0];
    assert_eq!(record.event, "audit.rpc");

    for (name, value) in [
        ("audit.rule", "tracked"),
        ("audit.action", METHOD),
        ("audit.outcome", "success"),
        ("audit.session.context", "Y3R4"),
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD.trim_start_matches('/')),
        ("rpc.response.status_code", "OK"),
        ("audit.rpc.status_source", "trailers"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "2"),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }

    assert!(record.attributes["audit.duration_ms"].as_f64().unwrap() > 0.0);

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(!has_control(&seen[0]));
    assert_eq!(
        seen[0].headers.text("x-session-context").as_deref(),
        Some("Y3R4"),
        "the context travels on"
    );
}

#[tokio::test]
async fn an_operation_label_is_the_action() {
    let mesh = Mesh::start().await;
    let headers = [
        ("x-session-track", "true"),
        ("x-session-operation", "change_password"),
        ("x-session-context", "Y3R4"),
    ];
    mesh.call(&headers).await.unwrap();

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records[0].text("audit.action"), "change_password");
    assert_eq!(
        records[0].raw["body"]["stringValue"],
        "change_password success"
    );
    assert!(!has_control(&mesh.upstream.seen().at_path(METHOD)[0]));
}

#[tokio::test]
async fn what_is_not_exactly_tracked_is_not_recorded_but_stripped() {
    let mesh = Mesh::start().await;
    let context = ("x-session-context", "Y3R4");
    let cases: [&[(&str, &str)]; 6] = [
        &[("x-session-track", "false"), context],
        &[("x-session-track", "TRUE"), context],
        &[("x-session-track", "1"), context],
        &[("x-session-operation", "change_password"), context],
        &[("x-session-track", "true")],
        &[("x-session-track", "true"), ("x-session-context", "")],
    ];

    for headers in cases {
        mesh.call(headers).await.unwrap();
    }
    assert!(mesh.exchanges_until_marker().await.is_empty());

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert_eq!(seen.len(), cases.len());
    assert!(!seen.iter().any(has_control), "{seen:#?}");

    let stats = mesh.stat_at_least("records.skipped_empty_context", 2).await;
    assert_eq!(stats["records.skipped_empty_context"], 2);
    assert_eq!(stats["headers.stripped"], 6);
}

#[tokio::test]
async fn an_empty_context_is_recorded_on_demand() {
    let mesh = Mesh::with_plugin(
        &json!({"tracking": {"on_empty_context": "record", "strip_context": true}}),
    )
    .await;
    mesh.call(&[("x-session-track", "true")]).await.unwrap();
    mesh.call(&[("x-session-track", "true"), ("x-session-context", "Y3R4")])
        .await
        .unwrap();

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 2);
    assert!(!records[0].has("audit.session.context"));
    assert_eq!(records[1].text("audit.session.context"), "Y3R4");

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(
        !seen
            .iter()
            .any(|seen| seen.headers.contains("x-session-context"))
    );
}

#[tokio::test]
async fn duplicates_cannot_switch_the_audit_off() {
    let mesh = Mesh::start().await;
    let headers = [
        ("x-session-track", "false"),
        ("x-session-track", "true"),
        ("x-session-context", "first"),
        ("x-session-context", "last"),
        ("x-session-operation", "first"),
        ("x-session-operation", "last"),
    ];
    mesh.call(&headers).await.unwrap();

    mesh.call(&[
        ("x-session-track", "false, true"),
        ("x-session-context", "list"),
    ])
    .await
    .unwrap();

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].text("audit.action"), "last");
    assert_eq!(records[0].text("audit.session.context"), "last");
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.header_conflict") == "true")
    );
    assert!(!mesh.upstream.seen().at_path(METHOD).iter().any(has_control));
}

#[tokio::test]
async fn equal_values_are_no_conflict_and_only_the_track_header_is_a_list() {
    let mesh = Mesh::start().await;
    let headers = [
        ("x-session-track", "true"),
        ("x-session-track", "true ,\ttrue"),
        ("x-session-operation", "pay, then run"),
        ("x-session-context", "a,b"),
        ("x-session-context", "a,b"),
    ];
    mesh.call(&headers).await.unwrap();

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("audit.action"), "pay, then run");
    assert_eq!(records[0].text("audit.session.context"), "a,b");
    assert!(!records[0].has("audit.header_conflict"), "{records:#?}");
}

#[tokio::test]
async fn capital_letters_change_nothing() {
    let mesh = Mesh::start().await;
    let head = "GET /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-SESSION-TRACK: true\r\nX-Session-Operation: shout\r\n\
                X-SESSION-CONTEXT: Y3R4\r\nX-Audit-Stream-Id: forged\r\n\r\n";

    for (peer, forwarded) in [
        (Ipv4Addr::LOCALHOST, true),
        (Ipv4Addr::new(127, 0, 0, 2), false),
    ] {
        mesh.upstream.seen().clear();
        raw_exchange(mesh.http, head.as_bytes(), &CallOptions::from_ip(peer))
            .await
            .unwrap();

        let seen = &mesh.upstream.seen().at_path("/any")[0];
        assert!(
            !has_control(seen) && !seen.headers.contains("x-audit-stream-id"),
            "{seen:#?}"
        );
        assert_eq!(
            seen.headers.contains("x-session-context"),
            forwarded,
            "a stranger's context is removed, too"
        );
    }

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "only a trusted peer is heard");
    assert_eq!(records[0].text("audit.action"), "shout");
    assert_eq!(
        mesh.stat_at_least("headers.spoofed", 3).await["headers.spoofed"],
        3
    );
}

#[tokio::test]
async fn a_denied_call_keeps_its_status_and_message() {
    let mesh = Mesh::start().await;
    let answer = mesh
        .tracked_call("status:7:bad t%C3%B6k%C3%A9n 100%25")
        .await
        .unwrap();
    assert_eq!(
        answer.grpc_status().as_deref(),
        Some("7"),
        "the client still gets 7"
    );

    let records = mesh.exchanges_until_marker().await;
    let record = &records[0];
    assert_eq!(record.text("rpc.response.status_code"), "PERMISSION_DENIED");
    assert_eq!(record.text("audit.outcome"), "denied");
    assert_eq!(record.text("error.message"), "bad t\u{f6}k\u{e9}n 100%");
    assert_eq!(record.text("audit.response.code_details"), "via_upstream");
    assert_eq!(record.raw["severityNumber"], 13);
}

#[tokio::test]
async fn request_trailers_are_stripped_too() {
    // Trailers cross an HTTP/1.1 hop only on request; the gRPC listener uses HTTP/2 on both sides.
    let mesh = Mesh::start().await;
    let trailers = Headers::new()
        .with("x-session-track", "true")
        .with("x-session-operation", "o")
        .with("x-audit-stream-id", "forged")
        .with("x-kept", "1");
    let options = GrpcOptions {
        trailers,
        ..GrpcOptions::default()
    };
    grpc_call(mesh.grpc, METHOD, Headers::new(), &options)
        .await
        .unwrap();

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert_eq!(seen[0].trailers.text("x-kept").as_deref(), Some("1"));
    assert!(!has_control(&seen[0]), "{seen:#?}");
    assert!(!seen[0].trailers.contains("x-audit-stream-id"));
}

#[tokio::test]
async fn correlation_headers_of_a_client_never_pass() {
    let mesh = Mesh::start().await;
    mesh.get(
        "/any",
        &[
            ("x-audit-stream-id", "forged"),
            ("x-audit-sequence-number", "7"),
        ],
    )
    .await;

    let seen = mesh.upstream.seen().at_path("/any");
    assert!(
        !seen[0].headers.contains("x-audit-stream-id")
            && !seen[0].headers.contains("x-audit-sequence-number")
    );
}

#[tokio::test]
async fn tracked_http_requests_are_recorded_as_well() {
    let mesh = Mesh::start().await;
    let headers = [
        ("x-session-track", "true"),
        ("x-session-context", "Y3R4"),
        ("x-demo-status", "403"),
    ];
    mesh.request("POST", "/login", &headers).await;

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records[0].event, "audit.http");
    assert_eq!(records[0].text("audit.action"), "POST /login");
    assert_eq!(records[0].text("audit.outcome"), "denied");
    assert_eq!(records[0].text("http.response.status_code"), "403");
}
