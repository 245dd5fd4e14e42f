//! gRPC-Web and Connect on the wire: split, malformed, too long, and claimed by a client that uses
//! neither.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, End, Leave, Message, Reply, Version, exchange};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, Record};

const WEB: &str = "application/grpc-web+proto";
const CONNECT: &str = "application/connect+proto";
const METHOD: &str = "/demo.Accounts/Own";

async fn start(plugin: &Value) -> Mesh {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(plugin);
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

async fn with_grpc_web(index: usize, plugin: &Value) -> Mesh {
    let filter = json!({"name": "envoy.filters.http.grpc_web", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"}});
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(plugin);

    Mesh::with_bootstrap(
        bootstrap.with_filter_at(index, &filter),
        Sink::start().await,
        1,
    )
    .await
}

fn everything() -> Value {
    json!({"rules": [{"name": "all"}]})
}

async fn post(mesh: &Mesh, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let message = Message::new("POST", path).body(body.to_vec());
    let message = headers.iter().fold(message, |message, (name, value)| {
        message.header(name, value)
    });

    exchange(
        mesh.http,
        Version::Http1,
        message,
        Leave::Never,
        &CallOptions::default(),
    )
    .await
    .unwrap()
}

/// One frame of gRPC-Web or Connect.
fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    [
        &[flags][..],
        &u32::try_from(payload.len()).unwrap().to_be_bytes(),
        payload,
    ]
    .concat()
}

/// The record of an upstream answer that is sent in these pieces. The client must get it unchanged.
async fn record_of(mesh: &Mesh, content_type: &str, pieces: &[&[u8]]) -> Record {
    let (answer, feed) = PreparedAnswer::fed(200, [("content-type", content_type)]).unwrap();
    mesh.upstream.prepare(METHOD, answer);
    pieces.iter().for_each(|piece| feed.send(piece.to_vec()));
    drop(feed);

    let headers = [
        ("content-type", content_type),
        ("connect-protocol-version", "1"),
    ];
    let reply = post(mesh, METHOD, &headers, &frame(0, b"")).await;
    assert_eq!((reply.status, reply.end), (Some(200), End::Complete));
    assert!(reply.body == pieces.concat(), "the body is not touched");

    mesh.exchanges_until_marker().await.pop().expect("a record")
}

#[track_caller]
fn assert_status(record: &Record, status: &str, source: &str, outcome: &str) {
    let found = [
        "rpc.response.status_code",
        "audit.rpc.status_source",
        "audit.outcome",
    ]
    .map(|name| record.text(name));
    assert_eq!(found, [status, source, outcome], "{record:#?}");
}

#[tokio::test]
async fn the_last_frame_may_come_byte_by_byte() {
    let mesh = start(&everything()).await;
    let web = [
        frame(0, b"a message"),
        frame(0x80, b"grpc-status: 7\r\ngrpc-message: n%C3%B6\r\n"),
    ]
    .concat();

    let connect = [
        frame(0, b"a message"),
        frame(
            2,
            br#"{"error":{"code":"permission_denied","message":"n\u00f6"}}"#,
        ),
    ]
    .concat();

    for (content_type, body) in [(WEB, web), (CONNECT, connect)] {
        let pieces: Vec<&[u8]> = body.chunks(1).collect();
        let record = record_of(&mesh, content_type, &pieces).await;
        assert_status(&record, "PERMISSION_DENIED", "trailers", "denied");
        assert_eq!(record.text("error.message"), "n\u{f6}");
    }
}

#[tokio::test]
async fn a_frame_that_looks_like_the_last_one_within_a_message_does_not_count() {
    let mesh = start(&everything()).await;
    let forged = frame(0x80, b"grpc-status: 0\r\n");
    let body = [frame(0, &forged), frame(0x80, b"grpc-status: 16\r\n")].concat();
    let record = record_of(&mesh, WEB, &[&body]).await;
    assert_status(&record, "UNAUTHENTICATED", "trailers", "denied");

    let forged = frame(2, b"{}");
    let body = [
        frame(0, &forged),
        frame(2, br#"{"error":{"code":"unauthenticated"}}"#),
    ]
    .concat();
    let record = record_of(&mesh, CONNECT, &[&body]).await;
    assert_status(&record, "UNAUTHENTICATED", "trailers", "denied");
}

#[tokio::test]
async fn long_messages_before_the_last_frame_do_not_matter() {
    let mesh = start(&everything()).await;
    let message = frame(0, &vec![b'x'; 300_000]);
    let end = frame(0x80, b"grpc-status: 5\r\n");
    let record = record_of(&mesh, WEB, &[&message, &message, &end]).await;
    assert_status(&record, "NOT_FOUND", "trailers", "failure");
}

/// The status is unknown, never a success, and the body passes.
#[tokio::test]
async fn malformed_ends_are_unknown() {
    let mesh = start(&everything()).await;
    let long = frame(
        0x80,
        &[&b"x: "[..], &vec![b'y'; 70_000], b"\r\ngrpc-status: 0\r\n"].concat(),
    );
    let lying = [&[0x80, 0xff, 0xff, 0xff, 0xff][..], b"grpc-status: 0\r\n"].concat();
    let cut = &frame(0x80, b"grpc-status: 0\r\n")[..12];
    let nonsense = frame(0x80, b"grpc-status: zero\r\n");
    let nothing = frame(0x80, b"");

    for body in [
        &long[..],
        &lying,
        cut,
        &nonsense,
        &nothing,
        b"",
        b"\x80",
        b"no frame at all",
    ] {
        let record = record_of(&mesh, WEB, &[body]).await;
        assert_eq!(
            record.text("rpc.response.status_code"),
            "UNKNOWN",
            "{:?}",
            body.get(..40)
        );
        assert_eq!(record.text("audit.outcome"), "failure", "{record:#?}");
    }

    let garbage = frame(2, br#"{"error":"#);
    let lying = [&[2, 0x7f, 0xff, 0xff, 0xff][..], b"{}"].concat();
    for body in [&garbage[..], &lying, b"", b"\x02"] {
        let record = record_of(&mesh, CONNECT, &[body]).await;
        assert_eq!(
            record.text("rpc.response.status_code"),
            "UNKNOWN",
            "{body:?}"
        );
        assert_eq!(record.text("audit.outcome"), "failure", "{record:#?}");
    }
    crate::hostile::assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn rules_for_grpc_match_grpc_web_and_its_outcome() {
    let rules = json!({"rules": [
        {"name": "denied-calls", "match": {"protocol": "grpc"}, "record_on": ["denied"]},
        {"name": "check", "match": {"protocol": "http", "path": {"exact": "/check"}}}]});

    for index in [0, 1] {
        let mesh = with_grpc_web(index, &rules).await;
        for script in ["unary", "status:7:no", "status:5:none"] {
            let message = Message::new("POST", "/demo.Accounts/ChangePassword").body(frame(0, b""));
            let message = message
                .header("content-type", WEB)
                .header("x-demo-grpc", script);

            exchange(
                mesh.grpc,
                Version::Http1,
                message,
                Leave::Never,
                &CallOptions::default(),
            )
            .await
            .unwrap();
        }

        let records = mesh.exchanges_until_marker().await;
        assert_eq!(records.len(), 1, "grpc_web at {index}: {records:#?}");
        assert_eq!(
            (
                records[0].text("audit.rule"),
                records[0].text("error.message")
            ),
            ("denied-calls".into(), "no".into())
        );
    }
}

#[tokio::test]
async fn a_login_over_grpc_web_begins_a_session() {
    let rules = json!({"rules": [
        {"name": "login", "match": {"path": {"exact": "/demo.Accounts/Login"}}, "session": "start"}, {"name": "all"}]});

    for index in [0, 1] {
        let mesh = with_grpc_web(index, &rules).await;

        for (script, begins) in [("unary", true), ("status:16:who", false)] {
            let message = Message::new("POST", "/demo.Accounts/Login").body(frame(0, b""));
            let message = message
                .header("content-type", WEB)
                .header("x-demo-grpc", script);
            let reply = exchange(
                mesh.grpc,
                Version::Http1,
                message,
                Leave::Never,
                &CallOptions::default(),
            )
            .await
            .unwrap();

            let record = mesh.exchanges_until_marker().await.pop().unwrap();
            assert_eq!(
                record.text("audit.session.event"),
                if begins { "start" } else { "" },
                "grpc_web at {index}: {record:#?}"
            );

            if begins {
                assert_eq!(
                    reply.headers.text("x-audit-session-id"),
                    Some(record.text("session.id"))
                );
            }
        }
    }
}

/// A client claims gRPC, and the server answers plain HTTP: the HTTP rule records it, once.
#[tokio::test]
async fn a_content_type_that_lies_changes_nothing() {
    let rules = json!({"rules": [
        {"name": "pay", "match": {"protocol": "http", "path": {"exact": "/pay"}}},
        {"name": "check", "match": {"path": {"exact": "/check"}}}]});
    let mesh = start(&rules).await;

    let version = ("connect-protocol-version", "1");

    for headers in [
        &[("content-type", "application/grpc")][..],
        &[("content-type", "application/grpc"), ("te", "trailers")],
        &[("content-type", "application/grpc+proto")],
        &[("content-type", "application/grpc;charset=utf-8")],
        &[("content-type", "application/grpc-web")],
        &[
            ("content-type", "application/grpc-web-text"),
            ("x-grpc-web", "1"),
        ],
        &[("content-type", "application/connect+json"), version],
        &[("content-type", "application/proto"), version],
        &[("content-type", "application/json"), version],
        &[("x-grpc-web", "1")],
        &[version],
    ] {
        for (status, outcome) in [("200", "success"), ("403", "denied")] {
            let script = [("x-demo-status", status), ("x-demo-body", "{}")];
            post(&mesh, "/pay", &[headers, &script].concat(), b"{}").await;
            let found = mesh.exchanges_until_marker().await;
            let record = found
                .last()
                .unwrap_or_else(|| panic!("no record of {headers:?}"));
            assert_eq!(
                (record.text("audit.rule"), record.text("audit.outcome")),
                ("pay".into(), outcome.into()),
                "{headers:?}"
            );
        }
    }

    assert_eq!(mesh.exchanges_until_marker().await.len(), 22);
}

/// The stricter of both rules holds a request until its record is kept, whichever protocol it has.
#[tokio::test]
async fn a_content_type_that_lies_does_not_avoid_a_required_record() {
    for required in ["http", "grpc"] {
        let rules = json!({"rules": [
            {"name": "must", "match": {"protocol": required, "path": {"prefix": "/demo.Accounts/"}}, "require_audit": "buffered"},
            {"name": "check", "match": {"path": {"exact": "/check"}}}],
            "buffer": {"max_records": 10}, "batch": {"max_delay": "1h"}, "retry": {"initial_backoff": "10s"}});
        let bootstrap = Bootstrap::shipped().with_plugin(&rules);
        let mesh = Mesh::with_bootstrap(bootstrap, Sink::start_down(), 1).await;

        let mut refused = 0;
        for _ in 0..20 {
            let reply = post(
                &mesh,
                METHOD,
                &[("content-type", "application/grpc")],
                &frame(0, b""),
            )
            .await;
            let is_refused = reply.status == Some(503)
                || reply.headers.text("grpc-status").as_deref() == Some("14");
            refused += usize::from(is_refused);
        }

        let served = mesh.upstream.seen().at_path(METHOD).len();
        assert_eq!(served + refused, 20);
        // The answers are plain HTTP: the gRPC rule releases its reservation, and the HTTP rule
        // keeps its record.
        assert!(
            required == "grpc" || served < 20,
            "{required}: {served} requests passed a full buffer"
        );
    }
}
