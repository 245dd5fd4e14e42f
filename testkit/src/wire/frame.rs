//! A minimal HTTP/2 codec: frames (RFC 9113) and literal header fields (RFC 7541).

use crate::wire::Wire;

/// The client's connection preface (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The frame types in use.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
/// The frame flags in use.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// Increment of the connection's window: far more than all messages together.
const WINDOW: u32 = 0x7fff_0000;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// One received frame.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Reads the next frame; `None` when the peer closes.
    pub(crate) async fn read(wire: &mut Wire) -> Option<Self> {
        let head = wire.take(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Self {
            kind: head[3],
            flags: head[4],
            stream,
            payload: wire.take(length as usize).await?,
        })
    }

    /// Whether it is the last frame of its stream.
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, HEADERS | DATA) && self.flags & END_STREAM != 0
    }

    /// The acknowledgement that SETTINGS and PING require.
    pub(crate) fn reply(&self) -> Option<Vec<u8>> {
        match self.kind {
            SETTINGS if self.flags & ACK == 0 => Some(frame(SETTINGS, ACK, 0, &[])),
            PING if self.flags & ACK == 0 => Some(frame(PING, ACK, 0, &self.payload)),
            _ => None,
        }
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("frames are short")
        .to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Takes the client's connection preface. False when the peer speaks HTTP/1.1, or closes.
pub(crate) async fn take_preface(wire: &mut Wire) -> bool {
    let start = |bytes: &[u8]| bytes.get(..3).map(|start| start == &PREFACE[..3]);
    wire.find(start).await == Some(true) && wire.take(PREFACE.len()).await.is_some()
}

/// The first frames of either side: they open the windows so far that no sender waits.
pub(crate) fn settings() -> Vec<u8> {
    let window = [
        &SETTINGS_INITIAL_WINDOW_SIZE.to_be_bytes()[..],
        &WINDOW.to_be_bytes(),
    ]
    .concat();

    [
        frame(SETTINGS, 0, 0, &window),
        frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes()),
    ]
    .concat()
}

/// A literal field without indexing, with a literal name.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| {
        u8::try_from(text.len())
            .ok()
            .filter(|length| *length < 127)
            .expect("fields are short")
    };

    [
        &[0, length(name)],
        name.as_bytes(),
        &[length(value)],
        value.as_bytes(),
    ]
    .concat()
}
