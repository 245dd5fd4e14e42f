//! Attempts of a client to avoid or falsify its record.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{
    CallOptions, GrpcConnection, GrpcOptions, Leave, Message, RawConnection, Reply, Version,
    exchange,
};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::list;
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, eventually};

fn bootstrap(plugin: &Value) -> Bootstrap {
    Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(plugin)
}

async fn start(bootstrap: Bootstrap) -> Mesh {
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

fn successes(path: &str) -> Value {
    json!({"rules": [
        {"name": "r", "match": {"protocol": "http", "path": {"exact": path}}, "record_on": ["success"]},
        {"name": "check", "match": {"path": {"exact": "/check"}}}]})
}

async fn send(mesh: &Mesh, message: Message, leave: Leave) -> Reply {
    exchange(
        mesh.http,
        Version::Http1,
        message,
        leave,
        &CallOptions::default(),
    )
    .await
    .unwrap()
}

/// Rule, event, outcome and path of each record.
async fn recorded(mesh: &Mesh) -> Vec<[String; 4]> {
    let names = ["audit.rule", "audit.action", "audit.outcome"];
    let records = mesh.exchanges_until_marker().await;
    records
        .iter()
        .map(|record| {
            let [rule, action, outcome] = names.map(|name| record.text(name));
            [rule, record.event.clone(), action, outcome]
        })
        .collect()
}

fn expected(rule: &str, action: &str) -> Vec<[String; 4]> {
    vec![[rule, "audit.http", action, "success"].map(str::to_owned)]
}

async fn with_grpc_web(index: usize) {
    let filter = json!({"name": "envoy.filters.http.grpc_web", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"}});
    let mesh = start(bootstrap(&successes("/pay")).with_filter_at(index, &filter)).await;
    let json = PreparedAnswer::whole(
        200,
        [("content-type", "application/json")],
        r#"{"paid":true}"#,
    )
    .unwrap();
    mesh.upstream.prepare("/pay", json);

    let claim = Message::new("POST", "/pay")
        .header("content-type", "application/grpc-web+proto")
        .body("{}");
    let reply = send(&mesh, claim, Leave::Never).await;
    assert!(reply.status.is_some(), "answered");
    assert_eq!(recorded(&mesh).await, expected("r", "POST /pay"));
}

#[tokio::test]
async fn a_false_claim_of_grpc_web_with_the_bridge_before() {
    with_grpc_web(0).await;
}

#[tokio::test]
async fn a_false_claim_of_grpc_web_with_the_bridge_behind() {
    with_grpc_web(1).await;
}

/// The upstream serves the request, but Envoy answers first because of a header from the client.
async fn limited(header: (&str, &str), route: Value) {
    let bootstrap = bootstrap(&successes("/slow")).with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            // Envoy 1.40 keeps such headers from internal clients only; 1.36 keeps some of them
            // from any client.
            manager["internal_address_config"] =
                json!({"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]});
            let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
            testkit::envoy::bootstrap::merge(routes, &route);
        }
    });
    let mesh = start(bootstrap).await;

    let message = Message::new("GET", "/slow")
        .header("x-demo-delay-ms", "600")
        .header(header.0, header.1);
    let reply = send(&mesh, message, Leave::Never).await;

    eventually("the upstream has it", || {
        Some(()).filter(|()| mesh.upstream.seen().at_path("/slow").len() == 1)
    })
    .await;
    assert_ne!(
        reply.status,
        Some(200),
        "the limit was applied, or this shows nothing"
    );

    let rules: Vec<String> = recorded(&mesh)
        .await
        .into_iter()
        .map(|[rule, ..]| rule)
        .collect();
    assert_eq!(rules, ["r"]);
}

/// Istio writes this route by default (`grpcTimeoutHeaderMax: 0s`).
#[tokio::test]
async fn a_grpc_timeout_on_a_plain_request() {
    let max = json!({"max_stream_duration": {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"}});
    limited(("grpc-timeout", "200m"), max).await;
}

#[tokio::test]
async fn a_stream_duration_of_the_clients_own() {
    limited(("x-envoy-upstream-stream-duration-ms", "200"), json!({})).await;
}

/// A server without support for the upgrade answers as to any other request.
#[tokio::test]
async fn an_upgrade_to_udp_that_was_not_made() {
    let all = json!({"rules": [{"name": "all"}]});
    let mesh = start(bootstrap(&all).with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["upgrade_configs"] = json!([{"upgrade_type": "connect-udp"}]);
        }
    }))
    .await;

    let path = "/.well-known/masque/udp/victim.example/443/";
    let upgrade = Message::new("GET", path)
        .header("connection", "upgrade")
        .header("upgrade", "connect-udp");
    let reply = send(&mesh, upgrade.header("x-demo-status", "200"), Leave::Never).await;
    assert_eq!(
        (reply.status, recorded(&mesh).await),
        (Some(200), expected("all", &format!("GET {path}")))
    );
}

async fn with_connect_bridge(index: usize) {
    let filter = json!({"name": "envoy.filters.http.connect_grpc_bridge", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.connect_grpc_bridge.v3.FilterConfig"}});
    let mesh = start(bootstrap(&successes("/pay")).with_filter_at(index, &filter)).await;
    let json = PreparedAnswer::whole(
        200,
        [("content-type", "application/json")],
        r#"{"paid":true}"#,
    )
    .unwrap();
    mesh.upstream.prepare("/pay", json);

    let claim = Message::new("POST", "/pay").header("content-type", "application/json");
    let reply = send(
        &mesh,
        claim.header("connect-protocol-version", "1").body("{}"),
        Leave::Never,
    )
    .await;
    assert!(reply.status.is_some(), "answered");
    assert_eq!(mesh.upstream.seen().at_path("/pay").len(), 1, "it was paid");
    assert_eq!(recorded(&mesh).await, expected("r", "POST /pay"));
}

#[tokio::test]
async fn a_false_claim_of_connect_with_the_bridge_before() {
    with_connect_bridge(0).await;
}

#[tokio::test]
async fn a_false_claim_of_connect_with_the_bridge_behind() {
    with_connect_bridge(1).await;
}

/// The upstream gets the request, and Envoy answers 400 because the body is malformed.
#[tokio::test]
async fn a_body_that_breaks_the_protocol() {
    let mesh = start(bootstrap(&successes("/slow"))).await;
    let mut connection = RawConnection::open(mesh.http, &CallOptions::default())
        .await
        .unwrap();
    let head = "GET /slow HTTP/1.1\r\nhost: a\r\nx-demo-delay-ms: 600\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
    connection.send(head.as_bytes()).await.unwrap();
    eventually("the upstream has it", || {
        Some(()).filter(|()| mesh.upstream.seen().at_path("/slow").len() == 1)
    })
    .await;
    connection.send(b"no chunk\r\n\r\n").await.unwrap();

    let answer = connection.receive().await;
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let rules: Vec<String> = recorded(&mesh)
        .await
        .into_iter()
        .map(|[rule, ..]| rule)
        .collect();
    assert_eq!(rules, ["r"]);
}

#[tokio::test]
async fn a_get_that_claims_grpc_and_leaves() {
    let mesh = start(bootstrap(&json!({"rules": [{"name": "all"}]}))).await;

    for (method, headers) in [
        ("GET", &[("content-type", "application/grpc")][..]),
        (
            "POST",
            &[
                ("content-type", "application/grpc"),
                ("x-envoy-original-method", "POST"),
            ],
        ),
    ] {
        let (answer, feed) =
            PreparedAnswer::fed(200, [("content-type", "application/json")]).unwrap();
        mesh.upstream.prepare("/pay", answer);
        feed.send(&b"{\"paid\""[..]);

        let message = headers
            .iter()
            .fold(Message::new(method, "/pay"), |message, (name, value)| {
                message.header(name, value)
            });
        let reply = send(&mesh, message, Leave::AfterBytes(2)).await;
        assert_eq!(reply.status, Some(200));

        drop(feed);
    }

    let expected = [expected("all", "GET /pay"), expected("all", "POST /pay")].concat();
    assert_eq!(recorded(&mesh).await, expected);
}

/// While an earlier filter delays the second leg of a redirect, a request with the same id takes
/// over its exchange.
#[tokio::test]
async fn a_request_that_borrows_the_id_of_one_that_is_redirected() {
    let delay = json!({"name": "envoy.filters.http.fault", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": {"fixed_delay": "1s", "percentage": {"numerator": 100}},
        "headers": [{"name": ":path", "string_match": {"exact": "/second"}}]}});
    let rules = json!({"rules": [
        {"name": "first", "match": {"path": {"exact": "/first"}}},
        {"name": "pay", "match": {"path": {"exact": "/pay"}}, "require_audit": "acknowledged"},
        {"name": "check", "match": {"path": {"exact": "/check"}}}]});

    let bootstrap = bootstrap(&rules).with_filter_at(0, &delay).with(|bootstrap| {
        for manager in bootstrap.connection_managers() {
            manager["preserve_external_request_id"] = json!(true);
            let policy = json!({"redirect_response_codes": [302]});
            let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
            *route = json!({"cluster": "demo_http", "timeout": "0s", "internal_redirect_policy": policy});
        }
    });
    let mesh = start(bootstrap).await;
    let answer = PreparedAnswer::whole(302, [("location", "http://app.test/second")], "").unwrap();
    mesh.upstream.prepare("/first", answer);

    let connection = Arc::new(
        GrpcConnection::open(mesh.grpc, &CallOptions::default())
            .await
            .unwrap(),
    );
    let id = [
        ("x-request-id", "11111111-2222-4333-8444-555555555555"),
        ("content-type", "text/plain"),
    ];

    let other = Arc::clone(&connection);
    let first = tokio::spawn(async move {
        other
            .call("/first", list(&id), &GrpcOptions::default())
            .await
            .unwrap()
    });
    eventually("the redirect", || {
        Some(()).filter(|()| mesh.upstream.seen().at_path("/first").len() == 1)
    })
    .await;

    // Gives the redirect's answer time to reach Envoy.
    tokio::time::sleep(Duration::from_millis(200)).await;
    connection
        .call("/pay", list(&id), &GrpcOptions::default())
        .await
        .unwrap();
    assert_eq!(mesh.upstream.seen().at_path("/pay").len(), 1, "it was paid");

    first.await.unwrap();

    let records = recorded(&mesh).await;
    assert!(
        records.iter().any(|[rule, ..]| rule == "pay"),
        "{records:#?}"
    );
}
