//! Each scripted HTTP behaviour, once, without a proxy.

use std::time::Duration;

use testkit::client::{CallError, CallOptions, http_get, http_request, raw_exchange};
use testkit::headers::Headers;
use testkit::upstream::{Protocol, Upstream};

const FAST: CallOptions = CallOptions {
    source_ip: None,
    timeout: Duration::from_secs(5),
};

async fn get(
    upstream: &Upstream,
    path: &str,
    headers: impl Into<Headers>,
) -> Result<(u16, String), CallError> {
    let answer = http_get(upstream.http_addr(), path, headers, &FAST).await?;
    Ok((answer.status, answer.text()))
}

#[tokio::test]
async fn check_answers_the_user() {
    let upstream = Upstream::start().await.unwrap();
    let answer = http_get(upstream.http_addr(), "/check?x=1", Headers::new(), &FAST)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers.text("content-type").unwrap(),
        "application/json"
    );
    assert_eq!(
        answer.text(),
        r#"{"UserId":42,"Identity":"ada","Email":"ada@example.com"}"#
    );

    let (status, text) = get(&upstream, "/other", []).await.unwrap();
    assert_eq!(
        (status, text.as_str()),
        (200, "hello from the demo upstream\n")
    );
}

#[tokio::test]
async fn the_request_scripts_status_body_headers_and_delay() {
    let upstream = Upstream::start().await.unwrap();
    let script = Headers::new()
        .with("x-demo-status", "401")
        .with("x-demo-body", "no")
        .with("x-demo-response-header", "x-user-id: 7")
        .with("x-demo-response-header", b"x-raw: \xff");

    let answer = http_get(upstream.http_addr(), "/check", script, &FAST)
        .await
        .unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (401, "no"));
    assert_eq!(answer.headers.text("x-user-id").unwrap(), "7");
    assert_eq!(answer.headers.first("x-raw").unwrap(), b"\xff");

    let impatient = CallOptions {
        timeout: Duration::from_millis(100),
        ..FAST
    };
    let late = http_get(
        upstream.http_addr(),
        "/check",
        [("x-demo-delay-ms", "60000")],
        &impatient,
    )
    .await;
    assert!(matches!(late, Err(CallError::TimedOut(_))), "{late:?}");

    assert_eq!(
        get(&upstream, "/check", [("x-demo-delay-ms", "1")])
            .await
            .unwrap()
            .0,
        200
    );
}

#[tokio::test]
async fn resets_come_before_the_answer_or_in_its_body() {
    let upstream = Upstream::start().await.unwrap();
    let before = get(&upstream, "/check", [("x-demo-reset", "before")]).await;
    assert!(
        matches!(before, Err(CallError::Broken { status: None, .. })),
        "{before:?}"
    );

    let after = get(&upstream, "/check", [("x-demo-reset", "after-headers")]).await;
    assert!(
        matches!(
            after,
            Err(CallError::Broken {
                status: Some(_),
                ..
            })
        ),
        "{after:?}"
    );
}

#[tokio::test]
async fn requests_are_recorded_in_order_with_duplicates_and_raw_bytes() {
    let upstream = Upstream::start().await.unwrap();
    let headers = Headers::new()
        .with("X-Twice", "1")
        .with("x-raw", b"a\xffb")
        .with("x-twice", "2");

    http_request(
        upstream.http_addr(),
        "POST",
        "/a?b=c",
        headers,
        "body",
        &FAST,
    )
    .await
    .unwrap();
    get(&upstream, "/second", []).await.unwrap();

    let all = upstream.seen().all();
    let paths: Vec<_> = all
        .iter()
        .map(|seen| (seen.method.as_str(), seen.path.as_str()))
        .collect();
    assert_eq!(paths, [("POST", "/a?b=c"), ("GET", "/second")]);
    let first = &upstream.seen().at_path("/a")[0];
    assert_eq!((first.protocol, first.body_bytes), (Protocol::Http, 4));
    assert_eq!(first.headers.all("x-twice"), [b"1", b"2"]);
    assert_eq!(first.headers.first("x-raw").unwrap(), b"a\xffb");
}

#[tokio::test]
async fn seen_is_served_and_cleared_over_http() {
    let upstream = Upstream::start().await.unwrap();
    get(&upstream, "/a", Headers::new().with("x-raw", b"\xff"))
        .await
        .unwrap();
    let (_, json) = get(&upstream, "/_seen", []).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();

    assert_eq!(json["seen"].as_array().unwrap().len(), 1);
    assert_eq!(json["seen"][0]["path"], "/a");
    assert_eq!(
        json["seen"][0]["headers"][0],
        serde_json::json!(["x-raw", "\\xff"])
    );

    let cleared = http_request(upstream.http_addr(), "DELETE", "/_seen", [], "", &FAST)
        .await
        .unwrap();
    assert_eq!(cleared.status, 204);
    assert!(upstream.seen().all().is_empty());
}

#[tokio::test]
async fn odd_bytes_and_other_source_addresses_can_be_sent() {
    let upstream = Upstream::start().await.unwrap();
    let from_elsewhere = CallOptions::from_ip([127, 0, 0, 2]);
    let request = b"GET /raw HTTP/1.1\r\nhost: a\r\nX-Odd:  b \r\nconnection: close\r\n\r\n";
    let answer = raw_exchange(upstream.http_addr(), request, &from_elsewhere)
        .await
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(upstream.seen().at_path("/raw").len(), 1);

    let nonsense = raw_exchange(upstream.http_addr(), b"nonsense\r\n\r\n", &from_elsewhere)
        .await
        .unwrap();
    assert!(nonsense.starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn a_dropped_upstream_is_gone() {
    let upstream = Upstream::start().await.unwrap();
    let addr = upstream.http_addr();
    drop(upstream);
    // The accept loop ends at its next turn; from then on, connecting fails.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while http_get(addr, "/", [], &FAST).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "still serving");
    }
}
