//! Hostile input: no trap, valid JSON, and the VM keeps running.

use serde_json::json;
use testkit::Mesh;
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcOptions, grpc_call, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::METHOD;
use testkit::headers::Headers;

pub async fn assert_vm_lives(mesh: &Mesh) {
    let stats = mesh.envoy.stats("wasm").await;
    let reloads: u64 = stats
        .iter()
        .filter(|(name, _)| name.contains("vm_reload"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(reloads, 0, "{stats:#?}");

    let log = mesh.envoy.log();
    assert!(
        !log.contains("panicked") && !log.contains("Function: proxy_on"),
        "{log}"
    );
}

#[tokio::test]
async fn bytes_that_are_not_utf8() {
    let mesh = Mesh::with_plugin(&json!({"rules": [{"name": "all"}]})).await;
    let evil = [b'a', 0xff, 0xfe, b'"', b'\\', 0x80, b'b'];
    let headers = Headers::new()
        .with("x-session-track", "true")
        .with("x-session-operation", evil)
        .with("x-session-context", evil)
        .with("user-agent", evil)
        .with("x-other", evil);

    let options = GrpcOptions::default();
    grpc_call(mesh.grpc, METHOD, headers.clone(), &options)
        .await
        .unwrap();
    http_get(mesh.http, "/any", headers, &CallOptions::default())
        .await
        .unwrap();
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 2);

    for record in &records {
        assert_eq!(
            record.text("audit.session.context"),
            String::from_utf8_lossy(&evil)
        );
        assert_eq!(record.text("audit.action"), String::from_utf8_lossy(&evil));
    }
    assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn a_hundred_duplicates() {
    let mesh = Mesh::start().await;
    let mut headers = Headers::new();
    for index in 0..30 {
        headers = headers
            .with("x-session-track", "false")
            .with("x-session-operation", format!("o{index}"));
        headers = headers.with("x-session-context", format!("c{index}"));
    }

    headers = headers.with("x-session-track", "true");
    grpc_call(mesh.grpc, METHOD, headers, &GrpcOptions::default())
        .await
        .unwrap();

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("audit.action"), "o29");
    assert_eq!(records[0].text("audit.header_conflict"), "true");

    let seen = mesh.upstream.seen().at_path(METHOD);
    assert!(
        !seen[0].headers.contains("x-session-track")
            && !seen[0].headers.contains("x-session-operation")
    );
    assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn a_huge_context_is_recorded_by_its_hash() {
    const HUGE: usize = 60 * 1024;

    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with(|bootstrap| {
            for manager in bootstrap.connection_managers() {
                // Envoy's default limit is 60 KiB for all headers together.
                manager["max_request_headers_kb"] = json!(96);
            }
        });
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;

    let context = "x".repeat(HUGE);
    mesh.get(
        "/any",
        &[("x-session-track", "true"), ("x-session-context", &context)],
    )
    .await;
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);

    let hash = records[0].text("audit.session.context");
    assert!(
        hash.starts_with("sha256:") && hash.len() == 7 + 64,
        "{hash}"
    );
    assert_eq!(records[0].int("audit.session.context_length"), HUGE as u64);
    assert_eq!(records[0].text("audit.session.context_hashed"), "true");

    let seen = mesh.upstream.seen().at_path("/any");
    assert_eq!(
        seen[0]
            .headers
            .text("x-session-context")
            .map(|kept| kept.len()),
        Some(HUGE)
    );
    assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn traceparents_addresses_and_paths_without_sense() {
    let mesh = Mesh::with_plugin(&json!({"rules": [{"name": "all"}]})).await;
    let long = format!("/{}", "%2e/".repeat(8000));

    for (path, traceparent) in [
        ("/%", "00-x"),
        ("/..%2f..", "00"),
        (long.as_str(), "-"),
        ("/?", ""),
    ] {
        mesh.get(
            path,
            &[
                ("traceparent", traceparent),
                ("x-forwarded-for", "not an address"),
            ],
        )
        .await;
    }

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 4);
    assert!(
        records
            .iter()
            .all(|record| record.raw.get("traceId").is_none())
    );
    assert_vm_lives(&mesh).await;
}

/// The most headers that Envoy can be configured to accept; proxy-wasm hosts refuse to take back so
/// many.
#[tokio::test]
async fn more_than_a_thousand_headers() {
    const GONE: [&str; 4] = [
        "x-session-track",
        "x-session-operation",
        "x-audit-stream-id",
        "x-audit-sequence-number",
    ];

    let mut bootstrap = Bootstrap::shipped().with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    for manager in bootstrap.connection_managers() {
        manager["common_http_protocol_options"] = json!({"max_headers_count": 4096});
    }

    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    let many = (0..1100).fold(Headers::new(), |headers, index| {
        headers.with(&format!("h{index}"), "v")
    });
    let headers = GONE
        .iter()
        .fold(many, |headers, name| headers.with(name, "true"))
        .with("x-session-context", "c");
    let answer = http_get(mesh.http, "/many", headers, &CallOptions::default())
        .await
        .unwrap();
    assert_eq!(answer.status, 200);

    let seen = mesh.upstream.seen().at_path("/many");
    assert!(seen[0].headers.contains("h1099"), "Envoy let them through");

    for name in GONE {
        assert!(!seen[0].headers.contains(name), "{name} has passed");
    }

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(
        (
            records.len(),
            records[0].text("audit.session.context").as_str()
        ),
        (1, "c")
    );
    assert_vm_lives(&mesh).await;
}
