//! A cheap upstream: one answer to every request, over HTTP/1.1, HTTP/2 and gRPC.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::bench::bootstrap::{ANSWER, BODY};
use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, field, frame, settings, take_preface,
};
use crate::wire::http1::read_message;

/// One uncompressed message of length 0.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

/// A running upstream; it ends with the runtime.
pub struct Origin {
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Origin {
    /// Starts it on free ports.
    pub async fn start() -> Self {
        Self {
            http: serve(Answers::http()).await,
            grpc: serve(Answers::grpc()).await,
        }
    }

    /// Where `GET` is answered as Envoy's `direct_response` does: over HTTP/1.1 and HTTP/2.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where gRPC calls are answered with one message and their status in trailers.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }
}

/// The answers at one address.
struct Answers {
    http1: Vec<u8>,
    /// The frames of an answer over HTTP/2: kind, flags, payload.
    http2: Vec<(u8, u8, Vec<u8>)>,
}

impl Answers {
    fn http() -> Self {
        let lines = ANSWER.map(|(name, value)| format!("{name}: {value}\r\n"));
        let http1 = format!(
            "HTTP/1.1 200 OK\r\n{}content-length: {}\r\n\r\n{BODY}",
            lines.concat(),
            BODY.len()
        );
        let head = [&[(":status", "200")], &ANSWER[..]].concat();

        Self {
            http1: http1.into_bytes(),
            http2: vec![
                (HEADERS, END_HEADERS, fields(&head)),
                (DATA, END_STREAM, BODY.into()),
            ],
        }
    }

    fn grpc() -> Self {
        let head = [(":status", "200"), ("content-type", "application/grpc")];
        Self {
            http1: Vec::new(),
            http2: vec![
                (HEADERS, END_HEADERS, fields(&head)),
                (DATA, 0, MESSAGE.into()),
                (
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    fields(&[("grpc-status", "0")]),
                ),
            ],
        }
    }

    fn on_stream(&self, stream: u32) -> Vec<u8> {
        let frames = self.http2.iter();
        frames
            .flat_map(|(kind, flags, payload)| frame(*kind, *flags, stream, payload))
            .collect()
    }
}

fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let fields = pairs.iter().map(|(name, value)| field(name, value));
    fields.flatten().collect()
}

async fn serve(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answers = Arc::new(answers);

    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(Wire::new(stream), Arc::clone(&answers)));
        }
    });
    addr
}

async fn answer_all(mut wire: Wire, answers: Arc<Answers>) {
    if take_preface(&mut wire).await {
        wire.send(&settings()).await;
        while let Some(frame) = Frame::read(&mut wire).await {
            if let Some(reply) = frame.reply() {
                wire.send(&reply).await;
            }
            if frame.ends_stream() {
                wire.send(&answers.on_stream(frame.stream)).await;
            }
        }
    } else {
        while read_message(&mut wire).await.is_some() {
            wire.send(&answers.http1).await;
        }
    }
}
