//! Exactly one record for every kind of stream end, with the way it ended.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcOptions, grpc_call, raw_exchange};
use testkit::envoy::bootstrap::{self, Bootstrap};
use testkit::envoy::mesh::{METHOD, list};
use testkit::upstream::Upstream;
use testkit::{Mesh, Record};

/// Records all requests, so that only the ending matters.
fn everything() -> Value {
    json!({"batch": {"max_delay": "50ms"}, "rules": [{"name": "all"}]})
}

async fn mesh_with(change: impl FnOnce(&mut Bootstrap)) -> Mesh {
    let bootstrap = Bootstrap::shipped().with_plugin(&everything()).with(change);
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

/// The only record of all requests so far.
async fn only_record(mesh: &Mesh) -> Record {
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "{records:#?}");
    records[0].clone()
}

#[track_caller]
fn assert_all(record: &Record, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(record.text(name), *value, "{name} of {record:#?}");
    }
}

#[tokio::test]
async fn grpc_trailers_only() {
    let mesh = mesh_with(|_| {}).await;
    let answer = mesh.tracked_call("trailers-only:16:who").await.unwrap();
    assert_eq!(answer.grpc_status().as_deref(), Some("16"));

    assert_all(
        &only_record(&mesh).await,
        &[
            ("rpc.response.status_code", "UNAUTHENTICATED"),
            ("audit.rpc.status_source", "headers"),
            ("audit.outcome", "denied"),
            ("error.message", "who"),
        ],
    );
}

#[tokio::test]
async fn grpc_server_streaming() {
    let mesh = mesh_with(|_| {}).await;
    assert_eq!(
        mesh.tracked_call("stream:3").await.unwrap().messages.len(),
        3
    );

    assert_all(
        &only_record(&mesh).await,
        &[
            ("rpc.response.status_code", "OK"),
            ("audit.rpc.status_source", "trailers"),
            ("audit.outcome", "success"),
        ],
    );
}

#[tokio::test]
async fn grpc_error_after_messages() {
    let mesh = mesh_with(|_| {}).await;
    mesh.tracked_call("stream-error:2:8:full").await.unwrap();

    assert_all(
        &only_record(&mesh).await,
        &[
            ("rpc.response.status_code", "RESOURCE_EXHAUSTED"),
            ("audit.outcome", "failure"),
            ("error.message", "full"),
        ],
    );
}

#[tokio::test]
async fn grpc_without_status() {
    let mesh = mesh_with(|_| {}).await;
    let _ = mesh.tracked_call("no-status").await;
    assert_all(
        &only_record(&mesh).await,
        &[
            ("rpc.response.status_code", "UNKNOWN"),
            ("audit.outcome", "failure"),
        ],
    );
}

#[tokio::test]
async fn grpc_client_cancels() {
    let mesh = mesh_with(|_| {}).await;
    let options = GrpcOptions {
        cancel_after_first_message: true,
        ..GrpcOptions::default()
    };
    let headers = list(&[
        ("x-session-track", "true"),
        ("x-session-context", "c"),
        ("x-demo-grpc", "hang"),
    ]);
    let _ = grpc_call(mesh.grpc, METHOD, headers, &options).await;

    let record = only_record(&mesh).await;
    assert_all(
        &record,
        &[
            ("rpc.response.status_code", "UNKNOWN"),
            ("audit.rpc.status_source", "reset"),
            ("audit.outcome", "aborted"),
            ("http.response.status_code", "200"),
        ],
    );

    assert!(
        !record.text("audit.response.flags").is_empty(),
        "{record:#?}"
    );
}

#[tokio::test]
async fn envoys_limit_breaks_off_what_has_begun() {
    let mesh = mesh_with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["common_http_protocol_options"] = json!({"max_stream_duration": "2s"});
        }
    })
    .await;
    let _ = mesh.tracked_call("hang").await;
    let record = only_record(&mesh).await;

    assert_all(
        &record,
        &[
            ("audit.rpc.status_source", "reset"),
            ("audit.outcome", "aborted"),
        ],
    );
    assert_eq!(
        record.text("audit.response.code_details"),
        "max_duration_timeout"
    );
}

#[tokio::test]
async fn grpc_upstream_resets() {
    let mesh = mesh_with(|_| {}).await;
    // The client's view of the reset depends on Envoy, and is not tested here.
    let _ = mesh.tracked_call("reset").await;

    assert_all(
        &only_record(&mesh).await,
        &[
            ("audit.rpc.status_source", "reset"),
            ("audit.outcome", "aborted"),
            ("audit.response.flags", "UR"),
        ],
    );
}

#[tokio::test]
async fn grpc_no_upstream() {
    let mut mesh = mesh_with(|_| {}).await;
    // Starts another upstream in place of the first, which closes its ports.
    mesh.upstream = Upstream::start().await.unwrap();
    let answer = mesh.tracked_call("unary").await.unwrap();
    assert_eq!(answer.grpc_status().as_deref(), Some("14"));

    let records = mesh.sink.wait_for(1).await;
    assert_all(
        &records[0],
        &[
            ("rpc.response.status_code", "UNAVAILABLE"),
            ("audit.rpc.status_source", "headers"),
            ("audit.outcome", "failure"),
            ("audit.response.flags", "UF"),
        ],
    );
}

