//! `acknowledged`: a request of any kind goes upstream complete, and only after the
//! acknowledgement.

use std::sync::Arc;

use testkit::client::{GrpcConnection, RawConnection};
use testkit::envoy::bootstrap;
use testkit::upstream::Seen;

use super::*;

/// The only request at this path of the upstream, with its body.
fn seen(mesh: &Mesh, path: &str) -> Seen {
    let mut seen = mesh.upstream.seen().at_path(path);
    assert_eq!(seen.len(), 1, "{seen:#?}");
    seen.remove(0)
}

/// The two records of one exchange: before it is forwarded, and at its end.
#[track_caller]
fn assert_both_stages(records: &[Record]) {
    let [receipt, end] = records else {
        panic!("{records:#?}")
    };
    assert_eq!(
        (receipt.text("audit.stage"), end.text("audit.stage")),
        ("received".into(), "complete".into())
    );

    assert!(
        !receipt.has("audit.outcome") && !receipt.has("audit.duration_ms"),
        "{receipt:#?}"
    );
    assert!(
        !receipt.has("http.response.status_code") && !receipt.has("rpc.response.status_code"),
        "{receipt:#?}"
    );
    assert_eq!(receipt.text("audit.priority"), "immediate");
    assert_eq!(end.text("audit.outcome"), "success");

    for name in [
        "audit.rule",
        "audit.action",
        "audit.request_id",
        "url.path",
        "http.request.method",
        "client.address",
    ] {
        assert_eq!(receipt.text(name), end.text(name), "{name}");
    }

    assert_eq!(receipt.raw["timeUnixNano"], end.raw["timeUnixNano"]);
    assert_ne!(receipt.uid(), end.uid());
}

#[tokio::test]
async fn a_request_without_a_body() {
    let (mesh, gate) = gated(&json!({})).await;
    let pending = post(mesh.http, PATH, Bytes::new());
    are_held(&mesh, 1).await;
    gate.open();
    assert_eq!(answer(pending).await.status, 200);
    assert_both_stages(&mesh.exchanges_until_marker().await);
    assert_clean(&mesh).await;
}

