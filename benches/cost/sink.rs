//! A cheap audit cluster: counts the exchanges in each batch and answers 200.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::http1::read_message;
use super::wire::Wire;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// What every exchange, and nothing else, has in its batch.
const MARKS: [&[u8]; 2] = [br#""eventName":"audit.http""#, br#""eventName":"audit.rpc""#];

/// A running sink; it ends with the runtime.
pub struct Sink {
    addr: SocketAddr,
    exchanges: Arc<AtomicUsize>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { addr: listener.local_addr().unwrap(), exchanges: Arc::default() };
        tokio::spawn(accept(listener, Arc::clone(&sink.exchanges)));
        sink
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The exchanges that have arrived so far.
    pub fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, exchanges: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(Wire::new(stream), Arc::clone(&exchanges)));
    }
}

async fn serve(mut wire: Wire, exchanges: Arc<AtomicUsize>) {
    while let Some(batch) = read_message(&mut wire).await {
        let count = |mark: &[u8]| batch.windows(mark.len()).filter(|window| *window == mark).count();
        exchanges.fetch_add(MARKS.into_iter().map(count).sum(), Ordering::Relaxed);
        wire.send(ANSWER).await;
    }
}
