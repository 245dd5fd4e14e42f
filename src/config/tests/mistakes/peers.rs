//! Trusted peers, and names of headers.

use super::*;

#[test]
fn networks_and_certificates() {
    let network = "must be a network such as 10.0.0.0/8 or fc00::/7";
    for cidr in ["10.0.0.0/33", "10.0.0.1", "localhost", ""] {
        refused(
            &with("/trust/cidrs", json!(["::1/128", cidr])),
            &[&format!("trust.cidrs[1]: {network}")],
        );
    }

    let uri = "trust.uri_sans[0]: must be the start of a URI with its trust domain, such as spiffe://mesh.internal/";
    for name in ["mesh.internal", "spiffe://", "://mesh.internal"] {
        refused(&with("/trust/uri_sans", json!([name])), &[uri]);
    }
    refused(
        &with("/trust/uri_sans", json!([""])),
        &["trust.uri_sans[0]: must not be empty"],
    );
}

#[test]
fn principals() {
    let principal = |value: Value| with("/trust/filter_state", json!([value]));
    accepted(&principal(
        json!({"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh.internal/"]}),
    ));
    accepted(&principal(
        json!({"name": "user.role", "prefixes": ["admin"]}),
    ));

    refused(
        &principal(json!({})),
        &[
            "trust.filter_state[0].name: is required",
            "trust.filter_state[0].prefixes: is required",
        ],
    );

    let name = "trust.filter_state[0].name: must be the name of an object in Envoy's filter state";
    for bad in ["", "a\0b"] {
        refused(&principal(json!({"name": bad, "prefixes": ["a"]})), &[name]);
    }

    let prefixes = "trust.filter_state[0].prefixes";
    let domain =
        "must be the start of a URI with its trust domain, such as spiffe://mesh.internal/";
    for (list, problem) in [
        (
            json!([]),
            format!("{prefixes}: must have at least one entry"),
        ),
        (json!([""]), format!("{prefixes}[0]: must not be empty")),
        (json!(["spiffe://"]), format!("{prefixes}[0]: {domain}")),
    ] {
        refused(
            &principal(json!({"name": "x", "prefixes": list})),
            &[&problem],
        );
    }
}

#[test]
fn no_network_is_trusted_where_others_are_named() {
    let cidrs = |trust: Value| accepted(&with("/trust", trust)).recorder.trust.cidrs.len();
    let principals = json!([{"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh/"]}]);
    assert_eq!(cidrs(json!({})), 2);
    assert_eq!(cidrs(json!({"uri_sans": ["spiffe://mesh/"]})), 0);
    assert_eq!(cidrs(json!({"filter_state": principals})), 0);
    assert_eq!(
        cidrs(json!({"uri_sans": ["spiffe://mesh/"], "cidrs": ["10.0.0.0/8"]})),
        1
    );
}

#[test]
fn headers_of_the_audit_cluster() {
    let reserved = [
        ":path",
        "Host",
        "content-length",
        "Content-Type",
        "te",
        "user-agent",
        "idempotency-key",
    ];
    for name in reserved {
        let problem = format!("audit_cluster.headers.{name}: must not be set here");
        refused(
            &with("/audit_cluster/headers", json!({name: SECRET})),
            &[&problem],
        );
    }

    for (name, value, problem) in [
        ("a b", SECRET, "must have a header name as its key"),
        (
            "a",
            "x\r\ny: z",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
        (
            "a",
            " x",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
        (
            "a",
            "\u{f6}",
            "must be a header value: printable ASCII without spaces at its ends",
        ),
    ] {
        let problem = format!("audit_cluster.headers.{name}: {problem}");
        refused(
            &with("/audit_cluster/headers", json!({name: value})),
            &[&problem],
        );
    }

    let path = r#"audit_cluster.path: must start with "/" and hold no space"#;
    refused(&with("/audit_cluster/path", json!("v1/logs")), &[path]);
    refused(&with("/audit_cluster/path", json!("/v1 logs")), &[path]);
}

#[test]
fn headers_of_tracking_and_correlation() {
    refused(
        &with("/tracking/track_header", json!("a b")),
        &["tracking.track_header: must be a header name"],
    );

    let five = "configuration: the headers of tracking and correlation must have five names";
    refused(
        &with("/tracking/track_header", json!("X-Session-Context")),
        &[five],
    );
    refused(
        &with("/correlation/sequence_header", json!("x-audit-stream-id")),
        &[five],
    );
    refused(
        &with("/correlation/session_id_header", json!("x-session-context")),
        &[five],
    );

    for name in [
        "cookie",
        "connection",
        "x-request-id",
        "X-Forwarded-Proto",
        "grpc-timeout",
        "x-audit-session-id",
    ] {
        let sentence = "no header of tracking and correlation may be";
        let problem = format!(
            "configuration: {sentence} {}: requests need it",
            name.to_ascii_lowercase()
        );
        for place in ["/correlation/session_id_header", "/tracking/track_header"] {
            refused(&with(place, json!(name)), &[&problem]);
        }
    }
}
