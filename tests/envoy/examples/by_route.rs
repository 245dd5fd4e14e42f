//! `by-route.yaml`: the filter runs only for the requests that may need a record.

use serde_json::json;
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, raw_exchange};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::{Mesh, tools};

use super::{example, example_with, texts};

const NAME: &str = "by-route";
const TRACK: (&str, &str) = ("x-session-track", "true");
const CONTEXT: (&str, &str) = ("x-session-context", "Y3R4");

/// All headers that the filter removes from requests. The context is removed if the peer is not
/// trusted, or if configured.
const LOOKED_FOR: [&str; 5] = [
    "x-session-track",
    "x-session-operation",
    "x-session-context",
    "x-audit-stream-id",
    "x-audit-sequence-number",
];

/// The example with a filter that traps on demand by a header. A 503 proves that the request passed
/// the filter.
async fn trapping() -> Mesh {
    let bootstrap = Bootstrap::example(NAME).with(|bootstrap| {
        bootstrap.run(tools::crashing_wasm());
        bootstrap.each_filter("audit", |filter| {
            filter["typed_config"]["config"]["failure_policy"] = json!("FAIL_CLOSED")
        });
    });
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

#[tokio::test]
async fn what_no_rule_names_is_not_seen_by_the_filter() {
    let mesh = trapping().await;
    for callback in ["headers", "log"] {
        let answer = mesh
            .get("/other", &[("x-audit-crash-for-tests", callback)])
            .await;
        assert_eq!(answer.status, 200, "{callback}");
    }

    assert_eq!(
        mesh.get("/check", &[]).await.status,
        200,
        "no VM has trapped"
    );
    assert_eq!(
        mesh.get("/check", &[("x-audit-crash-for-tests", "headers")])
            .await
            .status,
        503
    );
}

/// Each of these headers alone routes the request through the filter.
#[tokio::test]
async fn no_header_that_the_filter_removes_slips_past_it() {
    let mesh = example_with(NAME, &json!({"tracking": {"strip_context": true}})).await;
    for name in LOOKED_FOR {
        assert_eq!(
            mesh.get(&format!("/{name}"), &[(name, "forged")])
                .await
                .status,
            200
        );
    }

    for seen in mesh.upstream.seen().all() {
        assert!(
            LOOKED_FOR.iter().all(|name| !seen.headers.contains(name)),
            "{seen:?}"
        );
    }

    assert_eq!(mesh.upstream.seen().all().len(), LOOKED_FOR.len());
    assert_eq!(
        mesh.stat_at_least("headers.stripped", 5).await["headers.stripped"],
        5
    );
}

#[tokio::test]
async fn a_tracked_request_to_any_path_is_recorded_and_goes_where_it_would_go() {
    let mesh = example(NAME).await;
    mesh.get(
        "/other",
        &[TRACK, CONTEXT, ("x-session-operation", "first")],
    )
    .await;
    mesh.request("POST", "/else", &[TRACK, CONTEXT]).await;
    mesh.get("/other", &[]).await;

    let records = mesh.settled(2).await;
    assert_eq!(texts(&records, "audit.action"), ["first", "POST /else"]);
    assert_eq!(mesh.upstream.seen().all().len(), 3);
}

/// A path that the filter normalises to `/check` must not match a route on which the filter is
/// disabled.
#[tokio::test]
async fn no_way_to_write_a_path_slips_past_the_filter() {
    let mesh = example(NAME).await;
    let written = [
        "/check",
        "/check?x=1",
        "//check",
        "/./check",
        "/a/../check",
        "/%63heck",
        "/%2e/check",
        "/a/%2E%2e/check",
    ];

    for path in written {
        assert_eq!(mesh.get(path, &[]).await.status, 200, "{path}");
    }

    let absolute =
        b"GET http://any.example/check HTTP/1.1\r\nhost: any.example\r\nconnection: close\r\n\r\n";
    let answer = raw_exchange(mesh.http, absolute, &CallOptions::default())
        .await
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));

    let records = mesh.settled(written.len() as u64 + 1).await;
    assert_eq!(
        texts(&records, "url.path"),
        vec!["/check"; written.len() + 1]
    );
}
