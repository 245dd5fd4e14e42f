//! Unary gRPC calls on one HTTP/2 connection, by hand: frames (RFC 9113) and uncompressed header fields (RFC 7541).

use std::net::SocketAddr;

use super::wire::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty gRPC message.
const MESSAGE: &[u8] = &[0, 0, 0, 0, 0];
/// The frame types in use.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The frame flags in use.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// What the connection's window is raised by: far more than all answers together.
const WINDOW: u32 = 0x7fff_0000;

/// One connection with one call at a time.
pub struct Calls {
    wire: Wire,
    fields: Vec<u8>,
    next_stream: u32,
}

impl Calls {
    pub async fn connect(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let wire = Wire::connect(addr).await;
        let settings = frame(SETTINGS, 0, 0, &[]);
        let window = frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
        wire.send(&[PREFACE, &settings, &window].concat()).await;
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "bench.test")];
        let fields = pseudo.iter().chain(headers).flat_map(|(name, value)| field(name, value)).collect();
        Self { wire, fields, next_stream: 1 }
    }

    /// One call, until its answer has ended.
    pub async fn exchange(&mut self) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let headers = frame(HEADERS, END_HEADERS, stream, &self.fields);
        self.wire.send(&[headers, frame(DATA, END_STREAM, stream, MESSAGE)].concat()).await;
        while !self.ends(stream).await {}
    }

    /// Reads one frame; says whether it ended the stream.
    async fn ends(&mut self, stream: u32) -> bool {
        let head = self.wire.take(9).await.expect("Envoy answers");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let payload = self.wire.take(length as usize).await.expect("Envoy sends whole frames");
        match kind {
            SETTINGS if flags & ACK == 0 => self.wire.send(&frame(SETTINGS, ACK, 0, &[])).await,
            RST_STREAM | GOAWAY => panic!("Envoy gave up, frame type {kind}: {payload:?}"),
            _ => {}
        }
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        id == stream && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field without indexing, its name written out.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("fields are short");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}
