//! Sessions: ids in all forms that clients send, and the start and end of a session.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, GrpcAnswer, GrpcOptions, grpc_call, http_get, raw_exchange};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::list;
use testkit::headers::Headers;
use testkit::{DEADLINE, Mesh, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hostile::assert_vm_lives;

const ID: &str = "x-audit-session-id";
const LOGIN: &str = "/demo.Accounts/Login";

/// Rules for logins and logouts over HTTP and gRPC, and for all other requests.
fn rules() -> Value {
    json!({"rules": [
        {"name": "login", "match": {"path": {"exact": "/login"}}, "session": "start"},
        {"name": "login-rpc", "match": {"path": {"exact": LOGIN}}, "session": "start"},
        {"name": "logout", "match": {"path": {"exact": "/logout"}}, "session": "end"},
        {"name": "all"},
    ]})
}

async fn start(patch: &Value) -> Mesh {
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&rules())
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    let bootstrap = bootstrap.with_plugin(patch).with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            // Envoy's default limit is 60 KiB for all headers together.
            manager["max_request_headers_kb"] = json!(96);
        }
    });
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

async fn last_record(mesh: &Mesh) -> Record {
    mesh.exchanges_until_marker()
        .await
        .pop()
        .expect("there is a record")
}

async fn login(mesh: &Mesh, headers: &[(&str, &str)]) -> (Option<String>, Record) {
    let answer = mesh.request("POST", "/login", headers).await;
    (answer.headers.text(ID), last_record(mesh).await)
}

