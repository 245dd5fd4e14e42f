//! Tunnels: an accepted tunnel is a success, however it ends.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, Tunnel};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, Record, eventually};

const HEAD: &str = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

async fn start(plugin: &Value) -> Mesh {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(plugin);
    let bootstrap = bootstrap.with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
        }
    });
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

async fn open(mesh: &Mesh, headers: &str) -> Tunnel {
    Tunnel::open_http1(
        mesh.http,
        &format!("{HEAD}{headers}\r\n"),
        &CallOptions::default(),
    )
    .await
    .unwrap()
}

/// Sends bytes, and reads the same number back.
async fn echo(tunnel: &mut Tunnel, bytes: &[u8]) {
    tunnel.send(bytes).await.unwrap();
    let mut received = Vec::new();
    while received.len() < bytes.len() {
        let more = tunnel.receive().await.unwrap();
        assert!(!more.is_empty(), "the tunnel is open");
        received.extend(more);
    }

    assert!(
        received == bytes,
        "{} bytes came back changed",
        received.len()
    );
}

async fn close(mut tunnel: Tunnel) {
    tunnel.finish().await;
    while !tunnel.receive().await.unwrap().is_empty() {}
}

async fn only_record(mesh: &Mesh) -> Record {
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1, "{records:#?}");
    records[0].clone()
}

#[tokio::test]
async fn a_rule_that_wants_successes_records_a_websocket() {
    let mesh = start(
        &json!({"rules": [{"name": "all", "record_on": ["success"], "http_statuses": [101, 200]}]}),
    )
    .await;
    let mut tunnel = open(&mesh, "").await;
    echo(&mut tunnel, b"ping").await;
    tunnel.reset();

    let record = only_record(&mesh).await;
    assert_eq!(
        (
            record.text("audit.outcome"),
            record.text("audit.termination")
        ),
        ("success".into(), "client".into())
    );
    assert_eq!(record.raw["severityNumber"], 9, "{record:#?}");
}

#[tokio::test]
async fn a_session_begins_with_a_websocket() {
    let mesh = start(&json!({"rules": [
        {"name": "socket", "match": {"path": {"exact": "/socket"}}, "session": "start"}, {"name": "all"}]}))
    .await;
    let mut tunnel = open(&mesh, "").await;
    assert_eq!(tunnel.status(), 101);

    let id = tunnel
        .headers()
        .text("x-audit-session-id")
        .expect("the 101 has an id");
    echo(&mut tunnel, b"ping").await;
    close(tunnel).await;

    let record = only_record(&mesh).await;
    assert_eq!(
        (
            record.text("session.id"),
            record.text("audit.session.event")
        ),
        (id, "start".into())
    );
}

#[tokio::test]
async fn what_goes_through_a_tunnel_is_left_alone() {
    let rule = json!({"name": "all", "identity": {"user_id": [{"response_json": "/id"}]}});
    let mesh = start(&json!({"rules": [rule]})).await;
    let mut tunnel = open(&mesh, "").await;
    echo(&mut tunnel, br#"{"id":"not an answer"}"#).await;

    let noise: Vec<u8> = (0..100_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    echo(&mut tunnel, &noise).await;
    close(tunnel).await;

    let record = only_record(&mesh).await;
    assert_eq!(
        (record.text("audit.outcome"), record.has("user.id")),
        ("success".into(), false),
        "{record:#?}"
    );
}

#[tokio::test]
async fn a_tunnel_may_need_an_acknowledged_record() {
    let mesh = start(&json!({"rules": [{"name": "all", "require_audit": "acknowledged"}]})).await;
    let mut tunnel = open(&mesh, "").await;
    assert_eq!(tunnel.status(), 101);

    echo(&mut tunnel, b"ping").await;
    assert_eq!(mesh.sink.exchanges()[0].text("audit.stage"), "received");

    close(tunnel).await;
    let records = mesh.sink.wait_for(2).await;
    assert_eq!(
        (
            records[1].text("audit.stage"),
            records[1].text("audit.outcome")
        ),
        ("complete".into(), "success".into())
    );
}

#[tokio::test]
async fn an_open_tunnel_is_announced() {
    let mesh = start(&json!({"rules": [{"name": "all"}], "stages": {"started_after": "1s"}})).await;
    let mut tunnel = open(&mesh, "").await;
    echo(&mut tunnel, b"ping").await;

    let started = eventually("the tunnel is announced", || mesh.sink.exchanges().pop()).await;
    assert_eq!(
        (started.text("audit.stage"), started.has("audit.outcome")),
        ("started".into(), false)
    );

    echo(&mut tunnel, b"still open").await;
    close(tunnel).await;

    let records = mesh.sink.wait_for(2).await;
    assert_eq!(records.len(), 2, "{records:#?}");

    let complete = &records[1];
    assert_eq!(
        (complete.text("audit.stage"), complete.text("audit.outcome")),
        ("complete".into(), "success".into())
    );
    assert_eq!(
        complete.int("audit.started.number"),
        started.int("audit.sequence.number")
    );
    assert!(complete.attributes["audit.duration_ms"].as_f64().unwrap() >= 1000.0);
}

/// When a tunnel that was opened later is announced, the announcements of the short ones would be
/// due too.
#[tokio::test]
async fn a_short_tunnel_is_not_announced() {
    let mesh = start(&json!({"rules": [{"name": "all"}], "stages": {"started_after": "1s"}})).await;
    for _ in 0..3 {
        let mut tunnel = open(&mesh, "user-agent: short\r\n").await;
        echo(&mut tunnel, b"ping").await;
        close(tunnel).await;
    }

    let mut long = open(&mesh, "user-agent: long\r\n").await;
    echo(&mut long, b"ping").await;
    let is_announced = |record: &Record| record.text("user_agent.original") == "long";
    eventually("the long tunnel is announced", || {
        mesh.sink.exchanges().into_iter().find(is_announced)
    })
    .await;

    let mut records = mesh.exchanges_until_marker().await;
    records.retain(|record| !is_announced(record));
    assert_eq!(records.len(), 3, "{records:#?}");
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.stage") == "complete"),
        "{records:#?}"
    );
}
