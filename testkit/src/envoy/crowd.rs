//! Many HTTP/2 requests at once on few connections. Their client reads no byte of a body and then
//! disconnects.
//!
//! Frames are written by hand (RFC 9113): libraries neither send a thousand requests in one write,
//! nor abort all of them at the same moment.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::DEADLINE;
use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PREFACE, SETTINGS, field, frame,
};

/// `SETTINGS_INITIAL_WINDOW_SIZE`, 0: the peer may send no byte of a body.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// Envoy 1.40's default limit of streams on a connection.
pub const MOST_STREAMS: usize = 1000;

/// Open connections, with their requests.
#[derive(Default)]
pub struct Crowd {
    connections: Vec<Wire>,
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

        fields
            .into_iter()
            .flat_map(|(name, value)| field(name, value))
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
        let mut wire = Wire::new(TcpStream::connect(addr).await.unwrap());
        let mut out = [PREFACE, &frame(SETTINGS, 0, 0, &NO_WINDOW)].concat();

        for request in 0..requests {
            let flags = END_HEADERS | if kind.has_body { 0 } else { END_STREAM };
            out.extend(frame(
                HEADERS,
                flags,
                u32::try_from(request * 2 + 1).unwrap(),
                &kind.headers(self.requests),
            ));
            self.requests += 1;
        }

        wire.send(&out).await;
        self.connections.push(wire);
        self.answered.push(0);
    }

    /// Waits until this number of answers has begun on each connection.
    pub async fn answered(&mut self, answers: usize) {
        for (wire, begun) in self.connections.iter_mut().zip(&mut self.answered) {
            while *begun < answers {
                let kind = timeout(DEADLINE, next(wire))
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
async fn next(wire: &mut Wire) -> u8 {
    let frame = Frame::read(wire).await;
    let frame = frame.expect("the connection stays open");
    assert!(
        frame.kind != DATA || frame.payload.is_empty(),
        "bytes of a body for which there is no room"
    );

    if let Some(reply) = frame.reply() {
        wire.send(&reply).await;
    }
    frame.kind
}