#[tokio::test]
async fn http_refused_by_an_earlier_filter() {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&everything())
        .with_filter_at(0, &bootstrap::forbidding("/forbidden"));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    assert_eq!(
        mesh.get("/forbidden", &[("user-agent", "tester/1")])
            .await
            .status,
        403
    );

    let record = only_record(&mesh).await;
    assert_all(
        &record,
        &[
            ("http.response.status_code", "403"),
            ("audit.outcome", "denied"),
            ("url.path", "/forbidden"),
            ("user_agent.original", "tester/1"),
            (
                "audit.response.code_details",
                "rbac_access_denied_matched_policy[no]",
            ),
        ],
    );

    assert!(
        record.raw["timeUnixNano"].as_str().unwrap().len() == 19,
        "{record:#?}"
    );
}

#[tokio::test]
async fn http_refused_by_a_later_filter() {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&everything())
        .with_filter_at(1, &bootstrap::forbidding("/forbidden"));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    assert_eq!(mesh.get("/forbidden", &[]).await.status, 403);

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "403"),
            ("audit.outcome", "denied"),
        ],
    );
}

#[tokio::test]
async fn http_no_route() {
    let mesh = mesh_with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["route_config"]["virtual_hosts"][0]["routes"][0]["match"] =
                json!({"prefix": "/check"});
        }
    })
    .await;
    assert_eq!(mesh.get("/nowhere", &[]).await.status, 404);

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "404"),
            ("audit.outcome", "failure"),
            ("audit.response.flags", "NR"),
            ("audit.response.code_details", "route_not_found"),
        ],
    );
}

#[tokio::test]
async fn http_no_healthy_upstream() {
    let mesh = mesh_with(|bootstrap| {
        let empty = json!({"name": "empty", "connect_timeout": "1s", "load_assignment": {"cluster_name": "empty"}});
        bootstrap.clusters().push(empty);
        for manager in bootstrap.connection_managers() {
            let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
            routes.insert(0, json!({"match": {"prefix": "/empty"}, "route": {"cluster": "empty"}}));
        }
    })
    .await;
    assert_eq!(mesh.get("/empty", &[]).await.status, 503);

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "503"),
            ("audit.outcome", "failure"),
            ("audit.response.flags", "UH"),
        ],
    );
}

#[tokio::test]
async fn http_upstream_timeout() {
    let mesh = mesh_with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["timeout"] =
                json!("0.3s");
        }
    })
    .await;
    assert_eq!(
        mesh.get("/slow", &[("x-demo-delay-ms", "5000")])
            .await
            .status,
        504
    );

    let record = only_record(&mesh).await;
    assert_all(
        &record,
        &[
            ("http.response.status_code", "504"),
            ("audit.outcome", "failure"),
            ("audit.response.flags", "UT"),
        ],
    );
    assert!(record.attributes["audit.duration_ms"].as_f64().unwrap() >= 290.0);
}

#[tokio::test]
async fn http_upstream_resets_before_and_within_the_answer() {
    let mesh = mesh_with(|_| {}).await;
    assert_eq!(
        mesh.get("/a", &[("x-demo-reset", "before")]).await.status,
        503
    );

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "503"),
            ("audit.outcome", "failure"),
        ],
    );

    let mesh = mesh_with(|_| {}).await;
    let headers = list(&[("x-demo-reset", "after-headers")]);
    let answer = testkit::client::http_get(mesh.http, "/b", headers, &CallOptions::default()).await;
    assert!(answer.is_err());

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "200"),
            ("audit.outcome", "aborted"),
        ],
    );
}

#[tokio::test]
async fn http_client_goes_away() {
    let mesh = mesh_with(|_| {}).await;
    let impatient = CallOptions {
        timeout: std::time::Duration::from_millis(300),
        ..CallOptions::default()
    };
    let headers = list(&[("x-demo-delay-ms", "60000")]);
    assert!(
        testkit::client::http_get(mesh.http, "/gone", headers, &impatient)
            .await
            .is_err()
    );

    let record = only_record(&mesh).await;
    assert_all(
        &record,
        &[("audit.outcome", "aborted"), ("audit.response.flags", "DC")],
    );
    assert!(!record.has("http.response.status_code"));
}

#[tokio::test]
async fn http_codec_error() {
    let mesh = mesh_with(|_| {}).await;
    let answer = raw_exchange(
        mesh.http,
        b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        &CallOptions::default(),
    )
    .await;
    assert!(String::from_utf8_lossy(&answer.unwrap()).starts_with("HTTP/1.1 400"));

    assert_all(
        &only_record(&mesh).await,
        &[
            ("http.response.status_code", "400"),
            ("audit.outcome", "failure"),
            ("audit.response.flags", "DPE"),
        ],
    );
}
