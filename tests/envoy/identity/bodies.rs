//! Bodies without a user: the client gets the upstream's bytes, and the record gives the reason.

use serde_json::json;
use testkit::client::{AnswerStream, CallOptions, Version};
use testkit::headers::Headers;
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, Record};

use super::{JSON, assert_named, default_rules, last_record, mesh_of};

/// `gzip -n` of `{"UserId":42,"Identity":"ada"}`.
pub const GZIPPED: [u8; 50] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x0a, 0x2d, 0x4e, 0x2d,
    0xf2, 0x4c, 0x51, 0xb2, 0x32, 0x31, 0xd2, 0x51, 0xf2, 0x4c, 0x49, 0xcd, 0x2b, 0xc9, 0x2c, 0xa9,
    0x54, 0xb2, 0x52, 0x4a, 0x4c, 0x49, 0x54, 0xaa, 0x05, 0x00, 0x48, 0xc7, 0x78, 0xe0, 0x1e, 0x00,
    0x00, 0x00,
];
const GZIP: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("content-encoding", "gzip"),
];
const MAX_BODY_BYTES: usize = 1000;

/// Framing of the upstream's body.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// With a `content-length`.
    Whole,
    /// In chunks of this many bytes.
    Chunks(usize),
}

async fn small_mesh() -> Mesh {
    mesh_of(default_rules(
        &json!({"identity": {"max_body_bytes": MAX_BODY_BYTES}}),
    ))
    .await
}

fn prepare(mesh: &Mesh, status: u16, headers: &[(&str, &str)], body: &[u8], how: How) {
    let fields = headers
        .iter()
        .fold(Headers::new(), |fields, (name, value)| {
            fields.with(name, value)
        });

    match how {
        How::Whole => mesh.upstream.prepare(
            "/check",
            PreparedAnswer::whole(status, fields, body.to_vec()).unwrap(),
        ),
        How::Chunks(size) => {
            let (answer, feed) = PreparedAnswer::fed(status, fields).unwrap();
            mesh.upstream.prepare("/check", answer);
            body.chunks(size)
                .for_each(|chunk| feed.send(chunk.to_vec()));
        }
    }
}

async fn request(mesh: &Mesh, method: &str) -> AnswerStream {
    AnswerStream::open(
        mesh.http,
        Version::Http1,
        method,
        "/check",
        [],
        &CallOptions::default(),
    )
    .await
    .unwrap()
}

/// Checks that the answer passes unchanged, with its length and coding, and yields the record.
async fn passed(mesh: &Mesh, headers: &[(&str, &str)], body: &[u8], how: How) -> Record {
    prepare(mesh, 200, headers, body, how);
    let answer = request(mesh, "GET").await;
    for (name, value) in headers {
        assert_eq!(answer.headers().text(name).as_deref(), Some(*value));
    }

    let length = answer.headers().text("content-length");
    assert_eq!(
        length,
        (how == How::Whole).then(|| body.len().to_string()),
        "no length is added or lost"
    );
    assert_eq!(answer.rest().await, (body.to_vec(), true));

    last_record(mesh).await
}

fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"UserId":42}"#.to_vec();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_and_a_longer_one_is_not() {
    let mesh = small_mesh().await;

    for how in [
        How::Whole,
        How::Chunks(1),
        How::Chunks(7),
        How::Chunks(MAX_BODY_BYTES),
    ] {
        assert_named(
            &passed(&mesh, &JSON, &padded(MAX_BODY_BYTES), how).await,
            "42",
            "response_json",
        );

        let over = padded(MAX_BODY_BYTES + 1);
        assert_named(
            &passed(&mesh, &JSON, &over, how).await,
            "",
            "unavailable:too_large",
        );
    }

    let huge = padded(5 << 20);
    for how in [How::Whole, How::Chunks(65_536)] {
        assert_named(
            &passed(&mesh, &JSON, &huge, how).await,
            "",
            "unavailable:too_large",
        );
    }
}

