//! HTTP/2 by prior knowledge and over TLS, and how its connections end.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::common::{batch, gzip, record, uids};
use crate::process::Program;
use crate::tls::{Authority, LATEST, start};

type Client = SendRequest<Full<Bytes>>;

async fn client(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn connect(program: &Program) -> Client {
    client(TcpStream::connect(program.address).await.unwrap()).await
}

async fn post(mut client: Client, uid: String) -> (u16, Value) {
    let body = batch(&[record(&uid, &[])]);
    let request = Request::post("http://collector/v1/logs")
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap();
    client.ready().await.unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);

    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_on_one_connection_are_stored() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let client = connect(&program).await;
    let all: Vec<_> = (0..50)
        .map(|index| tokio::spawn(post(client.clone(), format!("aud_{index}"))))
        .collect();
    for answer in all {
        assert_eq!(answer.await.unwrap(), (200, json!({})));
    }
    assert_eq!(program.records().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_agreed_on_over_tls() {
    let (directory, authority) = (TempDir::new().unwrap(), Authority::new());
    let program = start(&directory, &authority, None);
    let mut config = authority.client(None, LATEST);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

    let stream = TcpStream::connect(program.address).await.unwrap();
    let name = "collector.test".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let answer = post(client(stream).await, "aud_1".to_owned()).await;
    assert_eq!(answer, (200, json!({})));
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [
        length[1], length[2], length[3], kind, flags, 0, 0, 0, stream,
    ];
    [&head, payload].concat()
}

/// A whole request on a new connection, with the content type as field 31 of the static table, and
/// these further fields.
fn burst(more: &[u8], body: &[u8]) -> Vec<u8> {
    let mut fields = vec![0x83, 0x86, 0x04, 8];
    fields.extend(b"/v1/logs");
    fields.extend([0x01, 1, b'c', 0x0f, 0x10, 16]);
    fields.extend(b"application/json");
    fields.extend(more);

    let mut burst = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    burst.extend(frame(4, 0, 0, &[]));
    burst.extend(frame(1, 4, 1, &fields));
    burst.extend(frame(0, 1, 1, body));
    burst
}

/// Waits until a gauge has this value.
fn wait_for(program: &Program, gauge: &str) {
    let line = format!("\naudit_collector_{gauge}\n");
    let metrics = || {
        let mut stream = program.connect();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(
        (0..1000).any(|_| metrics().contains(&line)),
        "{}",
        metrics()
    );
}

/// A proxy that ends sends its last batch and closes at once.
#[test]
fn a_request_whose_sender_has_closed_is_stored() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    for index in 0..10 {
        let mut stream = program.connect();
        let body = batch(&[record(&format!("aud_{index}"), &[])]);
        stream.write_all(&burst(&[], body.as_bytes())).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"{}"), "{index}");
    }
    assert_eq!(program.records().len(), 10);
}

/// It is reset while its body, 8 MB of JSON in 8 kB of gzip, is being decoded.
#[test]
fn a_request_that_is_reset_after_its_body_is_stored() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let body = batch(&[record("aud_1", &[])]) + &" ".repeat(8_000_000);
    let mut stream = program.connect();
    stream
        .write_all(&burst(
            &[0x0f, 0x0b, 4, b'g', b'z', b'i', b'p'],
            &gzip(body.as_bytes()),
        ))
        .unwrap();

    wait_for(&program, "requests_in_flight 1");
    stream.write_all(&frame(3, 0, 1, &[0, 0, 0, 8])).unwrap();
    drop(stream);
    let stored = || {
        sleep(Duration::from_millis(5));
        uids(&program.records()) == ["aud_1"]
    };
    assert!((0..1000).any(|_| stored()));
}

#[test]
fn an_accepted_request_is_answered_after_the_signal() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let burst = burst(&[], b"{}");
    let (head, last) = burst.split_at(burst.len() - 1);
    let mut idle = program.connect();
    idle.write_all(&head[..33]).unwrap();
    let mut busy = program.connect();
    busy.write_all(head).unwrap();
    wait_for(&program, "connections 3");
    program.signal("TERM");

    idle.read_to_end(&mut Vec::new()).unwrap();
    busy.write_all(last).unwrap();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).unwrap();
    assert!(answer.windows(2).any(|bytes| bytes == b"{}"));
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn an_idle_connection_is_closed() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut stream = program.connect();
    stream.write_all(&burst(&[], b"{}")).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!answer.is_empty());
}
