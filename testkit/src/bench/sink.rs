//! A cheap audit cluster for every delivery path. HTTP/1.1 requests are answered 200 at once. gRPC
//! streams are answered when they end, or as an external processor does. Records are counted on
//! demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bench::processor::Processor;
use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, field, frame, settings, take_preface,
};
use crate::wire::http1::read_message;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// When a gRPC stream is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// At its end, as a service for access logs.
    AtEnd,
    /// At each message, as an external processor that is waited for.
    AtEachMessage,
}

/// A running sink; it ends with the runtime.
pub struct Sink {
    addr: SocketAddr,
    mark: &'static str,
    arrived: Arc<Mutex<Arrived>>,
    hangs: watch::Sender<bool>,
}

/// Received bytes are not searched on arrival: the load runs on the same thread and would wait.
#[derive(Default)]
struct Arrived {
    /// One list of bytes per connection.
    uncounted: Vec<Vec<u8>>,
    exchanges: usize,
    bytes: usize,
}

impl Arrived {
    fn count(&mut self, mark: &[u8]) {
        for bytes in &mut self.uncounted {
            self.exchanges += bytes
                .windows(mark.len())
                .filter(|window| *window == mark)
                .count();

            // Keeps less than one mark: its rest may still arrive.
            let counted = bytes.len().saturating_sub(mark.len() - 1);
            self.bytes += counted;
            bytes.drain(..counted);
        }
    }
}

impl Sink {
    /// Starts a sink that counts one record per occurrence of this text.
    pub async fn start(mark: &'static str, streams: Streams) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, arrived) = (
            listener.local_addr().unwrap(),
            Arc::<Mutex<Arrived>>::default(),
        );

        let (hangs, hanging) = watch::channel(false);
        let connections = Connections {
            arrived: Arc::clone(&arrived),
            hanging,
            streams,
        };
        tokio::spawn(connections.accept(listener));

        Self {
            addr,
            mark,
            arrived,
            hangs,
        }
    }

    /// Its address, for both protocols.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Withholds answers while `hangs` is true; the withheld ones are sent when it becomes false.
    pub fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    /// Whether answers are withheld.
    pub fn hangs(&self) -> bool {
        *self.hangs.borrow()
    }

    /// The records that have arrived so far.
    pub fn exchanges(&self) -> usize {
        self.counted().exchanges
    }

    /// The bytes that have arrived so far, HTTP/1.1 heads included.
    pub fn bytes(&self) -> usize {
        self.counted().bytes
    }

    fn counted(&self) -> MutexGuard<'_, Arrived> {
        let mut arrived = self.arrived.lock().unwrap();
        arrived.count(self.mark.as_bytes());
        arrived
    }
}

/// What all connections have in common.
struct Connections {
    arrived: Arc<Mutex<Arrived>>,
    hanging: watch::Receiver<bool>,
    streams: Streams,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = Connection::new(Wire::new(stream), &self.arrived);
            tokio::spawn(connection.serve(self.hanging.clone(), self.streams));
        }
    }
}

struct Connection {
    wire: Wire,
    arrived: Arc<Mutex<Arrived>>,
    index: usize,
}

impl Connection {
    fn new(wire: Wire, arrived: &Arc<Mutex<Arrived>>) -> Self {
        let uncounted = &mut arrived.lock().unwrap().uncounted;
        uncounted.push(Vec::new());
        Self {
            wire,
            index: uncounted.len() - 1,
            arrived: Arc::clone(arrived),
        }
    }

    async fn serve(mut self, hanging: watch::Receiver<bool>, streams: Streams) {
        if take_preface(&mut self.wire).await {
            self.serve_streams(streams).await;
        } else {
            self.serve_requests(hanging).await;
        }
    }

    async fn serve_requests(mut self, mut hanging: watch::Receiver<bool>) {
        while let Some(message) = read_message(&mut self.wire).await {
            self.keep(&message);
            if hanging.wait_for(|hangs| !hangs).await.is_err() {
                return;
            }
            self.wire.send(ANSWER).await;
        }
    }

    async fn serve_streams(mut self, streams: Streams) {
        self.wire.send(&settings()).await;
        let mut processor = Processor::default();

        while let Some(frame) = Frame::read(&mut self.wire).await {
            if let Some(reply) = frame.reply() {
                self.wire.send(&reply).await;
            }
            if frame.kind == DATA {
                self.keep(&frame.payload);
                if streams == Streams::AtEachMessage {
                    let answer = processor.answer(frame.stream, &frame.payload);
                    self.wire.send(&answer).await;
                }
            }
            if frame.ends_stream() {
                let end = processor.end(frame.stream);
                self.wire
                    .send(&end.unwrap_or_else(|| whole(frame.stream)))
                    .await;
            }
        }
    }

    fn keep(&self, bytes: &[u8]) {
        self.arrived.lock().unwrap().uncounted[self.index].extend_from_slice(bytes);
    }
}

/// The whole answer to a stream: no message, and success.
fn whole(stream: u32) -> Vec<u8> {
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "0"),
    ];
    let fields: Vec<u8> = fields
        .into_iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();

    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)
}
