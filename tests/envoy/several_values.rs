//! Several values from one source, in both of Envoy's forms: separate, or joined.

use serde_json::json;
use testkit::{Mesh, Record};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn start() -> Mesh {
    Mesh::with_plugin(&json!({
        "rules": [{"name": "login", "match": {"path": {"exact": "/login"}}, "session": "start"}, {"name": "all"}],
        "session": {
            "id": [{"header": "x-session-id"}, {"cookie": "sid", "clear": true}],
            "token": [{"bearer": true}, {"cookie": "token"}],
            "token_mode": "clear",
        },
    }))
    .await
}

async fn last_record(mesh: &Mesh) -> Record {
    mesh.exchanges_until_marker()
        .await
        .pop()
        .expect("there is a record")
}

#[tokio::test]
async fn the_last_value_counts_and_another_one_is_a_conflict() {
    let mesh = start().await;
    let answer = "x-demo-response-header";

    for (path, headers, attribute, expected) in [
        (
            "/any",
            [("x-session-id", "first"), ("x-session-id", "last")],
            "session.id",
            "last",
        ),
        (
            "/any",
            [("x-user-id", "first"), ("x-user-id", "last")],
            "user.id",
            "last",
        ),
        (
            "/any",
            [("cookie", "token=first"), ("cookie", "token=last")],
            "session.token_ref",
            "clear:last",
        ),
        (
            "/any",
            [("cookie", "token=first; token=last"), ("x", "")],
            "session.token_ref",
            "clear:last",
        ),
        // Envoy joins them with a comma.
        (
            "/any",
            [
                ("authorization", "Bearer first"),
                ("authorization", "Bearer last"),
            ],
            "session.token_ref",
            "clear:last",
        ),
        (
            "/any",
            [(answer, "x-user-id: first"), (answer, "x-user-id: last")],
            "user.id",
            "last",
        ),
        (
            "/login",
            [
                (answer, "x-session-id: first"),
                (answer, "x-session-id: last"),
            ],
            "session.id",
            "last",
        ),
        (
            "/login",
            [
                (answer, "set-cookie: sid=first"),
                (answer, "set-cookie: sid=last; Path=/"),
            ],
            "session.id",
            "last",
        ),
    ] {
        mesh.get(path, &headers).await;
        let record = last_record(&mesh).await;
        let found = (record.text(attribute), record.text("audit.header_conflict"));
        assert_eq!(
            found,
            (expected.to_owned(), "true".to_owned()),
            "{headers:?} {record:#?}"
        );

        // The same value twice is not a conflict.
        let same = headers
            .map(|(name, value)| (name, value.replace("first", "last").replace("; Path=/", "")));
        mesh.get(path, &[(same[0].0, &same[0].1), (same[1].0, &same[1].1)])
            .await;

        let record = last_record(&mesh).await;
        let found = (record.text(attribute), record.has("audit.header_conflict"));
        assert_eq!(found, (expected.to_owned(), false), "{same:?} {record:#?}");
    }
}

#[tokio::test]
async fn several_trace_contexts_are_none() {
    let mesh = start().await;
    mesh.get("/any", &[("traceparent", TRACE)]).await;
    assert_eq!(
        last_record(&mesh).await.raw["traceId"],
        "0af7651916cd43dd8448eb211c80319c"
    );

    mesh.get("/any", &[("traceparent", TRACE), ("traceparent", TRACE)])
        .await;
    let record = last_record(&mesh).await;
    assert!(
        record.raw.get("traceId").is_none() && record.raw.get("spanId").is_none(),
        "{record:#?}"
    );
}

#[tokio::test]
async fn what_envoy_joins_is_recorded_so() {
    let mesh = start().await;
    mesh.get("/any", &[("user-agent", "first"), ("user-agent", "last")])
        .await;
    let record = last_record(&mesh).await;
    assert_eq!(record.text("user_agent.original"), "first,last");
    assert!(!record.has("audit.header_conflict"), "{record:#?}");
}
