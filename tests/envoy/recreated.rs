//! Internal redirects: two or more requests that Envoy makes of one are one exchange for the client
//! and in the audit.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcConnection, GrpcOptions, HttpConnection};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::list;
use testkit::headers::Headers;
use testkit::upstream::PreparedAnswer;
use testkit::{DEADLINE, Mesh, Record};
use tokio::task::JoinSet;

const CONTROL: [&str; 3] = [
    "x-session-track",
    "x-session-operation",
    "x-session-context",
];
const PAIR: [&str; 2] = ["x-audit-stream-id", "x-audit-sequence-number"];

/// Both listeners route to the HTTP/1.1 server, and follow up to two redirects.
async fn start(plugin: &Value) -> Mesh {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(plugin);
    let bootstrap = bootstrap.with(|bootstrap| {
        let policy = json!({"redirect_response_codes": [302], "max_internal_redirects": 2});
        for manager in bootstrap.connection_managers() {
            let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
            *route = json!({"cluster": "demo_http", "timeout": "0s", "internal_redirect_policy": policy});
        }
    });
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

/// The next request for `from` is redirected to `to`.
fn lead(mesh: &Mesh, from: &str, to: &str) {
    let location = format!("http://app.test{to}");
    let answer = PreparedAnswer::whole(302, [("location", location.as_str())], "").unwrap();
    mesh.upstream.prepare(from, answer);
}

fn answer(mesh: &Mesh, path: &str, status: u16) {
    mesh.upstream
        .prepare(path, PreparedAnswer::whole(status, [], "answer").unwrap());
}

async fn only_record(mesh: &Mesh) -> Record {
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "{records:#?}");
    records[0].clone()
}

/// The headers of the only request at this path of the upstream.
#[track_caller]
fn seen(mesh: &Mesh, path: &str) -> Headers {
    let mut seen = mesh.upstream.seen().at_path(path);
    assert_eq!(seen.len(), 1, "{path}: {seen:#?}");
    seen.remove(0).headers
}

#[tokio::test]
async fn a_marked_operation_is_recorded_as_it_ends() {
    let rules = json!({"rules": [{"name": "tracked", "match": {"tracked": true}},
        {"name": "check", "match": {"path": {"exact": "/check"}}}]});
    let mesh = start(&rules).await;
    lead(&mesh, "/first", "/second");
    answer(&mesh, "/second", 403);

    let marked = [
        ("x-session-track", "true"),
        ("x-session-operation", "op1"),
        ("x-session-context", "Y3R4"),
    ];
    assert_eq!(mesh.get("/first", &marked).await.status, 403);

    let record = only_record(&mesh).await;
    for (name, value) in [
        ("audit.action", "op1"),
        ("audit.rule", "tracked"),
        ("audit.outcome", "denied"),
        ("http.response.status_code", "403"),
        ("url.path", "/first"),
        ("audit.session.context", "Y3R4"),
    ] {
        assert_eq!(record.text(name), value, "{name} of {record:#?}");
    }

    for path in ["/first", "/second"] {
        assert!(
            CONTROL[..2]
                .iter()
                .all(|name| !seen(&mesh, path).contains(name)),
            "{path}"
        );
    }

    let stats = mesh
        .stats_when("something captured", |stats| stats["records.captured"] > 0)
        .await;
    assert_eq!(stats["headers.spoofed"], 0);
}

#[tokio::test]
async fn a_rule_for_the_target_does_not_record_it_again() {
    let rules = json!({"rules": [{"name": "first", "match": {"path": {"exact": "/first"}}}, {"name": "all"}]});
    let mesh = start(&rules).await;
    for path in ["/first", "/second"] {
        lead(
            &mesh,
            path,
            if path == "/first" {
                "/second"
            } else {
                "/third"
            },
        );
    }

    answer(&mesh, "/third", 500);
    assert_eq!(mesh.get("/first", &[]).await.status, 500);

    let record = only_record(&mesh).await;
    assert_eq!(
        (record.text("audit.rule"), record.text("audit.outcome")),
        ("first".into(), "failure".into())
    );
    assert_eq!(record.text("http.response.status_code"), "500");
}

