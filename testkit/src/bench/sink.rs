//! A cheap audit cluster for every delivery path. HTTP/1.1 requests are answered 200 at once, gRPC
//! streams only when they end. Records are counted on demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::wire::Wire;
use crate::wire::frame::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, field, frame, settings, take_preface,
};
use crate::wire::http1::read_message;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

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
    pub async fn start(mark: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, arrived) = (
            listener.local_addr().unwrap(),
            Arc::<Mutex<Arrived>>::default(),
        );

        let (hangs, hanging) = watch::channel(false);
        tokio::spawn(accept(listener, Arc::clone(&arrived), hanging));

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

async fn accept(
    listener: TcpListener,
    arrived: Arc<Mutex<Arrived>>,
    hanging: watch::Receiver<bool>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = Connection::new(Wire::new(stream), &arrived);
        tokio::spawn(connection.serve(hanging.clone()));
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

    async fn serve(mut self, hanging: watch::Receiver<bool>) {
        if take_preface(&mut self.wire).await {
            self.serve_streams().await;
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

    async fn serve_streams(mut self) {
        self.wire.send(&settings()).await;

        while let Some(frame) = Frame::read(&mut self.wire).await {
            if let Some(reply) = frame.reply() {
                self.wire.send(&reply).await;
            }
            if frame.kind == DATA {
                self.keep(&frame.payload);
            }
            if frame.ends_stream() {
                self.wire.send(&end(frame.stream)).await;
            }
        }
    }

    fn keep(&self, bytes: &[u8]) {
        self.arrived.lock().unwrap().uncounted[self.index].extend_from_slice(bytes);
    }
}

/// The answer to a stream: no message, and success.
fn end(stream: u32) -> Vec<u8> {
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
