//! Requests on one HTTP/2 connection.

use std::net::SocketAddr;

use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, field, frame,
    settings,
};

/// An empty gRPC message.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

/// One connection with one request at a time.
pub(crate) struct Streams {
    wire: Wire,
    fields: Vec<u8>,
    /// The body of every request.
    body: Option<&'static [u8]>,
    next_stream: u32,
}

impl Streams {
    /// For unary gRPC calls.
    pub(crate) async fn grpc(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::connect(addr, ["POST", path], headers, Some(MESSAGE)).await
    }

    /// For `GET`.
    pub(crate) async fn get(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::connect(addr, ["GET", path], headers, None).await
    }

    async fn connect(
        addr: SocketAddr,
        [method, path]: [&str; 2],
        headers: &[(&str, String)],
        body: Option<&'static [u8]>,
    ) -> Self {
        let mut wire = Wire::connect(addr).await;
        wire.send(&[PREFACE, &settings()].concat()).await;

        let pseudo = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "bench.test"),
        ];
        let pseudo = pseudo.into_iter().map(|(name, value)| field(name, value));
        let fields = pseudo
            .chain(headers.iter().map(|(name, value)| field(name, value)))
            .flatten()
            .collect();

        Self {
            wire,
            fields,
            body,
            next_stream: 1,
        }
    }

    /// One request, until the end of its answer.
    pub(crate) async fn exchange(&mut self) {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.wire.send(&self.request(stream)).await;
        while !self.ends(stream).await {}
    }

    fn request(&self, stream: u32) -> Vec<u8> {
        let head = |flags| frame(HEADERS, END_HEADERS | flags, stream, &self.fields);
        match self.body {
            Some(body) => [head(0), frame(DATA, END_STREAM, stream, body)].concat(),
            None => head(END_STREAM),
        }
    }

    /// Reads one frame; true when it ended the stream.
    async fn ends(&mut self, stream: u32) -> bool {
        let frame = Frame::read(&mut self.wire).await.expect("Envoy answers");
        assert!(
            !matches!(frame.kind, RST_STREAM | GOAWAY),
            "Envoy gave up, type {}: {:?}",
            frame.kind,
            frame.payload
        );

        if let Some(reply) = frame.reply() {
            self.wire.send(&reply).await;
        }
        frame.stream == stream && frame.ends_stream()
    }
}
