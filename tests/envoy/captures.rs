//! Attributes that a rule's allow-lists record in addition to the default ones, and values that
//! they never record.

use serde_json::json;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::mesh::METHOD;
use testkit::headers::Headers;
use testkit::{Mesh, Record};

async fn capturing(capture: &serde_json::Value) -> Mesh {
    Mesh::with_plugin(&json!({"rules": [{"name": "all", "level": "request", "capture": capture}]}))
        .await
}

async fn last_record(mesh: &Mesh) -> Record {
    mesh.exchanges_until_marker()
        .await
        .pop()
        .expect("there is a record")
}

/// The captured attributes, without their common prefix.
fn captured(record: &Record) -> Vec<(&str, String)> {
    let names = record
        .attributes
        .keys()
        .filter_map(|name| Some((name, name.strip_prefix("audit.capture.")?)));
    names
        .map(|(name, short)| (short, record.text(name)))
        .collect()
}

fn pairs<'a>(list: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    list.iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_listed_is_captured_and_nothing_else() {
    let mesh = capturing(&json!({
        "query": ["q", "empty", "gone"],
        "request_headers": ["X-Tenant", "x-gone"],
        "response_headers": ["x-cache", "content-type"],
    }))
    .await;

    let headers = [
        ("X-TENANT", "a"),
        ("x-tenant", "\u{1f600} \"b\""),
        ("x-other", "unlisted"),
        ("x-cache", "of the request"),
        ("x-demo-response-header", "X-Cache: hit"),
        ("x-demo-response-header", "x-cache: miss"),
        ("x-demo-response-header", "x-other: unlisted"),
    ];

    mesh.get(
        "/find?q=a%20b&other=unlisted&q=%22c%22+%F0%9F%98%80&Q=no&empty",
        &headers,
    )
    .await;

    let record = last_record(&mesh).await;
    let expected = [
        ("query.empty", ""),
        ("query.q", "a b, \"c\" \u{1f600}"),
        ("request_headers.x-tenant", "a, \u{1f600} \"b\""),
        ("response_headers.content-type", "text/plain"),
        ("response_headers.x-cache", "hit, miss"),
    ];
    assert_eq!(captured(&record), pairs(&expected));
    assert_eq!(record.text("url.path"), "/find");
    assert!(!record.raw.to_string().contains("unlisted"), "{record:#?}");
}

#[tokio::test]
async fn secret_looking_values_are_marked_and_hidden() {
    let mesh = capturing(&json!({
        "query": ["password", "apiKey", "page"],
        "request_headers": ["authorization", "cookie", "x-monkey", "proxy-authorization"],
        "response_headers": ["set-cookie", "x-csrf-token"],
    }))
    .await;

    let headers = [
        ("authorization", "Bearer s3cret"),
        ("cookie", "a=s3cret"),
        ("x-monkey", "banana"),
        ("x-demo-response-header", "set-cookie: a=s3cret"),
        ("x-demo-response-header", "x-csrf-token: s3cret"),
    ];
    mesh.get("/any?password=s3cret&apiKey=s3cret&page=7", &headers)
        .await;

    let record = last_record(&mesh).await;
    let hidden = "[REDACTED]";
    let expected = [
        ("query.apiKey", hidden),
        ("query.page", "7"),
        ("query.password", hidden),
        ("request_headers.authorization", hidden),
        ("request_headers.cookie", hidden),
        ("request_headers.x-monkey", "banana"),
        ("response_headers.set-cookie", hidden),
        ("response_headers.x-csrf-token", hidden),
    ];
    assert_eq!(captured(&record), pairs(&expected));
    assert!(!record.raw.to_string().contains("s3cret"), "{record:#?}");
}

#[tokio::test]
async fn values_are_bounded_and_may_be_any_bytes() {
    const MAX_BYTES: usize = 256;
    let capture = json!({"query": ["q"], "request_headers": ["x-a"], "response_headers": ["x-b"]});
    let mesh = capturing(&capture).await;
    let long = "\u{f6}".repeat(1000);
    let headers = Headers::new()
        .with("x-a", &long)
        .with("x-demo-response-header", format!("x-b: {long}"));
    let path = format!("/any?q={}", "%C3%B6".repeat(1000));
    http_get(mesh.http, &path, headers, &CallOptions::default())
        .await
        .unwrap();

    let record = last_record(&mesh).await;
    assert_eq!(captured(&record).len(), 3);

    for (name, value) in captured(&record) {
        assert_eq!(value, "\u{f6}".repeat(MAX_BYTES / 2), "{name}");
    }

    let odd = Headers::new()
        .with("x-a", b"a\xff\xfeb")
        .with("x-demo-response-header", b"x-b: \xed\xa0\x80");
    http_get(mesh.http, "/any?q=%00%FF%", odd, &CallOptions::default())
        .await
        .unwrap();

    let record = last_record(&mesh).await;
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(record.text("audit.capture.query.q"), lossy(b"\0\xff%"));
    assert_eq!(
        record.text("audit.capture.request_headers.x-a"),
        lossy(b"a\xff\xfeb")
    );
    assert_eq!(
        record.text("audit.capture.response_headers.x-b"),
        lossy(b"\xed\xa0\x80")
    );
    crate::hostile::assert_vm_lives(&mesh).await;
}

#[tokio::test]
async fn what_never_came_is_not_captured() {
    let capture = json!({"request_headers": ["x-demo-grpc"], "response_headers": ["x-demo-grpc", "grpc-status"]});
    let mesh = capturing(&capture).await;
    mesh.get("/any", &[("x-demo-reset", "before")]).await;
    assert_eq!(captured(&last_record(&mesh).await), []);

    mesh.tracked_call("trailers-only:7:no").await.unwrap();
    let record = last_record(&mesh).await;
    assert_eq!(record.text("rpc.method"), METHOD.trim_start_matches('/'));

    let expected = [
        ("request_headers.x-demo-grpc", "trailers-only:7:no"),
        ("response_headers.grpc-status", "7"),
    ];
    assert_eq!(captured(&record), pairs(&expected));
}
