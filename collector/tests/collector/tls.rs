//! The program over TLS: which clients are accepted, effects of a failed handshake, and how
//! connections end.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
};

use crate::common::{batch, record, uids};
use crate::process::{Program, answer};

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

pub(crate) const LATEST: &SupportedProtocolVersion = &TLS13;

const HEAD: &str = "host: c\r\nconnection: close\r\ncontent-type: application/json";

pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn issue(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["collector.test".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    pub(crate) fn client(
        &self,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);

        match identity {
            None => builder.with_no_client_auth(),
            Some(Identity {
                certificate, key, ..
            }) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate.clone()], key)
                    .unwrap()
            }
        }
    }
}

pub(crate) fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A program with a certificate of `authority`. With `clients`, it requires client certificates of
/// that authority.
pub(crate) fn start(
    directory: &TempDir,
    authority: &Authority,
    clients: Option<&Authority>,
) -> Program {
    let own = authority.issue();
    let certificate = write(directory.path(), "certificate.pem", &own.pem);
    let key = write(directory.path(), "key.pem", &own.key.serialize_pem());
    let mut flags = vec!["--tls-cert", &certificate, "--tls-key", &key];
    let file = clients.map(|clients| write(directory.path(), "clients.pem", &clients.0.pem()));
    if let Some(file) = &file {
        flags.extend(["--client-ca", file]);
    }

    Program::start(directory, &flags)
}

pub(crate) fn connect(program: &Program, config: ClientConfig) -> Stream {
    let name = "collector.test".try_into().unwrap();
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        program.connect(),
    )
}

fn post(mut stream: Stream, uid: &str) -> Stream {
    let body = batch(&[record(uid, &[])]);
    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\n{HEAD}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

fn get(mut stream: Stream, path: &str) -> (u16, serde_json::Value) {
    write!(stream, "GET {path} HTTP/1.1\r\n{HEAD}\r\n\r\n").unwrap();
    answer(stream)
}

#[test]
fn records_come_and_go_over_tls_1_2_and_1_3() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let program = start(&directory, &authority, None);

    for (version, uid) in [(&TLS12, "aud_1"), (&TLS13, "aud_2")] {
        let client = || connect(&program, authority.client(None, version));
        assert_eq!(answer(post(client(), uid)), (200, json!({})));
        assert_eq!(get(client(), "/healthz"), (200, json!({"status": "ok"})));
        let (status, body) = get(client(), "/api/records");
        assert_eq!(
            (status, uids(body["records"].as_array().unwrap())[0]),
            (200, uid)
        );
    }
}

#[test]
fn only_a_client_of_the_authority_is_let_in() {
    let directory = TempDir::new().unwrap();
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let program = start(&directory, &authority, Some(&clients));

    for version in [&TLS12, &TLS13] {
        for identity in [None, Some(other.issue()), Some(authority.issue())] {
            let mut stream = connect(&program, authority.client(identity.as_ref(), version));
            // In TLS 1.3 the client learns of the refusal only when it reads.
            let sent = write!(stream, "GET /healthz HTTP/1.1\r\n{HEAD}\r\n\r\n");
            let mut answer = Vec::new();
            assert!(
                sent.and_then(|()| stream.read_to_end(&mut answer)).is_err(),
                "{version:?}"
            );
            assert!(answer.is_empty());
        }

        let identity = clients.issue();
        let stream = connect(&program, authority.client(Some(&identity), version));
        assert_eq!(answer(post(stream, "aud_1")), (200, json!({})));
    }
}

#[test]
fn failed_handshakes_are_counted_and_logged_once_and_block_no_client() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let program = start(&directory, &authority, None);
    let hung = program.connect();

    for _ in 0..5 {
        let mut plain = program.connect();
        plain
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: c\r\n\r\n")
            .unwrap();
        // An alert, or a reset if the alert was not read in time.
        let _ = plain.read_to_end(&mut Vec::new());
    }

    let metrics = || {
        let mut stream = connect(&program, authority.client(None, &TLS13));
        write!(stream, "GET /metrics HTTP/1.1\r\n{HEAD}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    // The client may get its alert before the collector has counted it.
    let counted = || metrics().contains("\naudit_collector_tls_handshake_failures_total 5\n");
    assert!((0..1000).any(|_| counted()), "{}", metrics());

    let log = program.log();
    assert_eq!(log.matches("TLS handshakes failed").count(), 1, "{log}");
    assert!(
        !log.contains("requests still open"),
        "a handshake that hangs holds nothing up: {log}"
    );

    drop(hung);
}

/// A proxy that shuts down does the same.
#[test]
fn a_request_whose_sender_has_closed_is_stored_over_tls() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let program = start(&directory, &authority, None);

    for index in 0..10 {
        let mut stream = post(
            connect(&program, authority.client(None, &TLS13)),
            &format!("aud_{index}"),
        );
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(answer(stream), (200, json!({})), "{index}");
    }
}

#[test]
fn an_accepted_request_is_finished_after_the_signal_over_tls() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let program = start(&directory, &authority, None);
    let mut stream = connect(&program, authority.client(None, &TLS13));
    let body = batch(&[record("aud_1", &[])]);
    let length = body.len();
    write!(stream, "POST /v1/logs HTTP/1.1\r\n{HEAD}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
        .unwrap();
    stream.read_exact(&mut [0; 25]).unwrap();
    program.signal("TERM");
    stream.write_all(body.as_bytes()).unwrap();

    assert_eq!(answer(stream), (200, json!({})));
    assert_eq!(program.exit_code(), Some(0));
    assert_eq!(uids(&Program::start(&directory, &[]).records()), ["aud_1"]);
}
