//! Listeners that demand a certificate and do not verify it: why `trust.uri_sans` needs one that does.

use serde_json::Value;

use super::mutual::MutualMesh;
use super::*;
use crate::support::tls::{Authority, uri};

const NAMES: &str = "spiffe://mesh.internal/";

async fn call_with_a_forged_certificate(validation: impl Fn(&Authority) -> Value) -> MutualMesh {
    let trust = json!({"cidrs": ["192.0.2.0/24"], "uri_sans": [NAMES]});
    let mutual = MutualMesh::start(&trust, validation, |_| {}).await;
    let forged = Authority::new().issue([uri("spiffe://mesh.internal/forged")]);
    mutual.call(Some(&forged), &[]).await.unwrap();
    mutual
}

/// Envoy then asks for no certificate, whatever `require_client_certificate` says.
#[tokio::test]
async fn without_an_authority_to_verify_by_nobody_has_a_name() {
    let mutual = call_with_a_forged_certificate(|_| json!({})).await;
    assert_not_heard(&mutual.mesh, 1).await;
}

/// Envoy yields the names of certificates that it could not verify. The attribute that tells, `connection.peer_certificate_valid`
/// of Envoy 1.40, is false for every resumed session, too, so that it cannot be used to refuse them.
#[tokio::test]
async fn where_untrusted_certificates_are_accepted_a_forged_one_is_heard() {
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
