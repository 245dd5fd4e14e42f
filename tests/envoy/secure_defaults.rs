//! Attacks on the defaults: trusted control headers, the recorded parts of a session, and requests
//! without a matching rule.

use serde_json::{Value, json};
use testkit::Mesh;
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;

/// Headers that are accepted from trusted peers only.
const CLAIMS: [(&str, &str); 3] = [
    ("x-session-track", "true"),
    ("x-session-context", "Y3R4"),
    ("x-user-id", "admin"),
];

const EVERYTHING: &str = "everything";

/// Every request is recorded, with the default trust or that of `trust`.
async fn mesh(peer: &str, trust: &Value, more: &Value) -> Mesh {
    let patch =
        json!({"trust": trust, "rules": [{"name": EVERYTHING}], "batch": {"max_delay": "50ms"}});
    let bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"trust": null}))
        .with_plugin(&patch)
        .with_plugin(more);

    let bootstrap = bootstrap.with(|bootstrap| {
        for listener in bootstrap.listeners() {
            let filters = listener["filter_chains"][0]["filters"]
                .as_array_mut()
                .unwrap();
            let noting = filters
                .iter_mut()
                .find(|filter| filter["name"] == NOTING)
                .unwrap();
            let objects = noting["typed_config"]["on_new_connection"]
                .as_array_mut()
                .unwrap();

            let object = |key: &str, value: &str| {
                json!({"object_key": key, "factory_key": "envoy.string", "format_string": {
                    "text_format_source": {"inline_string": value},
                }})
            };
            *objects = vec![
                object("audit.direct_peer", peer),
                object("io.istio.peer_principal", PRINCIPAL),
            ];
        }
    });

    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

const NOTING: &str = "envoy.filters.network.set_filter_state";
const PRINCIPAL: &str = "spiffe://mesh.internal/ns/edge/sa/gateway";

/// User and context of the record of a request with claims.
async fn recorded(mesh: &Mesh) -> (String, String) {
    mesh.get("/orders/7", &CLAIMS).await;
    let records = mesh.sink.wait_for(1).await;
    (
        records[0].text("user.id"),
        records[0].text("audit.session.context"),
    )
}

fn believed() -> (String, String) {
    ("admin".to_owned(), "Y3R4".to_owned())
}

#[tokio::test]
async fn loopback_alone_is_trusted() {
    for (peer, network) in [
        ("10.1.2.3", "10.1.2.0/24"),
        ("192.168.0.9", "192.168.0.0/24"),
        ("fd00::1", "fd00::/64"),
    ] {
        let mesh = mesh(peer, &json!({}), &json!({})).await;
        assert_eq!(
            recorded(&mesh).await,
            (String::new(), String::new()),
            "{peer}"
        );

        let line = format!("control or identity headers from {network} count as absent");
        testkit::eventually("the network is named", || {
            mesh.envoy.log().contains(&line).then_some(())
        })
        .await;

        assert!(
            !mesh.upstream.seen().at_path("/orders/7")[0]
                .headers
                .contains("x-session-context"),
            "{peer}"
        );
    }

    assert_eq!(
        recorded(&mesh("127.0.0.1", &json!({}), &json!({})).await).await,
        believed()
    );
}

#[tokio::test]
async fn who_names_certificates_trusts_no_address() {
    let trust = json!({"uri_sans": ["spiffe://mesh.internal/"]});
    assert_eq!(
        recorded(&mesh("127.0.0.1", &trust, &json!({})).await).await,
        (String::new(), String::new())
    );
}