/// The second body is larger than Envoy's buffer for one (1 MiB).
#[tokio::test]
async fn requests_with_large_bodies() {
    for size in [300_000, 3 << 20] {
        let (mesh, gate) = gated(&json!({})).await;
        let pending = post(mesh.http, PATH, Bytes::from(vec![b'x'; size]));

        are_held(&mesh, 1).await;
        gate.open();
        assert_eq!(answer(pending).await.status, 200, "{size}");
        assert_eq!(seen(&mesh, PATH).body_bytes, size);
        assert_both_stages(&mesh.exchanges_until_marker().await);
        assert_clean(&mesh).await;
    }
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_before_and_after() {
    let (mesh, gate) = gated(&json!({})).await;
    let mut connection = RawConnection::open(mesh.http, &CallOptions::default())
        .await
        .unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.unwrap();

    connection.send(b"5\r\nearly\r\n").await.unwrap();
    are_held(&mesh, 1).await;
    connection.send(b"6\r\nwhile \r\n").await.unwrap();
    gate.open();
    eventually("the request is upstream", || {
        mesh.upstream.seen().at_path(PATH).pop()
    })
    .await;
    connection.send(b"5\r\nafter\r\n0\r\n\r\n").await.unwrap();

    assert!(connection.receive().await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(seen(&mesh, PATH).body_bytes, "earlywhile after".len());
    assert_both_stages(&mesh.exchanges_until_marker().await);
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn calls_of_every_kind() {
    let (mesh, gate) = gated(&json!({})).await;
    let trailers = Headers::new()
        .with("x-session-track", "true")
        .with("x-kept", "1");

    let messages = vec![Bytes::from(vec![b'x'; 1 << 20]); 3];
    let streaming = call(
        mesh.grpc,
        "unary",
        GrpcOptions {
            messages,
            trailers,
            ..GrpcOptions::default()
        },
    );
    let unary = call(mesh.grpc, "unary", GrpcOptions::default());
    let answered = call(mesh.grpc, "stream:3", GrpcOptions::default());

    are_held(&mesh, 3).await;
    gate.open();
    assert_eq!(answer(unary).await.messages.len(), 1);
    assert_eq!(answer(answered).await.messages.len(), 3);
    assert_eq!(answer(streaming).await.grpc_status().as_deref(), Some("0"));

    let calls = mesh.upstream.seen().at_path(METHOD);
    let largest = calls.iter().max_by_key(|call| call.body_bytes).unwrap();
    assert_eq!((calls.len(), largest.body_bytes), (3, 3 * ((1 << 20) + 5)));
    assert!(
        largest.trailers.contains("x-kept") && !largest.trailers.contains("x-session-track"),
        "{largest:?}"
    );

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(
        records.iter().filter(|record| is_receipt(record)).count(),
        3
    );

    let ends: Vec<_> = records
        .iter()
        .map(|record| record.text("rpc.response.status_code"))
        .collect();
    assert_eq!(
        ends.iter().filter(|status| *status == "OK").count(),
        3,
        "{ends:?}"
    );
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn many_at_once() {
    let (mesh, gate) = gated(&json!({})).await;
    let connection = Arc::new(
        GrpcConnection::open(mesh.grpc, &CallOptions::default())
            .await
            .unwrap(),
    );
    let call_on = |path: &'static str| {
        let connection = Arc::clone(&connection);
        tokio::spawn(async move {
            connection
                .call(path, Headers::new(), &GrpcOptions::default())
                .await
        })
    };

    let requests: Vec<_> = (0..40)
        .map(|_| post(mesh.http, PATH, Bytes::from_static(b"body")))
        .collect();
    let calls: Vec<_> = (0..40).map(|_| call_on(METHOD)).collect();
    are_held(&mesh, 2).await;
    mesh.stat_at_least("records.captured", 40 + 40 + 2).await;

    let other = answer(call_on("/other.Service/unary")).await;
    assert_eq!(
        other.grpc_status().as_deref(),
        Some("0"),
        "on the same connection"
    );
    assert_not_upstream(&mesh);

    gate.open();
    for pending in requests {
        assert_eq!(answer(pending).await.status, 200);
    }

    for pending in calls {
        assert_eq!(answer(pending).await.grpc_status().as_deref(), Some("0"));
    }

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(
        (
            records.len(),
            records.iter().filter(|record| is_receipt(record)).count()
        ),
        (160, 80)
    );
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn a_later_filter_can_answer() {
    let bootstrap =
        bootstrap("acknowledged", &json!({})).with_filter_at(1, &bootstrap::forbidding(PATH));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::from_static(b"body")))
            .await
            .status,
        403
    );

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(
        (is_receipt(&records[0]), records[1].text("audit.outcome")),
        (true, "denied".into())
    );
    assert_clean(&mesh).await;
}

#[tokio::test]
async fn control_headers_stay_here_all_the_same() {
    let (mesh, gate) = gated(&json!({})).await;
    let addr = mesh.http;
    let headers = Headers::new()
        .with("x-session-track", "true")
        .with("x-session-context", "Y3R4");

    let pending = tokio::spawn(async move {
        http_request(
            addr,
            "GET",
            PATH,
            headers,
            Bytes::new(),
            &CallOptions::default(),
        )
        .await
    });

    are_held(&mesh, 1).await;
    gate.open();
    assert_eq!(answer(pending).await.status, 200);

    let seen = seen(&mesh, PATH);
    assert!(
        !seen.headers.contains("x-session-track") && seen.headers.contains("x-session-context"),
        "{seen:?}"
    );

    let records = mesh.exchanges_until_marker().await;
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.session.context") == "Y3R4"),
        "{records:#?}"
    );
    assert_both_stages(&records);
}

#[tokio::test]
async fn a_receipt_that_is_sent_again_in_time() {
    let mesh = mesh_with("acknowledged", &json!({}), Sink::start().await).await;
    mesh.sink
        .answer_next([503, 503].map(|status| Answer::Status(status, "busy")));
    assert_eq!(
        answer(post(mesh.http, PATH, Bytes::new())).await.status,
        200
    );

    let attempts = mesh.sink.attempts();
    assert!(
        attempts.len() >= 3 && attempts[0].body == attempts[2].body,
        "{attempts:#?}"
    );
    assert_both_stages(&mesh.exchanges_until_marker().await);
    assert_clean(&mesh).await;
}
