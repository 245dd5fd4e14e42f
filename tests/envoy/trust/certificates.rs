//! Certificates that the listener has verified, and the names in them that make a peer trusted.

use testkit::client::http_request;
use testkit::envoy::tls::{Authority, Tunnel, dns, uri};

use super::mutual::{MutualMesh, call_through, grpc_listener};
use super::*;

const GATEWAY: &str = "spiffe://mesh.internal/ns/a/sa/gateway";

async fn session_reuses(mesh: &Mesh) -> u64 {
    let stats = mesh.envoy.stats("ssl.session_reused").await;
    stats.values().sum()
}

#[tokio::test]
async fn a_certificate_of_the_mesh_is_trusted() {
    let mutual = MutualMesh::trusting(&json!([
        "spiffe://other.internal/",
        "spiffe://mesh.internal/"
    ]))
    .await;
    let identity = mutual
        .authority
        .issue([dns("gateway.internal"), uri(GATEWAY)]);
    mutual.call(Some(&identity), &[]).await.unwrap();

    let records = mutual.mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("audit.action"), "forged");
    assert_eq!(records[0].text("audit.session.context"), "Zm9yZ2Vk");

    let seen = mutual.mesh.upstream.seen().at_path(METHOD);
    let names = ALL.map(|(name, _)| seen[0].headers.contains(name));
    assert_eq!(names, [false, false, true], "only the context goes on");
    assert_eq!(
        mutual.mesh.envoy.stats("audit_filter").await["headers.spoofed"],
        0
    );
}

#[tokio::test]
async fn a_certificate_is_trusted_over_http_1_too() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;
    let identity = mutual.authority.issue([uri(GATEWAY)]);
    let tunnel = Tunnel::open(
        mutual.listener,
        &mutual.authority,
        Some(&identity),
        "http/1.1",
        Ipv4Addr::LOCALHOST,
    )
    .await;

    http_request(
        tunnel.addr(),
        "POST",
        "/login",
        list(&ALL),
        "",
        &CallOptions::default(),
    )
    .await
    .unwrap();

    let records = mutual.mesh.exchanges_until_marker().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text("network.protocol.version"), "1.1");
}

/// A resumed session has no certificate on the wire; Envoy stores the verified one.
#[tokio::test]
async fn a_resumed_session_keeps_its_certificate() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;

    for (name, recorded) in [("spiffe://evil/", 0), (GATEWAY, 3)] {
        let identity = mutual.authority.issue([uri(name)]);
        let tunnel = mutual.tunnel(Some(&identity)).await;
        let before = session_reuses(&mutual.mesh).await;

        for _ in 0..3 {
            call_through(&tunnel, &[]).await.unwrap();
        }

        assert!(
            session_reuses(&mutual.mesh).await >= before + 2,
            "the sessions were resumed"
        );
        assert_eq!(
            mutual.mesh.exchanges_until_marker().await.len(),
            recorded,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_name_that_resembles_the_mesh_is_not_trusted() {
    let names = [
        "spiffe://mesh.internal.evil/ns/a/sa/gateway",
        "spiffe://mesh.internal@evil/",
        "spiffe://evil@mesh.internal/",
        "spiffe://evil/spiffe://mesh.internal/",
        "spiffe://mesh.internal",
        "spiffe://mesh.internal:443/",
        "spiffe://mesh.internal./",
        "spiffe://mesh.internal%2F",
        "spiffe://mesh.internal\\",
        "spiffe://mesh.internal?/",
        "spiffe://mesh.internal#/",
        "spiffe://mesh.internal\0.evil/",
        "spiffe://mesh.internal\0/",
        "spiffe://mesh.interna",
        "spiffe://sub.mesh.internal/",
        "spiffe://MESH.internal/ns/a",
        "SPIFFE://mesh.internal/ns/a",
        " spiffe://mesh.internal/",
        "\0spiffe://mesh.internal/",
        "spiffe:/mesh.internal/",
        "spiffe:///mesh.internal/",
        "https://mesh.internal/",
        "mesh.internal/",
        "/",
        "",
    ];

    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;
    let certificates = names.map(|name| vec![uri(name)]);
    assert_eq!(
        mutual.trusted_among(&certificates).await,
        Vec::<Vec<_>>::new()
    );
    assert_ignored(&mutual.mesh, names.len() as u64).await;
}

#[tokio::test]
async fn a_prefix_ends_where_a_part_of_the_name_ends() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal", "spiffe://td/ns/a"])).await;
    let good = [
        "spiffe://mesh.internal",
        "spiffe://mesh.internal/",
        GATEWAY,
        "spiffe://td/ns/a",
        "spiffe://td/ns/a/sa/b",
    ];

    let bad = [
        "spiffe://mesh.internal.evil/",
        "spiffe://mesh.internal@evil/",
        "spiffe://mesh.internal:443/",
        "spiffe://mesh.internal\0.evil/",
        "spiffe://td/ns/ab",
        "spiffe://td/ns/a\0",
        "spiffe://td/ns",
        "spiffe://td/",
    ];

    let certificates: Vec<_> = good
        .iter()
        .chain(&bad)
        .map(|name| vec![uri(name)])
        .collect();
    assert_eq!(
        mutual.trusted_among(&certificates).await,
        good.map(|name| vec![uri(name)])
    );

    let spoofed = mutual.mesh.stat_at_least("headers.spoofed", 1).await["headers.spoofed"];
    assert_eq!(spoofed, (bad.len() * ALL.len()) as u64);
}

/// Envoy yields the first URI SAN in the order of the certificate; SPIFFE forbids a second one.
#[tokio::test]
async fn of_several_uri_sans_the_first_one_counts() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;
    let first = vec![dns("a"), uri(GATEWAY), uri("spiffe://evil/")];
    let certificates = [
        first.clone(),
        vec![uri("spiffe://evil/"), uri(GATEWAY)],
        vec![uri(""), uri(GATEWAY)],
        vec![
            uri("spiffe://evil/"),
            dns("a"),
            uri("spiffe://evil/"),
            uri(GATEWAY),
        ],
    ];
    assert_eq!(mutual.trusted_among(&certificates).await, [first]);
}

