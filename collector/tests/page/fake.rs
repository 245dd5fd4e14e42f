//! A scripted collector: the shipped page over made-up records.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use audit_collector::http::page;
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECOND: i64 = 1_000_000_000;

/// A value as the body of an answer.
struct Json<T>(T);

impl IntoResponse for Json<Value> {
    fn into_response(self) -> Response {
        let content_type = [("content-type", "application/json")];
        (content_type, self.0.to_string()).into_response()
    }
}

/// Data and state of the fake.
#[derive(Default)]
pub(crate) struct World {
    /// Oldest first; the position is the index plus one.
    pub(crate) records: Vec<Value>,
    pub(crate) streams: Value,
    pub(crate) usage: Value,
    pub(crate) sessions: Vec<Value>,
    pub(crate) session: Value,
    /// If set, every request of the API is refused with this.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// If set, the bearer token that requests must have.
    pub(crate) token: Option<&'static str>,
}

type Shared = Arc<Mutex<World>>;

/// The running fake; closed when dropped.
pub(crate) struct Fake {
    pub(crate) world: Shared,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start(world: World) -> Self {
        Self::serve(Arc::new(Mutex::new(world)), ([127, 0, 0, 1], 0).into()).await
    }

    async fn serve(world: Shared, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(world.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            world,
            address,
            server,
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the fake; `start_again` restarts it at the same address.
    pub(crate) async fn stop(self) -> Stopped {
        self.server.abort();
        while !self.server.is_finished() {
            tokio::task::yield_now().await;
        }
        Stopped {
            world: self.world.clone(),
            address: self.address,
        }
    }

    /// Changes the data of the fake.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }
}

/// A fake that is down for a while.
pub(crate) struct Stopped {
    world: Shared,
    address: SocketAddr,
}

impl Stopped {
    pub(crate) async fn start_again(self) -> Fake {
        Fake::serve(self.world, self.address).await
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(world: Shared) -> Router {
    let api = Router::new()
        .route("/api/records", get(records))
        .route("/api/streams", get(all_streams))
        .route("/api/usage", get(usage))
        .route("/api/search", get(suggestions))
        .route("/api/conflicts", get(conflicts))
        .route("/api/retention", get(retention))
        .route("/api/sessions", get(sessions))
        .route("/api/sessions/{key}", get(session))
        .layer(middleware::from_fn_with_state(world.clone(), refuse));

    api.merge(page::router())
        .layer(middleware::map_response(close))
        .with_state(world)
}

/// Closes every connection, so that none outlives the fake.
async fn close(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn refuse(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let refusal = {
        let world = world.lock().unwrap();
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let is_known = world
            .token
            .is_none_or(|token| given == Some(&format!("Bearer {token}")));
        world
            .refusal
            .or((!is_known).then_some((401, "a bearer token is needed")))
    };

    match refusal {
        None => next.run(request).await,
        Some((status, message)) => {
            let body = Json(json!({"code": 14, "message": message}));
            (
                StatusCode::from_u16(status).unwrap(),
                [(header::RETRY_AFTER, "1")],
                body,
            )
                .into_response()
        }
    }
}

async fn records(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let world = world.lock().unwrap();
    let number = |name: &str| query.get(name).map(|text| text.parse::<i64>().unwrap());
    let limit = usize::try_from(number("limit").unwrap_or(100)).unwrap();
    let matching = world
        .records
        .iter()
        .filter(|record| matches(record, &query));

    if let Some(after) = number("after") {
        let newer = matching.filter(|record| record["position"].as_i64().unwrap() > after);
        return Json(
            json!({"records": newer.take(limit).collect::<Vec<_>>(), "next_cursor": null}),
        );
    }

    let before = number("cursor").unwrap_or(i64::MAX);
    let mut older = matching
        .rev()
        .filter(|record| record["position"].as_i64().unwrap() < before);
    let page: Vec<_> = older.by_ref().take(limit).collect();
    let cursor = older
        .next()
        .and_then(|_| page.last())
        .map(|record| record["position"].to_string());
    Json(json!({"records": page, "next_cursor": cursor}))
}

fn matches(record: &Value, query: &HashMap<String, String>) -> bool {
    let exact = [
        ("user", "user.id"),
        ("session", "session.id"),
        ("rule", "audit.rule"),
        ("outcome", "audit.outcome"),
        ("action", "audit.action"),
    ];

    let wants = |(parameter, attribute): (&str, &str)| {
        let wanted = query.get(parameter);
        wanted.is_none_or(|wanted| record[attribute] == *wanted)
    };
    let action = record["audit.action"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();

    exact.into_iter().all(wants)
        && query
            .get("q")
            .is_none_or(|part| action.contains(&part.to_lowercase()))
}

async fn all_streams(State(world): State<Shared>) -> Json<Value> {
    Json(world.lock().unwrap().streams.clone())
}

async fn usage(State(world): State<Shared>) -> Json<Value> {
    Json(world.lock().unwrap().usage.clone())
}

async fn conflicts() -> Json<Value> {
    Json(json!({"conflicts": [], "next_cursor": null}))
}

async fn suggestions() -> Json<Value> {
    let of_ada = |kind: &str, value: &str| json!({"kind": kind, "value": value, "user_id": "42"});
    Json(json!({"suggestions": [
        of_ada("user_name", "ada"), of_ada("user_email", "ada@example.com"), of_ada("session", "s-ada-1"),
        {"kind": "action", "value": "a_long_name_of_an_action/that.has_many-parts/and.some-more", "user_id": null},
    ]}))
}

async fn retention() -> Json<Value> {
    let cut = json!({"first_position": 1, "last_position": 1200, "records": 1200, "key_id": "5e5e",
        "deleted_at_unix_nano": "1783072801000000001", "received_until_unix_nano": null});
    Json(json!({"cuts": [cut], "next_cursor": "1"}))
}

async fn sessions(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let world = world.lock().unwrap();
    let user = query.get("user");
    let mut sessions = world.sessions.clone();
    sessions.retain(|session| user.is_none_or(|user| session["user_id"] == **user));
    Json(json!({"sessions": sessions, "next_cursor": null}))
}

async fn session(State(world): State<Shared>, Path(key): Path<String>) -> Response {
    let world = world.lock().unwrap();
    if world.session["session"]["key"] == *key {
        return Json(world.session.clone()).into_response();
    }
    (
        StatusCode::NOT_FOUND,
        Json(json!({"code": 5, "message": "there is no such session"})),
    )
        .into_response()
}

/// The time this many seconds ago, in the API's format.
pub(crate) fn ago(seconds: i64) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the page tells times by the clock"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (i64::try_from(now.as_nanos()).unwrap() - seconds * SECOND).to_string()
}

/// A record at this position, this many seconds old, with more attributes.
pub(crate) fn record(position: usize, seconds_ago: i64, more: &Value) -> Value {
    let mut record = json!({
        "log.record.uid": format!("aud_{position}"), "time_unix_nano": ago(seconds_ago),
        "observed_time_unix_nano": ago(seconds_ago), "received_at_unix_nano": ago(seconds_ago - 1),
        "severity_number": 9, "event_name": "audit.http", "body": "GET /check success",
        "position": position, "hash": "5e".repeat(32), "flags": [],
        "audit.rule": "check", "audit.action": "GET /check", "audit.outcome": "success", "audit.duration_ms": 12.25,
        "audit.stream.id": "0b51a9c2-8d1f-4c3e-9b7a-1f2e3d4c5b6a", "audit.sequence.number": position,
        "http.request.method": "GET", "url.path": "/check", "http.response.status_code": 200, "service.name": "demo",
        "user.id": "42", "user.name": "ada", "session.id": "s-ada-1",
    });
    let attributes = record.as_object_mut().unwrap();
    attributes.extend(more.as_object().unwrap().clone());
    attributes.retain(|_, value| !value.is_null());

    record
}

/// The answer of `/api/streams` with one stream of 100 numbers.
pub(crate) fn streams(status: &str, gaps: &Value, losses: &Value) -> Value {
    let missing = gaps.as_array().unwrap().iter().map(|gap| {
        1 + gap["last_number"].as_u64().unwrap() - gap["first_number"].as_u64().unwrap()
    });
    let missing: u64 = missing.sum();
    let (open, unexplained) = if status == "gap" {
        (0, missing)
    } else {
        (missing, 0)
    };

    let lost: u64 = losses
        .as_array()
        .unwrap()
        .iter()
        .map(|loss| loss["count"].as_u64().unwrap())
        .sum();

    let stream = json!({
        "stream_id": "0b51a9c2-8d1f-4c3e-9b7a-1f2e3d4c5b6a", "service": "demo", "status": status,
        "received": 100 - missing - lost, "first_number": 0, "last_number": 99, "next_number": null,
        "explained_losses": lost, "open_numbers": open, "unexplained_numbers": unexplained,
        "started": true, "ended": false, "life": "alive", "alive_interval_ms": 30_000,
        "unknown_since_unix_nano": ago(2), "unknown_at_most": 10_000, "first_seen_unix_nano": ago(900), "last_seen_unix_nano": ago(2),
        "gaps": gaps, "losses": losses,
    });
    json!({"status": status, "records": 100 - missing - lost, "explained_losses": lost, "open_numbers": open,
        "unexplained_numbers": unexplained, "conflicts": 0, "gap_streams": 0, "open_streams": 0, "complete_streams": 0, "silent_streams": 0,
        "ended": {"streams": 0, "received": 0, "explained_losses": 0}, "streams": [stream], "next_cursor": null})
}

impl World {
    /// Records, sessions, streams and usage without any problem.
    pub(crate) fn usual() -> Self {
        let ada = json!({"key": "s-ada-1", "session_id": "s-ada-1", "token_ref": null, "user_id": "42", "user_name": "ada",
            "start_unix_nano": ago(900), "last_seen_unix_nano": ago(20), "end_unix_nano": null, "duration_ms": 880_000.0,
            "events": 6, "last_action": "GET /check", "last_outcome": "success", "state": "open", "ended_by": null});
        let grace = json!({"key": "hmac-sha256:2026-08:9f86d081884c7d659a2feaa0c55ad015", "session_id": null,
            "token_ref": "hmac-sha256:2026-08:9f86d081884c7d659a2feaa0c55ad015", "user_id": "7", "user_name": null,
            "start_unix_nano": ago(5000), "last_seen_unix_nano": ago(3000), "end_unix_nano": ago(3000),
            "duration_ms": 2_000_000.0, "events": 3, "last_action": "logout", "last_outcome": "success",
            "state": "ended", "ended_by": "logout"});
        let signal = |name: &str, value: &str, seconds, position: usize| json!({"name": name, "value": value, "since_unix_nano": ago(seconds), "record_uid": format!("aud_{position}"), "position": position});

        let records = usual_records();
        let of_ada: Vec<&Value> = records
            .iter()
            .rev()
            .filter(|record| record["session.id"] == "s-ada-1")
            .take(6)
            .collect();
        let session = json!({"session": ada, "records": of_ada, "next_cursor": null, "signals": [
            signal("device_id", "laptop-7", 900, 1), signal("country", "NL", 900, 1), signal("country", "BR", 60, 138),
        ]});

        Self {
            streams: streams("complete", &json!([]), &json!([])),
            usage: usual_usage(),
            sessions: vec![ada, grace],
            session,
            records,
            ..Self::default()
        }
    }
}

fn usual_records() -> Vec<Value> {
    let usual = (1..=140).map(|position| {
        let seconds = i64::try_from((141 - position) * 20).unwrap();
        let more = match position % 7 {
            0 => json!({"audit.outcome": "denied", "audit.action": "change_password", "audit.rule": "tracked",
                "event_name": "audit.rpc", "rpc.method": "demo.Accounts/ChangePassword",
                "rpc.response.status_code": "PERMISSION_DENIED", "error.message": "wrong password", "user.id": "7",
                "user.name": null, "session.id": "s-grace-1", "audit.session.context": "eyJkZXZpY2VfaWQiOiJwaG9uZS0yIiwiY291bnRyeSI6IkJSIn0="}),
            3 => json!({"audit.outcome": "failure", "audit.action": "transfer", "http.response.status_code": 503, "audit.rule": "tracked",
                "user.id": "9", "user.name": "alan", "session.id": "6d3c6b0e-8f0a-4f43-b7be-77f0a2a8d9be", "flags": ["clock_skew"]}),
            5 => json!({"audit.outcome": "aborted", "audit.action": "download", "http.response.status_code": null, "user.name": null, "user.id": null, "session.id": null}),
            _ => json!({}),
        };
        record(position, seconds, &more)
    });
    usual.collect()
}

fn usual_usage() -> Value {
    let now: i64 = ago(0).parse::<i64>().unwrap() / SECOND;
    let bucket = |index: i64| {
        let start = (now / 300 - index) * 300;
        let requests = 40 + (index * 37) % 90;
        json!({"start_unix_nano": (start * SECOND).to_string(), "requests": requests, "unique_users": 3 + index % 5,
            "mean_per_user": 12.5, "stddev_per_user": 3.25})
    };
    let buckets: Vec<Value> = (0..70)
        .rev()
        .filter(|index| !(20..26).contains(index))
        .map(bucket)
        .collect();

    json!({"rule": "check", "bucket_seconds": 300, "buckets": buckets,
        "users": [{"user_id": "42", "requests": 900}, {"user_id": "7", "requests": 350}, {"user_id": "9", "requests": 20}]})
}
