//! The users: a steady load over a few connections that stay open, each request recognisable by its user agent.

use std::net::SocketAddr;
use std::time::Duration;

use audit_demo::client::{CallError, HttpAnswer, HttpConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const CONNECTIONS: u32 = 8;
/// From one request on a connection to the next: 320 requests a second in all.
const PERIOD: Duration = Duration::from_millis(25);
const DEADLINE: Duration = Duration::from_secs(5);
/// A connection that was refused is tried again at the next request.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// What some requests have in their name; the audit cluster of one row refuses their records.
pub const POISON: &str = "poison";
const POISON_EVERY: usize = 40;

/// One request and how it ended.
pub struct Call {
    /// Its user agent, which no other request has.
    pub name: String,
    /// The upstream's answer, and not an error of Envoy or of the connection.
    pub is_answered: bool,
    /// When it ended.
    pub ended: Instant,
    /// From the moment at which it was due to its end, of a user who waits for the answer.
    pub took: Option<Duration>,
}

/// A running load.
pub struct Load {
    connections: JoinSet<Vec<Call>>,
    /// Where new connections go; `None` ends the load.
    target: watch::Sender<Option<SocketAddr>>,
}

impl Load {
    pub fn start(addr: SocketAddr) -> Self {
        Self::start_as(addr, "")
    }

    /// The same, with names of requests that begin so.
    pub fn start_as(addr: SocketAddr, prefix: &str) -> Self {
        let (target, watched) = watch::channel(Some(addr));
        let mut connections = JoinSet::new();
        for index in 0..CONNECTIONS {
            connections.spawn(run(index, prefix.to_owned(), watched.clone()));
        }
        Self {
            connections,
            target,
        }
    }

    /// Lets new connections go elsewhere.
    pub fn redirect(&self, addr: SocketAddr) {
        self.target.send_replace(Some(addr));
    }

    /// Ends the load and yields everything that was sent.
    pub async fn stop(self) -> Vec<Call> {
        self.target.send_replace(None);
        self.connections
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

async fn run(index: u32, prefix: String, target: watch::Receiver<Option<SocketAddr>>) -> Vec<Call> {
    let mut ticks = interval_at(Instant::now() + PERIOD * index / CONNECTIONS, PERIOD);
    // A request that was late does not make the next one early: the wait of users counts.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut connection, mut calls) = (None, Vec::new());
    loop {
        let due = ticks.tick().await;
        let Some(addr) = *target.borrow() else {
            return calls;
        };
        let name = prefix.clone() + &name(index, calls.len());
        let answer = send(&mut connection, addr, &name, calls.len()).await;
        if answer.is_err() {
            connection = None;
        }
        let ended = Instant::now();
        let is_answered = answer.is_ok_and(|answer| answer.status == 200);
        calls.push(Call {
            name,
            is_answered,
            ended,
            took: Some(ended - due),
        });
    }
}

fn name(connection: u32, request: usize) -> String {
    let kind = if request % POISON_EVERY == POISON_EVERY - 1 {
        POISON
    } else {
        "plain"
    };
    format!("{kind}-{connection}-{request}")
}

async fn send(
    connection: &mut Option<HttpConnection>,
    addr: SocketAddr,
    name: &str,
    request: usize,
) -> Result<HttpAnswer, CallError> {
    // Envoy may close a connection between two requests; any client then takes a new one.
    let connection = match connection {
        Some(open) if open.is_open() => open,
        _ => connection.insert(HttpConnection::open(addr, CONNECT_DEADLINE).await?),
    };
    let (method, path) = if request.is_multiple_of(2) {
        ("GET", "/check")
    } else {
        ("POST", "/orders/7/items")
    };
    connection
        .request(method, path, [("user-agent", name)], DEADLINE)
        .await
}
