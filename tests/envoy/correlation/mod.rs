//! The pair that joins the upstream's log with the records: which requests get one, and that a
//! client cannot set it.

mod names;
mod process;
mod refused;
mod spoofed;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{GrpcOptions, grpc_call};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::headers::Headers;
use testkit::upstream::Seen;
use testkit::{Mesh, Record};

/// Session id and number.
const NAMES: [&str; 2] = ["x-audit-stream-id", "x-audit-sequence-number"];
const ATTRIBUTES: [&str; 2] = ["audit.correlation.session_id", "audit.correlation.number"];

/// A pair as text.
type Pair = (String, String);

/// Paths below `/joined` are recorded and get a pair; those below `/recorded` get a record only.
/// `/none` matches a rule of level none.
fn bootstrap(patch: &Value) -> Bootstrap {
    let plugin = json!({
        "batch": {"max_delay": "50ms"},
        "rules": [
            {"name": "joined", "match": {"path": {"prefix": "/joined"}}, "correlate": true},
            {"name": "failures", "match": {"path": {"prefix": "/failures"}}, "correlate": true, "record_on": ["failure"]},
            {"name": "none", "match": {"path": {"prefix": "/none"}}, "level": "none"},
            {"name": "recorded", "match": {"path": {"prefix": "/recorded"}}},
            {"name": "tracked", "match": {"tracked": true}, "correlate": true},
            {"name": "check", "match": {"path": {"exact": "/check"}}},
        ],
    });
    Bootstrap::shipped().with_plugin(&plugin).with_plugin(patch)
}

async fn mesh_with(patch: &Value) -> Mesh {
    Mesh::with_bootstrap(bootstrap(patch), Sink::start().await, 1).await
}

/// The pair that reached the upstream: both or none, one value each, and never in trailers.
#[track_caller]
fn pair_seen_by(seen: &Seen, names: [&str; 2]) -> Option<Pair> {
    assert!(
        !names.iter().any(|name| seen.trailers.contains(name)),
        "{seen:#?}"
    );

    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    match names
        .map(|name| seen.headers.all(name))
        .each_ref()
        .map(Vec::as_slice)
    {
        [[], []] => None,
        [[session_id], [number]] => Some((text(session_id), text(number))),
        _ => panic!("not both or none, one value each: {seen:#?}"),
    }
}

/// The pair that a record carries: both or none.
#[track_caller]
fn pair_of(record: &Record) -> Option<Pair> {
    match ATTRIBUTES.map(|name| record.has(name)) {
        [false, false] => None,
        [true, true] => Some(ATTRIBUTES.map(|name| record.text(name)).into()),
        _ => panic!("not both or none: {record:#?}"),
    }
}

/// The pairs at the upstream by path. Each path was requested once.
fn pairs_seen(mesh: &Mesh) -> BTreeMap<String, Option<Pair>> {
    let seen = mesh.upstream.seen().all();
    let pairs: BTreeMap<_, _> = seen
        .iter()
        .map(|seen| (seen.path.clone(), pair_seen_by(seen, NAMES)))
        .collect();
    assert_eq!(pairs.len(), seen.len(), "each path once");
    pairs
}

/// The pairs of records by their paths.
fn pairs_recorded(records: &[Record]) -> BTreeMap<String, Option<Pair>> {
    let pairs: BTreeMap<_, _> = records
        .iter()
        .map(|record| (record.text("url.path"), pair_of(record)))
        .collect();
    assert_eq!(pairs.len(), records.len(), "each path once");
    pairs
}

fn pair(session_id: &str, number: usize) -> Option<Pair> {
    Some((session_id.to_owned(), number.to_string()))
}

async fn call(mesh: &Mesh, path: &str, headers: Headers, trailers: Headers) {
    let options = GrpcOptions {
        trailers,
        ..GrpcOptions::default()
    };
    let answer = grpc_call(mesh.grpc, path, headers, &options).await.unwrap();
    assert_eq!(answer.grpc_status().as_deref(), Some("0"));
}

#[tokio::test]
async fn the_upstream_sees_the_pair_of_the_record() {
    let mesh = mesh_with(&json!({})).await;
    for index in 0..20 {
        mesh.get(&format!("/joined/{index}"), &[]).await;
        mesh.get(&format!("/recorded/{index}"), &[]).await;
        mesh.get(&format!("/else/{index}"), &[]).await;
    }

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    let stream = records[0].text("audit.stream.id");

    for index in 0..20 {
        assert_eq!(
            seen[&format!("/joined/{index}")],
            pair(&stream, index),
            "dense from 0, in the stream's own name"
        );
        assert_eq!(seen[&format!("/recorded/{index}")], None);
        assert_eq!(seen[&format!("/else/{index}")], None);
    }

    let recorded = pairs_recorded(&records);
    assert_eq!(recorded.len(), 40);
    assert!(
        recorded.iter().all(|(path, pair)| seen[path] == *pair),
        "{recorded:#?}"
    );
}

#[tokio::test]
async fn calls_have_pairs_and_a_session_of_their_own_listener() {
    let mesh = mesh_with(&json!({})).await;
    mesh.get("/joined/http", &[]).await;

    for method in ["a", "b", "c"] {
        call(
            &mesh,
            &format!("/joined.Accounts/{method}"),
            Headers::new(),
            Headers::new(),
        )
        .await;
    }

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(pairs_recorded(&records), seen);

    let stream = |path: &str| {
        records
            .iter()
            .find(|record| record.text("url.path") == path)
            .unwrap()
            .text("audit.stream.id")
    };
    let (http, grpc) = (stream("/joined/http"), stream("/joined.Accounts/a"));
    assert_ne!(http, grpc);
    assert_eq!(seen["/joined/http"], pair(&http, 0));

    for (number, method) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(
            seen[&format!("/joined.Accounts/{method}")],
            pair(&grpc, number)
        );
    }
}

#[tokio::test]
async fn a_tracked_request_has_a_pair_when_it_may_be_recorded() {
    let mesh = mesh_with(&json!({})).await;
    let track = ("x-session-track", "true");
    mesh.get("/with-context", &[track, ("x-session-context", "Y3R4")])
        .await;
    mesh.get("/without-context", &[track]).await;
    mesh.get("/untracked", &[("x-session-context", "Y3R4")])
        .await;

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (pair_of(&records[0]), seen["/with-context"].is_some()),
        (seen["/with-context"].clone(), true)
    );
    assert_eq!(
        (&seen["/without-context"], &seen["/untracked"]),
        (&None, &None)
    );
}

/// The pair is set before the end of the exchange is known.
#[tokio::test]
async fn a_pair_without_a_record_leaves_no_gap() {
    let mesh = mesh_with(&json!({})).await;
    mesh.get("/failures/0", &[]).await;
    mesh.get("/failures/1", &[("x-demo-status", "500")]).await;
    mesh.get("/joined/2", &[]).await;

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    let stream = records[0].text("audit.stream.id");
    let paths = ["/failures/0", "/failures/1", "/joined/2"];
    assert_eq!(
        paths.map(|path| seen[path].clone()),
        [0, 1, 2].map(|number| pair(&stream, number))
    );

    let recorded = pairs_recorded(&records);
    assert_eq!(
        recorded.into_iter().collect::<Vec<_>>(),
        paths[1..]
            .iter()
            .map(|path| ((*path).to_owned(), seen[*path].clone()))
            .collect::<Vec<_>>()
    );
}