#[tokio::test]
async fn a_login_that_is_redirected_begins_a_session() {
    let rules = json!({"rules": [{"name": "login", "match": {"path": {"exact": "/login"}}, "session": "start"}, {"name": "all"}]});
    let mesh = start(&rules).await;
    lead(&mesh, "/login", "/home");
    let answered = mesh.request("POST", "/login", &[]).await;
    assert_eq!(answered.status, 200);

    let ids = answered.headers.all("x-audit-session-id");
    assert_eq!(ids.len(), 1, "{:?}", answered.headers);

    let record = only_record(&mesh).await;
    assert_eq!(record.text("session.id").as_bytes(), ids[0]);
    assert_eq!(record.text("audit.session.event"), "start");
}

#[tokio::test]
async fn a_login_that_is_redirected_to_a_refusal_begins_none() {
    let rules = json!({"rules": [{"name": "login", "match": {"path": {"exact": "/login"}}, "session": "start"}, {"name": "all"}]});
    let mesh = start(&rules).await;
    lead(&mesh, "/login", "/home");
    answer(&mesh, "/home", 403);

    let answered = mesh.request("POST", "/login", &[]).await;
    assert!(
        answered.status == 403 && !answered.headers.contains("x-audit-session-id"),
        "{answered:?}"
    );

    let record = only_record(&mesh).await;
    assert_eq!(
        (
            record.text("audit.outcome"),
            record.has("audit.session.event")
        ),
        ("denied".into(), false)
    );
}

#[tokio::test]
async fn both_legs_carry_the_pair_of_the_one_record() {
    let mesh = start(&json!({"rules": [{"name": "all", "correlate": true}]})).await;
    lead(&mesh, "/first", "/second");
    assert_eq!(mesh.get("/first", &[(PAIR[1], "7")]).await.status, 200);

    let record = only_record(&mesh).await;
    let pair =
        ["session_id", "number"].map(|name| record.text(&format!("audit.correlation.{name}")));
    assert!(!pair[0].is_empty() && !pair[1].is_empty(), "{record:#?}");

    for path in ["/first", "/second"] {
        let headers = seen(&mesh, path);
        for (name, value) in PAIR.iter().zip(&pair) {
            assert_eq!(headers.all(name), [value.as_bytes()], "{name} at {path}");
        }
    }
}

/// In the gateway role the second leg carries headers that the filter itself has set.
#[tokio::test]
async fn the_gateway_does_not_take_its_own_headers_for_forged_ones() {
    let tracking =
        json!({"operation": "change_password", "context": {"device": {"header": "x-device-id"}}});
    let rules = json!({"rules": [
        {"name": "password", "match": {"path": {"exact": "/first"}}, "set_tracking": tracking},
        {"name": "check", "match": {"path": {"exact": "/check"}}}], "trust": {"cidrs": ["192.0.2.0/24"]}});
    let mesh = start(&rules).await;
    lead(&mesh, "/first", "/second");

    assert_eq!(
        mesh.get("/first", &[("x-device-id", "d-1")]).await.status,
        200
    );

    let records = mesh.exchanges_until_marker().await;
    assert!(records.is_empty(), "the next hop records it: {records:#?}");

    let (first, second) = (seen(&mesh, "/first"), seen(&mesh, "/second"));
    assert_eq!(
        first.text("x-session-operation").as_deref(),
        Some("change_password")
    );

    for name in CONTROL {
        assert_eq!(first.all(name), second.all(name), "{name}");
    }

    let stats = mesh
        .stats_when("markers captured", |stats| stats["records.captured"] >= 2)
        .await;
    assert_eq!(stats["headers.spoofed"], 0, "{stats:#?}");

    lead(&mesh, "/first", "/third");
    mesh.get(
        "/first",
        &[
            ("x-session-operation", "forged"),
            ("x-session-track", "true"),
        ],
    )
    .await;

    mesh.stat_at_least("headers.spoofed", 1).await;
    assert_eq!(
        seen(&mesh, "/third").text("x-session-operation").as_deref(),
        Some("change_password")
    );
}

