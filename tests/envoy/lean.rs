//! The lean artefact: it refuses configurations that it cannot apply, and otherwise behaves as the
//! full one.
//!
//! `AUDIT_FILTER_ARTEFACT=lean` runs every scenario with it instead of the full one; scenarios that
//! read responses then fail.

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::client::{CallOptions, http_get};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::{METHOD, list};
use testkit::{Mesh, tools};

use crate::configuration::assert_refused;

fn lean(patch: &Value) -> Bootstrap {
    Bootstrap::shipped()
        .with_plugin(&json!({"batch": {"max_delay": "50ms"}}))
        .with_plugin(patch)
        .with(|bootstrap| {
            bootstrap.run(tools::lean_wasm());
        })
}

#[test]
fn what_reads_the_response_is_refused_by_the_name_of_the_artefact_that_can() {
    let of_default = "rules[0] (check): identity from response_json needs audit_filter.wasm";
    assert_refused(&lean(&json!({})), &[of_default]);

    let rules = json!([
        {"name": "login", "session": "start"},
        {"name": "user", "identity": {"user_email": [{"response_json": "/email"}]}},
    ]);
    assert_refused(
        &lean(&json!({"rules": rules})),
        &[
            "rules[0] (login): session: start needs audit_filter.wasm",
            "rules[1] (user): identity from response_json",
        ],
    );
}

#[tokio::test]
async fn answers_errors_and_broken_answers_are_distinguished() {
    let rules =
        json!([{"name": "all", "identity": {"user_id": [{"response_header": "x-user-id"}]}}]);
    let mesh = Mesh::with_bootstrap(lean(&json!({"rules": rules})), Sink::start().await, 1).await;
    mesh.get("/whole", &[("x-demo-response-header", "x-user-id: 4711")])
        .await;
    mesh.get("/denied", &[("x-demo-status", "403")]).await;

    let broken = list(&[("x-demo-reset", "after-headers")]);
    http_get(mesh.http, "/broken", broken, &CallOptions::default())
        .await
        .unwrap_err();
    mesh.tracked_call("unary").await.unwrap();
    mesh.tracked_call("status:7:no").await.unwrap();

    let _ = mesh.tracked_call("reset").await;
    let records = mesh.sink.wait_for(6).await;
    let mut told: Vec<[String; 4]> = records
        .iter()
        .map(|record| {
            [
                "url.path",
                "rpc.response.status_code",
                "audit.outcome",
                "user.id",
            ]
            .map(|name| record.text(name))
        })
        .collect();
    told.sort_unstable();

    assert_eq!(
        told,
        [
            ["/broken", "", "aborted", ""],
            [METHOD, "OK", "success", ""],
            [METHOD, "PERMISSION_DENIED", "denied", ""],
            [METHOD, "UNKNOWN", "aborted", ""],
            ["/denied", "", "denied", ""],
            ["/whole", "", "success", "4711"],
        ]
    );
}
