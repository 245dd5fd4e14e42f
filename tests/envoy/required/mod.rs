//! Requests that go upstream only when their record is safe (`require_audit`).

mod buffered;
mod held;
mod leaving;
mod refused;

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::audit::answer::Gate;
use testkit::audit::sink::{Answer, Sink};
use testkit::client::{
    CallError, CallOptions, GrpcAnswer, GrpcOptions, HttpAnswer, grpc_call, http_request,
};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::headers::Headers;
use testkit::{Mesh, Record, eventually};
use tokio::task::JoinHandle;

/// An HTTP path and a gRPC method with a required record.
const PATH: &str = "/must/pay";
const METHOD: &str = "/must.Pay/Transfer";

/// Paths below `/must` require a record, `/check` has one, and all other requests match no rule.
fn bootstrap(required: &str, patch: &Value) -> Bootstrap {
    let plugin = json!({
        "batch": {"max_delay": "50ms"},
        "retry": {"initial_backoff": "50ms", "max_backoff": "200ms"},
        "rules": [
            {"name": "must", "match": {"path": {"prefix": "/must"}}, "require_audit": required},
            {"name": "check", "match": {"path": {"exact": "/check"}}},
        ],
    });
    Bootstrap::shipped().with_plugin(&plugin).with_plugin(patch)
}

async fn mesh_with(required: &str, patch: &Value, sink: Sink) -> Mesh {
    Mesh::with_bootstrap(bootstrap(required, patch), sink, 1).await
}

/// A mesh with an audit cluster that acknowledges batches only after the gate is open.
async fn gated(patch: &Value) -> (Mesh, Gate) {
    let (mesh, gate) = (
        mesh_with("acknowledged", patch, Sink::start().await).await,
        Gate::closed(),
    );
    mesh.sink.answer_all(Some(Answer::Behind(gate.clone())));
    (mesh, gate)
}

type Pending<Answer> = JoinHandle<Result<Answer, CallError>>;

/// Sends a request without waiting for its answer.
fn post(addr: SocketAddr, path: &'static str, body: Bytes) -> Pending<HttpAnswer> {
    let options = CallOptions::default();
    tokio::spawn(
        async move { http_request(addr, "POST", path, Headers::new(), body, &options).await },
    )
}

/// Starts a call without waiting for its answer.
fn call(addr: SocketAddr, script: &str, options: GrpcOptions) -> Pending<GrpcAnswer> {
    let headers = Headers::new().with("x-demo-grpc", script);
    tokio::spawn(async move { grpc_call(addr, METHOD, headers, &options).await })
}

/// The answer of a request that was sent before.
async fn answer<Answer>(pending: Pending<Answer>) -> Answer {
    pending.await.unwrap().unwrap()
}

fn is_receipt(record: &Record) -> bool {
    record.text("audit.stage") == "received"
}

/// The receipts of held and formerly held requests, one each, whether acknowledged or not.
fn receipts(mesh: &Mesh) -> Vec<Record> {
    let mut receipts: Vec<Record> = mesh.sink.arrived().into_iter().filter(is_receipt).collect();
    receipts.sort_by_key(Record::uid);
    receipts.dedup_by_key(|receipt| receipt.uid());
    receipts
}

/// Waits until this many requests are held. The upstream has seen none of them, and other requests
/// pass.
#[track_caller]
fn are_held(mesh: &Mesh, count: usize) -> impl Future<Output = ()> {
    let arrive = eventually(format!("{count} receipts arrive"), move || {
        (receipts(mesh).len() >= count).then_some(())
    });
    async move {
        arrive.await;
        assert_eq!(mesh.get("/other", &[]).await.status, 200);
        assert_not_upstream(mesh);
    }
}

#[track_caller]
fn assert_not_upstream(mesh: &Mesh) {
    let seen = mesh.upstream.seen().all();
    assert!(
        !seen.iter().any(|seen| seen.path.starts_with("/must")),
        "{seen:#?}"
    );
}

#[track_caller]
fn assert_refused(answer: &HttpAnswer, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (503, body));
}

#[track_caller]
fn assert_call_refused(answer: &GrpcAnswer, message: &str) {
    assert_eq!(answer.grpc_status().as_deref(), Some("14"), "{answer:?}");
    let found = answer
        .headers
        .text("grpc-message")
        .or_else(|| answer.trailers.text("grpc-message"));
    assert_eq!(found.as_deref(), Some(message));
}

const NOT_BUFFERED: &str = "request refused: its audit record cannot be buffered";
const NOT_ACKNOWLEDGED: &str = "request refused: its audit record was not acknowledged in time";

/// No leftovers: the buffer becomes empty, every record is accounted for, and no VM has crashed.
async fn assert_clean(mesh: &Mesh) {
    let is_idle = |stats: &std::collections::BTreeMap<String, u64>| {
        ["buffer.records", "buffer.bytes", "in_flight.batches"]
            .iter()
            .all(|gauge| stats[*gauge] == 0)
    };
    Mesh::assert_conserved(&mesh.stats_when("an empty buffer", is_idle).await);
    assert_no_crash(mesh).await;
}

async fn assert_no_crash(mesh: &Mesh) {
    let reloads = mesh.envoy.stats("vm_reload").await;
    assert!(
        !reloads.is_empty() && reloads.values().all(|count| *count == 0),
        "{reloads:#?}"
    );

    let log = mesh.envoy.log();
    assert!(
        !log.contains("panicked") && !log.contains("Proxy-Wasm plugin in-VM"),
        "{log}"
    );
}
