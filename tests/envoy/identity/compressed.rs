//! Envoy's compressor. Answers pass the filters in reverse order: a compressor listed before the
//! filter compresses after it has read the body. One listed after it hands compressed bytes to the
//! filter.

use serde_json::{Value, json};
use testkit::Mesh;
use testkit::headers::Headers;
use testkit::upstream::PreparedAnswer;

use super::{JSON, assert_named, default_rules, last_record, mesh_of};

const AUDIT: usize = 0;

fn compressor() -> Value {
    let gzip = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip";
    json!({"name": "envoy.filters.http.compressor", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
        "response_direction_config": {"common_config": {"min_content_length": 30, "content_type": ["application/json"]}},
        "compressor_library": {"name": "gzip", "typed_config": {"@type": gzip}},
    }})
}

/// Checks a session through a compressor at this place of the chain.
async fn compressed_at(index: usize) -> Mesh {
    let mesh = mesh_of(default_rules(&json!({})).with_filter_at(index, &compressor())).await;
    let body = format!(r#"{{"UserId":42,"more":"{}"}}"#, "x".repeat(500));
    mesh.upstream
        .prepare("/check", PreparedAnswer::whole(200, JSON, body).unwrap());

    let options = testkit::client::CallOptions::default();
    let headers = Headers::from([("accept-encoding", "gzip")]);
    let answer = testkit::client::http_get(mesh.http, "/check", headers, &options)
        .await
        .unwrap();
    assert_eq!(
        answer.headers.text("content-encoding").as_deref(),
        Some("gzip")
    );
    assert!(
        answer.body.starts_with(&[0x1f, 0x8b]) && answer.body.len() < 500,
        "{answer:?}"
    );

    mesh
}

#[tokio::test]
async fn before_the_filter_the_user_is_named() {
    let mesh = compressed_at(AUDIT).await;
    assert_named(&last_record(&mesh).await, "42", "response_json");
}

#[tokio::test]
async fn after_the_filter_the_body_is_encoded() {
    let mesh = compressed_at(AUDIT + 1).await;
    assert_named(&last_record(&mesh).await, "", "unavailable:encoded");
}
