//! Held requests when the client, the configuration or Envoy ends.

use testkit::envoy::lds::Listeners;

use super::*;

#[tokio::test]
async fn a_client_that_goes_away_leaves_one_end() {
    let (mesh, gate) = gated(&json!({"audit_cluster": {"timeout": "2s"}})).await;
    let request = post(mesh.http, PATH, Bytes::from(vec![b'x'; 300_000]));
    let called = call(mesh.grpc, "unary", GrpcOptions::default());
    are_held(&mesh, 2).await;
    request.abort();
    called.abort();
    mesh.stats_when("both ends", |stats| stats["records.captured"] == 2 + 2 + 2)
        .await;

    // Their deadlines pass together with their callouts' timeouts.
    mesh.stat_at_least("batches.failed", 2).await;
    gate.open();

    let records = mesh.exchanges_until_marker().await;
    let (receipts, ends): (Vec<Record>, Vec<Record>) = records.into_iter().partition(is_receipt);
    assert_eq!((receipts.len(), ends.len()), (2, 2));

    for end in &ends {
        assert_eq!(end.text("audit.outcome"), "aborted", "{end:#?}");
        assert!(!end.has("http.response.status_code"), "{end:#?}");
        assert!(
            receipts
                .iter()
                .any(|receipt| receipt.text("audit.request_id") == end.text("audit.request_id"))
        );
    }

    assert_not_upstream(&mesh);
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200
    );

    let answered = answer(call(mesh.grpc, "unary", GrpcOptions::default())).await;
    assert_eq!(answered.grpc_status().as_deref(), Some("0"));

    let stats = mesh
        .stats_when("an empty buffer", |stats| stats["buffer.records"] == 0)
        .await;
    assert_eq!(
        stats["requests.refused"], 0,
        "nobody was there to be refused"
    );
    assert_clean(&mesh).await;
}

/// Replaces the configuration, and waits until all of its VMs have it.
async fn update(mesh: &Mesh, listeners: &Listeners) {
    let configured = || mesh.envoy.log().matches("configured: stream").count();
    let before = configured();
    listeners.update(&json!({"service": "updated"}));
    eventually("the new configuration is there", || {
        (configured() >= 2 * before).then_some(())
    })
    .await;
}

/// Waits for `count` end records.
#[track_caller]
fn ends(mesh: &Mesh, count: usize) -> impl Future<Output = Vec<Record>> {
    eventually(format!("{count} ends arrive"), move || {
        let ends: Vec<Record> = mesh
            .sink
            .exchanges()
            .into_iter()
            .filter(|record| !is_receipt(record))
            .collect();
        (ends.len() == count).then_some(ends)
    })
}

#[tokio::test]
async fn an_update_lets_those_go_on_that_are_held() {
    let (mut mesh, listeners) =
        Listeners::start(bootstrap("acknowledged", &json!({})), Sink::start().await).await;
    let gate = Gate::closed();
    mesh.sink.answer_all(Some(Answer::Behind(gate.clone())));

    let (request, called) = (
        post(mesh.http, PATH, Bytes::from_static(b"body")),
        call(mesh.grpc, "unary", GrpcOptions::default()),
    );
    are_held(&mesh, 2).await;
    update(&mesh, &listeners).await;
    assert_not_upstream(&mesh);

    gate.open();
    assert_eq!(answer(request).await.status, 200);
    assert_eq!(answer(called).await.grpc_status().as_deref(), Some("0"));

    let ends = ends(&mesh, 2).await;
    assert!(ends.iter().all(|end| end.text("service.name") == "demo" && end.text("audit.outcome") == "success"));

    mesh.http = mesh.envoy.listener("http").await;
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200
    );
    assert_clean(&mesh).await;
}

/// The old listener's connections are closed after its drain time (two seconds here).
#[tokio::test]
async fn an_update_ends_those_that_are_held_too_long() {
    let (mesh, listeners) =
        Listeners::start(bootstrap("acknowledged", &json!({})), Sink::start().await).await;
    let gate = Gate::closed();
    mesh.sink.answer_all(Some(Answer::Behind(gate.clone())));

    let request = post(mesh.http, PATH, Bytes::from_static(b"body"));
    let called = call(mesh.grpc, "unary", GrpcOptions::default());
    are_held(&mesh, 2).await;
    update(&mesh, &listeners).await;
    assert!(request.await.unwrap().is_err() && called.await.unwrap().is_err());

    gate.open();
    let ends = ends(&mesh, 2).await;
    assert!(
        ends.iter()
            .all(|end| end.text("audit.outcome") == "aborted"),
        "{ends:#?}"
    );
    assert_not_upstream(&mesh);
    assert_clean(&mesh).await;
}

/// The last resort: Envoy's idle timeout, here for a stream without activity.
#[tokio::test]
async fn envoy_may_end_the_wait() {
    let bootstrap = bootstrap("acknowledged", &json!({})).with(|bootstrap| {
        bootstrap
            .connection_managers()
            .for_each(|manager| manager["stream_idle_timeout"] = json!("0.3s"));
    });
    let (mesh, gate) = (
        Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await,
        Gate::closed(),
    );
    mesh.sink.answer_all(Some(Answer::Behind(gate.clone())));

    let request = post(mesh.http, PATH, Bytes::from_static(b"body"));
    let called = call(mesh.grpc, "unary", GrpcOptions::default());
    assert_eq!(answer(request).await.status, 504);
    assert_eq!(answer(called).await.grpc_status().as_deref(), Some("14"));

    gate.open();
    let ends = ends(&mesh, 2).await;
    assert!(
        ends.iter()
            .all(|end| end.text("audit.response.code_details") == "stream_idle_timeout"),
        "{ends:#?}"
    );
    assert_not_upstream(&mesh);
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn an_envoy_that_ends_does_so_cleanly() {
    let (mut mesh, _gate) = gated(&json!({})).await;
    let request = post(mesh.http, PATH, Bytes::from(vec![b'x'; 300_000]));
    let called = call(mesh.grpc, "unary", GrpcOptions::default());
    are_held(&mesh, 2).await;
    assert!(mesh.envoy.terminate().await.success());
    assert!(request.await.unwrap().is_err() && called.await.unwrap().is_err());
    assert_not_upstream(&mesh);

    let log = mesh.envoy.log();
    assert!(
        !log.contains("panicked") && log.contains("records not yet acknowledged"),
        "{log}"
    );
}
