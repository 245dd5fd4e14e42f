//! Identity: the user's id from answers, headers and verified claims, and the reference of the
//! session's token.

mod answers;
mod bodies;
mod compressed;
mod forwarded;
mod jwt;
mod tokens;
mod trickle;

use serde_json::{Value, json};
use testkit::audit::sink::Sink;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::upstream::PreparedAnswer;
use testkit::{Mesh, Record};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The filter's built-in default rules instead of those in `envoy.yaml`, with a patch.
fn default_rules(patch: &Value) -> Bootstrap {
    Bootstrap::shipped()
        .with_plugin(&json!({"rules": null, "batch": {"max_delay": "50ms"}}))
        .with_plugin(patch)
}

async fn mesh_of(bootstrap: Bootstrap) -> Mesh {
    Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await
}

/// The record of a session check with this JSON text as its answer.
async fn checked(mesh: &Mesh, headers: &[(&str, &str)], body: &str) -> Record {
    mesh.upstream.prepare(
        "/check",
        PreparedAnswer::whole(200, JSON, body.to_owned()).unwrap(),
    );
    assert_eq!(mesh.get("/check", headers).await.text(), body);
    last_record(mesh).await
}

/// The record of the last exchange.
async fn last_record(mesh: &Mesh) -> Record {
    mesh.exchanges_until_marker()
        .await
        .pop()
        .expect("there is a record")
}

fn named(record: &Record) -> (String, String) {
    (record.text("user.id"), record.text("audit.identity.source"))
}

#[track_caller]
fn assert_named(record: &Record, user: &str, source: &str) {
    assert_eq!(
        named(record),
        (user.to_owned(), source.to_owned()),
        "{record:#?}"
    );
}
