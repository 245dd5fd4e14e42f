//! Configurations that Envoy must refuse, and the log lines about them.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::lds::Listeners;
use testkit::envoy::process::Envoy;
use testkit::{Mesh, eventually};

#[track_caller]
pub fn assert_refused(bootstrap: &Bootstrap, sentences: &[&str]) {
    let validation = Envoy::validate(bootstrap);
    assert!(!validation.success, "Envoy accepts it: {}", validation.log);

    let lines: Vec<&str> = validation
        .log
        .lines()
        .filter(|line| line.contains("configuration refused"))
        .collect();
    assert!(!lines.is_empty(), "{}", validation.log);

    for sentence in sentences {
        assert!(
            lines.iter().all(|line| line.contains(sentence)),
            "{sentence:?} is not in {lines:?}"
        );
    }
}

#[test]
fn mistakes_are_named_all_at_once_with_their_paths() {
    let patch = json!({
        "batch": {"max_dealy": "1s", "max_records": 100_000},
        "retry": {"initial_backoff": "soon"},
        "rules": [{"name": "a", "match": {"path": {"exact": "check"}}, "capture": {"query": ["q"]}}],
        "audit_cluster": {"headers": {"authorization": "Bearer ${NOT_THERE}"}},
    });

    assert_refused(
        &Bootstrap::shipped().with_plugin(&patch),
        &[
            "batch.max_dealy: unknown key",
            "batch.max_records: must be between 1 and 1000",
            "retry.initial_backoff: must be a duration",
            r#"rules[0].match.path.exact: must start with "/""#,
            "rules[0].capture: needs level: request",
            "audit_cluster.headers.authorization: environment variable NOT_THERE is not set",
        ],
    );
}

#[test]
fn text_that_is_no_json_is_refused_with_its_place() {
    let bootstrap =
        Bootstrap::shipped().with_plugin_text("{\"audit_cluster\": {\"cluster\": \"audit\"},}");
    assert_refused(
        &bootstrap,
        &["neither JSON nor a protobuf Struct", "line 1 column"],
    );
    assert_refused(
        &Bootstrap::shipped().with_plugin_text(""),
        &["audit_cluster: is required"],
    );
}

#[tokio::test]
async fn json_text_works_like_native_yaml() {
    let text = json!({
        "service": "text",
        "audit_cluster": {"cluster": "audit", "format": "ndjson", "path": "/ingest", "headers": {"x-token": "t ${TOKEN}"}},
        "batch": {"max_delay": "0.05s", "max_records": "100"},
    });
    let bootstrap = Bootstrap::shipped()
        .with_plugin_text(&text.to_string())
        .with(|bootstrap| bootstrap.set_variable("TOKEN", "s3cret"));
    let mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;

    // The sink parses OTLP only; this body is parsed here.
    mesh.sink
        .answer_all(Some(testkit::audit::sink::Answer::Status(204, "")));
    mesh.get("/check", &[]).await;

    let attempt = eventually("a batch arrives", || {
        mesh.sink.attempts().into_iter().next()
    })
    .await;
    assert_eq!(attempt.path, "/ingest");
    assert_eq!(attempt.header("content-type"), "application/x-ndjson");
    assert_eq!(attempt.header("x-token"), "t s3cret");

    let lines: Vec<Value> = String::from_utf8(attempt.body.to_vec())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["event_name"], "audit.stream.start");
    assert_eq!(lines[1]["audit.rule"], "check");
    assert_eq!(lines[1]["service.name"], "text");
    assert_eq!(lines[1]["http.response.status_code"], 200);

    let id = lines[1]["audit.batch.id"].as_str().unwrap();
    assert_eq!(attempt.header("idempotency-key"), format!("\"{id}\""));
    assert!(!mesh.envoy.log().contains("s3cret"), "no secret in the log");
}

#[tokio::test]
async fn a_bad_update_leaves_the_old_listener_serving() {
    let bootstrap = Bootstrap::shipped().with_plugin(&json!({"batch": {"max_delay": "50ms"}}));
    let (mesh, listeners) = Listeners::start(bootstrap, Sink::start().await).await;
    listeners.update(&json!({"rules": [{"name": "A"}]}));

    let log = eventually("Envoy refuses the update", || {
        Some(mesh.envoy.log()).filter(|log| log.contains("rejected"))
    })
    .await;
    assert!(
        log.contains("rules[0].name: must be made of [a-z0-9_-]"),
        "{log}"
    );
    assert_eq!(mesh.get("/check", &[]).await.status, 200);
    assert_eq!(mesh.sink.wait_for(1).await.len(), 1);
}
