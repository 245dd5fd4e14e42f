//! The users: a steady load over a few persistent connections, with a distinct user agent for each
//! request.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::client::{CallError, HttpAnswer, HttpConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const CONNECTIONS: u32 = 8;
/// Interval between requests on a connection: 320 requests a second in all.
const PERIOD: Duration = Duration::from_millis(25);
const DEADLINE: Duration = Duration::from_secs(5);
/// After a refusal, the connection is tried again at the next request.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Part of some requests' names; the audit cluster of one row refuses their records.
pub const POISON: &str = "poison";
const POISON_EVERY: usize = 40;

/// One request and its end.
pub struct Call {
    /// Its user agent, which is unique.
    pub name: String,
    /// Answered by the upstream, as opposed to an error of Envoy or of the connection.
    pub is_answered: bool,
    /// Time of its end.
    pub ended: Instant,
    /// From its due time to its end, for a user that waits for the answer.
    pub took: Option<Duration>,
}

/// A running load.
pub struct Load {
    connections: JoinSet<Vec<Call>>,
    /// Target of new connections; `None` ends the load.
    target: watch::Sender<Option<SocketAddr>>,
}

impl Load {
    pub fn start(addr: SocketAddr) -> Self {
        Self::start_as(addr, "")
    }

    /// The same, with this prefix of the requests' names.
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

    /// Sends new connections to another address.
    pub fn redirect(&self, addr: SocketAddr) {
        self.target.send_replace(Some(addr));
    }

    /// Ends the load and yields all calls.
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
    // A late request does not delay the schedule: the waiting time of users counts.
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
    // Envoy may close a connection between two requests; any client then opens a new one.
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
