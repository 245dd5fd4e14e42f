//! Peers whose control headers count.

use super::*;

const ALL: [(&str, &str); 3] = [TRACK, CONTEXT, ("x-session-operation", "o")];

#[test]
fn an_untrusted_peer_is_not_heard() {
    const UNTRUSTED_NETWORK: &str = "203.0.113.0/24";

    for (peer, warning) in [
        (UNTRUSTED, UNTRUSTED_NETWORK),
        ("10.1.2.3:4567", "10.1.2.0/24"),
        ("[fe80::1%eth0]:4711", "fe80::/64"),
        (UNKNOWN, "x-forwarded-for"),
        ("203.0.113.9:0", "x-forwarded-for"),
        ("envoy://internal_client_address/", "trust.filter_state"),
    ] {
        let run = Case::new("POST", "/login")
            .headers(&ALL)
            .peer(peer)
            .not_recorded();

        assert_eq!(
            run.removed,
            [
                "x-session-track",
                "x-session-operation",
                "x-session-context"
            ],
            "{peer}"
        );
        assert_eq!(run.stats.counter(Counter::HeadersSpoofed), 3, "{peer}");
        assert_eq!(run.stats.counter(Counter::SkippedEmptyContext), 0, "{peer}");
        assert_eq!(run.warnings.len(), 1, "{peer} {:?}", run.warnings);
        assert!(
            run.warnings[0].contains(warning),
            "{peer} {:?}",
            run.warnings
        );
    }
}

#[test]
fn the_direct_peer_decides() {
    let direct = |peer: &str, source: &str| {
        let properties = [
            (Property::DirectPeer, peer),
            (Property::SourceAddress, source),
        ];
        Case::new("POST", "/")
            .headers(&ALL)
            .stream(|stream| stream.with_properties(&properties))
    };
    let record = direct("127.0.0.2", "198.51.100.7:0").recorded();

    assert_eq!(
        optional(record.client_address.as_ref()),
        Some("198.51.100.7")
    );

    let run = direct("203.0.113.9", TRUSTED).not_recorded();
    assert!(
        run.warnings[0].contains("203.0.113.0/24"),
        "{:?}",
        run.warnings
    );
}

#[test]
fn a_certificate_decides_in_any_case() {
    let mesh = json!({"trust": {"cidrs": [], "uri_sans": ["spiffe://mesh.internal/"]}});
    let case = |san: &str| {
        let properties = [(Property::PeerUriSan, san)];
        Case::new("POST", "/")
            .config(&mesh)
            .headers(&ALL)
            .stream(|stream| stream.with_properties(&properties))
    };

    case("spiffe://mesh.internal/ns/a")
        .peer(UNKNOWN)
        .rule(Some("tracked"));
    case("spiffe://mesh.evil/ns/a").rule(None);
    case("").rule(None);
}

/// A waypoint: TLS ends before this connection, which also has no address.
#[test]
fn a_principal_decides_where_there_is_no_certificate() {
    let waypoint = json!({"trust": {"filter_state": [
        {"name": "io.istio.peer_principal", "prefixes": ["spiffe://mesh.internal/ns/edge", "admin"]},
    ]}});
    let case = |principal: &str| {
        let mut case = Case::new("POST", "/")
            .config(&waypoint)
            .headers(&ALL)
            .peer("envoy://internal_client_address/");

        case.stream.by_path.insert(
            "filter_state\0io.istio.peer_principal".to_owned(),
            principal.as_bytes().to_vec(),
        );
        case
    };

    for principal in [
        "spiffe://mesh.internal/ns/edge/sa/gateway",
        "spiffe://mesh.internal/ns/edge",
        "admin",
    ] {
        case(principal).rule(Some("tracked"));
    }

    for principal in [
        "spiffe://mesh.internal/ns/edges/sa/a",
        "spiffe://evil/ns/edge",
        "administrator",
        "-",
        "",
    ] {
        case(principal).rule(None);
    }

    case("").peer(TRUSTED).rule(None);
}

#[test]
fn who_names_certificates_trusts_no_network() {
    let mesh = json!({"trust": {"uri_sans": ["spiffe://mesh.internal/ns/edge/"]}});
    let properties = [
        (Property::PeerUriSan, "spiffe://mesh.internal/ns/evil/sa/x"),
        (Property::SourceAddress, TRUSTED),
    ];
    let case = Case::new("POST", "/").config(&mesh).headers(&ALL);
    case.stream(|stream| stream.with_properties(&properties))
        .rule(None);
}

#[test]
fn only_a_control_header_makes_it_ask() {
    let run = Case::new("POST", "/login")
        .headers(&[("cookie", "a"), ("x-request-id", "b")])
        .peer(UNTRUSTED)
        .run();

    assert_eq!((run.asked, run.warnings), (vec![], vec![]));
    let mut case = Case::new("POST", "/login").headers(&[("x-session-track", "x")]);
    case.trailers = owned(&[TRACK]);

    let run = case.run();
    let of_verdict = [
        Property::ConnectionId,
        Property::DirectPeer,
        Property::SourceAddress,
    ];

    assert_eq!(run.asked, of_verdict, "judged once per exchange");

    let run = Case::new("GET", "/check").run();
    let of_record = [
        Property::ConnectionId,
        Property::Protocol,
        Property::ResponseCodeDetails,
        Property::SourceAddress,
    ];

    assert_eq!(
        run.asked, of_record,
        "a plain record asks for what it holds"
    );
}
