//! Where the fields of the context come from, and what odd values make of it.

use super::*;
use crate::support::tls::{Authority, Tunnel, demand_certificate, uri};

/// Most bytes of a field's value.
const MAX_VALUE: usize = 256;

/// Filters before the edge's that know something: one takes it from a header, one has it from its configuration.
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
    edge.with_filter_at(0, &from_header).with_filter_at(0, &fixed)
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
    with_metadata(edge(&json!({"operation": "change_password", "context": context})))
}

const CLIENT: [(&str, &str); 3] =
    [("x-device-id", " d-1 "), ("cookie", "session=secret; theme=dark"), ("x-user", "alice")];

#[tokio::test]
async fn every_source_has_its_say() {
    let chain = Chain::start(edge_with_all_sources()).await;
    chain.get(PATH, STRANGER, list(&CLIENT)).await;
    let record = only(chain.records(1).await);
    let seen = chain.seen(PATH);
    let expected = json!({"address": "127.0.0.2", "device": "d-1", "level": "7", "tenant": "acme", "theme": "dark", "user": "alice"});
    assert_eq!(context_of(&record, &seen), expected, "no certificate, no name");
    assert!(!seen.headers.contains("x-user"));
}

#[tokio::test]
async fn a_field_without_a_value_is_left_out() {
    let chain = Chain::start(edge_with_all_sources()).await;
    chain.get(PATH, STRANGER, list(&[("x-device-id", "  "), ("cookie", "theme=; other=1")])).await;
    let record = only(chain.records(1).await);
    let expected = json!({"address": "127.0.0.2", "level": "7", "tenant": "acme"});
    assert_eq!(context_of(&record, &chain.seen(PATH)), expected);
}

#[tokio::test]
async fn a_context_without_fields_is_a_context() {
    let chain =
        Chain::start(edge(&json!({"operation": "change_password", "context": {"gone": {"header": "x-gone"}}}))).await;
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
        let listener = bootstrap.listeners().iter_mut().find(|listener| listener["name"] == "grpc").unwrap();
        demand_certificate(listener, &authority, &authority.validation());
    });
    let mut chain = Chain::start(edge).await;
    let identity = authority.issue([uri(NAME)]);
    let tunnel = Tunnel::open(chain.edge.grpc, &authority, Some(&identity), "h2", STRANGER).await;
    chain.edge.grpc = tunnel.addr();
    chain.call(METHOD, Ipv4Addr::LOCALHOST, Headers::new(), Headers::new()).await;
    let record = only(chain.records(1).await);
    let expected = json!({"address": "127.0.0.2", "level": "7", "name": NAME, "tenant": "acme"});
    assert_eq!(context_of(&record, &chain.seen(METHOD)), expected);
}

/// An edge with so many fields, each from a header and named by its index.
fn edge_with_fields(count: usize) -> Bootstrap {
    let fields = (0..count).map(|index| (format!("f{index:02}"), json!({"header": format!("x-f{index:02}")})));
    let context: serde_json::Map<String, Value> = fields.collect();
    edge(&json!({"operation": "change_password", "context": context}))
}

#[tokio::test]
async fn odd_values_stay_values() {
    let long = |unit: &[u8]| unit.repeat(10_240 / unit.len());
    let cases: [(Vec<u8>, String); 7] = [
        (br#"a"b\c","track":"x"#.to_vec(), r#"a"b\c","track":"x"#.to_owned()),
        ("gr\u{fc}\u{df} \u{1f600}".into(), "gr\u{fc}\u{df} \u{1f600}".to_owned()),
        (b"a\xff\xfeb\xc3".to_vec(), "a\u{fffd}\u{fffd}b\u{fffd}".to_owned()),
        (b"\xed\xa0\x80".to_vec(), "\u{fffd}\u{fffd}\u{fffd}".to_owned()),
        (b"a\tb, </script>${X}%00".to_vec(), "a\tb, </script>${X}%00".to_owned()),
        (long(b"x"), "x".repeat(MAX_VALUE)),
        (long("a\u{20ac}".as_bytes()), "a\u{20ac}".repeat(MAX_VALUE / 4)),
    ];
    let chain = Chain::start(edge_with_fields(cases.len())).await;
    let named = |index: usize| format!("f{index:02}");
    let headers = cases
        .iter()
        .enumerate()
        .fold(Headers::new(), |headers, (index, (value, _))| headers.with(&format!("x-{}", named(index)), value));
    chain.get(PATH, STRANGER, headers.clone()).await;
    chain.call(METHOD, STRANGER, headers, Headers::new()).await;
    let [http, grpc] = chain.records(2).await.try_into().unwrap();
    let expected: Value = cases.iter().enumerate().map(|(index, (_, value))| (named(index), json!(value))).collect();
    assert_eq!(context_of(&only(vec![http]), &chain.seen(PATH)), expected);
    assert_eq!(context_of(&only(vec![grpc]), &chain.seen(METHOD)), expected);
}

/// Sixteen fields of the worst text that a header can have: each byte becomes three.
#[tokio::test]
async fn the_longest_context_is_bounded_and_arrives() {
    const FIELDS: usize = 16;
    let chain = Chain::start(edge_with_fields(FIELDS)).await;
    let worst = vec![0xff; 3 * 1024];
    let headers = (0..FIELDS).fold(Headers::new(), |headers, index| headers.with(&format!("x-f{index:02}"), &worst));
    chain.get(PATH, STRANGER, headers).await;
    let record = only(chain.records(1).await);
    let sent = chain.seen(PATH).headers.text(CONTEXT).unwrap();
    assert!(sent.len() <= FIELDS * (3 * MAX_VALUE + 20) * 4 / 3 + 4, "{}", sent.len());
    let context = decoded(&sent);
    assert_eq!(context.as_object().unwrap().len(), FIELDS);
    assert!(context.as_object().unwrap().values().all(|value| *value == "\u{fffd}".repeat(MAX_VALUE)));
    assert_eq!(record.text("audit.session.context_hashed"), "true", "longer than `max_context_bytes` of the sidecar");
    assert_eq!(record.int("audit.session.context_length"), sent.len() as u64);
}
