//! Sources of the context's fields, and the handling of odd values.

use testkit::envoy::tls::{Authority, Tunnel, demand_certificate, uri};

use super::*;

/// Longest value of a field, in bytes.
const MAX_VALUE: usize = 256;
/// `tracking.max_context_bytes`
const MAX_CONTEXT: usize = 8192;

/// Filters before the edge's that set metadata: one from a header, one from its configuration.
fn with_metadata(edge: Bootstrap) -> Bootstrap {
    let from_header = json!({"name": "envoy.filters.http.header_to_metadata", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
        "request_rules": [{"header": "x-user", "remove": true,
            "on_header_present": {"metadata_namespace": "test.user", "key": "name"}}],
    }});
    let fixed = json!({"name": "envoy.filters.http.set_metadata", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
        "metadata": [{"metadata_namespace": "test.jwt", "value": {"jwt": {"tenant": "acme", "level": 7, "roles": ["a"]}}}],
    }});

    edge.with_filter_at(0, &from_header)
        .with_filter_at(0, &fixed)
}

fn edge_with_all_sources() -> Bootstrap {
    let context = json!({
        "address": {"peer_address": true},
        "device": {"header": "X-Device-Id"},
        "level": {"metadata": "test.jwt:jwt:level"},
        "name": {"peer_uri_san": true},
        "roles": {"metadata": "test.jwt:jwt:roles"},
        "tenant": {"metadata": ["test.jwt", "jwt", "tenant"]},
        "theme": {"cookie": "theme"},
        "user": {"metadata": "test.user:name"},
    });

    with_metadata(edge(
        &json!({"operation": "change_password", "context": context}),
    ))
}

const CLIENT: [(&str, &str); 3] = [
    ("x-device-id", " d-1 "),
    ("cookie", "session=secret; theme=dark"),
    ("x-user", "alice"),
];

#[tokio::test]
async fn every_source_sets_its_field() {
    let chain = Chain::start(edge_with_all_sources()).await;
    chain.get(PATH, STRANGER, list(&CLIENT)).await;

    let record = only(chain.records(1).await);
    let seen = chain.seen(PATH);
    let expected = json!({"address": "127.0.0.2", "device": "d-1", "level": "7", "tenant": "acme", "theme": "dark", "user": "alice"});
    assert_eq!(
        context_of(&record, &seen),
        expected,
        "no certificate, no name"
    );
    assert!(!seen.headers.contains("x-user"));
}

#[tokio::test]
async fn a_field_without_a_value_is_left_out() {
    let chain = Chain::start(edge_with_all_sources()).await;
    chain
        .get(
            PATH,
            STRANGER,
            list(&[("x-device-id", "  "), ("cookie", "theme=; other=1")]),
        )
        .await;

    let record = only(chain.records(1).await);
    let expected = json!({"address": "127.0.0.2", "level": "7", "tenant": "acme"});
    assert_eq!(context_of(&record, &chain.seen(PATH)), expected);
}

#[tokio::test]
async fn a_context_without_fields_is_a_context() {
    let chain = Chain::start(edge(
        &json!({"operation": "change_password", "context": {"gone": {"header": "x-gone"}}}),
    ))
    .await;
    chain.get(PATH, STRANGER, list(&FORGED)).await;
    let record = only(chain.records(1).await);
    assert_eq!(context_of(&record, &chain.seen(PATH)), json!({}));
}

#[tokio::test]
async fn without_an_operation_the_sidecar_names_it() {
    let chain = Chain::start(edge(&json!({"context": {"peer": {"peer_address": true}}}))).await;
    chain.get(PATH, STRANGER, list(&FORGED)).await;
    let records = chain.records(1).await;
    assert_eq!(
        (records.len(), records[0].text("audit.action")),
        (1, format!("GET {PATH}")),
        "not what the client says"
    );
}

#[tokio::test]
async fn the_name_in_a_certificate_goes_into_the_context() {
    const NAME: &str = "spiffe://clients.internal/app";
    let authority = Authority::new();
    let edge = edge_with_all_sources().with(|bootstrap| {
        let listener = bootstrap
            .listeners()
            .iter_mut()
            .find(|listener| listener["name"] == "grpc")
            .unwrap();
        demand_certificate(listener, &authority, &authority.validation());
    });
    let mut chain = Chain::start(edge).await;

    let identity = authority.issue([uri(NAME)]);
    let tunnel = Tunnel::open(chain.edge.grpc, &authority, Some(&identity), "h2", STRANGER).await;
    chain.edge.grpc = tunnel.addr();
    chain
        .call(METHOD, Ipv4Addr::LOCALHOST, Headers::new(), Headers::new())
        .await;

    let record = only(chain.records(1).await);
    let expected = json!({"address": "127.0.0.2", "level": "7", "name": NAME, "tenant": "acme"});
    assert_eq!(context_of(&record, &chain.seen(METHOD)), expected);
}

