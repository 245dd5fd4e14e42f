//! The load on one row: a few open connections, with one request at a time on each.

use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bench::http2::Streams;
use crate::bench::pace::Arrivals;
use crate::bench::requests::{SESSION, SESSION_DIGITS};
use crate::envoy::tls::Peer;
use crate::wire::Wire;
use crate::wire::http1;

/// Enough to keep Envoy's worker busy.
pub(crate) const CONNECTIONS: usize = 4;

/// When a connection's next request is sent.
#[derive(Clone, Copy)]
enum Pace {
    /// At the end of the one before.
    FullSpeed,
    /// When it is due.
    Arrivals,
}

/// One connection and its requests.
struct Connection {
    protocol: Protocol,
    arrivals: Arrivals,
}

enum Protocol {
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
    async fn exchange(&mut self) {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.exchange().await,
            Protocol::Http2(streams) => streams.exchange().await,
        }
    }

    /// Returns the times from when requests were due to their answers, in microseconds; none at full
    /// speed.
    async fn run(&mut self, requests: usize, pace: Pace) -> Vec<f64> {
        let mut times = Vec::new();
        let mut due = Instant::now();

        for _ in 0..requests {
            match pace {
                Pace::FullSpeed => self.exchange().await,
                Pace::Arrivals => {
                    due += self.arrivals.gap();
                    until(due).await;
                    self.exchange().await;
                    times.push(due.elapsed().as_nanos() as f64 / 1000.0);
                }
            }
        }

        times
    }
}

/// Waits without a timer, whose ticks are milliseconds.
async fn until(due: Instant) {
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

/// The connections of one row.
pub struct Load(Vec<Connection>);

impl Load {
    /// `GET` over HTTP/1.1, over TLS if there is a `peer`. With `sessions`, the request has a header
    /// for the session's id.
    pub async fn http1(
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, String)],
        sessions: Option<u64>,
        peer: Option<&Peer>,
    ) -> Self {
        let request = http1::get(path, headers);
        let connect = async |next| {
            let sessions = sessions.map(|count| Sessions {
                at: session_at(&request),
                count,
                next,
            });
            let wire = match peer {
                Some(peer) => Wire::connect_as(addr, peer).await,
                None => Wire::connect(addr).await,
            };
            Protocol::Http1(Http1 {
                wire,
                request: request.clone(),
                sessions,
            })
        };
        Self::of(connect).await
    }

    /// `GET` over HTTP/2.
    pub async fn http2(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::of(async |_| Protocol::Http2(Streams::get(addr, path, headers).await)).await
    }

    /// gRPC calls over HTTP/2.
    pub async fn grpc(addr: SocketAddr, path: &str, headers: &[(&str, String)]) -> Self {
        Self::of(async |_| Protocol::Http2(Streams::grpc(addr, path, headers).await)).await
    }

    async fn of(connect: impl AsyncFn(u64) -> Protocol) -> Self {
        let mut connections = Vec::new();
        for index in 0..CONNECTIONS as u64 {
            connections.push(Connection {
                protocol: connect(index).await,
                arrivals: Arrivals::of_connection(index),
            });
        }
        Self(connections)
    }

    /// Sends this many requests in all at full speed, and waits for their answers.
    pub async fn run(&mut self, requests: usize) {
        self.spread(requests, Pace::FullSpeed).await;
    }

    /// Sends this many requests in all at the pace of [`crate::bench::pace`]. Returns the time of
    /// each from when it was due to the end of its answer, in microseconds.
    pub async fn run_paced(&mut self, requests: usize) -> Vec<f64> {
        self.spread(requests, Pace::Arrivals).await
    }

    async fn spread(&mut self, requests: usize, pace: Pace) -> Vec<f64> {
        let mut running = JoinSet::new();
        for (index, mut connection) in self.0.drain(..).enumerate() {
            let share = (requests + index) / CONNECTIONS;
            running.spawn(async move {
                let times = connection.run(share, pace).await;
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
