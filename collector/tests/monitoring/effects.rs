//! What happens in a real Envoy moves the metrics that the rules read.

use regex::Regex;
use serde_json::json;
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::{Bootstrap, forbidding};
use testkit::envoy::ecds::Extension;
use testkit::{Mesh, tools};

use crate::documents::rules;
use crate::expressions::selectors;

/// Sum of the series with a name of this pattern, those of the admin interface aside.
async fn sum(mesh: &Mesh, pattern: &str) -> u64 {
    let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
    let text = mesh.envoy.admin_get("/stats/prometheus").await;
    let series = text.lines().filter(|line| {
        let name = line.split('{').next().unwrap_or_default();
        pattern.is_match(name) && !line.contains("\"admin\"")
    });
    series
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Waits until the sum is this.
async fn reaches(mesh: &Mesh, pattern: &str, expected: impl Fn(u64) -> bool) {
    let mut last = 0;
    for _ in 0..400 {
        last = sum(mesh, pattern).await;
        if expected(last) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{pattern}: {last}");
}

/// The pattern of names that an alert reads.
fn pattern_of(alert: &str) -> String {
    let mut rules = rules().into_iter();
    let rule = rules.find(|rule| rule.alert.as_deref() == Some(alert));
    selectors(&rule.unwrap().expression).swap_remove(0).name
}

#[tokio::test]
async fn a_request_beside_the_filter_is_completed_and_not_seen() {
    let mut bootstrap = Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_filter_at(0, &forbidding("/forbidden"));
    for manager in bootstrap.connection_managers() {
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let mut beside = routes[0].clone();
        beside["match"] = json!({"prefix": "/beside"});
        beside["typed_per_filter_config"] = json!({"audit": {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true,
        }});
        routes.as_array_mut().unwrap().insert(0, beside);
    }
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 2).await;

    for path in ["/check", "/nothing/matches", "/forbidden", "/check"] {
        mesh.get(path, &[]).await;
    }
    mesh.tracked_call("status=0").await.unwrap();
    for path in ["/beside/1", "/beside/2", "/beside/3"] {
        assert_eq!(mesh.get(path, &[]).await.status, 200);
    }

    let completed = "envoy_http_downstream_rq_completed";
    reaches(&mesh, completed, |count| count == 8).await;
    reaches(&mesh, "audit_filter_requests_seen", |count| count == 5).await;
}

#[tokio::test]
async fn a_crash_is_counted_under_the_name_of_the_plugin() {
    let bootstrap = Bootstrap::shipped().with(|bootstrap| bootstrap.run(tools::crashing_wasm()));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
    let pattern = pattern_of("AuditVmCrashed");
    assert_eq!(sum(&mesh, &pattern).await, 0);

    let crash = [("x-audit-crash-for-tests", "headers")];
    assert_eq!(mesh.get("/check", &crash).await.status, 503);
    mesh.get("/check", &[]).await;
    reaches(&mesh, &pattern, |count| count > 0).await;
}

#[tokio::test]
async fn a_refused_configuration_is_counted() {
    let (mesh, extension) = Extension::start(Bootstrap::shipped(), Sink::start().await).await;
    let pattern = pattern_of("AuditConfigurationRefused");
    assert_eq!(sum(&mesh, &pattern).await, 0);

    extension.update(&json!({"no_such_key": 1}));
    reaches(&mesh, &pattern, |count| count == 1).await;
}
