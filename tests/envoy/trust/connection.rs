//! Requests that share a connection: facts cached for one connection are not used for another, and
//! decisions based on headers are not cached.

use serde_json::Value;
use testkit::client::raw_exchange;

use super::forwarded::{CLOSE, assert_is_answer, believing, detecting_by_header, tracked_request};
use super::*;

const SELF: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The trusted address from which [`addresses`] connects. From 127.0.0.1 no decision would be
/// cached, since Envoy then appends another address to `x-forwarded-for`.
const PEER: Ipv4Addr = STRANGER;

/// One tracked request for each line of more fields, all on one connection from this address.
async fn requests_on_one_connection(mesh: &Mesh, from: Ipv4Addr, fields: &[&str]) {
    let (last, others) = fields.split_last().unwrap();
    let mut text: String = others.iter().map(|more| tracked_request(more)).collect();
    text += &tracked_request(&[last, CLOSE].concat());

    let answers = raw_exchange(mesh.http, text.as_bytes(), &CallOptions::from_ip(from))
        .await
        .unwrap();
    assert_is_answer(&answers);
    assert_eq!(
        answers
            .windows(9)
            .filter(|part| part == b"HTTP/1.1 ")
            .count(),
        fields.len()
    );
}

/// The client addresses of the records, with all requests on one connection.
async fn addresses(
    mut bootstrap: Bootstrap,
    change: impl Fn(&mut Value),
    fields: &[&str],
) -> Vec<String> {
    bootstrap.connection_managers().for_each(change);
    let bootstrap = bootstrap.with_plugin(&json!({"trust": {"cidrs": ["127.0.0.2/32"]}}));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    requests_on_one_connection(&mesh, PEER, fields).await;

    let records = mesh.exchanges_until_marker().await;
    assert!(
        records
            .iter()
            .all(|record| record.text("network.protocol.version") == "1.1")
    );

    records
        .iter()
        .map(|record| record.text("client.address"))
        .collect()
}

const FORWARDED: [&str; 6] = [
    "",
    "x-forwarded-for: 8.8.8.8\r\n",
    "",
    "x-forwarded-for: 9.9.9.9, 8.8.4.4\r\n",
    "x-forwarded-for: 127.0.0.2\r\n",
    "x-forwarded-for: 8.8.8.8\r\n",
];

#[tokio::test]
async fn each_request_has_the_address_in_its_header() {
    let found = addresses(believing(Bootstrap::shipped()), |_| {}, &FORWARDED).await;
    assert_eq!(
        found,
        [
            "127.0.0.2",
            "8.8.8.8",
            "127.0.0.2",
            "8.8.4.4",
            "127.0.0.2",
            "8.8.8.8"
        ]
    );
}

#[tokio::test]
async fn each_request_has_the_address_from_the_trusted_hop() {
    let hop = |manager: &mut Value| manager["xff_num_trusted_hops"] = json!(1);
    let found = addresses(Bootstrap::shipped(), hop, &FORWARDED).await;
    assert_eq!(
        found,
        [
            "127.0.0.2",
            "8.8.8.8",
            "127.0.0.2",
            "8.8.4.4",
            "127.0.0.2",
            "8.8.8.8"
        ]
    );
}

#[tokio::test]
async fn each_request_has_the_address_of_the_connection() {
    let found = addresses(Bootstrap::shipped(), |_| {}, &FORWARDED).await;
    assert_eq!(found, ["127.0.0.2"; 6]);
}

#[tokio::test]
async fn each_request_has_the_address_of_the_operators_header() {
    let fields = [
        "",
        "x-real-ip: 8.8.8.8\r\n",
        "",
        "x-real-ip: 8.8.4.4\r\n",
        "x-real-ip: 8.8.8.8\r\n",
    ];

    let bootstrap = believing(detecting_by_header(Bootstrap::shipped()));
    let found = addresses(bootstrap, |_| {}, &fields).await;
    assert_eq!(
        found,
        ["127.0.0.2", "8.8.8.8", "127.0.0.2", "8.8.4.4", "8.8.8.8"]
    );
}

#[tokio::test]
async fn each_connection_is_judged_by_its_own_peer() {
    let bootstrap =
        Bootstrap::shipped().with_plugin(&json!({"trust": {"cidrs": ["127.0.0.1/32"]}}));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    for from in [SELF, STRANGER, SELF, STRANGER] {
        requests_on_one_connection(&mesh, from, &["", "", ""]).await;
    }

    let records = mesh.exchanges_until_marker().await;
    assert_eq!(
        records.len(),
        6,
        "three requests on each of the two connections that are trusted"
    );

    assert!(
        records
            .iter()
            .all(|record| record.text("client.address") == "127.0.0.1")
    );
    assert_eq!(
        mesh.stat_at_least("headers.spoofed", 18).await["headers.spoofed"],
        18
    );
}

#[tokio::test]
async fn each_protocol_is_read_from_its_connection() {
    let mesh = Mesh::start().await;
    for _ in 0..2 {
        call_from(&mesh, SELF, &[]).await;
        requests_on_one_connection(&mesh, SELF, &["", ""]).await;
    }

    let records = mesh.exchanges_until_marker().await;
    let mut versions: Vec<String> = records
        .iter()
        .map(|record| record.text("network.protocol.version"))
        .collect();
    versions.sort();
    assert_eq!(versions, ["1.1", "1.1", "1.1", "1.1", "2", "2"]);
}