#[tokio::test]
async fn an_encoded_body_is_left_alone() {
    let mesh = small_mesh().await;
    for how in [How::Whole, How::Chunks(1)] {
        assert_named(
            &passed(&mesh, &GZIP, &GZIPPED, how).await,
            "",
            "unavailable:encoded",
        );
    }

    let unknown = [
        ("content-type", "application/json"),
        ("content-encoding", "identity, x-own"),
    ];
    assert_named(
        &passed(&mesh, &unknown, br#"{"UserId":42}"#, How::Whole).await,
        "",
        "unavailable:encoded",
    );

    let identity = [
        ("content-type", "application/problem+json; charset=utf-8"),
        ("content-encoding", "identity"),
    ];
    assert_named(
        &passed(&mesh, &identity, br#"{"UserId":42}"#, How::Whole).await,
        "42",
        "response_json",
    );
}

#[tokio::test]
async fn a_body_without_json_or_id_has_no_user() {
    let mesh = small_mesh().await;
    let nested = [vec![b'['; 900], vec![b']'; 90]].concat();

    for (headers, body, source) in [
        (&JSON[..], &br#"{"UserId":42"#[..], "not_json"),
        (&JSON, br#"{"UserId":42}}"#, "not_json"),
        (&JSON, &GZIPPED, "not_json"),
        (&JSON, b"\xef\xbb\xbf{}", "absent"),
        (&JSON, b"\xff\xfe{\0}\0", "not_json"),
        (&JSON, &nested, "not_json"),
        (&JSON, b"", "not_json"),
        (
            &[("content-type", "text/html")],
            br#"{"UserId":42}"#,
            "not_json",
        ),
        (&[], b"UserId: 42", "not_json"),
        (&JSON, br#"{"userid":42}"#, "absent"),
        (&JSON, br#"{"UserId":null}"#, "absent"),
        (&JSON, br#"{"UserId":{"id":42}}"#, "absent"),
        (&JSON, b"[]", "absent"),
    ] {
        let record = passed(&mesh, headers, body, How::Whole).await;
        assert_named(&record, "", &format!("unavailable:{source}"));
        assert_eq!(record.text("audit.outcome"), "success");
    }

    assert_named(
        &passed(&mesh, &JSON, b" ", How::Chunks(1)).await,
        "",
        "unavailable:not_json",
    );
}

#[tokio::test]
async fn json_is_read_however_it_is_announced() {
    let mesh = small_mesh().await;
    for media_type in [
        "application/json;charset=UTF-8",
        "APPLICATION/JSON",
        "text/json",
        "application/hal+json",
    ] {
        let record = passed(
            &mesh,
            &[("content-type", media_type)],
            br#"{"UserId":42}"#,
            How::Whole,
        )
        .await;
        assert_named(&record, "42", "response_json");
    }

    assert_named(
        &passed(&mesh, &[], br#"{"UserId":42}"#, How::Whole).await,
        "42",
        "response_json",
    );

    let marked = b"\xef\xbb\xbf\r\n{\"UserId\":1.0}";
    for how in [How::Whole, How::Chunks(1)] {
        assert_named(
            &passed(&mesh, &JSON, marked, how).await,
            "1.0",
            "response_json",
        );
    }

    let twice = [JSON[0], JSON[0]];
    prepare(&mesh, 200, &twice, br#"{"UserId":42}"#, How::Whole);
    assert_eq!(request(&mesh, "GET").await.status(), 200);
    assert_named(&last_record(&mesh).await, "42", "response_json");
}

#[tokio::test]
async fn a_truncated_body_is_passed_on_truncated() {
    let rules = json!({"rules": [{"name": "all", "identity": {"user_id": [{"response_json": "/UserId"}]}}]});
    let mesh = mesh_of(default_rules(&rules)).await;
    let body = br#"{"UserId":42,"Identity":"a"#;

    for length in [Some("1000"), None] {
        let headers = Headers::from(JSON);
        let headers = length.map_or(headers.clone(), |length| {
            headers.with("content-length", length)
        });
        let (prepared, feed) = PreparedAnswer::fed(200, headers).unwrap();
        mesh.upstream.prepare("/check", prepared);

        let mut answer = request(&mesh, "GET").await;
        feed.send(&body[..]);
        assert_eq!(answer.chunk().await.unwrap().unwrap(), &body[..]);

        feed.break_off();
        assert_eq!(answer.rest().await, (Vec::new(), false));

        let record = last_record(&mesh).await;
        assert_named(&record, "", "unavailable:not_json");
        assert_eq!(record.text("audit.outcome"), "aborted");
    }
}

#[tokio::test]
async fn answers_without_a_body() {
    let rules = json!({"rules": [{"name": "all", "identity": {"user_id": [{"response_json": "/UserId"}]}}]});
    let mesh = mesh_of(default_rules(&rules)).await;

    for (method, status) in [("GET", 304), ("GET", 204), ("HEAD", 200)] {
        let headers: &[(&str, &str)] = if status == 204 {
            &JSON
        } else {
            &[JSON[0], ("content-length", "56")]
        };
        prepare(&mesh, status, headers, b"", How::Chunks(1));
        let answer = request(&mesh, method).await;
        assert_eq!(answer.status(), status);

        let length = answer.headers().text("content-length");
        assert_eq!(
            length.as_deref(),
            (status != 204).then_some("56"),
            "{method} {status}"
        );
        assert_eq!(answer.rest().await, (Vec::new(), true));

        let record = last_record(&mesh).await;
        assert_named(&record, "", "unavailable:not_json");
        assert_eq!(record.text("http.response.status_code"), status.to_string());
    }
}
