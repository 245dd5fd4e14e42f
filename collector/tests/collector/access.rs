//! Tokens: a request without one gets 401 with a hint how to send it, and no other information.

use audit_collector::http::auth::{Access, Tokens};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::common::{Answer, Collector, LIMITS, batch, record, uids};
use crate::encodings::{PROTOBUF, status};

fn token(text: &str) -> Tokens {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, text).unwrap();
    Tokens::from_file(&file).unwrap()
}

async fn start(ingest: Option<&str>, read: Option<&str>) -> Collector {
    Collector::start_with(
        LIMITS,
        Access {
            ingest: ingest.map(token),
            read: read.map(token),
        },
    )
    .await
}

async fn post(collector: &Collector, authorization: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", authorization),
    ];
    collector
        .post_with(&headers, batch(&[record("aud_1", &[])]))
        .await
}

async fn get(collector: &Collector, path: &str, authorization: &str) -> Answer {
    collector
        .send(
            Request::get(path)
                .header("authorization", authorization)
                .body(Body::empty())
                .unwrap(),
        )
        .await
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

#[tokio::test]
async fn records_are_accepted_with_the_token_only() {
    let collector = start(Some("wr1te\n"), None).await;
    let answer = collector.post(batch(&[record("aud_0", &[])])).await;
    let body = json!({"code": 16, "message": "the bearer token is missing or wrong"});
    assert_eq!((answer.status, &answer.body), (401, &body));
    assert_eq!(answer.headers["www-authenticate"], "Bearer");

    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wr1t",
        "Bearer wr1te2",
        "Bearer WR1TE",
        "wr1te",
        &basic("a:wr1te"),
    ] {
        assert_eq!(post(&collector, wrong).await.status, 401, "{wrong}");
    }

    assert!(
        collector.records().await.is_empty(),
        "and reading needs none"
    );

    for right in ["Bearer wr1te", "bearer wr1te", "BEARER  wr1te"] {
        assert_eq!(post(&collector, right).await.status, 200, "{right}");
    }
    assert_eq!(uids(&collector.records().await), ["aud_1"]);
}

#[tokio::test]
async fn a_sender_of_protobuf_is_refused_in_protobuf() {
    let collector = start(Some("wr1te"), None).await;
    let answer = collector.post_with(&[PROTOBUF], Vec::new()).await;
    assert_eq!(
        status(&answer),
        (401, 16, "the bearer token is missing or wrong".to_owned())
    );
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn all_but_health_and_metrics_requires_the_token() {
    let collector = start(None, Some("re:ad")).await;
    assert_eq!(post(&collector, "").await.status, 200);

    for path in ["/api/records", "/", "/openapi.json", "/no/such/path"] {
        let answer = collector.get(path).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (401, &json!(16)),
            "{path}"
        );
        assert_eq!(
            answer.headers["www-authenticate"],
            "Basic realm=\"audit\", charset=\"UTF-8\""
        );
    }

    for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
        assert_eq!(collector.get(path).await.status, 200, "{path}");
    }

    for wrong in [
        "Bearer ad",
        "Bearer wr1te",
        "Basic re:ad",
        &basic("re:ad"),
        &basic("re"),
        &basic("name:RE:AD"),
    ] {
        assert_eq!(
            get(&collector, "/api/records", wrong).await.status,
            401,
            "{wrong}"
        );
    }

    for right in [
        "Bearer re:ad",
        &basic(":re:ad"),
        &basic("name:re:ad"),
        &basic("ü:re:ad"),
    ] {
        assert_eq!(
            get(&collector, "/api/records", right).await.status,
            200,
            "{right}"
        );
    }

    assert_eq!(
        get(&collector, "/no/such/path", "Bearer re:ad")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn one_token_does_not_do_for_the_other() {
    let collector = start(Some("wr1te"), Some("re4d")).await;
    assert_eq!(post(&collector, "Bearer re4d").await.status, 401);
    assert_eq!(
        get(&collector, "/api/records", "Bearer wr1te").await.status,
        401
    );
}
