//! Spoofed pairs from a client: removed on every path through the filter, without effect on the
//! real pair.

use testkit::client::{CallOptions, raw_exchange};
use testkit::envoy::mesh::list;

use super::*;

const ID: &str = "0b51a7a0-64b1-4a3c-9d0a-5a2f6f6f0001";

/// One of the two headers, both, repeated ones, empty ones.
const SPOOFED: [&[(&str, &str)]; 6] = [
    &[(NAMES[0], ID)],
    &[(NAMES[1], "7")],
    &[(NAMES[0], ID), (NAMES[1], "7")],
    &[
        (NAMES[0], ID),
        (NAMES[0], "other"),
        (NAMES[1], "7"),
        (NAMES[1], "8"),
        (NAMES[1], "7"),
    ],
    &[(NAMES[0], ""), (NAMES[1], "")],
    &[(NAMES[0], "a, b"), (NAMES[1], "-1")],
];

/// Sends every spoofed pair below this path over HTTP and gRPC, over gRPC in trailers too.
async fn spoof(mesh: &Mesh, below: &str, more: &[(&str, &str)]) {
    for (index, spoofed) in SPOOFED.into_iter().enumerate() {
        let headers = [spoofed, more].concat();
        mesh.get(&format!("{below}/{index}"), &headers).await;

        let trailers = list(spoofed).with("x-kept", "1");
        call(
            mesh,
            &format!("{below}.Service/{index}"),
            list(&headers),
            trailers,
        )
        .await;
    }
}

/// Names in upper case, and listed in `connection`: bytes that HTTP libraries do not send.
async fn spoof_by_hand(mesh: &Mesh, path: &str) {
    let [session_id, number] = NAMES.map(str::to_uppercase);
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\n{session_id}: {ID}\r\n{number}: 7\r\n{}:8\r\n\
         connection: close, {}, {}\r\n\r\n",
        NAMES[1], NAMES[0], NAMES[1]
    );
    let answer = raw_exchange(mesh.http, head.as_bytes(), &CallOptions::default())
        .await
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        answer.escape_ascii()
    );
}

#[track_caller]
fn assert_no_pair_was_seen(mesh: &Mesh, requests: usize) {
    let seen = pairs_seen(mesh);
    assert_eq!(seen.len(), requests);
    assert!(seen.values().all(Option::is_none), "{seen:#?}");
}

#[tokio::test]
async fn a_spoofed_pair_is_gone_whatever_rule_matches() {
    let mesh = mesh_with(&json!({})).await;
    for below in ["/none", "/recorded", "/else", "/untracked"] {
        spoof(&mesh, below, &[]).await;
        spoof_by_hand(&mesh, &format!("{below}/by-hand")).await;
    }
    spoof(&mesh, "/without-context", &[("x-session-track", "true")]).await;
    assert_no_pair_was_seen(&mesh, 4 * 13 + 12);

    let calls = mesh
        .upstream
        .seen()
        .all()
        .into_iter()
        .filter(|seen| seen.trailers.contains("x-kept"))
        .count();
    assert_eq!(calls, 5 * SPOOFED.len(), "other trailers pass");

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 13);
    assert!(records.iter().all(|record| pair_of(record).is_none()));
}

#[tokio::test]
async fn a_spoofed_pair_is_gone_where_nothing_is_recorded() {
    let mesh = mesh_with(&json!({"enabled": false})).await;
    for below in ["/joined", "/none", "/else"] {
        spoof(&mesh, below, &[]).await;
        spoof_by_hand(&mesh, &format!("{below}/by-hand")).await;
    }
    assert_no_pair_was_seen(&mesh, 3 * 13);
}

#[tokio::test]
async fn a_spoofed_pair_gives_way_to_the_true_one() {
    let mesh = mesh_with(&json!({})).await;
    spoof(&mesh, "/joined", &[]).await;
    spoof_by_hand(&mesh, "/joined/by-hand").await;

    let seen = pairs_seen(&mesh);
    let records = mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 13);
    assert_eq!(pairs_recorded(&records), seen, "what the upstream saw");

    for record in &records {
        let (session_id, number) = pair_of(record).unwrap();
        assert_eq!(session_id, record.text("audit.stream.id"));
        assert_ne!(session_id, ID);
        assert!(number.parse::<usize>().unwrap() < 7, "{number}");
    }
}
