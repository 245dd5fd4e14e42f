//! `all-calls.yaml`: every call with the name of its action, as the middleware of the hazyhaar
//! audit package records it.

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::Mesh;
use testkit::audit::records;
use testkit::audit::sink::Answer;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::mesh::list;
use testkit::upstream::Protocol;

use super::{example, example_with, texts};

const NAME: &str = "all-calls";
const USER: (&str, &str) = ("x-user-id", "ada");

/// "Middleware success (user, transport, request id)."
#[tokio::test]
async fn a_call_that_succeeds_is_recorded_with_user_transport_and_request() {
    let mesh = example(NAME).await;
    mesh.get("/items/7", &[USER, ("x-request-id", "ignored")])
        .await;
    mesh.call(&[USER]).await.unwrap();

    let records = mesh.settled(2).await;
    assert_eq!(
        texts(&records, "audit.action"),
        ["read_item", "change_password"]
    );
    assert_eq!(texts(&records, "user.id"), ["ada", "ada"]);
    assert_eq!(texts(&records, "audit.outcome"), ["success", "success"]);
    assert_eq!(texts(&records, "rpc.system.name"), ["", "grpc"]);
    assert_eq!(records[0].text("http.route"), "/items/{id}");

    let seen = mesh.upstream.seen().all();
    assert_eq!(
        [seen[0].protocol, seen[1].protocol],
        [Protocol::Http, Protocol::Grpc]
    );

    let arrived: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers.text("x-request-id").unwrap())
        .collect();
    assert_eq!(texts(&records, "audit.request_id"), arrived);
    assert!(
        records
            .iter()
            .all(|record| record.attributes["audit.duration_ms"].as_f64().unwrap() > 0.0)
    );
}

/// "Middleware error (message kept, error returned)", "error: status error".
#[tokio::test]
async fn a_call_that_fails_is_recorded_with_its_message_and_the_error_returned() {
    let mesh = example(NAME).await;
    let answer = mesh
        .call(&[USER, ("x-demo-grpc", "status:13:no disk left")])
        .await
        .unwrap();
    assert_eq!(answer.grpc_status().as_deref(), Some("13"));

    assert_eq!(
        mesh.get("/items/7", &[USER, ("x-demo-status", "500")])
            .await
            .status,
        500
    );

    let records = mesh.settled(2).await;
    assert_eq!(texts(&records, "audit.outcome"), ["failure", "failure"]);
    assert_eq!(records[0].text("error.message"), "no disk left");
    assert_eq!(records[0].text("rpc.response.status_code"), "INTERNAL");
    assert_eq!(records[1].text("http.response.status_code"), "500");
}

/// A panic in the endpoint left no record there.
#[tokio::test]
async fn a_call_that_breaks_off_is_recorded_too() {
    let mesh = example(NAME).await;
    assert_eq!(
        mesh.get("/items/7", &[("x-demo-reset", "before")])
            .await
            .status,
        503
    );

    let broken = http_get(
        mesh.http,
        "/items/7",
        [("x-demo-reset", "after-headers")],
        &CallOptions::default(),
    )
    .await;
    assert!(broken.is_err());
    assert_eq!(
        texts(&mesh.settled(2).await, "audit.outcome"),
        ["failure", "aborted"]
    );
}

/// A call without a static name is recorded under the name in its request.
#[tokio::test]
async fn every_call_is_recorded() {
    let mesh = example(NAME).await;
    mesh.request("DELETE", "/items/7", &[]).await;
    mesh.get("/items?q=tea", &[]).await;
    mesh.get("/", &[]).await;
    let records = mesh.settled(3).await;
    assert_eq!(
        texts(&records, "audit.action"),
        ["DELETE /items/7", "search_items", "GET /"]
    );
}

/// There, parameters and results were stored whole.
#[tokio::test]
async fn only_listed_parameters_are_recorded_and_no_result() {
    let mesh = example(NAME).await;
    mesh.get(
        "/items?q=green%20tea&page=2&token=s3cret&card=4111111111111111",
        &[("x-demo-body", "r3sult")],
    )
    .await;
    mesh.get("/items/7?q=unasked", &[]).await;

    let records = mesh.settled(2).await;
    assert_eq!(records[0].text("audit.capture.query.q"), "green tea");
    assert_eq!(records[0].text("audit.capture.query.page"), "2");

    let text = format!("{:?}", records);
    for secret in ["s3cret", "4111111111111111", "r3sult", "unasked"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// The user comes from the trusted proxy only.
#[tokio::test]
async fn an_untrusted_peer_cannot_set_the_user() {
    let mesh = example(NAME).await;
    let stranger = CallOptions::from_ip(Ipv4Addr::new(127, 0, 0, 2));
    http_get(mesh.http, "/items/7", list(&[USER]), &stranger)
        .await
        .unwrap();

    let records = mesh.settled(1).await;
    assert_eq!(
        (
            records[0].text("user.id"),
            records[0].text("audit.identity.source")
        ),
        (String::new(), "unavailable:absent".to_owned())
    );
}

/// "50 entries: 50 rows after close", "async entry present after Close": drain, wait for the timer,
/// quit.
#[tokio::test]
async fn fifty_calls_are_fifty_records_when_envoy_has_drained() {
    let mut mesh = example(NAME).await;
    mesh.repeat(50, "/items/7").await;
    mesh.envoy.admin_post("/drain_listeners?graceful").await;
    mesh.settled(50).await;
    mesh.envoy.terminate().await;
    assert_eq!(mesh.sink.exchanges().len(), 50);
    assert_no_batch_exceeds(&mesh, 32);
}

/// Batches of 32, each sent as soon as it is full.
#[tokio::test]
async fn a_batch_is_at_most_thirty_two_records() {
    let mesh = example_with(NAME, &json!({"batch": {"max_delay": "1h"}})).await;
    mesh.repeat(63, "/items/7").await;
    mesh.settled(63).await;
    assert_eq!(
        mesh.sink.attempts().len(),
        2,
        "with the announcement of the stream: two times 32"
    );
    assert_no_batch_exceeds(&mesh, 32);
}

fn assert_no_batch_exceeds(mesh: &Mesh, count: usize) {
    assert!(
        mesh.sink
            .attempts()
            .iter()
            .all(|attempt| records::parse(&attempt.body).len() <= count)
    );
}

/// There, a full queue dropped calls with a log line only, and a failed insert lost its entry.
#[tokio::test]
async fn a_full_buffer_keeps_256_and_reports_the_others() {
    let mesh = example(NAME).await;
    mesh.sink.answer_all(Some(Answer::Status(503, "locked")));
    mesh.repeat(300, "/items/7").await;
    mesh.stat_at_least("records.dropped.buffer_full", 44).await;
    mesh.sink.answer_all(None);
    assert_eq!(mesh.settled(256).await.len(), 256);
    mesh.sink.wait_for_losses(44).await;
}
