//! A collector on a temporary database, and the requests that tests send.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use audit_collector::db::sqlite::SqliteDatabase;
use audit_collector::db::{Database, open};
use audit_collector::http::admission::{Admission, Limits};
use audit_collector::http::app::app;
use audit_collector::http::auth::Access;
use audit_collector::http::metrics::Metrics;
use audit_collector::http::state::AppState;
use audit_collector::ledger::chain::head;
use audit_collector::ledger::checkpoint::Schedule;
use audit_collector::ledger::entry::Skew;
use audit_collector::ledger::signing::Key;
use audit_collector::ledger::{Ledger, Settings};
use audit_collector::views;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::collector::Postgres;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

/// One second after the records of the tests.
pub(crate) const RECEIVED_AT: i64 = 1_783_072_801_000_000_001;
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

pub(crate) const LIMITS: Limits = Limits {
    max_body_bytes: MAX_BODY_BYTES,
    ..Limits::DEFAULT
};

/// One test lets this timeout expire. The others must never reach it, also on a loaded machine.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Deadline for the collector's own background work, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Collector {
    pub(crate) directory: TempDir,
    pub(crate) admission: Admission,
    pub(crate) ledger: Arc<Ledger>,
    router: Router,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null if it is not JSON.
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::start_with(LIMITS, Access::default()).await
    }

    pub(crate) async fn start_with(limits: Limits, access: Access) -> Self {
        let (ledger, directory) = open_ledger(TempDir::new().unwrap()).await;
        let admission = Admission::new(limits);
        Self {
            router: router_with(ledger.clone(), admission.clone(), access),
            admission,
            ledger,
            directory,
        }
    }

    /// Stops the collector gracefully, and starts another one on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.ledger.close().await.unwrap();
        let (ledger, directory) = open_ledger(self.directory).await;
        Self {
            router: router(ledger.clone()),
            ledger,
            directory,
            admission: self.admission,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// The answer with its body still unread.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> Answer {
        self.post_with(&[("content-type", "application/json")], body)
            .await
    }

    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let start = Request::post("/v1/logs");
        let request = headers.iter().fold(start, |request, (name, value)| {
            request.header(*name, *value)
        });
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
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

    /// Stores these records, and waits until the views include them.
    pub(crate) async fn keep(&self, records: &[Value]) {
        for some in records.chunks(100) {
            let answer = self.post(batch(some)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        self.views_follow().await;
    }

    /// Waits until the views include every stored record.
    pub(crate) async fn views_follow(&self) {
        timeout(PATIENCE, async {
            while self.views_lag().await > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the views follow in time");
    }

    /// Number of stored records that the views do not include yet.
    async fn views_lag(&self) -> i64 {
        self.ledger
            .read(|connection| Ok(head(connection)?.position - views::position(connection)?))
            .await
            .unwrap()
    }

    /// The answer of a GET that must succeed.
    pub(crate) async fn get_ok(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// The GET must be refused with 400 and this message.
    pub(crate) async fn assert_refused(&self, path: &str, message: &str) {
        let answer = self.get(path).await;
        assert_eq!(
            (answer.status, answer.body),
            (400, json!({"code": 3, "message": message})),
            "{path}"
        );
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        if is_postgres() {
            postgres_url(&self.directory)
        } else {
            database_url(&self.directory)
        }
    }

    /// A second connection to the same file.
    pub(crate) fn other_connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.directory.path().join("audit.db")).unwrap()
    }
}

/// The database of a collector with its files in `directory`. SQLite: a file there. With
/// `COLLECTOR_TEST_DATABASE=postgres`: a database of a real PostgreSQL. Call it where blocking is
/// allowed.
pub(crate) fn database(directory: &TempDir) -> Arc<dyn Database> {
    if is_postgres() {
        return open(&postgres_url(directory)).unwrap().database;
    }

    let url = database_url(directory);
    open(&url).unwrap();
    Arc::new(
        SqliteDatabase::new(&url)
            .unwrap()
            .with_busy_timeout(BUSY_TIMEOUT),
    )
}

fn is_postgres() -> bool {
    std::env::var_os("COLLECTOR_TEST_DATABASE").is_some_and(|kind| kind == "postgres")
}

/// The same URL for each collector with the same directory.
fn postgres_url(directory: &TempDir) -> String {
    let file = directory.path().join("postgres.url");
    if !file.exists() {
        fs::write(&file, Postgres::shared().new_database()).unwrap();
    }
    fs::read_to_string(&file).unwrap()
}

/// Opens a ledger on a thread where blocking is allowed.
async fn open_ledger(directory: TempDir) -> (Arc<Ledger>, TempDir) {
    let opening = spawn_blocking(move || {
        (
            Arc::new(ledger(database(&directory), &directory)),
            directory,
        )
    });
    opening.await.unwrap()
}

/// The signing key is in `directory`.
pub(crate) fn ledger_settings(directory: &TempDir) -> Settings {
    Settings {
        strict: false,
        skew: Skew::default(),
        key: Arc::new(Key::load_or_create(&directory.path().join("audit.key")).unwrap()),
        checkpoints: Schedule::default(),
        query_timeout: Duration::from_secs(30),
        now: || RECEIVED_AT,
    }
}

/// A ledger with views.
pub(crate) fn ledger(database: Arc<dyn Database>, directory: &TempDir) -> Ledger {
    Ledger::open(
        database,
        ledger_settings(directory),
        vec![views::task(view_settings())],
    )
    .unwrap()
}

/// The defaults, with an action for logout.
pub(crate) fn view_settings() -> views::Settings {
    views::Settings {
        logout_actions: vec!["logout".to_owned()],
        ..views::Settings::default()
    }
}

pub(crate) fn router(ledger: Arc<Ledger>) -> Router {
    router_with(ledger, Admission::new(LIMITS), Access::default())
}

fn router_with(ledger: Arc<Ledger>, admission: Admission, access: Access) -> Router {
    app(AppState {
        ledger,
        views: Arc::new(view_settings()),
        admission,
        access: watch::channel(access).1,
        metrics: Metrics::default(),
        refusals: Arc::default(),
        now_unix_nano: || RECEIVED_AT,
    })
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        bytes,
    }
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
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
        .to_string()
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

/// A record with this uid, received this many seconds after it was made, with attributes of any
/// type.
pub(crate) fn record_at(uid: &str, seconds_ago: i64, attributes: &Value) -> Value {
    let value = |value: &Value| match value {
        Value::Number(number) if number.is_i64() => json!({"intValue": number}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        other => json!({"stringValue": other}),
    };
    let mut record = record(uid, &[]);
    let list = record["attributes"].as_array_mut().unwrap();

    list.extend(
        attributes
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, given)| json!({"key": key, "value": value(given)})),
    );
    record["timeUnixNano"] = (RECEIVED_AT - seconds_ago * 1_000_000_000)
        .to_string()
        .into();
    record
}

/// Removes the fields that the ledger adds to a listed record: position, hash, flags, and time of
/// receipt.
pub(crate) fn without_place(record: &mut Value) {
    for name in ["position", "hash", "flags", "received_at_unix_nano"] {
        record.as_object_mut().unwrap().remove(name).unwrap();
    }
}

/// The same request in protobuf, encoded by an independent implementation.
pub(crate) fn protobuf(otlp_json: &[u8]) -> Vec<u8> {
    serde_json::from_slice::<ExportLogsServiceRequest>(otlp_json)
        .unwrap()
        .encode_to_vec()
}

/// The uids of `records`, in order.
pub(crate) fn uids(records: &[Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["log.record.uid"].as_str().unwrap())
        .collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
