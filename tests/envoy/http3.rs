//! HTTP/3: one record for each exchange, and every reservation in the buffer is released.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{End, Leave, Message, Reply};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::http3::{Http3, speak_http3};
use testkit::envoy::tls::Authority;
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, Record};

/// A mesh with a gRPC listener that accepts HTTP/3 and routes to the upstream's HTTP/1.1 server.
/// The other listener is as shipped.
struct Quic {
    mesh: Mesh,
    client: Http3,
}

impl Quic {
    async fn start(plugin: &Value) -> Self {
        let authority = Authority::new();
        let bootstrap = Bootstrap::shipped()
            .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
            .with_plugin(plugin);
        let mesh = Mesh::with_last_change(bootstrap, Sink::start().await, 1, |bootstrap| {
            for manager in bootstrap.connection_managers() {
                manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] =
                    json!("demo_http");
            }
            speak_http3(&mut bootstrap.listeners()[1], &authority);
        })
        .await;
        let client = Http3::connect(mesh.grpc, &authority).await;
        Self { mesh, client }
    }

    async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let message = headers
            .iter()
            .fold(Message::new("GET", path), |message, (name, value)| {
                message.header(name, value)
            });
        let reply = self.client.exchange(&message, Leave::Never).await;
        assert_eq!(reply.end, End::Complete, "{reply:?}");
        reply
    }
}

/// Required requests in a buffer with room for a few.
fn required(how: &str) -> Value {
    json!({"rules": [{"name": "all", "require_audit": how}], "buffer": {"max_records": 10}})
}

fn completed(records: Vec<Record>) -> Vec<Record> {
    records
        .into_iter()
        .filter(|record| record.text("audit.stage") == "complete")
        .collect()
}

/// The buffer is empty, and the statistics add up.
async fn assert_released(mesh: &Mesh) {
    let stats = mesh.stats_when("an empty buffer", |stats| {
        stats["buffer.records"] == 0 && stats["in_flight.batches"] == 0
    });
    let stats = stats.await;
    Mesh::assert_conserved(&stats);

    assert_eq!(
        stats
            .get("records.dropped.buffer_full")
            .copied()
            .unwrap_or_default(),
        0,
        "{stats:#?}"
    );
}

#[tokio::test]
async fn every_request_on_one_connection_has_its_record() {
    let mut quic = Quic::start(&json!({"rules": [{"name": "all"}]})).await;
    for number in 0..20 {
        let status = if number % 2 == 0 { "200" } else { "403" };
        let agent = format!("request-{number}");
        quic.get(
            "/a?secret=1",
            &[("user-agent", &agent), ("x-demo-status", status)],
        )
        .await;
    }

    let records = quic.mesh.sink.wait_for(20).await;
    let mut seen: Vec<(String, String)> = records
        .iter()
        .map(|record| {
            (
                record.text("user_agent.original"),
                record.text("audit.outcome"),
            )
        })
        .collect();
    seen.sort_by_key(|(agent, _)| agent.rsplit('-').next().unwrap().parse::<usize>().unwrap());

    let outcome = |number| if number % 2 == 0 { "success" } else { "denied" };
    let expected: Vec<_> = (0..20)
        .map(|number| (format!("request-{number}"), outcome(number).to_owned()))
        .collect();
    assert_eq!(seen, expected);

    assert!(
        records
            .iter()
            .all(|record| record.text("network.protocol.version") == "3"),
        "{records:#?}"
    );
    assert!(
        records
            .iter()
            .all(|record| record.text("url.path") == "/a" && !record.has("audit.termination"))
    );
}

#[tokio::test]
async fn control_headers_work_and_are_removed() {
    let mut quic = Quic::start(&json!({})).await;
    let control = [
        ("x-session-track", "true"),
        ("x-session-context", "Y3R4"),
        ("x-session-operation", "buy"),
    ];
    quic.get("/a", &control).await;

    let records = quic.mesh.sink.wait_for(1).await;
    assert_eq!(records[0].text("audit.action"), "buy");
    assert_eq!(records[0].text("audit.session.context"), "Y3R4");

    let seen = quic.mesh.upstream.seen().at_path("/a");
    assert!(
        !seen[0].headers.contains("x-session-track")
            && !seen[0].headers.contains("x-session-operation")
    );
}

#[tokio::test]
async fn places_in_the_buffer_are_given_back() {
    let mut quic = Quic::start(&required("buffered")).await;
    for number in 1..=30 {
        assert_eq!(
            quic.get("/a", &[]).await.status,
            Some(200),
            "request {number}"
        );
        // The buffer may be full of records that are not sent yet.
        quic.mesh.sink.wait_for(number).await;
    }

    assert_eq!(
        quic.mesh.get("/a", &[]).await.status,
        200,
        "the TCP listener has room, too"
    );

    let records = completed(quic.mesh.sink.wait_for(31).await);
    assert_eq!(records.len(), 31, "{records:#?}");
    assert_released(&quic.mesh).await;
}

#[tokio::test]
async fn acknowledged_requests_have_a_receipt_and_an_end() {
    let mut quic = Quic::start(&required("acknowledged")).await;
    for number in 1..=30 {
        assert_eq!(
            quic.get("/a", &[]).await.status,
            Some(200),
            "request {number}"
        );
        quic.mesh.sink.wait_for(2 * number).await;
    }

    let records = quic.mesh.sink.exchanges();
    let stage = |name: &str| {
        records
            .iter()
            .filter(|record| record.text("audit.stage") == name)
            .count()
    };
    assert_eq!((stage("received"), stage("complete")), (30, 30));
    assert_released(&quic.mesh).await;
}

#[tokio::test]
async fn places_are_given_back_when_clients_leave() {
    let mut quic = Quic::start(&required("buffered")).await;
    for number in 1..=30 {
        let (answer, feed) = PreparedAnswer::fed(200, []).unwrap();
        feed.send("some");
        quic.mesh.upstream.prepare("/stuck", answer);

        let reply = quic
            .client
            .exchange(&Message::new("GET", "/stuck"), Leave::AfterBytes(1))
            .await;
        assert_eq!(
            (reply.status, reply.end),
            (Some(200), End::Left),
            "request {number}"
        );

        quic.mesh.sink.wait_for(number).await;
    }

    let records = quic.mesh.sink.exchanges();
    let ends = records
        .iter()
        .filter(|record| record.text("audit.termination") == "client");
    assert_eq!((ends.count(), records.len()), (30, 30), "{records:#?}");
    assert_released(&quic.mesh).await;
}
