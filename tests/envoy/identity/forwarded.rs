//! Headers with the user: from the upstream always, from a request only if its peer is trusted.

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::client::{CallOptions, http_get};
use testkit::headers::Headers;
use testkit::{Mesh, Record};

use super::{assert_named, default_rules, last_record, mesh_of};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ANSWERED: (&str, &str) = ("x-demo-response-header", "x-user-id: answered");
const CLAIMED: (&str, &str) = ("x-user-id", "claimed");

async fn everything() -> Mesh {
    mesh_of(default_rules(&json!({"rules": [{"name": "all"}]}))).await
}

async fn get_from(mesh: &Mesh, peer: Ipv4Addr, headers: &[(&str, &str)]) -> Record {
    let headers = headers
        .iter()
        .fold(Headers::new(), |list, (name, value)| list.with(name, value));
    http_get(mesh.http, "/any", headers, &CallOptions::from_ip(peer))
        .await
        .unwrap();
    last_record(mesh).await
}

#[tokio::test]
async fn a_trusted_peer_names_the_user_and_the_upstream_knows_better() {
    let mesh = everything().await;
    assert_named(
        &get_from(&mesh, Ipv4Addr::LOCALHOST, &[CLAIMED]).await,
        "claimed",
        "header",
    );
    assert_named(
        &get_from(&mesh, Ipv4Addr::LOCALHOST, &[CLAIMED, ANSWERED]).await,
        "answered",
        "response_header",
    );

    assert_named(
        &get_from(&mesh, Ipv4Addr::LOCALHOST, &[]).await,
        "",
        "unavailable:absent",
    );
    assert_eq!(
        mesh.stat_at_least("records.captured", 3).await["headers.spoofed"],
        0
    );
}

#[tokio::test]
async fn a_user_header_of_an_untrusted_peer_is_ignored() {
    let mesh = everything().await;
    let forged = [CLAIMED, ("x-forwarded-for", "127.0.0.1")];
    assert_named(
        &get_from(&mesh, STRANGER, &forged).await,
        "",
        "unavailable:absent",
    );

    assert_named(
        &get_from(&mesh, STRANGER, &[CLAIMED, ANSWERED]).await,
        "answered",
        "response_header",
    );
    assert_eq!(
        mesh.stat_at_least("headers.spoofed", 2).await["headers.spoofed"],
        2
    );

    let seen = mesh.upstream.seen().at_path("/any");
    assert_eq!(
        seen[0].headers.text("x-user-id").as_deref(),
        Some("claimed"),
        "the header is the upstream's to judge"
    );
}
