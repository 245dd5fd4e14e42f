//! The load on one row: a few open connections, with one request at a time on each.

use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bench::http2::Streams;
use crate::bench::requests::{SESSION, SESSION_DIGITS};
use crate::wire::Wire;
use crate::wire::http1;

/// Enough to keep Envoy's worker busy.
const CONNECTIONS: usize = 4;

/// One connection and its requests.
enum Connection {
    Http1(Http1),
    Http2(Streams),
}

struct Http1 {
    wire: Wire,
    request: Vec<u8>,
    sessions: Option<Sessions>,
}

/// Position of the session's id in the request, and the next id.
#[derive(Clone, Copy)]
struct Sessions {
    at: usize,
    count: u64,
    next: u64,
}

impl Http1 {
    async fn exchange(&mut self) {
        if let Some(sessions) = &mut self.sessions {
            let digits = format!("{:0SESSION_DIGITS$}", sessions.next % sessions.count);
            self.request[sessions.at..][..SESSION_DIGITS].copy_from_slice(digits.as_bytes());
            sessions.next += CONNECTIONS as u64;
        }
        http1::exchange(&mut self.wire, &self.request).await;
    }
}

impl Connection {
    /// Returns the time of each request, in microseconds.
    async fn run(&mut self, requests: usize) -> Vec<f64> {
        let mut times = Vec::with_capacity(requests);
        for _ in 0..requests {
            let start = Instant::now();
            match self {
                Self::Http1(http1) => http1.exchange().await,
                Self::Http2(streams) => streams.exchange().await,
            }
            times.push(start.elapsed().as_nanos() as f64 / 1000.0);
        }

        times
    }
}

/// The connections of one row.
pub struct Load(Vec<Connection>);

impl Load {
    /// With `sessions`, the request has a header for the session's id.
    pub async fn http1(
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, String)],
        sessions: Option<u64>,
    ) -> Self {
        let request = http1::get(path, headers);

        let mut connections = Vec::new();
        for next in 0..CONNECTIONS as u64 {
            let sessions = sessions.map(|count| Sessions {
                at: session_at(&request),
                count,
                next,
            });
            let wire = Wire::connect(addr).await;
            connections.push(Connection::Http1(Http1 {
                wire,
                request: request.clone(),
                sessions,
            }));
        }

        Self(connections)
    }

    /// `GET` over HTTP/2.
    pub async fn http2(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::of(async || Streams::get(addr, path, headers).await).await
    }

    /// gRPC calls over HTTP/2.
    pub async fn grpc(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::of(async || Streams::grpc(addr, path, headers).await).await
    }

    async fn of(connect: impl AsyncFn() -> Streams) -> Self {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::Http2(connect().await));
        }
        Self(connections)
    }

    /// Sends this many requests in all, waits for their answers, and returns the time of each, in
    /// microseconds.
    pub async fn run(&mut self, requests: usize) -> Vec<f64> {
        let mut running = JoinSet::new();
        for (index, mut connection) in self.0.drain(..).enumerate() {
            let share = (requests + index) / CONNECTIONS;
            running.spawn(async move {
                let times = connection.run(share).await;
                (connection, times)
            });
        }

        let (connections, times): (Vec<Connection>, Vec<Vec<f64>>) =
            running.join_all().await.into_iter().unzip();
        self.0 = connections;
        times.concat()
    }
}

fn session_at(request: &[u8]) -> usize {
    let name = format!("{SESSION}: ");
    let found = request
        .windows(name.len())
        .position(|window| window == name.as_bytes());
    found.expect("the request has the header") + name.len()
}
