//! Refusals in Istio's order of filters: metadata exchange, `CUSTOM` authorization, the plugin in
//! phase `AUTHN`, request authentication, authorization.

use std::collections::BTreeSet;

use testkit::envoy::bootstrap::forbidding;

use super::*;
use crate::parts::filter;

on_each_envoy!(refusals_before_and_after_the_plugin);

/// A public key whose private one is nowhere.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"scenario",
    "x":"FLNxiWBNp3srNGwg2_-H3f42yx3VEfH6elwUckwcQjI","y":"7RTk1Oji1xQICJ84WfJYnWvc5QwMaZix-_jWsT00kn0"}]}"#;

/// In place of Istio's metadata exchange, which removes its headers from requests.
fn metadata_exchange() -> Value {
    filter(
        "istio.metadata_exchange",
        "header_mutation.v3.HeaderMutation",
        json!({"mutations": {"request_mutations": [{"remove": "x-envoy-peer-metadata"}]}}),
    )
}

/// `CUSTOM` authorization by a server that answers with the status in the request's header.
fn custom() -> Value {
    filter(
        "envoy.filters.http.ext_authz",
        "ext_authz.v3.ExtAuthz",
        json!({
            "http_service": {
                "server_uri": {"uri": "http://authorizer", "cluster": UPSTREAM, "timeout": "5s"},
                "path_prefix": "/authorize",
            },
            "allowed_headers": {"patterns": [{"exact": "x-demo-status"}]},
        }),
    )
}

fn authentication() -> Value {
    let provider =
        json!({"issuer": "https://issuer.example", "local_jwks": {"inline_string": KEYS}});
    filter(
        "envoy.filters.http.jwt_authn",
        "jwt_authn.v3.JwtAuthentication",
        json!({"providers": {"one": provider}, "rules": [
            {"match": {"path": "/admin/token"}, "requires": {"provider_name": "one"}}]}),
    )
}

async fn refusals_before_and_after_the_plugin(version: &str) {
    let capture = json!({"request_headers": ["x-tenant"], "query": ["page"]});
    let rule = json!({"name": "tracked", "match": {"tracked": true}, "level": "request", "capture": capture});
    let mut shape = Shape::with(&json!({"rules": [rule]}));
    shape.filters = [
        vec![metadata_exchange(), custom()],
        vec![authentication(), forbidding("/admin/role")],
    ];
    let sidecar = shape.start(version).await;

    let more = [
        ("x-forwarded-for", "198.51.100.7"),
        ("cookie", "session=5AC6D3E2"),
        ("x-session-id", "s-1"),
        ("x-tenant", "t-1"),
        ("user-agent", "agent"),
    ];
    let refused = [&more[..], &[("x-demo-status", "403")]].concat();
    for (path, headers, status) in [
        ("/admin/custom?page=2", &refused[..], 403),
        ("/admin/token?page=2", &more, 401),
        ("/admin/role?page=2", &more, 403),
    ] {
        let answer = sidecar.get_with(GATEWAY, path, headers).await;
        assert_eq!(answer.status, status, "{path}");
    }

    let records = sidecar.records().await;
    assert_eq!(
        paths(&records),
        ["/admin/custom", "/admin/token", "/admin/role"]
    );
    for record in &records {
        assert_eq!(record.text("audit.outcome"), "denied");
        assert_eq!(record.text("client.address"), "198.51.100.7");
    }

    // The filter sees a refusal of CUSTOM at its end alone, and reads then what it reads at the
    // beginning of the others.
    let keys =
        |index: usize| -> BTreeSet<String> { records[index].attributes.keys().cloned().collect() };
    let mut whole = keys(2);
    assert!(whole.contains("audit.session.context") && whole.contains("session.token_ref"));
    assert_eq!(keys(1), whole);
    whole.insert("audit.response.flags".to_owned());
    assert_eq!(keys(0), whole, "Envoy has a flag for it");
}
