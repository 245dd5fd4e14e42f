//! The session's token is recorded by reference, which depends on token and key only.

use serde_json::json;
use testkit::Mesh;

use super::{checked, default_rules, mesh_of};

const KEY: &str = "a key of at least thirty-two bytes";
const OTHER_KEY: &str = "another key of at least thirty-two bytes";
const COOKIE: (&str, &str) = ("cookie", "theme=dark; session=s3cret-token");
/// `printf s3cret-token | openssl dgst -sha256 -hmac "$KEY"`
const REFERENCE: &str =
    "hmac-sha256:2026-11:6438f0e2559257894a23c309668dabc864eeff69674c7d7998d617686c99e67c";
const OTHER_REFERENCE: &str =
    "hmac-sha256:2026-11:42bbb2fe518b1f5ab8304445d60c7b9c7af18ad1204232e1d5940b408bf57ef6";

/// A mesh with a key from the VM's environment, as for a secret.
async fn keyed(key: &str) -> Mesh {
    let session =
        json!({"session": {"hmac_keys": [{"id": "2026-11", "key": "${AUDIT_HMAC_KEY}"}]}});
    let mut bootstrap = default_rules(&session);
    bootstrap.set_variable("AUDIT_HMAC_KEY", key);
    mesh_of(bootstrap).await
}

async fn reference(mesh: &Mesh, header: (&str, &str)) -> String {
    checked(mesh, &[header], r#"{"UserId":1}"#)
        .await
        .text("session.token_ref")
}

#[tokio::test]
async fn two_envoys_with_one_key_give_one_reference() {
    let (one, two, other) = (keyed(KEY).await, keyed(KEY).await, keyed(OTHER_KEY).await);
    assert_eq!(reference(&one, COOKIE).await, REFERENCE);
    assert_eq!(reference(&two, COOKIE).await, REFERENCE);
    assert_eq!(reference(&other, COOKIE).await, OTHER_REFERENCE);
    assert_eq!(
        reference(&two, ("authorization", "bearer s3cret-token")).await,
        REFERENCE,
        "however it is sent"
    );

    assert_eq!(
        reference(&two, ("cookie", "Session=s3cret-token")).await,
        "",
        "that is another cookie"
    );
}

#[tokio::test]
async fn a_token_in_clear_is_warned_of_and_recorded() {
    let mesh = mesh_of(default_rules(&json!({"session": {"token_mode": "clear"}}))).await;
    // The worker serves only after all of its instances are configured.
    assert_eq!(reference(&mesh, COOKIE).await, "clear:s3cret-token");

    let log = mesh.envoy.log();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let configured = count("configured: stream");
    assert!(configured > 0, "{log}");
    assert_eq!(
        count("[warning][wasm]"),
        configured,
        "one line for each instance: {log}"
    );
    assert_eq!(count("session.token_mode: is clear"), configured, "{log}");
}