/// As in a waypoint, where TLS ended before this connection.
#[tokio::test]
async fn a_principal_in_the_filter_state_is_trusted_and_named() {
    let trust = |prefix: &str| json!({"filter_state": [{"name": "io.istio.peer_principal", "prefixes": [prefix]}]});
    let named = json!({"identity": {"user_name": [{"filter_state": "io.istio.peer_principal"}]}});
    let mesh_of = async |prefix: &str| mesh("10.1.2.3", &trust(prefix), &named).await;
    let trusted = mesh_of("spiffe://mesh.internal/ns/edge").await;
    assert_eq!(recorded(&trusted).await, believed());
    assert_eq!(trusted.sink.exchanges()[0].text("user.name"), PRINCIPAL);

    let other = mesh_of("spiffe://mesh.internal/ns/ed").await;
    assert_eq!(recorded(&other).await, (String::new(), String::new()));
    assert_eq!(
        other.sink.exchanges()[0].text("user.name"),
        PRINCIPAL,
        "who it is is no matter of trust"
    );
}

#[tokio::test]
async fn a_session_cookie_is_recorded_as_a_reference() {
    let cookie = [("cookie", "JSESSIONID=5AC6D3E2")];

    for (source, expected) in [
        (json!({"cookie": "JSESSIONID"}), "sha256:"),
        (json!({"cookie": "JSESSIONID", "clear": true}), "5AC6D3E2"),
    ] {
        let mesh = mesh(
            "127.0.0.1",
            &json!({}),
            &json!({"session": {"id": [source]}}),
        )
        .await;
        mesh.get("/", &cookie).await;
        let id = mesh.sink.wait_for(1).await[0].text("session.id");
        assert!(id.starts_with(expected), "{id}");

        let is_warned = mesh.envoy.log().contains("can take the session over");
        assert_eq!(is_warned, expected == "5AC6D3E2");
    }
}

#[tokio::test]
async fn one_time_codes_are_not_recorded() {
    let names = [
        "code",
        "ticket",
        "mfa_code",
        "recovery_code",
        "tokenid",
        "userpin",
    ];
    let rule =
        json!({"rules": [{"name": EVERYTHING, "level": "request", "capture": {"query": names}}]});
    let mesh = mesh("127.0.0.1", &json!({}), &rule).await;
    let query: Vec<String> = names.iter().map(|name| format!("{name}=s3cret")).collect();
    mesh.get(&format!("/callback?state=x&{}", query.join("&")), &[])
        .await;

    let record = &mesh.sink.wait_for(1).await[0];
    for name in names {
        assert_eq!(
            record.text(&format!("audit.capture.query.{name}")),
            "[REDACTED]",
            "{name}"
        );
    }
    assert!(!record.raw.to_string().contains("s3cret"));
}

#[tokio::test]
async fn what_no_rule_names_is_recorded_where_that_is_the_default() {
    let more = json!({
        "rules": [{"name": "health", "match": {"path": {"exact": "/health"}}, "level": "none"}],
        "default": {"level": "metadata", "require_audit": "buffered"},
    });
    let mesh = mesh("127.0.0.1", &json!({}), &more).await;
    for path in ["/health", "/unnamed", "/health;a=b", "/health/../x"] {
        mesh.get(path, &[]).await;
    }

    let records = mesh.sink.wait_for(3).await;
    assert!(
        records
            .iter()
            .all(|record| record.text("audit.rule") == "default"),
        "{records:?}"
    );

    let stats = mesh.stat_at_least("records.excluded", 1).await;
    assert_eq!(stats["records.excluded"], 1, "the one that the rule names");
}

/// The shipped configuration lets Envoy remove them, since some servers treat both spellings as
/// equal.
#[tokio::test]
async fn control_headers_with_underscores_go_no_further() {
    let mesh = Mesh::start().await;
    mesh.get(
        "/orders/7",
        &[
            ("x_session_track", "true"),
            ("x_session_context", "Y3R4"),
            ("x-other", "1"),
        ],
    )
    .await;

    let seen = &mesh.upstream.seen().at_path("/orders/7")[0];
    assert!(seen.headers.contains("x-other"));
    assert!(
        !seen.headers.contains("x_session_track") && !seen.headers.contains("x_session_context")
    );
}
