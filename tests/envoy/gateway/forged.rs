//! Client headers that imitate the edge.

use testkit::client::raw_exchange;

use super::*;

/// Source addresses; the edge trusts the second one.
const PEERS: [Ipv4Addr; 2] = [STRANGER, Ipv4Addr::LOCALHOST];

/// The context that the edge sets for a request of this peer without a device.
fn expected(peer: Ipv4Addr) -> Value {
    json!({"peer": peer.to_string()})
}

fn forgeries() -> [Headers; 3] {
    let other = [
        (CONTROL[0], "false"),
        (CONTROL[1], "other"),
        (CONTEXT, "b3RoZXI="),
        (CONTEXT, ""),
    ];

    let off = [(CONTROL[0], "false"), (CONTROL[1], ""), (CONTEXT, "")];
    [
        list(&FORGED),
        list(&[&FORGED[..], &other, &FORGED].concat()),
        list(&off),
    ]
}

#[tokio::test]
async fn the_edge_overwrites_client_headers() {
    for peer in PEERS {
        let chain = Chain::start(usual_edge()).await;
        for forged in forgeries() {
            chain.get(PATH, peer, forged.clone()).await;
            chain.call(METHOD, peer, forged, Headers::new()).await;
        }
        let records = chain.records(6).await;
        assert_eq!(records.len(), 6);

        let upstream = chain.sidecar.upstream.seen();
        for (record, seen) in records
            .into_iter()
            .zip([PATH, METHOD].map(|path| upstream.at_path(path)).concat())
        {
            assert_eq!(context_of(&only(vec![record]), &seen), expected(peer));
        }
    }
}

/// Only the gRPC listeners pass trailers; they use HTTP/2 on both sides.
#[tokio::test]
async fn trailers_of_an_untrusted_peer_are_ignored() {
    let chain = Chain::start(usual_edge()).await;
    let trailers = list(&[&FORGED[..], &FORGED, &[("x-kept", "1")]].concat());
    chain
        .call(METHOD, STRANGER, Headers::new(), trailers.clone())
        .await;
    chain
        .call("/demo.Accounts/Other", STRANGER, Headers::new(), trailers)
        .await;

    let record = only(chain.records(1).await);
    assert_eq!(context_of(&record, &chain.seen(METHOD)), expected(STRANGER));

    for method in [METHOD, "/demo.Accounts/Other"] {
        let trailers = chain.seen(method).trailers;
        assert_eq!(trailers, list(&[("x-kept", "1")]), "{method}");
    }
}

/// If no rule of the edge matches, a stranger's headers are removed, and those of a trusted peer
/// are consumed. In both cases the sidecar makes no record.
#[tokio::test]
async fn client_headers_do_not_pass_an_edge_without_a_rule() {
    for peer in PEERS {
        let chain = Chain::start(usual_edge()).await;
        for forged in forgeries() {
            chain.get("/other", peer, forged.clone()).await;
            chain
                .call("/demo.Accounts/Other", peer, forged, Headers::new())
                .await;
        }
        assert_eq!(chain.records(0).await, []);
        let upstream = chain.sidecar.upstream.seen();
        let seen = ["/other", "/demo.Accounts/Other"]
            .map(|path| upstream.at_path(path))
            .concat();
        assert_eq!(seen.len(), 6);

        for seen in seen {
            assert!(
                !CONTROL.iter().any(|name| seen.headers.contains(name)),
                "{seen:#?}"
            );
            assert_eq!(
                seen.headers.contains(CONTEXT),
                peer == Ipv4Addr::LOCALHOST,
                "{seen:#?}"
            );
        }
    }
}

#[tokio::test]
async fn an_untrusted_peer_of_the_sidecar_is_ignored() {
    let chain = Chain::start(usual_edge()).await;
    let forged = list(&FORGED).with("x-forwarded-for", "127.0.0.1");
    let options = CallOptions::from_ip(STRANGER);
    http_get(chain.sidecar.http, PATH, forged.clone(), &options)
        .await
        .unwrap();

    grpc_call(
        chain.sidecar.grpc,
        METHOD,
        forged,
        &GrpcOptions {
            call: options,
            ..GrpcOptions::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(chain.records(0).await, []);

    for path in [PATH, METHOD] {
        let seen = chain.seen(path);
        assert!(
            !FORGED.iter().any(|(name, _)| seen.headers.contains(name)),
            "{seen:#?}"
        );
    }

    assert_eq!(
        chain.sidecar.stat_at_least("headers.spoofed", 6).await["headers.spoofed"],
        6
    );
}

/// `connection` lists headers to remove before the next hop. Names in any case, as HTTP libraries
/// do not send them.
#[tokio::test]
async fn a_client_cannot_remove_the_edges_headers() {
    let chain = Chain::start(usual_edge()).await;
    let head = format!(
        "GET {PATH} HTTP/1.1\r\nhost: a\r\nX-SESSION-TRACK: false\r\nX-Session-Context:\r\n\
         connection: close, x-session-track, x-session-operation, x-session-context\r\n\r\n"
    );
    let answer = raw_exchange(
        chain.edge.http,
        head.as_bytes(),
        &CallOptions::from_ip(STRANGER),
    )
    .await
    .unwrap();

    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        answer.escape_ascii()
    );

    let record = only(chain.records(1).await);
    assert_eq!(context_of(&record, &chain.seen(PATH)), expected(STRANGER));
}

/// A disabled edge sets no headers, and removes those of others.
#[tokio::test]
async fn a_disabled_edge_is_silent() {
    let chain = Chain::start(usual_edge().with_plugin(&json!({"enabled": false}))).await;
    chain.get(PATH, STRANGER, list(&FORGED)).await;
    assert_eq!(chain.records(0).await, []);
    let seen = chain.seen(PATH);
    assert!(
        !FORGED.iter().any(|(name, _)| seen.headers.contains(name)),
        "{seen:#?}"
    );
}