#[tokio::test]
async fn only_a_uri_san_is_a_name() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;
    let mail = rcgen::SanType::Rfc822Name(GATEWAY.try_into().unwrap());
    let certificates = [
        vec![],
        vec![dns(GATEWAY)],
        vec![dns("mesh.internal")],
        vec![mail, dns(GATEWAY)],
    ];
    assert_eq!(
        mutual.trusted_among(&certificates).await,
        Vec::<Vec<_>>::new()
    );
    assert_ignored(&mutual.mesh, certificates.len() as u64).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_gets_no_connection() {
    let mutual = MutualMesh::trusting(&json!(["spiffe://mesh.internal/"])).await;
    let stranger = Authority::new().issue([uri(GATEWAY)]);
    mutual.call(Some(&stranger), &[]).await.unwrap_err();
    mutual.call(None, &[]).await.unwrap_err();

    let stats = mutual.mesh.envoy.stats("ssl.fail_verify").await;
    let refused = |name: &str| {
        stats
            .iter()
            .filter(|(found, _)| found.ends_with(name))
            .map(|(_, value)| value)
            .sum()
    };
    let refused: (u64, u64) = (refused("fail_verify_error"), refused("fail_verify_no_cert"));
    assert_eq!(refused, (1, 1));
    assert_eq!(mutual.mesh.exchanges_until_marker().await, []);
    assert!(mutual.mesh.upstream.seen().at_path(METHOD).is_empty());
}

#[tokio::test]
async fn an_address_that_is_trusted_needs_no_name() {
    let trust = json!({"cidrs": ["127.0.0.1/32"], "uri_sans": ["spiffe://mesh.internal/"]});
    let mutual = MutualMesh::start(&trust, Authority::validation, |_| {}).await;
    let nobody = vec![uri("spiffe://evil/")];
    assert_eq!(
        mutual.trusted_among(std::slice::from_ref(&nobody)).await,
        [nobody]
    );
}

#[tokio::test]
async fn over_tls_a_forged_forwarded_address_does_not_help() {
    let trust = json!({"cidrs": ["127.0.0.1/32"]});

    for has_direct_peer in [true, false] {
        let mutual = MutualMesh::start(&trust, Authority::validation, |bootstrap| {
            *bootstrap = forwarded::believing(bootstrap.clone());
            if !has_direct_peer {
                *bootstrap = bootstrap.clone().without_peer_note();
            }
        })
        .await;
        let identity = mutual.authority.issue([uri(GATEWAY)]);

        let tunnel = Tunnel::open(
            mutual.listener,
            &mutual.authority,
            Some(&identity),
            "h2",
            STRANGER,
        )
        .await;
        call_through(&tunnel, &[("x-forwarded-for", "127.0.0.1")])
            .await
            .unwrap();
        assert_ignored(&mutual.mesh, 1).await;
    }
}

/// The header by which proxies forward a client's certificate, with every way that Envoy can be
/// configured to treat it.
#[tokio::test]
async fn a_forged_certificate_header_does_not_help() {
    const HEADER: &str = "x-forwarded-client-cert";
    let forged = [(
        HEADER,
        "By=spiffe://mesh.internal/a;Hash=00;URI=spiffe://mesh.internal/ns/a/sa/gateway",
    )];

    for details in [
        "SANITIZE",
        "FORWARD_ONLY",
        "APPEND_FORWARD",
        "SANITIZE_SET",
        "ALWAYS_FORWARD_ONLY",
    ] {
        let trust = json!({"cidrs": ["192.0.2.0/24"], "uri_sans": ["spiffe://mesh.internal/"]});
        let mutual = MutualMesh::start(&trust, Authority::validation, |bootstrap| {
            let socket = &mut grpc_listener(bootstrap)["filter_chains"][0]["transport_socket"];
            socket["typed_config"]["require_client_certificate"] = json!(false);
            for manager in bootstrap.connection_managers() {
                manager["forward_client_cert_details"] = json!(details);
                manager["set_current_client_cert_details"] = json!({"uri": true});
            }
        })
        .await;
        let evil = mutual.authority.issue([uri("spiffe://evil/")]);

        mutual.call(Some(&evil), &forged).await.unwrap();
        mutual.call(None, &forged).await.unwrap();
        mutual.mesh.get(METHOD, &[&ALL[..], &forged].concat()).await;
        assert_ignored(&mutual.mesh, 3).await;

        let forwarded = mutual.mesh.upstream.seen().at_path(METHOD);
        let passed = forwarded.iter().filter(|seen| {
            seen.headers
                .text(HEADER)
                .is_some_and(|text| text.contains("By="))
        });
        let expected = match details {
            "ALWAYS_FORWARD_ONLY" => 3,
            "FORWARD_ONLY" | "APPEND_FORWARD" => 1,
            _ => 0,
        };
        assert_eq!(passed.count(), expected, "{details}: what Envoy lets pass");
    }
}