/// An edge with `count` fields, each from a header and named by its index.
fn edge_with_fields(count: usize) -> Bootstrap {
    let fields = (0..count).map(|index| {
        (
            format!("f{index:02}"),
            json!({"header": format!("x-f{index:02}")}),
        )
    });
    let context: serde_json::Map<String, Value> = fields.collect();
    edge(&json!({"operation": "change_password", "context": context}))
}

/// A value as the client sends it, and its form in the context.
type Case = (Vec<u8>, String);

fn headers_of(cases: &[Case]) -> Headers {
    let with = |headers: Headers, (index, (value, _)): (usize, &Case)| {
        headers.with(&format!("x-f{index:02}"), value)
    };
    cases.iter().enumerate().fold(Headers::new(), with)
}

fn context_with(cases: &[Case]) -> Value {
    cases
        .iter()
        .enumerate()
        .map(|(index, (_, value))| (format!("f{index:02}"), json!(value)))
        .collect()
}

/// The last two have 10 KB; the demo's gRPC server accepts 16 KB of headers.
#[tokio::test]
async fn odd_values_stay_values() {
    let cases: [Case; 7] = [
        (
            br#"a"b\c","track":"x"#.to_vec(),
            r#"a"b\c","track":"x"#.to_owned(),
        ),
        (
            "gr\u{fc}\u{df} \u{1f600}".into(),
            "gr\u{fc}\u{df} \u{1f600}".to_owned(),
        ),
        (
            b"a\xff\xfeb\xc3".to_vec(),
            "a\u{fffd}\u{fffd}b\u{fffd}".to_owned(),
        ),
        (
            b"\xed\xa0\x80".to_vec(),
            "\u{fffd}\u{fffd}\u{fffd}".to_owned(),
        ),
        (
            b"a\tb, </script>${X}%00".to_vec(),
            "a\tb, </script>${X}%00".to_owned(),
        ),
        (b"x".repeat(10_240), "x".repeat(MAX_VALUE)),
        (
            "\u{20ac}".repeat(3_413).into(),
            "\u{20ac}".repeat(MAX_VALUE / 3),
        ),
    ];

    let chain = Chain::start(edge_with_fields(cases.len())).await;
    chain.get(PATH, STRANGER, headers_of(&cases)).await;
    chain
        .call(METHOD, STRANGER, headers_of(&cases[..6]), Headers::new())
        .await;

    // Each listener has separate batches, so either may arrive first.
    let (http, grpc) = chain
        .records(2)
        .await
        .into_iter()
        .partition(|record| record.text("url.path") == PATH);

    assert_eq!(
        context_of(&only(http), &chain.seen(PATH)),
        context_with(&cases)
    );
    assert_eq!(
        context_of(&only(grpc), &chain.seen(METHOD)),
        context_with(&cases[..6])
    );
}

/// Sixteen fields with the longest encoding that a header can cause: each byte becomes three.
#[tokio::test]
async fn the_longest_context_is_one_that_the_sidecar_records_whole() {
    const FIELDS: usize = 16;
    let chain = Chain::start(edge_with_fields(FIELDS)).await;
    let worst = vec![(vec![0xff; 2 * MAX_VALUE], "\u{fffd}".repeat(MAX_VALUE)); FIELDS];
    chain.get(PATH, STRANGER, headers_of(&worst)).await;

    let record = only(chain.records(1).await);
    let seen = chain.seen(PATH);
    let length = seen.headers.text(CONTEXT).unwrap().len();
    assert!(
        (MAX_CONTEXT - 2000..=MAX_CONTEXT).contains(&length),
        "{length}"
    );

    let fields = context_of(&record, &seen);
    let fields = fields.as_object().unwrap();
    assert!(
        (1..FIELDS).contains(&fields.len()),
        "those that do not fit are left out"
    );
    assert!(
        fields
            .values()
            .all(|value| *value == "\u{fffd}".repeat(MAX_VALUE))
    );
}
