//! Unary gRPC calls on one HTTP/2 connection.

use std::net::SocketAddr;

use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, field, frame,
    settings,
};

/// An empty gRPC message.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

/// One connection with one call at a time.
pub(crate) struct Calls {
    wire: Wire,
    fields: Vec<u8>,
    next_stream: u32,
}

impl Calls {
    pub(crate) async fn connect(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        let wire = Wire::connect(addr).await;
        wire.send(&[PREFACE, &settings()].concat()).await;

        let pseudo = [
            (":method", "POST"),
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
            next_stream: 1,
        }
    }

    /// One call, until the end of its answer.
    pub(crate) async fn exchange(&mut self) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let headers = frame(HEADERS, END_HEADERS, stream, &self.fields);
        self.wire
            .send(&[headers, frame(DATA, END_STREAM, stream, MESSAGE)].concat())
            .await;
        while !self.ends(stream).await {}
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
