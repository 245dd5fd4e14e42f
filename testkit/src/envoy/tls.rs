//! Mutual TLS: certificates for one scenario, a listener that requires them, and a TLS tunnel for
//! the plaintext clients.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name in the listener's certificate.
pub const SERVER: &str = "envoy.test";

/// Issues certificates that a listener may trust or not.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// An authority with a new key. All have the same name, so that only the key distinguishes
    /// them.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with these subject alternative names, in this order, and its key.
    pub fn issue(&self, names: impl IntoIterator<Item = SanType>) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "peer");
        params.subject_alt_names = names.into_iter().collect();

        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// A `validation_context` that trusts this authority.
    pub fn validation(&self) -> Value {
        json!({"trusted_ca": {"inline_string": self.0.pem()}})
    }

    /// A certificate of this authority for a listener, with its key.
    pub fn listener_certificate(&self) -> Value {
        let own = self.issue([dns(SERVER)]);
        json!({
            "certificate_chain": {"inline_string": own.pem},
            "private_key": {"inline_string": own.key.serialize_pem()},
        })
    }

    /// A store that trusts this authority only.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A URI SAN.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A DNS SAN with any text, since Envoy must cope with any certificate content.
pub fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

/// Makes a listener of the bootstrap require TLS 1.2 or later, and a certificate that passes
/// `validation`.
pub fn demand_certificate(listener: &mut Value, server: &Authority, validation: &Value) {
    listener["filter_chains"][0]["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": true,
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [server.listener_certificate()],
                "validation_context": validation,
            },
        },
    });
}

/// A client of such a listener.
pub struct Peer(TlsConnector);

impl Peer {
    /// With this certificate, for HTTP/2 or HTTP/1.1 (`protocol` as in ALPN).
    pub fn new(server: &Authority, identity: Option<&Identity>, protocol: &str) -> Self {
        Self(TlsConnector::from(Arc::new(client(
            server, identity, protocol,
        ))))
    }

    /// Begins TLS on this connection.
    ///
    /// # Errors
    /// When the listener refuses the handshake.
    pub async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(SERVER).unwrap();
        self.0.connect(name, stream).await
    }
}

/// A TLS tunnel for plaintext clients: each connection is forwarded over a separate TLS connection,
/// all with the same certificate. Closed when dropped.
pub struct Tunnel {
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl Tunnel {
    /// A tunnel to `listener` for HTTP/2 or HTTP/1.1 (`protocol` as in ALPN). Its connections come
    /// from `source`.
    pub async fn open(
        listener: SocketAddr,
        server: &Authority,
        identity: Option<&Identity>,
        protocol: &str,
        source: Ipv4Addr,
    ) -> Self {
        let entrance = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = entrance.local_addr().unwrap();
        let peer = Arc::new(Peer::new(server, identity, protocol));
        let server = tokio::spawn(async move {
            while let Ok((plain, _)) = entrance.accept().await {
                tokio::spawn(forward(plain, Arc::clone(&peer), listener, source));
            }
        });
        Self { addr, server }
    }

    /// The entrance for plaintext clients.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn client(server: &Authority, identity: Option<&Identity>, protocol: &str) -> ClientConfig {
    let config = ClientConfig::builder().with_root_certificates(server.roots());
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity {
            certificate, key, ..
        }) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            config
                .with_client_auth_cert(vec![certificate.clone()], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];

    config
}

/// If the listener refuses the handshake, the plaintext connection is closed without an answer.
async fn forward(
    mut plain: TcpStream,
    peer: Arc<Peer>,
    listener: SocketAddr,
    source: Ipv4Addr,
) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(source), 0).into())?;

    let mut tls = peer.handshake(socket.connect(listener).await?).await?;
    copy_bidirectional(&mut plain, &mut tls).await?;
    Ok(())
}
