//! TLS for the listening socket, optionally with certificates of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    self, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier, server::WantsServerCert,
};

/// The name of HTTP/2 in ALPN.
pub(crate) const HTTP2_PROTOCOL: &[u8] = b"h2";

/// Paths of the certificates and of the key, all in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate of the collector, followed by those of the authorities between it and the
    /// root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates. If set, a client without a certificate from one of them
    /// is refused.
    pub client_ca: Option<PathBuf>,
}

/// Why there is no TLS. No variant holds content of a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has no PEM of the expected kind.
    #[error("{0}: {1}")]
    Pem(&'static str, pem::Error),
    /// A file has no certificate.
    #[error("{0}: there is no certificate in the file")]
    NoCertificate(&'static str),
    /// The certificates of the authorities cannot be used.
    #[error("--client-ca: {0}")]
    ClientCa(#[from] VerifierBuilderError),
    /// The certificate cannot be used, or not with this key.
    #[error("--tls-cert and --tls-key: {0}")]
    Certificate(#[from] rustls::Error),
}

/// Reads `files`.
///
/// # Errors
///
/// See [`TlsError`]; its sentences begin with the flag that names the file.
pub fn acceptor(files: &Files) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates("--tls-cert", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::Pem("--tls-key", error))?;
    let builder = with_clients(provider, files.client_ca.as_deref())?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP2_PROTOCOL.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn with_clients(
    provider: Arc<CryptoProvider>,
    authorities: Option<&Path>,
) -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, TlsError> {
    let builder: ConfigBuilder<ServerConfig, WantsVerifier> =
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;

    let Some(path) = authorities else {
        return Ok(builder.with_no_client_auth());
    };

    let mut roots = RootCertStore::empty();
    for certificate in certificates("--client-ca", path)? {
        roots.add(certificate)?;
    }

    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    Ok(builder.with_client_cert_verifier(verifier))
}

fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::Pem(flag, error);
    let all = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;

    if all.is_empty() {
        Err(TlsError::NoCertificate(flag))
    } else {
        Ok(all)
    }
}
