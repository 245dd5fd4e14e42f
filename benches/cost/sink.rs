//! A cheap audit cluster: answers 200 at once, and counts the exchanges of its batches when it is asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use super::http1::read_message;
use super::wire::Wire;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// What every exchange, and nothing else, has in its batch.
const MARKS: [&[u8]; 2] = [br#""eventName":"audit.http""#, br#""eventName":"audit.rpc""#];

/// A running sink; it ends with the runtime.
pub struct Sink {
    addr: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

/// Batches are not looked into while they come: the load runs on the same thread, and would wait.
#[derive(Default)]
struct Arrived {
    uncounted: Vec<Vec<u8>>,
    exchanges: usize,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { addr: listener.local_addr().unwrap(), arrived: Arc::default() };
        tokio::spawn(accept(listener, Arc::clone(&sink.arrived)));
        sink
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The exchanges that have arrived so far.
    pub fn exchanges(&self) -> usize {
        let mut arrived = self.arrived.lock().unwrap();
        let batches = std::mem::take(&mut arrived.uncounted);
        arrived.exchanges += batches.iter().map(|batch| count(batch)).sum::<usize>();
        arrived.exchanges
    }
}

async fn accept(listener: TcpListener, arrived: Arc<Mutex<Arrived>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(Wire::new(stream), Arc::clone(&arrived)));
    }
}

async fn serve(mut wire: Wire, arrived: Arc<Mutex<Arrived>>) {
    while let Some(batch) = read_message(&mut wire).await {
        arrived.lock().unwrap().uncounted.push(batch);
        wire.send(ANSWER).await;
    }
}

/// The exchanges in a batch.
fn count(batch: &[u8]) -> usize {
    let count = |mark: &[u8]| batch.windows(mark.len()).filter(|window| *window == mark).count();
    MARKS.into_iter().map(count).sum()
}
