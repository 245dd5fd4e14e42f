//! A body passes byte by byte: the upstream sends a byte only after the client has confirmed the
//! one before. A filter that buffered the body would block it.

use std::net::SocketAddr;

use serde_json::json;
use testkit::Mesh;
use testkit::client::{AnswerStream, CallOptions, Version};
use testkit::upstream::PreparedAnswer;

use super::{JSON, assert_named, default_rules, last_record, mesh_of};

const BODY: &[u8] = br#"{"Roles":["a","b"],"UserId":"tr\u0069ckle"}"#;

/// Yields the number of bytes that came one by one.
async fn trickle(mesh: &Mesh, addr: SocketAddr, version: Version) -> usize {
    let (answer, feed) = PreparedAnswer::fed(200, JSON).unwrap();
    mesh.upstream.prepare("/check", answer);

    let mut answer =
        AnswerStream::open(addr, version, "GET", "/check", [], &CallOptions::default())
            .await
            .unwrap();
    for byte in BODY {
        feed.send(vec![*byte]);
        assert_eq!(answer.chunk().await.unwrap().unwrap().as_ref(), [*byte]);
    }

    drop(feed);
    assert!(
        answer.chunk().await.unwrap().is_none(),
        "the end is the upstream's as well"
    );

    BODY.len()
}

#[tokio::test]
async fn every_byte_passes_at_once_over_http1_and_http2() {
    let mesh = mesh_of(default_rules(&json!({}))).await;

    // HTTP/1.1 chunked on both sides; HTTP/2 to a chunked upstream; HTTP/2 on both sides.
    for (addr, version) in [
        (mesh.http, Version::Http1),
        (mesh.http, Version::Http2),
        (mesh.grpc, Version::Http2),
    ] {
        assert_eq!(trickle(&mesh, addr, version).await, BODY.len());
        assert_named(&last_record(&mesh).await, "trickle", "response_json");
    }
}

#[tokio::test]
async fn the_answer_begins_before_its_body_does() {
    let mesh = mesh_of(default_rules(&json!({}))).await;
    let (prepared, feed) = PreparedAnswer::fed(200, JSON).unwrap();
    mesh.upstream.prepare("/check", prepared);

    let options = CallOptions::default();
    let answer = AnswerStream::open(mesh.http, Version::Http1, "GET", "/check", [], &options)
        .await
        .unwrap();
    assert_eq!(
        answer.headers().text("transfer-encoding").as_deref(),
        Some("chunked")
    );

    feed.send(BODY);
    drop(feed);
    assert_eq!(answer.rest().await, (BODY.to_vec(), true));
    assert_named(&last_record(&mesh).await, "trickle", "response_json");
}
