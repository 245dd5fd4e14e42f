//! Session checks over HTTP, with the default rules.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use testkit::Mesh;

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "compares the record's time with the real one"
)]
async fn a_successful_check_is_recorded_once() {
    let mesh = Mesh::start().await;
    let headers = [
        ("x-demo-delay-ms", "20"),
        ("user-agent", "tester/1"),
        ("host", "api.example.com:8080"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    assert_eq!(mesh.get("/check?secret=1", &headers).await.status, 200);

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "{records:#?}");

    let record = &records[0];
    assert_eq!(record.event, "audit.http");

    for (name, value) in [
        ("audit.rule", "check"),
        ("audit.action", "GET /check"),
        ("audit.outcome", "success"),
        ("audit.stage", "complete"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/check"),
        ("server.address", "api.example.com"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "tester/1"),
        ("service.name", "demo"),
        ("telemetry.sdk.name", "audit-filter"),
        ("audit.sequence.number", "1"),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }

    assert_eq!(record.raw["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(record.raw["spanId"], "b7ad6b7169203331");
    assert_eq!(record.raw["severityNumber"], 9);
    assert_eq!(record.raw["body"]["stringValue"], "GET /check success");
    assert!(record.uid().starts_with("aud_"), "{}", record.uid());
    assert!(!record.text("audit.request_id").is_empty());
    assert!(
        !record.raw.to_string().contains("secret"),
        "no query is recorded"
    );
    assert!(!record.has("audit.response.flags") && !record.has("audit.response.code_details"));

    let duration: f64 = record.attributes["audit.duration_ms"].as_f64().unwrap();
    assert!((20.0..5000.0).contains(&duration), "{duration}");

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let nanos =
        |name: &str| Duration::from_nanos(record.raw[name].as_str().unwrap().parse().unwrap());
    let age = now.checked_sub(nanos("timeUnixNano")).unwrap();
    assert!(age < Duration::from_secs(10), "{age:?}");
    assert!(nanos("observedTimeUnixNano") - nanos("timeUnixNano") < Duration::from_secs(5));
    assert!(nanos("observedTimeUnixNano") >= nanos("timeUnixNano"));

    let seen = mesh.upstream.seen().at_path("/check");
    assert_eq!(
        seen[0].headers.text("x-request-id"),
        Some(record.text("audit.request_id"))
    );
}

#[tokio::test]
async fn the_stream_is_announced_before_its_first_record() {
    let mesh = Mesh::start().await;
    mesh.get("/check", &[]).await;
    mesh.sink.wait_for(1).await;

    let records = mesh.sink.records();
    assert_eq!(records[0].event, "audit.stream.start");
    assert_eq!(records[0].int("audit.sequence.number"), 0);

    let stream = records[0].text("audit.stream.id");
    assert_ne!(records[0].text("service.instance.id"), stream);
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.stream.id") == stream)
    );
}

#[tokio::test]
async fn checks_that_the_rule_does_not_want_are_excluded() {
    let mesh = Mesh::start().await;
    for status in ["401", "403", "500", "302"] {
        assert_eq!(
            mesh.get("/check", &[("x-demo-status", status)])
                .await
                .status
                .to_string(),
            status
        );
    }

    assert!(mesh.exchanges_until_marker().await.is_empty());
    let stats = mesh.stat_at_least("records.excluded", 4).await;
    assert_eq!(stats["records.excluded"], 4);
}

#[tokio::test]
async fn other_requests_are_not_recorded() {
    let mesh = Mesh::start().await;
    mesh.request("POST", "/check", &[]).await;
    for path in ["/checks", "/check/", "/", "/a/check"] {
        mesh.get(path, &[]).await;
    }

    assert!(mesh.exchanges_until_marker().await.is_empty());
    assert_eq!(
        mesh.envoy.stats("audit_filter").await["records.excluded"],
        0
    );
}

#[tokio::test]
async fn every_spelling_of_the_path_is_recorded_in_normal_form() {
    let mesh = Mesh::start().await;
    let spellings = [
        "/check?x=1",
        "//check",
        "/%63heck",
        "/a/../check",
        "/./check",
        "/a/%2e%2e/check",
    ];

    for path in spellings {
        mesh.get(path, &[]).await;
    }

    let records = mesh.exchanges_until_marker().await;
    let paths: Vec<String> = records
        .iter()
        .map(|record| record.text("url.path"))
        .collect();
    assert_eq!(paths, vec!["/check"; spellings.len()]);
}

#[tokio::test]
async fn rules_are_tried_in_order_on_two_workers() {
    let rules = json!({"rules": [
        {"name": "health", "match": {"path": {"exact": "/healthz"}}, "level": "none"},
        {"name": "password", "match": {"methods": ["POST"], "path": {"template": "/v1/users/{id}/password"}},
         "action": "change_password", "tags": {"retention": "7y"}, "extra_fields": ["upstream_cluster", "response_code_details"]},
        {"name": "internal", "match": {"hosts": ["*.internal"], "headers": [{"name": "x-env", "exact": "prod"}]}},
        {"name": "rest", "match": {"path": {"prefix": "/v1/"}}, "http_statuses": ["2xx"]},
    ]});
    let bootstrap = testkit::envoy::bootstrap::Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(&rules);
    let mesh = Mesh::with_bootstrap(bootstrap, testkit::audit::sink::Sink::start().await, 2).await;

    mesh.get("/healthz", &[]).await;
    mesh.request("POST", "/v1/users/42/password", &[]).await;
    mesh.get("/any", &[("host", "a.internal:80"), ("x-env", "prod")])
        .await;
    mesh.get("/any", &[("host", "a.internal"), ("x-env", "test")])
        .await;
    mesh.get("/v1/users/42/password", &[]).await;
    mesh.get("/v1/users", &[("x-demo-status", "500")]).await;

    let mut records = mesh.sink.wait_for(3).await;
    mesh.stat_at_least("records.excluded", 2).await;
    records.sort_by_key(|record| record.text("audit.rule"));

    let rules: Vec<String> = records
        .iter()
        .map(|record| record.text("audit.rule"))
        .collect();
    assert_eq!(rules, ["internal", "password", "rest"]);

    assert_eq!(records[1].text("audit.action"), "change_password");
    assert_eq!(records[1].text("http.route"), "/v1/users/{id}/password");
    assert_eq!(records[1].text("audit.tag.retention"), "7y");
    assert_eq!(records[1].text("audit.upstream.cluster"), "demo_http");
    assert_eq!(
        records[1].text("audit.response.code_details"),
        "via_upstream"
    );
    assert_eq!(records[2].text("audit.action"), "GET /v1/users/42/password");
}

#[tokio::test]
async fn a_disabled_filter_records_nothing_and_strips_all_the_same() {
    let mesh = Mesh::with_plugin(&json!({"enabled": false})).await;
    mesh.get(
        "/check",
        &[("x-session-track", "true"), ("x-session-context", "Y3R4")],
    )
    .await;
    let stats = mesh.stat_at_least("headers.stripped", 1).await;
    assert_eq!(stats["records.captured"], 0);

    let seen = mesh.upstream.seen().at_path("/check");
    assert!(!seen[0].headers.contains("x-session-track"));
    assert_eq!(
        seen[0].headers.text("x-session-context").as_deref(),
        Some("Y3R4")
    );
}