async fn login_rpc(mesh: &Mesh, script: &str) -> (GrpcAnswer, Record) {
    let headers = list(&[("x-demo-grpc", script)]);
    let answer = grpc_call(mesh.grpc, LOGIN, headers, &GrpcOptions::default())
        .await
        .unwrap();
    (answer, last_record(mesh).await)
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn a_session_goes_from_login_to_logout() {
    let mesh = start(&json!({})).await;
    let (returned, record) = login(&mesh, &[(ID, "fixed-by-an-attacker")]).await;
    let id = returned.expect("the login returns an id");
    assert!(is_uuid(&id), "{id}");
    assert_eq!(
        (
            record.text("session.id"),
            record.text("audit.session.event")
        ),
        (id.clone(), "start".to_owned())
    );

    let answer = mesh.get("/any", &[(ID, &id)]).await;
    assert!(!answer.headers.contains(ID), "only a login returns an id");

    let record = last_record(&mesh).await;
    assert_eq!(
        (record.text("session.id"), record.has("audit.session.event")),
        (id.clone(), false)
    );

    mesh.request(
        "POST",
        "/logout",
        &[("x-session-id", &id), ("x-demo-status", "500")],
    )
    .await;

    let record = last_record(&mesh).await;
    assert_eq!(
        (record.text("session.id"), record.has("audit.session.event")),
        (id.clone(), false),
        "it did not end"
    );

    mesh.request("POST", "/logout", &[("x-session-id", &id)])
        .await;

    let record = last_record(&mesh).await;
    assert_eq!(
        (
            record.text("session.id"),
            record.text("audit.session.event")
        ),
        (id.clone(), "end".to_owned())
    );

    assert_ne!(
        login(&mesh, &[]).await.0,
        Some(id),
        "each session has an id of its own"
    );
}

#[tokio::test]
async fn a_login_whose_answer_has_an_id_keeps_it() {
    let mesh = start(&json!({})).await;
    for name in [ID, "x-session-id"] {
        let script = format!("{name}: upstreams-own");
        let (returned, record) = login(&mesh, &[("x-demo-response-header", &script)]).await;
        assert_eq!(
            returned.as_deref(),
            (name == ID).then_some("upstreams-own"),
            "nothing is added"
        );
        assert_eq!(record.text("session.id"), "upstreams-own");
        assert_eq!(record.text("audit.session.event"), "start");
    }
}

#[tokio::test]
async fn a_login_that_fails_begins_nothing() {
    let mesh = start(&json!({})).await;
    for status in ["401", "403", "500"] {
        let (returned, record) = login(&mesh, &[("x-demo-status", status), (ID, "old")]).await;
        assert_eq!(
            (returned, record.text("session.id")),
            (None, "old".to_owned())
        );
        assert!(!record.has("audit.session.event"), "{record:#?}");
    }

    let (returned, record) = login(&mesh, &[("x-demo-reset", "before")]).await;
    assert_eq!(
        (
            returned,
            record.has("session.id"),
            record.has("audit.session.event")
        ),
        (None, false, false)
    );
}

#[tokio::test]
async fn a_grpc_login_begins_a_session() {
    let mesh = start(&json!({})).await;
    let (answer, record) = login_rpc(&mesh, "unary").await;
    let id = answer.headers.text(ID).expect("the login returns an id");
    assert!(is_uuid(&id), "{id}");
    assert_eq!(
        (
            record.text("session.id"),
            record.text("audit.session.event")
        ),
        (id, "start".to_owned())
    );

    let (answer, record) = login_rpc(&mesh, "trailers-only:16:no").await;
    assert_eq!(
        (answer.headers.contains(ID), record.has("session.id")),
        (false, false)
    );
    assert!(!record.has("audit.session.event"), "{record:#?}");

    let (_, record) = login_rpc(&mesh, "status:16:no").await;
    assert_eq!(record.text("audit.outcome"), "denied");
    assert!(
        !record.has("audit.session.event"),
        "it fails when the headers are gone already: {record:#?}"
    );
}

#[tokio::test]
async fn an_id_comes_from_a_header_or_a_cookie() {
    let mesh =
        start(&json!({"session": {"id": [{"header": "x-own"}, {"cookie": "sid", "clear": true}, {"bearer": true}]}}))
            .await;

    for (headers, id) in [
        (&[("x-own", " mine "), ("cookie", "sid=other")][..], "mine"),
        (
            &[("x-own", ""), ("cookie", "a=b; sid=\"in-a-cookie\"; c=d")],
            "in-a-cookie",
        ),
        (
            &[("cookie", "a=b"), ("cookie", "sid=in-a-cookie")],
            "in-a-cookie",
        ),
        (&[("cookie", "xsid=no; SID=no"), (ID, "not-asked-for")], ""),
    ] {
        mesh.get("/any", headers).await;
        let record = last_record(&mesh).await;
        assert_eq!(
            (
                record.text("session.id").as_str(),
                record.has("audit.session.id_hashed")
            ),
            (id, false)
        );
    }

    mesh.get("/any", &[("authorization", "Bearer s3cret")])
        .await;
    assert_hashed(&last_record(&mesh).await);
    assert!(
        !mesh
            .sink
            .attempts()
            .iter()
            .any(|attempt| attempt.body.windows(6).any(|part| part == b"s3cret"))
    );
}

#[track_caller]
fn assert_hashed(record: &Record) {
    let id = record.text("session.id");
    assert!(id.starts_with("sha256:") && id.len() == 7 + 64, "{id}");
    assert_eq!(record.text("audit.session.id_hashed"), "true");
}

#[tokio::test]
async fn odd_ids_are_recorded_as_they_are_or_by_their_hash() {
    let mesh = start(&json!({})).await;
    let plain = [
        r#"a "quoted" \ id"#,
        "{},[]:;=<>&%00${HOME}",
        "~",
        &"x".repeat(128),
    ];

    for id in plain {
        mesh.get("/any", &[(ID, id)]).await;
        let record = last_record(&mesh).await;
        assert_eq!(
            (
                record.text("session.id").as_str(),
                record.has("audit.session.id_hashed")
            ),
            (id, false)
        );
    }

    let huge = "x".repeat(60 * 1024);
    let odd: [&[u8]; 6] = [
        &[b'x'; 129],
        "\u{1f600}".as_bytes(),
        b"a\tb",
        b"a\xff\xfeb",
        b"\xed\xa0\x80",
        huge.as_bytes(),
    ];

    for id in odd {
        let headers = || Headers::new().with(ID, id);
        assert_eq!(
            http_get(mesh.http, "/any", headers(), &CallOptions::default())
                .await
                .unwrap()
                .status,
            200
        );
        assert_hashed(&last_record(&mesh).await);

        grpc_call(mesh.grpc, LOGIN, headers(), &GrpcOptions::default())
            .await
            .unwrap();

        grpc_call(
            mesh.grpc,
            "/demo.Accounts/Any",
            headers(),
            &GrpcOptions::default(),
        )
        .await
        .unwrap();
        assert_hashed(&last_record(&mesh).await);
    }

    assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn ids_that_no_header_may_hold_are_refused_by_envoy() {
    let mesh = start(&json!({})).await;

    for (id, status) in [
        (&b"a\0b"[..], "400"),
        (b"a\nb", "400"),
        (&vec![b'x'; 1 << 20], "431"),
    ] {
        let head = [
            b"GET /any HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-audit-session-id: ",
            id,
            b"\r\n\r\n",
        ];
        // Envoy may answer before it has read the complete request, and close.
        let answer = raw_exchange(mesh.http, &head.concat(), &CallOptions::default())
            .await
            .unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer).into_owned();

        assert!(
            answer.is_empty() && id.len() > 1000
                || answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{:?} {answer}",
            &id[..3]
        );

        let record = last_record(&mesh).await;
        assert_eq!(
            (
                record.text("http.response.status_code").as_str(),
                record.has("session.id")
            ),
            (status, false)
        );
    }

    let head =
        b"GET /any HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-audit-session-id: c\rd\r\n\r\n";
    raw_exchange(mesh.http, head, &CallOptions::default())
        .await
        .unwrap();
    assert_eq!(
        last_record(&mesh).await.text("session.id"),
        "cd",
        "Envoy itself drops a CR over HTTP/1.1"
    );

    for id in [&b"a\nb"[..], b"a\0b", b"a\rb"] {
        assert!(
            is_refused_over_http2(&mesh, id).await,
            "{}",
            id.escape_ascii()
        );
    }

    assert!(
        !is_refused_over_http2(&mesh, b"a b").await,
        "the request is one that Envoy takes otherwise"
    );

    let ids: Vec<String> = mesh
        .exchanges_until_marker()
        .await
        .iter()
        .map(|record| record.text("session.id"))
        .collect();

    assert_eq!(
        ids.iter().filter(|id| !id.is_empty()).collect::<Vec<_>>(),
        ["cd", "a b"]
    );
    assert!(
        mesh.upstream.seen().at_path("/any").len() == 2,
        "nothing else reached the upstream"
    );
    assert_vm_lives(&mesh).await;
}

/// Sends a request that HTTP libraries refuse to write. Returns whether Envoy resets its stream or
/// connection.
async fn is_refused_over_http2(mesh: &Mesh, id: &[u8]) -> bool {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;

    let mut block = Vec::new();
    let fields: [(&[u8], &[u8]); 5] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", b"/any"),
        (b":authority", b"a"),
        (ID.as_bytes(), id),
    ];

    for (name, value) in fields {
        // A literal without indexing (RFC 7541 section 6.2.2), both parts without Huffman coding.
        block.push(0);
        for part in [name, value] {
            block.push(u8::try_from(part.len()).unwrap());
            block.extend_from_slice(part);
        }
    }

    let end_of_stream_and_headers = 5;
    let length = u8::try_from(block.len()).unwrap();
    let mut stream = TcpStream::connect(mesh.http).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    stream
        .write_all(&[0, 0, length, HEADERS, end_of_stream_and_headers, 0, 0, 0, 1])
        .await
        .unwrap();
    stream.write_all(&block).await.unwrap();

    let answer = async {
        loop {
            let mut frame = [0; 9];
            if stream.read_exact(&mut frame).await.is_err() {
                return true;
            }
            let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).await.unwrap();
            if [HEADERS, RST_STREAM, GOAWAY].contains(&frame[3]) {
                return frame[3] != HEADERS;
            }
        }
    };

    tokio::time::timeout(DEADLINE, answer)
        .await
        .expect("Envoy answers")
}
