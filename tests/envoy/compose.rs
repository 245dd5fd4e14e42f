//! The configurations of `deploy/compose/` on a real Envoy, with other addresses, and the traffic
//! that its script sends.

use serde_json::json;
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::process::Envoy;
use testkit::{Mesh, tools};

/// A file, with the loopback address in place of all interfaces and of names of services.
fn local(name: &str) -> Bootstrap {
    let file = tools::root().join("deploy/compose").join(name);
    let mut bootstrap = Bootstrap::read(&file);

    for listener in bootstrap.listeners() {
        listener["address"]["socket_address"]["address"] = json!("127.0.0.1");
    }
    if !bootstrap.0["static_resources"]["clusters"].is_null() {
        for cluster in bootstrap.clusters() {
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
            endpoint["endpoint"]["address"]["socket_address"]["address"] = json!("127.0.0.1");
        }
    }
    bootstrap
}

/// Method and path of each request in the script.
fn requests() -> Vec<(&'static str, String)> {
    let script = tools::root().join("deploy/compose/traffic.sh");
    let script = std::fs::read_to_string(script).unwrap();
    let lines = script.lines().map(str::trim_start);

    lines
        .filter(|line| line.starts_with("send ") && line.contains('/'))
        .map(|line| {
            let path = line.split(' ').nth(2).unwrap().to_owned();
            let has_body = line.contains("--post-data");
            (if has_body { "POST" } else { "GET" }, path)
        })
        .collect()
}

#[tokio::test]
async fn the_traffic_is_recorded() {
    let shop = Envoy::start(&local("shop.yaml"), 1).await;
    let address = shop.listener("shop").await;
    let envoy = local("envoy.yaml").with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    let mesh = Mesh::with_last_change(envoy, Sink::start().await, 1, |bootstrap| {
        bootstrap.point("demo_http", address);
    })
    .await;

    let sent = requests();
    assert_eq!(sent.len(), 4, "{sent:?}");
    let user = [("x-session-id", "s-ada"), ("x-demo-user", "ada")];
    for (method, path) in &sent {
        let status = mesh.request(method, path, &user).await.status;
        assert_eq!(status == 403, path.starts_with("/admin/"), "{path}");
    }

    let records = mesh.settled(3).await;
    let outcomes: Vec<_> = records
        .iter()
        .map(|record| (record.text("audit.rule"), record.text("audit.outcome")))
        .collect();
    let expected = [
        ("login", "success"),
        ("check", "success"),
        ("refused", "denied"),
    ];
    let expected = expected.map(|(rule, outcome)| (rule.to_owned(), outcome.to_owned()));
    assert_eq!(outcomes, expected);
    for record in &records {
        assert_eq!(record.text("user.id"), "ada");
        // A login makes an id, so that none from before it goes on (docs/records.md).
        let is_login = record.text("audit.rule") == "login";
        assert_eq!(record.text("session.id") == "s-ada", !is_login);
    }
    assert_eq!(records[0].text("audit.session.event"), "start");
}