#[tokio::test]
async fn one_place_in_the_buffer_is_enough() {
    let rules = json!({"rules": [{"name": "all", "require_audit": "buffered"}], "buffer": {"max_records": 10}});
    let mesh = start(&rules).await;
    for number in 1..=30 {
        lead(&mesh, "/first", "/second");
        assert_eq!(
            mesh.get("/first", &[]).await.status,
            200,
            "request {number}"
        );
        // The buffer may be full of records that are not sent yet.
        mesh.sink.wait_for(number).await;
    }

    assert_eq!(mesh.exchanges_until_marker().await.len(), 30);
    Mesh::assert_conserved(
        &mesh
            .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
            .await,
    );
}

#[tokio::test]
async fn one_receipt_is_enough() {
    let rules = json!({"rules": [{"name": "all", "require_audit": "acknowledged"}]});
    let mesh = start(&rules).await;
    lead(&mesh, "/first", "/second");
    answer(&mesh, "/second", 403);
    assert_eq!(mesh.request("POST", "/first", &[]).await.status, 403);

    let mut records = mesh.sink.wait_for(2).await;
    // Any later record would be a second receipt.
    records.extend(mesh.exchanges_until_marker().await.split_off(2));

    let stages: Vec<String> = records
        .iter()
        .map(|record| record.text("audit.stage"))
        .collect();
    assert_eq!(stages, ["received", "complete"]);

    assert_eq!(
        (
            records[1].text("audit.outcome"),
            records[1].text("url.path")
        ),
        ("denied".into(), "/first".into())
    );
}

/// A client that repeats the id of a redirected request has still made another request.
#[tokio::test]
async fn the_next_request_of_a_connection_is_another_exchange() {
    let mesh = start(&json!({"rules": [{"name": "all"}]})).await;
    let mut connection = HttpConnection::open(mesh.http, DEADLINE).await.unwrap();
    let id = [("x-request-id", "11111111-2222-4333-8444-555555555555")];

    for path in ["/second", "/third"] {
        lead(&mesh, "/first", path);
        assert_eq!(
            connection
                .request("GET", "/first", list(&id), DEADLINE)
                .await
                .unwrap()
                .status,
            200
        );

        let other = format!("/other{path}");
        assert_eq!(
            connection
                .request("GET", &other, list(&id), DEADLINE)
                .await
                .unwrap()
                .status,
            200
        );
    }

    let records = mesh.exchanges_until_marker().await;
    let paths: Vec<String> = records
        .iter()
        .map(|record| record.text("url.path"))
        .collect();
    assert_eq!(paths, ["/first", "/other/second", "/first", "/other/third"]);
}

/// The same concurrently on one HTTP/2 connection, all with one id.
#[tokio::test]
async fn redirects_at_once_are_not_mixed_up() {
    const COUNT: u16 = 20;
    let mesh = start(&json!({"rules": [{"name": "all"}]})).await;
    let connection = Arc::new(
        GrpcConnection::open(mesh.grpc, &CallOptions::default())
            .await
            .unwrap(),
    );
    let id = [
        ("x-request-id", "11111111-2222-4333-8444-555555555555"),
        ("content-type", "text/plain"),
    ];
    let mut calls = JoinSet::new();

    for number in 0..COUNT {
        lead(
            &mesh,
            &format!("/first/{number}"),
            &format!("/second/{number}"),
        );
        answer(&mesh, &format!("/second/{number}"), 400 + number);
        let connection = Arc::clone(&connection);
        calls.spawn(async move {
            let path = format!("/first/{number}");
            connection
                .call(&path, list(&id), &GrpcOptions::default())
                .await
                .unwrap()
                .http_status
        });
    }

    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, (400..400 + COUNT).collect::<Vec<_>>());

    let mut records: Vec<(String, String)> = mesh
        .exchanges_until_marker()
        .await
        .iter()
        .map(|record| {
            (
                record.text("url.path"),
                record.text("http.response.status_code"),
            )
        })
        .collect();
    records.sort_by_key(|(_, status)| status.clone());

    let expected: Vec<_> = (0..COUNT)
        .map(|number| (format!("/first/{number}"), (400 + number).to_string()))
        .collect();
    assert_eq!(records, expected);
}
