//! `buffered`: a request without room for its record is answered, and never goes upstream.

use super::*;

/// A small buffer, and an audit cluster that is down.
async fn small(patch: &Value) -> Mesh {
    let bootstrap = bootstrap(
        "buffered",
        &json!({"buffer": {"max_records": 3, "immediate_reserve_percent": 0}}),
    );
    Mesh::with_bootstrap(bootstrap.with_plugin(patch), Sink::start_down(), 1).await
}

/// Fills the buffers of both listeners.
async fn fill(mesh: &Mesh) {
    for _ in 0..3 {
        assert_eq!(mesh.get("/check", &[]).await.status, 200);
        assert_eq!(
            answer(call(mesh.grpc, "unary", GrpcOptions::default()))
                .await
                .grpc_status()
                .as_deref(),
            Some("0")
        );
    }

    mesh.upstream.seen().clear();
}

#[tokio::test]
async fn a_full_buffer_refuses_required_requests_only() {
    let mut mesh = small(&json!({})).await;
    fill(&mesh).await;
    let refused = answer(post(mesh.http, PATH, Bytes::from(vec![b'x'; 300_000]))).await;
    assert_refused(&refused, NOT_BUFFERED);
    assert_call_refused(
        &answer(call(mesh.grpc, "unary", GrpcOptions::default())).await,
        NOT_BUFFERED,
    );
    assert_not_upstream(&mesh);

    for path in ["/check", "/other"] {
        assert_eq!(mesh.get(path, &[]).await.status, 200, "{path}");
    }
    let stats = mesh.stat_at_least("requests.refused", 2).await;
    assert_eq!(stats["requests.refused"], 2);

    let stats = mesh.stat_at_least("records.dropped.buffer_full", 3).await;
    assert_eq!(
        stats["records.dropped.buffer_full"], 3,
        "both refusals, and a check"
    );
    Mesh::assert_conserved(&stats);

    mesh.sink.up().await;
    assert_clean(&mesh).await;
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200
    );

    let answered = answer(call(mesh.grpc, "unary", GrpcOptions::default())).await;
    assert_eq!(answered.grpc_status().as_deref(), Some("0"));

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 6 + 2, "{records:#?}");
    assert!(!records.iter().any(is_receipt));

    // The refusals are reported too.
    mesh.sink.wait_for_losses(3).await;
    assert_eq!(mesh.upstream.seen().at_path(PATH).len(), 1);
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn a_refusal_is_recorded_like_any_other_end() {
    let mut mesh = small(&json!({
        "buffer": {"max_records": 6, "immediate_reserve_percent": 50},
        "rules": [
            {"name": "must", "match": {"path": {"prefix": "/must"}}, "require_audit": "buffered", "immediate_on": ["failure"]},
            {"name": "check", "match": {"path": {"exact": "/check"}}},
        ],
    }))
    .await;
    fill(&mesh).await;

    assert_refused(
        &answer(post(mesh.http, PATH, Bytes::new())).await,
        NOT_BUFFERED,
    );
    assert_call_refused(
        &answer(call(mesh.grpc, "unary", GrpcOptions::default())).await,
        NOT_BUFFERED,
    );

    mesh.sink.up().await;
    let is_refusal = |record: &Record| {
        record
            .text("audit.response.code_details")
            .contains("audit_record_required")
    };

    let refusals = eventually("both refusals arrive", || {
        Some(
            mesh.sink
                .exchanges()
                .into_iter()
                .filter(is_refusal)
                .collect::<Vec<_>>(),
        )
        .filter(|found| found.len() == 2)
    })
    .await;

    for record in &refusals {
        assert_eq!(record.text("audit.outcome"), "failure", "{record:#?}");
        assert_eq!(record.text("audit.stage"), "complete");
        assert_eq!(record.text("audit.rule"), "must");
    }

    let http = refusals
        .iter()
        .find(|record| record.event == "audit.http")
        .unwrap();
    assert_eq!(http.int("http.response.status_code"), 503);

    let rpc = refusals
        .iter()
        .find(|record| record.event == "audit.rpc")
        .unwrap();
    assert_eq!(
        (
            rpc.text("rpc.response.status_code"),
            rpc.text("error.message")
        ),
        ("UNAVAILABLE".into(), NOT_BUFFERED.into())
    );
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn a_request_that_is_still_going_on_keeps_its_place() {
    let mesh = small(&json!({"buffer": {"max_records": 1}})).await;
    let slow = GrpcOptions::default();
    let going_on = call(mesh.grpc, "hang", slow);

    eventually("the first call is upstream", || {
        mesh.upstream.seen().at_path(METHOD).pop()
    })
    .await;
    assert_call_refused(
        &answer(call(mesh.grpc, "unary", GrpcOptions::default())).await,
        NOT_BUFFERED,
    );

    going_on.abort();
    let stats = mesh.stat_at_least("records.captured", 3).await;
    // The loss record may exist by now, and is held too.
    let held = stats["records.captured"] - 1;
    assert_eq!(
        (
            stats["records.dropped.buffer_full"],
            stats["buffer.records"]
        ),
        (1, held),
        "{stats:#?}"
    );
    assert_no_crash(&mesh).await;
}
