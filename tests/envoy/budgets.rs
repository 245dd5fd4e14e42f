//! Bounds on the worker memory that slow clients can hold: reservations for required records, and
//! response bodies.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::CallOptions;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::crowd::{Crowd, RequestKind};
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, Record, eventually};

/// A required request with a body that never arrives.
const HELD: RequestKind = RequestKind {
    method: "POST",
    path: "/held",
    has_body: true,
    name: "held",
};
/// A request for a body that the client does not read.
const LARGE: RequestKind = RequestKind {
    method: "GET",
    path: "/large",
    has_body: false,
    name: "large",
};
const MEBIBYTE: usize = 1 << 20;

async fn mesh_of(plugin: &Value) -> Mesh {
    let quick = Bootstrap::shipped().with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    let bootstrap = quick.with_plugin(plugin).with(Bootstrap::await_connections);
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

async fn assert_no_crash(mesh: &Mesh) {
    let reloads = mesh.envoy.stats("vm_reload").await;
    assert!(
        !reloads.is_empty() && reloads.values().all(|count| *count == 0),
        "{reloads:#?}"
    );
}

async fn held_mesh() -> Mesh {
    mesh_of(&json!({"rules": [
        {"name": "held", "match": {"path": {"exact": "/held"}}, "require_audit": "buffered"}, {"name": "all"}],
        "buffer": {"max_bytes": 8 << 20}}))
    .await
}

/// Waits until this number of requests of a crowd has a reservation or is refused.
async fn decided(mesh: &Mesh, upstream: &str, count: usize) {
    let active = format!("cluster.{upstream}.upstream_rq_total");
    for _ in 0..500 {
        let total = mesh.envoy.stats("upstream_rq_total").await[&active];
        let refused = mesh
            .envoy
            .stats("audit_filter")
            .await
            .get("requests.refused")
            .copied()
            .unwrap_or_default();

        if total + refused >= count as u64 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a crowd of {count} is not decided about");
}

#[tokio::test]
async fn slow_requests_leave_room_for_the_records_of_others() {
    let mesh = held_mesh().await;
    let crowd = Crowd::start(mesh.http, 8, 90, HELD).await;
    decided(&mesh, "demo_http", 720).await;

    let stats = mesh.stat_at_least("requests.refused", 1).await;
    eprintln!(
        "of 720 slow requests {} are refused, places take {} bytes",
        stats["requests.refused"], stats["buffer.bytes"]
    );
    assert!(stats["buffer.bytes"] < 4 << 20, "{stats:#?}");

    for number in 0..200 {
        assert_eq!(
            mesh.get("/other", &[("user-agent", &format!("other-{number}"))])
                .await
                .status,
            200
        );
    }

    crowd.leave();
    let stats = mesh.stats_when("an empty buffer", |stats| {
        stats["records.acknowledged"] > 920
            && stats["buffer.records"] == 0
            && stats["buffer.bytes"] == 0
    });
    let stats = stats.await;
    assert_eq!(stats["records.dropped.buffer_full"], 0, "{stats:#?}");
    Mesh::assert_conserved(&stats);

    let names = |prefix: &str| {
        let agents = mesh
            .sink
            .exchanges()
            .iter()
            .map(|record| record.text("user_agent.original"))
            .collect::<Vec<_>>();
        agents
            .into_iter()
            .filter(|agent| agent.starts_with(prefix))
            .count()
    };
    assert_eq!((names("other"), names("held")), (200, 720));
    assert_no_crash(&mesh).await;
}

#[tokio::test]
async fn slow_requests_of_one_connection_leave_places_to_another() {
    let mesh = held_mesh().await;
    let crowd = Crowd::start(mesh.http, 1, 400, HELD).await;
    decided(&mesh, "demo_http", 400).await;

    let refused = mesh.stat_at_least("requests.refused", 1).await["requests.refused"];
    eprintln!("of 400 slow requests of one connection {refused} are refused");
    assert!(refused > 250, "{refused}");

    for _ in 0..20 {
        assert_eq!(
            mesh.request("POST", "/held", &[]).await.status,
            200,
            "another connection"
        );
    }

    crowd.leave();
    mesh.stats_when("an empty buffer", |stats| {
        stats["buffer.bytes"] == 0 && stats["records.captured"] > 400
    })
    .await;
    assert_eq!(mesh.request("POST", "/held", &[]).await.status, 200);
    assert_no_crash(&mesh).await;
}

fn large(mesh: &Mesh, path: &str) {
    let mut body = br#"{"UserId":42}"#.to_vec();
    body.resize(MEBIBYTE, b' ');
    let headers = [("content-type", "application/json")];
    mesh.upstream
        .prepare(path, PreparedAnswer::whole(200, headers, body).unwrap());
}

/// The identity source of the records with this prefix of the user agent.
fn sources(records: &[Record], name: &str) -> Vec<String> {
    let of_crowd = records
        .iter()
        .filter(|record| record.text("user_agent.original").starts_with(name));
    of_crowd
        .map(|record| record.text("audit.identity.source"))
        .collect()
}

/// Each answer is complete, but Envoy buffers it since the client's window is full. Only a complete
/// body is read for the user.
#[tokio::test]
async fn bodies_that_are_not_fetched_are_kept_as_far_as_there_is_room() {
    let identity = json!({"user_id": [{"response_json": "/UserId"}], "max_body_bytes": MEBIBYTE});
    let mesh = mesh_of(&json!({"rules": [{"name": "all", "identity": identity}]})).await;
    let count = 60;
    (0..count).for_each(|_| large(&mesh, "/large"));
    let mut crowd = Crowd::start(mesh.http, 1, count, LARGE).await;
    crowd.answered(count).await;

    large(&mesh, "/one");
    let options = CallOptions::default();
    let one = testkit::client::http_get(mesh.http, "/one", [("user-agent", "one")], &options)
        .await
        .unwrap();
    assert_eq!(one.body.len(), MEBIBYTE);

    crowd.leave();
    let records = eventually("all records arrive", || {
        Some(mesh.sink.exchanges()).filter(|records| records.len() > count)
    })
    .await;
    assert_eq!(
        sources(&records, "one"),
        ["response_json"],
        "another connection has room"
    );

    let sources = sources(&records, "large");
    let too_large = sources
        .iter()
        .filter(|source| *source == "unavailable:too_large")
        .count();
    eprintln!("of {count} bodies of one connection {too_large} found no room");
    assert!((count - 8..count).contains(&too_large), "{sources:?}");

    large(&mesh, "/one");
    mesh.get("/one", &[("user-agent", "later")]).await;
    let found = eventually("the last record arrives", || {
        Some(sources_of(&mesh, "later")).filter(|found| !found.is_empty())
    });
    assert_eq!(found.await, ["response_json"], "everything was given back");
    assert_no_crash(&mesh).await;
}

fn sources_of(mesh: &Mesh, name: &str) -> Vec<String> {
    sources(&mesh.sink.exchanges(), name)
}
