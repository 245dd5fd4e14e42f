//! Listeners that require a certificate without verifying it: the reason why `trust.uri_sans` needs
//! verification.

use serde_json::Value;
use testkit::envoy::tls::{Authority, uri};

use super::mutual::MutualMesh;
use super::*;

const NAMES: &str = "spiffe://mesh.internal/";

async fn call_with_a_forged_certificate(validation: impl Fn(&Authority) -> Value) -> MutualMesh {
    let trust = json!({"cidrs": ["192.0.2.0/24"], "uri_sans": [NAMES]});
    let mutual = MutualMesh::start(&trust, validation, |_| {}).await;
    let forged = Authority::new().issue([uri("spiffe://mesh.internal/forged")]);
    mutual.call(Some(&forged), &[]).await.unwrap();
    mutual
}

/// Envoy then requests no certificate, whatever the value of `require_client_certificate`.
#[tokio::test]
async fn without_an_authority_certificates_have_no_names() {
    let mutual = call_with_a_forged_certificate(|_| json!({})).await;
    assert_ignored(&mutual.mesh, 1).await;
}

/// Envoy yields the names of certificates that failed its verification. Envoy 1.40's attribute
/// `connection.peer_certificate_valid` cannot be used to refuse them: it is false for every resumed
/// session too.
#[tokio::test]
async fn accepted_untrusted_certificates_let_a_forged_one_be_trusted() {
    let accepting = json!("ACCEPT_UNTRUSTED");
    let with_authority = |authority: &Authority| {
        let mut validation = authority.validation();
        validation["trust_chain_verification"] = accepting.clone();
        validation
    };
    let mutual = call_with_a_forged_certificate(with_authority).await;
    assert_eq!(mutual.mesh.exchanges_until_marker().await.len(), 1);

    let mutual =
        call_with_a_forged_certificate(|_| json!({"trust_chain_verification": accepting})).await;
    assert_eq!(mutual.mesh.exchanges_until_marker().await.len(), 1);
}
