//! Many HTTP/2 requests at once on few connections. Their client reads no byte of a body and then
//! disconnects.
//!
//! Frames are written by hand (RFC 9113): libraries neither send a thousand requests in one write,
//! nor abort all of them at the same moment.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::DEADLINE;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// `SETTINGS_INITIAL_WINDOW_SIZE`, 0: the peer may send no byte of a body.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// Envoy 1.40's default limit of streams on a connection.
pub const MOST_STREAMS: usize = 1000;

/// Open connections, with their requests.
#[derive(Default)]
pub struct Crowd {
    connections: Vec<TcpStream>,
    requests: usize,
    /// Number of answers so far on each connection.
    answered: Vec<usize>,
}

/// The form of each request of a crowd.
#[derive(Clone, Copy)]
pub struct RequestKind {
    /// Method of the requests.
    pub method: &'static str,
    /// Path of the requests.
    pub path: &'static str,
    /// The request announces a body that never arrives.
    pub has_body: bool,
    /// Prefix of the requests' user agents; a number follows.
    pub name: &'static str,
}

impl RequestKind {
    /// The user agent of a request.
    pub fn user_agent(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    fn headers(&self, number: usize) -> Vec<u8> {
        let agent = self.user_agent(number);
        let mut fields = vec![
            (":method", self.method),
            (":scheme", "http"),
            (":path", self.path),
            (":authority", "crowd"),
        ];
        fields.push(("user-agent", &agent));

        if self.has_body {
            fields.push(("content-length", "10"));
        }

        // Literals without indexing, with lengths that fit into seven bits (RFC 7541 section
        // 6.2.2).
        let short = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        fields
            .into_iter()
            .flat_map(|(name, value)| [vec![0], short(name), short(value)].concat())
            .collect()
    }
}

impl Crowd {
    /// Opens `connections` connections, and sends `requests` requests on each.
    pub async fn start(
        addr: SocketAddr,
        connections: usize,
        requests: usize,
        kind: RequestKind,
    ) -> Self {
        let mut crowd = Self::default();
        for _ in 0..connections {
            crowd.join(addr, requests, kind).await;
        }
        crowd
    }

    /// Sends `requests` requests on one more connection.
    pub async fn join(&mut self, addr: SocketAddr, requests: usize, kind: RequestKind) {
        assert!(requests <= MOST_STREAMS);
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let mut out = [PREFACE, &frame(SETTINGS, 0, 0, &NO_WINDOW)].concat();

        for request in 0..requests {
            let flags = END_HEADERS | u8::from(!kind.has_body);
            out.extend(frame(
                HEADERS,
                flags,
                request * 2 + 1,
                &kind.headers(self.requests),
            ));
            self.requests += 1;
        }

        stream.write_all(&out).await.unwrap();
        self.connections.push(stream);
        self.answered.push(0);
    }

    /// Waits until this number of answers has begun on each connection.
    pub async fn answered(&mut self, answers: usize) {
        for (stream, begun) in self.connections.iter_mut().zip(&mut self.answered) {
            while *begun < answers {
                let kind = timeout(DEADLINE, next(stream))
                    .await
                    .expect("an answer begins");
                *begun += usize::from(kind == HEADERS);
            }
        }
    }

    /// Closes all connections, one right after the other.
    pub fn leave(self) {
        drop(self.connections);
    }
}

/// Reads the next frame, and yields its type. Settings are acknowledged.
async fn next(stream: &mut TcpStream) -> u8 {
    let mut head = [0; 9];
    stream
        .read_exact(&mut head)
        .await
        .expect("the connection stays open");

    let [a, b, c, kind, flags, ..] = head;
    let mut content = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut content).await.unwrap();
    assert!(
        kind != DATA || content.is_empty(),
        "bytes of a body for which there is no room"
    );

    if kind == SETTINGS && flags & ACK == 0 {
        stream
            .write_all(&frame(SETTINGS, ACK, 0, &[]))
            .await
            .unwrap();
    }

    kind
}

fn frame(kind: u8, flags: u8, stream: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let stream = u32::try_from(stream).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream, content].concat()
}
