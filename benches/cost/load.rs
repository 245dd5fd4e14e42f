//! The load on one row: a few connections that stay open, one request at a time on each.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use super::http1;
use super::http2::Calls;
use super::wire::Wire;

/// Enough to keep Envoy's worker busy.
const CONNECTIONS: usize = 4;

/// One connection and what it sends.
enum Connection {
    Http1 { wire: Wire, request: Vec<u8> },
    Grpc(Calls),
}

impl Connection {
    async fn run(&mut self, requests: usize) {
        for _ in 0..requests {
            match self {
                Self::Http1 { wire, request } => http1::exchange(wire, request).await,
                Self::Grpc(calls) => calls.exchange().await,
            }
        }
    }
}

/// The connections of one row.
pub struct Load(Vec<Connection>);

impl Load {
    pub async fn http1(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let request = http1::get(path, headers);
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::Http1 { wire: Wire::connect(addr).await, request: request.clone() });
        }
        Self(connections)
    }

    pub async fn grpc(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::Grpc(Calls::connect(addr, path, headers).await));
        }
        Self(connections)
    }

    /// Sends this many requests in all and waits for their answers.
    pub async fn run(&mut self, requests: usize) {
        let mut running = JoinSet::new();
        for (index, mut connection) in self.0.drain(..).enumerate() {
            let share = (requests + index) / CONNECTIONS;
            running.spawn(async move {
                connection.run(share).await;
                connection
            });
        }
        self.0 = running.join_all().await;
    }
}
