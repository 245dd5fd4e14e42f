//! `acknowledged` without an acknowledgement: answered at the deadline at the latest, and never
//! forwarded.

use std::time::Duration;

use testkit::now;

use super::*;

/// Deadline of the audit cluster.
const TIMEOUT: Duration = Duration::from_millis(600);
/// The bound is one tick (12.5 ms here) after the deadline; the rest is for a busy machine.
const LATEST: Duration = Duration::from_millis(1600);

fn short() -> Value {
    json!({"audit_cluster": {"timeout": "600ms"}})
}

/// A request and a call are refused at the deadline, and neither reaches the upstream.
async fn assert_refuses_in_time(mesh: &Mesh, what: &str) {
    let begun = now();
    let (request, call) = (
        post(mesh.http, PATH, Bytes::from_static(b"body")),
        call(mesh.grpc, "unary", GrpcOptions::default()),
    );
    let refused = answer(request).await;
    let after_request = begun.elapsed();
    let call_refused = answer(call).await;
    let after_call = begun.elapsed();
    eprintln!("{what}: refused after {after_request:?} and {after_call:?} of {TIMEOUT:?}");

    assert_refused(&refused, NOT_ACKNOWLEDGED);
    assert_call_refused(&call_refused, NOT_ACKNOWLEDGED);
    assert!(
        after_request < LATEST && after_call < LATEST,
        "{what}: {after_request:?}, {after_call:?}"
    );
    assert_not_upstream(mesh);

    for path in ["/check", "/other"] {
        assert_eq!(mesh.get(path, &[]).await.status, 200, "{path}");
    }

    let stats = mesh.stat_at_least("requests.refused", 2).await;
    assert_eq!(stats["requests.refused"], 2);
    Mesh::assert_conserved(&stats);
    assert_no_crash(mesh).await;
}

#[tokio::test]
async fn an_answer_that_never_comes() {
    let mesh = mesh_with("acknowledged", &short(), Sink::start().await).await;
    mesh.sink.answer_all(Some(Answer::Hang));
    assert_refuses_in_time(&mesh, "hangs").await;

    mesh.sink.answer_all(None);
    assert_clean(&mesh).await;
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200,
        "it answers again"
    );
}

/// The header makes Envoy wait longer for the audit cluster than the filter requested.
#[tokio::test]
async fn the_deadline_is_the_filters_own() {
    let patch = json!({"audit_cluster": {"headers": {"x-envoy-upstream-rq-timeout-ms": "60000"}}});
    let bootstrap = bootstrap("acknowledged", &short()).with_plugin(&patch);
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    mesh.sink.answer_all(Some(Answer::Hang));

    assert_refuses_in_time(&mesh, "hangs, and Envoy waits").await;
    assert!(
        mesh.sink
            .attempts()
            .iter()
            .all(|attempt| !attempt.is_stored)
    );
}

#[tokio::test]
async fn connections_that_are_refused() {
    let mut mesh = mesh_with("acknowledged", &short(), Sink::start_down()).await;
    assert_refuses_in_time(&mesh, "refuses connections").await;
    mesh.sink.up().await;
    assert_clean(&mesh).await;
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200,
        "it is up again"
    );
}

#[tokio::test]
async fn a_cluster_without_hosts() {
    let bootstrap = bootstrap("acknowledged", &short())
        .with_plugin(&json!({"audit_cluster": {"cluster": "empty"}}));
    let bootstrap = bootstrap.with(|bootstrap| {
        let empty = json!({"name": "empty", "connect_timeout": "1s", "load_assignment": {"cluster_name": "empty"}});
        bootstrap.clusters().push(empty);
    });
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    assert_refuses_in_time(&mesh, "has no host").await;
    assert!(mesh.sink.attempts().is_empty());
}

#[tokio::test]
async fn an_unknown_cluster() {
    let patch = json!({"audit_cluster": {"cluster": "nowhere"}});
    let bootstrap = bootstrap("acknowledged", &short()).with_plugin(&patch);
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    assert_refuses_in_time(&mesh, "is unknown").await;
}

/// The deadline is a minute away, and the client gets its answer long before.
#[tokio::test]
async fn an_answer_that_leaves_no_hope() {
    for (answered, closes_lane) in [
        (Answer::Status(400, "{}"), false),
        (Answer::RetryAfter(429, "60"), true),
    ] {
        let mesh = mesh_with(
            "acknowledged",
            &json!({"audit_cluster": {"timeout": "30s"}}),
            Sink::start().await,
        )
        .await;
        mesh.sink.answer_all(Some(answered.clone()));

        assert_refused(
            &answer(post(mesh.http, PATH, Bytes::new())).await,
            NOT_ACKNOWLEDGED,
        );

        let refused = answer(call(mesh.grpc, "unary", GrpcOptions::default())).await;
        assert_call_refused(&refused, NOT_ACKNOWLEDGED);

        if closes_lane {
            let again = answer(post(mesh.http, PATH, Bytes::new())).await;
            assert_refused(&again, NOT_ACKNOWLEDGED);
            assert_eq!(
                receipts(&mesh).len(),
                2,
                "none is made that could not be sent in time"
            );
        }

        assert_not_upstream(&mesh);
        assert_eq!(mesh.get("/other", &[]).await.status, 200);

        let stats = mesh.stat_at_least("requests.refused", 2).await;
        assert_eq!(
            stats["records.rejected"], 0,
            "the receipts are kept, as nothing shows that they are bad: {answered:?}"
        );
        Mesh::assert_conserved(&stats);
        assert_no_crash(&mesh).await;
    }
}

/// One worker, and an audit cluster that never answers.
#[tokio::test]
async fn others_never_wait() {
    let mesh = mesh_with(
        "acknowledged",
        &json!({"audit_cluster": {"timeout": "60s"}}),
        Sink::start().await,
    )
    .await;
    mesh.sink.answer_all(Some(Answer::Hang));

    let held = post(mesh.http, PATH, Bytes::new());
    let held_call = call(mesh.grpc, "unary", GrpcOptions::default());
    are_held(&mesh, 2).await;

    let mut delays = Vec::new();
    for _ in 0..50 {
        for path in ["/check", "/other"] {
            let begun = now();
            assert_eq!(mesh.get(path, &[]).await.status, 200);
            delays.push(begun.elapsed());
        }
    }

    delays.sort_unstable();
    eprintln!(
        "others beside a held request: median {:?}, longest {:?}",
        delays[50], delays[99]
    );

    assert_eq!(
        mesh.tracked_call("unary")
            .await
            .unwrap()
            .grpc_status()
            .as_deref(),
        Some("0")
    );

    assert!(
        !held.is_finished() && !held_call.is_finished(),
        "they were held all the time"
    );
    assert_not_upstream(&mesh);
    assert_no_crash(&mesh).await;
}
