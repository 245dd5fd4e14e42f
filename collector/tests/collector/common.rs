//! A collector on a temporary database, and the requests that tests send.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use audit_collector::app::{AppState, app};
use audit_collector::store::Store;
use audit_collector::store::sqlite::SqliteStore;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) const RECEIVED_AT: i64 = 1_800_000_000_000_000_001;
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// One test makes the store wait for it; all others must never need as long, also on a loaded machine.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Collector {
    pub(crate) directory: TempDir,
    router: Router,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(&database_url(&directory), BUSY_TIMEOUT).await.unwrap();
        Self { router: router(Arc::new(store)), directory }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> Answer {
        self.post_with(&[("content-type", "application/json")], body).await
    }

    pub(crate) async fn post_with(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let start = Request::post("/v1/logs");
        let request = headers.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// All kept records, newest first.
    pub(crate) async fn records(&self) -> Vec<Value> {
        self.list("limit=1000").await
    }

    pub(crate) async fn list(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/records?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["records"].as_array().unwrap().clone()
    }

    /// A connection of somebody else to the same file.
    pub(crate) async fn other_connection(&self) -> SqliteConnection {
        let file = self.directory.path().join("audit.db");
        SqliteConnectOptions::new().filename(file).connect().await.unwrap()
    }
}

pub(crate) fn router(store: Arc<dyn Store>) -> Router {
    app(AppState { store, max_body_bytes: MAX_BODY_BYTES, now_unix_nano: || RECEIVED_AT })
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) fn database_url(directory: &TempDir) -> String {
    format!("sqlite://{}", directory.path().join("audit.db").display())
}

/// A request with these records, as one stream and one batch.
pub(crate) fn batch(records: &[Value]) -> String {
    let resource = json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}},
        {"key": "audit.stream.id", "value": {"stringValue": "stream-1"}},
        {"key": "audit.batch.id", "value": {"stringValue": "batch-1"}},
    ]});
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).to_string()
}

/// A record with this uid and these further string attributes.
pub(crate) fn record(uid: &str, attributes: &[(&str, &str)]) -> Value {
    let all: Vec<_> = [("log.record.uid", uid)]
        .iter()
        .chain(attributes)
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    json!({"timeUnixNano": "1783072800000000001", "eventName": "audit.http", "attributes": all})
}

/// The uids of `records`, in their order.
pub(crate) fn uids(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["log.record.uid"].as_str().unwrap()).collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
